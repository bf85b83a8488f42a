"""Report, move and withdraw claims; what acceptance means for money is the pipeline's."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Q

from apps.campaigns.models import Campaign
from apps.claims.models import AWAITED, AtEnd, Claim, ClaimKind, ClaimState, ClaimTerms, Evidence
from apps.claims.rules import MOST_EVIDENCE, ClaimFact, EvidenceFact, TooMuchEvidence
from apps.claims.selectors import standing_of_order, terms_of
from apps.commissions.models import DecisionState
from apps.commissions.orders import as_told_last
from apps.core.actors import Actor
from apps.core.errors import Conflict, Invalid, NotFound
from apps.core.periods import day_of
from apps.identity.models import Advertiser
from apps.partners.models import Partner
from apps.records.services import record_act
from apps.tracking.forgetting import is_order_erased

EVIDENCE_KEPT = timedelta(days=180)


class ClaimNotFound(NotFound):
    code = "claim_not_found"
    message = "There is no such claim here."


class ClaimClosed(Conflict):
    code = "claim_closed"
    message = "The claim is answered or withdrawn already."


class ClaimOpenAlready(Conflict):
    code = "claim_open_already"
    message = "You have an open claim for this order already, with other content: withdraw it first."


class CreditedAlready(Conflict):
    code = "credited_already"
    message = "The order is credited to you as a whole already. If its amount is wrong, report that."


class AmountAsTold(Conflict):
    code = "amount_as_told"
    message = "This is the amount that the order has."


class EvidenceNotFound(NotFound):
    code = "evidence_not_found"
    message = "There is no such file here, or it is deleted."


class EvidenceErased(Conflict):
    code = "evidence_erased"
    message = "This file, or the data of the order's customer, was deleted: it is not taken."


@dataclass(frozen=True, slots=True)
class Reported:
    """A claim, and whether this call wrote it (else the same one is open already)."""

    claim: Claim
    created: bool


def refuse_needless(*, partner: Partner, fact: ClaimFact) -> None:
    """Raise CreditedAlready, AmountAsTold where the order stands as the claim would have it.

    A courtesy of the form, no rule: `report_claim` takes such claims, as what stands may change between the two.
    """
    advertiser_id = Campaign.objects.values_list("advertiser_id", flat=True).get(pk=fact.campaign_id)
    standing = standing_of_order(advertiser_id=advertiser_id, goal=fact.goal, order_ref=fact.order_ref)
    if standing.conversion is None or standing.decision is None or standing.decision.state == DecisionState.REJECTED:
        return
    if fact.kind == ClaimKind.MISSING and standing.part_of(partner.pk) == 1:
        raise CreditedAlready(path="kind")
    if fact.kind == ClaimKind.WRONG and standing.part_of(partner.pk):
        order, _ = as_told_last(standing.conversion.pk)
        if (order.amount_minor, order.currency) == (fact.amount_minor, fact.currency):
            raise AmountAsTold(path="amount")


@transaction.atomic
def report_claim(
    *, partner: Partner, fact: ClaimFact, actor: Actor, now: datetime, evidence: Sequence[EvidenceFact] = ()
) -> Reported:
    """Store a claim that starts its clock with its files, or find the same one open and add them to it.

    Raises ClaimOpenAlready, TooMuchEvidence, EvidenceErased.
    """
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
        if evidence:
            attach_evidence(partner=partner, claim_id=known.pk, evidence=evidence, actor=actor, now=now)
        return Reported(known, created=False)
    record_act(
        advertiser=advertiser, actor=actor, verb="claimed", subject=f"order {fact.order_ref}"[:120], now=now,
        details={"claim": claim.pk, "partner": partner.slug},
    )  # fmt: skip
    if evidence:
        attach_evidence(partner=partner, claim_id=claim.pk, evidence=evidence, actor=actor, now=now)
    return Reported(claim, created=True)


@transaction.atomic
def attach_evidence(
    *, partner: Partner, claim_id: int, evidence: Sequence[EvidenceFact], actor: Actor, now: datetime
) -> list[Evidence]:
    """Add files to an awaited claim, each content once; return those that this call wrote.

    Raises ClaimNotFound, ClaimClosed, TooMuchEvidence, EvidenceErased; then none is added.
    """
    claim = lock_claim(claim_id=claim_id, partner=partner)
    # Once the claim is held: whoever erases the customer holds it too.
    if is_order_erased(advertiser_id=claim.advertiser_id, goal=claim.goal, order_ref=claim.order_ref):
        raise EvidenceErased(path="evidence")
    rows = Evidence.objects.filter(claim=claim)
    if rows.filter(sha256__in=[fact.sha256 for fact in evidence]).exclude(erased_at=None).exists():
        raise EvidenceErased(path="evidence")
    known = set(rows.kept().values_list("sha256", flat=True))
    new = {fact.sha256: fact for fact in evidence if fact.sha256 not in known}
    if len(known) + len(new) > MOST_EVIDENCE:
        raise TooMuchEvidence(path="evidence")
    stored = [
        Evidence(
            advertiser=claim.advertiser, claim=claim, sha256=fact.sha256, name=fact.name, media_type=fact.media_type,
            size=len(fact.content), content=fact.content, attached_at=now, attached_by=str(actor),
        )
        for fact in new.values()
    ]  # fmt: skip
    for row in stored:
        row.save(force_insert=True)
        _write_down(row, "evidence attached", actor, now)
    return stored


@transaction.atomic
def remove_evidence(
    *, advertiser: Advertiser, claim_id: int, evidence_id: int, actor: Actor, now: datetime
) -> Evidence:
    """Delete a file's bytes and name for good; hash, type, size and who attached it stay. Raises EvidenceNotFound."""
    rows = Evidence.objects.for_advertiser(advertiser).kept().select_for_update(of=["self"]).defer("content")
    row = rows.select_related("claim", "advertiser").filter(claim_id=claim_id, pk=evidence_id).first()
    if row is None:
        raise EvidenceNotFound
    row.content, row.name, row.erased_at = None, "", now
    row.save(update_fields=["content", "name", "erased_at"])
    _write_down(row, "evidence removed", actor, now)
    return row


