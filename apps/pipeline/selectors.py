"""What decides the conversions of a campaign: its policy, plans, codes and partners, loaded once per batch."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from operator import attrgetter, itemgetter
from typing import NamedTuple
from zoneinfo import ZoneInfo

from django.db.backends.postgresql.psycopg_any import DateTimeTZRange

from apps.attribution.models import CouponRule, PolicyVersion
from apps.attribution.rules import CouponGrant, Policy, Touch, code_key
from apps.attribution.rules.facts import NOTHING
from apps.campaigns.models import Campaign, Coupon, EnrollmentPeriod
from apps.commissions.models import PlanAssignment, PlanVersion
from apps.commissions.rules import Plan
from apps.core.errors import Conflict
from apps.journeys.selectors import Candidate
from apps.partners.models import Partner, Partnership, PartnershipState
from apps.pipeline.parsing import parsed_plan, parsed_policy

Assigned = tuple[str, int, datetime, datetime]  # key, plan id, start and end
EVER, FOREVER = datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)


class NoPolicy(Conflict):
    code = "no_policy"
    message = "The campaign has no attribution policy that applies at the conversion's time."


class NoPlanYet(Conflict):
    code = "no_plan"
    message = "The campaign has no commission plan that applies at the conversion's time."


class ForeignAmounts(Conflict):
    code = "plan_currency"
    message = "A plan names amounts in another currency than the conversion's; only percentages hold for both."


@dataclass(frozen=True, slots=True)
class Standing:
    """An ad space as the rules see it: names, category, group, and when it was enrolled."""

    ad_space: str
    category: str
    group: str | None
    blocked: bool
    periods: tuple[tuple[datetime, datetime], ...]


class Source(NamedTuple):
    """What touches have in common that differ in nothing but id and moment; `facts` stand in the order of Touch."""

    kind: str
    facts: tuple[str | None, ...]
    standing: Standing | None
    eligible_from: datetime
    eligible_to: datetime


class Plans(NamedTuple):
    """The plans that hold at a moment and the ids of their versions, by their key (`default`, `partner:…`).

    `currencies` are those in which any of them names amounts, `goals` those that any rule of theirs names.
    """

    by_key: dict[str, Plan]
    version_ids: dict[str, int]
    currencies: set[str]
    goals: set[str]

    def knows(self, goal: str) -> bool:
        """Tell whether a goal is one that the plans were made for; sales always are."""
        return goal == "SALE" or goal in self.goals

    @property
    def by_group(self) -> bool:
        """Tell whether groups of partners have plans of their own."""
        return any(key.startswith("group:") for key in self.by_key)

    def refuse_amounts_of_others(self, currency: str) -> None:
        """Refuse a conversion in `currency` where a plan names amounts in another. Raises ForeignAmounts."""
        if self.currencies - {currency}:
            raise ForeignAmounts


class Code(NamedTuple):
    """A coupon: what it grants by itself, its rules from the earliest start on, and until when its owner has a say."""

    grant: CouponGrant
    rules: Sequence[CouponRule]
    until: datetime


def names_amounts(plan: Plan) -> bool:
    """Tell whether a plan says anything in money, beside percentages."""
    return (
        bool(plan.per_order)
        or (plan.minimum, plan.maximum) != (None, None)
        or any(
            rule.pay.per_line or rule.pay.per_unit or (rule.when.amount_from, rule.when.amount_to) != (None, None)
            for rule in plan.rules
        )
    )


@dataclass(slots=True)
class CampaignSettings:
    """Everything of one campaign that settling asks, by short names; versions are chosen by the conversion's time."""

    campaign: Campaign
    zone: ZoneInfo
    currency: str
    policies: list[tuple[datetime, PolicyVersion]]
    plan_versions: Mapping[int, list[tuple[datetime, PlanVersion]]]
    assignments: list[Assigned]
    coupons: Mapping[str, Code]
    standings: Mapping[int, Standing]
    slugs: Mapping[int, str]
    partner_ids: Mapping[str, int]
    ad_space_ids: Mapping[str, int]
    boundaries: list[datetime] = field(default_factory=list)
    _plans: dict[int, Plans] = field(default_factory=dict)
    _sources: dict[tuple[object, ...], Source] = field(default_factory=dict)

    def policy_at(self, moment: datetime) -> tuple[PolicyVersion, Policy]:
        """Return the version whose start is the latest at or before a moment. Raises NoPolicy."""
        place = bisect_right(self.policies, moment, key=itemgetter(0))
        if not place:
            raise NoPolicy
        version = self.policies[place - 1][1]
        return version, parsed_policy(version)

    def plans_at(self, moment: datetime) -> Plans:
        """Return the plan versions that hold at a moment. Raises NoPlanYet."""
        segment = bisect_right(self.boundaries, moment)
        found = self._plans.get(segment)
        if found is None:
            found = self._plans[segment] = plans_holding(self.assignments, self.plan_versions, moment)
        if "default" not in found.by_key:
            raise NoPlanYet
        return found

    def grants_for(self, codes: Sequence[str], moment: datetime) -> Mapping[str, CouponGrant]:
        """Return what the codes sent with a conversion grant at its moment.

        Codes nobody knows are missing, and those whose owner is no active partner then.
        """
        found = {}
        for key in map(code_key, codes):
            code = self.coupons.get(key)
            if code is None or code.until <= moment:
                continue
            place = bisect_right(code.rules, moment, key=attrgetter("starts_at"))
            rule = code.rules[place - 1] if place else None
            found[key] = replace(code.grant, policy=rule.policy, percent=rule.percent) if rule else code.grant
        return found

    def touch_of(self, candidate: Candidate) -> Touch:
        """Return a candidate as the rules see it, with the reason that makes it ineligible.

        What does not depend on the touch's id and moment is worked out once for all touches of one source.
        """
        source = self._sources.get(candidate[2:])
        if source is None:
            source = self._sources[candidate[2:]] = self._source(candidate)
        id_, at = candidate[:2]
        refusal = candidate.refusal or (
            None if source.eligible_from <= at < source.eligible_to else self._refusal(candidate, source.standing)
        )
        return tuple.__new__(Touch, (id_, source.kind, at, *source.facts, refusal, NOTHING))

    def _source(self, candidate: Candidate) -> Source:
        """Return what all touches share that differ from this one in nothing but id and moment."""
        standing = self.standings.get(candidate.ad_space_id) if candidate.ad_space_id is not None else None
        partner_id = candidate.partner_id
        start, end = self._surely_eligible(candidate, standing)
        return Source(
            kind=candidate.kind,
            facts=(
                candidate.channel,
                candidate.channel_class,
                candidate.device or None,
                None if partner_id is None else self.slugs.get(partner_id, f"partner-{partner_id}"),
                standing.group if standing else None,
                standing.ad_space if standing else None,
                standing.category if standing else None,
                candidate.goal or None,
            ),
            standing=standing,
            eligible_from=start,
            eligible_to=end,
        )

    def _surely_eligible(self, candidate: Candidate, standing: Standing | None) -> tuple[datetime, datetime]:
        """Return a stretch in which no touch of a source is refused; outside of it, each is asked for itself."""
        if candidate.partner_id is None:
            return EVER, FOREVER
        if standing is None or not standing.periods:
            return FOREVER, FOREVER
        start, end = standing.periods[-1]
        start = max(start, self.campaign.starts_at)
        refused = self._refusal(candidate._replace(at=start), standing)
        return (FOREVER, FOREVER) if refused else (start, min(end, self.campaign.ends_at or FOREVER))

    def _refusal(self, candidate: Candidate, standing: Standing | None) -> str | None:
        if candidate.partner_id is None:
            return None
        if candidate.campaign_id != self.campaign.pk:
            return "other_campaign"
        if not self.campaign.runs_at(candidate.at):
            return "campaign_not_running"
        if standing is None:
            return "not_enrolled"
        if standing.blocked:
            return "blocked"
        if not any(start <= candidate.at < end for start, end in standing.periods):
            return "not_enrolled"
        return None


