"""What a conversion's amount and commission are now, with what they were first: the same in list, page and claim."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from django.db.models import Exists, OuterRef, QuerySet, Subquery
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from apps.commissions.models import Commission, CommissionKind, DecisionState, Receipt, Superseded
from apps.commissions.worth import Worth, worths_of
from apps.console import display
from apps.tracking.models import Amendment, Conversion


@dataclass(frozen=True, slots=True)
class Amounts:
    """A conversion's amounts in minor units of its currency.

    `earned_minor` is the commission of the first amount, None where it was never worked out of that; `left_minor` what
    is left after corrections, zero where nobody is paid; both are None while it is being settled.
    """

    worth: Worth
    currency: str
    earned_minor: int | None
    left_minor: int | None
    why_unpaid: str = ""

    @property
    def amount(self) -> SafeString:
        return beside(self.worth.left_minor, self.worth.first_minor, self.currency)

    @property
    def commission(self) -> SafeString:
        return beside(self.left_minor, self.earned_minor, self.currency)

    @property
    def sentences(self) -> list[str]:
        """Say in a sentence each why a number is not the first one."""
        return [text for text in (self.why_unpaid, self._amount_said(), self._commission_said()) if text]

    def _amount_said(self) -> str:
        worth, said = self.worth, []
        if worth.told_minor != worth.first_minor:
            said.append(_("The order was told anew: %s.") % display.amount(worth.told_minor, self.currency))
        if worth.given_back_minor and not worth.left_minor:
            said.append(_("The order was given back in whole."))
        elif worth.given_back_minor:
            said.append(_("%s of the order was given back.") % display.amount(worth.given_back_minor, self.currency))
        return " ".join(said)

    def _commission_said(self) -> str:
        first, left = self.earned_minor, self.left_minor
        if self.why_unpaid or first is None or left is None or first == left:
            return ""
        if not left:
            return _("The commission was taken back in whole.")
        text = _("%s was added to the commission.") if left > first else _("%s of the commission was taken back.")
        return text % display.amount(abs(left - first), self.currency)


def beside(minor: int | None, first_minor: int | None, currency: str) -> SafeString:
    """Return an amount, and the first one struck through beside it where that was another."""
    now = display.money(minor, currency)
    if minor is None or first_minor is None or minor == first_minor:
        return now
    first = display.amount(first_minor, currency)
    said = _("first %s") % first
    return format_html('{} <s class="tb-num tb-muted tb-small" title="{}">{}</s>', now, said, first)


def unpaid(conversion: Conversion) -> str:
    """Say why a conversion is never paid, whatever is decided; nothing where it can be."""
    if conversion.is_test:
        return _("Test: not paid")
    if hasattr(conversion, "duplicate"):
        return _("Duplicate of %s: not paid") % conversion.duplicate.original.order_ref
    return ""


def amounts_of(conversions: Iterable[Conversion]) -> dict[UUID, Amounts]:
    """Return the amounts of conversions by their ids. Six queries, with decision and duplicate at hand."""
    rows = list(conversions)
    ids = [row.pk for row in rows]
    worths = worths_of(ids)
    first: dict[UUID, int] = defaultdict(int)
    left: dict[UUID, int] = defaultdict(int)
    columns = ("conversion_id", "kind", "amount_minor", "payable")
    for id_, kind, minor, payable in Commission.objects.filter(conversion__in=ids).values_list(*columns):
        first[id_] += minor if kind == CommissionKind.SALE else 0
        left[id_] += minor if payable else 0
    firsts: dict[UUID, int | None] = {**{id_: 0 for id_ in ids}, **first}
    amended = Receipt.objects.filter(pk__in=ids, body__has_key="amendment")
    firsts |= dict(amended.values_list("pk", Subquery(_of_first_amounts().values("total_minor")[:1])))
    return {row.pk: _amounts(row, worths[str(row.pk)], firsts[row.pk], left[row.pk]) for row in rows}


def _of_first_amounts() -> QuerySet[Superseded]:
    """Return the outer row's results worked out before anything was told anew of its order, the last one first."""
    told = Amendment.objects.filter(recorded_at__lte=OuterRef("settled_at"))
    return Superseded.objects.filter(
        ~Exists(told.filter(conversion=OuterRef("conversion"))),
        ~Exists(told.filter(conversion__repeats__conversion=OuterRef("conversion"))),
        conversion=OuterRef("pk"),
    ).order_by("-pk")


def _amounts(conversion: Conversion, worth: Worth, first_minor: int | None, left_minor: int) -> Amounts:
    decision = getattr(conversion, "decision", None)
    why = unpaid(conversion)
    if decision is None:
        return Amounts(worth, conversion.currency, None, None, why)
    if decision.state == DecisionState.REJECTED:
        why = why or _("Rejected: not paid")
    if why:
        left_minor = 0
    return Amounts(worth, conversion.currency, first_minor, left_minor, why)
