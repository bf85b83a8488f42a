"""What people should know of a plan's rules before they publish them: each in words, and what their order does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from apps.commissions.rules import Plan, Rule
from apps.commissions.rules.coverage import lacks_default, overlaps, unreachable
from apps.core.errors import Invalid
from apps.pipeline.rules.document import Context, read_plan
from apps.pipeline.rules.reading import LONGEST

LONGEST_NAME = 120
MOST_OVERLAPS = 8


class NoPlanDocument(Invalid):
    code = "invalid_type"
    message = "A plan with its rules is expected."


class NameTooLong(Invalid):
    code = "invalid_text"
    message = f"The name of a rule has at most {LONGEST_NAME} characters."


@dataclass(frozen=True, slots=True)
class Warned:
    """A sentence about rules, by their places from 0; `is_heavy` where a rule never pays or a line goes without."""

    text: str
    places: tuple[int, ...] = ()
    is_heavy: bool = True


def read_rules(document: Any, currency: str) -> Plan:
    """Return a plan's document as the engine reads it. Raises Fault (an Invalid), its paths beginning with `plan`."""
    if not isinstance(document, dict):
        raise NoPlanDocument(path="plan")
    return read_plan(document, "plan", "default", Context(currency, None, frozenset(), frozenset()))


def publishable(document: Any, currency: str) -> dict[str, Any]:
    """Return a plan's document with a name on every rule, as versions keep it. Raises Invalid."""
    plan = read_rules(document, currency)
    for place, rule in enumerate(plan.rules):
        if len(rule.name) > min(LONGEST_NAME, LONGEST):
            raise NameTooLong(path=f"plan.rules[{place}].name")
    rows: Sequence[Mapping[str, Any]] = document.get("rules") or []
    named = [{**row, "name": rule.name} for row, rule in zip(rows, plan.rules, strict=True)]
    return {**document, "rules": named}


def warnings(rules: Sequence[Rule]) -> list[Warned]:
    """Return what the order of rules does that nobody may have meant."""
    found = []
    for place, by_place in unreachable(rules):
        if place == by_place:
            text = _("%s contradicts itself and never pays.") % called(rules, place)
        else:
            values = {"rule": called(rules, place), "other": called(rules, by_place)}
            text = _("%(rule)s never pays: %(other)s holds wherever it does and comes first.") % values
        found.append(Warned(text, (place,)))
    if lacks_default(rules):
        found.append(Warned(_("No rule is for everything else: a line that meets none pays nothing.")))
    for earlier, later in overlaps(rules)[:MOST_OVERLAPS]:
        values = {"rule": called(rules, earlier), "other": called(rules, later)}
        text = _("%(rule)s and %(other)s may both hold; the first in the order pays.") % values
        found.append(Warned(text, (earlier, later), is_heavy=False))
    return found


def called(rules: Sequence[Rule], place: int) -> str:
    return _("Rule %(number)d (%(name)s)") % {"number": place + 1, "name": rules[place].name}
