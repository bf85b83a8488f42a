"""Plans, policies and receipts said in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

MODELS = {
    "LAST_CLICK": (gettext_lazy("Last click"), gettext_lazy("the last touch that counts takes the whole conversion")),
    "FIRST_CLICK": (
        gettext_lazy("First click"),
        gettext_lazy("the first touch that counts takes the whole conversion"),
    ),
    "LINEAR": (gettext_lazy("Linear"), gettext_lazy("every touch that counts gets the same part")),
    "POSITION": (
        gettext_lazy("Position"),
        gettext_lazy("first and last touch get most, the ones between share the rest"),
    ),
    "TIME_DECAY": (
        gettext_lazy("Time decay"),
        gettext_lazy("the nearer a touch is to the conversion, the larger its part"),
    ),
    "ROLES": (
        gettext_lazy("Roles"),
        gettext_lazy("initiator and closer get most, the partners between share the rest"),
    ),
}
UNPAID = {
    "IGNORE": gettext_lazy("own and organic channels are shown but take no part"),
    "KEEP": gettext_lazy("own channels are weighed like partners and their part is paid to nobody"),
    "REDISTRIBUTE": gettext_lazy("own channels are weighed, then their part goes to the partners"),
}
REPEATS = {
    "ALL": gettext_lazy("every click of a partner counts"),
    "COLLAPSE": gettext_lazy("neighbouring clicks of a partner count once"),
    "ONCE": gettext_lazy("a partner counts once, however often it was clicked"),
}
TWO_TOUCHES = {
    "SHARE_MIDDLE": gettext_lazy("the part of those between is shared by both"),
    "NORMALIZE": gettext_lazy("only the weights of first and last count"),
}
SINGLE_TOUCH = {"BOTH": gettext_lazy("initiator and closer"), "CLOSER": gettext_lazy("closer only")}
KINDS = {
    "CLICK": gettext_lazy("Click"),
    "SOFT_CLICK": gettext_lazy("Soft click"),
    "VIEW": gettext_lazy("View"),
    "COUPON": gettext_lazy("Code's own address"),
    "VISIT": gettext_lazy("Visit by an own channel"),
    "CALL": gettext_lazy("Call"),
    "STORE": gettext_lazy("Store"),
    "EXTERNAL": gettext_lazy("Foreign click id"),
    "MANUAL": gettext_lazy("Accepted claim"),
    "GOAL": gettext_lazy("Step on the way"),
}
SOURCES = {
    "s2s": gettext_lazy("the shop's server"),
    "unsigned": gettext_lazy("a call without a signature"),
    "api": gettext_lazy("the API"),
    "tag": gettext_lazy("the tag in the page"),
    "pixel": gettext_lazy("a pixel"),
    "token": gettext_lazy("a token of the page"),
    "claim": gettext_lazy("an accepted claim"),
    "history": gettext_lazy("imported history"),
}
"""Who told of a conversion, by its source."""
NOTES = {"matured": gettext_lazy("The days to decide were over.")}
"""What the system notes on its own moves."""
GOALS = {"SALE": gettext_lazy("Sale"), "LEAD": gettext_lazy("Lead")}
ADJUSTMENTS = {
    "MULTIPLY": gettext_lazy("multiply the weight"),
    "KEEP": gettext_lazy("keep only these"),
    "REMOVE": gettext_lazy("take these out"),
    "GUARANTEE": gettext_lazy("guarantee a part"),
    "TAKE_ALL": gettext_lazy("these take all"),
}
COUPONS = {
    "ALWAYS": gettext_lazy("the owner of a code used takes the whole conversion"),
    "IF_INVOLVED": gettext_lazy("the owner of a code used takes all if one of its touches counts"),
    "IF_WINNER": gettext_lazy("a click beats a code; a code counts where no click does"),
    "IF_WINNER_STRICT": gettext_lazy("a code changes nothing"),
    "SHARE": gettext_lazy("the owner of a code used first gets a fixed part"),
}
REASONS = {
    "outside_window": gettext_lazy("older than the click window"),
    "after_conversion": gettext_lazy("happened after the conversion"),
    "after_freeze": gettext_lazy("came after the checkout had begun"),
    "soft_click": gettext_lazy("soft click soon after another partner's click"),
    "unpaid_channel": gettext_lazy("own or organic channel, ignored by the policy"),
    "hierarchy": gettext_lazy("a higher level won"),
    "lower_level": gettext_lazy("a higher level won"),
    "repeats": gettext_lazy("the same partner's other click counts instead"),
    "repeat": gettext_lazy("the same partner's other click counts instead"),
    "adjustment": gettext_lazy("taken out by an adjustment"),
    "winner_limit": gettext_lazy("more partners than the policy pays"),
    "not_enrolled": gettext_lazy("the ad space was not enrolled at that moment"),
    "blocked": gettext_lazy("the partner is blocked"),
    "bot": gettext_lazy("a robot"),
    "prefetch": gettext_lazy("the browser only loaded ahead"),
    "repeat_click": gettext_lazy("repeated within seconds"),
    "too_many": gettext_lazy("only the latest 200 touches are considered"),
    "other_campaign": gettext_lazy("belongs to another campaign"),
    "campaign_not_running": gettext_lazy("the campaign was not running then"),
    "campaign_paused": gettext_lazy("the campaign was paused then"),
    "campaign_over": gettext_lazy("the campaign was over, or had not begun"),
    "link_ended": gettext_lazy("the link was switched off"),
    "not_navigation": gettext_lazy("nobody followed the link: a page loaded it"),
    "head": gettext_lazy("a program asked where the link leads"),
    "goal": gettext_lazy("a step on the way, not a touch of a partner"),
    "test": gettext_lazy("a test"),
}
FAULTS = {
    "unknown_field": gettext_lazy("There is no such field."),
    "missing_field": gettext_lazy("This is needed."),
    "invalid_amount": gettext_lazy("This is no amount of the currency, such as 12.50."),
    "invalid_number": gettext_lazy("A plain number with a point is expected, without sign."),
    "invalid_time": gettext_lazy("There is no such time."),
    "naive_time": gettext_lazy("The time needs its zone: Z or an offset."),
    "invalid_currency": gettext_lazy("There is no such currency."),
    "duplicate_id": gettext_lazy("This is there twice."),
    "unknown_plan": gettext_lazy("There is no plan of this name."),
    "invalid_json": gettext_lazy("This is not JSON."),
}
TOUCHES = {
    "kind": gettext_lazy("kind %s"),
    "channel": gettext_lazy("channel %s"),
    "channel_class": gettext_lazy("class %s"),
    "device": gettext_lazy("device %s"),
    "ad_space": gettext_lazy("ad space %s"),
    "ad_space_category": gettext_lazy("ad space of kind %s"),
    "partner": gettext_lazy("partner %s"),
    "partner_group": gettext_lazy("partner group %s"),
    "position": gettext_lazy("place %s from the start"),
    "position_from_end": gettext_lazy("place %s from the end"),
}
FLAGS = {
    "no_eligible_touches": gettext_lazy("No touch counts, so nobody is paid."),
    "coupon_unknown": gettext_lazy("A code was used that nobody owns here."),
    "coupon_expired": gettext_lazy("A code was used outside its dates."),
    "parts_mismatch": gettext_lazy("The lines do not add up to the order; the difference is a line of its own."),
    "adjustment_skipped": gettext_lazy("An adjustment would have left nothing and was skipped."),
    "shared_key": gettext_lazy("A key joins so many visitors that it was not used."),
    "too_many": gettext_lazy("The journey has more than 200 touches; the latest count."),
}
CONDITIONS = {
    "category": gettext_lazy("category %s"),
    "shop_category": gettext_lazy("shop category %s"),
    "sku": gettext_lazy("product %s"),
    "goal": gettext_lazy("goal %s"),
    "country": gettext_lazy("country %s"),
    "device": gettext_lazy("device %s"),
    "coupon": gettext_lazy("code %s used"),
    "partner_group": gettext_lazy("partner group %s"),
    "ad_space_category": gettext_lazy("ad space of kind %s"),
    "touch_kind": gettext_lazy("won by %s"),
    "role": gettext_lazy("role %s"),
}


def or_list(values: Any) -> str:
    values = values if isinstance(values, list) else [values]
    return _(" or ").join(str(value) for value in values)


def condition(when: Mapping[str, Any], currency: str) -> str:
    """Return a rule's conditions as a sentence; without any it holds for everything."""
    parts = [text % or_list(when[name]) for name, text in CONDITIONS.items() if when.get(name)]
    if when.get("new_customer") is not None:
        parts.insert(0, _("a new customer") if when["new_customer"] else _("an existing customer"))
    if when.get("amount_from"):
        parts.append(_("order from %(amount)s %(currency)s") % {"amount": when["amount_from"], "currency": currency})
    if when.get("amount_to"):
        parts.append(_("order below %(amount)s %(currency)s") % {"amount": when["amount_to"], "currency": currency})
    if when.get("quantity_from"):
        parts.append(_("quantity from %s") % when["quantity_from"])
    return _(" and ").join(parts) if parts else _("everything else")


