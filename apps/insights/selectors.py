"""The figures of dashboards: few queries, none per row.

A touch counts as a click when it is a click of a kind and nothing refused it from its first moment. Conversions are
those that happened in the period and are neither tests nor duplicates; rejected ones are counted apart and bring no
revenue and no commission. Revenue is net: orders as told last, less what refunds gave back; a partner's is its share
of the same, as commission is net of corrections. Amounts are minor units of one currency: the advertiser's, else the
one with most conversions.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.db.models import Count, Min, Q, QuerySet, Sum
from django.db.models.functions import TruncDate

from apps.attribution.models import Share
from apps.campaigns.models import Campaign
from apps.commissions.models import Commission, DecisionState
from apps.core.ids import uuid7_floor
from apps.core.periods import Period
from apps.identity.models import Advertiser
from apps.insights.revenue import Difference, differences, live, share_differences
from apps.partners.models import Partner
from apps.tracking.models import Conversion, TouchKind, Touchpoint, Unsettled

CLICK_KINDS = (TouchKind.CLICK, TouchKind.SOFT_CLICK, TouchKind.COUPON)
AWAITED = (DecisionState.PENDING, DecisionState.ON_HOLD)


@dataclass(frozen=True, slots=True)
class Figures:
    """What happened in a period. `pending*` are part of the numbers before them, `rejected` is not.

    Revenue is what is left of orders as told last after what was given back, `given_back_minor`; `since` are the orders
    it differs by from the stored one.
    """

    clicks: int
    conversions: int
    revenue_minor: int
    commission_minor: int
    pending: int
    pending_revenue_minor: int
    pending_commission_minor: int
    rejected: int
    currency: str
    other_currencies: tuple[str, ...] = ()
    given_back_minor: int = 0
    since: tuple[Difference, ...] = ()


@dataclass(frozen=True, slots=True)
class Day:
    on: date
    clicks: int
    conversions: int
    revenue_minor: int
    commission_minor: int


@dataclass(frozen=True, slots=True)
class Ranked:
    """A partner or campaign with its figures of a period."""

    id: int
    name: str
    clicks: int
    conversions: int
    revenue_minor: int
    commission_minor: int


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose figures: any of the three may be left out, not all."""

    advertiser: Advertiser | None
    partner: Partner | None
    campaign: Campaign | None
    period: Period

    def __post_init__(self) -> None:
        if not (self.advertiser or self.partner or self.campaign):
            raise ValueError("figures are somebody's")

    def touches(self) -> QuerySet[Touchpoint]:
        touches = Touchpoint.objects.filter(
            id__gte=uuid7_floor(self.period.start),
            id__lt=uuid7_floor(self.period.end),
            kind__in=CLICK_KINDS,
            refusal="",
            partner_id__isnull=False,
        )
        if self.advertiser:
            touches = touches.filter(advertiser=self.advertiser)
        if self.campaign:
            touches = touches.filter(campaign_id=self.campaign.pk)
        return touches.filter(partner_id=self.partner.pk) if self.partner else touches

    def conversions(self) -> QuerySet[Conversion]:
        conversions = Conversion.objects.filter(self._facts(""), is_test=False, duplicate=None)
        return conversions.filter(shares__partner=self.partner) if self.partner else conversions

    def shares(self) -> QuerySet[Share]:
        shares = Share.objects.filter(self._facts("conversion__"), partner__isnull=False)
        shares = shares.filter(conversion__is_test=False, conversion__duplicate=None)
        return shares.filter(partner=self.partner) if self.partner else shares

    def commissions(self) -> QuerySet[Commission]:
        commissions = Commission.objects.filter(self._facts("", moment="occurred_at"), payable=True)
        commissions = commissions.filter(conversion__is_test=False)
        return commissions.filter(partner=self.partner) if self.partner else commissions

    def differences(self) -> list[Difference]:
        """Return what revenue differs by from the stored one: of whole orders, or of the partner's shares of them."""
        if self.partner:
            return share_differences(self.shares(), [self.partner.pk])
        return differences(self.conversions())

    def _facts(self, path: str, moment: str = "occurred_at") -> Q:
        wanted = Q(**{f"{path}{moment}__gte": self.period.start, f"{path}{moment}__lt": self.period.end})
        if self.advertiser:
            wanted &= Q(**{f"{path}advertiser": self.advertiser})
        if self.campaign:
            wanted &= Q(**{f"{path}campaign": self.campaign})
        return wanted


