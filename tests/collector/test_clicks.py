"""The click: stored before the redirect, signed, and never an open redirect."""

from __future__ import annotations

import re
import time
from datetime import timedelta
from uuid import UUID

import psycopg
import pytest

from apps.campaigns.models import Campaign, CampaignState, EnrollmentState, TrackingLink
from apps.collector import directory
from apps.core.ids import moment_of
from apps.partners.models import Partnership, PartnershipState
from apps.tracking.models import ClientData, RejectedEvent, Touchpoint
from apps.tracking.rules.clicks import read_click
from apps.tracking.selectors import click_keys
from tests.cast import NOON

SHOP = "https://shop.acme.example/"


def path_of(cast, name="blog"):
    return f"/c/{getattr(cast.enrollments, name).links.get().code}"


def click_of(reply, campaign):
    token = re.search(r"[?&]tclid=([\w-]+)", reply.headers["location"])[1]
    return read_click(token, campaign.pk, click_keys())


def test_click_is_stored_and_sent_on_with_its_id_and_a_cookie(host, cast):
    reply = host.get(path_of(cast), {"sub1": "a&b%🙂", "sub5": "x" * 501})

    touch = Touchpoint.objects.get()
    visitor = UUID(re.search(r"tributary_visitor=(\w{32});", reply.headers["set-cookie"])[1])
    assert reply.status == 302
    assert reply.headers["cache-control"] == "no-store"
    assert reply.headers["location"].startswith(f"{SHOP}?tclid=")
    assert reply.headers["set-cookie"].endswith("; Max-Age=31536000; Path=/; HttpOnly; SameSite=Lax")
    assert click_of(reply, cast.campaign) == touch.id
    assert (touch.visitor, touch.kind, touch.channel, touch.channel_class) == (visitor, "CLICK", "content", "PAID")
    assert (touch.advertiser_id, touch.campaign_id) == (cast.advertiser.pk, cast.campaign.pk)
    assert (touch.partner_id, touch.ad_space_id) == (cast.partners.blog.pk, cast.enrollments.blog.ad_space_id)
    assert touch.link_id == cast.enrollments.blog.links.get().pk
    assert (touch.refusal, touch.device, touch.country) == ("", "desktop", "")
    assert (touch.sub1, touch.sub5) == ("a&b%🙂", "x" * 500)
    assert (touch.occurred_at, touch.recorded_at, moment_of(touch.id)) == (NOON, NOON, NOON)


def test_what_the_browser_sent_is_kept_apart_from_the_click(host, cast):
    host.get(path_of(cast), headers={"referer": "https://blog.example/post"}, source="203.0.113.9")
    kept = ClientData.objects.get()
    assert kept.pk == Touchpoint.objects.get().pk
    assert kept.user_agent.startswith("Mozilla/5.0")
    assert (kept.address, kept.referrer, kept.payload) == ("203.0.113.0/24", "https://blog.example/post", None)


def test_cookie_is_secure_under_https(host, cast, settings):
    settings.HTTPS = True

    assert host.get(path_of(cast)).headers["set-cookie"].endswith("; SameSite=Lax; Secure")


def test_visitor_who_comes_again_is_the_same_visitor(host, cast):
    cookie = host.get(path_of(cast)).headers["set-cookie"].partition(";")[0]
    host.get(path_of(cast, "coupons"), headers={"cookie": f"other=1; {cookie}"})
    host.get(path_of(cast), headers={"cookie": "tributary_visitor=nonsense"})

    visitors = list(Touchpoint.objects.order_by("recorded_at", "id").values_list("visitor", flat=True))
    assert len(visitors) == 3
    assert len(set(visitors)) == 2


def test_deep_link_keeps_its_query_and_fragment(host, cast):
    reply = host.get(path_of(cast), {"url": f"{SHOP}p?q=1&r=%20#top"})

    assert re.fullmatch(r"https://shop\.acme\.example/p\?q=1&r=%20&tclid=[\w-]{32}#top", reply.headers["location"])


@pytest.mark.parametrize(
    "address",
    ["https://evil.example/", "https://evil.example\\@shop.acme.example/", "//evil.example", "javascript:alert(1)"],
)
def test_refused_deep_link_leads_to_the_landing_page_and_is_reported(host, cast, address):
    reply = host.get(path_of(cast), {"url": address})

    event = RejectedEvent.objects.get()
    assert reply.headers["location"].startswith(f"{SHOP}?tclid=")
    assert (event.code, event.advertiser, event.campaign) == ("deeplink_refused", cast.advertiser, cast.campaign)
    assert event.payload["url"] == address
    assert Touchpoint.objects.get().refusal == ""


def test_soft_click_is_marked(host, cast):
    host.get(path_of(cast), {"soft": "1"})

    assert Touchpoint.objects.get().kind == "SOFT_CLICK"


@pytest.mark.parametrize(
    ("headers", "refusal"),
    [
        ({"user-agent": "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"}, "bot"),
        ({"sec-purpose": "prefetch"}, "prefetch"),
        ({"sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"}, "not_navigation"),
    ],
)
def test_what_is_no_visit_is_stored_with_its_reason_and_gets_no_click_id(host, cast, headers, refusal):
    reply = host.get(path_of(cast), headers=headers)

    assert (reply.status, reply.headers["location"]) == (302, SHOP)
    assert "set-cookie" not in reply.headers
    assert Touchpoint.objects.get().refusal == refusal


