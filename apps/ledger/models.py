"""The book: accounts, and postings that never change."""

from __future__ import annotations

import pgtrigger
from django.db import models
from django.utils.translation import gettext_lazy as _

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
            models.UniqueConstraint(fields=["id", "advertiser", "currency"], name="account_currency_key"),
            models.CheckConstraint(
                condition=models.Q(kind__in=OF_PARTNER, partner__isnull=False)
                | (~models.Q(kind__in=OF_PARTNER) & models.Q(partner__isnull=True)),
                name="partner_accounts_name_their_partner",
            ),
        ]

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

    advertiser = models.ForeignKey(Advertiser, on_delete=models.PROTECT, related_name="postings")
    debit = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="debits")
    credit = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="credits")
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
        triggers = [pgtrigger.Protect(name="append_only", operation=pgtrigger.Update | pgtrigger.Delete)]

    def __str__(self) -> str:
        return f"{self.reference} {self.amount_minor} {self.currency}"


class UnstatedPosting(models.Model):
    """The work list of statements: a commission posting that no statement has taken yet.

    `signed_minor` is the amount as the partner sees it: positive for a credit to the accrued account.
    """

    posting = models.OneToOneField(Posting, on_delete=models.PROTECT, primary_key=True, related_name="unstated")
    advertiser = models.ForeignKey(Advertiser, on_delete=models.PROTECT, related_name="+")
    partner = models.ForeignKey(Partner, on_delete=models.PROTECT, related_name="+")
    currency = models.CharField(max_length=3)
    due_on = models.DateField()
    signed_minor = models.BigIntegerField()

    class Meta:
        indexes = [models.Index(fields=["advertiser", "partner", "currency", "due_on"], name="unstated_of_partner")]

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
