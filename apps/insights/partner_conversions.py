"""A partner's conversions: its own part of each, and the one status that people read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from fractions import Fraction
from uuid import UUID

from django.db.models import Count, Q, QuerySet, Sum

from apps.attribution.models import Share
from apps.attribution.rules import code_key
from apps.campaigns.models import Coupon
from apps.commissions.models import Commission, CommissionKind, Decision, DecisionState, is_locked
from apps.core.ids import uuid7_floor
from apps.core.money import Money
from apps.core.periods import Period, day_of
from apps.insights.partner_selectors import expected_on, living_settlements, pay_day
from apps.insights.revenue import Difference, share_differences
from apps.partners.models import AdSpace, Partner
from apps.statements.models import StatementLine
from apps.tracking.models import Touchpoint

LOOK_BACK = timedelta(days=366)


def commissions_of_partner(
    *, partner: Partner, period: Period | None = None, campaign_id: int | None = None, text: str = ""
) -> QuerySet[Commission]:
    """Return the partner's commissions, newest first; `text` is part of an order number, or a whole sub-id."""
    rows = Commission.objects.filter(partner=partner, kind=CommissionKind.SALE)
    if period:
        rows = rows.filter(occurred_at__gte=period.start, occurred_at__lt=period.end)
    if campaign_id:
        rows = rows.filter(campaign_id=campaign_id)
    if text:
        touches = Touchpoint.objects.filter(
            Q(sub1=text) | Q(sub2=text) | Q(sub3=text) | Q(sub4=text) | Q(sub5=text), partner_id=partner.pk
        )
        if period:
            touches = touches.filter(id__gte=uuid7_floor(period.start - LOOK_BACK), id__lt=uuid7_floor(period.end))
        rows = rows.filter(Q(conversion__order_ref__icontains=text) | Q(share__touch_id__in=touches.values("id")))
    return rows.order_by("-occurred_at", "-pk")


def changes_of(rows: QuerySet[Commission] | Sequence[Commission], *, partner: Partner) -> list[Difference]:
    """Return what the partner's parts of these orders differ by from the stored ones, where they were told anew or
    refunded. One query, and five more where there are any."""
    shares = rows.order_by().values("share") if isinstance(rows, QuerySet) else [row.share_id for row in rows]
    return share_differences(Share.objects.filter(pk__in=shares), [partner.pk])


@dataclass(frozen=True, slots=True)
class StateTotal:
    """How many conversions stand at a decision in a currency, and what they come to for the partner."""

    state: str
    currency: str
    count: int
    commission_minor: int
    revenue_minor: int


def totals_by_state(rows: QuerySet[Commission], since: Iterable[Difference] = ()) -> list[StateTotal]:
    """Return counts and sums by decision and currency, with what was corrected since. Two queries, three with changes.

    `since` are the `changes_of` the rows. What is not payable counts, but sums to nothing.
    """
    rows = rows.order_by()
    by = ("conversion__decision__state", "currency")
    sums = rows.values_list(*by).annotate(
        n=Count("pk"),
        commission=Sum("amount_minor", filter=Q(payable=True), default=0),
        revenue=Sum("share__revenue_minor", filter=Q(payable=True), default=0),
    )
    corrections = Commission.objects.filter(corrects__in=rows.values("pk"), payable=True).order_by()
    corrected = {row[:2]: row[2] for row in corrections.values_list(*by).annotate(total=Sum("amount_minor"))}
    changes: dict[tuple[str | None, str], int] = defaultdict(int)
    changed = {row.conversion_id: row for row in since}
    paid = rows.filter(payable=True, conversion__in=changed).values_list("conversion", flat=True) if changed else ()
    for row in {changed[str(id_)] for id_ in paid}:
        changes[row.state, row.currency] += row.minor
    return [
        StateTotal(
            state,
            currency,
            count,
            commission + corrected.get((state, currency), 0),
            revenue + changes[state, currency],
        )
        for state, currency, count, commission, revenue in sums
    ]


@dataclass(frozen=True, slots=True)
class PartnerConversion:
    """A conversion as its partner sees it: own share, own commission with its corrections.

    `revenue` is the own part of what is left of the order as told last, `first_revenue` of the order as told first.
    """

    id: UUID
    order_ref: str
    goal: str
    occurred_at: datetime
    campaign: str
    ad_space: str
    status: str
    reason: str
    revenue: Money
    first_revenue: Money
    commission: Money
    share: Fraction
    decide_by: date | None
    pays_on: date | None
    pay_day_passed: bool
    coupon: str
    decision: Decision
    line: StatementLine | None
    original: Commission

    @property
    def is_unpaid(self) -> bool:
        """Whether nothing is paid whatever happens: the commission is then only what it would have been."""
        return self.status in {"REJECTED", "TEST", "DUPLICATE", "NOT_PAYABLE"}

    @property
    def nothing(self) -> Money:
        return Money(0, self.commission.currency)