def plans_holding(
    assignments: Iterable[Assigned], plan_versions: Mapping[int, list[tuple[datetime, PlanVersion]]], moment: datetime
) -> Plans:
    """Return the plan versions that are assigned at a moment, out of those of a campaign."""
    found = Plans({}, {}, set(), set())
    for key, plan_id, start, end in assignments:
        versions = plan_versions.get(plan_id, [])
        place = bisect_right(versions, moment, key=itemgetter(0))
        if start <= moment < end and place:
            version = versions[place - 1][1]
            plan = found.by_key[key] = parsed_plan(version, key)
            found.version_ids[key] = version.pk
            found.goals.update(goal for rule in plan.rules for goal in rule.when.goal)
            if names_amounts(plan):
                found.currencies.add(version.currency)
    return found


def knows_goal(campaign: Campaign, goal: str, moment: datetime) -> bool:
    """Tell whether a campaign's plans of a moment were made for a goal; without a plan nothing says otherwise.

    Only the plans are read, at most three queries: it is asked of every call with a goal of its own.
    """
    if goal == "SALE":
        return True
    held = plans_holding(_assignments([campaign.pk])[campaign.pk], _plan_versions([campaign.pk])[campaign.pk], moment)
    return "default" not in held.by_key or held.knows(goal)


