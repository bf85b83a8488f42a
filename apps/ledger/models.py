"""The book: accounts, and postings that never change."""

from __future__ import annotations

import pgtrigger
from django.db import models
from django.utils.translation import gettext_lazy as _

from apps.core.guards import asked_once
from apps.identity.models import CURRENCY, Advertiser
from apps.partners.models import Partner


class AccountKind(models.TextChoices):
    COMMISSION_EXPENSE = "COMMISSION_EXPENSE", _("Commission expense")
    PARTNER_ACCRUED = "PARTNER_ACCRUED", _("Accrued to partner")
    PARTNER_PAYABLE = "PARTNER_PAYABLE", _("Payable to partner")
    VAT_INPUT = "VAT_INPUT", _("Input VAT")
    PAYOUT_CLEARING = "PAYOUT_CLEARING", _("Payout clearing")


OF_PARTNER = ["PARTNER_ACCRUED", "PARTNER_PAYABLE"]


class Account(models.Model):
    """One side of the book of an advertiser in a currency; partner accounts name their partner."""

    advertiser = models.ForeignKey(Advertiser, on_delete=models.PROTECT, related_name="accounts")
    kind = models.CharField(_("kind"), max_length=20, choices=AccountKind)
    currency = models.CharField(_("currency"), max_length=3, validators=[CURRENCY])
    partner = models.ForeignKey(Partner, on_delete=models.PROTECT, null=True, related_name="accounts")

    class Meta:
        verbose_name = _("account")
        verbose_name_plural = _("accounts")
        constraints = [
            models.UniqueConstraint(
                fields=["advertiser", "kind", "currency", "partner"], nulls_distinct=False, name="one_account"
            ),
            models.CheckConstraint(
                condition=models.Q(kind__in=OF_PARTNER, partner__isnull=False)
                | (~models.Q(kind__in=OF_PARTNER) & models.Q(partner__isnull=True)),
                name="partner_accounts_name_their_partner",
            ),
        ]
        # Postings rest on it: they ask for their accounts once, when they are written.
        triggers = [pgtrigger.Protect(name="append_only", operation=pgtrigger.Update | pgtrigger.Delete)]

    def __str__(self) -> str:
        return f"{self.kind} {self.currency}" + (f" · {self.partner}" if self.partner_id else "")


class PostingPurpose(models.TextChoices):
    COMMISSION = "COMMISSION", _("Commission")
    SETTLEMENT = "SETTLEMENT", _("Settlement")
    PAYOUT = "PAYOUT", _("Payout")


class Posting(models.Model):
    """An amount from one account to another: debit, credit, reference; append-only.

    `reference` says what caused it and is unique per advertiser, so that nothing is posted twice.
    Commission postings carry `due_on`: the day from which a statement takes them.
    """

    # Written by the thousand: that both accounts are its advertiser's and of its currency is asked once a statement.
    advertiser = models.ForeignKey(
        Advertiser, on_delete=models.PROTECT, related_name="postings", db_constraint=False, db_index=False
    )
    debit = models.ForeignKey(
        Account, on_delete=models.PROTECT, related_name="debits", db_constraint=False, db_index=False
    )
    credit = models.ForeignKey(
        Account, on_delete=models.PROTECT, related_name="credits", db_constraint=False, db_index=False
    )
    currency = models.CharField(_("currency"), max_length=3)
    amount_minor = models.BigIntegerField(_("amount"))
    purpose = models.CharField(_("purpose"), max_length=12, choices=PostingPurpose)
    reference = models.CharField(_("reference"), max_length=120)
    due_on = models.DateField(_("due"), null=True)
    posted_at = models.DateTimeField(_("posted"))

    class Meta:
        verbose_name = _("posting")
        verbose_name_plural = _("postings")
        indexes = [
            models.Index(fields=["credit", "posted_at"], name="postings_by_credit"),
            models.Index(fields=["debit", "posted_at"], name="postings_by_debit"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["advertiser", "reference"], name="posted_once"),
            models.CheckConstraint(condition=models.Q(amount_minor__gt=0), name="posting_is_positive"),
            models.CheckConstraint(condition=~models.Q(debit=models.F("credit")), name="posting_has_two_accounts"),
            models.CheckConstraint(
                condition=models.Q(purpose="COMMISSION", due_on__isnull=False)
                | (~models.Q(purpose="COMMISSION") & models.Q(due_on__isnull=True)),
                name="commission_postings_are_due",
            ),
        ]
        triggers = [
            pgtrigger.Protect(name="append_only", operation=pgtrigger.Update | pgtrigger.Delete),
            asked_once(
                "is_of_its_accounts",
                """
                IF EXISTS (
                    SELECT 1 FROM (SELECT DISTINCT debit_id, credit_id, advertiser_id, currency FROM new_rows) n
                    LEFT JOIN ledger_account d ON d.id = n.debit_id
                    LEFT JOIN ledger_account c ON c.id = n.credit_id
                    WHERE (d.advertiser_id, d.currency) IS DISTINCT FROM (n.advertiser_id, n.currency)
                       OR (c.advertiser_id, c.currency) IS DISTINCT FROM (n.advertiser_id, n.currency)
                ) THEN
                    RAISE EXCEPTION 'both sides of a posting are accounts of its advertiser and currency'
                        USING ERRCODE = 'foreign_key_violation';
                END IF;
                RETURN NULL;
                """,
            ),
        ]

    def __str__(self) -> str:
        return f"{self.reference} {self.amount_minor} {self.currency}"


