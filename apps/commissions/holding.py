"""Put conversions on hold where a rule says so, in the transaction that settles them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction

from apps.campaigns.models import Campaign
from apps.commissions.models import DecisionState, HoldPolicy, PartnerReview
from apps.commissions.moving import Wish, move_decisions
from apps.commissions.rules.holding import HoldRules, Sold, hold_reason, hold_reasons
from apps.core.actors import Actor
from apps.core.reading import array_of, read_rows
from apps.identity.models import Advertiser
from apps.partners.models import Partner
from apps.records.services import record_act

BY = "Hold rule"
NO_RULES = HoldRules(under_review=False)
FACTS = """
SELECT c.id, c.campaign_id, c.recorded_at, o.state, o.reason, c.source,
    COALESCE((a.content->>'amount_minor')::bigint, c.amount_minor), c.currency = g.currencies[1],
    EXTRACT(EPOCH FROM c.occurred_at - (
        SELECT max(t.occurred_at) FROM attribution_share s JOIN tracking_touchpoint t ON t.id = s.touch_id
        WHERE s.conversion_id = c.id AND t.kind <> 'MANUAL'
    ))::float8,
    EXISTS (
        SELECT 1 FROM attribution_share s JOIN commissions_partnerreview r
            ON r.partner_id = s.partner_id AND r.advertiser_id = c.advertiser_id
        WHERE s.conversion_id = c.id AND r.since <= c.recorded_at AND (r.until IS NULL OR r.until > c.recorded_at)
    ),
    EXISTS (
        SELECT 1 FROM campaigns_coupon k
        WHERE k.campaign_id = c.campaign_id AND k.partner_id IS NOT NULL
          AND upper(k.code) IN (
              SELECT upper(told)
              FROM jsonb_array_elements_text(COALESCE(a.content->'coupons', to_jsonb(c.coupons))) AS told
          )
          AND NOT EXISTS (
              SELECT 1 FROM attribution_share s
              WHERE s.conversion_id = c.id AND s.partner_id = k.partner_id AND s.touch_id IS NOT NULL
          )
    ),
    EXISTS (
        SELECT 1 FROM attribution_share s
        WHERE s.conversion_id = c.id AND s.partner_id IS NOT NULL AND NOT EXISTS (
            SELECT 1 FROM commissions_commission m JOIN commissions_decision d ON d.conversion_id = m.conversion_id
            WHERE m.partner_id = s.partner_id AND m.advertiser_id = c.advertiser_id AND d.state = 'APPROVED'
        )
    )