def figures(
    *,
    advertiser: Advertiser | None = None,
    partner: Partner | None = None,
    campaign: Campaign | None = None,
    period: Period,
) -> Figures:
    """Return the figures of an advertiser, partner, campaign or where they meet; a constant number of queries."""
    scope = Scope(advertiser, partner, campaign, period)
    sold = _sold(scope)
    paid = list(
        scope.commissions().values("currency", "conversion__decision__state").annotate(total=Sum("amount_minor"))
    )
    currency = _currency(scope, sold)
    mine = [row for row in sold if row["currency"] == currency]
    counted = [row for row in mine if row["state"] != DecisionState.REJECTED]
    since = live(scope.differences(), currency)
    earned = [
        row
        for row in paid
        if row["currency"] == currency and row["conversion__decision__state"] != DecisionState.REJECTED
    ]
    return Figures(
        clicks=scope.touches().count(),
        conversions=sum(row["n"] for row in sold if row["state"] != DecisionState.REJECTED),
        revenue_minor=sum(row["revenue"] or 0 for row in counted) + sum(row.minor for row in since),
        commission_minor=sum(row["total"] for row in earned),
        pending=sum(row["n"] for row in sold if row["state"] in AWAITED),
        pending_revenue_minor=sum(row["revenue"] or 0 for row in counted if row["state"] in AWAITED)
        + sum(row.minor for row in since if row.state in AWAITED),
        pending_commission_minor=sum(row["total"] for row in earned if row["conversion__decision__state"] in AWAITED),
        rejected=sum(row["n"] for row in sold if row["state"] == DecisionState.REJECTED),
        currency=currency,
        other_currencies=tuple(sorted({row["currency"] for row in sold} - {currency})),
        given_back_minor=sum(row.given_back_minor for row in since),
        since=tuple(since),
    )


def _sold(scope: Scope) -> list[dict[str, Any]]:
    """Return count and revenue by currency and decision: whole conversions, or a partner's shares of them."""
    if scope.partner:
        rows = scope.shares().values("currency", "conversion__decision__state")
        rows = rows.annotate(n=Count("conversion"), revenue=Sum("revenue_minor"))
        state = "conversion__decision__state"
    else:
        rows = scope.conversions().values("currency", "decision__state")
        rows = rows.annotate(n=Count("id"), revenue=Sum("amount_minor"))
        state = "decision__state"
    return [{**row, "state": row[state]} for row in rows]


def _currency(scope: Scope, sold: Iterable[dict[str, Any]]) -> str:
    if scope.advertiser:
        return scope.advertiser.currency
    if scope.campaign:
        return scope.campaign.currencies[0]
    counts: dict[str, int] = defaultdict(int)
    for row in sold:
        counts[row["currency"]] += row["n"]
    return max(counts, key=lambda currency: (counts[currency], currency), default="EUR")


