"""What people decide on a conversion, and every move of it."""

from __future__ import annotations

from datetime import date
from typing import ClassVar

import pgtrigger
from django.db import models
from django.utils.translation import gettext_lazy as _

from apps.campaigns.models import Campaign
from apps.commissions.models.references import of_its_conversion
from apps.core.errors import Conflict
from apps.identity.models import Advertiser
from apps.records.models import Job
from apps.tracking.models import Conversion


class DecisionState(models.TextChoices):
    PENDING = "PENDING", _("Pending")
    ON_HOLD = "ON_HOLD", _("On hold")
    APPROVED = "APPROVED", _("Approved")
    REJECTED = "REJECTED", _("Rejected")


class Reason(models.TextChoices):
    RETURNED = "returned", _("The goods came back")
    CANCELLED = "cancelled", _("The order was cancelled")
    NOT_COMPLETED = "not_completed", _("The order was not completed")
    OTHER_CHANNEL = "other_channel", _("Another channel brought the order")
    TERMS_BREACH = "terms_breach", _("The campaign's terms were not kept")
    CODE_MISUSE = "code_misuse", _("The code was not meant for this use")
    NOT_FOUND = "not_found", _("The shop does not know the order")
    PAYMENT_FAILED = "payment_failed", _("The customer's payment failed")
    SUSPICIOUS = "suspicious", _("The order is suspicious")
    DUPLICATE = "duplicate", _("The order is there twice")
    TEST = "test", _("A test order")


class HoldReason(models.TextChoices):
    """Why a conversion waits on hold: the first two are people's own words, the others name the rule that did it."""

    REVIEW = "review", _("Somebody looks into it")
    WAITING = "waiting", _("Waits for an answer of the shop")
    UNDER_REVIEW = "under_review", _("The partner is under review")
    TOO_FAST = "too_fast", _("Bought too fast after the click")
    UNOWNED_CODE = "unowned_code", _("The code's owner has no touch")
    UNTRUSTED_DOOR = "untrusted_door", _("Told without a signature")
    LARGE_FIRST_SALE = "large_first_sale", _("The partner's first sale is large")
    UNKNOWN_GOAL = "unknown_goal", _("No rule of the plan names its goal")


class ConversionAlreadyDecided(Conflict):
    code = "already_decided"
    message = "The conversion has been decided and cannot move there."


class DecisionQuerySet(models.QuerySet["Decision"]):
    def for_advertiser(self, advertiser: Advertiser) -> DecisionQuerySet:
        return self.filter(advertiser=advertiser)

    def matured(self, today: date) -> DecisionQuerySet:
        """Return the pending ones whose day to decide has passed."""
        return self.filter(state=DecisionState.PENDING, decide_by__lt=today)


