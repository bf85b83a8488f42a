"""Building links: named ones are written, unnamed ones composed, foreign ones refused."""

import pytest
from django.test import override_settings
from django.urls import reverse

from apps.campaigns.models import TrackingLink
from apps.core.money import Money
from apps.pipeline.services.settling import settle_waiting
from apps.records.models import AuditEntry
from tests.cast import make_coupon
from tests.portal.stage import NOW, sell

PAGE = reverse("portal:links")
pytestmark = pytest.mark.usefixtures("tracking_host")


@pytest.fixture
def tracking_host():
    with override_settings(TRACKING_URL="https://go.example"):
        yield


def build(stage, blog, **values):
    enrollment = stage.enrollments.blog
    return blog.post(PAGE, {"campaign": enrollment.pk, **values}, follow=True)


def test_an_unnamed_link_is_composed_and_nothing_is_written(stage, blog):
    before = TrackingLink.objects.count()
    answer = build(stage, blog, url="https://shop.acme.example/boots?size=41", sub1="summer sale")
    code = stage.enrollments.blog.links.get().code
    assert answer.context["created"]["address"] == (
        f"https://go.example/c/{code}?url=https%3A%2F%2Fshop.acme.example%2Fboots%3Fsize%3D41&sub1=summer+sale"
    )
    assert TrackingLink.objects.count() == before


def test_a_named_link_is_written_once_with_its_page(stage, blog):
    answer = build(stage, blog, url="https://shop.acme.example/boots", name="Boots", sub2="x")
    link = TrackingLink.objects.get(name="Boots")
    assert (link.enrollment, link.landing_url) == (stage.enrollments.blog, "https://shop.acme.example/boots")
    assert answer.context["created"]["address"] == f"https://go.example/c/{link.code}?sub2=x"
    assert AuditEntry.objects.filter(verb="make_link").count() == 1


@pytest.mark.parametrize(
    "url", ["https://evil.example/", "https://shop.acme.example.evil.example/", "javascript:alert(1)", "//evil.example"]
)
def test_a_foreign_page_is_refused_and_nothing_changes(stage, blog, url):
    before = TrackingLink.objects.count()
    answer = build(stage, blog, url=url, name="Elsewhere")
    assert answer.status_code == 422
    assert "shop.acme.example" in answer.context["errors"]["url"]
    assert TrackingLink.objects.count() == before


def test_another_partners_ad_space_is_refused_and_nothing_changes(stage, blog):
    before = TrackingLink.objects.count()
    answer = blog.post(PAGE, {"campaign": stage.enrollments.coupons.pk, "name": "Theirs"})
    assert (answer.status_code, TrackingLink.objects.count()) == (422, before)


def test_another_partners_code_is_not_composed(stage, blog):
    code = stage.enrollments.coupons.links.get().code
    assert blog.get(PAGE, {"made": code}).context["created"] is None


def test_links_show_the_clicks_and_sales_of_the_last_30_days(stage, blog):
    [link] = blog.get(PAGE).context["links"]
    assert (link["clicks"], link["conversions"]) == (
        4,
        3,
    )  # March's; the rejected sale's click counts, the sale does not


def test_links_can_be_searched(blog):
    assert len(blog.get(PAGE, {"q": "acme shop"}).context["links"]) == 1
    assert len(blog.get(PAGE, {"q": "boots"}).context["links"]) == 0


def test_own_codes_show_their_uses_whatever_the_case(stage, blog):
    make_coupon(stage.campaign, "Save10", stage.blog)
    at = stage.sales.held.occurred_at
    sell(stage, "CODE-1", 100_00, at, "blog", coupons=["SAVE10", "save10"])
    settle_waiting(now=NOW)
    [coupon] = blog.get(PAGE).context["coupons"]
    assert (coupon["uses"], coupon["commission"], coupon["status"]) == (1, Money(800, "EUR"), "ACTIVE")


def test_the_overview_shows_the_link_with_most_clicks(stage, blog):
    code = stage.enrollments.blog.links.get().code
    assert blog.get("/").context["link"]["address"] == f"https://go.example/c/{code}"