def trend_by_day(
    *,
    advertiser: Advertiser | None = None,
    partner: Partner | None = None,
    campaign: Campaign | None = None,
    period: Period,
    currency: str = "",
    since: Iterable[Difference] | None = None,
) -> list[Day]:
    """Return every day of the period, as its own time zone sees days, with its figures. A constant number of queries.

    Amounts are those of `currency`; left out, the advertiser's or the campaign's first. `since` is that of the figures
    of the same, where they are at hand.
    """
    scope = Scope(advertiser, partner, campaign, period)
    currency = currency or _currency(scope, [])
    zone = period.start.tzinfo
    clicks = _by_day(scope.touches(), "occurred_at", zone, n=Count("id"))
    if partner:
        rows, moment, revenue = (
            scope.shares(),
            "conversion__occurred_at",
            Sum("revenue_minor", filter=Q(currency=currency)),
        )
        rows = rows.exclude(conversion__decision__state=DecisionState.REJECTED)
    else:
        rows, moment, revenue = scope.conversions(), "occurred_at", Sum("amount_minor", filter=Q(currency=currency))
        rows = rows.exclude(decision__state=DecisionState.REJECTED)
    sold = _by_day(rows, moment, zone, n=Count("id"), revenue=revenue)
    paid = _by_day(_live_commissions(scope, currency), "occurred_at", zone, total=Sum("amount_minor"))
    changes: dict[date, int] = defaultdict(int)
    for row in live(scope.differences() if since is None else since, currency):
        changes[row.occurred_at.astimezone(zone).date()] += row.minor
    days = (period.last_on - period.first_on).days + 1
    return [
        Day(
            on=on,
            clicks=clicks.get(on, {}).get("n", 0),
            conversions=sold.get(on, {}).get("n", 0),
            revenue_minor=(sold.get(on, {}).get("revenue") or 0) + changes[on],
            commission_minor=paid.get(on, {}).get("total", 0),
        )
        for on in (period.first_on + timedelta(days=step) for step in range(days))
    ]


def _by_day(rows: QuerySet, moment: str, zone: Any, **sums: Any) -> dict[date, dict[str, Any]]:
    found = rows.annotate(on=TruncDate(moment, tzinfo=zone)).values("on").annotate(**sums).order_by()
    return {row["on"]: row for row in found}


def _live_commissions(scope: Scope, currency: str) -> QuerySet[Commission]:
    return scope.commissions().filter(currency=currency).exclude(conversion__decision__state=DecisionState.REJECTED)


def figures_by_partner(
    *, advertiser: Advertiser, period: Period, partners: Iterable[int] | None = None, campaign: Campaign | None = None
) -> dict[int, Ranked]:
    """Return the figures of every partner that has any, or of those named. A constant number of queries."""
    scope = Scope(advertiser, None, campaign, period)
    wanted = None if partners is None else list(partners)
    shares = scope.shares().exclude(conversion__decision__state=DecisionState.REJECTED)
    clicks, paid = scope.touches(), _live_commissions(scope, advertiser.currency)
    if wanted is not None:
        clicks, shares, paid = (rows.filter(partner_id__in=wanted) for rows in (clicks, shares, paid))
    revenue = Sum("revenue_minor", filter=Q(currency=advertiser.currency))
    return _ranked(
        names=lambda ids: dict(Partner.objects.filter(pk__in=ids).values_list("pk", "name")),
        clicks=_by(clicks, "partner_id", n=Count("id")),
        sold=_by(shares, "partner_id", n=Count("id"), revenue=revenue),
        paid=_by(paid, "partner_id", total=Sum("amount_minor")),
        since=[(row.partner_id, row.minor) for row in live(share_differences(shares, wanted), advertiser.currency)],
    )


def figures_by_campaign(
    *,
    advertiser: Advertiser | None = None,
    partner: Partner | None = None,
    period: Period,
    campaigns: Iterable[int] | None = None,
    currency: str = "",
    since: Iterable[Difference] | None = None,
) -> dict[int, Ranked]:
    """Return the figures of every campaign that has any, or of those named. A constant number of queries.

    `since` is that of the figures of the same, where they are at hand.
    """
    scope = Scope(advertiser, partner, None, period)
    currency = currency or _currency(scope, [])
    clicks, paid = scope.touches().filter(campaign_id__isnull=False), _live_commissions(scope, currency)
    if partner:
        sold, of, sums = scope.shares(), "conversion__campaign_id", "revenue_minor"
        sold = sold.exclude(conversion__decision__state=DecisionState.REJECTED)
    else:
        sold, of, sums = scope.conversions(), "campaign_id", "amount_minor"
        sold = sold.exclude(decision__state=DecisionState.REJECTED)
    if campaigns is not None:
        wanted = list(campaigns)
        clicks, paid = clicks.filter(campaign_id__in=wanted), paid.filter(campaign_id__in=wanted)
        sold = sold.filter(**{f"{of}__in": wanted})
    if since is None:
        since = share_differences(sold, [partner.pk]) if partner else differences(sold)
    return _ranked(
        names=lambda ids: dict(Campaign.objects.filter(pk__in=ids).values_list("pk", "name")),
        clicks=_by(clicks, "campaign_id", n=Count("id")),
        sold=_by(sold, of, n=Count("id"), revenue=Sum(sums, filter=Q(currency=currency))),
        paid=_by(paid, "campaign_id", total=Sum("amount_minor")),
        since=[(row.campaign_id, row.minor) for row in live(since, currency)],
    )