def pay(pays: Mapping[str, Any], currency: str) -> str:
    """Return what a rule pays: `8 % of the net amount`, `0.50 EUR per piece`."""
    parts = []
    if pays.get("percent") is not None:
        of = _("of the amount before discount") if pays.get("of") == "gross" else _("of the net amount")
        parts.append(f"{pays['percent']} % {of}")
    for name, text in (("per_line", _("per line")), ("per_unit", _("per piece"))):
        if pays.get(name):
            parts.append(f"{pays[name]} {currency} {text}")
    return " + ".join(parts) or _("nothing")


def rule(row: Mapping[str, Any], currency: str) -> str:
    """Return a rule as a sentence: `12 % of the net amount for a new customer (new customers)`."""
    said = _("%(pay)s for %(when)s") % {
        "pay": pay(row.get("pay") or {}, currency),
        "when": condition(row.get("when") or {}, currency),
    }
    return f"{said} ({row['name']})" if row.get("name") else said


def plan_rules(rules: Sequence[Any], currency: str) -> list[dict[str, str]]:
    """Return the rules of a version in their order, each with its sentence."""
    return [
        {"name": rule.name, "when": condition(rule.when, currency), "pay": pay(rule.pay, currency)} for rule in rules
    ]


def touches(when: Mapping[str, Any]) -> str:
    """Return which touches an adjustment means, as a sentence."""
    parts = [text % or_list(when[name]) for name, text in TOUCHES.items() if when.get(name)]
    said = _(" and ").join(parts) if parts else _("every touch")
    if when.get("journey_contains"):
        said += _(", where the journey contains %s") % touches(when["journey_contains"])
    return said


