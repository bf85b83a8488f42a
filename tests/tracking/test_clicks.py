"""Click ids, whether a visit is one, and what a link allows."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.tracking.rules.clicks import LENGTH, derive_key, read_click, sign_click
from apps.tracking.rules.links import LinkTarget, subs_of
from apps.tracking.rules.visits import device_of, visit_refusal

NOON = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
KEY, OLD, OTHER = derive_key("now"), derive_key("before"), derive_key("another installation")
WINDOWS = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130 Safari/537.36"
PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Version/18.0 Mobile/15E148"
ANDROID_TABLET = "Mozilla/5.0 (Linux; Android 14; SM-X710) AppleWebKit/537.36 Chrome/130 Safari/537.36"
TARGET = LinkTarget(
    link_id=1,
    advertiser_id=1,
    campaign_id=1,
    partner_id=1,
    ad_space_id=1,
    channel="content",
    landing="https://shop.example/",
    home="https://shop.example/",
    hosts=(),
    subs=("own", "", ""),
    is_active=True,
    is_enrolled=True,
    is_partner=True,
    is_published=True,
    is_paused=False,
    starts_at=NOON - timedelta(days=1),
    ends_at=NOON + timedelta(days=1),
)


@given(st.uuids(), st.integers(1, 2**62))
def test_click_id_reads_back_as_the_id_it_was_made_of(id_, campaign_id):
    text = sign_click(id_, campaign_id, KEY)

    assert len(text) == LENGTH
    assert read_click(text, campaign_id, (KEY,)) == id_


def test_click_id_of_another_campaign_or_key_is_forged():
    text = sign_click(uuid4(), 7, KEY)

    assert read_click(text, 8, (KEY,)) is None
    assert read_click(text, 7, (OTHER,)) is None
    assert read_click(text, 7, ()) is None


def test_click_id_outlives_a_change_of_the_secret_while_the_old_one_is_named():
    id_ = uuid4()

    assert read_click(sign_click(id_, 7, OLD), 7, (KEY, OLD)) == id_


@given(st.integers(0, LENGTH - 1), st.sampled_from("ABab01-_"))
def test_changing_any_character_forges_a_click_id(place, character):
    text = sign_click(uuid4(), 7, KEY)
    changed = text[:place] + character + text[place + 1 :]

    assert (read_click(changed, 7, (KEY,)) is None) == (changed != text)


@given(st.text(max_size=40))
def test_no_text_at_all_breaks_the_reading(text):
    assert read_click(text, 7, (KEY,)) is None


@pytest.mark.parametrize(
    ("method", "headers", "refusal"),
    [
        ("GET", {"user-agent": WINDOWS}, ""),
        ("GET", {"user-agent": WINDOWS, "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}, ""),
        ("HEAD", {"user-agent": WINDOWS}, "head"),
        ("GET", {"user-agent": WINDOWS, "sec-purpose": "prefetch;prerender"}, "prefetch"),
        ("GET", {"user-agent": WINDOWS, "purpose": "prefetch"}, "prefetch"),
        ("GET", {"user-agent": WINDOWS, "x-purpose": "preview"}, "prefetch"),
        ("GET", {"user-agent": "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"}, "bot"),
        ("GET", {"user-agent": "facebookexternalhit/1.1"}, "bot"),
        ("GET", {"user-agent": WINDOWS, "sec-fetch-mode": "no-cors"}, "not_navigation"),
        ("GET", {"user-agent": WINDOWS, "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe"}, "not_navigation"),
        ("GET", {}, ""),
    ],
)
def test_only_a_person_following_the_link_is_a_visit(method, headers, refusal):
    assert visit_refusal(method, headers) == refusal


@pytest.mark.parametrize(
    ("agent", "device"), [(WINDOWS, "desktop"), (PHONE, "mobile"), (ANDROID_TABLET, "tablet"), ("", "")]
)
def test_device_is_told_coarsely(agent, device):
    assert device_of(agent) == device


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        ({}, ""),
        ({"ends_at": None}, ""),
        ({"is_active": False}, "link_ended"),
        ({"is_partner": False}, "blocked"),
        ({"is_enrolled": False}, "not_enrolled"),
        ({"is_published": False}, "campaign_over"),
        ({"starts_at": NOON + timedelta(seconds=1)}, "campaign_over"),
        ({"ends_at": NOON}, "campaign_over"),
        ({"is_paused": True}, "campaign_paused"),
        ({"is_paused": True, "ends_at": NOON}, "campaign_over"),
    ],
)
def test_link_says_why_its_click_cannot_count(change, refusal):
    assert replace(TARGET, **change).refusal_at(NOON) == refusal


def test_sub_ids_of_the_call_come_before_the_links_own():
    fields = {"sub2": "a&b%🙂", "sub3": "x" * 600, "sub4": "nul\x00"}

    assert subs_of(fields, ("own", "other", "")) == ("own", "a&b%🙂", "x" * 500, "nul", "")
