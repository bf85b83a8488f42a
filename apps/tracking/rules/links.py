"""What a tracking link leads to, and whether a click on it can count."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

SUBS = ("sub1", "sub2", "sub3", "sub4", "sub5")
SUB_LENGTH = 500
PAUSED = "campaign_paused"


@dataclass(frozen=True, slots=True)
class LinkTarget:
    """A link with all that a click needs to know; `landing` has been parsed and allowed."""

    link_id: int
    advertiser_id: int
    campaign_id: int
    partner_id: int
    ad_space_id: int
    channel: str
    landing: str
    home: str
    hosts: tuple[str, ...]
    subs: tuple[str, ...]
    is_active: bool
    is_enrolled: bool
    is_partner: bool
    is_published: bool
    is_paused: bool
    starts_at: datetime
    ends_at: datetime | None

    def refusal_at(self, moment: datetime) -> str:
        """Return why a click at a moment cannot count, or an empty text where it can."""
        if not self.is_active:
            return "link_ended"
        if not self.is_partner:
            return "blocked"
        if not self.is_enrolled:
            return "not_enrolled"
        if not self.is_published or moment < self.starts_at or (self.ends_at is not None and moment >= self.ends_at):
            return "campaign_over"
        return PAUSED if self.is_paused else ""


def channel_of(partner_kind: str) -> str:
    """Return the channel of a partner's touches: `content`, `comparison`, `coupon`, `cashback`, `creator`, `other`."""
    return partner_kind.lower()


def subs_of(fields: Mapping[str, str], defaults: tuple[str, ...]) -> tuple[str, ...]:
    """Return sub1 to sub5: the call's own, else the link's; at most 500 characters each, without NUL."""
    fallback = dict(zip(SUBS, defaults, strict=False))
    return tuple((fields.get(name) or fallback.get(name, "")).replace("\x00", "")[:SUB_LENGTH] for name in SUBS)
