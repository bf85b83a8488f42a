"""What a partner earned in a period, frozen."""

from __future__ import annotations

import pgtrigger
from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import DateRangeField, RangeOperators
from django.db import models
from django.utils.translation import gettext_lazy as _

from apps.core.guards import asked_once
from apps.identity.models import Advertiser
from apps.ledger.models import Posting
from apps.partners.models import Partner


class StatementQuerySet(models.QuerySet["Statement"]):
    def for_advertiser(self, advertiser: Advertiser) -> StatementQuerySet:
        return self.filter(advertiser=advertiser)


class Statement(models.Model):
    """A partner's account with an advertiser for a period: opening + earned = payable + carried, all minor units.

    A row that is there is issued and never changes. `sha256` covers the content and the hash of the
    advertiser's statement before it: one chain per advertiser.
    """

    advertiser = models.ForeignKey(Advertiser, on_delete=models.PROTECT, related_name="statements")
    partner = models.ForeignKey(Partner, on_delete=models.PROTECT, related_name="statements")
    currency = models.CharField(_("currency"), max_length=3)
    period = DateRangeField(_("period"), help_text=_("Days in the advertiser's zone; the last one is excluded."))
    opening_minor = models.BigIntegerField(_("opening balance"))
    earned_minor = models.BigIntegerField(_("earned"))
    payable_minor = models.BigIntegerField(_("payable"))
    carried_minor = models.BigIntegerField(_("carried forward"))
    minimum_minor = models.BigIntegerField(_("minimum payout"))
    line_count = models.PositiveIntegerField(_("lines"))
    previous = models.OneToOneField("self", on_delete=models.PROTECT, null=True, related_name="following")
    previous_sha256 = models.CharField(_("hash of the statement before"), max_length=64)
    sha256 = models.CharField(_("SHA-256"), max_length=64)
    place = models.PositiveBigIntegerField(_("place in the chain"))
    issued_at = models.DateTimeField(_("issued"))

    objects = StatementQuerySet.as_manager()

    class Meta:
        verbose_name = _("statement")
        verbose_name_plural = _("statements")
        ordering = ["-place"]
        constraints = [
            models.UniqueConstraint(fields=["advertiser", "place"], name="one_statement_per_place"),
            models.CheckConstraint(
                condition=models.Q(
                    opening_minor=models.F("payable_minor") + models.F("carried_minor") - models.F("earned_minor")
                ),
                name="statement_adds_up",
            ),
            models.CheckConstraint(
                condition=models.Q(payable_minor=0)
                | models.Q(carried_minor=0, payable_minor__gt=0, payable_minor__gte=models.F("minimum_minor")),
                name="statement_pays_or_carries",
            ),
            ExclusionConstraint(
                name="statements_do_not_overlap",
                expressions=[
                    ("advertiser", RangeOperators.EQUAL),
                    ("partner", RangeOperators.EQUAL),
                    ("currency", RangeOperators.EQUAL),
                    ("period", RangeOperators.OVERLAPS),
                ],
            ),
        ]
        triggers = [pgtrigger.Protect(name="append_only", operation=pgtrigger.Update | pgtrigger.Delete)]

    def __str__(self) -> str:
        return f"{self.partner} {self.period.lower:%Y-%m}"


class StatementLine(models.Model):
    """A commission posting on a statement: each posting on one statement at most."""

    advertiser = models.ForeignKey(Advertiser, on_delete=models.PROTECT, related_name="+")
    statement = models.ForeignKey(Statement, on_delete=models.PROTECT, related_name="lines")
    posting = models.OneToOneField(Posting, on_delete=models.PROTECT, related_name="statement_line")
    conversion_id = models.UUIDField(_("conversion"), null=True)
    campaign_id = models.BigIntegerField(null=True)
    order_ref = models.CharField(_("order number"), max_length=120, blank=True)
    occurred_at = models.DateTimeField(_("conversion happened"), null=True)
    amount_minor = models.BigIntegerField(_("amount"))

    class Meta:
        verbose_name = _("statement line")
        verbose_name_plural = _("statement lines")
        triggers = [
            pgtrigger.Protect(name="append_only", operation=pgtrigger.Update | pgtrigger.Delete),
            asked_once(
                "says_what_its_posting_says",
                """
                IF EXISTS (
                    SELECT 1 FROM new_rows n LEFT JOIN LATERAL (
                        SELECT p.advertiser_id, a.partner_id, p.currency,
                            CASE WHEN p.credit_id = a.id THEN p.amount_minor ELSE -p.amount_minor END AS amount_minor
                        FROM ledger_posting p
                        JOIN ledger_account a ON a.id IN (p.credit_id, p.debit_id) AND a.kind = 'PARTNER_ACCRUED'
                        WHERE p.id = n.posting_id OFFSET 0
                    ) p ON true
                    LEFT JOIN statements_statement s ON s.id = n.statement_id
                    WHERE (p.advertiser_id, p.partner_id, p.currency)
                            IS DISTINCT FROM (s.advertiser_id, s.partner_id, s.currency)
                       OR (p.advertiser_id, p.amount_minor) IS DISTINCT FROM (n.advertiser_id, n.amount_minor)
                ) THEN
                    RAISE EXCEPTION 'a line says what its posting says, in its statement''s currency'
                        USING ERRCODE = 'foreign_key_violation';
                END IF;
                RETURN NULL;
                """,
            ),
        ]

    def __str__(self) -> str:
        return f"{self.order_ref} {self.amount_minor}"


class ClosedPeriod(models.Model):
    """A period whose statements are all issued: closing it again finds this row and does nothing."""

    advertiser = models.ForeignKey(Advertiser, on_delete=models.PROTECT, related_name="closed_periods")
    period = DateRangeField(_("period"))
    closed_at = models.DateTimeField(_("closed"))
    closed_by = models.CharField(_("closed by"), max_length=200)
    statement_count = models.PositiveIntegerField(_("statements"))

    class Meta:
        verbose_name = _("closed period")
        verbose_name_plural = _("closed periods")
        ordering = ["-period"]
        constraints = [
            ExclusionConstraint(
                name="closed_periods_do_not_overlap",
                expressions=[("advertiser", RangeOperators.EQUAL), ("period", RangeOperators.OVERLAPS)],
            )
        ]

    def __str__(self) -> str:
        return f"{self.advertiser} {self.period.lower:%Y-%m}"
