"""Short journeys for tests of the rules: a frozen noon, touches counted back from it."""

from datetime import UTC, datetime, timedelta
from fractions import Fraction

from apps.attribution.rules import Policy, Sale, Touch, attribute

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
THIRD = Fraction(1, 3)


def touch(partner=None, *, days=0.0, hours=0.0, seconds=0.0, kind="CLICK", id=None, **facts):
    """A touch so long before noon; its id sorts as its age does unless given."""
    before = timedelta(days=days, hours=hours, seconds=seconds)
    return Touch(
        id=id or f"{99_999_999 - int(before.total_seconds()):08}", kind=kind, at=NOON - before, partner=partner, **facts
    )


def result(touches, model="LAST_CLICK", *, coupons=(), grants=None, **policy):
    return attribute(Sale(NOON, tuple(coupons)), touches, Policy(model=model, **policy), grants or {})


def shares(touches, model="LAST_CLICK", **settings):
    """Partner → share of the winners."""
    return result(touches, model, **settings).shares


def reasons(touches, model="LAST_CLICK", **settings):
    """Touch id → why it was dropped (None: kept)."""
    found = result(touches, model, **settings)
    return {t.id: reason for t, reason in zip(found.journey, found.reasons, strict=True)}