FROM tracking_conversion c JOIN commissions_decision o ON o.conversion_id = c.id
JOIN campaigns_campaign g ON g.id = c.campaign_id
LEFT JOIN LATERAL (
    SELECT t.content FROM tracking_amendment t
    WHERE t.conversion_id IN (c.id, (SELECT p.original_id FROM tracking_repeat p WHERE p.conversion_id = c.id))
    ORDER BY t.sequence DESC, t.turn DESC LIMIT 1
) a ON TRUE
WHERE c.id = ANY(%s::uuid[]) AND NOT c.is_test AND c.source <> 'history' AND o.state IN ('PENDING', 'ON_HOLD')
"""
UNMOVED = f"{FACTS} AND (o.moved_at IS NULL OR o.decided_by = %s) ORDER BY c.id"


def hold_by_rule(
    campaigns: dict[str, int], *, held: Collection[str] = (), of_unknown_goals: Collection[str] = (), now: datetime
) -> int:
    """Put those open decisions on hold that a rule of their campaign names, and release those that none names any more.

    Which it is follows from what is known, whether a click comes before its sale is settled or after; a decision that
    a person has moved is moved by no rule any more. Amounts and codes are those told last. `campaigns` are the
    conversions' campaigns by conversion id, `held` those on hold by now, `of_unknown_goals` those that would be paid
    for a goal that no plan names: these wait in every campaign. Returns how many were put on hold. One query where no
    campaign has hold rules.
    """
    policies: dict[int, list[HoldPolicy]] = defaultdict(list)
    for policy in HoldPolicy.objects.filter(campaign__in=set(campaigns.values())).order_by("-starts_at"):
        policies[policy.campaign_id].append(policy)
    marked = {*held, *of_unknown_goals}
    asked = [id_ for id_, campaign in campaigns.items() if campaign in policies or id_ in marked]
    if not asked:
        return 0
    holds, releases = [], []
    for id_, campaign_id, recorded_at, state, reason, door, amount, is_usual, seconds, *found_of in read_rows(
        UNMOVED, [array_of(asked), BY]
    ):
        rules = rules_at(policies[campaign_id], recorded_at) or NO_RULES
        is_unknown = str(id_) in of_unknown_goals
        found = hold_reason(rules, _sold(seconds, found_of, door, amount, is_unknown, is_usual))
        if state == DecisionState.ON_HOLD and found != reason:
            releases.append(Wish(str(id_), DecisionState.PENDING))
        if found and (state, reason) != (DecisionState.ON_HOLD, found):
            holds.append(Wish(str(id_), DecisionState.ON_HOLD, found))
    # One that is held for another reason now moves twice, each at its own moment, so that its story tells both.
    if releases:
        move_decisions(releases, state=DecisionState.PENDING, by=BY, at=now, job_id=None)
    if holds:
        after = now + timedelta.resolution if releases else now
        move_decisions(holds, state=DecisionState.ON_HOLD, by=BY, at=after, job_id=None)
    return len(holds)


def _sold(
    seconds: float | None, found_of: Sequence[bool], door: str, amount: int, is_unknown: bool, is_usual: bool
) -> Sold:
    reviewed, unowned, first = found_of
    return Sold(seconds, reviewed, unowned, door, amount, first, is_unknown, is_usual)


def reasons_to_look(*, conversion_id: UUID, campaign_id: int, pays_unknown_goal: bool) -> tuple[str, ...]:
    """Return all that the rules would hold an open conversion for now, whoever has moved it since. Two queries."""
    policies = list(HoldPolicy.objects.filter(campaign=campaign_id).order_by("-starts_at"))
    for _id, _campaign, recorded_at, _state, _reason, door, amount, is_usual, seconds, *found_of in read_rows(
        FACTS, [array_of([str(conversion_id)])]
    ):
        rules = rules_at(policies, recorded_at) or NO_RULES
        return hold_reasons(rules, _sold(seconds, found_of, door, amount, pays_unknown_goal, is_usual))
    return ()


def holds_unsigned(campaign: Campaign, *, at: datetime) -> bool:
    """Tell whether what is told of a campaign without a signature waits on hold from a moment on."""
    policies = HoldPolicy.objects.filter(campaign=campaign, starts_at__lte=at).order_by("-starts_at")
    return bool(policies.values_list("untrusted_door", flat=True).first())


def rules_at(policies: Sequence[HoldPolicy], at: datetime) -> HoldRules | None:
    """Return the rules that hold at a moment, of policies with the latest start first."""
    found = next((policy for policy in policies if policy.starts_at <= at), None)
    if found is None:
        return None
    return HoldRules(
        found.under_review,
        found.too_fast_seconds,
        found.unowned_code,
        found.untrusted_door,
        found.first_sale_above_minor,
    )


@transaction.atomic
def set_hold_rules(
    *, advertiser: Advertiser, campaign: Campaign, rules: HoldRules, actor: Actor, now: datetime
) -> HoldPolicy:
    """Let new hold rules hold from now on; conversions that are worked out already keep their state."""
    policy = HoldPolicy.objects.create(
        advertiser=advertiser,
        campaign=campaign,
        starts_at=now,
        under_review=rules.under_review,
        too_fast_seconds=rules.too_fast_seconds,
        unowned_code=rules.unowned_code,
        untrusted_door=rules.untrusted_door,
        first_sale_above_minor=rules.first_sale_above,
    )
    record_act(
        advertiser=advertiser,
        actor=actor,
        verb="set_hold_rules",
        subject=f"campaign {campaign.slug}"[:120],
        now=now,
        details={
            "under_review": rules.under_review,
            "too_fast_seconds": rules.too_fast_seconds,
            "unowned_code": rules.unowned_code,
            "untrusted_door": rules.untrusted_door,
            "first_sale_above_minor": rules.first_sale_above,
        },
    )
    return policy


@transaction.atomic
def review_partner(*, advertiser: Advertiser, partner: Partner, reason: str, actor: Actor, now: datetime) -> None:
    """Put a partner under review, or end its review where no reason is given; twice is as once."""
    open_ones = PartnerReview.objects.select_for_update().filter(advertiser=advertiser, partner=partner, until=None)
    is_open = open_ones.exists()
    if bool(reason) == is_open:
        return
    if is_open:
        open_ones.update(until=now)
    else:
        PartnerReview.objects.create(advertiser=advertiser, partner=partner, reason=reason[:300], since=now)
    record_act(
        advertiser=advertiser,
        actor=actor,
        verb="partner_review_ended" if is_open else "partner_under_review",
        subject=f"partner {partner.slug}"[:120],
        now=now,
        details={"reason": reason[:300]},
    )
