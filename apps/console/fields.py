"""The fields of the test bench's document as the editors ask for them, in people's words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy

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


ANY = ("", gettext_lazy("any"))
USUAL = ("", gettext_lazy("as usual"))
CUSTOMERS = [ANY, ("true", gettext_lazy("new customers")), ("false", gettext_lazy("existing customers"))]
CLASSES = [("PAID", gettext_lazy("paid")), ("OWNED", gettext_lazy("owned")), ("EARNED", gettext_lazy("earned"))]
SEVERAL = gettext_lazy("Several with commas: any of them.")

CONVERSION = (
    Field("occurred_at", gettext_lazy("Happened (UTC)"), "moment"),
    Field("currency", gettext_lazy("Currency"), usual="EUR"),
    Field("amount", gettext_lazy("Net amount"), "text", help=gettext_lazy("Empty: what the lines add up to.")),
    Field("discount", gettext_lazy("Order discount")),
    Field("goal", gettext_lazy("Goal"), usual="SALE"),
    Field("new_customer", gettext_lazy("Customer"), "either", [("", gettext_lazy("not said")), *CUSTOMERS[1:]]),
    Field("country", gettext_lazy("Country")),
    Field("device", gettext_lazy("Device"), suggest="devices"),
    Field("coupons", gettext_lazy("Codes used"), "words"),
)
LINE = (
    Field("sku", gettext_lazy("Product")),
    Field("category", gettext_lazy("Category"), usual="DEFAULT"),
    Field("shop_category", gettext_lazy("Shop category")),
    Field("quantity", gettext_lazy("Quantity"), "whole", usual="1"),
    Field("unit_price", gettext_lazy("Unit price")),
)
TOUCH = (
    Field("kind", gettext_lazy("Kind"), choices=choices(words.KINDS), usual="CLICK"),
    Field("at", gettext_lazy("Days before"), "days"),
    Field("partner", gettext_lazy("Partner"), suggest="partners"),
    Field("channel", gettext_lazy("Channel"), suggest="channels", usual=""),
)
TOUCH_MORE = (
    Field("id", gettext_lazy("Id")),
    Field("channel_class", gettext_lazy("Class"), choices=CLASSES, usual="PAID"),
    Field("partner_group", gettext_lazy("Partner group"), suggest="groups"),
    Field("ad_space", gettext_lazy("Ad space"), suggest="ad-spaces"),
    Field("ad_space_category", gettext_lazy("Kind of ad space")),
    Field("device", gettext_lazy("Device"), suggest="devices"),
    Field("goal", gettext_lazy("Goal"), help=gettext_lazy("Of a step on the way, such as CHECKOUT.")),
)
COUPON = (
    Field("partner", gettext_lazy("Owner"), suggest="partners"),
    Field("policy", gettext_lazy("Rule"), choices=[("", gettext_lazy("the campaign's")), *words.COUPONS.items()]),
    Field("percent", gettext_lazy("Per cent"), help=gettext_lazy("For a fixed part.")),
    Field("valid_from", gettext_lazy("Valid from"), help=gettext_lazy("For example 2026-01-01T00:00:00Z")),
    Field("valid_to", gettext_lazy("Valid until")),
    Field("plan", gettext_lazy("Plan"), help=gettext_lazy("One of the plans below.")),
)
RULE_WHEN = (
    Field("new_customer", gettext_lazy("Customers"), "either", CUSTOMERS),
    Field("category", gettext_lazy("Categories"), "words", help=SEVERAL),
    Field("shop_category", gettext_lazy("Shop categories"), "words"),
    Field("sku", gettext_lazy("Products"), "words"),
    Field("amount_from", gettext_lazy("Order from")),
    Field("amount_to", gettext_lazy("Order below")),
    Field("quantity_from", gettext_lazy("Quantity from"), "whole"),
    Field("goal", gettext_lazy("Goals"), "words"),
    Field("country", gettext_lazy("Countries"), "words"),
    Field("device", gettext_lazy("Devices"), "words"),
    Field("coupon", gettext_lazy("Codes used"), "words"),
    Field("partner_group", gettext_lazy("Partner groups"), "words", suggest="groups"),
    Field("ad_space_category", gettext_lazy("Kinds of ad space"), "words"),
    Field("touch_kind", gettext_lazy("Kinds of touch"), "words", help=gettext_lazy("CLICK, VIEW, SOFT_CLICK, …")),
    Field("role", gettext_lazy("Roles"), "words", help=gettext_lazy(f"{', '.join(ROLES)}")),
)
RULE_PAY = (
    Field("percent", gettext_lazy("Per cent")),
    Field(
        "of",
        gettext_lazy("Per cent of"),
        choices=[("", gettext_lazy("net amount")), ("gross", gettext_lazy("amount before discount"))],
    ),
    Field("per_line", gettext_lazy("Per line")),
    Field("per_unit", gettext_lazy("Per piece")),
)
PLAN = (
    Field("per_order", gettext_lazy("Per order, once"), help=gettext_lazy("Beside the rules.")),
    Field("minimum", gettext_lazy("At least per order")),
    Field("maximum", gettext_lazy("At most per order")),
)
CONDITION = (
    Field("kind", gettext_lazy("Kinds of touch"), "words"),
    Field("channel", gettext_lazy("Channels"), "words", suggest="channels"),
    Field("channel_class", gettext_lazy("Classes"), "words", help="PAID, OWNED, EARNED"),
    Field("device", gettext_lazy("Devices"), "words"),
    Field("ad_space", gettext_lazy("Ad spaces"), "words", suggest="ad-spaces"),
    Field("ad_space_category", gettext_lazy("Kinds of ad space"), "words"),
    Field("partner", gettext_lazy("Partners"), "words", suggest="partners"),
    Field("partner_group", gettext_lazy("Partner groups"), "words", suggest="groups"),
    Field("position", gettext_lazy("Places from the start"), "wholes", help=gettext_lazy("1 is the first touch.")),
    Field(
        "position_from_end", gettext_lazy("Places from the end"), "wholes", help=gettext_lazy("1 is the last touch.")
    ),
)
ADJUSTMENT = (
    Field("do", gettext_lazy("Does"), choices=[(name, words.ADJUSTMENTS[name]) for name in ADJUSTMENTS]),
    Field("factor", gettext_lazy("Factor"), shown_if="do=MULTIPLY"),
    Field("percent", gettext_lazy("Per cent"), shown_if="do=GUARANTEE"),
)
WEIGHTED, SINGLE = "model=POSITION ROLES", "model=LAST_CLICK FIRST_CLICK"
MODEL = (
    Field("model", gettext_lazy("Model"), choices=[(key, word[0]) for key, word in words.MODELS.items()], wide=True),
    Field("half_life_days", gettext_lazy("Half-life in days"), usual="7", shown_if="model=TIME_DECAY"),
    Field(
        "two_touches",
        gettext_lazy("With two touches"),
        choices=[USUAL, *words.TWO_TOUCHES.items()],
        shown_if="model=POSITION",
        wide=True,
    ),
)
WEIGHTS = (
    Field("first", gettext_lazy("First"), usual="40"),
    Field("middle", gettext_lazy("Between"), usual="20"),
    Field("last", gettext_lazy("Last"), usual="40"),
)
WINDOWS = (
    Field("click_window_days", gettext_lazy("Click window in days"), "whole", usual="30"),
    Field(
        "view_window_days",
        gettext_lazy("View window in days"),
        "whole",
        usual="0",
        help=gettext_lazy("0: views do not count."),
    ),
    Field(
        "soft_click_hours",
        gettext_lazy("Protection from soft clicks, hours"),
        "whole",
        usual="24",
        help=gettext_lazy("A layer or extension does not take over a click younger than this. 0: off."),
    ),
)
FREEZE = (
    Field("goal", gettext_lazy("Freeze from the goal"), help=gettext_lazy("Such as CHECKOUT; empty: no freeze.")),
    Field("hours", gettext_lazy("For hours"), "whole"),
)
PARTAKERS = (
    Field(
        "repeats",
        gettext_lazy("Repeated clicks"),
        choices=choices(words.REPEATS),
        usual="ALL",
        wide=True,
        help=gettext_lazy(
            "Recommended: once per partner. Counting every click pays for clicking; repeating each click three times "
            "earned 67 % more under the linear model."
        ),
    ),
    Field("unpaid", gettext_lazy("Own and organic channels"), choices=choices(words.UNPAID), usual="IGNORE", wide=True),
    Field("winner_limit", gettext_lazy("Partners paid at most"), "whole", usual="12"),
    Field(
        "single_touch_role",
        gettext_lazy("A single touch is"),
        choices=[USUAL, *words.SINGLE_TOUCH.items()],
        help=gettext_lazy("Report only."),
    ),
)
MONEY = (
    Field("coupon", gettext_lazy("Codes"), choices=choices(words.COUPONS), usual="IF_WINNER", wide=True),
    Field(
        "budget_neutral",
        gettext_lazy("Budget neutral"),
        "flag",
        help=gettext_lazy("A sale costs what the last click's plan would have cost, however many share it."),
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
