"""A row of touches.csv, told as a touchpoint."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple
from uuid import UUID, uuid5

from apps.core.ids import uuid7_from
from apps.imports.rules import cells
from apps.imports.rules.cells import RowRefused
from apps.imports.rules.tables import Columns

TOUCHES = Columns(
    must=("touch_id", "visitor_id", "occurred_at", "kind", "channel", "partner", "ad_space"),
    may=("channel_class", "goal", "country", "device"),
)
LONGEST_ID = 200
VISITORS = UUID("6f0a8b3e-0d51-5c0e-9f43-5b5c3f1f7a11")  # the name space of imported visitors


class AdSpaceIds(NamedTuple):
    partner_id: int | None
    ad_space_id: int | None


class TouchFact(NamedTuple):
    """A touchpoint as it is stored; the fields are columns of the table."""

    id: UUID
    partner_id: int | None
    ad_space_id: int | None
    visitor: UUID
    occurred_at: datetime
    kind: str
    channel: str
    channel_class: str
    goal: str
    country: str
    device: str


NOBODY = AdSpaceIds(None, None)


@lru_cache(maxsize=65_536)
def visitor_of(advertiser_id: int, visitor_id: str) -> UUID:
    """Return the one id by which an advertiser's visitor is known here."""
    return uuid5(VISITORS, f"{advertiser_id}\x1f{visitor_id}")


class TouchReader:
    """Reads rows of one file; remembers what repeats, so that a row costs microseconds.

    `ad_spaces` maps short names of partner and ad space to their ids, `suspects` are touch ids that may stand
    in the file more than once. A touch's id is made of its moment and its own id: the same row, the same id.
    """

    def __init__(
        self,
        *,
        advertiser_id: int,
        ad_spaces: Mapping[tuple[str, str], AdSpaceIds],
        kinds: Collection[str],
        classes: Collection[str],
        suspects: Collection[str],
        now: datetime,
    ) -> None:
        self.advertiser_id, self.advertiser_name = advertiser_id, str(advertiser_id)
        self.ad_spaces = {**ad_spaces, ("", ""): NOBODY}
        self.partners = {partner for partner, _ in ad_spaces}
        self.kinds = frozenset(kinds) - {"MANUAL"}
        self.classes = frozenset(classes)
        self.suspects, self.moments = suspects, dict[str, datetime]()
        self.now = now
        self.channels = set[str]()

    def read(self, row: tuple[str, ...]) -> TouchFact:
        """Return what a row says. Raises RowRefused with the codes named here and in `cells`."""
        touch_id, visitor_id, occurred_at, kind, channel, partner, ad_space, channel_class, goal, country, device = row
        cells.required(touch_id, "touch_id", LONGEST_ID)
        cells.required(visitor_id, "visitor_id", LONGEST_ID)
        at = cells.moment(occurred_at, "occurred_at", self.now)
        if kind not in self.kinds:
            cells.choice(kind, "kind", self.kinds, "invalid_kind")
        if channel not in self.channels:
            self.channels.add(cells.required(channel, "channel", 60))
        place = self.ad_spaces.get((partner, ad_space)) or self.unknown(partner, ad_space)
        if channel_class:
            cells.choice(channel_class, "channel_class", self.classes, "invalid_channel_class")
        if goal or country or device:
            cells.plain(goal, "goal", 40)
            cells.country(country, "country")
            cells.plain(device, "device", 10)
        if touch_id in self.suspects and self.moments.setdefault(touch_id, at) != at:
            raise RowRefused(
                "The file names this touch_id with another moment before.", code="touch_conflict", path="touch_id"
            )
        return TouchFact(
            uuid7_from(at, self.advertiser_name, "history", touch_id),
            place.partner_id,
            place.ad_space_id,
            visitor_of(self.advertiser_id, visitor_id),
            at,
            kind,
            channel,
            channel_class or "PAID",
            goal,
            country,
            device,
        )

    def unknown(self, partner: str, ad_space: str) -> AdSpaceIds:
        """Say which short name nobody knows. Raises RowRefused: unknown_partner, unknown_ad_space."""
        if partner in self.partners:
            raise RowRefused(
                "The partner has no such ad space in this campaign.", code="unknown_ad_space", path="ad_space"
            )
        raise RowRefused("No such partner takes part in this campaign.", code="unknown_partner", path="partner")
