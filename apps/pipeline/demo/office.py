"""What people do in the demo beside deciding month by month: claims and their answers, lists, parts of orders."""

from __future__ import annotations

from datetime import datetime, timedelta
from random import Random
from typing import Any

from django.db.models import QuerySet

from apps.attribution.models import Share
from apps.claims.models import AWAITED, Claim, ClaimKind, ClaimReason
from apps.claims.rules import ClaimFact
from apps.claims.services import report_claim, withdraw_claim
from apps.commissions.models import Decision, DecisionState, HoldReason, Reason
from apps.commissions.selections import Selection
from apps.core.errors import Refusal
from apps.core.periods import start_of
from apps.identity.models import Role
from apps.partners.models import Partner
from apps.pipeline.demo.stage import Stage, manager, speaker
from apps.pipeline.services.claiming import accept_claim, answer_overdue_claims, decline_claim
from apps.pipeline.services.deciding_chunks import work_on_decisions
from apps.pipeline.services.deciding_jobs import Asked, ask_by_filter, ask_by_list
from apps.pipeline.services.deciding_lines import reject_lines
from apps.pipeline.services.staffing import add_member
from apps.tracking.models import Conversion, Refund

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
MOST_AWAITED = 12
CLAIMANTS = ("wanderblog", "codefuchs", "ninaontrail", "lamontagne")
STORIES = (
    "The customer came from our article and told us so.",
    "Our link was the last one before the order.",
    "The order is in our own statistics, but not here.",
)


# --- claims ---------------------------------------------------------------------------------------
def tell_claims(stage: Stage, starts_at: datetime, now: datetime) -> None:
    """Let partners report what they miss, and the advertiser answer some of it: one claim in each state at least."""
    _overdue(stage, starts_at)
    answer = {"advertiser": stage.advertiser, "actor": manager()}
    told_at = now - 9 * DAY
    for order in _orders_of_others(stage, "lamontagne", told_at, DecisionState.PENDING)[:2]:
        id_ = _report(
            stage, "lamontagne", order, told_at, "The reader wrote to us that she ordered from our gear list."
        )
        try:
            accept_claim(claim_id=id_, now=now - 2 * HOUR, note="The shop confirms the gear list", **answer)
            break
        except Refusal as refusal:
            decline_claim(claim_id=id_, now=now - 2 * HOUR, reason=ClaimReason.NO_CONTACT, note=refusal.code, **answer)
    id_ = _report_unknown(
        stage, "ninaontrail", "AO-PHONE-3077", now - 20 * DAY, 189_00, "Ordered by phone with my code."
    )
    accept_claim(claim_id=id_, now=now - 3 * HOUR, note="Found in the phone orders", **answer)
    open_at = now - 6 * DAY
    declined, claimed = _orders_of_others(stage, "codefuchs", open_at, DecisionState.PENDING)[3:5]
    id_ = _report(stage, "codefuchs", declined, now - 12 * DAY, "Our code FUCHS10 was shown on the day of the order.")
    decline_claim(claim_id=id_, now=now - HOUR, reason=ClaimReason.OTHER_PARTNER, **answer)
    _report(stage, "codefuchs", claimed, open_at, "The customer used FUCHS10, says our support.", coupon="FUCHS10")
    id_ = _report_unknown(stage, "wanderblog", "AO-99120", now - 15 * DAY, 99_00, "A reader told us about this order.")
    withdraw_claim(partner=_partner(stage, "wanderblog"), claim_id=id_, actor=speaker("wanderblog"), now=now - 14 * DAY)
    _own_claims(stage, now)


def claim_now_and_then(stage: Stage, draw: Random, now: datetime) -> bool:
    """Let a partner report an order that others are credited with, as long as few claims wait; tell whether one did."""
    if Claim.objects.for_advertiser(stage.advertiser).filter(state__in=AWAITED).count() >= MOST_AWAITED:
        return False
    slug = draw.choice(CLAIMANTS)
    claimed = Claim.objects.for_partner(_partner(stage, slug)).values("order_ref")
    orders = _orders_of_others(stage, slug, now, DecisionState.PENDING)
    order = next((one for one in orders if one.order_ref not in set(claimed.values_list("order_ref", flat=True))), None)
    if order is None:
        return False
    _report(stage, slug, order, now, draw.choice(STORIES))
    return True


