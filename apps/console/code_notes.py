"""Why the owner of a code that came with an order has no part in it: the first question of whoever reviews it."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _

from apps.attribution.rules import code_key
from apps.campaigns.models import Coupon
from apps.console import words
from apps.core.errors import Refusal
from apps.pipeline.selectors import load_settings
from apps.tracking.models import Conversion


def code_notes(conversion: Conversion, receipt: dict[str, Any], names: dict[str, tuple[str, str]]) -> list[str]:
    """Return a sentence for each code whose owner has no part, by the rules of the order's moment.

    No query where no code came; a constant number otherwise.
    """
    if not conversion.coupons:
        return []
    keys = {code_key(code) for code in conversion.coupons}
    coupons = {
        code_key(row.code): row
        for row in Coupon.objects.filter(campaign=conversion.campaign_id).select_related("partner")
        if code_key(row.code) in keys
    }
    settings = load_settings([conversion.campaign_id])[conversion.campaign_id]
    at = conversion.occurred_at
    grants = settings.grants_for(conversion.coupons, at)
    try:
        policy = settings.policy_at(at)[1]
    except Refusal:
        return []
    sharing = {share["partner"] for share in receipt["shares"]}
    found = []
    for code in conversion.coupons:
        coupon, grant = coupons.get(code_key(code)), grants.get(code_key(code))
        if coupon is None or coupon.partner is None:
            found.append(_("Code %s: it belongs to no partner.") % code)
            continue
        owner = names.get(coupon.partner.slug, (coupon.partner.name, ""))[0]
        if coupon.partner.slug in sharing:
            continue
        if grant is None:
            why = _("the owner is no active partner")
        elif not grant.valid_at(at):
            why = _("the code was not valid then")
        else:
            rule = grant.policy or policy.coupon
            percent = grant.percent if grant.percent is not None else policy.coupon_percent
            why = words.coupon_rule(rule, percent) if rule != "SHARE" or percent else _("the code's part is zero")
        found.append(
            _("Code %(code)s of %(owner)s, who has no part: %(why)s.") % {"code": code, "owner": owner, "why": why}
        )
    return found
