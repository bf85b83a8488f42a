"""A partner's money as it reads it: what is open, owed, on its way and when; every read starts from the partner."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from uuid import UUID

from django.db.models import Case, F, Max, Prefetch, Q, QuerySet, Sum, Value, When, Window
from django.db.models.functions import Coalesce

from apps.commissions.models import Commission, Decision, DecisionState
from apps.core.periods import day_of, month_end
from apps.identity.models import Advertiser, LegalEntity
from apps.invoices.models import Invoice, Settlement
from apps.invoices.rules import Blocked, obstacles
from apps.invoices.selectors import agreement_of, payee_party, payer_party
from apps.invoices.services import pay_run
from apps.ledger.models import Account, AccountKind, Posting, PostingPurpose, UnstatedPosting
from apps.partners.models import Partner, Partnership
from apps.statements.models import ClosedPeriod, Statement, StatementLine
from apps.statements.rules import balance
from apps.tracking.models import Conversion

Key = tuple[int, str]


@dataclass(slots=True)
class Coming:
    """What is expected on a day, in minor units: invoiced (with VAT), approved (net), pending (net, if approved).

    `is_past` where the day has gone by and nothing is known to have been transferred.
    """

    pays_on: date
    is_past: bool = False
    invoiced_minor: int = 0
    approved_minor: int = 0
    pending_minor: int = 0


@dataclass(slots=True)
class PartnerAccount:
    """A partner's money with one advertiser in one currency, all minor units.

    Pending and held amounts are not in the book yet. `accrued_minor` is approved and on no invoice, `payable_minor`
    is invoiced with VAT and not paid. `next_pay_on` is the next expected day of a payment that is sure.
    """

    advertiser: Advertiser
    currency: str
    minimum_minor: int
    on_hold_minor: int = 0
    pending_minor: int = 0
    accrued_minor: int = 0
    payable_minor: int = 0
    paid_minor: int = 0
    carried_minor: int = 0
    coming: list[Coming] = field(default_factory=list)

    @property
    def below_minimum_minor(self) -> int:
        """What is approved and on no day yet, because a payment of it would be below the minimum."""
        return max(0, self.accrued_minor - sum(row.approved_minor for row in self.coming))

    @property
    def next_payment(self) -> Coming | None:
        sure = (row for row in self.coming if row.invoiced_minor or row.approved_minor)
        return next((row for row in sure if not row.is_past), None)


def accounts_of_partner(*, partner: Partner, now: datetime) -> list[PartnerAccount]:
    """Return the partner's accounts by advertiser and currency. Nine queries, however many there are."""
    partnerships = Partnership.objects.filter(partner=partner).select_related("advertiser")
    known = {row.advertiser_id: row for row in partnerships}
    accounts: dict[Key, PartnerAccount] = {}

    def account(advertiser_id: int, currency: str) -> PartnerAccount:
        found = accounts.get((advertiser_id, currency))
        if found is None:
            row = known.get(advertiser_id) or Partnership(advertiser=Advertiser.objects.get(pk=advertiser_id))
            least = row.minimum_payout_minor
            least = row.advertiser.minimum_payout_minor if least is None else least
            found = accounts[advertiser_id, currency] = PartnerAccount(row.advertiser, currency, least)
        return found

    days: dict[Key, dict[date, Coming]] = defaultdict(dict)

    def on(advertiser_id: int, currency: str, day: date) -> Coming:
        today = day_of(now, account(advertiser_id, currency).advertiser.zone)
        return days[advertiser_id, currency].setdefault(day, Coming(day, day < today))

    for advertiser_id, currency, state, pays_on, total in _awaited(partner):
        if state == DecisionState.ON_HOLD:
            account(advertiser_id, currency).on_hold_minor += total
        else:
            account(advertiser_id, currency).pending_minor += total
            on(advertiser_id, currency, pays_on).pending_minor += total
    for advertiser_id, currency, kind, purpose, total in _booked(partner):
        row = account(advertiser_id, currency)
        if kind == AccountKind.PARTNER_ACCRUED:
            row.accrued_minor += total
        else:
            row.payable_minor += total
        if purpose == PostingPurpose.PAYOUT:
            row.paid_minor -= total
    carried = Statement.objects.filter(partner=partner).order_by("advertiser_id", "currency", "-place")
    for statement in carried.distinct("advertiser_id", "currency"):
        account(statement.advertiser_id, statement.currency).carried_minor = statement.carried_minor
    for key, pays_on, amount in _open_invoices(partner, {key: row.paid_minor for key, row in accounts.items()}):
        on(*key, pays_on).invoiced_minor += amount
    for advertiser_id, currency, last_on, amount in _stated(partner):
        advertiser = account(advertiser_id, currency).advertiser
        pays_on = pay_run(last_on, day_of(now, advertiser.zone), advertiser.pay_days)
        on(advertiser_id, currency, pays_on).approved_minor += amount
    for key, due in _unstated(partner).items():
        advertiser_id, currency = key
        row = account(advertiser_id, currency)
        for pays_on, amount in _payments(row, due, day_of(now, row.advertiser.zone)):
            on(advertiser_id, currency, pays_on).approved_minor += amount
    for key, row in accounts.items():
        row.coming = [days[key][day] for day in sorted(days[key])]
    return sorted(accounts.values(), key=lambda row: (row.advertiser.name, row.currency))


