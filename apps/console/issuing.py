"""Issue invoices: say how many numbers are given out, to whom and for how much, and ask before it is done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from apps.console.access import FINANCE, access_of, actor_of, may
from apps.console.books import books_of
from apps.console.filters import read_day
from apps.console.forms import PlainForm
from apps.console.partner_view import OBSTACLES
from apps.console.site import site
from apps.core.errors import Refusal
from apps.identity.models import Advertiser, LegalEntity
from apps.invoices.rules import Blocked, obstacles, vat_of, vat_treatment
from apps.invoices.selectors import agreement_of, payee_party, payer_party, unsettled_statements
from apps.partners.models import Partner, Partnership
from apps.pipeline.services.closing import issue_invoices
from apps.statements.models import Statement

PRIVATE = "statement_only"  # of a private person: settled, but without a document


@dataclass(frozen=True, slots=True)
class OpenStatement:
    """A payable statement that nothing settles yet: what stands in its way, or the document that it gets.

    `vat_minor` is None where it gets no document.
    """

    statement: Statement
    obstacles: tuple[str, ...]
    vat_minor: int | None = None

    @property
    def gross_minor(self) -> int:
        return self.statement.payable_minor + (self.vat_minor or 0)


@dataclass(frozen=True, slots=True)
class Sums:
    """What the documents of a currency come to, in minor units."""

    currency: str
    net_minor: int
    vat_minor: int
    gross_minor: int


@dataclass(frozen=True, slots=True)
class Run:
    """What issuing now would do: invoices, statements settled without one, and what stays blocked."""

    invoices: tuple[OpenStatement, ...]
    without: tuple[OpenStatement, ...]
    blocked: tuple[OpenStatement, ...]

    @classmethod
    def of(cls, rows: Sequence[OpenStatement]) -> Run:
        free = [row for row in rows if not row.obstacles]
        return cls(
            invoices=tuple(row for row in free if row.vat_minor is not None),
            without=tuple(row for row in free if row.vat_minor is None),
            blocked=tuple(row for row in rows if row.obstacles),
        )

    @property
    def seen(self) -> str:
        """Return what names exactly these statements, so that no other is settled by the same click."""
        return ",".join(str(row.statement.pk) for row in (*self.invoices, *self.without))

    @property
    def sums(self) -> list[Sums]:
        found = []
        for currency in sorted({row.statement.currency for row in self.invoices}):
            rows = [row for row in self.invoices if row.statement.currency == currency]
            net, gross = sum(row.statement.payable_minor for row in rows), sum(row.gross_minor for row in rows)
            found.append(Sums(currency, net, gross - net, gross))
        return found


class IssueForm(PlainForm):
    """The number of invoices, typed once more."""

    typed = forms.CharField(label=gettext_lazy("Number of invoices"), max_length=7)

    def __init__(self, run: Run, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self.run = run
        self.fields["typed"].help_text = _("Type %d to issue them. This cannot be undone.") % len(run.invoices)
        self.fields["typed"].widget.attrs |= {"autocomplete": "off", "inputmode": "numeric"}

    def clean_typed(self) -> str:
        typed = self.cleaned_data["typed"].strip()
        if typed != str(len(self.run.invoices)):
            raise forms.ValidationError(_("Type %d to issue them.") % len(self.run.invoices))
        return typed

    def clean(self) -> dict:
        if self.data.get("seen") != self.run.seen:
            raise forms.ValidationError(_("The statements have changed since this page was shown. Look at them again."))
        return super().clean() or {}


@site.page("closing/invoices/", "closing_invoices")
def invoices(request: HttpRequest) -> HttpResponse:
    """Show what would be issued; POST with its number typed issues it. What is blocked stays and says why."""
    if not may(request, FINANCE):
        raise PermissionDenied
    month = read_day(f"{(request.POST or request.GET).get('month', '')}-01")
    back = reverse("admin:closing") + (f"?month={month:%Y-%m}" if month else "")
    advertiser = access_of(request).advertiser
    run = Run.of(open_statements(advertiser))
    if not run.invoices and not run.without:
        messages.info(request, _("There is nothing to issue.") if not run.blocked else _("Every statement is blocked."))
        return HttpResponseRedirect(back)
    form = IssueForm(run, request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        _issue(request, advertiser, run)
        return HttpResponseRedirect(back)
    count = len(run.invoices)
    return site.render(
        request,
        "console/issuing.html",
        ngettext("Issue %d invoice", "Issue %d invoices", count) % count,
        crumbs=[{"title": _("Close a month"), "link": back}],
        run=run,
        form=form,
        back=back,
        month=month,
        books=books_of(advertiser),
    )


def _issue(request: HttpRequest, advertiser: Advertiser, run: Run) -> None:
    seen = [row.statement.pk for row in (*run.invoices, *run.without, *run.blocked)]
    try:
        result = issue_invoices(advertiser=advertiser, actor=actor_of(request), now=timezone.now(), only=seen)
    except Refusal as refusal:
        messages.error(request, refusal.message)
        return
    number = len(result.issued)
    messages.success(request, ngettext("%d invoice is issued.", "%d invoices are issued.", number) % number)
    if result.without_document:
        text = ngettext(
            "%d was settled without a document.", "%d were settled without a document.", result.without_document
        )
        messages.info(request, text % result.without_document)
    if result.blocked:
        text = ngettext(
            "%d statement is blocked; see why below.", "%d statements are blocked; see why below.", len(result.blocked)
        )
        messages.warning(request, text % len(result.blocked))


def open_statements(advertiser: Advertiser) -> list[OpenStatement]:
    """Return the payable statements that nothing settles yet, each with what it would become. Five queries."""
    found = unsettled_statements(advertiser=advertiser).filter(payable_minor__gt=0)
    rows = list(found.select_related("partner__tax_profile"))
    entity = LegalEntity.objects.filter(advertiser=advertiser, is_default=True).first() if rows else None
    if entity is None:
        return [OpenStatement(row, (str(OBSTACLES["payer_missing"]),)) for row in rows]
    payer = payer_party(entity)
    partnerships = Partnership.objects.for_advertiser(advertiser).filter(partner__in=[row.partner_id for row in rows])
    agreements = {row.partner_id: agreement_of(row) for row in partnerships}
    shown = []
    for row in rows:
        last_on = row.period.upper - date.resolution
        payee, agreement = payee_party(row.partner), agreements.get(row.partner_id)
        treatment = vat_treatment(payer, payee, last_on, agreement=agreement)
        if not isinstance(treatment, Blocked):
            shown.append(OpenStatement(row, (), vat_of(row.payable_minor, treatment.rate)))
        elif treatment.code == PRIVATE:
            shown.append(OpenStatement(row, ()))
        else:
            shown.append(OpenStatement(row, in_words(obstacles(payer, payee, last_on, agreement=agreement))))
    return shown


def obstacles_of(advertiser: Advertiser, partner_ids: list[int], on: date) -> dict[int, tuple[str, ...]]:
    """Return in words what stands between partners and their documents. Three queries."""
    entity = LegalEntity.objects.filter(advertiser=advertiser, is_default=True).first()
    if entity is None:
        return {partner_id: (str(OBSTACLES["payer_missing"]),) for partner_id in partner_ids}
    payer = payer_party(entity)
    agreements = {
        row.partner_id: agreement_of(row)
        for row in Partnership.objects.for_advertiser(advertiser).filter(partner__in=partner_ids)
    }
    partners = Partner.objects.filter(pk__in=partner_ids).select_related("tax_profile")
    return {
        partner.pk: in_words(obstacles(payer, payee_party(partner), on, agreement=agreements.get(partner.pk)))
        for partner in partners
    }


def in_words(found: Sequence[Blocked]) -> tuple[str, ...]:
    return tuple(str(OBSTACLES.get(row.code, row.message)) for row in found if row.code != PRIVATE)
