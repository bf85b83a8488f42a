"""Commission plans: rules in explicit order, prepared once for many conversions."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from fractions import Fraction
from operator import attrgetter
from typing import Any

from apps.attribution.rules import Winner
from apps.commissions.rules.orders import Line, Order

NOTHING: frozenset[Any] = frozenset()
ROLES = ("initiator", "assist", "closer")
BASES: dict[str, Callable[[Line], int]] = {"net": attrgetter("net"), "gross": attrgetter("gross")}
"""What a percentage is taken of; a new basis is one line here."""

Amount = int | Decimal
Check = Callable[[Any], bool]


@dataclass(frozen=True, slots=True)
class Pay:
    """What a line earns: a percentage of its net (or gross) value, and minor units per line and per unit."""

    percent: Decimal | None = None
    of: str = "net"
    per_line: Amount = 0
    per_unit: Amount = 0


@dataclass(frozen=True, slots=True, eq=False)
class When:
    """The conditions of a rule: AND between them, OR within; an empty set or None asks nothing.

    Of the order: goal, coupon (as `code_key`), country, device, new_customer, amount_from (inclusive) and amount_to
    (exclusive) on its net amount, weekday (Monday 0) and first and last day, advertiser fields. Of the line: category,
    shop_category, sku, quantity_from, quantity_to (both inclusive). Of the winner: role (any it has), and of its last
    kept touch touch_kind, partner_group, partner_tag, ad_space_category; an owner by code alone has none of these.
    """

    goal: frozenset[str] = NOTHING
    category: frozenset[str] = NOTHING
    shop_category: frozenset[str] = NOTHING
    sku: frozenset[str] = NOTHING
    country: frozenset[str] = NOTHING
    device: frozenset[str] = NOTHING
    coupon: frozenset[str] = NOTHING
    partner_group: frozenset[Any] = NOTHING
    partner_tag: frozenset[str] = NOTHING
    ad_space_category: frozenset[str] = NOTHING
    touch_kind: frozenset[str] = NOTHING
    role: frozenset[str] = NOTHING
    new_customer: bool | None = None
    amount_from: int | None = None
    amount_to: int | None = None
    quantity_from: int | None = None
    quantity_to: int | None = None
    weekday: frozenset[int] = NOTHING
    first_on: date | None = None
    last_on: date | None = None
    fields: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @property
    def asks_standing(self) -> bool:
        """Tell whether it asks of a group, a tag or a category, of which no version is kept."""
        return bool(self.partner_group or self.partner_tag or self.ad_space_category)


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    name: str
    pay: Pay
    when: When = When()


@dataclass(frozen=True, slots=True)
class Ready:
    """A rule made fast: its conditions sorted by whom they ask, its rates as integers over the plan's scale."""

    order: tuple[Check, ...]
    winner: tuple[Check, ...]
    line: tuple[Check, ...]
    base: Callable[[Line], int]
    rate: int
    per_line: int
    per_unit: int


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """One version of a plan. The first rule whose conditions all hold decides a line; `key` names it in receipts.

    `per_order`, `minimum` and `maximum` are minor units of the campaign's currency for the whole conversion.
    `scale` is a power of ten over which all results of the plan are whole; `asks_winner` tells whether two winners
    may find different rules, `asks_standing` whether by a group, a tag or a category that may be another one later.
    """

    key: Hashable
    rules: tuple[Rule, ...]
    per_order: Amount = 0
    minimum: Amount | None = None
    maximum: Amount | None = None
    places: int = field(init=False, repr=False)
    scale: int = field(init=False, repr=False)
    ready: tuple[Ready, ...] = field(init=False, repr=False)
    fixed: tuple[int, int | None, int | None] = field(init=False, repr=False)
    asks_winner: bool = field(init=False, repr=False)
    asks_standing: bool = field(init=False, repr=False)
    rates: dict[int, tuple[str, ...]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        amounts = [self.per_order, self.minimum, self.maximum]
        amounts += [amount for rule in self.rules for amount in (rule.pay.per_line, rule.pay.per_unit)]
        percents = [rule.pay.percent for rule in self.rules if rule.pay.percent]
        places = max([*map(decimals, amounts), *(decimals(percent) + 2 for percent in percents)])
        ready = tuple(prepare(rule, places) for rule in self.rules)
        values = {
            "places": places,
            "scale": 10**places,
            "ready": ready,
            "fixed": tuple(None if a is None else scaled(a, places) for a in amounts[:3]),
            "asks_winner": any(rule.winner for rule in ready),
            "asks_standing": any(rule.when.asks_standing for rule in self.rules),
            "rates": {},
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def total(self, earned: int) -> int:
        """Return the result for what the lines earned (over `scale`): with `per_order`, within minimum and maximum.

        A result of zero stays zero; one below zero (a difference line may be negative) becomes zero.
        """
        per_order, minimum, maximum = self.fixed
        result = earned + per_order
        if result <= 0:
            return 0
        if minimum is not None and result < minimum:
            result = minimum
        if maximum is not None and result > maximum:
            result = maximum
        return result


def decimals(amount: Amount | None) -> int:
    exponent = Decimal(amount or 0).as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def scaled(amount: Amount, places: int) -> int:
    return int(Fraction(amount) * 10**places)


def prepare(rule: Rule, places: int) -> Ready:
    """Return the rule with its conditions and rates made ready."""
    pay, when = rule.pay, rule.when
    return Ready(
        order=order_checks(when),
        winner=winner_checks(when),
        line=line_checks(when),
        base=BASES[pay.of],
        rate=scaled(pay.percent, places) // 100 if pay.percent else 0,
        per_line=scaled(pay.per_line, places),
        per_unit=scaled(pay.per_unit, places),
    )


def one_of(name: str, wanted: frozenset[Any]) -> list[Check]:
    read = attrgetter(name)
    return [lambda fact: read(fact) in wanted] if wanted else []


def order_checks(when: When) -> tuple[Check, ...]:
    """Return what must hold of the order, the cheapest to refuse first."""
    low, high, new, days = when.amount_from, when.amount_to, when.new_customer, when.weekday
    first, last, coupon = when.first_on, when.last_on, when.coupon
    checks: list[Check] = []
    if new is not None:
        checks.append(lambda order: order.new_customer is new)
    if low is not None:
        checks.append(lambda order: order.net >= low)
    if high is not None:
        checks.append(lambda order: order.net < high)
    for name in ("goal", "country", "device"):
        checks += one_of(name, getattr(when, name))
    if coupon:
        checks.append(lambda order: not coupon.isdisjoint(order.coupons))
    if days:
        checks.append(lambda order: order.on is not None and order.on.weekday() in days)
    if first is not None:
        checks.append(lambda order: order.on is not None and order.on >= first)
    if last is not None:
        checks.append(lambda order: order.on is not None and order.on <= last)
    checks += [field_check(name, wanted) for name, wanted in when.fields.items()]
    return tuple(checks)


def field_check(name: str, wanted: frozenset[str]) -> Check:
    def holds(order: Order) -> bool:
        return order.fields.get(name) in wanted

    return holds


def winner_checks(when: When) -> tuple[Check, ...]:
    """Return what must hold of the winner and its last kept touch."""
    checks: list[Check] = []
    if when.role:
        checks.append(lambda winner: not when.role.isdisjoint(winner.roles))
    if when.touch_kind:
        checks.append(touch_check("kind", when.touch_kind))
    if when.partner_group:
        checks.append(touch_check("partner_group", when.partner_group))
    if when.ad_space_category:
        checks.append(touch_check("ad_space_category", when.ad_space_category))
    if when.partner_tag:
        tags = when.partner_tag
        checks.append(lambda winner: winner.touch is not None and not tags.isdisjoint(winner.touch.partner_tags))
    return tuple(checks)


def touch_check(name: str, wanted: frozenset[Any]) -> Check:
    def holds(winner: Winner) -> bool:
        return winner.touch is not None and getattr(winner.touch, name) in wanted

    return holds


def line_checks(when: When) -> tuple[Check, ...]:
    """Return what must hold of the line."""
    fewest, most = when.quantity_from, when.quantity_to
    checks = [*one_of("category", when.category), *one_of("sku", when.sku)]
    checks += one_of("shop_category", when.shop_category)
    if fewest is not None:
        checks.append(lambda line: line.quantity >= fewest)
    if most is not None:
        checks.append(lambda line: line.quantity <= most)
    return tuple(checks)
