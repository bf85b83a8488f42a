"""Policies and plans as the rules read them, from their stored versions; parsed once per process."""

from __future__ import annotations

from apps.attribution.models import PolicyVersion
from apps.attribution.rules import Policy
from apps.commissions.models import PlanVersion
from apps.commissions.rules import Plan
from apps.core.money import Money
from apps.pipeline.rules.document import Context, read_plan, read_policy

_PARSED: dict[tuple[str, int, str], Policy | Plan] = {}


def parsed_policy(version: PolicyVersion) -> Policy:
    """Return the rules of a policy version; versions never change, so each is parsed once per process."""
    place = ("policy", version.pk, "")
    found = _PARSED.get(place)
    if not isinstance(found, Policy):
        found = _PARSED[place] = read_policy(version.settings, "policy")
    return found


def parsed_plan(version: PlanVersion, key: str) -> Plan:
    """Return the rules of a plan version under the key it is assigned by; parsed once per process."""
    place = ("plan", version.pk, key)
    found = _PARSED.get(place)
    if not isinstance(found, Plan):
        context = Context(version.currency, None, frozenset(), frozenset())
        found = _PARSED[place] = read_plan(plan_document(version), "plan", key, context)
    return found


def forget_parsed() -> None:
    """Forget what this process has parsed, for readers who doubt that versions never change."""
    _PARSED.clear()


def plan_document(version: PlanVersion) -> dict[str, object]:
    """Return a plan version in the test bench's format."""

    def amount(minor: int | None) -> str | None:
        return None if minor is None else str(Money(minor, version.currency))

    return {
        "rules": [{"name": rule.name, "when": rule.when, "pay": rule.pay} for rule in version.rules.all()],
        "per_order": amount(version.per_order_minor),
        "minimum": amount(version.minimum_minor),
        "maximum": amount(version.maximum_minor),
    }
