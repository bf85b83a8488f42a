"""Answers of the engine in words: the receipt beside an editor, sentences for its rows, refusals."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any

from django.template.loader import render_to_string
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from apps.console import display, words
from apps.core.errors import Invalid
from apps.pipeline.rules import explain_text

LISTED = 200


def answer_to(source: str | bytes, *, brief: bool = False) -> dict[str, Any]:
    """Return what an editor shows for the text of a document: `html`, `receipt`, `said` by path, or `error`.

    The receipt is that of `explain`, the very function of the API and the command.
    """
    document = loaded(source)
    said = {"said": sentences(document)} if isinstance(document, dict) else {}
    try:
        receipt = explain_text(source)
    except Invalid as refusal:
        return {"error": error(refusal), **said}
    if isinstance(receipt, list):
        shown = {"answers": receipt[:LISTED], "more": len(receipt) - LISTED if len(receipt) > LISTED else 0}
        return {"html": render_to_string("console/bench_answers.html", shown), "receipt": receipt}
    story = story_of(receipt, document)
    html = render_to_string("console/bench_receipt.html", {"story": story, "brief": brief})
    return {"html": html, "receipt": receipt, **said}


def error(refusal: Invalid) -> dict[str, str]:
    return {"code": refusal.code, "path": refusal.path, "message": words.fault(refusal.code, refusal.message)}


def loaded(source: str | bytes) -> Any:
    try:
        return json.loads(source)
    except (ValueError, RecursionError):
        return None


def story_of(receipt: Mapping[str, Any], document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a receipt with its codes as words, and its touches with the facts the document says of them."""
    facts = {touch["id"]: touch for touch in document.get("touches") or ()}
    sold_at = document["conversion"]["occurred_at"]
    shares = [
        {**share, "who": share["partner"], "share": in_words(share["share"]), "width": width(share["share"])}
        for share in receipt["shares"]
    ]
    if receipt["unpaid_share"] != "0":
        part = receipt["unpaid_share"]
        nobody = {"who": _("nobody"), "share": in_words(part), "width": width(part), "is_nobody": True}
        shares.append({**nobody, "revenue": receipt["unpaid_revenue"]})
    return {
        **receipt,
        "shares": shares,
        "touches": [touch_story(touch, facts[touch["id"]], sold_at) for touch in receipt["touches"]],
        "flags": [words.flag(flag) for flag in receipt["flags"]],
        "roles": roles(receipt["roles"]),
    }


def touch_story(touch: Mapping[str, Any], facts: Mapping[str, Any], sold_at: str) -> dict[str, Any]:
    goal = facts.get("goal") if facts["kind"] == "GOAL" else None
    return {
        "kept": touch["kept"],
        "who": facts.get("partner") or goal or _("own channel"),
        "kind": words.KINDS.get(facts["kind"], facts["kind"]),
        "channel": facts.get("channel", ""),
        "before": before(datetime.fromisoformat(sold_at) - datetime.fromisoformat(facts["at"])),
        "reason": words.reason(touch.get("reason")),
    }


def before(age: timedelta) -> str:
    """Say how long before the sale a touch was: `8 d 3 h before`."""
    seconds = int(abs(age).total_seconds())
    days, rest = divmod(seconds, 86_400)
    hours, rest = divmod(rest, 3_600)
    parts = [_("%d d") % days if days else "", _("%d h") % hours if hours else ""]
    if not days:
        parts.append(_("%d min") % (rest // 60))
    text = " ".join(part for part in parts if part)
    return (_("%s after the sale") if age < timedelta(0) else _("%s before")) % text


def roles(found: Mapping[str, Any]) -> str:
    """Say who began and who closed, in a sentence; nothing where nobody did."""
    if not found["touches"]:
        return ""
    count = ngettext("%d touch that takes part", "%d touches that take part", found["touches"]) % found["touches"]
    said = [count, _("begun by %s") % found["initiator"], _("closed by %s") % found["closer"]]
    if found["assists"]:
        said.append(_("helped by %s") % ", ".join(found["assists"]))
    return f"{'; '.join(said)}."


def in_words(share: str) -> str:
    exact = Fraction(share)
    return display.share(exact.numerator, exact.denominator)


def width(share: str) -> str:
    """Return a share as the width of a bar in per cent, written as CSS wants it in every language."""
    return f"{float(Fraction(share) * 100):.2f}"


def sentences(document: Mapping[str, Any]) -> dict[str, str]:
    """Return a sentence for every rule and adjustment, by its path; what is no rule is passed over."""
    currency = part(document.get("conversion")).get("currency") or "EUR"
    found = {}
    for key, plan in part(document.get("plans")).items():
        found |= plan_sentences(part(plan), f"plans.{key}", str(currency))
    for place, row in enumerate(rows(part(document.get("policy")).get("adjustments"))):
        found[f"policy.adjustments[{place}]"] = guarded(lambda row=row: words.adjustment(row))
    return found


def plan_sentences(plan: Mapping[str, Any], path: str, currency: str) -> dict[str, str]:
    return {
        f"{path}.rules[{place}]": guarded(lambda rule=rule: words.rule(rule, currency))
        for place, rule in enumerate(rows(plan.get("rules")))
    }


def guarded(say: Any) -> str:
    """Return a sentence, or nothing where what is being typed cannot be said yet."""
    try:
        return say()
    except (AttributeError, TypeError, ValueError, KeyError):
        return ""


def part(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def rows(value: Any) -> Sequence[Any]:
    return [row if isinstance(row, dict) else {} for row in value] if isinstance(value, list) else []