def load_settings(campaign_ids: Collection[int]) -> dict[int, CampaignSettings]:
    """Return the settings of campaigns by their id; a constant number of queries however many there are."""
    campaigns = Campaign.objects.select_related("advertiser").in_bulk(list(campaign_ids))
    policies, plans = _policy_versions(campaigns), _plan_versions(campaigns)
    coupons = list(Coupon.objects.filter(campaign__in=campaigns).select_related("partner").prefetch_related("rules"))
    partnerships = _partnerships(campaigns)
    standings, slugs = _standings(campaigns, partnerships), dict(Partner.objects.values_list("pk", "slug"))
    assignments = _assignments(campaigns)
    return {
        pk: CampaignSettings(
            campaign=campaign,
            zone=campaign.advertiser.zone,
            currency=campaign.currencies[0],
            policies=policies[pk],
            plan_versions=plans[pk],
            assignments=assignments[pk],
            coupons=_coupons([row for row in coupons if row.campaign_id == pk], assignments[pk], partnerships),
            standings=standings[pk],
            slugs=slugs,
            partner_ids={slug: partner_id for partner_id, slug in slugs.items()},
            ad_space_ids={standing.ad_space: ad_space_id for ad_space_id, standing in standings[pk].items()},
            boundaries=sorted(
                {start for rows in plans[pk].values() for start, _ in rows}
                | {edge for _, _, start, end in assignments[pk] for edge in (start, end)}
            ),
        )
        for pk, campaign in campaigns.items()
    }


def _policy_versions(campaigns: Collection[int]) -> dict[int, list[tuple[datetime, PolicyVersion]]]:
    found = defaultdict(list)
    versions = PolicyVersion.objects.filter(policy__campaign__in=campaigns).select_related("policy")
    for version in versions.order_by("starts_at"):
        found[version.policy.campaign_id].append((version.starts_at, version))
    return found


def _plan_versions(campaigns: Collection[int]) -> dict[int, dict[int, list[tuple[datetime, PlanVersion]]]]:
    found: dict[int, dict[int, list[tuple[datetime, PlanVersion]]]] = defaultdict(lambda: defaultdict(list))
    versions = PlanVersion.objects.filter(plan__campaign__in=campaigns).select_related("plan")
    for version in versions.prefetch_related("rules").order_by("starts_at"):
        found[version.plan.campaign_id][version.plan_id].append((version.starts_at, version))
    return found


