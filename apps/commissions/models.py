"""Plans and their assignment, what a share earns, the decision on it, and the receipt that explains it."""

from __future__ import annotations

from datetime import date, datetime
from typing import ClassVar

import pghistory
import pgtrigger
from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import DateTimeRangeField, RangeOperators
from django.db import models
from django.db.models.functions import Coalesce, Now
from django.utils.translation import gettext_lazy as _

from apps.attribution.models import PolicyVersion, Share
from apps.campaigns.models import Campaign, Coupon
from apps.core.errors import Conflict
from apps.identity.models import Advertiser
from apps.partners.models import AdSpace, Partner, PartnerGroup
from apps.tracking.models import Conversion


@pghistory.track()
class CommissionPlan(models.Model):
    """What a campaign pays; the rules stand in its versions."""

    advertiser = models.ForeignKey(Advertiser, on_delete=models.PROTECT, related_name="plans")
    campaign = models.ForeignKey(Campaign, on_delete=models.PROTECT, related_name="plans")
    name = models.CharField(_("name"), max_length=120)

    class Meta:
        verbose_name = _("commission plan")
        verbose_name_plural = _("commission plans")
        constraints = [models.UniqueConstraint(fields=["campaign", "name"], name="one_plan_per_name")]

    def __str__(self) -> str:
        return self.name


