"""Claims: what a partner says is missing, wrong or wrongly declined, and how it was answered."""

from __future__ import annotations

from datetime import date
from typing import ClassVar

import pgtrigger
from django.db import models
from django.utils.translation import gettext_lazy as _

from apps.campaigns.models import Campaign
from apps.identity.models import Advertiser
from apps.partners.models import Partner
from apps.tracking.models import Conversion


class ClaimKind(models.TextChoices):
    MISSING = "MISSING", _("Missing")
    WRONG = "WRONG", _("Wrong amount")
    DECLINED = "DECLINED", _("Wrongly rejected")


class ClaimState(models.TextChoices):
    OPEN = "OPEN", _("Open")
    ESCALATED = "ESCALATED", _("Overdue")
    ACCEPTED = "ACCEPTED", _("Accepted")
    DECLINED = "DECLINED", _("Declined")
    WITHDRAWN = "WITHDRAWN", _("Withdrawn")


AWAITED = (ClaimState.OPEN, ClaimState.ESCALATED)


class ClaimReason(models.TextChoices):
    """Why a claim is declined; the partner reads it."""

    NOT_FOUND = "not_found", _("The shop does not know the order")
    OTHER_PARTNER = "other_partner", _("Another partner brought the order")
    NO_CONTACT = "no_contact", _("No contact through the partner is known")
    CREDITED = "credited", _("The order is credited to the partner already")
    CANCELLED = "cancelled", _("The order was cancelled or returned")
    TERMS_BREACH = "terms_breach", _("The campaign's terms were not kept")
    TOO_LATE = "too_late", _("The claim came too late")
    NO_EVIDENCE = "no_evidence", _("The evidence does not show it")


class AtEnd(models.TextChoices):
    ESCALATE = "ESCALATE", _("is marked overdue and waits")
    APPROVE = "APPROVE", _("is accepted by itself")


class ClaimTerms(models.Model):
    """An advertiser's clock for claims; without a row it is 75 days, then overdue."""

    advertiser = models.OneToOneField(
        Advertiser, on_delete=models.CASCADE, primary_key=True, related_name="claim_terms"
    )
    answer_days = models.PositiveSmallIntegerField(_("days to answer"), default=75)
    at_end = models.CharField(_("a claim nobody answered"), max_length=10, choices=AtEnd, default=AtEnd.ESCALATE)

    class Meta:
        verbose_name = _("terms of claims")
        verbose_name_plural = _("terms of claims")
        constraints = [
            models.CheckConstraint(
                condition=models.Q(answer_days__gte=1, answer_days__lte=365), name="claims_are_answered_within_a_year"
            )
        ]

    def __str__(self) -> str:
        return f"{self.answer_days} d, {self.at_end}"


class ClaimQuerySet(models.QuerySet["Claim"]):
    def for_advertiser(self, advertiser: Advertiser) -> ClaimQuerySet:
        return self.filter(advertiser=advertiser)

    def for_partner(self, partner: Partner) -> ClaimQuerySet:
        return self.filter(partner=partner)

    def overdue(self, today: date) -> ClaimQuerySet:
        return self.filter(state=ClaimState.OPEN, answer_by__lt=today)


