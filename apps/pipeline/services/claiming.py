"""Answer claims: acceptance writes what was missing and settles it, in one transaction."""

from __future__ import annotations

import logging
from datetime import datetime

from django.db import transaction

from apps.campaigns.models import Enrollment, EnrollmentState
from apps.claims.models import AtEnd, Claim, ClaimKind, ClaimReason, ClaimState
from apps.claims.selectors import Standing, standing_of, standing_of_conversion, terms_of
from apps.claims.services import ClaimClosed, lock_claim, move_claim
from apps.commissions.models import Commission, DecisionState
from apps.core.actors import SYSTEM, Actor
from apps.core.errors import Conflict, Invalid, Refusal
from apps.core.periods import day_of
from apps.core.retrying import retried
from apps.identity.models import Advertiser
from apps.pipeline.effects import digest_of, earned_of, effects_of
from apps.pipeline.services.settling import settle_conversions
from apps.pipeline.services.telling import tell_of_claim
from apps.tracking.changing import amend_amount, lock_sale, state_touch
from apps.tracking.claimed import CLAIM, repeat_conversion
from apps.tracking.facts import amendments_of
from apps.tracking.models import Conversion, Touchpoint, Unsettled
from apps.tracking.rules.conversions import ConversionFact
from apps.tracking.services import record_conversion

CHUNK = 500
logger = logging.getLogger(__name__)


class ConversionApproved(Conflict):
    code = "conversion_approved"
    message = (
        "The order is approved and shared among others already; an approved order is not shared anew. "
        "Decline the claim, or take the approval back before it locks."
    )


class ClaimChangesNothing(Conflict):
    code = "claim_changes_nothing"
    message = "The order is credited to the partner already, with this amount: decline the claim with that reason."


class ClaimAmountNeeded(Conflict):
    code = "claim_amount_needed"
    message = "The platform does not know the order, and the claim names no amount: decline it, or ask for one."


class ClaimOfTest(Conflict):
    code = "claim_of_test"
    message = "The order was a test: it pays nobody."


class ClaimReasonNeeded(Invalid):
    code = "reason_needed"
    message = "Declining needs one of the coded reasons."


class ClaimWithoutEffect(Conflict):
    code = "claim_without_effect"
    message = (
        "By the campaign's policy the partner gets no part of this order even with the claimed contact; "
        "nothing was changed."
    )


class ClaimTakesFromAccepted(Conflict):
    code = "claim_takes_from_accepted"
    message = (
        "Another partner's claim for this order was accepted, and this one would take from it; nothing was changed. "
        "Decline the claim."
    )


class ClaimEffectDiffers(Conflict):
    code = "claim_effect_differs"
    message = "Others would earn less: look at what accepting does, and confirm it."


class ClaimNotSettled(Conflict):
    code = "claim_not_settled"
    message = "The order cannot be settled now; nothing was changed."


@retried
@transaction.atomic
def accept_claim(
    *, advertiser: Advertiser, claim_id: int, actor: Actor, now: datetime, note: str = "", expected: str | None = None
) -> Claim:
    """Give a partner what a claim says: a touch of kind MANUAL, an amount, or the order itself, and settle it.

    An order nobody told of is written from the claim; a rejected one is told a second time, as its rejection is final;
    of an approved one only the partner's own amount is corrected. `expected` is the digest of what was foreseen: where
    others lose, it is to be that of what happens. Raises ClaimNotFound, ClaimClosed, ConversionApproved,
    ClaimChangesNothing, ClaimAmountNeeded, ClaimOfTest, ClaimWithoutEffect, ClaimTakesFromAccepted, ClaimEffectDiffers,
    ClaimNotSettled; then nothing is changed.
    """
    claim = lock_claim(claim_id=claim_id, advertiser=advertiser)
    conversion = lock_sale(advertiser=claim.advertiser_id, goal=claim.goal, order_ref=claim.order_ref)
    changed = conversion is None
    before = earned_of(standing_of(claim)) if expected is not None else {}
    if conversion is None:
        conversion = _write_order(claim, now)
    standing = standing_of_conversion(conversion.pk)
    if _is_rejected(standing):
        conversion, changed = repeat_conversion(conversion=conversion, now=now), True
        _settle(conversion, now)
        standing = standing_of_conversion(conversion.pk)
        if _is_rejected(standing):
            raise ClaimChangesNothing("The order was told again after a claim, and rejected again: that is final.")
    _give(claim, conversion, standing, changed=changed, now=now)
    if expected is not None:
        digest = digest_of(effects_of(before, earned_of(standing_of_conversion(conversion.pk))))
        if digest not in ("", expected):
            raise ClaimEffectDiffers
    move_claim(claim, ClaimState.ACCEPTED, actor=actor, now=now, note=note, conversion_id=conversion.pk)
    tell_of_claim(claim=claim, now=now)
    return claim