def _awaited(partner: Partner) -> Iterable[tuple]:
    return (
        Commission.objects.filter(
            partner=partner,
            payable=True,
            conversion__decision__state__in=[DecisionState.PENDING, DecisionState.ON_HOLD],
        )
        .order_by()
        .values_list("advertiser_id", "currency", "conversion__decision__state", "conversion__decision__pays_on")
        .annotate(total=Sum("amount_minor"))
    )


def _booked(partner: Partner) -> Iterable[tuple]:
    """Yield the sums of the partner's own accounts, credits positive and debits negative."""
    for side, sign in (("credit", 1), ("debit", -1)):
        rows = Posting.objects.filter(**{f"{side}__partner": partner}).order_by()
        keys = ("advertiser_id", "currency", f"{side}__kind", "purpose")
        for *key, total in rows.values_list(*keys).annotate(total=Sum("amount_minor")):
            yield (*key, sign * total)


def _stated(partner: Partner) -> Iterable[tuple[int, str, date, int]]:
    """Yield what statements say is payable and no invoice holds yet, with the last day of each."""
    living = Settlement.objects.filter(statement__partner=partner, reversed_at=None)
    rows = Statement.objects.filter(partner=partner, payable_minor__gt=0).exclude(settlements__in=living)
    for advertiser_id, currency, period, amount in rows.order_by("pk").values_list(
        "advertiser_id", "currency", "period", "payable_minor"
    ):
        yield advertiser_id, currency, period.upper - timedelta(days=1), amount


def _unstated(partner: Partner) -> Mapping[Key, list[tuple[date, int]]]:
    """Return (last day of the period that takes it, amount) of what is owed and on no statement, in order."""
    open_from = dict(
        ClosedPeriod.objects.filter(advertiser__partnerships__partner=partner)
        .order_by()
        .values_list("advertiser_id")
        .annotate(last=Max("period__endswith"))
    )
    found: dict[Key, dict[date, int]] = defaultdict(lambda: defaultdict(int))
    rows = UnstatedPosting.objects.filter(partner=partner).order_by("due_on")
    for advertiser_id, currency, due_on, total in rows.values_list("advertiser_id", "currency", "due_on").annotate(
        total=Sum("signed_minor")
    ):
        taken_on = max(due_on, open_from.get(advertiser_id, due_on))
        found[advertiser_id, currency][month_end(taken_on)] += total
    return {key: sorted(sums.items()) for key, sums in found.items()}


def _open_invoices(partner: Partner, paid: dict[Key, int]) -> Iterable[tuple[Key, date, int]]:
    """Yield what is invoiced and not transferred, by pay day; what was transferred pays the oldest first."""
    rows = Invoice.objects.filter(partner=partner, pay_on__isnull=False, settlements__reversed_at=None)
    columns = ("advertiser_id", "currency", "pay_on", "gross_minor", "pk")
    for advertiser_id, currency, pay_on, gross_minor, _pk in (
        rows.order_by("pay_on", "pk").values_list(*columns).distinct()
    ):
        key = (advertiser_id, currency)
        covered = min(paid.get(key, 0), gross_minor)
        paid[key] = paid.get(key, 0) - covered
        if gross_minor > covered:
            yield key, pay_on, gross_minor - covered


def _payments(account: PartnerAccount, due: Sequence[tuple[date, int]], today: date) -> Iterable[tuple[date, int]]:
    """Yield the payments that follow if nothing else is approved: what misses the minimum is carried on."""
    opening = account.carried_minor
    for last_on, earned in due:
        outcome = balance(opening, earned, account.minimum_minor)
        opening = outcome.carried_minor
        if outcome.payable_minor:
            yield pay_run(last_on, today, account.advertiser.pay_days), outcome.payable_minor


def living_settlements(path: str) -> Prefetch:
    """Return what reads the settlements that hold, with their invoices, into `living`."""
    rows = Settlement.objects.filter(reversed_at=None).select_related("invoice")
    return Prefetch(f"{path}settlements", rows, to_attr="living")


