"""Close a month: see what it gives, type its name, close."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import date, datetime

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from apps.commissions.models import Decision, DecisionState
from apps.commissions.selections import payable
from apps.console.access import FINANCE, access_of, actor_of, may
from apps.console.books import books_of
from apps.console.filters import read_day
from apps.console.forms import PlainForm
from apps.console.issuing import obstacles_of, open_statements
from apps.console.site import site
from apps.core.errors import Refusal
from apps.core.periods import Period, add_months, day_of
from apps.identity.models import Advertiser
from apps.insights.book import BookRow, book_of
from apps.pipeline.services.closing import close_month, preview_month
from apps.statements.models import ClosedPeriod
from apps.statements.selectors import StatementPreview

SHOWN_MONTHS = 6


@dataclass(frozen=True, slots=True)
class PreviewRow:
    """A partner's coming statement with what would keep it from an invoice."""

    preview: StatementPreview
    obstacles: tuple[str, ...]
    ends: str


class TypedMonth(PlainForm):
    typed = forms.CharField(label=gettext_lazy("Type the month to confirm"), max_length=7)

    def __init__(self, month: date, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self.month = month
        self.fields["typed"].help_text = _("For example %s. This cannot be undone.") % f"{month:%Y-%m}"
        self.fields["typed"].widget.attrs.update(placeholder=f"{month:%Y-%m}", autocomplete="off", inputmode="numeric")

    def clean_typed(self) -> str:
        typed = self.cleaned_data["typed"].strip()
        if typed != f"{self.month:%Y-%m}":
            raise forms.ValidationError(_("Type %s to close it.") % f"{self.month:%Y-%m}")
        return typed


def next_month(advertiser: Advertiser, now: datetime) -> date:
    """Return the first month to close: the one after the last closed, else the last that is over."""
    last = ClosedPeriod.objects.filter(advertiser=advertiser).order_by("-period").first()
    over = add_months(day_of(now, advertiser.zone).replace(day=1), -1)
    return last.period.upper.replace(day=1) if last else over


@site.page("closing/", "closing")
def closing(request: HttpRequest) -> HttpResponse:
    advertiser = access_of(request).advertiser
    now = timezone.now()
    asked = read_day(f"{request.GET.get('month', '')}-01")
    if asked is None and "month" in request.GET:
        messages.error(request, _("There is no such month to close; this is the next one."))
    month = asked or next_month(advertiser, now)
    may_close = may(request, FINANCE)
    form = TypedMonth(month, request.POST or None)
    if request.method == "POST":
        if not may_close:
            raise PermissionDenied
        if form.is_valid():
            return close(request, advertiser, month, now)
    period = Period.month(month.year, month.month, advertiser.zone)
    closed = ClosedPeriod.objects.filter(advertiser=advertiser, period__contains=month).first()
    rows = preview_rows(advertiser, month) if not closed else []
    return site.render(
        request,
        "console/closing.html",
        _("Close a month"),
        month=month,
        before=add_months(month, -1),
        after=add_months(month, 1),
        is_over=period.end <= now,
        closed=closed,
        rows=rows,
        totals=totals_of([row.preview for row in rows]),
        ends_on=day_of(period.end, advertiser.zone),
        undecided=undecided_before(advertiser, day_of(period.end, advertiser.zone)),
        form=form,
        may_close=may_close,
        open_statements=open_statements(advertiser),
        books=books_of(advertiser),
        history=ClosedPeriod.objects.filter(advertiser=advertiser)[:SHOWN_MONTHS],
    )


def undecided_before(advertiser: Advertiser, day: date) -> int:
    """Return how many conversions that lock before a day nobody has decided, of those that somebody can be paid by."""
    awaited = Decision.objects.for_advertiser(advertiser).filter(
        state__in=[DecisionState.PENDING, DecisionState.ON_HOLD], locks_on__lt=day
    )
    return payable(awaited).count()


def close(request: HttpRequest, advertiser: Advertiser, month: date, now: datetime) -> HttpResponse:
    back = HttpResponseRedirect(f"{reverse('admin:closing')}?month={month:%Y-%m}")
    try:
        closed = close_month(advertiser=advertiser, month=month, actor=actor_of(request), now=now)
    except Refusal as refusal:
        messages.error(request, refusal.message)
        return back
    text = ngettext(
        "%(month)s is closed: %(n)d statement.", "%(month)s is closed: %(n)d statements.", closed.statement_count
    )
    messages.success(request, text % {"month": date_format(month, "F Y"), "n": closed.statement_count})
    return back


def preview_rows(advertiser: Advertiser, month: date) -> list[PreviewRow]:
    previews = preview_month(advertiser=advertiser, month=month)
    on = add_months(month, 1) - date.resolution
    found = obstacles_of(advertiser, [row.partner.pk for row in previews], on)
    rows = []
    for row in previews:
        why = found.get(row.partner.pk, ()) if row.payable_minor else ()
        ends = _("carried") if not row.payable_minor else _("blocked") if why else _("invoice")
        rows.append(PreviewRow(row, why, ends))
    return rows


def totals_of(rows: list[StatementPreview]) -> dict[str, Counter]:
    """Return the sums by currency."""
    totals: dict[str, Counter] = {}
    for row in rows:
        sums = totals.setdefault(row.currency, Counter())
        sums.update(
            opening=row.opening_minor, earned=row.earned_minor, payable=row.payable_minor, carried=row.carried_minor
        )
    return totals


@site.page("book/", "book")
def book(request: HttpRequest) -> HttpResponse:
    advertiser = access_of(request).advertiser
    rows = book_of(advertiser=advertiser)
    return site.render(
        request,
        "console/book.html",
        _("The book"),
        rows=rows,
        checks=checks_of(rows),
        books=books_of(advertiser),
        now=timezone.now(),
    )


@dataclass(frozen=True, slots=True)
class BookCheck:
    """A sentence about the book in a currency and by how much it is wrong; 0 is right."""

    currency: str
    accrued_minor: int
    payable_minor: int
    accrued_off: int
    payable_off: int

    @property
    def holds(self) -> bool:
        return not (self.accrued_off or self.payable_off)


def checks_of(rows: list[BookRow]) -> list[BookCheck]:
    found = []
    for currency in sorted({row.currency for row in rows}):
        mine = [row for row in rows if row.currency == currency]
        found.append(
            BookCheck(
                currency=currency,
                accrued_minor=sum(row.accrued_minor for row in mine),
                payable_minor=sum(row.payable_minor for row in mine),
                accrued_off=sum(abs(row.accrued_difference) for row in mine),
                payable_off=sum(abs(row.payable_difference) for row in mine),
            )
        )
    return found
