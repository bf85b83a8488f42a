"""Claims: report what is missing or wrong, one by one or by a file, and see how it was answered."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from apps.campaigns.models import Campaign
from apps.claims.models import Claim, ClaimKind, ClaimState
from apps.claims.rules import COLUMNS, ClaimFact, Joined, UnreadableFile, read_claim, read_table
from apps.claims.selectors import counts_by_state, joined_by, standing_of
from apps.claims.services import refuse_needless, report_claim, withdraw_claim
from apps.core.errors import Refusal
from apps.core.money import InvalidAmount, Money
from apps.core.periods import day_of
from apps.partners.models import Partner
from apps.portal.access import actor_of, partner_page, render
from apps.portal.evidence import ACCEPT, WRONG_FILE, files_of, read_files
from apps.tracking.models import Conversion
from apps.tracking.selectors import click_keys

PER_PAGE = 50
TOO_LARGE = "too large"
LARGEST_FILE = 1_000_000
KINDS = {
    ClaimKind.MISSING: gettext_lazy("A sale is missing"),
    ClaimKind.WRONG: gettext_lazy("The amount is wrong"),
    ClaimKind.DECLINED: gettext_lazy("It was rejected wrongly"),
}
STATES = {
    ClaimState.OPEN: ("OPEN", gettext_lazy("Open")),
    ClaimState.ESCALATED: ("OPEN", gettext_lazy("Overdue")),
    ClaimState.ACCEPTED: ("APPROVED", gettext_lazy("Accepted")),
    ClaimState.DECLINED: ("REJECTED", gettext_lazy("Declined")),
    ClaimState.WITHDRAWN: ("ENDED", gettext_lazy("Withdrawn")),
}
WHY_DECLINED = {
    "not_found": gettext_lazy("The shop does not know this order."),
    "other_partner": gettext_lazy("Another partner brought the order."),
    "no_contact": gettext_lazy("No click or code of yours came before the order."),
    "credited": gettext_lazy("The order is credited to you already."),
    "cancelled": gettext_lazy("The order was cancelled or returned."),
    "terms_breach": gettext_lazy("It breaks the campaign's terms."),
    "too_late": gettext_lazy("The claim came too late."),
    "no_evidence": gettext_lazy("The evidence does not show it."),
}
WRONG = {
    "unknown_campaign": gettext_lazy("Choose one of your campaigns."),
    "unknown_click": gettext_lazy("This is no click id of the campaign."),
    "missing_field": gettext_lazy("This is needed."),
    "invalid_amount": gettext_lazy("Write the amount as 1083.29."),
    "claim_open_already": gettext_lazy("You have an open claim for this order already, with other content."),
    "credited_already": gettext_lazy(
        "The order is credited to you as a whole already. If its amount is wrong, report that."
    ),
    "amount_as_told": gettext_lazy("This is the amount that the order has."),
    "file_unreadable": gettext_lazy("The file cannot be read: see below which columns it has."),
    **WRONG_FILE,
}
WRONG_FIELD = {
    "occurred_at": gettext_lazy("Write a time of the last two years as 2026-03-10 12:00."),
    "currency": gettext_lazy("The campaign does not take this currency."),
}


def said(refusal: Refusal) -> str:
    """Return a refusal in the reader's language."""
    if isinstance(refusal, InvalidAmount) and TOO_LARGE in refusal.message:
        return _("The amount is too large.")
    return str(WRONG.get(refusal.code) or WRONG_FIELD.get(refusal.path) or refusal.message)


@require_GET
@partner_page
def claims(request: HttpRequest) -> HttpResponse:
    counts = counts_by_state(partner=request.partner)
    chosen = request.GET.get("state", "")
    chosen = chosen if chosen in ClaimState.values else ""
    rows = Claim.objects.for_partner(request.partner).select_related("campaign", "advertiser")
    if chosen:
        rows = rows.filter(state=chosen)
    page = Paginator(rows.order_by("-told_at", "-pk"), PER_PAGE).get_page(request.GET.get("page"))
    page.object_list = [shown(row) for row in page.object_list]
    tabs = [{"code": "", "word": _("All"), "count": sum(counts.values())}]
    tabs += [{"code": str(state), "word": word, "count": counts[state]} for state, (_tone, word) in STATES.items()]
    return render(request, "portal/claims.html", as_of=True, claims=page, tabs=tabs, chosen=chosen)


