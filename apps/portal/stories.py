"""Why one conversion earns what it earns, and its course from the first touch to the money."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from itertools import accumulate
from typing import Any

from django.db.models import F
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from apps.commissions.models import Commission, CommissionKind
from apps.console import words
from apps.core.money import Money, digits
from apps.insights.partner_conversions import PartnerConversion
from apps.invoices.models import Settlement
from apps.invoices.services import statement_reference
from apps.partners.models import AdSpace, Partner
from apps.pipeline.receipts import explain_to_partner
from apps.pipeline.services.correcting import AMENDED
from apps.portal.formats import decimal_text, money, share, signed_money, unrounded_money
from apps.portal.templatetags.portal import reason as said_reason
from apps.tracking.models import AmendmentOrigin, ConversionLine, Touchpoint
from apps.tracking.selectors import amendments_told

EXACT_PLACES = 6


def receipt_of(row: PartnerConversion, partner: Partner) -> dict[str, Any]:
    """Return the partner's own part of the receipt, said in words. Raises NotSettled."""
    own = explain_to_partner(conversion_id=row.id, partner=partner)
    commission = row.original
    part, currency = Fraction(own["share"]), own["currency"]
    names = {line.sku or f"#{line.position}": line for line in ConversionLine.objects.filter(conversion_id=row.id)}
    beside = f"#{len(names) + 1}" if names else ""  # what the lines lack of the amount, as an accepted claim may add
    lines = [_line(line, names.get(line["line"]), currency, line["line"] == beside) for line in own["lines"]]
    total = sum((Fraction(line["exact"]) for line in own["lines"]), Fraction(0))
    version = commission.share.policy_version if commission.share else None
    model = words.MODELS.get(version.settings.get("model", ""), None) if version else None
    plan = commission.plan_version
    return {
        "share": part,
        "others": own["others"] if commission.advertiser.shows_others else None,
        "model": f"{model[0]}: {model[1]}" if model else "",
        "policy": _("policy %(name)s, version %(number)d") % {"name": version.policy.name, "number": version.number}
        if version
        else "",
        "roles": own["roles"],
        "touches": _touches(own["touches"], partner),
        "plan": _("plan %(name)s, version %(number)d") % {"name": plan.plan.name, "number": plan.number}
        if plan
        else "",
        "lines": lines,
        "total_exact": exact_text(total, currency),
        "share_exact": exact_text(total * part, currency),
        "amount": Money.parse(own["commission"], currency),
        **_rounding(total * part, Money.parse(own["commission"], currency)),
        "hash": own["hash"],
        "verified": own["verified"],
    }


def _line(line: dict[str, Any], item: ConversionLine | None, currency: str, is_beside: bool) -> dict[str, Any]:
    name = _("The order as a whole") if line["line"] == "ORDER" else item.name if item and item.name else line["line"]
    if item is None and is_beside:
        name = _("In no line of the order")
    return {
        "name": name,
        "category": item.category if item and item.category != "DEFAULT" else "",
        "base": Money.parse(line["base"], currency),
        "rule": line["rule"] or (_("per order, least and most") if line["line"] == "ORDER" else None),
        "rate": said_rate(line["rate"], currency),
        "exact": exact_text(Fraction(line["exact"]), currency),
        "tried": ", ".join(line.get("tried") or []) if line["rule"] else "",
    }


def said_rate(rate: str | None, currency: str) -> str:
    """Return a receipt's rate in the reader's language: `5 % of gross` is `5 % of the amount before discount`."""
    said = []
    for part in (rate or "").split(" + "):
        value, _space, unit = part.partition(" ")
        if unit == "%":
            said.append(f"{decimal_text(Decimal(value))}\N{NO-BREAK SPACE}%")
        elif unit == "% of gross":
            said.append(_("%s %% before discount") % decimal_text(Decimal(value)))
        elif unit in ("per line", "per unit", "per order"):
            amount = exact_text(Fraction(value), currency)
            per = {"per line": _("%s per line"), "per unit": _("%s per piece"), "per order": _("%s per order")}
            said.append(per[unit] % amount)
        elif part:
            said.append(part)
    return " + ".join(said)


