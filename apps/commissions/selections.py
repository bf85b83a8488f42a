"""Which conversions somebody means by a filter: frozen, so that a decision on it is on nothing else."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import date, datetime
from typing import Any
from uuid import UUID

from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet, Sum

from apps.attribution.models import Share
from apps.commissions.models import Commission, Decision, DecisionState, Move
from apps.commissions.worth import changed, worths_of
from apps.core.money import Money
from apps.identity.models import Advertiser
from apps.partners.models import Partner
from apps.tracking.models import Conversion

MOMENTS, DAYS = ("since", "until"), ("locks_until", "locks_after", "due_until")


@dataclass(frozen=True, slots=True)
class Selection:
    """Conversions by what is known of them; an empty field narrows nothing.

    `since` and `until` are half-open and ask when it happened; `order` is the beginning of an order number, `order_ref`
    the whole; `locks_until`, `locks_after` and `due_until` are days of the decision; `job_id` names the job that moved
    it last, `moved_by` one that moved it ever, `ids` the conversions themselves. `reason` is that of the last move,
    `coupon` a code as it was sent, in whatever case.
    """

    states: tuple[str, ...] = ()
    campaign_id: int | None = None
    partner_id: int | None = None
    goal: str = ""
    order: str = ""
    order_ref: str = ""
    since: datetime | None = None
    until: datetime | None = None
    locks_until: date | None = None
    locks_after: date | None = None
    due_until: date | None = None
    is_test: bool | None = None
    is_duplicate: bool | None = None
    job_id: int | None = None
    moved_by: int | None = None
    reason: str = ""
    coupon: str = ""
    ids: tuple[str, ...] = ()

    def content(self) -> dict[str, object]:
        """Return the selection as JSON holds it, without what is empty."""
        said = {name: value for name, value in asdict(self).items() if value not in (None, "", ())}
        said |= {name: value.isoformat() for name, value in said.items() if isinstance(value, date)}
        return said | {name: list(value) for name, value in said.items() if isinstance(value, tuple)}

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> Selection:
        """Return the selection that `content` was made of."""
        values = {name: value for name, value in content.items() if name in {one.name for one in fields(cls)}}
        values |= {name: datetime.fromisoformat(values[name]) for name in MOMENTS if name in values}
        values |= {name: date.fromisoformat(values[name]) for name in DAYS if name in values}
        values |= {name: tuple(values[name]) for name in ("states", "ids") if name in values}
        return cls(**values)


@dataclass(frozen=True, slots=True)
class PartnerWeight:
    """What a partner has in a selection: conversions it shares in, and its commission."""

    partner: str
    count: int
    commission: Money


@dataclass(frozen=True, slots=True)
class Weight:
    """How much a selection is: conversions by state, what is left of orders and commission, and the partners in it."""

    by_state: dict[str, int] = field(default_factory=dict)
    amounts: list[Money] = field(default_factory=list)
    commissions: list[Money] = field(default_factory=list)
    partners: list[PartnerWeight] = field(default_factory=list)
    partner_count: int = 0

    @property
    def count(self) -> int:
        return sum(self.by_state.values())


def selected(advertiser: Advertiser, selection: Selection, *, as_of: datetime) -> QuerySet[Decision]:
    """Return the decisions that a selection meant at a moment: what came, changed or moved later is not."""
    found = Decision.objects.for_advertiser(advertiser).filter(
        Q(moved_at=None) | Q(moved_at__lte=as_of),
        conversion__recorded_at__lte=as_of,
        conversion__receipt__settled_at__lte=as_of,
    )
    asked = {
        "state__in": selection.states,
        "campaign": selection.campaign_id,
        "conversion__goal": selection.goal,
        "conversion__order_ref__istartswith": selection.order,
        "conversion__order_ref": selection.order_ref,
        "conversion__occurred_at__gte": selection.since,
        "conversion__occurred_at__lt": selection.until,
        "locks_on__lte": selection.locks_until,
        "locks_on__gt": selection.locks_after,
        "decide_by__lte": selection.due_until,
        "conversion__is_test": selection.is_test,
        "conversion__duplicate__isnull": None if selection.is_duplicate is None else not selection.is_duplicate,
        "job": selection.job_id,
        "reason": selection.reason,
        "conversion__coupons__iregex": code_pattern(selection.coupon),
        "conversion__in": [UUID(id_) for id_ in selection.ids],
    }
    found = found.filter(**{name: value for name, value in asked.items() if value not in (None, "", (), [])})
    if selection.partner_id is not None:
        found = found.filter(Exists(Share.objects.filter(conversion=OuterRef("pk"), partner=selection.partner_id)))
    if selection.moved_by is not None:
        found = found.filter(pk__in=moved_by(advertiser, selection.moved_by))
    return found


def moved_by(advertiser: Advertiser, job_id: int) -> QuerySet[Move]:
    """Return the conversions that a job has moved."""
    return Move.objects.filter(advertiser=advertiser, job=job_id).values("conversion")


def code_pattern(code: str) -> str:
    """Return what finds a code in the text of an array of codes, or nothing for none."""
    return rf'[{{,]"?{re.escape(code)}"?[,}}]' if code else ""


def movable(decisions: QuerySet[Decision], state: str, *, today: date) -> QuerySet[Decision]:
    """Return those decisions that may go to a state: a locked approval stays, tests and duplicates are not approved."""
    origins = [origin for origin, targets in Decision.NEXT.items() if state in targets]
    if state == DecisionState.APPROVED:
        decisions = payable(decisions)
    return decisions.filter(state__in=origins).exclude(state=DecisionState.APPROVED, locks_on__lte=today)


def payable(decisions: QuerySet[Decision]) -> QuerySet[Decision]:
    """Return the decisions that somebody can be paid by: neither of tests nor of duplicates."""
    return decisions.filter(conversion__is_test=False, conversion__duplicate__isnull=True)


def weigh(decisions: QuerySet[Decision], *, most_partners: int = 20) -> Weight:
    """Return how much the decisions are; the partners by commission, the largest first.

    Five queries, and four more where orders changed.
    """
    plain = decisions.order_by()
    states = dict(plain.values_list("state").annotate(n=Count("pk")))
    amounts = dict(plain.values_list("conversion__currency").annotate(minor=Sum("conversion__amount_minor")))
    rows = dict(changed(Conversion.objects.filter(pk__in=plain.values("pk"))).values_list("pk", "currency"))
    worths = worths_of(list(rows))
    for id_, currency in rows.items():
        amounts[currency] += worths[str(id_)].left_minor - worths[str(id_)].first_minor
    earned = Commission.objects.filter(conversion__in=plain.values("pk"), payable=True).order_by()
    parts = list(
        earned.values_list("partner", "currency")
        .annotate(minor=Sum("amount_minor"), n=Count("conversion", distinct=True))
        .order_by(F("minor").desc(), "partner")
    )
    names = Partner.objects.in_bulk({row[0] for row in parts[:most_partners]})
    sums: dict[str, int] = {}
    for _, currency, minor, _ in parts:
        sums[currency] = sums.get(currency, 0) + minor
    return Weight(
        by_state=states,
        amounts=[Money(minor, currency) for currency, minor in sorted(amounts.items())],
        commissions=[Money(minor, currency) for currency, minor in sorted(sums.items())],
        partners=[PartnerWeight(str(names[id_]), n, Money(minor, cur)) for id_, cur, minor, n in parts[:most_partners]],
        partner_count=len({row[0] for row in parts}),
    )


def first_of(decisions: QuerySet[Decision], *, after: str, limit: int) -> Sequence[str]:
    """Return the ids of the first conversions after a place, in the order of their ids."""
    rest = decisions.filter(conversion_id__gt=UUID(after)) if after else decisions
    return [str(id_) for id_ in rest.order_by("conversion_id").values_list("conversion_id", flat=True)[:limit]]


def words_before(ids: Sequence[str], state: str) -> dict[str, tuple[str, str]]:
    """Return the reason and the note of each conversion's last move to a state; those never moved there are missing."""
    moves = Move.objects.filter(conversion__in=[UUID(id_) for id_ in ids], state=state).order_by("pk")
    return {str(id_): (reason, note) for id_, reason, note in moves.values_list("conversion_id", "reason", "note")}