def shown(claim: Claim) -> dict[str, Any]:
    """Return a claim as its partner sees it."""
    tone, word = STATES[ClaimState(claim.state)]
    return {
        "id": claim.pk,
        "order_ref": claim.order_ref,
        "campaign": claim.campaign.name,
        "kind": KINDS[ClaimKind(claim.kind)],
        "told_at": claim.told_at,
        "occurred_at": claim.occurred_at,
        "amount": Money(claim.amount_minor, claim.currency) if claim.amount_minor is not None else None,
        "tone": tone,
        "word": word,
        "reason": WHY_DECLINED.get(claim.reason, ""),
        "answer_by": claim.answer_by if claim.is_awaited else None,
        "is_awaited": claim.is_awaited,
        "text": claim.text,
        "coupon": claim.coupon,
    }


@require_http_methods(["GET", "POST"])
@partner_page
def new_claim(request: HttpRequest) -> HttpResponse:
    """Report one order; the address may name a conversion to begin with."""
    joined = joined_by(request.partner)
    values, errors = _begun(request), {}
    if request.method == "POST":
        values = {name: request.POST.get(name, "") for name in COLUMNS}
        try:
            fact = read_claim(values, joined=joined, click_keys=click_keys(), now=timezone.now())
            refuse_needless(partner=request.partner, fact=fact)
            reported = report_claim(
                partner=request.partner,
                fact=fact,
                actor=actor_of(request),
                now=timezone.now(),
                evidence=read_files(request),
            )
        except Refusal as refusal:
            errors = {refusal.path or "order_ref": said(refusal)}
        else:
            text = _("Your claim is with the advertiser.") if reported.created else _("This claim is open already.")
            messages.success(request, text)
            return redirect("portal:claim", claim_id=reported.claim.pk)
    return render(
        request,
        "portal/claim_new.html",
        status=422 if errors else 200,
        values=values,
        errors=errors,
        campaigns=_campaigns(joined),
        kinds=[(str(kind), word) for kind, word in KINDS.items()],
        file_types=ACCEPT,
    )


def _campaigns(joined: list[Joined]) -> list[dict[str, str]]:
    names = dict(Campaign.objects.filter(pk__in=[row.id for row in joined]).values_list("pk", "name"))
    return [{"slug": row.names[0], "name": names[row.id], "currency": row.currencies[0]} for row in joined]


def _begun(request: HttpRequest) -> dict[str, str]:
    """Return what a form that starts from one of the partner's conversions says already."""
    order = request.GET.get("order", "")[:120]
    slug = request.GET.get("campaign", "")[:80]
    if not order:
        return {"kind": "MISSING", "campaign": slug}
    mine = Conversion.objects.filter(
        order_ref=order, campaign__slug=slug, commissions__partner=request.partner
    ).select_related("decision", "campaign__advertiser")
    row = mine.first()
    if row is None:
        return {"kind": "MISSING", "campaign": slug, "order_ref": order}
    rejected = row.decision.state == "REJECTED"
    at = row.occurred_at.astimezone(row.campaign.advertiser.zone)
    return {
        "kind": "DECLINED" if rejected else "WRONG",
        "campaign": slug,
        "order_ref": row.order_ref,
        "goal": row.goal,
        "currency": row.currency,
        "occurred_at": f"{at:%Y-%m-%dT%H:%M}",
    }


@require_http_methods(["GET", "POST"])
@partner_page
def upload_claims(request: HttpRequest) -> HttpResponse:
    """Report a file of orders: first what each row would do, then, confirmed, the rows that can be read."""
    text, rows, error = "", [], ""
    if request.method == "POST":
        try:
            text = _file_of(request)
            rows = _read_rows(request.partner, text, timezone.now())
        except Refusal as refusal:
            error = said(refusal)
        if rows and request.POST.get("confirmed"):
            return _report_rows(request, rows)
    good = sum(1 for row in rows if row["fact"] is not None)
    return render(
        request,
        "portal/claim_upload.html",
        status=422 if error else 200,
        columns=COLUMNS,
        text=text if rows else "",
        rows=rows,
        good=good,
        error=error,
    )


