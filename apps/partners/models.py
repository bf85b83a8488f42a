"""Partners, the people who act for them, and their relationships with advertisers."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

import pghistory
import pgtrigger
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from apps.core.errors import Conflict
from apps.identity.models import COUNTRY, CURRENCY, Advertiser, User

# Receipts, policies and documents name partners, groups and ad spaces by their short names: those stay.
SLUG_STAYS = pgtrigger.ReadOnly(name="slug_stays", fields=["slug"])


class PartnerKind(models.TextChoices):
    CONTENT = "CONTENT", _("Content")
    COMPARISON = "COMPARISON", _("Comparison")
    COUPON = "COUPON", _("Coupon site")
    CASHBACK = "CASHBACK", _("Cashback")
    CREATOR = "CREATOR", _("Creator")
    OTHER = "OTHER", _("Other")


@pghistory.track()
class Partner(models.Model):
    """A party that recommends advertisers' products; one on the platform, working with many advertisers."""

    name = models.CharField(_("name"), max_length=200)
    slug = models.SlugField(_("short name"), max_length=80, unique=True)
    kind = models.CharField(_("kind"), max_length=12, choices=PartnerKind, default=PartnerKind.CONTENT)
    website = models.URLField(_("website"), blank=True)
    email = models.EmailField(_("e-mail"), blank=True)
    country = models.CharField(_("country"), max_length=2, default="DE", validators=[COUNTRY])
    language = models.CharField(_("language"), max_length=5, default="en")
    created_at = models.DateTimeField(_("created"), db_default=Now(), editable=False)

    class Meta:
        verbose_name = _("partner")
        verbose_name_plural = _("partners")
        triggers = [SLUG_STAYS]

    def __str__(self) -> str:
        return self.name


class PartnerRole(models.TextChoices):
    OWNER = "OWNER", _("Owner")
    MEMBER = "MEMBER", _("Member")


@pghistory.track()
class PartnerMembership(models.Model):
    """A person who acts for a partner."""

    partner = models.ForeignKey(Partner, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="partner_memberships")
    role = models.CharField(_("role"), max_length=10, choices=PartnerRole, default=PartnerRole.OWNER)

    class Meta:
        verbose_name = _("partner's person")
        verbose_name_plural = _("partner's people")
        constraints = [models.UniqueConstraint(fields=["partner", "user"], name="one_partner_membership_per_user")]

    def __str__(self) -> str:
        return f"{self.user} · {self.partner}"


@pghistory.track()
class AdSpace(models.Model):
    """A site, app or channel of a partner."""

    partner = models.ForeignKey(Partner, on_delete=models.PROTECT, related_name="ad_spaces")
    name = models.CharField(_("name"), max_length=200)
    slug = models.SlugField(_("short name"), max_length=80)
    url = models.URLField(_("address"), blank=True)
    category = models.SlugField(_("category"), max_length=60, default="editorial")

    class Meta:
        verbose_name = _("ad space")
        verbose_name_plural = _("ad spaces")
        constraints = [models.UniqueConstraint(fields=["partner", "slug"], name="one_ad_space_per_slug")]
        triggers = [SLUG_STAYS]

    def __str__(self) -> str:
        return self.name


@pghistory.track()
class PartnerGroup(models.Model):
    """An advertiser's own group of partners (gold, strategic, …)."""

    advertiser = models.ForeignKey(Advertiser, on_delete=models.CASCADE, related_name="partner_groups")
    name = models.CharField(_("name"), max_length=80)
    slug = models.SlugField(_("short name"), max_length=80)

    class Meta:
        verbose_name = _("partner group")
        verbose_name_plural = _("partner groups")
        constraints = [models.UniqueConstraint(fields=["advertiser", "slug"], name="one_partner_group_per_slug")]
        triggers = [SLUG_STAYS]

    def __str__(self) -> str:
        return self.name


class PartnershipState(models.TextChoices):
    APPLIED = "APPLIED", _("Applied")
    ACTIVE = "ACTIVE", _("Active")
    REJECTED = "REJECTED", _("Rejected")
    BLOCKED = "BLOCKED", _("Blocked")
    ENDED = "ENDED", _("Ended")


class PartnershipMoveRefused(Conflict):
    code = "partnership_state"
    message = "The partnership cannot move there from its present state."


class PartnershipQuerySet(models.QuerySet["Partnership"]):
    def for_advertiser(self, advertiser: Advertiser) -> PartnershipQuerySet:
        return self.filter(advertiser=advertiser)

    def active(self) -> PartnershipQuerySet:
        return self.filter(state=PartnershipState.ACTIVE)