def _write_down(row: Evidence, verb: str, actor: Actor, now: datetime) -> None:
    """Write the act down without the file's name, which may be a customer's."""
    details = {"claim": row.claim_id, "evidence": row.pk, "media_type": row.media_type, "size": row.size}
    subject = f"claim {row.claim.order_ref}"[:120]
    record_act(
        advertiser=row.advertiser, actor=actor, verb=verb, subject=subject, now=now,
        details={**details, "sha256": row.sha256},
    )  # fmt: skip


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


@transaction.atomic
def erase_words(*, advertiser: Advertiser, orders: Collection[tuple[str, str]]) -> int:
    """Clear what partners wrote in their claims for orders, given as goal and number; return how many had words."""
    of_them = _claims_for(advertiser, orders)
    return Claim.objects.filter(pk__in=of_them).exclude(text="").update(text="")


@transaction.atomic
def erase_evidence(*, advertiser: Advertiser, orders: Collection[tuple[str, str]], now: datetime) -> int:
    """Delete the files of claims for orders, given as goal and number; return how many there were."""
    of_them = _claims_for(advertiser, orders)
    return Evidence.objects.filter(claim__in=of_them).kept().update(content=None, name="", erased_at=now)


def _claims_for(advertiser: Advertiser, orders: Collection[tuple[str, str]]) -> list[int]:
    """Return the claims for orders, held so that none gets another file meanwhile."""
    named = Claim.objects.for_advertiser(advertiser).filter(order_ref__in={ref for _, ref in orders})
    named = named.order_by("pk").select_for_update(of=["self"])
    return [row.pk for row in named.only("goal", "order_ref") if (row.goal, row.order_ref) in orders]


def forget_evidence(*, now: datetime) -> int:
    """Delete the files of claims that were closed, or had to be answered, over 180 days ago; return how many."""
    since = now - EVIDENCE_KEPT
    closed = ~Q(state__in=AWAITED) & Q(moved_at__lt=since)
    unanswered = Q(state__in=AWAITED, answer_by__lt=since.date())
    over = Claim.objects.filter(closed | unanswered)
    return Evidence.objects.kept().filter(claim__in=over).update(content=None, name="", erased_at=now)


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
