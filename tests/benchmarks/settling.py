"""`settle`: conversions a second and core, in batches, against one at a time."""

from collections.abc import Iterator
from datetime import timedelta
from itertools import islice
from uuid import UUID

from django.db import transaction

from apps.campaigns.models import Campaign
from apps.core.ids import uuid7
from apps.imports.rules.tables import Batch
from apps.imports.rules.touches import TouchFact, visitor_of
from apps.imports.services.touches import store_touches
from apps.pipeline.services.settling import BATCH, settle_conversions
from apps.tracking.models import Conversion, ConversionLine
from apps.tracking.partitions import make_partitions
from tests.benchmarks.framework import Report, alternate, analyze, benchmark, middle, throwaway_campaign
from tests.cast import NOON, join, make_partner, make_plan, make_policy

TOUCHES, LINES = 4, 2
RULES = [
    *({"name": f"category {n}", "when": {"category": [f"C{n}"]}, "pay": {"percent": f"{n}.5"}} for n in range(1, 9)),
    {"name": "large orders", "when": {"amount_from": "100000"}, "pay": {"percent": "12"}},
    {"name": "rest", "when": {}, "pay": {"percent": "8"}},
]


def make_ground(model: str = "POSITION") -> tuple[Campaign, list]:
    """Return a campaign with ten rules, of which the lines match the seventh and the last."""
    campaign = throwaway_campaign()
    make_policy(campaign, model=model)
    make_plan(campaign, rules=RULES)
    slugs = [f"{campaign.slug}-{place}" for place in range(TOUCHES)]
    return campaign, [join(make_partner(slug), campaign) for slug in slugs]


def make_conversions(campaign: Campaign, enrollments: list, count: int) -> list[UUID]:
    """Write conversions with four touches and two lines each; return their ids."""
    conversions, lines, touches = [], [], []
    for number in range(count):
        visitor = visitor_of(campaign.advertiser_id, f"{campaign.pk}-{len(conversions)}-{uuid7(NOON)}")
        at = NOON - timedelta(seconds=number)
        prices = (3_000 + number * 7 % 4_001, 5_000 + number * 11 % 4_999)
        conversions.append(new_conversion(campaign, visitor, at, sum(prices)))
        lines += new_lines(conversions[-1], prices)
        touches += new_touches(enrollments, visitor, at)
    with transaction.atomic():
        store_touches(Batch([], touches, []), campaign=campaign, now=NOON)
        Conversion.objects.bulk_create(conversions, batch_size=2_000)
        ConversionLine.objects.bulk_create(lines, batch_size=2_000)
    analyze("tracking_touchpoint", "tracking_conversion", "tracking_conversionline", "tracking_unsettled")
    return [conversion.pk for conversion in conversions]


def new_conversion(campaign, visitor, at, amount_minor: int) -> Conversion:
    id_ = uuid7(at)
    return Conversion(
        id=id_,
        advertiser_id=campaign.advertiser_id,
        campaign=campaign,
        order_ref=id_.hex,
        occurred_at=at,
        recorded_at=at,
        amount_minor=amount_minor,
        currency="EUR",
        visitor=visitor,
        country="DE",
        device="mobile",
        content_hash=id_.hex,
    )


def new_lines(conversion: Conversion, prices: tuple[int, int]) -> Iterator[ConversionLine]:
    for position, (category, price) in enumerate(zip(("C7", "OTHER"), prices, strict=True), 1):
        yield ConversionLine(
            advertiser_id=conversion.advertiser_id,
            conversion=conversion,
            position=position,
            category=category,
            unit_price_minor=price,
        )


def new_touches(enrollments, visitor, at) -> Iterator[TouchFact]:
    for place, enrollment in enumerate(enrollments):
        moment = at - timedelta(days=5 * (len(enrollments) - place))
        where = (enrollment.partner_id, enrollment.ad_space_id)
        yield TouchFact(uuid7(moment), *where, visitor, moment, "CLICK", f"channel{place}", "PAID", "", "DE", "mobile")


@benchmark("settle")
def measure_settle(quick: bool) -> Report:
    """Four partners win each conversion by position, or one by last click; every order has amounts of its own."""
    size, rounds, single = (BATCH, 3, 20) if quick else (5 * BATCH, 5, 50)
    make_partitions(first_on=(NOON - timedelta(days=30)).date(), last_on=NOON.date())
    four = iter(make_conversions(*make_ground("POSITION"), (size + single) * rounds))
    one = iter(make_conversions(*make_ground("LAST_CLICK"), size * rounds))

    def settle(ids: Iterator[UUID], count: int) -> None:
        assert settle_conversions(conversion_ids=list(islice(ids, count)), now=NOON).settled == count

    def settle_singly() -> None:
        for _ in range(single):
            settle(four, 1)

    actions = {
        "four winners": lambda: settle(four, size),
        "one winner": lambda: settle(one, size),
        "four winners, one at a time": settle_singly,
    }
    found = alternate(actions, rounds)
    counts = dict(zip(actions, (size, size, single), strict=True))
    speed = {name: counts[name] / middle(times, "cpu_seconds") for name, times in found.items()}
    clock = {name: counts[name] / middle(times, "seconds") for name, times in found.items()}
    slowest = speed["four winners, one at a time"]
    return Report(
        figures={
            "conversions_per_s_per_core": round(speed["four winners"]),
            "one_winner": round(speed["one winner"]),
            "vs_one_at_a_time": round(speed["four winners"] / slowest, 1),
        },
        scale={
            "conversions": (2 * size + single) * rounds,
            "touches": TOUCHES,
            "lines": LINES,
            "rules": len(RULES),
            "batch": BATCH,
        },
        columns=("settling", "conversions/s/core", "conversions/s", "ratio"),
        rows=[(name, f"{speed[name]:,.0f}", f"{clock[name]:,.0f}", f"{speed[name] / slowest:.1f} ×") for name in found],
    )