def exact_text(value: Fraction, currency: str) -> str:
    """Return an unrounded amount with all its decimals: `4.4784 €`, and `≈ 3.333333 €` where they do not end."""
    for places in range(digits(currency), EXACT_PLACES + 1):
        if (value * 10**places).denominator == 1:
            return unrounded_money(Decimal(int(value * 10**places)).scaleb(-places), currency)
    rounded = Decimal(round(value * 10**EXACT_PLACES)).scaleb(-EXACT_PLACES)
    return f"≈\N{NO-BREAK SPACE}{unrounded_money(rounded, currency)}"


def _rounding(exact: Fraction, amount: Money) -> dict[str, Any]:
    if exact == Fraction(amount.decimal):
        return {"rounding": _("Nothing to round; your commission is"), "is_rounded": False}
    return {"rounding": _("Rounded so that all parts add up to the cent; your commission is"), "is_rounded": True}


def _touches(touches: list[dict[str, Any]], partner: Partner) -> list[dict[str, Any]]:
    spaces = dict(AdSpace.objects.filter(partner=partner).values_list("pk", "name"))
    own = Touchpoint.objects.filter(partner_id=partner.pk, id__in=[touch["id"] for touch in touches])
    space_of = {str(pk): spaces.get(space, "") for pk, space in own.values_list("id", "ad_space_id")}
    return [
        {
            "kind": touch["kind"],
            "at": datetime.fromisoformat(touch["at"]),
            "ad_space": space_of.get(touch["id"], ""),
            "kept": touch["kept"],
            "reason": touch.get("reason", ""),
            "said": str(words.reason(touch.get("reason"))),
        }
        for touch in touches
        if "at" in touch
    ]


def corrections_of(row: PartnerConversion, partner: Partner) -> list[dict[str, Any]]:
    """Return what was added to or taken from the commission since, each with its day and the reason in words."""
    rows = Commission.objects.filter(partner=partner, conversion_id=row.id, kind=CommissionKind.CORRECTION)
    return [
        {
            "on": one.recorded_at or one.occurred_at,
            "text": _("The shop has told the order anew") if one.reason == AMENDED else said_reason(one.reason),
            "amount": Money(one.amount_minor, one.currency),
        }
        for one in rows.order_by("pk")
    ]


# --- its course -----------------------------------------------------------------------------------


def steps_of(row: PartnerConversion, receipt: dict[str, Any], partner: Partner) -> list[dict[str, Any]]:
    """Return what happened and what is next, in order; what was worked out before and corrected since in its place."""
    decided = _decision(row)
    past = [*_results(row, partner), *[step for step in decided if "at" in step]]
    ahead = [step for step in decided if "at" not in step]
    return [*_before(row, receipt), *sorted(past, key=lambda step: step["at"]), *ahead, *_money(row, partner)]


def _before(row: PartnerConversion, receipt: dict[str, Any]) -> list[dict[str, Any]]:
    steps = []
    kept = [touch for touch in receipt["touches"] if touch["kept"]]
    if kept:
        more = len(kept) - 1
        text = kept[0]["ad_space"]
        if more:
            text += " · " + ngettext("and %d touch more", "and %d touches more", more) % more
        steps.append(
            {"icon": "mouse-pointer-click", "title": _("Through your link"), "at": kept[0]["at"], "text": text}
        )
    elif row.coupon:
        text = _("code %s") % row.coupon
        steps.append({"icon": "ticket-percent", "title": _("With your code"), "at": row.occurred_at, "text": text})
    return [*steps, {"icon": "shopping-bag", "title": _("Sale"), "at": row.occurred_at, "text": row.campaign}]


