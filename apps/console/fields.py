"""The fields of the test bench's document as the editors ask for them, in people's words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as lazy

from apps.attribution.rules import ADJUSTMENTS
from apps.commissions.rules import ROLES
from apps.console import words

Word = str | Promise
Choices = Sequence[tuple[str, Word]]


@dataclass(frozen=True, slots=True)
class Field:
    """A member of an object: `kind` says how it is read, `shown_if` (`model=LINEAR ROLES`) when it matters.

    `usual` is what an empty field means; `suggest` names a list of known values.
    """

    name: str
    label: Word
    kind: str = "text"
    choices: Choices = ()
    help: Word = ""
    usual: str = ""
    suggest: str = ""
    shown_if: str = ""
    wide: bool = False


def choices(said: Mapping[str, Word]) -> Choices:
    return list(said.items())


ANY = ("", lazy("any"))
USUAL = ("", lazy("as usual"))
CUSTOMERS = [ANY, ("true", lazy("new customers")), ("false", lazy("existing customers"))]
CLASSES = [("PAID", lazy("paid")), ("OWNED", lazy("owned")), ("EARNED", lazy("earned"))]
SEVERAL = lazy("Several with commas: any of them.")

CONVERSION = (
    Field("occurred_at", lazy("Happened (UTC)"), "moment"),
    Field("currency", lazy("Currency"), usual="EUR"),
    Field("amount", lazy("Net amount"), "text", help=lazy("Empty: what the lines add up to.")),
    Field("discount", lazy("Order discount")),
    Field("goal", lazy("Goal"), usual="SALE"),
    Field("new_customer", lazy("Customer"), "either", [("", lazy("not said")), *CUSTOMERS[1:]]),
    Field("country", lazy("Country")),
    Field("device", lazy("Device"), suggest="devices"),
    Field("coupons", lazy("Codes used"), "words"),
)
LINE = (
    Field("sku", lazy("Product")),
    Field("category", lazy("Category"), usual="DEFAULT"),
    Field("shop_category", lazy("Shop category")),
    Field("quantity", lazy("Quantity"), "whole", usual="1"),
    Field("unit_price", lazy("Unit price")),
)
TOUCH = (
    Field("kind", lazy("Kind"), choices=choices(words.KINDS), usual="CLICK"),
    Field("at", lazy("Days before"), "days"),
    Field("partner", lazy("Partner"), suggest="partners"),
    Field("channel", lazy("Channel"), suggest="channels", usual=""),
)
TOUCH_MORE = (
    Field("id", lazy("Id")),
    Field("channel_class", lazy("Class"), choices=CLASSES, usual="PAID"),
    Field("partner_group", lazy("Partner group"), suggest="groups"),
    Field("ad_space", lazy("Ad space"), suggest="ad-spaces"),
    Field("ad_space_category", lazy("Kind of ad space")),
    Field("device", lazy("Device"), suggest="devices"),
    Field("goal", lazy("Goal"), help=lazy("Of a step on the way, such as CHECKOUT.")),
)
COUPON = (
    Field("partner", lazy("Owner"), suggest="partners"),
    Field("policy", lazy("Rule"), choices=[("", lazy("the campaign's")), *words.COUPONS.items()]),
    Field("percent", lazy("Per cent"), help=lazy("For a fixed part.")),
    Field("valid_from", lazy("Valid from"), help=lazy("For example 2026-01-01T00:00:00Z")),
    Field("valid_to", lazy("Valid until")),
    Field("plan", lazy("Plan"), help=lazy("One of the plans below.")),
)
RULE_WHEN = (
    Field("new_customer", lazy("Customers"), "either", CUSTOMERS),
    Field("category", lazy("Categories"), "words", help=SEVERAL),
    Field("shop_category", lazy("Shop categories"), "words"),
    Field("sku", lazy("Products"), "words"),
    Field("amount_from", lazy("Order from")),
    Field("amount_to", lazy("Order below")),
    Field("quantity_from", lazy("Quantity from"), "whole"),
    Field("goal", lazy("Goals"), "words"),
    Field("country", lazy("Countries"), "words"),
    Field("device", lazy("Devices"), "words"),
    Field("coupon", lazy("Codes used"), "words"),
    Field("partner_group", lazy("Partner groups"), "words", suggest="groups"),
    Field("ad_space_category", lazy("Kinds of ad space"), "words"),
    Field("touch_kind", lazy("Kinds of touch"), "words", help=lazy("CLICK, VIEW, SOFT_CLICK, …")),
    Field("role", lazy("Roles"), "words", help=lazy(f"{', '.join(ROLES)}")),
)
RULE_PAY = (
    Field("percent", lazy("Per cent")),
    Field("of", lazy("Per cent of"), choices=[("", lazy("net amount")), ("gross", lazy("amount before discount"))]),
    Field("per_line", lazy("Per line")),
    Field("per_unit", lazy("Per piece")),
)
PLAN = (
    Field("per_order", lazy("Per order, once"), help=lazy("Beside the rules.")),
    Field("minimum", lazy("At least per order")),
    Field("maximum", lazy("At most per order")),
)
CONDITION = (
    Field("kind", lazy("Kinds of touch"), "words"),
    Field("channel", lazy("Channels"), "words", suggest="channels"),
    Field("channel_class", lazy("Classes"), "words", help="PAID, OWNED, EARNED"),
    Field("device", lazy("Devices"), "words"),
    Field("ad_space", lazy("Ad spaces"), "words", suggest="ad-spaces"),
    Field("ad_space_category", lazy("Kinds of ad space"), "words"),
    Field("partner", lazy("Partners"), "words", suggest="partners"),
    Field("partner_group", lazy("Partner groups"), "words", suggest="groups"),
    Field("position", lazy("Places from the start"), "wholes", help=lazy("1 is the first touch.")),
    Field("position_from_end", lazy("Places from the end"), "wholes", help=lazy("1 is the last touch.")),
)
ADJUSTMENT = (
    Field("do", lazy("Does"), choices=[(name, words.ADJUSTMENTS[name]) for name in ADJUSTMENTS]),
    Field("factor", lazy("Factor"), shown_if="do=MULTIPLY"),
    Field("percent", lazy("Per cent"), shown_if="do=GUARANTEE"),
)
WEIGHTED, SINGLE = "model=POSITION ROLES", "model=LAST_CLICK FIRST_CLICK"
MODEL = (
    Field("model", lazy("Model"), choices=[(key, word[0]) for key, word in words.MODELS.items()], wide=True),
    Field("half_life_days", lazy("Half-life in days"), usual="7", shown_if="model=TIME_DECAY"),
    Field(
        "two_touches",
        lazy("With two touches"),
        choices=[USUAL, *words.TWO_TOUCHES.items()],
        shown_if="model=POSITION",
        wide=True,
    ),
)
WEIGHTS = (
    Field("first", lazy("First"), usual="40"),
    Field("middle", lazy("Between"), usual="20"),
    Field("last", lazy("Last"), usual="40"),
)
WINDOWS = (
    Field("click_window_days", lazy("Click window in days"), "whole", usual="30"),
    Field("view_window_days", lazy("View window in days"), "whole", usual="0", help=lazy("0: views do not count.")),
    Field(
        "soft_click_hours",
        lazy("Protection from soft clicks, hours"),
        "whole",
        usual="24",
        help=lazy("A layer or extension does not take over a click younger than this. 0: off."),
    ),
)
FREEZE = (
    Field("goal", lazy("Freeze from the goal"), help=lazy("Such as CHECKOUT; empty: no freeze.")),
    Field("hours", lazy("For hours"), "whole"),
)
PARTAKERS = (
    Field(
        "repeats",
        lazy("Repeated clicks"),
        choices=choices(words.REPEATS),
        usual="ALL",
        wide=True,
        help=lazy(
            "Recommended: once per partner. Counting every click pays for clicking; repeating each click three times "
            "earned 67 % more under the linear model."
        ),
    ),
    Field("unpaid", lazy("Own and organic channels"), choices=choices(words.UNPAID), usual="IGNORE", wide=True),
    Field("winner_limit", lazy("Partners paid at most"), "whole", usual="12"),
    Field(
        "single_touch_role",
        lazy("A single touch is"),
        choices=[USUAL, *words.SINGLE_TOUCH.items()],
        help=lazy("Report only."),
    ),
)
MONEY = (
    Field("coupon", lazy("Codes"), choices=choices(words.COUPONS), usual="IF_WINNER", wide=True),
    Field(
        "budget_neutral",
        lazy("Budget neutral"),
        "flag",
        help=lazy("A sale costs what the last click's plan would have cost, however many share it."),
        wide=True,
    ),
)
EDITOR = {
    "conversion_fields": CONVERSION,
    "line_fields": LINE,
    "touch_fields": TOUCH,
    "touch_more_fields": TOUCH_MORE,
    "coupon_fields": COUPON,
    "when_fields": RULE_WHEN,
    "pay_fields": RULE_PAY,
    "plan_fields": PLAN,
    "condition_fields": CONDITION,
    "adjustment_fields": ADJUSTMENT,
    "model_fields": MODEL,
    "weight_fields": WEIGHTS,
    "window_fields": WINDOWS,
    "freeze_fields": FREEZE,
    "partaker_fields": PARTAKERS,
    "money_fields": MONEY,
    "weights_if": WEIGHTED,
    "levels_if": SINGLE,
}
"""What the editors' templates need, whatever they edit."""
