"""Play the demo's history through the real services, then keep it alive."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from random import Random

from django.db import connection, transaction

from apps.campaigns.models import Campaign, Enrollment
from apps.commissions.models import Decision, DecisionState, Reason
from apps.core.actors import Actor, ActorKind
from apps.core.periods import add_months, day_of, start_of
from apps.identity.models import Advertiser, User
from apps.pipeline.demo.cast import PASSWORD, PLAYERS
from apps.pipeline.demo.stage import SLUG, TEAM, Stage, links_of, set_stage
from apps.pipeline.demo.stream import Journey, journeys_of_day, record_journeys
from apps.pipeline.services.closing import close_month, issue_invoices, render_missing
from apps.pipeline.services.deciding import approve_conversions, approve_matured, hold_conversions, reject_conversions
from apps.pipeline.services.settling import settle_waiting
from apps.tracking.partitions import make_partitions

MONTHS = 4
SEED = 20260401
REASONS = (Reason.RETURNED, Reason.CANCELLED, Reason.PAYMENT_FAILED, Reason.CODE_MISUSE)
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Login:
    what: str
    email: str
    password: str


def logins() -> list[Login]:
    """Return who can sign in to the demo."""
    team = [Login(f"Aurora Outdoor, {role.label}", email, PASSWORD) for email, _, role in TEAM]
    return team + [Login(f"{player.name}, partner", player.email, PASSWORD) for player in PLAYERS[:3]]


@transaction.atomic
def play_demo(*, now: datetime, say: Say = lambda _text: None) -> bool:
    """Build the demo in one transaction, all or nothing; return whether there was anything to do."""
    if Advertiser.objects.filter(slug=SLUG).exists():
        return False
    zone = Advertiser(timezone="Europe/Berlin").zone
    first = add_months(day_of(now, zone).replace(day=1), -MONTHS)
    starts_at = start_of(first, zone)
    make_partitions(first_on=first - timedelta(days=40), last_on=add_months(day_of(now, zone), 3))
    say("people, campaign and partners")
    stage = set_stage(starts_at=starts_at, now=now)
    say("journeys and sales")
    _play_days(stage, first, day_of(now, zone), now)
    settled = settle_waiting(now=now).settled
    say(f"{settled} conversions settled")
    for month in range(MONTHS):
        _decide_month(stage, add_months(first, month))
        if month < MONTHS - 1:  # the last one is left to whoever plays finance
            _close_month(stage, add_months(first, month), say)
    approve_matured(advertiser=stage.advertiser, now=now)
    _hold_some(stage, now)
    return True


def _play_days(stage: Stage, first: date, last: date, now: datetime) -> None:
    draw = Random(SEED)
    journeys: list[Journey] = []
    for offset in range((last - first).days + 1):
        day = start_of(first + timedelta(days=offset), stage.advertiser.zone)
        found = [j for j in journeys_of_day(stage, day, draw, 0) if j.sale is None or j.sale.occurred_at < now]
        journeys += [j for j in found if j.touches[-1][0] < now]
    record_journeys(stage, journeys)
    with connection.cursor() as cursor:  # so many rows in one transaction: the planner should know of them
        cursor.execute("ANALYZE tracking_touchpoint, tracking_conversion, tracking_conversionline, tracking_unsettled")


def _after(stage: Stage, month: date) -> datetime:
    """Return the morning after a month's end."""
    return start_of(add_months(month, 1), stage.advertiser.zone) + timedelta(hours=8)


def _manager() -> Actor:
    olga = User.objects.get(email=TEAM[0][0])
    return Actor(ActorKind.USER, str(olga.pk), olga.name)


def _decide_month(stage: Stage, month: date) -> None:
    """Live through a month's end: the shop cancels some orders, some are approved by hand, others mature."""
    advertiser, now, actor = stage.advertiser, _after(stage, month), _manager()
    pending = Decision.objects.for_advertiser(advertiser).filter(
        state=DecisionState.PENDING, conversion__occurred_at__lt=now
    )
    ids = list(pending.order_by("conversion_id").values_list("conversion_id", flat=True))
    rejected = set()
    for place, reason in enumerate(REASONS):
        chosen = ids[place * 7 :: 59]
        rejected |= set(chosen)
        if chosen:
            reject_conversions(advertiser=advertiser, conversion_ids=chosen, reason=reason, actor=actor, now=now)
    early = [id_ for id_ in ids[1::5] if id_ not in rejected]
    approve_conversions(advertiser=advertiser, conversion_ids=early, actor=actor, now=now)
    approve_matured(advertiser=advertiser, now=now)


def _close_month(stage: Stage, month: date, say: Say) -> None:
    advertiser, now, actor = stage.advertiser, _after(stage, month), _manager()
    close_month(advertiser=advertiser, month=month, actor=actor, now=now, tells=False)
    result = issue_invoices(advertiser=advertiser, actor=actor, now=now, tells=False)
    render_missing(advertiser=advertiser, now=now)
    say(f"{month:%B %Y} closed, {len(result.issued)} invoices")


def _hold_some(stage: Stage, now: datetime) -> None:
    pending = Decision.objects.for_advertiser(stage.advertiser).filter(state=DecisionState.PENDING)
    ids = list(pending.order_by("-conversion_id").values_list("conversion_id", flat=True)[3:40:9])
    note = "Sale seconds after the click"
    hold_conversions(advertiser=stage.advertiser, conversion_ids=ids, actor=_manager(), now=now, note=note)


@transaction.atomic
def beat_once(*, now: datetime) -> int:
    """Let a few visitors come by, as a running shop would have them; return the number of sales."""
    advertiser = Advertiser.objects.filter(slug=SLUG).first()
    if advertiser is None:
        return 0
    campaign = Campaign.objects.get(slug="aurora-shop")
    enrollments = Enrollment.objects.filter(campaign=campaign).select_related("partner")
    stage = Stage(advertiser, campaign, {row.partner.slug: row for row in enrollments}, links_of(campaign))
    draw = Random(int(now.timestamp()))
    today = start_of(day_of(now, advertiser.zone), advertiser.zone)
    journeys = [j for j in journeys_of_day(stage, today, draw, draw.randrange(100, 10**6)) if j.touches[-1][0] < now]
    return record_journeys(stage, [j for j in journeys[:2] if j.sale is None or j.sale.occurred_at < now])