def _results(row: PartnerConversion, partner: Partner) -> list[dict[str, Any]]:
    """Return each result that the conversion came to for the partner, what corrected it and what was told anew."""
    conversion, currency = row.original.conversion, row.original.currency
    told: list[dict[str, Any]] = [
        {"icon": "scale", "title": item["text"], "at": item["on"], "text": signed_money(item["amount"])}
        for item in corrections_of(row, partner)
    ]
    anew = _("The shop has told the order anew")
    moments = {item["at"] for item in told if item["title"] == anew}
    amendments = amendments_told(conversion).exclude(origin=AmendmentOrigin.HOUSE)
    told += [
        {"icon": "file-text", "title": anew, "at": at}
        for at in amendments.values_list("recorded_at", flat=True)
        if at not in moments
    ]
    parts: list[tuple[datetime, Fraction, int]] = []
    # Equal moments are steps of one act; an earlier one is but another worker's clock, and the key tells the order.
    for before in conversion.superseded.exclude(replaced_at=F("settled_at")).order_by("pk"):
        own = [one for one in before.earned if one["partner"] == partner.slug]
        parts += [
            (before.settled_at, Fraction(one["share"]), one["amount_minor"]) for one in own if one["kind"] == "SALE"
        ]
        told += [
            {
                "icon": "scale",
                "title": anew if one.get("reason") == AMENDED else said_reason(one.get("reason", "")),
                "at": datetime.fromisoformat(one["recorded_at"]),
                "text": signed_money(Money(one["amount_minor"], currency)),
            }
            for one in own
            if one["kind"] == "CORRECTION"
        ]
    parts.append((conversion.receipt.settled_at, row.share, row.original.amount_minor))
    worked_out = list(accumulate((at for at, _part, _minor in parts), max, initial=row.occurred_at))[1:]
    results = [
        {
            "icon": "split",
            "title": _("Worked out anew") if place else _("Shared and rated"),
            "at": worked_out[place],
            "text": _("%(share)s for you: %(amount)s")
            % {"share": share(part), "amount": money(Money(minor, currency))},
        }
        for place, (_at, part, minor) in enumerate(parts)
    ]
    # Of one moment: what was told, then what it came to, then what corrected that.
    return [step for step in told if "text" not in step] + results + [step for step in told if "text" in step]


def _decision(row: PartnerConversion) -> list[dict[str, Any]]:
    decision = row.decision
    if row.status in ("TEST", "DUPLICATE", "NOT_PAYABLE"):
        return []
    if decision.state == "PENDING":
        return [
            {
                "icon": "clock",
                "title": _("Decision"),
                "on": decision.decide_by,
                "text": _("approved by itself if nobody objects by then"),
                "state": "next",
            },
            *_payment(row),
        ]
    if decision.state == "ON_HOLD":
        text = _("The advertiser looks at it more closely.")
        return [
            {"icon": "circle-pause", "title": _("On hold"), "at": decision.decided_at, "text": text, "tone": "info"}
        ]
    if decision.state == "REJECTED":
        text = str(decision.get_reason_display())
        return [{"icon": "circle-x", "title": _("Rejected"), "at": decision.decided_at, "text": text, "tone": "error"}]
    return [{"icon": "circle-check", "title": _("Approved"), "at": decision.decided_at, "tone": "success"}]


def _money(row: PartnerConversion, partner: Partner) -> list[dict[str, Any]]:
    if row.decision.state != "APPROVED" or row.status in ("TEST", "DUPLICATE", "NOT_PAYABLE"):
        return []
    lock = {"icon": "lock", "title": _("Locked"), "on": row.decision.locks_on}
    if row.line is None:
        lock |= {"state": "done" if row.status == "LOCKED" else "next"}
        lock["text"] = _("from then on nothing is taken back")
        return [lock, *_payment(row)]
    statement = row.line.statement
    steps = [
        lock,
        {
            "icon": "file-text",
            "title": _("On a statement"),
            "at": statement.issued_at,
            "url": reverse("portal:statement", args=[statement.pk]),
            "url_word": _("Statement %s") % statement_reference(statement),
        },
    ]
    settlement = (
        Settlement.objects.filter(statement=statement, statement__partner=partner, reversed_at=None)
        .select_related("invoice")
        .first()
    )
    invoice = settlement.invoice if settlement else None
    if invoice is not None:
        step = {"icon": "receipt-text", "title": _("Invoiced"), "on": invoice.issued_on}
        if invoice.document_id:
            step |= {"url": reverse("portal:invoice_pdf", args=[invoice.pk])}
        steps.append({**step, "url_word": _("Invoice %s") % invoice.number})
    return [*steps, *_payment(row)]


def _payment(row: PartnerConversion) -> list[dict[str, Any]]:
    if row.pays_on is None:
        return []
    state = "done" if row.pay_day_passed else "next"
    return [{"icon": "banknote", "title": _("Pay day"), "on": row.pays_on, "state": state}]