def adjustment(row: Mapping[str, Any]) -> str:
    """Return an adjustment as a sentence: `channel content: multiply the weight by 2`."""
    does = row.get("do")
    said = ADJUSTMENTS.get(does or "", does or "")
    if does == "MULTIPLY":
        said = _("multiply the weight by %s") % row.get("factor", "?")
    if does == "GUARANTEE":
        said = _("guarantee %s %% of the conversion") % row.get("percent", "?")
    return f"{touches(row.get('when') or {})}: {said}"


def policy(settings: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return a policy's settings as (subject, sentence), in the order they act."""
    title, sentence = MODELS.get(settings["model"], (settings["model"], ""))
    weights = settings.get("weights") or {}
    sentence = str(sentence)
    if settings["model"] in {"POSITION", "ROLES"}:
        parts = [str(weights.get(name, usual)) for name, usual in (("first", 40), ("middle", 20), ("last", 40))]
        sentence += f" ({' / '.join(parts)})"
    if settings["model"] == "TIME_DECAY":
        sentence += _(", half as much every %s days") % settings.get("half_life_days", "7")
    views = settings.get("view_window_days", 0)
    clicks = settings.get("click_window_days", 30)
    said = [
        (_("Model"), f"{title}: {sentence}"),
        (_("Click window"), _("%s days before the conversion") % clicks),
        (_("Views"), _("%s days") % views if views else _("do not count")),
        (_("Repeated clicks"), REPEATS[settings.get("repeats", "ALL")]),
        (_("Own channels"), UNPAID[settings.get("unpaid", "IGNORE")]),
        (_("Codes"), COUPONS[settings.get("coupon", "IF_WINNER")]),
    ]
    if settings.get("channel_windows"):
        days = ", ".join(f"{channel} {days}" for channel, days in settings["channel_windows"].items())
        said.append((_("Windows of channels"), _("%s days") % days))
    if settings.get("levels") and settings["model"] in {"LAST_CLICK", "FIRST_CLICK"}:
        said.append((_("Levels"), " > ".join(", ".join(level) for level in settings["levels"])))
    if settings.get("freeze") is not None:
        freeze = {"goal": "CHECKOUT", "hours": 24, **settings["freeze"]}
        said.append((_("Freeze"), _("for %(hours)s hours after %(goal)s") % freeze))
    if settings.get("soft_click_hours", 24) != 24:
        said.append((_("Soft clicks"), _("no claim within %s hours of a click") % settings["soft_click_hours"]))
    if settings.get("winner_limit", 12) != 12:
        said.append((_("Partners paid"), _("at most %s") % settings["winner_limit"]))
    if settings.get("budget_neutral"):
        said.append((_("Cost"), _("what the last click's plan would have cost")))
    said += [(_("Adjustment %s") % n, adjustment(row)) for n, row in enumerate(settings.get("adjustments") or (), 1)]
    return said


def coupon_rule(policy: str, percent: Any) -> str:
    """Return what a code changes, as a sentence."""
    if policy == "SHARE":
        return _("the owner of the code first gets %s %%, then its part of the rest") % f"{percent.normalize():f}"
    return str(COUPONS[policy])


def fault(code: str, message: str) -> str:
    """Return a refusal of a document in people's words."""
    return str(FAULTS.get(code, message))


def reason(code: str | None) -> str:
    return REASONS.get(code or "", (code or "").replace("_", " "))


def flag(code: str) -> str:
    return FLAGS.get(code, code.replace("_", " "))
