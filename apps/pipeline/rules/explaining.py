"""The test bench: a document in, its receipt out; nothing is stored."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from apps.core.errors import Invalid
from apps.pipeline.rules.case import decide
from apps.pipeline.rules.document import parse
from apps.pipeline.rules.reading import Fault, fault
from apps.pipeline.rules.receipt import compact, render


def explain(document: Any) -> Any:
    """Return the receipt of a document, or for a list the receipts in the same order.

    A refused document of a list answers `{"error": {"code": …, "path": …}}` in its place; a single one raises
    Fault (an Invalid) with code and path.
    """
    if type(document) is not list:
        return explain_one(document)
    answers = []
    for one in document:
        try:
            answers.append(explain_one(one))
        except Invalid as refusal:
            answers.append({"error": {"code": refusal.code, "path": refusal.path}})
    return answers


def explain_one(document: Any) -> dict[str, Any]:
    case = parse(document)
    decided = decide(case)
    stored = compact(decided.attribution, decided.rating, case.order)
    return render(stored, case.order, {plan.key: plan for plan in case.plans.values()}, case.currency)


def explain_text(source: str | bytes) -> Any:
    """Return what `explain` answers for JSON text. Raises Fault `invalid_json` where it is none."""
    try:
        document = json.loads(source, object_pairs_hook=unrepeated, parse_constant=refuse_constant)
    except Fault:
        raise
    except (ValueError, RecursionError):
        raise fault("invalid_json", "", "This is not JSON.") from None
    return explain(document)


def unrepeated(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise fault("invalid_json", "", "A field is written twice in one object.")
    return found


def refuse_constant(name: str) -> NoReturn:
    raise fault("invalid_json", "", f"{name} is not JSON.")
