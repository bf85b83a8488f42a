"""What has changed an order since it came: refunds, parts rejected, amendments, claims, results worked out anew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise

from django.db.models import CharField, Exists, OuterRef, Value
from django.db.models.functions import Cast, Concat
from django.urls import reverse
from django.utils.translation import gettext as _

from apps.claims.models import Claim, ClaimState
from apps.commissions.models import Commission, CommissionKind, Reason
from apps.console import display
from apps.console.conversion_story import CORRECTED, LATER, SHARED, TOLD, Step, correction_step
from apps.console.refunds import what_of
from apps.ledger.models import Posting
from apps.records.models import AuditEntry
from apps.tracking.models import AmendmentOrigin, Conversion
from apps.tracking.rules.refunds import OWN
from apps.tracking.selectors import amendments_told, refunds_told

END_OF_TIME = datetime.max.replace(tzinfo=UTC)


def with_changes(steps: list[Step], conversion: Conversion) -> list[Step]:
    """Return a conversion's story with what changed it since, in the order of time, causes before their effects.

    What is still to come stays at the end; seconds are shown where minutes are the same. Seven queries.
    """
    claims = claim_steps(conversion)
    told = [*refund_steps(conversion), *amendment_steps(conversion, claims), *claims.values()]
    corrections = Commission.objects.filter(conversion=conversion).exclude(kind=CommissionKind.SALE)
    added = [
        correction_step(conversion, str(row.partner), row.amount_minor, row.recorded_at)
        for row in corrections.exclude(booked()).select_related("partner").order_by("pk")
    ]
    again = telling_steps(conversion)
    return exactly(sorted(in_turn([*steps, *told, *added, *again]), key=place_of))


def refund_steps(conversion: Conversion) -> list[Step]:
    """Return the refunds that count, and the parts that people of this house rejected, with who it was."""
    reasons = dict(Reason.choices)
    acts = AuditEntry.objects.filter(
        advertiser=conversion.advertiser_id,
        at__gte=conversion.recorded_at,
        verb__in=["rejected_lines", "corrected_amount"],
        details__conversion=str(conversion.pk),
    )
    by_moment = {act.at: act for act in acts}
    found = []
    for refund in refunds_told(conversion):
        own = refund.refund_ref.startswith(OWN)
        title = _("A part rejected: %s") if own else _("Refund: %s")
        act = by_moment.get(refund.recorded_at) if own else None
        details = [f"{reasons.get(refund.reason, refund.reason)}."]
        if act is not None:
            details += [_("By %s.") % act.actor_name, *filter(None, [act.details.get("note", "")])]
        what = title % what_of(refund, conversion.currency)
        icon = "content_cut" if own else "undo"
        found.append(Step(refund.recorded_at, what, icon, "bad", tuple(details), rank=TOLD))
    return found


def claim_steps(conversion: Conversion) -> dict[datetime, Step]:
    """Return the claims that were accepted for a conversion, by their moment."""
    rows = Claim.objects.filter(conversion=conversion, state=ClaimState.ACCEPTED).select_related("partner")
    return {
        row.moved_at: Step(
            row.moved_at,
            _("Claim of %s accepted") % row.partner,
            "gavel",
            "info",
            (_("By %s.") % row.moved_by,),
            reverse("admin:claims_claim_change", args=[row.pk]),
            rank=TOLD,
        )
        for row in rows.order_by("pk")
    }


def amendment_steps(conversion: Conversion, claims: dict[datetime, Step]) -> list[Step]:
    """Return what was told anew; what an accepted claim told is said in its own step."""
    found = []
    for amendment in amendments_told(conversion):
        own = amendment.origin == AmendmentOrigin.SHOP
        text = _("The shop told the order anew (%d)") % amendment.sequence if own else amendment.get_origin_display()
        minor = amendment.content.get("amount_minor")
        amount = display.amount(minor, conversion.currency) if isinstance(minor, int) else ""
        claim = claims.get(amendment.recorded_at)
        if amendment.origin == AmendmentOrigin.HOUSE and claim is not None and amount:
            said = _("The order comes to %s.") % amount
            claims[amendment.recorded_at] = replace(claim, details=(*claim.details, said))
            continue
        title = f"{text}: {amount}" if amount else str(text)
        found.append(Step(amendment.recorded_at, title, "edit_note", "info", rank=TOLD))
    return found


def telling_steps(conversion: Conversion) -> list[Step]:
    """Return the way between the two tellings of an order whose first was rejected."""
    found = []
    for row in conversion.repeats.select_related("conversion"):
        link = reverse("admin:tracking_conversion_change", args=[row.conversion_id])
        title = _("Told a second time: %s") % row.conversion.order_ref
        found.append(Step(row.recorded_at, title, "redo", "info", (_("A claim was accepted."),), link))
    for row in conversion.repeat_of.select_related("original"):
        link = reverse("admin:tracking_conversion_change", args=[row.original_id])
        title = _("Told a second time, after %s was rejected") % row.original.order_ref
        found.append(Step(row.recorded_at, title, "redo", "info", (), link, rank=TOLD))
    return found


def booked() -> Exists:
    """Return what finds commissions that are in the book, whose posting tells them already."""
    reference = Concat(Value("commission:"), Cast(OuterRef("pk"), CharField()))
    return Exists(Posting.objects.filter(advertiser=OuterRef("advertiser"), reference=reference))


def in_turn(steps: Sequence[Step]) -> list[Step]:
    """Return the steps with no effect before its cause: who works began a moment before what they then found."""
    shared = min((step.at for step in steps if step.rank == SHARED and step.at), default=None)
    told = min((step.at for step in steps if step.rank == TOLD and step.at), default=None)
    floors = {CORRECTED: told, LATER: shared}
    found = []
    for step in steps:
        floor = floors.get(step.rank)
        late = step.at is not None and floor is not None and step.at < floor
        found.append(replace(step, at=floor) if late else step)
    return found


def place_of(step: Step) -> tuple[datetime, int]:
    """Return a step's place in its story: by its moment, and of one moment by its rank."""
    return step.at or END_OF_TIME, step.rank


def exactly(steps: Sequence[Step]) -> list[Step]:
    """Return the steps, those to be shown with seconds whose neighbor is of the same minute and another second."""
    exact = set()
    for place, (one, other) in enumerate(pairwise(steps)):
        if one.at and other.at and minute_of(one.at) == minute_of(other.at) and one.at.second != other.at.second:
            exact |= {place, place + 1}
    return [replace(step, is_exact=True) if place in exact else step for place, step in enumerate(steps)]


def minute_of(at: datetime) -> datetime:
    return at.replace(second=0, microsecond=0)