def _by(rows: QuerySet, key: str, **sums: Any) -> dict[int, dict[str, Any]]:
    return {row[key]: row for row in rows.order_by().values(key).annotate(**sums)}


def _ranked(
    names: Any, clicks: dict, sold: dict, paid: dict, since: Iterable[tuple[int | None, int]]
) -> dict[int, Ranked]:
    changes: dict[int | None, int] = defaultdict(int)
    for key, minor in since:
        changes[key] += minor
    ids = clicks.keys() | sold.keys() | paid.keys()
    return {
        key: Ranked(
            id=key,
            name=name,
            clicks=clicks.get(key, {}).get("n", 0),
            conversions=sold.get(key, {}).get("n", 0),
            revenue_minor=(sold.get(key, {}).get("revenue") or 0) + changes[key],
            commission_minor=paid.get(key, {}).get("total", 0),
        )
        for key, name in names(ids).items()
    }


def _best(rows: dict[int, Ranked], limit: int) -> list[Ranked]:
    order = sorted(rows.values(), key=lambda row: (-row.revenue_minor, -row.conversions, -row.clicks, row.name))
    return order[:limit]


def top_partners(
    *, advertiser: Advertiser, period: Period, campaign: Campaign | None = None, limit: int = 8
) -> list[Ranked]:
    """Return the partners with most attributed revenue. A constant number of queries."""
    return _best(figures_by_partner(advertiser=advertiser, period=period, campaign=campaign), limit)


def top_campaigns(
    *,
    advertiser: Advertiser | None = None,
    partner: Partner | None = None,
    period: Period,
    limit: int = 8,
    since: Iterable[Difference] | None = None,
) -> list[Ranked]:
    """Return the campaigns with most revenue. A constant number of queries."""
    return _best(figures_by_campaign(advertiser=advertiser, partner=partner, period=period, since=since), limit)


@dataclass(frozen=True, slots=True)
class SystemState:
    """Whether data comes in and gets settled; moments are None where nothing has come in yet."""

    last_click_at: datetime | None
    last_conversion_at: datetime | None
    waiting: int
    waiting_since: datetime | None
    parked: int


def system_state(*, advertiser: Advertiser, now: datetime) -> SystemState:
    """Return the latest facts of an advertiser (clicks of the last week) and its work list. Three queries."""
    recent = uuid7_floor(now - timedelta(days=7))
    click = Touchpoint.objects.filter(advertiser=advertiser, id__gte=recent, kind__in=CLICK_KINDS)
    click = click.order_by("-id").first()
    conversion = Conversion.objects.filter(advertiser=advertiser).order_by("-occurred_at").first()
    work = Unsettled.objects.filter(advertiser=advertiser).aggregate(
        waiting=Count("pk", filter=Q(parked_at__isnull=True)),
        since=Min("marked_at", filter=Q(parked_at__isnull=True)),
        parked=Count("pk", filter=Q(parked_at__isnull=False)),
    )
    return SystemState(
        last_click_at=click.occurred_at if click else None,
        last_conversion_at=conversion.recorded_at if conversion else None,
        waiting=work["waiting"],
        waiting_since=work["since"],
        parked=work["parked"],
    )
