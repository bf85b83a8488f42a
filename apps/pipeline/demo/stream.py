"""The stream of the demo: journeys of visitors, some of whom buy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import Random
from uuid import UUID

from apps.campaigns.models import Enrollment
from apps.core.copying import copy_rows
from apps.core.ids import uuid7
from apps.pipeline.demo.cast import OWN_CHANNELS, PLAYERS, PRODUCTS
from apps.pipeline.demo.stage import Stage
from apps.tracking.rules.basket import LineFact
from apps.tracking.rules.conversions import ConversionFact
from apps.tracking.rules.links import channel_of
from apps.tracking.services import record_conversion

JOURNEYS_A_DAY = 36
CONVERSION_RATE = 0.14
TOUCH_COLUMNS = (
    "id", "advertiser_id", "campaign_id", "partner_id", "ad_space_id", "link_id", "visitor", "occurred_at",
    "recorded_at", "kind", "channel", "channel_class", "refusal", "device", "country",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Journey:
    """A visitor's touches (moment, enrollment or own channel), and the sale at their end, if there is one.

    `door` is how the shop tells of it.
    """

    visitor: UUID
    touches: tuple[tuple[datetime, Enrollment | tuple[str, str]], ...]
    device: str
    sale: ConversionFact | None
    door: str = "s2s"


def journeys_of_day(stage: Stage, day: datetime, draw: Random, number: int) -> Iterator[Journey]:
    """Yield a day's journeys, each ending that day; week-ends are busier, and business grows."""
    busy = 1.35 if day.weekday() >= 5 else 1.0
    for place in range(round(JOURNEYS_A_DAY * busy * draw.uniform(0.8, 1.2))):
        end = day + timedelta(seconds=draw.randrange(6 * 3600, 86_400))
        yield _journey(stage, end, draw, f"AO-{day:%y%m%d}-{number + place:03d}")


def _journey(stage: Stage, end: datetime, draw: Random, order_ref: str) -> Journey:
    length = draw.choices((1, 2, 3, 4, 5), (42, 28, 16, 9, 5))[0]
    touches: list[tuple[datetime, Enrollment | tuple[str, str]]] = []
    at = end
    for step in range(length):
        at -= timedelta(minutes=draw.randrange(4, 50)) if not step else timedelta(hours=draw.expovariate(1 / 40))
        if length > 1 and draw.random() < 0.15:
            touches.append((at, draw.choice(OWN_CHANNELS)))
        else:
            weights = [
                p.closes if step == 0 else p.starts if step == length - 1 else p.starts + p.closes for p in PLAYERS
            ]
            touches.append((at, stage.enrollments[draw.choices(PLAYERS, weights)[0].slug]))
    sale = _sale(end, draw, order_ref) if draw.random() < CONVERSION_RATE * (1 + 0.3 * length) else None
    return Journey(UUID(int=draw.getrandbits(128)), tuple(reversed(touches)), draw.choice(("mobile", "desktop")), sale)


def _sale(end: datetime, draw: Random, order_ref: str) -> ConversionFact:
    items = draw.sample(PRODUCTS, draw.choices((1, 2, 3), (6, 3, 1))[0])
    lines = tuple(
        LineFact(price, draw.choice((1, 1, 1, 2)), sku, name, category) for sku, name, category, price in items
    )
    gross = sum(line.unit_price_minor * line.quantity for line in lines)
    with_code = draw.random() < 0.18
    discount = gross // 10 if with_code else 0
    return ConversionFact(
        goal="SALE",
        order_ref=order_ref,
        amount_minor=gross - discount,
        currency="EUR",
        discount_minor=discount,
        occurred_at=end,
        coupons=("FUCHS10",) if with_code else (),
        lines=lines,
        new_customer=draw.random() < 0.4,
        country=draw.choices(("DE", "FR", "CH"), (7, 2, 1))[0],
    )


def record_journeys(stage: Stage, journeys: list[Journey]) -> int:
    """Write the touches, then the sales with the click ids the shop would send; return the number of sales."""
    rows, sales = [], []
    for journey in journeys:
        last: UUID | None = None
        for at, source in journey.touches:
            id_ = uuid7(at)
            head, tail = (id_, stage.advertiser.pk), (journey.visitor, at, at)
            if isinstance(source, Enrollment):
                where = (stage.campaign.pk, source.partner_id, source.ad_space_id, _link(stage, source, id_))
                what = ("CLICK", channel_of(source.partner.kind), "PAID")
                last = id_
            else:
                where, what = (None, None, None, None), ("VISIT", *source)
            rows.append((*head, *where, *tail, *what, "", journey.device, "DE"))
        if journey.sale is not None and last is not None:
            sales.append((journey.sale, last, journey.door))
    copy_rows("tracking_touchpoint", TOUCH_COLUMNS, rows)
    for fact, click_id, door in sales:
        assert fact.occurred_at is not None
        named = replace(fact, click_ids=(click_id,))
        record_conversion(campaign=stage.campaign, fact=named, now=fact.occurred_at, source=door)
    return len(sales)


def _link(stage: Stage, enrollment: Enrollment, touch_id: UUID) -> int:
    """Return the link a click came through: mostly the first of the ad space's."""
    links = stage.links[enrollment.pk]
    return links[0] if touch_id.int % 3 else links[-1]