def pay_day(statement: Statement, today: date) -> date:
    """Return the day a statement is paid on: what its invoice prints, else the first pay run from today on.

    The statement's settlements are read as `living_settlements` reads them.
    """
    for settlement in statement.living:  # type: ignore[attr-defined]
        if settlement.invoice is not None and settlement.invoice.pay_on is not None:
            return settlement.invoice.pay_on
    return pay_run(statement.period.upper - timedelta(days=1), today, statement.advertiser.pay_days)


def pay_days_of(conversion: Conversion, today: date) -> list[date]:
    """Return the days on which a conversion is paid or expected to be, more than one where its invoices differ."""
    lines = StatementLine.objects.filter(conversion_id=conversion.pk).select_related("statement__advertiser")
    found = {pay_day(line.statement, today) for line in lines.prefetch_related(living_settlements("statement__"))}
    decision = conversion.decision
    if not found:
        found = {expected_on(decision, today, conversion.advertiser)}
    return sorted(found)


def expected_on(decision: Decision, today: date, advertiser: Advertiser) -> date:
    """Return the expected day of what is on no statement: that of the decision, once approved the next run from it."""
    if decision.state != DecisionState.APPROVED or decision.decided_at is None:
        return decision.pays_on
    return pay_run(max(decision.locks_on, day_of(decision.decided_at, advertiser.zone)), today, advertiser.pay_days)


# --- the account line by line ---------------------------------------------------------------------


def bookings_of_partner(*, partner: Partner) -> QuerySet[Posting]:
    """Return what changed the balance, newest first, each with `signed` and `running` (the balance after it).

    Moves between the partner's own two accounts (a statement becoming payable) change nothing and are left out. One
    query for the accounts, one per use.
    """
    own = list(Account.objects.filter(partner=partner).values_list("pk", flat=True))
    return (
        Posting.objects.filter(Q(credit__in=own) | Q(debit__in=own))
        .exclude(credit__in=own, debit__in=own)
        .annotate(signed=Case(When(credit__in=own, then=F("amount_minor")), default=-F("amount_minor")))
        .annotate(
            running=Window(
                Sum("signed"), partition_by=[F("advertiser"), F("currency")], order_by=[F("posted_at"), F("pk")]
            )
        )
        .select_related("advertiser")
        .order_by("-posted_at", "-pk")
    )


@dataclass(frozen=True, slots=True)
class Cause:
    """What a posting came from: a conversion by its order, or a statement's invoice."""

    kind: str
    reference: str
    conversion_id: UUID | None = None
    statement_id: int | None = None


def causes_of_postings(*, partner: Partner, postings: Iterable[Posting]) -> dict[int, Cause]:
    """Return what each posting came from, by posting id. Two queries."""
    named = {row.pk: row.reference.split(":") for row in postings}
    commissions = {
        row.pk: row
        for row in Commission.objects.filter(
            partner=partner, pk__in=[int(parts[1]) for parts in named.values() if parts[0] == "commission"]
        ).select_related("conversion")
    }
    statement_ids = [int(parts[1]) for parts in named.values() if parts[0] == "statement"]
    numbers = dict(
        Statement.objects.filter(partner=partner, pk__in=statement_ids, settlements__reversed_at=None).values_list(
            "pk", Coalesce("settlements__invoice__number", Value(""))
        )
    )
    found = {}
    for pk, parts in named.items():
        if parts[0] == "commission" and int(parts[1]) in commissions:
            row = commissions[int(parts[1])]
            kind = "REVERSED" if parts[-1] == "reversed" else row.kind
            found[pk] = Cause(kind, row.conversion.order_ref, conversion_id=row.conversion_id)
        elif parts[0] == "statement":
            found[pk] = Cause("VAT", numbers.get(int(parts[1]), ""), statement_id=int(parts[1]))
        else:
            found[pk] = Cause(parts[0].upper(), ":".join(parts[1:]))
    return found


# --- what stands in the way -----------------------------------------------------------------------


def blockers_of_partner(
    *, partner: Partner, partnerships: Iterable[Partnership], today: date
) -> dict[int, tuple[Blocked, ...]]:
    """Return what stands between the partner and its documents, by advertiser; an empty tuple: payable. Two queries.

    The same answer as `invoices.payability`, for all the partner's advertisers at once.
    """
    rows = list(partnerships)
    entities = {
        entity.advertiser_id: entity
        for entity in LegalEntity.objects.filter(advertiser__in=[row.advertiser_id for row in rows], is_default=True)
    }
    payee = payee_party(partner)
    found = {}
    for row in rows:
        entity = entities.get(row.advertiser_id)
        if entity is None:
            found[row.advertiser_id] = (Blocked("payer_missing", "The advertiser has no legal entity yet.", "payer"),)
        else:
            found[row.advertiser_id] = obstacles(payer_party(entity), payee, today, agreement=agreement_of(row))
    return found
