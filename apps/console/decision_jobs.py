"""Decisions on many conversions: say how much it is, ask for it, watch it, take it back where that is possible."""

from __future__ import annotations

import io
from datetime import datetime
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

from django import forms
from django.contrib import messages
from django.core.exceptions import BadRequest, PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from apps.commissions.models import DecisionState, HoldReason, Reason
from apps.commissions.selections import Selection, movable, selected, weigh
from apps.console.access import MANAGERS, access_of, actor_of, may
from apps.console.csv_answers import csv_answer
from apps.console.forms import PlainForm
from apps.console.job_rows import HEADING, name_rows, preview_of, results_of
from apps.console.job_words import REASONS, Names, asked_of, doing, names_in, state_of
from apps.console.selections import FILTERS, selection_of
from apps.console.site import site
from apps.core.errors import Refusal
from apps.core.periods import day_of
from apps.imports.rules.tables import Columns, FileUnreadable, read_rows
from apps.pipeline.rules.listed import FIELDS
from apps.pipeline.services.deciding import REASONS_OF
from apps.pipeline.services.deciding_jobs import (
    BY_FILTER,
    KINDS,
    OPPOSITE,
    ask_by_filter,
    ask_by_list,
    cancel_job,
    confirm_job,
    is_undoing,
    job_that_undoes,
    undo_job,
    undone_by_job,
)
from apps.records.models import Job, JobItemOutcome, JobState
from apps.tracking.rules.fields import moment_of

TYPED_FROM = 100
SHOWN_ROWS = 200
LARGEST_FILE = 8 * 1024 * 1024
COLUMNS = Columns(must=("decision",), may=tuple(name for name in FIELDS if name != "decision"))
VERBS = {
    "approve": (DecisionState.APPROVED, gettext_lazy("Approve")),
    "reject": (DecisionState.REJECTED, gettext_lazy("Reject")),
    "hold": (DecisionState.ON_HOLD, gettext_lazy("Put on hold")),
    "release": (DecisionState.PENDING, gettext_lazy("Take off hold")),
}
CONSEQUENCES = {
    "approve": gettext_lazy(
        "The commissions are owed from their lock day on. An approval is not undone: until it locks it can be "
        "rejected, which takes the commission back by a linked posting."
    ),
    "reject": gettext_lazy(
        "A rejected conversion stays rejected; this cannot be undone. Approvals among them that have not locked are "
        "taken back by linked postings."
    ),
    "hold": gettext_lazy("Held conversions do not approve themselves. This can be undone."),
    "release": gettext_lazy("They wait for a decision again and approve themselves at maturity. This can be undone."),
}
HOLD_WORDS = [(reason, reason.label) for reason in (HoldReason.REVIEW, HoldReason.WAITING, Reason.SUSPICIOUS)]


class BulkForm(PlainForm):
    """Why, and for many the number typed once more."""

    def __init__(self, verb: str, count: int, *args: Any, **kwargs: Any) -> None:
        self.base_fields = {}
        super().__init__(*args, **kwargs)
        self.count = count
        if verb in ("reject", "hold"):
            choices = Reason.choices if verb == "reject" else HOLD_WORDS
            self.fields["reason"] = forms.ChoiceField(label=_("Reason"), choices=[("", _("Choose a reason")), *choices])
        self.fields["note"] = forms.CharField(label=_("Note"), max_length=300, required=False)
        if count > TYPED_FROM:
            self.fields["typed"] = forms.CharField(
                label=_("Number of conversions"), help_text=_("Type %d to go on.") % count
            )
        for name, field in self.fields.items():
            field.widget.attrs["class"] = "tb-select" if name == "reason" else "tb-input"
            field.is_wide = False
            if field.help_text:
                field.widget.attrs["aria-describedby"] = f"{name}-help"

    def clean_typed(self) -> str:
        typed = self.cleaned_data["typed"].strip().replace(",", "")
        if typed != str(self.count):
            raise forms.ValidationError(_("Type %d to go on.") % self.count)
        return typed


class UploadForm(PlainForm):
    file = forms.FileField(
        label=gettext_lazy("CSV file"),
        help_text=gettext_lazy("UTF-8, commas or semicolons, at most 40,000 rows. Nothing is decided yet."),
    )


def _managers_only(request: HttpRequest) -> None:
    if not may(request, MANAGERS):
        raise PermissionDenied


def _of_job(request: HttpRequest) -> Selection | None:
    """Return what `?job=` selects: what the job moved and nobody has moved since."""
    number = request.GET.get("job", "")
    if not number.isdecimal() or len(number) > 18:
        return None
    job = Job.objects.for_advertiser(access_of(request).advertiser).filter(pk=int(number), kind__in=KINDS).first()
    return Selection(states=(DecisionState.APPROVED,), job_id=job.pk) if job else None