class Claim(models.Model):
    """A partner's word that an order is missing, wrong or wrongly rejected, with its evidence.

    `amount_minor` is net of VAT, in `currency`. `conversion` is the one that acceptance corrected or wrote. The
    database writes each move into `ClaimMove`.
    """

    ERASED_BY: ClassVar = {"text": "apps.claims.services.erase_words"}
    NEXT: ClassVar[dict[str, set[str]]] = {
        "OPEN": {"ACCEPTED", "DECLINED", "ESCALATED", "WITHDRAWN"},
        "ESCALATED": {"ACCEPTED", "DECLINED", "WITHDRAWN"},
        "ACCEPTED": set(),
        "DECLINED": set(),
        "WITHDRAWN": set(),
    }

    advertiser = models.ForeignKey(Advertiser, on_delete=models.PROTECT, related_name="claims")
    partner = models.ForeignKey(Partner, on_delete=models.PROTECT, related_name="claims")
    campaign = models.ForeignKey(Campaign, on_delete=models.PROTECT, related_name="claims")
    kind = models.CharField(_("kind"), max_length=10, choices=ClaimKind)
    goal = models.CharField(_("goal"), max_length=40, default="SALE")
    order_ref = models.CharField(_("order number"), max_length=120)
    occurred_at = models.DateTimeField(_("happened"))
    amount_minor = models.BigIntegerField(_("amount"), null=True)
    currency = models.CharField(_("currency"), max_length=3)
    click_id = models.UUIDField(_("click"), null=True)
    coupon = models.CharField(_("code"), max_length=80, blank=True)
    text = models.TextField(_("what happened"), max_length=2000, blank=True)
    told_at = models.DateTimeField(_("reported"))
    told_by = models.CharField(_("reported by"), max_length=200)
    answer_by = models.DateField(_("answered by"))
    state = models.CharField(_("state"), max_length=10, choices=ClaimState, default=ClaimState.OPEN)
    reason = models.CharField(_("reason"), max_length=20, choices=ClaimReason, blank=True)
    note = models.CharField(_("note"), max_length=300, blank=True)
    moved_at = models.DateTimeField(_("last moved"))
    moved_by = models.CharField(_("moved by"), max_length=200)
    conversion = models.ForeignKey(Conversion, on_delete=models.PROTECT, null=True, related_name="claims")

    objects = ClaimQuerySet.as_manager()

    class Meta:
        verbose_name = _("claim")
        verbose_name_plural = _("claims")
        indexes = [
            models.Index(fields=["advertiser", "state", "answer_by"], name="claims_to_answer"),
            models.Index(fields=["partner", "-told_at"], name="claims_of_partner"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["partner", "advertiser", "goal", "order_ref"],
                condition=models.Q(state__in=["OPEN", "ESCALATED"]),
                name="one_open_claim_per_order",
            ),
            models.CheckConstraint(
                condition=models.Q(state="DECLINED") & ~models.Q(reason="")
                | ~models.Q(state="DECLINED") & models.Q(reason=""),
                name="only_declined_claims_have_a_reason",
            ),
            models.CheckConstraint(
                condition=models.Q(state="ACCEPTED", conversion__isnull=False)
                | ~models.Q(state="ACCEPTED") & models.Q(conversion__isnull=True),
                name="accepted_claims_have_a_conversion",
            ),
            models.CheckConstraint(
                condition=models.Q(amount_minor__isnull=True) | models.Q(amount_minor__gte=0),
                name="claim_is_not_negative",
            ),
        ]
        triggers = [
            pgtrigger.ReadOnly(
                name="content_stays",
                fields=[
                    *("advertiser", "partner", "campaign", "kind", "goal", "order_ref", "occurred_at", "amount_minor"),
                    *("currency", "click_id", "coupon", "told_at", "told_by", "answer_by"),
                ],
            ),
            # What the partner wrote may name a customer, who may want to be forgotten: it goes, but never changes.
            pgtrigger.Protect(
                name="words_are_only_erased",
                operation=pgtrigger.Update,
                condition=pgtrigger.Q(old__text__df=pgtrigger.F("new__text")) & ~pgtrigger.Q(new__text=""),
            ),
            pgtrigger.Protect(name="never_deleted", operation=pgtrigger.Delete),
            pgtrigger.FSM(
                name="moves_as_allowed",
                field="state",
                transitions=[
                    (origin, target)
                    for origin, targets in sorted(
                        {
                            "OPEN": ["ACCEPTED", "DECLINED", "ESCALATED", "WITHDRAWN"],
                            "ESCALATED": ["ACCEPTED", "DECLINED", "WITHDRAWN"],
                        }.items()
                    )
                    for target in targets
                ],
            ),
            pgtrigger.Trigger(
                name="moves_are_written",
                when=pgtrigger.After,
                operation=pgtrigger.Insert | pgtrigger.Update,
                declare=[("before", "varchar := ''")],
                func="""
                    IF TG_OP = 'UPDATE' THEN
                        before := OLD.state;
                    END IF;
                    IF before <> NEW.state THEN
                        INSERT INTO claims_claimmove
                            (advertiser_id, claim_id, origin, state, reason, note, moved_by, moved_at)
                        VALUES (NEW.advertiser_id, NEW.id, before, NEW.state, NEW.reason, NEW.note, NEW.moved_by,
                            NEW.moved_at);
                    END IF;
                    RETURN NULL;
                """,
            ),
        ]

    def __str__(self) -> str:
        return self.order_ref

    @property
    def is_awaited(self) -> bool:
        return self.state in AWAITED