def _overdue(stage: Stage, starts_at: datetime) -> None:
    """Let a claim of the first weeks wait for longer than its clock runs."""
    told_at = starts_at + 12 * DAY
    _report_unknown(stage, "preisadler", "AO-77120", told_at, 249_00, "The customer has sent us the shop's mail.")
    late = start_of((told_at + 77 * DAY).date(), stage.advertiser.zone) + 8 * HOUR
    answer_overdue_claims(advertiser=stage.advertiser, now=late)


def _own_claims(stage: Stage, now: datetime) -> None:
    """Let partners object to the amount of an order, and to a rejection, of their own."""
    for slug, state, kind, ago, text in (
        ("wanderblog", DecisionState.PENDING, ClaimKind.WRONG, 2, "The order had a second tent in it."),
        ("centzurueck", DecisionState.REJECTED, ClaimKind.DECLINED, 5, "The customer has kept the goods."),
    ):
        own = _orders(stage, now - (ago + 1) * DAY, state).filter(pk__in=_credited(stage, slug)).first()
        if own is not None:
            amount = own.amount_minor + 249_00 if kind == ClaimKind.WRONG else None
            _report(stage, slug, own, now - ago * DAY, text, kind=kind, amount=amount)


def _report_unknown(stage: Stage, slug: str, order_ref: str, at: datetime, amount: int, text: str) -> int:
    fact = ClaimFact(stage.campaign.pk, ClaimKind.MISSING, order_ref, at - 2 * DAY, "EUR", amount, text=text)
    return _claim(stage, slug, fact, at)


def _report(
    stage: Stage,
    slug: str,
    order: Conversion,
    at: datetime,
    text: str,
    *,
    kind: str = ClaimKind.MISSING,
    amount: int | None = None,
    coupon: str = "",
) -> int:
    told = order.amount_minor if amount is None and kind != ClaimKind.DECLINED else amount
    fact = ClaimFact(stage.campaign.pk, kind, order.order_ref, order.occurred_at, "EUR", told, coupon=coupon, text=text)
    return _claim(stage, slug, fact, at)


def _claim(stage: Stage, slug: str, fact: ClaimFact, at: datetime) -> int:
    return report_claim(partner=_partner(stage, slug), fact=fact, actor=speaker(slug), now=at).claim.pk


def _partner(stage: Stage, slug: str) -> Partner:
    return stage.enrollments[slug].partner


def _credited(stage: Stage, slug: str) -> QuerySet:
    return Share.objects.filter(partner=_partner(stage, slug), advertiser=stage.advertiser).values("conversion")


def _orders(stage: Stage, before: datetime, *states: str) -> QuerySet:
    """Return the campaign's orders in a state, the latest before a moment first."""
    told = Conversion.objects.for_advertiser(stage.advertiser).filter(campaign=stage.campaign, goal="SALE")
    return told.filter(occurred_at__lt=before, decision__state__in=states).order_by("-occurred_at", "order_ref")


def _orders_of_others(stage: Stage, slug: str, told_at: datetime, state: str) -> list[Conversion]:
    """Return orders that somebody else is credited with."""
    shared = Share.objects.filter(partner__isnull=False, advertiser=stage.advertiser).values("conversion")
    rows = _orders(stage, told_at - 8 * DAY, state).filter(pk__in=shared)
    return list(rows.exclude(pk__in=_credited(stage, slug))[:8])


# --- decisions at scale, and on parts -------------------------------------------------------------
def decide_by_file(stage: Stage, now: datetime) -> None:
    """Upload the shop's list, as somebody did yesterday."""
    at = now - DAY
    rows = [{"row": place, **row} for place, row in enumerate(_listed(stage, at), 2)]
    call = {"advertiser": stage.advertiser, "actor": manager(), "now": at}
    _work(ask_by_list(items=rows, key="demo-list", name="returns.csv", **call), at)


