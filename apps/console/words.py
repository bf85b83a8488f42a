"""Plans, policies and receipts said in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy

MODELS = {
    "LAST_CLICK": (lazy("Last click"), lazy("the last touch that counts takes the whole conversion")),
    "FIRST_CLICK": (lazy("First click"), lazy("the first touch that counts takes the whole conversion")),
    "LINEAR": (lazy("Linear"), lazy("every touch that counts gets the same part")),
    "POSITION": (lazy("Position"), lazy("first and last touch get most, the ones between share the rest")),
    "TIME_DECAY": (lazy("Time decay"), lazy("the nearer a touch is to the conversion, the larger its part")),
    "ROLES": (lazy("Roles"), lazy("initiator and closer get most, the partners between share the rest")),
}
UNPAID = {
    "IGNORE": lazy("own and organic channels are shown but take no part"),
    "KEEP": lazy("own channels are weighed like partners and their part is paid to nobody"),
    "REDISTRIBUTE": lazy("own channels are weighed, then their part goes to the partners"),
}
REPEATS = {
    "ALL": lazy("every click of a partner counts"),
    "COLLAPSE": lazy("neighbouring clicks of a partner count once"),
    "ONCE": lazy("a partner counts once, however often it was clicked"),
}
COUPONS = {
    "ALWAYS": lazy("the owner of a code used takes the whole conversion"),
    "IF_INVOLVED": lazy("the owner of a code used takes all if one of its touches counts"),
    "IF_WINNER": lazy("a click beats a code; a code counts where no click does"),
    "IF_WINNER_STRICT": lazy("a code changes nothing"),
    "SHARE": lazy("the owner of a code used first gets a fixed part"),
}
REASONS = {
    "outside_window": lazy("older than the click window"),
    "after_conversion": lazy("happened after the conversion"),
    "after_freeze": lazy("came after the checkout had begun"),
    "soft_click": lazy("soft click soon after another partner's click"),
    "unpaid_channel": lazy("own or organic channel, ignored by the policy"),
    "hierarchy": lazy("a higher level won"),
    "lower_level": lazy("a higher level won"),
    "repeats": lazy("the same partner's other click counts instead"),
    "repeat": lazy("the same partner's other click counts instead"),
    "adjustment": lazy("taken out by an adjustment"),
    "winner_limit": lazy("more partners than the policy pays"),
    "not_enrolled": lazy("the ad space was not enrolled at that moment"),
    "blocked": lazy("the partner is blocked"),
    "bot": lazy("a robot"),
    "prefetch": lazy("the browser only loaded ahead"),
    "repeat_click": lazy("repeated within seconds"),
    "too_many": lazy("only the latest 200 touches are considered"),
    "other_campaign": lazy("belongs to another campaign"),
    "campaign_not_running": lazy("the campaign was not running then"),
    "goal": lazy("a step on the way, not a touch of a partner"),
    "test": lazy("a test"),
}
FLAGS = {
    "no_eligible_touches": lazy("No touch counts, so nobody is paid."),
    "coupon_unknown": lazy("A code was used that nobody owns here."),
    "coupon_expired": lazy("A code was used outside its dates."),
    "parts_mismatch": lazy("The lines do not add up to the order; the difference is a line of its own."),
    "adjustment_skipped": lazy("An adjustment would have left nothing and was skipped."),
    "shared_key": lazy("A key joins so many visitors that it was not used."),
    "too_many": lazy("The journey has more than 200 touches; the latest count."),
}
CONDITIONS = {
    "category": lazy("category %s"),
    "shop_category": lazy("shop category %s"),
    "sku": lazy("product %s"),
    "goal": lazy("goal %s"),
    "country": lazy("country %s"),
    "device": lazy("device %s"),
    "coupon": lazy("code %s used"),
    "partner_group": lazy("partner group %s"),
    "ad_space_category": lazy("ad space of kind %s"),
    "touch_kind": lazy("won by %s"),
    "role": lazy("role %s"),
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


def plan_rules(rules: Sequence[Any], currency: str) -> list[dict[str, str]]:
    """Return the rules of a version in their order, each with its sentence."""
    return [
        {"name": rule.name, "when": condition(rule.when, currency), "pay": pay(rule.pay, currency)} for rule in rules
    ]


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
    if settings.get("adjustments"):
        said.append((_("Adjustments"), str(len(settings["adjustments"]))))
    if settings.get("freeze"):
        said.append((_("Freeze"), _("for %s hours after the checkout begins") % settings["freeze"].get("hours", 24)))
    return said


def reason(code: str | None) -> str:
    return REASONS.get(code or "", (code or "").replace("_", " "))


def flag(code: str) -> str:
    return FLAGS.get(code, code.replace("_", " "))