def _file_of(request: HttpRequest) -> str:
    """Return what was sent, as a file or as the confirmed text of one. Raises UnreadableFile."""
    if "text" in request.POST:
        return request.POST["text"][:LARGEST_FILE]
    file = request.FILES.get("file")
    if file is None or (file.size or 0) > LARGEST_FILE:
        raise UnreadableFile
    try:
        return file.read().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UnreadableFile from None


def _read_rows(partner: Partner, text: str, now: datetime) -> list[dict[str, Any]]:
    joined, keys = joined_by(partner), click_keys()
    found = []
    for number, fields in enumerate(read_table(text), 2):
        fact: ClaimFact | None = None
        wrong = ""
        try:
            fact = read_claim(fields, joined=joined, click_keys=keys, now=now)
        except Refusal as refusal:
            wrong = f"{refusal.path}: {said(refusal)}" if refusal.path else said(refusal)
        amount = Money(fact.amount_minor, fact.currency) if fact and fact.amount_minor is not None else None
        found.append({"line": number, "fields": fields, "fact": fact, "wrong": wrong, "amount": amount})
    return found


def _report_rows(request: HttpRequest, rows: list[dict[str, Any]]) -> HttpResponse:
    """Report the rows that can be read, each by itself; sending the same file again reports nothing twice."""
    new = known = 0
    for row in rows:
        if row["fact"] is None:
            continue
        try:
            refuse_needless(partner=request.partner, fact=row["fact"])
            reported = report_claim(
                partner=request.partner, fact=row["fact"], actor=actor_of(request), now=timezone.now()
            )
            new, known = new + reported.created, known + (not reported.created)
        except Refusal as refusal:
            messages.error(request, _("Row %(row)d: %(why)s") % {"row": row["line"], "why": said(refusal)})
    messages.success(request, ngettext("%d claim is reported.", "%d claims are reported.", new) % new)
    if known:
        messages.info(request, ngettext("%d was open already.", "%d were open already.", known) % known)
    return redirect("portal:claims")


@require_GET
@partner_page
def claim(request: HttpRequest, claim_id: int) -> HttpResponse:
    row = (
        Claim.objects.for_partner(request.partner)
        .select_related("campaign", "advertiser", "partner")
        .filter(pk=claim_id)
        .first()
    )
    if row is None:
        raise Http404
    with timezone.override(row.advertiser.zone):
        standing = standing_of(row)
        own = row.conversion or standing.conversion
        mine = bool(own and own.commissions.filter(partner=request.partner).exists())
        return render(
            request,
            "portal/claim.html",
            claim=shown(row),
            files=files_of(row),
            file_types=ACCEPT,
            conflict=_conflict(row, standing) if row.is_awaited else "",
            days_left=(row.answer_by - day_of(timezone.now(), row.advertiser.zone)).days,
            conversion_url=reverse("portal:conversion", args=[own.pk]) if own and mine else "",
            steps=[_step(move) for move in row.moves.all()],
        )


def _conflict(row: Claim, standing: Any) -> str:
    """Say what is known of the order, naming nobody else."""
    if standing.conversion is None:
        return _("The platform does not know this order yet.")
    mine, others = standing.part_of(row.partner_id), standing.is_credited_to_others(row.partner_id)
    if mine and others:
        return _("This order is credited to you and to another partner.")
    if mine:
        return _("This order is credited to you.")
    if others:
        return _("This order is credited to another partner. The advertiser decides.")
    return _("This order is known and credited to nobody.")


def _step(move: Any) -> dict[str, Any]:
    signs = {"OPEN": "scale", "ESCALATED": "hourglass", "ACCEPTED": "circle-check", "DECLINED": "circle-x"}
    words = {"OPEN": _("Reported")}
    return {
        "icon": signs.get(move.state, "minus"),
        "title": words.get(move.state) or STATES[ClaimState(move.state)][1],
        "at": move.moved_at,
        "text": WHY_DECLINED.get(move.reason, ""),
    }


@require_POST
@partner_page
def withdraw(request: HttpRequest, claim_id: int) -> HttpResponse:
    try:
        withdraw_claim(partner=request.partner, claim_id=claim_id, actor=actor_of(request), now=timezone.now())
        messages.success(request, _("The claim is withdrawn."))
    except Refusal as refusal:
        if refusal.code == "claim_not_found":
            raise Http404 from refusal
        messages.error(request, _("The claim is answered already."))
    return redirect("portal:claim", claim_id=claim_id)
