"""What is known of a conversion and of the touches before it."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

Party = Hashable
"""A partner's id (whatever the caller uses), or `channel:<name>` for an own channel that takes part."""

KINDS = frozenset("CLICK SOFT_CLICK VIEW COUPON VISIT CALL STORE EXTERNAL MANUAL GOAL".split())
CHANNEL_CLASSES = ("PAID", "OWNED", "EARNED")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NOTHING: frozenset[Any] = frozenset()


class Touch(NamedTuple):
    """One touchpoint, or (kind `GOAL`) a side goal that may freeze the journey.

    `id` is unique in its journey and orderable; `at` is aware. A touch without `partner` is unpaid.
    `refusal` is an eligibility reason found by the caller (`not_enrolled`, `blocked`, `bot`, `other_campaign`, …).
    """

    id: Any
    kind: str
    at: datetime
    channel: str = "unknown"
    channel_class: str = "PAID"
    device: str | None = None
    partner: Hashable | None = None
    partner_group: Hashable | None = None
    ad_space: Hashable | None = None
    ad_space_category: str | None = None
    goal: str | None = None
    refusal: str | None = None
    partner_tags: frozenset[str] = NOTHING


@dataclass(frozen=True, slots=True)
class Sale:
    """The conversion as attribution sees it: its moment (aware) and the codes sent with it, in their order."""

    occurred_at: datetime
    coupons: tuple[str, ...] = ()


def party(touch: Touch) -> Party:
    """Return who stands behind a touch: its partner, or its own channel as `channel:<name>`."""
    return touch.partner if touch.partner is not None else f"channel:{touch.channel}"


def whole_second(at: datetime) -> int:
    """Return the UTC second a moment falls in, counted from 1970; ages are differences of these."""
    since = at - EPOCH
    return since.days * 86400 + since.seconds