def _is_rejected(standing: Standing) -> bool:
    return standing.decision is not None and standing.decision.state == DecisionState.REJECTED


def _give(claim: Claim, conversion: Conversion, standing: Standing, *, changed: bool, now: datetime) -> None:
    """Write the touch and the amount that are missing, settle, and see that the partner has a paid part of it."""
    if conversion.is_test:
        raise ClaimOfTest
    has_part = bool(standing.part_of(claim.partner_id))
    approved = standing.decision is not None and standing.decision.state == DecisionState.APPROVED
    newest = amendments_of([conversion.pk]).get(str(conversion.pk))
    amount = newest.content.get("amount_minor", conversion.amount_minor) if newest else conversion.amount_minor
    corrected = claim.kind != ClaimKind.DECLINED and claim.amount_minor is not None and claim.amount_minor != amount
    if corrected and claim.currency != conversion.currency:
        raise ClaimWithoutEffect(f"The order is in {conversion.currency}, the claim in {claim.currency}.")
    if has_part and not corrected and not changed:
        raise ClaimChangesNothing
    if not has_part and approved:
        raise ConversionApproved
    if not has_part:
        state_touch(conversion=conversion, partner=claim.partner, ad_space_id=_ad_space(claim), now=now)
    if corrected and claim.amount_minor is not None:
        amend_amount(sale=conversion, amount_minor=claim.amount_minor, now=now)
    _settle(conversion, now)
    _see(claim, conversion, standing)


def _see(claim: Claim, conversion: Conversion, before: Standing) -> None:
    """Raise ClaimWithoutEffect or ClaimTakesFromAccepted where the result is not what accepting is to give."""
    after = standing_of_conversion(conversion.pk)
    part, claimed = after.part_of(claim.partner_id), before.claimed_by_others(claim.partner_id)
    # Stated touches lie in the same millisecond, so that where one takes all the policy names either.
    if claimed and (not part or any(after.part_of(other.partner.pk) < other.share for other in claimed)):
        raise ClaimTakesFromAccepted
    if not part:
        raise ClaimWithoutEffect
    own = Commission.objects.filter(conversion=conversion, partner=claim.partner_id)
    unpaid = own.filter(payable=False).values_list("payable_reason", flat=True).first()
    if unpaid is not None:
        raise ClaimWithoutEffect(f"The partner would have a part that is not paid ({unpaid}); nothing was changed.")


def _write_order(claim: Claim, now: datetime) -> Conversion:
    """Write an order nobody told of, as the claim tells it."""
    if claim.amount_minor is None:
        raise ClaimAmountNeeded
    click = _own_click(claim)
    fact = ConversionFact(
        goal=claim.goal,
        order_ref=claim.order_ref,
        amount_minor=claim.amount_minor,
        currency=claim.currency,
        occurred_at=claim.occurred_at,
        click_ids=(click.id,) if click else (),
        coupons=(claim.coupon,) if claim.coupon else (),
    )
    recorded = record_conversion(campaign=claim.campaign, fact=fact, now=now, source=CLAIM)
    conversion = Conversion.objects.get(pk=recorded.id)
    _settle(conversion, now)
    return conversion


