"""Stored facts written down as documents of the test bench: a settled conversion, or what a campaign holds now."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from apps.attribution.models import PolicyVersion
from apps.attribution.rules import code_key
from apps.campaigns.models import Campaign, Coupon
from apps.commissions.models import PlanAssignment, PlanVersion
from apps.core.money import Money, digits
from apps.journeys.selectors import Candidate, candidates_by_id
from apps.partners.models import AdSpace, Partner, Partnership
from apps.pipeline.parsing import plan_document
from apps.pipeline.receipts import explain_conversion
from apps.pipeline.rules.amounts import major
from apps.pipeline.selectors import ad_space_name, assignment_key
from apps.tracking.models import Conversion

# Reasons the engine finds from what a document says; touches with another one (a robot, not enrolled, …) are left out.
SAID = {
    None,
    "goal",
    "after_conversion",
    "outside_window",
    "after_freeze",
    "soft_click",
    "unpaid_channel",
    "repeat",
    "adjustment",
}
AMOUNTS = ("per_order", "minimum", "maximum")


def document_of(conversion_id: UUID) -> dict[str, Any]:
    """Return the facts of a settled conversion as a document that explains to its shares and commissions.

    Versions are those its receipt names. Touches that were refused before the rules saw them, and those no longer
    kept, are left out. Raises NotSettled.
    """
    receipt = explain_conversion(conversion_id)
    conversion = Conversion.objects.select_related("campaign").get(pk=conversion_id)
    touches = _touches(conversion, receipt)
    coupons = _coupons(conversion)
    plans = plan_versions_at(conversion.campaign, conversion.occurred_at)
    versions = PlanVersion.objects.prefetch_related("rules").in_bulk(set(receipt["plan_versions"].values()))
    plans |= {key: versions[pk] for key, pk in receipt["plan_versions"].items()}
    named = {"default", *(f"coupon:{code_key(code)}" for code in coupons), *receipt["plan_versions"]}
    for touch in touches:
        named |= {f"{kind}:{touch[kind]}" for kind in ("ad_space", "partner") if kind in touch}
        named.add(f"group:{touch.get('partner_group')}")
    named |= {f"partner:{grant['partner']}" for grant in coupons.values() if "partner" in grant}
    chosen = {key: version for key, version in sorted(plans.items()) if key in named}
    return {
        "conversion": _conversion(conversion),
        "touches": touches,
        "policy": dict(PolicyVersion.objects.get(pk=receipt["policy_version"]).settings),
        "coupons": _with_plans(coupons, chosen),
        "plans": {key: in_currency(version, conversion.currency) for key, version in chosen.items()},
    }


def campaign_document(campaign: Campaign, *, at: datetime, codes_at_most: int = 20) -> dict[str, Any]:
    """Return what a campaign holds at a moment: `policy`, `coupons` and `plans` of a document; parts may be missing."""
    version = PolicyVersion.objects.filter(policy__campaign=campaign, starts_at__lte=at).first()
    plans = plan_versions_at(campaign, at)
    rows = Coupon.objects.filter(campaign=campaign, partner__isnull=False).select_related("partner")
    coupons = {row.code: grant_at(row, at) for row in rows.prefetch_related("rules").order_by("pk")[:codes_at_most]}
    found: dict[str, Any] = {"policy": dict(version.settings)} if version else {}
    known = {f"coupon:{code_key(code)}" for code in coupons}
    chosen = {key: plan for key, plan in sorted(plans.items()) if not key.startswith("coupon:") or key in known}
    return {
        **found,
        "coupons": _with_plans(coupons, chosen),
        "plans": {key: plan_document(plan) for key, plan in chosen.items()},
    }


def plan_versions_at(campaign: Campaign, moment: datetime) -> dict[str, PlanVersion]:
    """Return the plan versions that hold at a moment by the key the rules find them under."""
    rows = PlanAssignment.objects.filter(campaign=campaign, active__contains=moment)
    assigned = {
        assignment_key(row): row.plan_id
        for row in rows.select_related("ad_space__partner", "partner", "group", "coupon")
    }
    versions = PlanVersion.objects.filter(plan__in=set(assigned.values()), starts_at__lte=moment)
    latest = {version.plan_id: version for version in versions.order_by("starts_at").prefetch_related("rules")}
    return {key: latest[plan_id] for key, plan_id in assigned.items() if plan_id in latest}


def grant_at(coupon: Coupon, moment: datetime) -> dict[str, Any]:
    """Return a code as a document says it: its owner, its dates, and the rule that holds at a moment."""
    started = [rule for rule in coupon.rules.all() if rule.starts_at <= moment]
    rule = max(started, key=lambda rule: rule.starts_at, default=None)
    return {
        **({"partner": coupon.partner.slug} if coupon.partner else {}),
        **({"policy": rule.policy} if rule else {}),
        "percent": decimal_text(rule.percent) if rule and rule.percent is not None else "0",
        "valid_from": zoned(coupon.valid_from),
        **({"valid_to": zoned(coupon.valid_to)} if coupon.valid_to else {}),
    }


def in_currency(version: PlanVersion, currency: str) -> dict[str, Any]:
    """Return a plan with its amounts as a document in another currency says the same minor units."""
    document = plan_document(version)
    if digits(version.currency) == digits(currency):
        return document

    def same(values: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
        told = {name: values[name] for name in names if values.get(name) is not None}
        places = digits(currency)
        return {**values, **{name: major(Money.parse(t, version.currency).minor, places) for name, t in told.items()}}

    rules: list[Any] = document["rules"]  # type: ignore[assignment]
    converted = [
        {
            "name": rule["name"],
            "when": same(rule["when"], ("amount_from", "amount_to")),
            "pay": same(rule["pay"], ("per_line", "per_unit")),
        }
        for rule in rules
    ]
    return {**same(document, AMOUNTS), "rules": converted}


def _conversion(conversion: Conversion) -> dict[str, Any]:
    places = digits(conversion.currency)
    lines = [
        {
            **({"sku": line.sku} if line.sku else {}),
            **({"category": line.category} if line.category else {}),
            **({"shop_category": line.shop_category} if line.shop_category else {}),
            "quantity": line.quantity,
            "unit_price": major(line.unit_price_minor, places),
        }
        for line in conversion.lines.order_by("position")
    ]
    said = {"new_customer": conversion.new_customer, "country": conversion.country, "device": conversion.device}
    return {
        "goal": conversion.goal,
        "occurred_at": zoned(conversion.occurred_at),
        "currency": conversion.currency,
        "amount": major(conversion.amount_minor, places),
        "discount": major(conversion.discount_minor, places),
        **{name: value for name, value in said.items() if value not in (None, "")},
        "coupons": list(conversion.coupons),
        **({"lines": lines} if lines else {}),
    }


def _touches(conversion: Conversion, receipt: Mapping[str, Any]) -> list[dict[str, Any]]:
    wanted = [touch["id"] for touch in receipt["touches"] if touch.get("reason") in SAID]
    rows = {str(key): row for key, row in candidates_by_id(conversion.advertiser_id, wanted).items()}
    partner_ids = {row.partner_id for row in rows.values() if row.partner_id}
    slugs = dict(Partner.objects.filter(pk__in=partner_ids).values_list("pk", "slug"))
    enrolled = AdSpace.objects.filter(
        pk__in={row.ad_space_id for row in rows.values() if row.ad_space_id},
        enrollments__campaign=conversion.campaign_id,
    )
    spaces = {space.pk: space for space in enrolled}
    relations = Partnership.objects.filter(advertiser=conversion.advertiser_id, partner__in=partner_ids)
    groups = dict(relations.filter(group__isnull=False).values_list("partner_id", "group__slug"))
    return [_touch(id_, rows[id_], slugs, spaces, groups) for id_ in wanted if id_ in rows]


def _touch(
    id_: str, row: Candidate, slugs: Mapping[int, str], spaces: Mapping[int, AdSpace], groups: Mapping[int, str]
) -> dict[str, Any]:
    slug = slugs.get(row.partner_id, f"partner-{row.partner_id}") if row.partner_id else None
    space = spaces.get(row.ad_space_id) if row.ad_space_id else None
    found = {
        "channel": row.channel,
        "channel_class": row.channel_class,
        "device": row.device,
        "goal": row.goal,
        "partner": slug,
        "partner_group": groups.get(row.partner_id) if space and row.partner_id else None,
        "ad_space": ad_space_name(slug, space.slug) if space and slug else None,
        "ad_space_category": space.category if space else None,
    }
    return {"id": id_, "kind": row.kind, "at": zoned(row.at), **{name: text for name, text in found.items() if text}}


def _coupons(conversion: Conversion) -> dict[str, dict[str, Any]]:
    """Return the codes sent that the campaign knows."""
    keys = {code_key(code) for code in conversion.coupons}
    if not keys:
        return {}
    rows = Coupon.objects.filter(campaign=conversion.campaign_id).select_related("partner").prefetch_related("rules")
    found = [row for row in rows if code_key(row.code) in keys]
    return {row.code: grant_at(row, conversion.occurred_at) for row in found}


def _with_plans(coupons: Mapping[str, dict[str, Any]], plans: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        code: {**grant, "plan": key} if (key := f"coupon:{code_key(code)}") in plans else grant
        for code, grant in coupons.items()
    }


def zoned(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def decimal_text(value: Decimal) -> str:
    return f"{value.normalize():f}"
