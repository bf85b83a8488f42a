"""The story of one conversion: touch, conversion, share, rule, decision, posting, statement, invoice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction
from itertools import accumulate
from typing import Any

from django.urls import reverse
from django.utils.dateparse import parse_datetime
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from apps.commissions.holding import reasons_to_look
from apps.commissions.models import (
    Commission,
    CommissionKind,
    Decision,
    DecisionState,
    HoldReason,
    Move,
    Reason,
    Superseded,
)
from apps.console import display, words
from apps.console.amounts import unpaid
from apps.console.code_notes import code_notes
from apps.core.errors import Refusal
from apps.invoices.models import Settlement
from apps.ledger.models import Posting
from apps.partners.models import Partnership
from apps.pipeline.receipts import explain_conversion
from apps.pipeline.selectors import knows_goal
from apps.statements.models import StatementLine
from apps.tracking.models import Conversion, TouchKind

TOUCHED, ORDERED, TOLD, SHARED, CORRECTED, LATER = range(6)


@dataclass(frozen=True, slots=True)
class Step:
    """Something that happened on the way; `details` are sentences below the title.

    Of one moment the lower `rank` comes first, causes before effects; `is_exact` steps show their seconds.
    """

    at: datetime | None
    title: str
    icon: str
    tone: str = "idle"
    details: tuple[str, ...] = ()
    link: str = ""
    is_off: bool = False
    rank: int = LATER
    is_exact: bool = False


@dataclass(slots=True)
class Story:
    """What is known of a conversion; `beside_lines_minor` is the part of its amount that its lines do not explain."""

    steps: list[Step] = field(default_factory=list)
    receipt: dict[str, Any] | None = None
    why_not: str = ""
    shares: list[dict[str, Any]] = field(default_factory=list)
    touches: list[dict[str, Any]] = field(default_factory=list)
    rating: list[dict[str, Any]] = field(default_factory=list)
    flags: list[str] = field(default_factory=list)
    commissions: list[Commission] = field(default_factory=list)
    lines: list[Any] = field(default_factory=list)
    beside_lines_minor: int = 0


def story_of(conversion: Conversion) -> Story:
    """Gather what is known of a conversion; a constant number of queries."""
    story = Story()
    story.lines = list(conversion.lines.order_by("position"))
    for line in story.lines:
        line.total_minor = line.quantity * line.unit_price_minor
    if story.lines:
        told = sum(line.total_minor for line in story.lines) - conversion.discount_minor
        story.beside_lines_minor = conversion.amount_minor - max(0, told)
    names = partner_names(conversion)
    story.commissions = list(Commission.objects.filter(conversion=conversion).select_related("partner").order_by("pk"))
    try:
        story.receipt = explain_conversion(conversion.pk)
    except Refusal as refusal:
        story.why_not = refusal.message
    if story.receipt:
        read_receipt(story, story.receipt, names, conversion)
        story.flags += looks(conversion, story.commissions)
    story.steps = [
        *touch_steps(story.touches),
        conversion_step(conversion),
        *share_steps(conversion, story),
        *decision_steps(conversion),
        *money_steps(conversion, story.commissions),
    ]
    return story


def looks(conversion: Conversion, commissions: list[Commission]) -> list[str]:
    """Say in one sentence all that an open conversion is to be looked at for, not only what it is held for."""
    pays = any(row.payable and row.amount_minor for row in commissions)
    knows = not pays or knows_goal(conversion.campaign, conversion.goal, conversion.occurred_at)
    reasons = reasons_to_look(
        conversion_id=conversion.pk, campaign_id=conversion.campaign_id, pays_unknown_goal=not knows
    )
    said = [str(HoldReason(code).label) for code in reasons]
    if HoldReason.UNKNOWN_GOAL in reasons:
        said[-1] = f"{said[-1]} ({conversion.goal})"
    return [_("To be looked at: %s.") % "; ".join(said)] if said else []


def partner_names(conversion: Conversion) -> dict[str, tuple[str, str]]:
    """Return (name, address of the page) by short name for the advertiser's partners."""
    rows = Partnership.objects.filter(advertiser=conversion.advertiser_id).values_list(
        "partner__slug", "partner__name", "pk"
    )
    return {slug: (name, reverse("admin:partners_partnership_change", args=[pk])) for slug, name, pk in rows}


def read_receipt(story: Story, receipt: dict[str, Any], names: dict, conversion: Conversion) -> None:
    """Turn the receipt's codes into words and its names into people's."""

    def who(slug: str | None) -> str:
        if slug is None:
            return _("own channel")
        return names.get(slug, (slug.removeprefix("channel:"), ""))[0]

    kinds = dict(TouchKind.choices)
    for touch in receipt["touches"]:
        story.touches.append(
            {
                "id": touch["id"],
                "at": parse_datetime(touch["at"]) if touch.get("at") else None,
                "kind": kinds.get(touch.get("kind"), touch.get("kind") or _("touch no longer kept")),
                "who": who(touch.get("partner")) if touch.get("kind") else "",
                "channel": touch.get("channel", ""),
                "kept": touch["kept"],
                "reason": words.reason(touch.get("reason")),
                "code": touch.get("reason", ""),
            }
        )
    story.shares = [
        {**share, "who": who(share["partner"]), "link": names.get(share["partner"], ("", ""))[1]}
        for share in receipt["shares"]
    ]
    story.rating = rated_once(receipt, who)
    about_codes = code_notes(conversion, receipt, names)
    told = {"coupon_unknown", "coupon_expired"} if about_codes else set()
    story.flags = [*(words.flag(flag) for flag in receipt["flags"] if flag not in told), *about_codes]


