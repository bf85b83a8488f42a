"""What order does to the rules of a plan: which can never pay, and where two hold and the first one wins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from apps.commissions.rules.plans import Rule, When

# A fact has one of these values at most, so two sets without a common value exclude each other.
SINGLE = (
    "goal",
    "category",
    "shop_category",
    "sku",
    "country",
    "device",
    "partner_group",
    "ad_space_category",
    "touch_kind",
    "weekday",
)
# A conversion may have several codes, a winner several roles and tags.
SEVERAL = ("coupon", "role", "partner_tag")
AT_LEAST = ("amount_from", "quantity_from", "first_on")
AT_MOST = ("amount_to", "quantity_to", "last_on")


def unreachable(rules: Sequence[Rule]) -> list[tuple[int, int]]:
    """Return (place, by_place) of each rule that never decides a line, places from 0.

    `by_place` is the first rule before it that holds wherever it does; a rule whose own conditions contradict each
    other is named with itself.

        [new and ≥ 200 → 12 %], [≥ 200 → 10 %], [all → 8 %]  → nothing
        [≥ 200 → 10 %], [new and ≥ 200 → 12 %], [all → 8 %]  → (1, 0)
    """
    found = []
    for place, rule in enumerate(rules):
        if is_impossible(rule.when):
            found.append((place, place))
            continue
        by_place = next((by for by in range(place) if covers(rules[by].when, rule.when)), None)
        if by_place is not None:
            found.append((place, by_place))
    return found


def overlaps(rules: Sequence[Rule]) -> list[tuple[int, int]]:
    """Return (earlier, later) of rules that can both hold, of which neither covers the other and that pay differently.

    Between these, order alone decides; a narrower rule before a wider one is the usual way and is not named.
    """
    silent = {place for place, _ in unreachable(rules)}
    reachable = [place for place in range(len(rules)) if place not in silent]
    return [
        (earlier, later)
        for position, later in enumerate(reachable)
        for earlier in reachable[:position]
        if rules[earlier].pay != rules[later].pay
        and not covers(rules[later].when, rules[earlier].when)
        and can_both_hold(rules[earlier].when, rules[later].when)
    ]


def lacks_default(rules: Sequence[Rule]) -> bool:
    """Tell whether some line may meet no rule at all: none asks nothing."""
    return not any(covers(rule.when, When()) for rule in rules)


def covers(wide: When, narrow: When) -> bool:
    """Tell whether `wide` holds wherever `narrow` does."""
    for name in (*SINGLE, *SEVERAL):
        asked = getattr(wide, name)
        if asked and not (getattr(narrow, name) and getattr(narrow, name) <= asked):
            return False
    if wide.new_customer is not None and wide.new_customer is not narrow.new_customer:
        return False
    for name in AT_LEAST:
        asked, given = getattr(wide, name), getattr(narrow, name)
        if asked is not None and (given is None or given < asked):
            return False
    for name in AT_MOST:
        asked, given = getattr(wide, name), getattr(narrow, name)
        if asked is not None and (given is None or given > asked):
            return False
    return all(name in narrow.fields and narrow.fields[name] <= values for name, values in wide.fields.items())


def is_impossible(when: When) -> bool:
    """Tell whether conditions contradict each other, so that nothing can meet them."""
    return (
        not_below(when.amount_from, when.amount_to)
        or above(when.quantity_from, when.quantity_to)
        or above(when.first_on, when.last_on)
    )


def can_both_hold(one: When, other: When) -> bool:
    """Tell whether some line of some winner may meet both."""
    for name in SINGLE:
        ours, theirs = getattr(one, name), getattr(other, name)
        if ours and theirs and ours.isdisjoint(theirs):
            return False
    if one.new_customer is not None and other.new_customer is not None and one.new_customer != other.new_customer:
        return False
    for first, second in ((one, other), (other, one)):
        if not_below(first.amount_from, second.amount_to):
            return False
        if above(first.quantity_from, second.quantity_to) or above(first.first_on, second.last_on):
            return False
    common = one.fields.keys() & other.fields.keys()
    return not any(one.fields[name].isdisjoint(other.fields[name]) for name in common)


def not_below(low: Any, high: Any) -> bool:
    return low is not None and high is not None and low >= high


def above(low: Any, high: Any) -> bool:
    return low is not None and high is not None and low > high