class UnstatedPosting(models.Model):
    """The work list of statements: a commission posting that no statement has taken yet.

    `signed_minor` is the amount as the partner sees it: positive for a credit to the accrued account.
    """

    posting = models.OneToOneField(
        Posting, on_delete=models.PROTECT, primary_key=True, related_name="unstated", db_constraint=False
    )
    advertiser = models.ForeignKey(
        Advertiser, on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False
    )
    partner = models.ForeignKey(Partner, on_delete=models.PROTECT, related_name="+", db_constraint=False)
    currency = models.CharField(max_length=3)
    due_on = models.DateField()
    signed_minor = models.BigIntegerField()

    class Meta:
        indexes = [models.Index(fields=["advertiser", "partner", "currency", "due_on"], name="unstated_of_partner")]
        triggers = [
            asked_once(
                "says_what_its_posting_says",
                """
                IF EXISTS (
                    SELECT 1 FROM new_rows n LEFT JOIN LATERAL (
                        SELECT p.advertiser_id, a.partner_id, p.currency, p.due_on,
                            CASE WHEN p.credit_id = a.id THEN p.amount_minor ELSE -p.amount_minor END AS signed_minor
                        FROM ledger_posting p
                        JOIN ledger_account a ON a.id IN (p.credit_id, p.debit_id) AND a.kind = 'PARTNER_ACCRUED'
                        WHERE p.id = n.posting_id OFFSET 0
                    ) p ON true
                    WHERE (p.advertiser_id, p.partner_id, p.currency, p.due_on, p.signed_minor)
                        IS DISTINCT FROM (n.advertiser_id, n.partner_id, n.currency, n.due_on, n.signed_minor)
                ) THEN
                    RAISE EXCEPTION 'what waits for a statement is a posting, in its currency and of its partner'
                        USING ERRCODE = 'foreign_key_violation';
                END IF;
                RETURN NULL;
                """,
            )
        ]

    def __str__(self) -> str:
        return f"{self.posting_id} due {self.due_on}"


class Reconciliation(models.Model):
    """A proof of an advertiser's books: when, how long, and what differed; the last one says whether they may issue."""

    advertiser = models.ForeignKey(Advertiser, on_delete=models.PROTECT, related_name="reconciliations")
    at = models.DateTimeField(_("at"))
    milliseconds = models.PositiveIntegerField(_("took"))
    difference_count = models.PositiveIntegerField(_("differences"))
    differences = models.JSONField(_("what differs"), default=list)

    class Meta:
        verbose_name = _("proof of the books")
        verbose_name_plural = _("proofs of the books")
        indexes = [models.Index(fields=["advertiser", "-id"], name="reconciliations_last")]
        triggers = [pgtrigger.Protect(name="append_only", operation=pgtrigger.Update | pgtrigger.Delete)]

    def __str__(self) -> str:
        return f"{self.at} {self.difference_count}"