def rated_once(receipt: dict[str, Any], who: Callable[[str], str]) -> list[dict[str, Any]]:
    """Return the rule per line once for all partners of the same plan."""
    by_plan: dict[str, list[str]] = {}
    for row in receipt["rating"]:
        partners = by_plan.setdefault(row["plan"], [])
        if row["partner"] not in partners:
            partners.append(row["partner"])
    everybody = len(receipt["shares"]) > 1
    rows = []
    for plan, partners in by_plan.items():
        is_all = everybody and len(partners) == len(receipt["shares"])
        names = _("all partners") if is_all else ", ".join(who(partner) for partner in partners)
        rows += [
            {**row, "who": names} for row in receipt["rating"] if row["plan"] == plan and row["partner"] == partners[0]
        ]
    return rows


def touch_steps(touches: list[dict[str, Any]]) -> list[Step]:
    return [
        Step(
            at=touch["at"],
            title=_("%(kind)s by %(who)s") % {"kind": touch["kind"], "who": touch["who"]}
            if touch["who"]
            else str(touch["kind"]),
            icon="ads_click" if touch["kept"] else "remove",
            tone="info" if touch["kept"] else "idle",
            details=() if touch["kept"] else (_("Does not count: %s.") % touch["reason"],),
            is_off=not touch["kept"],
            rank=TOUCHED,
        )
        for touch in touches
    ]


def conversion_step(conversion: Conversion) -> Step:
    details = [
        _("%(goal)s in %(campaign)s, told by %(source)s.")
        % {
            "goal": words.GOALS.get(conversion.goal, conversion.goal),
            "campaign": conversion.campaign,
            "source": words.SOURCES.get(conversion.source, conversion.source),
        }
    ]
    if conversion.coupons:
        details.append(_("Codes: %s.") % ", ".join(conversion.coupons))
    if hasattr(conversion, "duplicate"):
        verdict = conversion.duplicate
        details.append(
            _("Not paid: it repeats order %(order)s (%(scope)s).")
            % {"order": verdict.original.order_ref, "scope": verdict.get_scope_display()}
        )
    for lifted in conversion.lifted_duplicates.select_related("original").order_by("pk"):
        details.append(_("It repeated order %s until that was rejected.") % lifted.original.order_ref)
    return Step(
        at=conversion.occurred_at,
        title=_("Order %(order)s: %(amount)s")
        % {"order": conversion.order_ref, "amount": display.amount(conversion.amount_minor, conversion.currency)},
        icon="shopping_bag",
        tone="info",
        details=tuple(details),
        rank=ORDERED,
    )


def share_steps(conversion: Conversion, story: Story) -> list[Step]:
    """Return each result that the conversion came to, the one that stands last."""
    # Equal moments are steps of one act; an earlier one is but another worker's clock, and the key tells the order.
    before = [row for row in conversion.superseded.order_by("pk") if row.replaced_at != row.settled_at]
    if story.receipt is None:
        return [Step(at=None, title=_("Not settled yet"), icon="hourglass_top", details=(story.why_not,))]
    names = partner_names(conversion) if before else {}
    receipt = getattr(conversion, "receipt", None)
    worked_out = [row.settled_at for row in before] + ([receipt.settled_at] if receipt else [])
    moments = list(accumulate(worked_out, max, initial=conversion.occurred_at))[1:]
    found = [
        step
        for place, (row, at) in enumerate(zip(before, moments, strict=False))
        for step in superseded_steps(conversion, row, names, place, at)
    ]
    parts = [
        f"{share['who']}: {share['share']} → {share['commission']} {story.receipt['currency']}"
        for share in story.shares
    ]
    if story.receipt["unpaid_share"] != "0":
        parts.append(_("Nobody: %s") % story.receipt["unpaid_share"])
    rules = sorted({row["rule"] for row in story.rating if row["rule"]})
    if rules:
        parts.append(_("By rule: %s") % ", ".join(rules))
    title = _("Worked out anew: %(amount)s %(currency)s") if before else _("Shared and rated: %(amount)s %(currency)s")
    return [
        *found,
        Step(
            at=moments[-1] if receipt else None,
            title=title % {"amount": story.receipt["commission"], "currency": story.receipt["currency"]},
            icon="account_tree",
            tone="info",
            details=tuple(parts) or (_("No partner takes part."),),
            rank=SHARED,
        ),
    ]