class ClaimMove(models.Model):
    """A move of a claim: from where to where, when, by whom and why; written by the database, never changed."""

    advertiser = models.ForeignKey(Advertiser, on_delete=models.PROTECT, related_name="+")
    claim = models.ForeignKey(Claim, on_delete=models.PROTECT, related_name="moves")
    origin = models.CharField(_("from"), max_length=10, choices=ClaimState, blank=True)
    state = models.CharField(_("to"), max_length=10, choices=ClaimState)
    reason = models.CharField(_("reason"), max_length=20, choices=ClaimReason, blank=True)
    note = models.CharField(_("note"), max_length=300, blank=True)
    moved_by = models.CharField(_("by"), max_length=200)
    moved_at = models.DateTimeField(_("at"))

    class Meta:
        verbose_name = _("move of a claim")
        verbose_name_plural = _("moves of claims")
        ordering = ["pk"]
        triggers = [pgtrigger.Protect(name="append_only", operation=pgtrigger.Update | pgtrigger.Delete)]

    def __str__(self) -> str:
        return f"{self.claim_id} {self.origin} → {self.state}"


class EvidenceQuerySet(models.QuerySet["Evidence"]):
    def for_advertiser(self, advertiser: Advertiser) -> EvidenceQuerySet:
        return self.filter(advertiser=advertiser)

    def for_partner(self, partner: Partner) -> EvidenceQuerySet:
        return self.filter(claim__partner=partner)

    def kept(self) -> EvidenceQuerySet:
        return self.filter(erased_at=None)


class Evidence(models.Model):
    """A file that a partner attached to a claim; `size` in bytes.

    It never changes. Bytes and name may be a customer's: both go together, and the row with its hash stays.
    """

    ERASED_BY: ClassVar = {
        "content": "apps.claims.services.erase_evidence",
        "name": "apps.claims.services.erase_evidence",
    }

    advertiser = models.ForeignKey(Advertiser, on_delete=models.PROTECT, related_name="+")
    claim = models.ForeignKey(Claim, on_delete=models.PROTECT, related_name="evidence")
    sha256 = models.CharField(_("SHA-256"), max_length=64)
    name = models.CharField(_("file name"), max_length=120, blank=True)
    media_type = models.CharField(_("media type"), max_length=40)
    size = models.PositiveIntegerField(_("size"))
    content = models.BinaryField(_("content"), null=True)
    attached_at = models.DateTimeField(_("attached"))
    attached_by = models.CharField(_("attached by"), max_length=200)
    erased_at = models.DateTimeField(_("deleted"), null=True)

    objects = EvidenceQuerySet.as_manager()

    class Meta:
        verbose_name = _("evidence")
        verbose_name_plural = _("evidence")
        constraints = [
            models.UniqueConstraint(fields=["claim", "sha256"], name="one_file_per_content"),
            models.CheckConstraint(
                condition=models.Q(content__isnull=False, erased_at__isnull=True) & ~models.Q(name="")
                | models.Q(content__isnull=True, erased_at__isnull=False, name=""),
                name="evidence_is_kept_or_erased",
            ),
        ]
        triggers = [
            pgtrigger.ReadOnly(
                name="content_stays",
                fields=["advertiser", "claim", "sha256", "media_type", "size", "attached_at", "attached_by"],
            ),
            pgtrigger.Protect(
                name="bytes_are_only_erased",
                operation=pgtrigger.Update,
                condition=pgtrigger.Q(old__erased_at__isnull=False)
                | pgtrigger.Q(new__content__isnull=False) & pgtrigger.Q(old__content__df=pgtrigger.F("new__content"))
                | ~pgtrigger.Q(new__name="") & pgtrigger.Q(old__name__df=pgtrigger.F("new__name")),
            ),
            pgtrigger.Protect(name="never_deleted", operation=pgtrigger.Delete),
        ]

    def __str__(self) -> str:
        return self.name or self.sha256
