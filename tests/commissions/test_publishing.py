"""For whom plans hold: one plan for one thing at any instant, and refusals that say why."""

from datetime import timedelta

import pytest

from apps.commissions.models import CommissionPlan, PlanAssignment
from apps.commissions.publishing import (
    CampaignNeedsPlan,
    ForeignPlanTarget,
    PlanNameTaken,
    PlanPeriodEmpty,
    PlanTargetTaken,
    assign_plan,
    create_plan,
    end_plan_assignment,
    publish_plan,
)
from apps.core.actors import SYSTEM
from apps.partners.models import PartnerGroup
from apps.pipeline.documents import plan_versions_at
from apps.records.models import AuditEntry
from tests.cast import NOON, make_advertiser, make_campaign, make_cast, make_coupon, make_partner

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


def make_plan_version(cast):
    rules = [{"name": "all", "when": {}, "pay": {"percent": "20"}}]
    return publish_plan(plan=cast.generous, rules=rules, starts_at=NOON - DAY, actor=SYSTEM, now=NOON)


@pytest.fixture
def acme():
    cast = make_cast()
    cast.generous = create_plan(campaign=cast.campaign, name="Generous", actor=SYSTEM, now=NOON)
    make_plan_version(cast)
    return cast


def assign(acme, target, starts_at=NOON, ends_at=None, **how):
    return assign_plan(
        plan=acme.generous, target=target, starts_at=starts_at, ends_at=ends_at, actor=SYSTEM, now=NOON, **how
    )


def keys_at(acme, moment):
    return set(plan_versions_at(acme.campaign, moment))


def test_a_plan_holds_for_each_kind_of_target_within_its_dates(acme):
    group = PartnerGroup.objects.create(advertiser=acme.advertiser, name="Gold", slug="gold")
    coupon = make_coupon(acme.campaign, partner=acme.partners.coupons)
    assign(acme, acme.partners.blog, ends_at=NOON + DAY)
    assign(acme, acme.enrollments.blog.ad_space)
    assign(acme, group)
    assign(acme, coupon)
    others = {"default", "ad_space:blog/blog-main", "group:gold", "coupon:save10"}
    assert keys_at(acme, NOON) == {*others, "partner:blog"}
    assert keys_at(acme, NOON + DAY) == others
    assert keys_at(acme, NOON - timedelta(seconds=1)) == {"default"}
    assert AuditEntry.objects.filter(verb="assign_plan").count() == 4


def test_two_plans_for_one_thing_are_refused_by_name(acme):
    with pytest.raises(PlanTargetTaken, match="The plan Standard holds there at that time"):
        assign(acme, None)
    first = assign(acme, acme.partners.blog)
    with pytest.raises(PlanTargetTaken, match="Generous"):
        assign(acme, acme.partners.blog, NOON + DAY)
    assert PlanAssignment.objects.filter(partner=acme.partners.blog).get() == first


def test_the_whole_campaign_changes_its_plan_without_a_gap(acme):
    standard = PlanAssignment.objects.get(plan__name="Standard")
    with pytest.raises(CampaignNeedsPlan):
        end_plan_assignment(assignment=standard, ends_at=NOON + DAY, actor=SYSTEM, now=NOON)
    with pytest.raises(CampaignNeedsPlan):
        assign(acme, None, NOON + DAY, NOON + 2 * DAY, replace=True)
    assign(acme, None, NOON + DAY, replace=True)
    assert plan_versions_at(acme.campaign, NOON)["default"].plan.name == "Standard"
    assert plan_versions_at(acme.campaign, NOON + DAY)["default"].plan.name == "Generous"

    acme.generous = standard.plan
    assign(acme, None, NOON + DAY, replace=True)
    assert plan_versions_at(acme.campaign, NOON + DAY)["default"].plan.name == "Standard"


def test_what_has_not_begun_is_taken_away_and_what_is_past_stays(acme):
    planned = assign(acme, acme.partners.blog, NOON + DAY)
    end_plan_assignment(assignment=planned, ends_at=NOON, actor=SYSTEM, now=NOON)
    assert not PlanAssignment.objects.filter(partner=acme.partners.blog).exists()
    current = assign(acme, acme.partners.blog, NOON - DAY)
    with pytest.raises(PlanPeriodEmpty):
        end_plan_assignment(assignment=current, ends_at=NOON - DAY / 2, actor=SYSTEM, now=NOON)
    current.refresh_from_db()
    assert current.active.upper is None
    end_plan_assignment(assignment=current, ends_at=NOON, actor=SYSTEM, now=NOON)
    current.refresh_from_db()
    assert current.active.upper == NOON


def test_what_has_no_part_in_the_campaign_is_refused(acme):
    globex = make_advertiser("globex")
    foreign = [
        make_partner("radio"),
        PartnerGroup.objects.create(advertiser=globex, name="Gold", slug="gold"),
        make_coupon(make_campaign(globex, "globex-shop"), "THEIRS"),
    ]
    for target in foreign:
        with pytest.raises(ForeignPlanTarget):
            assign(acme, target)
    with pytest.raises(PlanPeriodEmpty):
        assign(acme, acme.partners.blog, NOON, NOON)
    assert PlanAssignment.objects.count() == 1


def test_a_plan_s_name_is_its_own(acme):
    with pytest.raises(PlanNameTaken):
        create_plan(campaign=acme.campaign, name="Standard", actor=SYSTEM, now=NOON)
    assert CommissionPlan.objects.count() == 2
