"""People, the advertisers they work for, and the keys of their machines."""

from __future__ import annotations

from typing import ClassVar
from zoneinfo import ZoneInfo

import pghistory
from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.core.validators import RegexValidator
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _
from rest_framework_api_key.models import AbstractAPIKey, BaseAPIKeyManager

CURRENCY = RegexValidator(r"^[A-Z]{3}$", _("A currency is an ISO 4217 code such as EUR."))
COUNTRY = RegexValidator(r"^[A-Z]{2}$", _("A country is an ISO 3166 code such as DE."))


class UserManager(BaseUserManager["User"]):
    def create_user(self, email: str, password: str | None = None, **fields: object) -> User:
        user = self.model(email=self.normalize_email(email).lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: object) -> User:
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)

    def get_by_natural_key(self, username: str | None) -> User:
        return self.get(email=(username or "").lower())


class User(AbstractBaseUser, PermissionsMixin):
    """A person who signs in; what they may see follows from memberships and partner memberships."""

    email = models.EmailField(_("e-mail"), unique=True)
    name = models.CharField(_("name"), max_length=150, blank=True)
    language = models.CharField(_("language"), max_length=5, default="en")
    is_active = models.BooleanField(_("active"), default=True)
    is_staff = models.BooleanField(_("operator"), default=False)
    joined_at = models.DateTimeField(_("joined"), db_default=Now())

    objects: ClassVar[UserManager] = UserManager()
    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        verbose_name = _("user")
        verbose_name_plural = _("users")

    def __str__(self) -> str:
        return self.name or self.email


@pghistory.track()
class Advertiser(models.Model):
    """A company that pays partners; everything but people and partners belongs to one."""

    name = models.CharField(_("name"), max_length=200)
    slug = models.SlugField(_("short name"), unique=True)
    timezone = models.CharField(_("time zone"), max_length=64, default="Europe/Berlin")
    currency = models.CharField(_("currency"), max_length=3, default="EUR", validators=[CURRENCY])
    decide_days = models.PositiveSmallIntegerField(
        _("days to decide"), default=30, help_text=_("A pending conversion is approved by itself after so many days.")
    )
    lock_days = models.PositiveSmallIntegerField(
        _("lock days"), default=28, help_text=_("Days after the end of the conversion's month until it locks.")
    )
    pay_days = models.PositiveSmallIntegerField(
        _("pay days"), default=20, help_text=_("Days after the end of the month in which a conversion locks.")
    )
    minimum_payout_minor = models.PositiveBigIntegerField(
        _("minimum payout"), default=5000, help_text=_("In minor units (cents). Smaller balances carry forward.")
    )
    shows_others = models.BooleanField(_("partners see how many others took part"), default=True)
    created_at = models.DateTimeField(_("created"), db_default=Now(), editable=False)

    class Meta:
        verbose_name = _("advertiser")
        verbose_name_plural = _("advertisers")

    def __str__(self) -> str:
        return self.name

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)


@pghistory.track()
class LegalEntity(models.Model):
    """A company of the advertiser that issues documents, with number series of its own."""

    advertiser = models.ForeignKey(Advertiser, on_delete=models.PROTECT, related_name="legal_entities")
    name = models.CharField(_("legal name"), max_length=200)
    address = models.TextField(_("street and number"), blank=True)
    postcode = models.CharField(_("postcode"), max_length=20, blank=True)
    city = models.CharField(_("city"), max_length=100, blank=True)
    country = models.CharField(_("country"), max_length=2, default="DE", validators=[COUNTRY])
    vat_id = models.CharField(_("VAT id"), max_length=20, blank=True)
    tax_number = models.CharField(_("tax number"), max_length=40, blank=True)
    register = models.CharField(_("commercial register"), max_length=100, blank=True)
    email = models.EmailField(_("e-mail"), blank=True)
    number_prefix = models.CharField(_("number prefix"), max_length=10, default="GS", blank=True)
    is_default = models.BooleanField(_("default"), default=True)

    class Meta:
        verbose_name = _("legal entity")
        verbose_name_plural = _("legal entities")
        constraints = [
            models.UniqueConstraint(
                fields=["advertiser"], condition=models.Q(is_default=True), name="one_default_legal_entity"
            ),
            models.UniqueConstraint(fields=["advertiser", "number_prefix"], name="one_number_prefix_per_entity"),
        ]

    def __str__(self) -> str:
        return self.name


class Role(models.TextChoices):
    OWNER = "OWNER", _("Owner")
    MANAGER = "MANAGER", _("Partner manager")
    ANALYST = "ANALYST", _("Analyst")
    FINANCE = "FINANCE", _("Finance")


@pghistory.track()
class Membership(models.Model):
    """A person's role with an advertiser."""

    advertiser = models.ForeignKey(Advertiser, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(_("role"), max_length=10, choices=Role, default=Role.MANAGER)

    class Meta:
        verbose_name = _("team member")
        verbose_name_plural = _("team")
        constraints = [models.UniqueConstraint(fields=["advertiser", "user"], name="one_membership_per_user")]

    def __str__(self) -> str:
        return f"{self.user} · {self.get_role_display()}"


class Scope(models.TextChoices):
    CONVERSIONS_WRITE = "conversions:write", _("send conversions")
    CONVERSIONS_READ = "conversions:read", _("read conversions")
    CONVERSIONS_DECIDE = "conversions:decide", _("approve and reject")
    PARTNERS_READ = "partners:read", _("read partners")
    CAMPAIGNS_READ = "campaigns:read", _("read campaigns")
    FINANCE_READ = "finance:read", _("read statements and invoices")


class AdvertiserKeyManager(BaseAPIKeyManager):
    pass


class AdvertiserKey(AbstractAPIKey):
    """A key of the advertiser's machines: hashed, shown once, limited to its scopes."""

    advertiser = models.ForeignKey(Advertiser, on_delete=models.CASCADE, related_name="keys")
    scopes = models.JSONField(_("scopes"), default=list, help_text=_("What this key may do."))
    last_used_at = models.DateTimeField(_("last used"), null=True, blank=True, editable=False)

    objects: ClassVar[AdvertiserKeyManager] = AdvertiserKeyManager()

    class Meta(AbstractAPIKey.Meta):
        verbose_name = _("API key")
        verbose_name_plural = _("API keys")
        abstract = False