def superseded_steps(conversion: Conversion, row: Superseded, names: dict, place: int, at: datetime) -> list[Step]:
    """Return what an earlier result said, and its corrections; none of it holds any more."""
    parts, corrections = [], []
    for earned in row.earned:
        who = names.get(earned["partner"], (earned["partner"], ""))[0]
        if earned["kind"] == CommissionKind.SALE:
            parts.append(f"{who}: {Fraction(earned['share'])} → {display.amount(earned['amount_minor'], row.currency)}")
        else:
            told_at = parse_datetime(earned["recorded_at"])
            corrections.append(correction_step(conversion, who, earned["amount_minor"], told_at, is_off=True))
    title = _("Worked out anew: %s") if place else _("Shared and rated: %s")
    step = Step(
        at=at,
        title=title % display.amount(row.total_minor, row.currency),
        icon="account_tree",
        details=tuple(parts) or (_("No partner takes part."),),
        is_off=True,
        rank=SHARED,
    )
    return [step, *corrections]


def correction_step(
    conversion: Conversion, who: str, amount_minor: int, at: datetime | None, *, is_off: bool = False
) -> Step:
    amount = display.amount(amount_minor, conversion.currency)
    text = _("Correction for %(partner)s: %(amount)s") % {"partner": who, "amount": amount}
    link = reverse("admin:refund", args=[conversion.pk])
    return Step(at, text, "difference", "idle" if is_off else "warn", (), link, is_off, rank=CORRECTED)


def decision_steps(conversion: Conversion) -> list[Step]:
    decision = getattr(conversion, "decision", None)
    if decision is None:
        return []
    reasons = {**dict(Reason.choices), **dict(HoldReason.choices)}
    steps = []
    for move in Move.objects.filter(conversion=conversion).order_by("pk"):
        tone, icon = display.TONES[move.state]
        details = [_("By %(who)s, from %(state)s.") % {"who": move.moved_by, "state": move.get_origin_display()}]
        if move.reason:
            details.append(f"{reasons[move.reason]}.")
        if move.note:
            details.append(str(words.NOTES.get(move.note, move.note)))
        steps.append(Step(move.moved_at, str(DecisionState(move.state).label), icon, tone, tuple(details)))
    if not steps and decision.decided_at:
        tone, icon = display.TONES[decision.state]
        steps.append(
            Step(
                decision.decided_at, str(decision.get_state_display()), icon, tone, (_("By %s.") % decision.decided_by,)
            )
        )
    if why := unpaid(conversion):
        steps.append(Step(None, why, "money_off"))
    elif decision.state in {DecisionState.PENDING, DecisionState.ON_HOLD}:
        steps.append(awaited_step(decision))
    return steps


def awaited_step(decision: Decision) -> Step:
    if decision.state == DecisionState.ON_HOLD:
        return Step(
            None, _("Waits for a decision"), "pause_circle", "hold", (_("On hold: it does not approve itself."),)
        )
    text = _("Approves itself after %(day)s; expected payment on %(pay)s.")
    days = {"day": date_format(decision.decide_by, "j M Y"), "pay": date_format(decision.pays_on, "j M Y")}
    return Step(None, _("Waits for a decision"), "schedule", "warn", (text % days,))


def money_steps(conversion: Conversion, commissions: list[Commission]) -> list[Step]:
    references = [f"commission:{row.pk}{end}" for row in commissions for end in ("", ":reversed")]
    postings = list(
        Posting.objects.filter(advertiser=conversion.advertiser_id, reference__in=references)
        .select_related("credit__partner", "debit__partner")
        .order_by("posted_at", "pk")
    )
    lines = list(
        StatementLine.objects.filter(posting__in=postings)
        .select_related("statement__partner")
        .order_by("statement__place")
    )
    statements = list({line.statement_id: line.statement for line in lines}.values())
    settlements = Settlement.objects.filter(statement__in=statements, reversed_at__isnull=True).select_related(
        "invoice__partner"
    )
    steps = []
    for posting in postings:
        owed = posting.credit.partner is not None
        title = _("Owed to %(partner)s: %(amount)s") if owed else _("Taken back from %(partner)s: %(amount)s")
        steps.append(
            Step(
                posting.posted_at,
                title
                % {
                    "partner": posting.credit.partner or posting.debit.partner,
                    "amount": display.amount(posting.amount_minor, posting.currency),
                },
                "menu_book",
                "good" if owed else "bad",
                (_("Due on %s.") % date_format(posting.due_on, "j M Y"),),
            )
        )
    for statement in statements:
        link = reverse("admin:statements_statement_change", args=[statement.pk])
        steps.append(
            Step(statement.issued_at, _("On the statement %s") % statement, "account_balance_wallet", "good", (), link)
        )
    invoices = {row.invoice.pk: row.invoice for row in settlements if row.invoice}
    for invoice in invoices.values():
        link = reverse("admin:invoices_invoice_change", args=[invoice.pk])
        details = (_("Pays on %s.") % date_format(invoice.pay_on, "j M Y"),) if invoice.pay_on else ()
        title = _("Invoice %(number)s to %(partner)s") % {"number": invoice.number, "partner": invoice.partner}
        steps.append(Step(invoice.issued_at, title, "description", "good", details, link))
    return steps
