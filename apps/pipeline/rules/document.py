"""The public document of the test bench: read strictly into a case."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from apps.attribution.rules import (
    ADJUSTMENTS,
    CHANNEL_CLASSES,
    COUPON_POLICIES,
    KINDS,
    MODELS,
    Adjustment,
    Condition,
    CouponGrant,
    Freeze,
    Policy,
    Sale,
    Touch,
    code_key,
)
from apps.commissions.rules import BASES, DEFAULT_CATEGORY, ROLES, Item, Order, Pay, Plan, Rule, When, basket
from apps.pipeline.rules.case import Case
from apps.pipeline.rules.reading import (
    MOST,
    amount_in,
    array,
    array_of,
    choice,
    currency_code,
    decimal,
    fault,
    flag,
    missing,
    moment,
    one_or_more,
    record,
    table,
    text,
    whole,
)

PLAN_SCOPES = ("ad_space:", "partner:", "group:")
DAYS, HOURS = whole(0, 36_500), whole(0, 876_000)
PERCENT = decimal(100)
TEXTS = one_or_more(text)
KIND = choice(*sorted(KINDS))
CHANNEL_CLASS = choice(*CHANNEL_CLASSES)
DEEPEST = 5


@dataclass(slots=True)
class Context:
    """What readers must know of other parts of the document, whether these come before or after."""

    currency: str
    campaign_coupon: object
    plan_keys: frozenset[str]
    coupon_plans: frozenset[str]
    touch_ids: set[str] = field(default_factory=set)
    codes: set[str] = field(default_factory=set)


def parse(document: Any) -> Case:
    """Return the case a document describes. Raises Fault (an Invalid) with code and path of its first fault."""
    context = look_ahead(document)
    found = record(
        document,
        "",
        {
            "conversion": lambda value, path: read_conversion(value, path, context),
            "touches": array_of(lambda value, path: read_touch(value, path, context)),
            "policy": read_policy,
            "coupons": lambda value, path: read_coupons(value, path, context),
            "plans": lambda value, path: read_plans(value, path, context),
        },
        required=("conversion", "policy", "plans"),
    )
    sale, order, currency = found["conversion"]
    return Case(
        sale=sale,
        touches=tuple(found.get("touches", ())),
        policy=found["policy"],
        grants=found.get("coupons", {}),
        order=order,
        plans=found["plans"],
        currency=currency,
    )


def look_ahead(document: Any) -> Context:
    """Return what some parts need of others; whatever is faulty there is found when it is read."""

    def part(value: Any, key: str) -> Any:
        return value.get(key) if type(value) is dict else None

    currency = part(part(document, "conversion"), "currency")
    if currency is None:
        currency = "EUR"
    elif type(currency) is not str or len(currency) != 3 or not (currency.isascii() and currency.isalpha()):
        currency = "CLF"  # four decimals, the most there are: the fault is the currency's
    plans, coupons = part(document, "plans"), part(document, "coupons")
    named = [part(grant, "plan") for grant in coupons.values()] if type(coupons) is dict else []
    return Context(
        currency=currency.upper(),
        campaign_coupon=part(part(document, "policy"), "coupon"),
        plan_keys=frozenset(plans) if type(plans) is dict else frozenset(),
        coupon_plans=frozenset(name for name in named if type(name) is str),
    )


def read_conversion(value: Any, path: str, context: Context) -> tuple[Sale, Order, str]:
    amount = amount_in(context.currency)
    found = record(
        value,
        path,
        {
            "goal": text,
            "occurred_at": moment,
            "currency": currency_code,
            "amount": amount,
            "discount": amount,
            "new_customer": flag,
            "country": text,
            "device": text,
            "coupons": array_of(text),
            "lines": array_of(lambda inner, at: read_line(inner, at, context), most=1000),
        },
        required=("occurred_at",),
    )
    items: list[Item] = found.get("lines", [])
    net, discount = found.get("amount"), found.get("discount", 0)
    if net is None and not items:
        raise missing(f"{path}.amount")
    if net is None and discount > sum(item.quantity * item.unit_price for item in items):
        raise fault("out_of_range", f"{path}.discount", "The discount is larger than the lines.")
    lines, flags = basket(net, discount, items)
    order = Order(
        net=sum(line.net for line in lines),
        lines=lines,
        goal=found.get("goal", "SALE"),
        new_customer=found.get("new_customer"),
        country=found.get("country"),
        device=found.get("device"),
        coupons=frozenset(map(code_key, found.get("coupons", ()))),
        flags=flags,
    )
    return Sale(found["occurred_at"], tuple(found.get("coupons", ()))), order, found.get("currency", "EUR")


def read_line(value: Any, path: str, context: Context) -> Item:
    found = record(
        value,
        path,
        {
            "sku": text,
            "category": text,
            "shop_category": text,
            "quantity": whole(1, 10**6),
            "unit_price": amount_in(context.currency),
        },
        required=("unit_price",),
    )
    return Item(**{"category": DEFAULT_CATEGORY, **found})


def read_touch(value: Any, path: str, context: Context) -> Touch:
    def new_id(inner: Any, at: str) -> str:
        name = text(inner, at)
        if name in context.touch_ids:
            raise fault("duplicate_id", at, "Another touch has this id.")
        context.touch_ids.add(name)
        return name

    found = record(
        value,
        path,
        {
            "id": new_id,
            "kind": KIND,
            "at": moment,
            "channel": text,
            "channel_class": CHANNEL_CLASS,
            "device": text,
            "partner": read_partner,
            "partner_group": text,
            "ad_space": text,
            "ad_space_category": text,
            "goal": text,
        },
        required=("id", "kind", "at"),
    )
    return Touch(**found)


def read_partner(value: Any, path: str) -> str:
    name = text(value, path)
    if name.startswith("channel:"):
        raise fault("invalid_text", path, "Names that begin with channel: are those of own channels.")
    return name


def read_policy(value: Any, path: str) -> Policy:
    found = record(
        value,
        path,
        {
            "model": choice(*MODELS),
            "weights": read_weights,
            "two_touches": choice("SHARE_MIDDLE", "NORMALIZE"),
            "half_life_days": decimal(36_500, above_zero=True),
            "click_window_days": DAYS,
            "view_window_days": DAYS,
            "channel_windows": lambda inner, at: table(inner, at, DAYS),
            "levels": array_of(array_of(text)),
            "soft_click_hours": HOURS,
            "repeats": choice("ALL", "COLLAPSE", "ONCE"),
            "freeze": lambda inner, at: Freeze(**record(inner, at, {"goal": text, "hours": HOURS})),
            "coupon": choice(*COUPON_POLICIES),
            "unpaid": choice("IGNORE", "KEEP", "REDISTRIBUTE"),
            "winner_limit": whole(1),
            "budget_neutral": flag,
            "single_touch_role": choice("BOTH", "CLOSER"),
            "adjustments": array_of(read_adjustment, most=50),
        },
        required=("model",),
    )
    if "levels" in found:
        found["levels"] = tuple(map(tuple, found["levels"]))
    found["adjustments"] = tuple(found.get("adjustments", ()))
    return Policy(**found)


def read_weights(value: Any, path: str) -> tuple[Decimal, ...]:
    weight = decimal()
    found = record(value, path, {"first": weight, "middle": weight, "last": weight})
    weights = tuple(found.get(name, usual) for name, usual in zip(("first", "middle", "last"), WEIGHTS, strict=True))
    if not any(weights):
        raise fault("out_of_range", path, "At least one weight is above zero.")
    return weights


WEIGHTS = (Decimal(40), Decimal(20), Decimal(40))


def read_adjustment(value: Any, path: str) -> Adjustment:
    found = record(
        value,
        path,
        {
            "when": lambda inner, at: read_condition(inner, at, DEEPEST),
            "do": choice(*ADJUSTMENTS),
            "factor": decimal(),
            "percent": PERCENT,
        },
        required=("do",),
    )
    needed = {"MULTIPLY": "factor", "GUARANTEE": "percent"}.get(found["do"])
    if needed and needed not in found:
        raise missing(f"{path}.{needed}")
    return Adjustment(**{"when": Condition(), **found})


def read_condition(value: Any, path: str, depth: int) -> Condition:
    if not depth:
        raise fault("too_deep", path, "Conditions are nested too deeply.")
    place = one_or_more(whole(1))
    found = record(
        value,
        path,
        {
            "kind": one_or_more(KIND),
            "channel": TEXTS,
            "channel_class": one_or_more(CHANNEL_CLASS),
            "device": TEXTS,
            "ad_space": TEXTS,
            "ad_space_category": TEXTS,
            "partner": TEXTS,
            "partner_group": TEXTS,
            "position": place,
            "position_from_end": place,
            "journey_contains": lambda inner, at: read_condition(inner, at, depth - 1),
        },
    )
    return Condition(**found)


def read_coupons(value: Any, path: str, context: Context) -> dict[str, CouponGrant]:
    """Read the codes, keyed as they compare."""

    def grant(inner: Any, at: str) -> CouponGrant:
        key = code_key(at.removeprefix(f"{path}."))
        if key in context.codes:
            raise fault("duplicate_id", at, "Codes compare without case; this one is there already.")
        context.codes.add(key)
        return read_coupon(inner, at, context)

    return {code_key(code): found for code, found in table(value, path, grant).items()}


def read_coupon(value: Any, path: str, context: Context) -> CouponGrant:
    def plan_key(inner: Any, at: str) -> str:
        if text(inner, at) not in context.plan_keys:
            raise fault("unknown_plan", at, "There is no plan of this name.")
        return inner

    found = record(
        value,
        path,
        {
            "partner": read_partner,
            "policy": choice(*COUPON_POLICIES),
            "percent": PERCENT,
            "valid_from": moment,
            "valid_to": moment,
            "plan": plan_key,
        },
    )
    if "percent" not in found and found.get("policy", context.campaign_coupon) == "SHARE":
        raise missing(f"{path}.percent")
    return CouponGrant(**{"partner": None, **found})


def read_plans(value: Any, path: str, context: Context) -> dict[str, Plan]:
    def plan(inner: Any, at: str) -> Plan:
        key = at.removeprefix(f"{path}.")
        scoped = any(key.startswith(scope) and key != scope for scope in PLAN_SCOPES)
        if key != "default" and not scoped and key not in context.coupon_plans:
            raise fault("unknown_field", at, "A plan is default, ad_space:…, partner:…, group:… or named by a coupon.")
        return read_plan(inner, at, key, context)

    plans = table(value, path, plan)
    if "default" not in plans:
        raise missing(f"{path}.default")
    return plans


def read_plan(value: Any, path: str, key: str, context: Context) -> Plan:
    amount = amount_in(context.currency)
    found = record(
        value,
        path,
        {
            "rules": lambda inner, at: read_rules(inner, at, context),
            "per_order": amount,
            "minimum": amount,
            "maximum": amount,
        },
    )
    if "minimum" in found and found.get("maximum", found["minimum"]) < found["minimum"]:
        raise fault("out_of_range", f"{path}.maximum", "The maximum is below the minimum.")
    return Plan(**{"key": key, "rules": (), **found})


def read_rules(value: Any, path: str, context: Context) -> tuple[Rule, ...]:
    rules = array(value, path, lambda inner, at: read_rule(inner, at, context), most=1000)
    return tuple(Rule(**{"name": f"#{place}", **found}) for place, found in enumerate(rules, 1))


def read_rule(value: Any, path: str, context: Context) -> dict[str, Any]:
    fields = {
        "name": text,
        "when": lambda inner, at: read_when(inner, at, context),
        "pay": lambda inner, at: read_pay(inner, at, context),
    }
    return record(value, path, fields, required=("pay",))


def read_pay(value: Any, path: str, context: Context) -> Pay:
    amount = amount_in(context.currency)
    fields = {"percent": decimal(1000), "of": choice(*BASES), "per_line": amount, "per_unit": amount}
    found = record(value, path, fields)
    if not found.keys() - {"of"}:
        raise missing(f"{path}.percent")
    return Pay(**found)


def read_when(value: Any, path: str, context: Context) -> When:
    amount = amount_in(context.currency)
    names = ("category", "shop_category", "sku", "goal", "country", "device", "partner_group", "ad_space_category")
    found = record(
        value,
        path,
        {
            **dict.fromkeys(names, TEXTS),
            "coupon": TEXTS,
            "touch_kind": one_or_more(KIND),
            "role": one_or_more(choice(*ROLES)),
            "new_customer": flag,
            "amount_from": amount,
            "amount_to": amount,
            "quantity_from": whole(0, MOST),
        },
    )
    if "coupon" in found:
        found["coupon"] = frozenset(map(code_key, found["coupon"]))
    return When(**found)