class PlanVersion(models.Model):
    """A plan from a moment on: ordered rules, a part per order, a least and a most per order (minor units)."""

    advertiser = models.ForeignKey(Advertiser, on_delete=models.PROTECT, related_name="+")
    plan = models.ForeignKey(CommissionPlan, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField(_("version"))
    starts_at = models.DateTimeField(_("starts"))
    per_order_minor = models.BigIntegerField(_("per order"), default=0)
    minimum_minor = models.BigIntegerField(_("at least per order"), null=True, blank=True)
    maximum_minor = models.BigIntegerField(_("at most per order"), null=True, blank=True)
    currency = models.CharField(_("currency"), max_length=3)
    created_at = models.DateTimeField(_("created"), db_default=Now())

    class Meta:
        verbose_name = _("plan version")
        verbose_name_plural = _("plan versions")
        ordering = ["-starts_at"]
        constraints = [
            models.UniqueConstraint(fields=["plan", "starts_at"], name="one_plan_version_per_start"),
            models.UniqueConstraint(fields=["plan", "number"], name="one_plan_version_per_number"),
        ]
        triggers = [
            pgtrigger.Protect(name="never_edited", operation=pgtrigger.Update),
            pgtrigger.Protect(
                name="kept_once_started",
                operation=pgtrigger.Delete,
                condition=pgtrigger.Condition("OLD.starts_at <= now()"),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.plan} v{self.number}"


class CommissionRule(models.Model):
    """A line of a plan version: the first rule whose conditions all hold pays.

    `when` and `pay` are the objects of the test bench's document (amounts there are decimal strings).
    """

    advertiser = models.ForeignKey(Advertiser, on_delete=models.PROTECT, related_name="+")
    version = models.ForeignKey(PlanVersion, on_delete=models.PROTECT, related_name="rules")
    position = models.PositiveSmallIntegerField(_("position"))
    name = models.CharField(_("name"), max_length=120)
    when = models.JSONField(_("when"), default=dict, blank=True)
    pay = models.JSONField(_("pay"))

    class Meta:
        verbose_name = _("commission rule")
        verbose_name_plural = _("commission rules")
        ordering = ["position"]
        constraints = [models.UniqueConstraint(fields=["version", "position"], name="one_rule_per_position")]
        triggers = [pgtrigger.Protect(name="never_edited", operation=pgtrigger.Update)]

    def __str__(self) -> str:
        return self.name


@pghistory.track()
class PlanAssignment(models.Model):
    """Which plan holds for whom: ad space before partner before group before the whole campaign."""

    advertiser = models.ForeignKey(Advertiser, on_delete=models.PROTECT, related_name="+")
    campaign = models.ForeignKey(Campaign, on_delete=models.PROTECT, related_name="plan_assignments")
    plan = models.ForeignKey(CommissionPlan, on_delete=models.PROTECT, related_name="assignments")
    ad_space = models.ForeignKey(AdSpace, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    partner = models.ForeignKey(Partner, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    group = models.ForeignKey(PartnerGroup, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    coupon = models.ForeignKey(Coupon, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    active = DateTimeRangeField(_("valid"))

    class Meta:
        verbose_name = _("plan assignment")
        verbose_name_plural = _("plan assignments")
        constraints = [
            models.CheckConstraint(
                name="assigned_to_one_thing",
                condition=models.Q(ad_space=None, partner=None, group=None)
                | models.Q(ad_space=None, partner=None, coupon=None)
                | models.Q(ad_space=None, group=None, coupon=None)
                | models.Q(partner=None, group=None, coupon=None),
            ),
            ExclusionConstraint(
                name="one_plan_at_any_instant",
                expressions=[
                    ("campaign", RangeOperators.EQUAL),
                    (Coalesce("ad_space", 0), RangeOperators.EQUAL),
                    (Coalesce("partner", 0), RangeOperators.EQUAL),
                    (Coalesce("group", 0), RangeOperators.EQUAL),
                    (Coalesce("coupon", 0), RangeOperators.EQUAL),
                    ("active", RangeOperators.OVERLAPS),
                ],
            ),
        ]

    def __str__(self) -> str:
        return f"{self.plan} → {self.ad_space or self.partner or self.group or self.coupon or self.campaign}"


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


class ConversionAlreadyDecided(Conflict):
    code = "already_decided"
    message = "The conversion has been decided and cannot move there."


class DecisionQuerySet(models.QuerySet["Decision"]):
    def for_advertiser(self, advertiser: Advertiser) -> DecisionQuerySet:
        return self.filter(advertiser=advertiser)

    def move(self, state: str, *, reason: str, note: str, by: str, at: datetime) -> int:
        """Move every row that may go there; the caller holds their locks and counts the rows."""
        origins = [origin for origin, targets in Decision.NEXT.items() if state in targets]
        return self.filter(state__in=origins).update(
            state=state, reason=reason, note=note, decided_by=by, decided_at=None if state == "PENDING" else at
        )


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
    conversion = models.OneToOneField(Conversion, on_delete=models.PROTECT, primary_key=True, related_name="decision")
    campaign = models.ForeignKey(
        Campaign, on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False
    )
    state = models.CharField(_("decision"), max_length=10, choices=DecisionState, default=DecisionState.PENDING)
    reason = models.CharField(_("reason"), max_length=20, choices=Reason, blank=True)
    note = models.CharField(_("note"), max_length=300, blank=True)
    decided_by = models.CharField(_("decided by"), max_length=200, blank=True)
    decided_at = models.DateTimeField(_("decided"), null=True)
    decide_by = models.DateField(_("decide by"))
    locks_on = models.DateField(_("locks"))
    pays_on = models.DateField(_("expected payment"))

    objects = DecisionQuerySet.as_manager()

    class Meta:
        verbose_name = _("decision")
        verbose_name_plural = _("decisions")
        indexes = [
            models.Index(
                fields=["advertiser", "decide_by"],
                condition=models.Q(state__in=["PENDING", "ON_HOLD"]),
                name="decisions_awaited",
            )
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
        ]

    def __str__(self) -> str:
        return f"{self.conversion_id} {self.state}"


class CommissionKind(models.TextChoices):
    SALE = "SALE", _("Commission")
    CORRECTION = "CORRECTION", _("Correction")


class Commission(models.Model):
    """What a partner earns from a conversion, in minor units; signed, corrections link to their original.

    `reason` and `recorded_at` are a correction's own: why and when it was added.
    """

    # As with shares: the share is checked by the database once a statement, what follows from it by check_books (D8).
    advertiser = models.ForeignKey(
        Advertiser, on_delete=models.PROTECT, related_name="commissions", db_constraint=False, db_index=False
    )
    conversion = models.ForeignKey(
        Conversion, on_delete=models.PROTECT, related_name="commissions", db_constraint=False, db_index=False
    )
    campaign = models.ForeignKey(
        Campaign, on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False
    )
    partner = models.ForeignKey(
        Partner, on_delete=models.PROTECT, related_name="commissions", db_constraint=False, db_index=False
    )
    share = models.ForeignKey(
        Share, on_delete=models.PROTECT, null=True, related_name="commissions", db_constraint=False, db_index=False
    )
    kind = models.CharField(_("kind"), max_length=10, choices=CommissionKind, default=CommissionKind.SALE)
    amount_minor = models.BigIntegerField(_("amount"))
    currency = models.CharField(_("currency"), max_length=3)
    plan_version = models.ForeignKey(
        PlanVersion, on_delete=models.PROTECT, null=True, related_name="+", db_constraint=False, db_index=False
    )
    rule_name = models.CharField(_("rule"), max_length=120, blank=True)
    payable = models.BooleanField(_("payable"), default=True)
    payable_reason = models.CharField(_("not payable because"), max_length=20, blank=True)
    corrects = models.ForeignKey(
        "self", on_delete=models.PROTECT, null=True, related_name="corrections", db_index=False
    )
    occurred_at = models.DateTimeField(_("conversion happened"))
    reason = models.CharField(_("reason"), max_length=20, blank=True, db_default="")
    recorded_at = models.DateTimeField(_("recorded"), null=True)

    class Meta:
        verbose_name = _("commission")
        verbose_name_plural = _("commissions")
        indexes = [
            models.Index(fields=["partner", "-occurred_at"], name="commissions_of_partner"),
            models.Index(fields=["advertiser", "-occurred_at"], name="commissions_by_time"),
            models.Index(fields=["conversion"], condition=~models.Q(kind="SALE"), name="corrections_of_conversion"),
            models.Index(
                fields=["corrects"], condition=models.Q(corrects__isnull=False), name="corrections_of_commission"
            ),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["conversion", "partner"], condition=models.Q(kind="SALE"), name="one_commission_per_partner"
            ),
            models.CheckConstraint(
                condition=models.Q(payable=True, payable_reason="")
                | (models.Q(payable=False) & ~models.Q(payable_reason="")),
                name="not_payable_has_a_reason",
            ),
            models.CheckConstraint(
                condition=models.Q(kind="SALE", corrects__isnull=True) | models.Q(kind="CORRECTION"),
                name="only_corrections_correct",
            ),
        ]
        triggers = [
            pgtrigger.Protect(name="never_edited", operation=pgtrigger.Update),
            # A share of another transaction is held against deletion, then asked again; one's own nobody else can see.
            pgtrigger.Trigger(
                name="is_of_its_share",
                level=pgtrigger.Statement,
                when=pgtrigger.After,
                operation=pgtrigger.Insert,
                referencing=pgtrigger.Referencing(new="new_rows"),
                declare=[("astray", "boolean"), ("older", "boolean"), ("held", "boolean := false")],
                func="""
                    LOOP
                        SELECT
                            bool_or((s.conversion_id, s.partner_id) IS DISTINCT FROM (n.conversion_id, n.partner_id)),
                            bool_or(s.xmin <> pg_current_xact_id()::xid)
                        INTO astray, older
                        FROM new_rows n LEFT JOIN LATERAL (
                            SELECT conversion_id, partner_id, xmin FROM attribution_share WHERE id = n.share_id OFFSET 0
                        ) s ON true
                        WHERE n.share_id IS NOT NULL;
                        IF astray THEN
                            RAISE EXCEPTION 'a commission is of a share of its conversion and partner'
                                USING ERRCODE = 'foreign_key_violation';
                        END IF;
                        EXIT WHEN held OR older IS NOT TRUE;
                        PERFORM 1 FROM attribution_share WHERE id IN (SELECT share_id FROM new_rows) FOR KEY SHARE;
                        held := true;
                    END LOOP;
                    RETURN NULL;
                """,
            ),
        ]

    def __str__(self) -> str:
        return f"{self.partner} {self.amount_minor} {self.currency}"


class Receipt(models.Model):
    """Why the amounts of a conversion are what they are, compact; the rules render the long form from it.

    `body` holds version ids, touch ids with reason codes, numerators over one denominator and the rule
    per line; `sha256` is the hash of the long form's bytes, so that a later rendering can be told true.
    """

    advertiser = models.ForeignKey(
        Advertiser, on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False
    )
    conversion = models.OneToOneField(Conversion, on_delete=models.PROTECT, primary_key=True, related_name="receipt")
    policy_version = models.ForeignKey(
        PolicyVersion, on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False
    )
    total_minor = models.BigIntegerField(_("commission"))
    currency = models.CharField(_("currency"), max_length=3)
    body = models.JSONField(_("content"))
    sha256 = models.CharField(_("SHA-256"), max_length=64)
    settled_at = models.DateTimeField(_("settled"))

    class Meta:
        verbose_name = _("receipt")
        verbose_name_plural = _("receipts")

    def __str__(self) -> str:
        return str(self.conversion_id)


def is_locked(decision: Decision, today: date) -> bool:
    """Tell whether an approved conversion has reached its lock day."""
    return decision.state == DecisionState.APPROVED and decision.locks_on <= today
