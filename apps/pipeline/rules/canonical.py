"""The canonical text of a long receipt, written straight from the compact one.

`seal` needs the bytes of every receipt only for their hash. This writes what `canonical_bytes(render(...))` is, without
the dictionaries in between; `render` says what a receipt is, and a test proves both equal.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from json.encoder import encode_basestring
from typing import Any

from apps.commissions.rules import Order, Plan
from apps.commissions.rules.plans import Rule
from apps.core.money import digits
from apps.pipeline.rules.amounts import fixed_text, fraction, major, plain, rate_text

encode = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=str).encode


def quoted(value: object) -> str:
    """Return a value as canonical JSON; most are plain strings, for which there is a short way."""
    return encode_basestring(value) if type(value) is str else encode(value)


def listed(values: Sequence[object]) -> str:
    return f"[{','.join([quoted(value) for value in values])}]" if values else "[]"


def canonical_text(stored: Mapping[str, Any], order: Order, plans: Mapping[Any, Plan], currency: str) -> str:
    """Return the canonical JSON of the receipt that `render` makes of the same arguments."""
    places = digits(currency)
    denominator = stored["den"]
    unpaid, unpaid_revenue = stored["unpaid"]
    initiator, assists, closer, touches, partners = stored["roles"]
    total = 0
    shares, rating = [], []
    done: dict[Any, list[tuple[str, str]]] = {}
    for partner, numerator, commission, revenue, plan_key, picks in stored["winners"]:
        total += commission
        name = quoted(partner)
        shares.append(
            f'{{"commission":"{major(commission, places)}","partner":{name},"revenue":"{major(revenue, places)}",'
            f'"share":"{fraction(numerator, denominator)}"}}'
        )
        known = (plan_key, *picks)
        rows = done.get(known)
        if rows is None:
            rows = done[known] = rating_texts(plans[plan_key], picks, order, places)
        rating += [f"{before}{name}{after}" for before, after in rows]
    return (
        f'{{"commission":"{major(total, places)}","currency":{quoted(currency)},"flags":{listed(stored["flags"])},'
        f'"rating":[{",".join(rating)}],"revenue":"{major(order.net, places)}",'
        f'"roles":{{"assists":{listed(assists)},"closer":{quoted(closer)},"initiator":{quoted(initiator)},'
        f'"partners":{partners},"touches":{touches}}},'
        f'"shares":[{",".join(shares)}],"touches":[{",".join([*map(touch_text, stored["touches"])])}],'
        f'"unpaid_revenue":"{major(unpaid_revenue, places)}","unpaid_share":"{fraction(unpaid, denominator)}"}}'
    )


def touch_text(touch: Sequence[object]) -> str:
    if len(touch) == 1:
        return f'{{"id":{quoted(touch[0])},"kept":true}}'
    return f'{{"id":{quoted(touch[0])},"kept":false,"reason":{quoted(touch[1])}}}'


def rating_texts(plan: Plan, picks: Sequence[int | None], order: Order, places: int) -> list[tuple[str, str]]:
    """Return what stands before and after the partner's name in each row of `rating_rows`."""
    point = plan.places + places
    rows = []
    earned = 0
    for line, pick in zip(order.lines, picks, strict=True):
        if pick is None:
            base, exact = line.net, "0"
        else:
            rule = plan.ready[pick]
            base = rule.base(line)
            amount = base * rule.rate + rule.per_line + rule.per_unit * line.quantity
            earned += amount
            exact = plain(amount, point)
        before = f'{{"base":"{major(base, places)}","exact":"{exact}","line":{quoted(line.label)},"partner":'
        rows.append((before, rule_text(plan, pick, places)))
    beside = (plan.total(earned) if order.lines else 0) - earned
    if beside or plan.per_order:
        rate = quoted(f"{fixed_text(plan.per_order, places)} per order" if plan.per_order else None)
        before = f'{{"base":"{major(order.net, places)}","exact":"{plain(beside, point)}","line":"ORDER","partner":'
        rows.append((before, f',"plan":{quoted(plan.key)},"rate":{rate},"rule":null}}'))
    return rows


@lru_cache(maxsize=2048)
def rule_text(plan: Plan, pick: int | None, places: int) -> str:
    """Return the end of a row: the plan, and the rule that decided the line with those tried before it."""
    rules: tuple[Rule, ...] = plan.rules
    row: dict[str, Any] = {"plan": plan.key, "rate": None, "rule": None}
    if pick is not None:
        row |= {"rate": rate_text(rules[pick], places), "rule": rules[pick].name}
    if pick != 0 and rules:
        row["tried"] = [rule.name for rule in rules[:pick]]
    return f",{encode(row)[1:]}"
