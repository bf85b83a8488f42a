"""The plan that holds for a partner: ad space before partner before group before the whole campaign."""

from datetime import timedelta

import pytest

from apps.campaigns.models import Enrollment
from apps.insights.partner_rates import may_hold, plans_of_partner
from apps.partners.models import PartnerGroup, Partnership
from tests.cast import NOON, make_cast, make_coupon, make_plan

pytestmark = pytest.mark.django_db


def rules(percent: str, **when: object) -> list[dict]:
    return [{"name": f"{percent} %", "when": when, "pay": {"percent": percent}}]


def held(cast) -> list[tuple]:
    """Return (ad spaces, code, what each rule pays) of the blog's plans."""
    blog = cast.partners.blog
    groups = {
        row.advertiser_id: (row.group.pk, row.group.slug)
        for row in Partnership.objects.filter(partner=blog).select_related("group")
        if row.group
    }
    enrollments = list(Enrollment.objects.filter(partner=blog).select_related("ad_space"))
    plans = plans_of_partner(partner=blog, enrollments=enrollments, groups=groups, at=NOON)
    return [
        (plan.ad_spaces, plan.code, [rule.pay["percent"] for rule in plan.rules])
        for plan in plans.get(cast.campaign.pk, [])
    ]


def test_the_nearest_assignment_holds():
    cast = make_cast()
    blog, space = cast.partners.blog, cast.enrollments.blog.ad_space
    group = PartnerGroup.objects.create(advertiser=cast.advertiser, name="Gold", slug="gold")
    Partnership.objects.filter(partner=blog).update(group=group)
    assert held(cast) == [(("Blog main",), "", ["8"])]
    make_plan(cast.campaign, rules("9"), name="group", assign={"group": group})
    assert held(cast) == [(("Blog main",), "", ["9"])]
    make_plan(cast.campaign, rules("10"), name="partner", assign={"partner": blog})
    assert held(cast) == [(("Blog main",), "", ["10"])]
    make_plan(cast.campaign, rules("11"), name="space", assign={"ad_space": space})
    assert held(cast) == [(("Blog main",), "", ["11"])]


def test_another_partners_plan_group_and_code_do_not_hold():
    cast = make_cast()
    other = cast.partners.coupons
    group = PartnerGroup.objects.create(advertiser=cast.advertiser, name="Silver", slug="silver")
    make_plan(cast.campaign, rules("20"), name="theirs", assign={"partner": other})
    make_plan(cast.campaign, rules("21"), name="group", assign={"group": group})
    make_plan(cast.campaign, rules("22"), name="code", assign={"coupon": make_coupon(cast.campaign, "X", other)})
    assert held(cast) == [(("Blog main",), "", ["8"])]


def test_an_own_code_brings_a_plan_of_its_own():
    cast = make_cast()
    coupon = make_coupon(cast.campaign, "MINE", cast.partners.blog)
    make_plan(cast.campaign, rules("5"), name="code", assign={"coupon": coupon})
    assert held(cast) == [(("Blog main",), "", ["8"]), ((), "MINE", ["5"])]


def test_a_later_version_is_announced_and_does_not_hold_yet():
    cast = make_cast()
    make_plan(cast.campaign, rules("12"), starts_at=NOON + timedelta(days=5))
    enrollments = list(Enrollment.objects.filter(partner=cast.partners.blog).select_related("ad_space"))
    [plan] = plans_of_partner(partner=cast.partners.blog, enrollments=enrollments, groups={}, at=NOON)[cast.campaign.pk]
    assert (plan.version.number, plan.coming.number) == (1, 2)


def test_rules_that_can_never_hold_for_the_partner_are_left_out():
    cast = make_cast()
    only = [*rules("30", partner_group=["gold"]), *rules("31", ad_space_category=["video"]), *rules("7")]
    make_plan(cast.campaign, only, starts_at=NOON - timedelta(days=1))
    assert held(cast) == [(("Blog main",), "", ["7"])]


@pytest.mark.parametrize(
    ("when", "answer"),
    [
        ({}, True),
        ({"partner_group": ["gold", "silver"]}, True),
        ({"partner_group": "bronze"}, False),
        ({"ad_space_category": ["editorial"]}, True),
        ({"partner_group": ["gold"], "ad_space_category": ["video"]}, False),
        ({"category": ["SALE"]}, True),
    ],
)
def test_may_hold_asks_group_and_kind_of_space_only(when, answer):
    assert may_hold(when, group="gold", category="editorial") is answer
