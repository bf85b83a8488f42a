"""Report, move and withdraw claims; what acceptance means for money is the pipeline's."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import IntegrityError, transaction

from apps.campaigns.models import Campaign
from apps.claims.models import AWAITED, AtEnd, Claim, ClaimState, ClaimTerms
from apps.claims.rules import ClaimFact
from apps.claims.selectors import terms_of
from apps.core.actors import Actor
from apps.core.errors import Conflict, Invalid, NotFound
from apps.core.periods import day_of
from apps.identity.models import Advertiser
from apps.partners.models import Partner
from apps.records.services import record_act


class ClaimNotFound(NotFound):
    code = "claim_not_found"
    message = "There is no such claim here."


class ClaimClosed(Conflict):
    code = "claim_closed"
    message = "The claim is answered or withdrawn already."


class ClaimOpenAlready(Conflict):
    code = "claim_open_already"
    message = "You have an open claim for this order already, with other content: withdraw it first."


@dataclass(frozen=True, slots=True)
class Reported:
    """A claim, and whether this call wrote it (else the same one is open already)."""

    claim: Claim
    created: bool


@transaction.atomic
def report_claim(*, partner: Partner, fact: ClaimFact, actor: Actor, now: datetime) -> Reported:
    """Store a claim that starts its clock, or find the same one open. Raises ClaimOpenAlready."""
    campaign = Campaign.objects.select_related("advertiser").get(pk=fact.campaign_id)
    advertiser = campaign.advertiser
    values = {
        **{name: getattr(fact, name) for name in ("kind", "occurred_at", "amount_minor", "currency", "click_id")},
        **{"coupon": fact.coupon, "text": fact.text, "campaign_id": fact.campaign_id},
    }
    key = {"partner": partner, "advertiser": advertiser, "goal": fact.goal, "order_ref": fact.order_ref}
    days = timedelta(days=terms_of(advertiser).answer_days)
    claim = Claim(
        **key,
        **values,
        told_at=now,
        told_by=str(actor),
        answer_by=day_of(now, advertiser.zone) + days,
        moved_at=now,
        moved_by=str(actor),
    )
    try:
        with transaction.atomic():
            claim.save(force_insert=True)
    except IntegrityError:
        known = Claim.objects.filter(**key, state__in=AWAITED).first()
        if known is None:
            raise
        if any(getattr(known, name) != value for name, value in values.items()):
            raise ClaimOpenAlready(path="order_ref") from None
        return Reported(known, created=False)
    record_act(
        advertiser=advertiser, actor=actor, verb="claimed", subject=f"order {fact.order_ref}"[:120], now=now,
        details={"claim": claim.pk, "partner": partner.slug},
    )  # fmt: skip
    return Reported(claim, created=True)


def lock_claim(*, claim_id: int, advertiser: Advertiser | None = None, partner: Partner | None = None) -> Claim:
    """Return an awaited claim of an advertiser or a partner, held for its move. Raises ClaimNotFound, ClaimClosed."""
    rows = Claim.objects.select_for_update(of=["self"]).select_related("advertiser", "partner", "campaign")
    if advertiser is not None:
        rows = rows.filter(advertiser=advertiser)
    if partner is not None:
        rows = rows.filter(partner=partner)
    claim = rows.filter(pk=claim_id).first()
    if claim is None:
        raise ClaimNotFound
    if not claim.is_awaited:
        raise ClaimClosed
    return claim


def move_claim(
    claim: Claim,
    state: ClaimState,
    *,
    actor: Actor,
    now: datetime,
    reason: str = "",
    note: str = "",
    conversion_id: UUID | None = None,
) -> Claim:
    """Move a locked claim and write the act down. Raises ClaimClosed where NEXT does not allow it."""
    if state not in Claim.NEXT[claim.state]:
        raise ClaimClosed
    claim.state, claim.reason, claim.note = state, reason, note[:300]
    claim.moved_at, claim.moved_by, claim.conversion_id = now, str(actor), conversion_id
    claim.save(update_fields=["state", "reason", "note", "moved_at", "moved_by", "conversion"])
    record_act(
        advertiser=claim.advertiser, actor=actor, verb=f"claim {state.lower()}", now=now,
        subject=f"claim {claim.order_ref}"[:120], details={"claim": claim.pk, "reason": reason, "note": note[:300]},
    )  # fmt: skip
    return claim


@transaction.atomic
def withdraw_claim(*, partner: Partner, claim_id: int, actor: Actor, now: datetime) -> Claim:
    """Take a claim back. Raises ClaimNotFound, ClaimClosed."""
    claim = lock_claim(claim_id=claim_id, partner=partner)
    return move_claim(claim, ClaimState.WITHDRAWN, actor=actor, now=now)


def erase_words(*, advertiser: Advertiser, orders: Collection[tuple[str, str]]) -> int:
    """Clear what partners wrote in their claims for orders, given as goal and number; return how many had words."""
    named = Claim.objects.for_advertiser(advertiser).filter(order_ref__in={ref for _, ref in orders})
    of_them = [
        row.pk for row in named.exclude(text="").only("goal", "order_ref") if (row.goal, row.order_ref) in orders
    ]
    return Claim.objects.filter(pk__in=of_them).update(text="")


@transaction.atomic
def set_claim_terms(
    *, advertiser: Advertiser, answer_days: int, at_end: str, actor: Actor, now: datetime
) -> ClaimTerms:
    """Set the clock of claims reported from now on; what is open keeps its day."""
    if not 1 <= answer_days <= 365:
        raise Invalid("Claims are answered within 1 to 365 days.", code="invalid_days", path="answer_days")
    if at_end not in AtEnd.values:
        raise Invalid("A claim nobody answered is accepted or marked overdue.", code="invalid_at_end", path="at_end")
    values = {"answer_days": answer_days, "at_end": at_end}
    terms, _ = ClaimTerms.objects.update_or_create(advertiser=advertiser, defaults=values)
    record_act(advertiser=advertiser, actor=actor, verb="changed", subject="terms of claims", now=now, details=values)
    return terms