def conversion_rows(
    rows: QuerySet[Commission] | Sequence[Commission],
    *,
    partner: Partner,
    now: datetime,
    since: Iterable[Difference] | None = None,
) -> list[PartnerConversion]:
    """Return a page of commissions with all that is shown beside them. At most seven queries, beside `changes_of`.

    `since` are the changes of these and perhaps of others, where they are at hand.
    """
    if isinstance(rows, QuerySet):
        rows = rows.select_related("conversion__decision", "campaign", "share", "advertiser")
    rows = list(rows)
    ids = [row.conversion_id for row in rows]
    spaces = dict(AdSpace.objects.filter(partner=partner).values_list("pk", "name"))
    codes = {code_key(code) for code in Coupon.objects.filter(partner=partner).values_list("code", flat=True)}
    lines = {
        line.conversion_id: line
        for line in StatementLine.objects.filter(statement__partner=partner, conversion_id__in=ids)
        .select_related("statement__advertiser")
        .prefetch_related(living_settlements("statement__"))
        .order_by("pk")
    }
    corrected: dict[UUID, int] = defaultdict(int)
    corrections = Commission.objects.filter(
        partner=partner, kind=CommissionKind.CORRECTION, conversion_id__in=ids, payable=True
    )
    for conversion_id, amount in corrections.values_list("conversion_id", "amount_minor"):
        corrected[conversion_id] += amount
    changed = changes_of(rows, partner=partner) if since is None else since
    changes = {UUID(row.conversion_id): row.minor for row in changed}
    return [
        _row(
            row,
            lines.get(row.conversion_id),
            corrected[row.conversion_id],
            changes.get(row.conversion_id, 0),
            spaces,
            codes,
            now,
        )
        for row in rows
    ]


def _row(
    row: Commission,
    line: StatementLine | None,
    corrected_minor: int,
    changed_minor: int,
    spaces: dict[int, str],
    codes: set[str],
    now: datetime,
) -> PartnerConversion:
    conversion, decision = row.conversion, row.conversion.decision
    today = day_of(now, row.advertiser.zone)
    status = public_status(row, line, today)
    share = row.share
    pays_on = _pays_on(row, decision, line, today)
    sold_minor = share.revenue_minor if share else 0
    return PartnerConversion(
        id=row.conversion_id,
        order_ref=conversion.order_ref,
        goal=conversion.goal,
        occurred_at=conversion.occurred_at,
        campaign=row.campaign.name,
        ad_space=spaces.get(share.ad_space_id or 0, "") if share else "",
        status=status,
        reason=row.payable_reason if not row.payable else decision.reason if status == "REJECTED" else "",
        revenue=Money(sold_minor + changed_minor, row.currency),
        first_revenue=Money(sold_minor, row.currency),
        commission=Money(row.amount_minor + corrected_minor, row.currency),
        share=Fraction(int(share.numerator), int(share.denominator)) if share else Fraction(1),
        decide_by=decision.decide_by if status in {"PENDING", "ON_HOLD"} else None,
        pays_on=pays_on,
        pay_day_passed=pays_on is not None and pays_on < today,
        coupon=next((code for code in conversion.coupons if code_key(code) in codes), ""),
        decision=decision,
        line=line,
        original=row,
    )


def public_status(row: Commission, line: StatementLine | None, today: date) -> str:
    """Return the one status a partner reads, from the decision, the lock day and the statement."""
    decision = row.conversion.decision
    if row.conversion.is_test:
        return "TEST"
    if row.payable_reason == "duplicate":
        return "DUPLICATE"
    if decision.state != DecisionState.APPROVED:
        return decision.state
    if not row.payable:
        return "NOT_PAYABLE"
    if line is not None:
        return "STATED"
    return "LOCKED" if is_locked(decision, today) else "APPROVED"


def _pays_on(row: Commission, decision: Decision, line: StatementLine | None, today: date) -> date | None:
    """Return the day it is paid on: that of its statement and invoice, else the one the decision lets expect."""
    if not row.payable:
        return None
    if line is not None:
        return pay_day(line.statement, today)
    return expected_on(decision, today, row.advertiser)