def _assignments(campaigns: Collection[int]) -> dict[int, list[tuple[str, int, datetime, datetime]]]:
    """Return (key, plan id, start, end) per campaign; the key is what the rules look a plan up by."""
    found = defaultdict(list)
    rows = PlanAssignment.objects.filter(campaign__in=campaigns)
    for row in rows.select_related("ad_space__partner", "partner", "group", "coupon"):
        start, end = _bounds(row.active)
        found[row.campaign_id].append((assignment_key(row), row.plan_id, start, end))
    return found


def assignment_key(row: PlanAssignment) -> str:
    """Return the name under which the rules find an assigned plan: `default`, `partner:<short name>`, …"""
    if row.ad_space:
        return f"ad_space:{ad_space_name(row.ad_space.partner.slug, row.ad_space.slug)}"
    if row.partner:
        return f"partner:{row.partner.slug}"
    if row.group:
        return f"group:{row.group.slug}"
    return f"coupon:{code_key(row.coupon.code)}" if row.coupon else "default"


def ad_space_name(partner: str, ad_space: str) -> str:
    """Return the name of an ad space in policies, plans and receipts: its own is unique within its partner only."""
    return f"{partner}/{ad_space}"


def _bounds(span: DateTimeTZRange) -> tuple[datetime, datetime]:
    return span.lower or EVER, span.upper or FOREVER


def _coupons(
    coupons: Collection[Coupon], assignments: Collection[tuple], partnerships: Mapping[tuple[int, int], Partnership]
) -> dict[str, Code]:
    with_plan = {key for key, *_ in assignments}
    return {
        code_key(coupon.code): Code(
            CouponGrant(
                partner=coupon.partner.slug if coupon.partner else None,
                valid_from=coupon.valid_from,
                valid_to=coupon.valid_to,
                plan=key if (key := f"coupon:{code_key(coupon.code)}") in with_plan else None,
            ),
            sorted(coupon.rules.all(), key=attrgetter("starts_at")),
            _active_until(coupon, partnerships),
        )
        for coupon in coupons
    }


def _active_until(coupon: Coupon, partnerships: Mapping[tuple[int, int], Partnership]) -> datetime:
    """Return until when a code's owner is an active partner; one that was blocked never was."""
    if coupon.partner_id is None:
        return FOREVER
    row = partnerships.get((coupon.advertiser_id, coupon.partner_id))
    if row is not None and row.state == PartnershipState.ENDED:
        return row.state_since
    return FOREVER if row is not None and row.state == PartnershipState.ACTIVE else EVER


def _partnerships(campaigns: Mapping[int, Campaign]) -> dict[tuple[int, int], Partnership]:
    advertisers = {campaign.advertiser_id for campaign in campaigns.values()}
    rows = Partnership.objects.filter(advertiser__in=advertisers).select_related("group")
    return {(row.advertiser_id, row.partner_id): row for row in rows}


def _standings(
    campaigns: Mapping[int, Campaign], relations: Mapping[tuple[int, int], Partnership]
) -> dict[int, dict[int, Standing]]:
    """Return by campaign and ad space how each enrolled ad space stands."""
    rows = EnrollmentPeriod.objects.filter(enrollment__campaign__in=campaigns)
    spans: dict[tuple[int, int], list[tuple[datetime, datetime]]] = defaultdict(list)
    named = {}
    for row in rows.select_related("enrollment__ad_space__partner"):
        place = (row.enrollment.campaign_id, row.enrollment.ad_space_id)
        spans[place].append(_bounds(row.active))
        named[place] = row.enrollment
    found: dict[int, dict[int, Standing]] = defaultdict(dict)
    for (campaign_id, ad_space_id), enrollment in named.items():
        ad_space, relation = enrollment.ad_space, relations.get((enrollment.advertiser_id, enrollment.partner_id))
        found[campaign_id][ad_space_id] = Standing(
            ad_space=ad_space_name(ad_space.partner.slug, ad_space.slug),
            category=ad_space.category,
            group=relation.group.slug if relation and relation.group else None,
            blocked=relation is None or relation.state == PartnershipState.BLOCKED,
            periods=tuple(sorted(spans[campaign_id, ad_space_id])),
        )
    return found
