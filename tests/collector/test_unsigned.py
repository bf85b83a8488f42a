"""What is told without a signature says so, and waits on hold where the campaign wants that."""

from __future__ import annotations

import pytest

from apps.commissions.holding import set_hold_rules
from apps.commissions.models import Decision
from apps.commissions.rules.holding import HoldRules
from apps.core.actors import SYSTEM
from apps.pipeline.services.settling import settle_waiting
from apps.tracking.models import Amendment, Conversion, Refund
from apps.tracking.rules.signatures import sign_call
from tests.cast import NOON, START

SHOP = "/s/acme-shop"
SALE = {"order_ref": "A-1", "amount": "10.00"}


def signed(cast, fields=None):
    call = {**(fields or SALE), "ts": str(int(NOON.timestamp()))}
    return {**call, "sig": sign_call([*call.items()], cast.campaign.secret)}


@pytest.mark.parametrize("holds", [True, False])
@pytest.mark.parametrize("is_signed", [True, False])
def test_an_unsigned_sale_waits_where_the_campaign_holds_those(host, cast, holds, is_signed):
    rules = HoldRules(untrusted_door=holds)
    set_hold_rules(advertiser=cast.advertiser, campaign=cast.campaign, rules=rules, actor=SYSTEM, now=START)
    call = signed(cast) if is_signed else SALE

    told = host.post(SHOP, call)
    settle_waiting(now=NOON)

    waits = holds and not is_signed
    assert told.status == 201 and told.json.get("hints") == (["unsigned"] if waits else None)
    assert Conversion.objects.get().source == ("s2s" if is_signed else "unsigned")
    decision = Decision.objects.get()
    assert (decision.state, decision.reason) == (("ON_HOLD", "untrusted_door") if waits else ("PENDING", ""))
    again = host.post(SHOP, call)
    assert (again.status, again.json["status"]) == (200, "ON_HOLD" if waits else "PENDING")
    assert again.json.get("hints") == told.json.get("hints")


def test_a_signature_is_no_part_of_what_was_told(host, cast):
    assert host.post(SHOP, SALE).status == 201
    assert host.post(SHOP, signed(cast)).status == 200
    assert Conversion.objects.get().source == "unsigned"


@pytest.mark.parametrize("change", [{"amount": "99", "update": "1"}, {"refund_ref": "R1", "whole": "1"}])
@pytest.mark.parametrize("is_signed", [True, False])
def test_what_was_told_signed_is_changed_only_signed(host, cast, is_signed, change):
    address = f"{SHOP}/refund" if "refund_ref" in change else SHOP
    call = {"order_ref": "A-1", **change}
    assert host.post(SHOP, signed(cast) if is_signed else SALE).status == 201

    plain = host.post(address, call)

    if is_signed:
        assert (plain.status, plain.json["code"]) == (422, "bad_signature")
        assert not Amendment.objects.exists() and not Refund.objects.exists()
        assert host.post(SHOP, SALE).status == 200, "to say it again changes nothing"
        plain = host.post(address, signed(cast, call))
    assert plain.status == 201 if "refund_ref" in change else plain.json["sequence"] == 1
    assert Amendment.objects.count() + Refund.objects.count() == 1
