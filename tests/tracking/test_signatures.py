"""Signed calls: the text that is signed, the window, and two secrets at once."""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime, timedelta

import pytest

from apps.tracking.rules.signatures import BadSignature, body_digest, canonical_text, check_signature, sign_call

NOON = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
STAMP = str(int(NOON.timestamp()))
CALL = [("order_ref", "A 1/ä"), ("amount", "10.00"), ("coupon", "b"), ("coupon", "a"), ("ts", STAMP)]
SECRETS = ("new", "old")


def check(pairs, *, required=True, now=NOON, secrets=SECRETS):
    check_signature(pairs, secrets=secrets, required=required, now=now)


def test_signed_text_can_be_built_by_hand():
    text = "amount=10.00&coupon=a&coupon=b&order_ref=A%201%2F%C3%A4&ts=1773144000"

    assert canonical_text([*CALL, ("sig", "x")]) == text
    assert sign_call(CALL, "new") == hmac.new(b"new", text.encode(), hashlib.sha256).hexdigest()


@pytest.mark.parametrize("secret", SECRETS)
def test_both_secrets_are_live_during_a_rotation(secret):
    check([*CALL, ("sig", sign_call(CALL, secret))])


def test_order_of_the_parameters_does_not_matter():
    check([("sig", sign_call(CALL, "new").upper()), *reversed(CALL)])


@pytest.mark.parametrize("offset", [timedelta(minutes=-5), timedelta(minutes=5)])
def test_five_minutes_either_way_are_within_the_window(offset):
    check([*CALL, ("sig", sign_call(CALL, "new"))], now=NOON + offset)


@pytest.mark.parametrize("offset", [timedelta(minutes=-5, seconds=-1), timedelta(minutes=5, seconds=1)])
def test_stale_call_is_refused(offset):
    with pytest.raises(BadSignature):
        check([*CALL, ("sig", sign_call(CALL, "new"))], now=NOON + offset)


@pytest.mark.parametrize(
    "pairs",
    [
        CALL,
        [*CALL, ("sig", "")],
        [*CALL, ("sig", sign_call(CALL, "another"))],
        [*CALL, ("sig", "ü" * 64)],
        [*CALL, ("sig", sign_call(CALL, "new")), ("sig", sign_call(CALL, "new"))],
        [*CALL, ("sig", sign_call(CALL, "new")), ("ts", STAMP)],
        [*CALL, ("sig", sign_call(CALL, "new")), ("amount", "99.00")],
        [*CALL[:-1], ("ts", "soon"), ("sig", sign_call([*CALL[:-1], ("ts", "soon")], "new"))],
        [*CALL[:-1], ("sig", sign_call(CALL[:-1], "new"))],
        [("amount", "11.00"), *CALL[2:], ("sig", sign_call(CALL, "new"))],
    ],
)
def test_call_that_is_not_exactly_what_was_signed_is_refused(pairs):
    with pytest.raises(BadSignature):
        check(pairs)


def test_unsigned_call_is_taken_where_the_campaign_does_not_ask_for_more():
    check(CALL, required=False)


def test_wrong_signature_is_refused_even_where_none_is_needed():
    with pytest.raises(BadSignature):
        check([*CALL, ("sig", "0" * 64)], required=False)


def test_empty_secret_never_signs():
    with pytest.raises(BadSignature):
        check([*CALL, ("sig", sign_call(CALL, ""))], secrets=("new", ""))


def test_json_body_is_signed_by_its_digest():
    pairs = [("ts", STAMP), body_digest(b'{"amount":"1.00"}')]
    signature = sign_call(pairs, "new")

    check([*pairs, ("sig", signature)])
    with pytest.raises(BadSignature):
        check([("ts", STAMP), body_digest(b'{"amount":"2.00"}'), ("sig", signature)])