def _own_click(claim: Claim) -> Touchpoint | None:
    """Return the claimed click where it is the partner's."""
    if claim.click_id is None:
        return None
    return Touchpoint.objects.filter(
        id=claim.click_id, advertiser=claim.advertiser_id, partner_id=claim.partner_id
    ).first()


def _ad_space(claim: Claim) -> int | None:
    """Return the ad space a claim speaks for: its click's, else the one the campaign knows the partner by."""
    click = _own_click(claim)
    if click is not None and click.ad_space_id is not None:
        return click.ad_space_id
    rows = Enrollment.objects.filter(campaign=claim.campaign_id, partner=claim.partner_id).order_by("pk")
    active = rows.filter(state=EnrollmentState.ACTIVE).values_list("ad_space_id", flat=True).first()
    return active or rows.values_list("ad_space_id", flat=True).first()


def _settle(conversion: Conversion, now: datetime) -> None:
    settle_conversions(conversion_ids=[conversion.pk], now=now)
    waiting = Unsettled.objects.filter(pk=conversion.pk).first()
    if waiting is not None:
        raise ClaimNotSettled(f"The order cannot be settled now ({waiting.last_error[:200]}); nothing was changed.")


@retried
@transaction.atomic
def decline_claim(
    *, advertiser: Advertiser, claim_id: int, reason: str, actor: Actor, now: datetime, note: str = ""
) -> Claim:
    """Answer a claim with a reasoned no. Raises ClaimNotFound, ClaimClosed, ClaimReasonNeeded."""
    if reason not in ClaimReason.values:
        raise ClaimReasonNeeded(path="reason")
    claim = lock_claim(claim_id=claim_id, advertiser=advertiser)
    move_claim(claim, ClaimState.DECLINED, actor=actor, now=now, reason=reason, note=note)
    tell_of_claim(claim=claim, now=now)
    return claim


@retried
@transaction.atomic
def escalate_claim(*, advertiser: Advertiser, claim_id: int, actor: Actor, now: datetime, note: str = "") -> Claim:
    """Mark a claim as overdue. Raises ClaimNotFound, ClaimClosed."""
    claim = lock_claim(claim_id=claim_id, advertiser=advertiser)
    return move_claim(claim, ClaimState.ESCALATED, actor=actor, now=now, note=note)


def answer_overdue_claims(*, advertiser: Advertiser, now: datetime) -> int:
    """Accept or escalate, as the advertiser chose, what nobody answered in time; return how many moved.

    Each claim is its own transaction. What cannot be accepted is escalated with the reason.
    """
    overdue = Claim.objects.for_advertiser(advertiser).overdue(day_of(now, advertiser.zone))
    ids: list[int] = list(overdue.order_by("pk").values_list("pk", flat=True)[:CHUNK])
    if not ids:
        return 0
    accepts = terms_of(advertiser).at_end == AtEnd.APPROVE
    return sum(_answer_overdue(advertiser, id_, accepts, now) for id_ in ids)


def _answer_overdue(advertiser: Advertiser, claim_id: int, accepts: bool, now: datetime) -> bool:
    """Move one claim; somebody may have answered it meanwhile, and what fails holds up no other."""
    why = ""
    try:
        if accepts:
            try:
                accept_claim(advertiser=advertiser, claim_id=claim_id, actor=SYSTEM, now=now, note="overdue")
                return True
            except ClaimClosed:
                return False
            except Refusal as refusal:
                why = refusal.code
            except Exception as error:
                logger.exception("claim %s cannot be accepted", claim_id)
                why = type(error).__name__
        escalate_claim(advertiser=advertiser, claim_id=claim_id, actor=SYSTEM, now=now, note=why)
        return True
    except ClaimClosed:
        return False
    except Exception:
        logger.exception("claim %s cannot be escalated", claim_id)
        return False
