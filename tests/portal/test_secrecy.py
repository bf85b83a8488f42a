"""What another partner earns, sells, names or is called never appears."""

from django.urls import reverse

from apps.commissions.models import CommissionPlan, PlanAssignment
from apps.identity.models import Advertiser
from apps.partners.models import AdSpace, Partner, PartnerGroup
from tests.cast import make_coupon, make_plan
from tests.portal.stage import NOW

# The coupon site's own: 8 % of 8,765.43, its statement's 741.23, names, codes and ids.
CANARIES = ["CANARY", "701.23", "741.23", "8,765", "Coupon Nest", "coupon-nest", "OTHERSCODE", "only for gold"]


def pages(stage) -> list[str]:
    names = ["overview", "links", "conversions", "payouts", "campaigns", "account"]
    sales = [sale for name, sale in vars(stage.sales).items() if name != "theirs"]
    return [
        *(reverse(f"portal:{name}") for name in names),
        reverse("portal:overview") + "?range=year",
        reverse("portal:conversions") + "?range=year&q=A",
        reverse("portal:conversions") + "?range=year&q=CANARY",
        *(reverse("portal:conversion", args=[sale.pk]) for sale in sales),
        reverse("portal:statement", args=[stage.statement.pk]) + "?verify=1",
    ]


def test_nothing_of_another_partner_appears_anywhere(stage, blog):
    other = stage.partners.coupons
    Partner.objects.filter(pk=other.pk).update(name="Coupon Nest")
    AdSpace.objects.filter(partner=other).update(name="coupon-nest.example")
    make_coupon(stage.campaign, "OTHERSCODE", other)
    rules = [
        {"name": "only for gold", "when": {"partner_group": ["gold"]}, "pay": {"percent": "55"}},
        {"name": "everything", "when": {}, "pay": {"percent": "8"}},
    ]
    make_plan(stage.campaign, rules, starts_at=NOW.replace(month=3))
    for url in pages(stage):
        answer = blog.get(url)
        assert answer.status_code == 200
        shown = answer.text.replace("q=CANARY", "").replace('value="CANARY"', "")
        assert [canary for canary in CANARIES if canary in shown] == [], url


def test_a_sale_shared_with_others_tells_their_number_and_no_more(stage, blog):
    text = blog.get(reverse("portal:conversion", args=[stage.sales.shared.pk])).text
    assert "1 other partner had a part in this sale." in text


def test_the_number_of_others_is_kept_where_the_advertiser_wishes(stage, blog):
    Advertiser.objects.update(shows_others=False)
    text = blog.get(reverse("portal:conversion", args=[stage.sales.shared.pk])).text
    assert "had a part in this sale" not in text


def test_a_code_of_somebody_else_is_not_shown_on_the_sale(stage, blog):
    make_coupon(stage.campaign, "MINE", stage.blog)
    rows = blog.get(reverse("portal:conversions") + "?range=year").context["conversions"]
    assert {row.coupon for row in rows} == {""}


def test_rates_of_another_group_are_not_shown(stage, blog):
    gold = PartnerGroup.objects.create(advertiser=stage.advertiser, name="Gold", slug="gold")
    make_plan(
        stage.campaign,
        [{"name": "gold", "when": {}, "pay": {"percent": "44"}}],
        name="Gold plan",
        assign={"group": gold},
    )
    assert CommissionPlan.objects.count() == PlanAssignment.objects.count() == 2
    assert "44" not in str(blog.get(reverse("portal:campaigns")).context["joined"][0]["rates"])