@site.page("decisions/new/", "decide_many")
def decide_many(request: HttpRequest) -> HttpResponse:
    """Say how many a filter is and how much money, then ask for the decision on exactly these."""
    _managers_only(request)
    verb = request.GET.get("verb", "")
    selection = _of_job(request) if "job" in request.GET else selection_of(request)
    if verb not in VERBS or selection is None:
        raise Http404
    advertiser, now = access_of(request).advertiser, timezone.now()
    as_of = _moment(request, now)
    state, word = VERBS[verb]
    found = selected(advertiser, selection, as_of=as_of)
    weight = weigh(movable(found, state, today=day_of(now, advertiser.zone)))
    form = BulkForm(verb, weight.count, request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid() and weight.count:
        asked = _ask(request, form, selection, state, as_of)
        if asked is not None:
            return HttpResponseRedirect(reverse("admin:decision_job", args=[asked]))
    kept = urlencode({name: request.GET[name] for name in FILTERS if request.GET.get(name)})
    back = reverse("admin:tracking_conversion_changelist") + (f"?{kept}" if kept else "")
    title = ngettext("%(verb)s %(n)d conversion", "%(verb)s %(n)d conversions", weight.count)
    return site.render(
        request,
        "console/decide_many.html",
        title % {"verb": word, "n": weight.count},
        crumbs=[{"title": _("Conversions"), "link": back}],
        weight=weight,
        states=[(DecisionState(name).label, name, count) for name, count in sorted(weight.by_state.items())],
        left_out=found.count() - weight.count,
        more_partners=max(0, weight.partner_count - len(weight.partners)),
        consequence=CONSEQUENCES[verb],
        form=form,
        as_of=as_of,
        key=request.POST.get("key") or uuid4().hex,
        back=back,
        word=word,
        is_danger=verb == "reject",
    )


def _moment(request: HttpRequest, now: datetime) -> datetime:
    """Return the moment that the page was shown at. Raises BadRequest where the page has never said that."""
    try:
        return min(moment_of(request.POST, "as_of", now) or now, now)
    except Refusal as refusal:
        raise BadRequest(refusal.message) from None


def _ask(request: HttpRequest, form: BulkForm, selection: Selection, state: str, as_of: datetime) -> int | None:
    """Ask for the job; show a refusal in the form."""
    try:
        asked = ask_by_filter(
            advertiser=access_of(request).advertiser,
            selection=selection,
            state=state,
            reason=form.cleaned_data.get("reason", ""),
            note=form.cleaned_data["note"],
            actor=actor_of(request),
            key=request.POST.get("key", "")[:64] or uuid4().hex,
            as_of=as_of,
            now=timezone.now(),
        )
    except Refusal as refusal:
        form.refuse(refusal)
        return None
    return asked.job.pk


@site.page("decisions/upload/", "upload_decisions")
def upload_decisions(request: HttpRequest) -> HttpResponse:
    """Take a file of decisions and show what each row would do."""
    _managers_only(request)
    form = UploadForm(request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        file = form.cleaned_data["file"]
        try:
            items = _rows_of(file)
            asked = ask_by_list(
                advertiser=access_of(request).advertiser,
                items=items,
                actor=actor_of(request),
                key=uuid4().hex,
                now=timezone.now(),
                is_draft=True,
                name=file.name,
            )
        except Refusal as refusal:
            form.add_error("file", refusal.message)
        else:
            return HttpResponseRedirect(reverse("admin:decision_job", args=[asked.job.pk]))
    back = reverse("admin:tracking_conversion_changelist")
    crumbs = [{"title": _("Conversions"), "link": back}]
    return site.render(
        request,
        "console/upload_decisions.html",
        _("Decide by CSV"),
        crumbs=crumbs,
        form=form,
        back=back,
        fields=FIELDS,
        codes=[
            (word, [(code, REASONS[code]) for code in REASONS_OF[state]])
            for word, state in ((_("To reject or correct"), "REJECTED"), (_("To put on hold"), "ON_HOLD"))
        ],
    )


def _rows_of(file: Any) -> list[dict[str, object]]:
    """Return a file's rows by column, each with its line; a row that cannot be read says so itself."""
    if file.size > LARGEST_FILE:
        raise FileUnreadable(_("The file is larger than 8 MB."), code="file_too_large")
    try:
        text = file.read().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise FileUnreadable(_("The file is not UTF-8 text."), code="not_text") from None
    rows: list[dict[str, object]] = []
    for row in read_rows(io.StringIO(text, newline=""), COLUMNS, file.name[:80]):
        if row.refused:
            rows.append({"broken": row.refused.message, "row": row.line})
            continue
        cells = {name: cell.strip() for name, cell in zip(COLUMNS.all, row.cells, strict=True) if cell.strip()}
        rows.append({**cells, "row": row.line})
    return rows


@site.page("decisions/", "decision_jobs")
def decision_jobs(request: HttpRequest) -> HttpResponse:
    """List the last jobs of decisions."""
    jobs = Job.objects.for_advertiser(access_of(request).advertiser).filter(kind__in=KINDS).order_by("-started_at")
    back = reverse("admin:tracking_conversion_changelist")
    shown = list(jobs[:50])
    names = names_in(access_of(request).advertiser, shown)
    return site.render(
        request,
        "console/decision_jobs.html",
        _("Decisions at scale"),
        crumbs=[{"title": _("Conversions"), "link": back}],
        jobs=[_line(job, names) for job in shown],
        back=back,
    )


def _line(job: Job, names: Names) -> dict[str, Any]:
    """Return a job as the list shows it."""
    reason = REASONS.get(job.content.get("reason", ""), "")
    return {"job": job, "word": doing(job), "asked": asked_of(job, names), "reason": reason, "state": state_of(job)}


@site.page("decisions/<int:job_id>/", "decision_job")
def decision_job(request: HttpRequest, job_id: int) -> HttpResponse:
    """Show how far a job is, what it could not do, and the ways back; POST cancels, confirms or undoes it."""
    advertiser = access_of(request).advertiser
    job = Job.objects.for_advertiser(advertiser).filter(pk=job_id, kind__in=KINDS).first()
    if job is None:
        raise Http404
    if request.method == "POST":
        return _act(request, job)
    is_draft = job.state == JobState.DRAFT
    preview = preview_of(advertiser, job, now=timezone.now()) if is_draft else None
    items = preview.items[:SHOWN_ROWS] if preview else list(_told_items(job))
    if preview is None:
        name_rows(advertiser, items)
    state = job.content.get("state", "")
    may_undo = job.is_over and job.kind == BY_FILTER and state in OPPOSITE and job.moved > 0 and not is_undoing(job)
    undone_by = job_that_undoes(job) if may_undo else None
    return site.render(
        request,
        "console/decision_job.html",
        f"{doing(job)} · {job.pk}",
        crumbs=[{"title": _("Conversions"), "link": reverse("admin:tracking_conversion_changelist")}],
        job=job,
        items=items,
        is_draft=is_draft,
        refused=max(job.refused, preview.refused if preview else 0),
        preview=preview,
        word=state_of(job),
        asked=asked_of(job, names_in(advertiser, [job])),
        undone=undone_by_job(job),
        unchanged=job.items.filter(outcome=JobItemOutcome.UNCHANGED).count() if job.kind != BY_FILTER else 0,
        reason=REASONS.get(job.content.get("reason", ""), ""),
        may_write=may(request, MANAGERS),
        is_running=job.state in (JobState.WAITING, JobState.RUNNING),
        is_undoable=may_undo and undone_by is None,
        undone_by=undone_by,
        is_rejectable=job.is_over and state == DecisionState.APPROVED and job.moved > 0,
        is_final=job.is_over and state == DecisionState.REJECTED,
    )


@site.page("decisions/<int:job_id>/results.csv", "decision_results")
def decision_results(request: HttpRequest, job_id: int) -> HttpResponseBase:
    """Answer with what came of each row of a job, as a file."""
    job = Job.objects.for_advertiser(access_of(request).advertiser).filter(pk=job_id, kind__in=KINDS).first()
    if job is None:
        raise Http404
    return csv_answer(f"decisions-{job.pk}.csv", HEADING, results_of(job))


def _told_items(job: Job) -> Any:
    """Return the rows to show: what was refused of a filter, the rows of a list with these first."""
    refused = job.items.filter(outcome=JobItemOutcome.REFUSED).order_by("number")
    if job.kind == BY_FILTER:
        return refused[:SHOWN_ROWS]
    rest = job.items.exclude(outcome=JobItemOutcome.REFUSED).order_by("number")
    return [*refused[:SHOWN_ROWS], *rest[:SHOWN_ROWS]]


def _act(request: HttpRequest, job: Job) -> HttpResponse:
    _managers_only(request)
    verb = {"cancel": cancel_job, "confirm": confirm_job, "undo": undo_job}.get(request.POST.get("verb", ""))
    if verb is None:
        raise Http404
    try:
        found: Any = verb(
            advertiser=access_of(request).advertiser, job_id=job.pk, actor=actor_of(request), now=timezone.now()
        )
    except Refusal as refusal:
        messages.error(request, refusal.message)
        return HttpResponseRedirect(reverse("admin:decision_job", args=[job.pk]))
    return HttpResponseRedirect(reverse("admin:decision_job", args=[getattr(found, "job", found).pk]))
