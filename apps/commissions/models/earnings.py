"""What a conversion earns whom, and why."""

from __future__ import annotations

import pgtrigger
from django.db import models
from django.utils.translation import gettext_lazy as _

from apps.attribution.models import PolicyVersion, Share
from apps.campaigns.models import Campaign
from apps.commissions.models.plans import PlanVersion
from apps.commissions.models.references import of_its_conversion
from apps.identity.models import Advertiser
from apps.partners.models import Partner
from apps.tracking.models import Conversion


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
            models.Index(fields=["conversion"], name="commissions_of_conversion"),
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
                            bool_or(
                                (s.conversion_id, s.partner_id, s.advertiser_id, s.currency)
                                IS DISTINCT FROM (n.conversion_id, n.partner_id, n.advertiser_id, n.currency)
                            ),
                            bool_or(s.xmin <> pg_current_xact_id()::xid)
                        INTO astray, older
                        FROM new_rows n LEFT JOIN LATERAL (
                            SELECT conversion_id, partner_id, advertiser_id, currency, xmin
                            FROM attribution_share WHERE id = n.share_id OFFSET 0
                        ) s ON true
                        WHERE n.share_id IS NOT NULL;
                        IF astray THEN
                            RAISE EXCEPTION 'a commission is of a share of its conversion, partner and currency'
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
    conversion = models.OneToOneField(
        Conversion, on_delete=models.PROTECT, primary_key=True, related_name="receipt", db_constraint=False
    )
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
        triggers = of_its_conversion("advertiser_id", "currency")

    def __str__(self) -> str:
        return str(self.conversion_id)