@pghistory.track()
class Partnership(models.Model):
    """A partner's relationship with one advertiser: terms, group, agreement to self-billing."""

    NEXT: ClassVar[dict[str, set[str]]] = {
        "APPLIED": {"ACTIVE", "REJECTED", "BLOCKED"},
        "ACTIVE": {"BLOCKED", "ENDED"},
        "REJECTED": {"APPLIED", "ACTIVE", "BLOCKED"},
        "BLOCKED": {"ACTIVE", "ENDED"},
        "ENDED": {"APPLIED", "ACTIVE"},
    }

    advertiser = models.ForeignKey(Advertiser, on_delete=models.PROTECT, related_name="partnerships")
    partner = models.ForeignKey(Partner, on_delete=models.PROTECT, related_name="partnerships")
    state = models.CharField(_("state"), max_length=10, choices=PartnershipState, default=PartnershipState.APPLIED)
    state_since = models.DateTimeField(_("since"), db_default=Now())
    reason = models.CharField(_("reason"), max_length=300, blank=True)
    group = models.ForeignKey(
        PartnerGroup,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="partnerships",
        verbose_name=_("group"),
    )
    notes = models.TextField(_("notes"), blank=True)
    minimum_payout_minor = models.PositiveBigIntegerField(
        _("minimum payout"), null=True, blank=True, help_text=_("In minor units; empty: the advertiser's own.")
    )
    self_billing_version = models.CharField(_("self-billing agreement"), max_length=20, blank=True)
    self_billing_on = models.DateField(_("agreed on"), null=True, blank=True)

    objects = PartnershipQuerySet.as_manager()

    class Meta:
        verbose_name = _("partnership")
        verbose_name_plural = _("partnerships")
        constraints = [
            models.UniqueConstraint(fields=["advertiser", "partner"], name="one_partnership"),
            models.CheckConstraint(
                condition=models.Q(self_billing_version="") | models.Q(self_billing_on__isnull=False),
                name="self_billing_is_dated",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.partner} · {self.advertiser}"

    def move(self, state: PartnershipState, *, at: datetime, reason: str = "") -> None:
        """Change the state. Raises PartnershipMoveRefused where NEXT does not allow it."""
        if state == self.state:
            return
        if state not in self.NEXT[self.state]:
            raise PartnershipMoveRefused
        self.state, self.state_since, self.reason = state, at, reason
        self.save(update_fields=["state", "state_since", "reason"])


class TaxStatus(models.TextChoices):
    BUSINESS = "BUSINESS", _("Business, VAT-registered")
    SMALL_BUSINESS = "SMALL_BUSINESS", _("Small business (exempt)")
    PRIVATE = "PRIVATE", _("Private person")


@pghistory.track()
class TaxProfile(models.Model):
    """Who the partner is to the tax office; copied onto every document."""

    partner = models.OneToOneField(Partner, on_delete=models.CASCADE, related_name="tax_profile")
    status = models.CharField(_("status"), max_length=16, choices=TaxStatus, default=TaxStatus.BUSINESS)
    legal_name = models.CharField(_("legal name"), max_length=200)
    address = models.TextField(_("street and number"), blank=True)
    postcode = models.CharField(_("postcode"), max_length=20, blank=True)
    city = models.CharField(_("city"), max_length=100, blank=True)
    country = models.CharField(_("country"), max_length=2, default="DE", validators=[COUNTRY])
    vat_id = models.CharField(_("VAT id"), max_length=20, blank=True)
    tax_number = models.CharField(_("tax number"), max_length=40, blank=True)

    class Meta:
        verbose_name = _("tax profile")
        verbose_name_plural = _("tax profiles")

    def __str__(self) -> str:
        return self.legal_name


@pghistory.track()
class PayoutProfile(models.Model):
    """Where a partner's money goes."""

    partner = models.OneToOneField(Partner, on_delete=models.CASCADE, related_name="payout_profile")
    holder = models.CharField(_("account holder"), max_length=140)
    iban = models.CharField(_("IBAN"), max_length=34)
    bic = models.CharField(_("BIC"), max_length=11, blank=True)
    currency = models.CharField(_("currency"), max_length=3, default="EUR", validators=[CURRENCY])
    changed_at = models.DateTimeField(_("changed"), db_default=Now())

    class Meta:
        verbose_name = _("payout profile")
        verbose_name_plural = _("payout profiles")

    def __str__(self) -> str:
        return f"{self.holder} · …{self.iban[-4:]}"