class Decision(models.Model):
    """What people decide on a conversion: one per conversion, also where nobody won."""

    NEXT: ClassVar[dict[str, set[str]]] = {
        "PENDING": {"APPROVED", "REJECTED", "ON_HOLD"},
        "ON_HOLD": {"PENDING", "APPROVED", "REJECTED"},
        "APPROVED": {"REJECTED"},
        "REJECTED": set(),
    }

    advertiser = models.ForeignKey(
        Advertiser, on_delete=models.PROTECT, related_name="decisions", db_constraint=False, db_index=False
    )
    conversion = models.OneToOneField(
        Conversion, on_delete=models.PROTECT, primary_key=True, related_name="decision", db_constraint=False
    )
    campaign = models.ForeignKey(
        Campaign, on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False
    )
    state = models.CharField(_("decision"), max_length=10, choices=DecisionState, default=DecisionState.PENDING)
    reason = models.CharField(_("reason"), max_length=20, choices=[*Reason.choices, *HoldReason.choices], blank=True)
    note = models.CharField(_("note"), max_length=300, blank=True)
    decided_by = models.CharField(_("decided by"), max_length=200, blank=True)
    decided_at = models.DateTimeField(_("decided"), null=True)
    moved_at = models.DateTimeField(_("last moved"), null=True)
    job = models.ForeignKey(
        Job, on_delete=models.PROTECT, null=True, related_name="+", db_constraint=False, db_index=False
    )
    decide_by = models.DateField(_("decide by"))
    locks_on = models.DateField(_("locks"))
    pays_on = models.DateField(_("expected payment"))

    objects = DecisionQuerySet.as_manager()

    class Meta:
        verbose_name = _("decision")
        verbose_name_plural = _("decisions")
        indexes = [
            models.Index(
                fields=["advertiser", "decide_by", "conversion"],
                condition=models.Q(state__in=["PENDING", "ON_HOLD"]),
                name="decisions_awaited",
            ),
            # Few are rejected, so that their tab asks no history; approvals are many and found at once.
            models.Index(
                fields=["advertiser", "reason"], condition=models.Q(state="REJECTED"), name="decisions_rejected"
            ),
        ]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(state="PENDING", decided_at__isnull=True)
                | (~models.Q(state="PENDING") & models.Q(decided_at__isnull=False)),
                name="decided_has_a_moment",
            ),
            models.CheckConstraint(
                condition=~models.Q(state="REJECTED") | ~models.Q(reason=""), name="rejected_has_a_reason"
            ),
        ]
        triggers = [
            *of_its_conversion("advertiser_id"),
            pgtrigger.FSM(
                name="moves_as_allowed",
                field="state",
                transitions=[
                    (origin, target)
                    for origin, targets in sorted(
                        {
                            "PENDING": ["APPROVED", "ON_HOLD", "REJECTED"],
                            "ON_HOLD": ["APPROVED", "PENDING", "REJECTED"],
                            "APPROVED": ["REJECTED"],
                        }.items()
                    )
                    for target in targets
                ],
            ),
            # Written by the very statement that moves, so that no move is ever without its line.
            pgtrigger.Trigger(
                name="moves_are_written",
                level=pgtrigger.Statement,
                when=pgtrigger.After,
                operation=pgtrigger.Update,
                referencing=pgtrigger.Referencing(old="old_rows", new="new_rows"),
                func="""
                    INSERT INTO commissions_move
                        (advertiser_id, conversion_id, origin, state, reason, note, moved_by, moved_at, job_id)
                    SELECT n.advertiser_id, n.conversion_id, o.state, n.state, n.reason, n.note, n.decided_by,
                        CASE WHEN n.moved_at IS DISTINCT FROM o.moved_at THEN n.moved_at ELSE now() END,
                        CASE WHEN n.moved_at IS DISTINCT FROM o.moved_at THEN n.job_id END
                    FROM new_rows n JOIN old_rows o ON o.conversion_id = n.conversion_id
                    WHERE n.state <> o.state ORDER BY n.conversion_id;
                    RETURN NULL;
                """,
            ),
        ]

    def __str__(self) -> str:
        return f"{self.conversion_id} {self.state}"


class Move(models.Model):
    """A move of a decision: from where to where, when, by whom and why; written by the database, never changed."""

    advertiser = models.ForeignKey(
        Advertiser, on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False
    )
    conversion = models.ForeignKey(Conversion, on_delete=models.PROTECT, related_name="moves", db_constraint=False)
    origin = models.CharField(_("from"), max_length=10, choices=DecisionState)
    state = models.CharField(_("to"), max_length=10, choices=DecisionState)
    reason = models.CharField(_("reason"), max_length=20, choices=[*Reason.choices, *HoldReason.choices], blank=True)
    note = models.CharField(_("note"), max_length=300, blank=True)
    moved_by = models.CharField(_("by"), max_length=200, blank=True)
    moved_at = models.DateTimeField(_("at"))
    job = models.ForeignKey(
        Job, on_delete=models.PROTECT, null=True, related_name="+", db_constraint=False, db_index=False
    )

    class Meta:
        verbose_name = _("move")
        verbose_name_plural = _("moves")
        ordering = ["pk"]
        indexes = [
            models.Index(fields=["job", "conversion"], condition=models.Q(job__isnull=False), name="moves_of_jobs")
        ]
        triggers = [pgtrigger.Protect(name="append_only", operation=pgtrigger.Update | pgtrigger.Delete)]

    def __str__(self) -> str:
        return f"{self.conversion_id} {self.origin} → {self.state}"


def is_locked(decision: Decision, today: date) -> bool:
    """Tell whether an approved conversion has reached its lock day."""
    return decision.state == DecisionState.APPROVED and decision.locks_on <= today