def decide_by_filter(stage: Stage, now: datetime) -> None:
    """Approve what has been checked with the shop, and put on hold what waits for its answer."""
    call: dict[str, Any] = {"advertiser": stage.advertiser, "actor": manager(), "as_of": now, "now": now}
    pending = (DecisionState.PENDING,)
    early = Selection(states=pending, partner_id=_partner(stage, "preisadler").pk, until=now - 24 * DAY)
    how = {"state": "APPROVED", "note": "Checked with the shop"}
    _work(ask_by_filter(selection=early, key="demo-approve", **how, **call), now)
    doubted = Selection(states=pending, partner_id=_partner(stage, "centzurueck").pk, since=now - 8 * DAY)
    how = {"state": "ON_HOLD", "reason": HoldReason.WAITING, "note": "The shop checks its vouchers"}
    _work(ask_by_filter(selection=doubted, key="demo-hold", **how, **call), now)


def _listed(stage: Stage, at: datetime) -> list[dict[str, str]]:
    """Return the rows of the shop's list: most can be decided, some name what is not there."""
    refs = list(_orders(stage, at - 16 * DAY, DecisionState.PENDING).values_list("order_ref", flat=True)[:12])
    rows = [{"order_ref": ref, "decision": "approve"} for ref in refs[:7]]
    rows += [{"order_ref": ref, "decision": "reject", "reason": Reason.RETURNED} for ref in refs[7:10]]
    rows += [{"order_ref": ref, "decision": "reject", "reason": Reason.RETURNED, "lines": "1"} for ref in refs[10:12]]
    rows += [{"order_ref": ref, "decision": "approve"} for ref in ("AO-404404", *refs[:1])]
    return [*rows, {"order_ref": "AO-404405", "decision": "maybe"}]


def _work(asked: Asked, at: datetime) -> None:
    work_on_decisions(now=at, only=asked.job.pk)


def reject_some_lines(stage: Stage, now: datetime) -> None:
    """Reject a line of an order that waits, and of one that is approved."""
    for state, reason in ((DecisionState.PENDING, Reason.CODE_MISUSE), (DecisionState.APPROVED, Reason.RETURNED)):
        rows = _orders(stage, now - 10 * DAY, state).filter(lines__position=2)[:1]
        for order in rows:
            reject_lines(
                advertiser=stage.advertiser,
                conversion_id=order.pk,
                positions=[2],
                reason=reason,
                actor=manager(),
                now=now - 4 * HOUR,
                note="By the shop's list of returns",
            )


def approved_before(stage: Stage, before: datetime, *, is_locked: bool) -> list[str]:
    """Return approved orders of 50.00 and more, locked before a moment or not yet; the longest decided first."""
    day = before.astimezone(stage.advertiser.zone).date()
    approved = Decision.objects.for_advertiser(stage.advertiser).filter(
        state=DecisionState.APPROVED,
        conversion__campaign=stage.campaign,
        conversion__occurred_at__lt=before,
        conversion__amount_minor__gte=50_00,
    )
    refunded = Refund.objects.filter(advertiser=stage.advertiser).values("order_ref")
    rows = approved.filter(locks_on__lt=day) if is_locked else approved.filter(locks_on__gte=day)
    rows = rows.exclude(conversion__order_ref__in=refunded)
    return list(
        rows.order_by("decided_at", "conversion__occurred_at").values_list("conversion__order_ref", flat=True)[10:40]
    )


def invite_analyst(stage: Stage, now: datetime) -> None:
    """Send a new colleague the way in."""
    at = now - 26 * HOUR
    add_member(
        advertiser=stage.advertiser,
        email="mira@aurora.example",
        role=Role.ANALYST,
        name="Mira Sommer",
        actor=manager(),
        now=at,
    )