def test_head_is_only_counted(host, cast):
    reply = host.head(path_of(cast))

    assert (reply.status, reply.headers["location"], reply.body) == (302, SHOP, b"")
    assert Touchpoint.objects.get().refusal == "head"


def end_link(cast):
    TrackingLink.objects.update(is_active=False)


def pause_enrollment(cast):
    cast.enrollments.blog.state = EnrollmentState.PAUSED
    cast.enrollments.blog.save()


def block_partner(cast):
    Partnership.objects.update(state=PartnershipState.BLOCKED)


def end_campaign(cast):
    cast.campaign.ends_at = NOON
    cast.campaign.save()


def unpublish_campaign(cast):
    cast.campaign.state = CampaignState.DRAFT
    cast.campaign.save()


@pytest.mark.parametrize(
    ("end", "refusal"),
    [
        (end_link, "link_ended"),
        (pause_enrollment, "not_enrolled"),
        (block_partner, "blocked"),
        (end_campaign, "campaign_over"),
        (unpublish_campaign, "campaign_over"),
    ],
)
def test_link_that_is_over_answers_with_a_page_and_keeps_the_touch(host, cast, end, refusal):
    end(cast)

    reply = host.get(path_of(cast))

    assert reply.status == 410
    assert b"<h1>This offer is over</h1>" in reply.body
    assert "location" not in reply.headers and "set-cookie" not in reply.headers
    assert Touchpoint.objects.get().refusal == refusal


def test_click_on_a_paused_campaign_goes_on_without_an_id_and_never_counts(host, cast):
    Campaign.objects.update(state=CampaignState.PAUSED)

    reply = host.get(path_of(cast))

    assert (reply.status, reply.headers["location"]) == (302, SHOP)
    assert "set-cookie" not in reply.headers
    assert Touchpoint.objects.get().refusal == "campaign_paused"


def test_change_in_the_console_is_seen_within_seconds(host, cast, monkeypatch):
    monkeypatch.setattr(directory, "FRESH", 0.05)
    assert host.get(path_of(cast)).status == 302

    end_link(cast)
    time.sleep(0.06)

    assert host.get(path_of(cast)).status == 410


@pytest.mark.parametrize("path", ["/c/nobody", "/c/", "/c/" + "x" * 41, "/c/ä", "/c/a\x00b"])
def test_unknown_link_is_not_found_and_reported(host, cast, path):
    reply = host.get(path)

    assert reply.status == 404
    assert RejectedEvent.objects.get().code == "unknown_link"
    assert not Touchpoint.objects.exists()


def test_flood_of_unknown_links_is_kept_up_to_a_number_per_source(host, cast):
    for number in range(30):
        host.get(f"/c/nobody{number}")
    host.get("/c/nobody", source="192.0.2.2")

    assert RejectedEvent.objects.count() == 21


def test_touches_lie_in_the_order_of_their_ids(host, cast):
    for minute in range(3):
        host.now = NOON + timedelta(minutes=minute)
        host.get(path_of(cast))

    moments = list(Touchpoint.objects.order_by("id").values_list("occurred_at", flat=True))
    assert moments == [NOON + timedelta(minutes=minute) for minute in range(3)]


def test_click_goes_on_without_an_id_where_it_cannot_be_stored(host, cast, caplog, monkeypatch):
    host.get(path_of(cast))

    async def fail(touch, client, began):
        raise psycopg.OperationalError("the server closed the connection")

    monkeypatch.setattr(host.app.writer, "_execute", fail)
    reply = host.get(path_of(cast))

    assert (reply.status, reply.headers["location"]) == (302, SHOP)
    assert "set-cookie" not in reply.headers
    assert host.app.clicks.lost == 1
    assert "is not stored" in caplog.text
    assert Touchpoint.objects.count() == 1


def test_database_that_hangs_delays_no_click_for_long(host, cast, monkeypatch):
    host.get(path_of(cast))
    monkeypatch.setattr(directory, "FRESH", 0)
    monkeypatch.setattr(directory, "PATIENCE", 0.05)
    monkeypatch.setattr(directory, "link_target", lambda code: time.sleep(0.3))

    assert host.get(path_of(cast)).status == 302
    assert host.get(path_of(cast, "coupons")).status == 503


def test_connection_that_died_is_replaced_and_the_click_stored(host, cast):
    host.get(path_of(cast))
    with psycopg.connect(host.app.writer._pool.conninfo, autocommit=True) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name = 'tributary collector' AND datname = current_database() "
            "AND pid <> pg_backend_pid()"
        )

    replies = [host.get(path_of(cast)) for _ in range(3)]

    assert all("tclid=" in reply.headers["location"] for reply in replies)
    assert Touchpoint.objects.count() == 4


def test_only_its_own_addresses_are_answered(host, cast):
    for path in ["/", "/admin/", "/api/v1/conversions/", "/c/a/b", "/x"]:
        reply = host.get(path)
        assert (reply.status, reply.headers["content-type"]) == (404, "text/plain; charset=utf-8")
    assert host.post(path_of(cast)).status == 405


def test_health_asks_the_database(host, cast, monkeypatch):
    assert host.get("/health").json == {"ok": True, "database": "ok"}

    async def away():
        return False

    monkeypatch.setattr(host.app.writer, "answers", away)
    reply = host.get("/health")
    assert (reply.status, reply.json) == (503, {"ok": False, "database": "away"})
