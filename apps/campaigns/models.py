"""What partners can promote, who promotes it where, and by which links and codes."""

from __future__ import annotations

import secrets
import string
from datetime import datetime
from typing import ClassVar

import pghistory
from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import ArrayField, DateTimeRangeField, RangeOperators
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models.functions import Now, Upper
from django.utils.translation import gettext_lazy as _

from apps.core.errors import Conflict
from apps.identity.models import CURRENCY, Advertiser
from apps.partners.models import AdSpace, Partner

LINK_ALPHABET = string.ascii_letters + string.digits


def new_link_code() -> str:
    return "".join(secrets.choice(LINK_ALPHABET) for _ in range(10))


def new_secret() -> str:
    return secrets.token_urlsafe(32)


class CampaignState(models.TextChoices):
    DRAFT = "DRAFT", _("Draft")
    RUNNING = "RUNNING", _("Running")
    PAUSED = "PAUSED", _("Paused")
    ENDED = "ENDED", _("Ended")


class DedupScope(models.TextChoices):
    """Which conversions of a campaign are duplicates of an earlier one, beyond the same order number."""

    NONE = "", _("Only the same order number")
    CLICK = "CLICK", _("One conversion per click")
    CLICK_GOAL = "CLICK_GOAL", _("One conversion per click and goal")
    CUSTOMER_GOAL = "CUSTOMER_GOAL", _("One conversion per customer and goal in so many days")


class CampaignMoveRefused(Conflict):
    code = "campaign_state"
    message = "The campaign cannot move there from its present state."


class CampaignQuerySet(models.QuerySet["Campaign"]):
    def for_advertiser(self, advertiser: Advertiser) -> CampaignQuerySet:
        return self.filter(advertiser=advertiser)


@pghistory.track(exclude=["secret", "previous_secret"])
class Campaign(models.Model):
    """A program that partners join.

    When it runs is a matter of `starts_at` and `ends_at` alone, so that no later change of its state reaches back: a
    click on a paused campaign's link is stored as one that does not count, and an end has its moment.
    """

    NEXT: ClassVar[dict[str, set[str]]] = {
        "DRAFT": {"RUNNING"},
        "RUNNING": {"PAUSED", "ENDED"},
        "PAUSED": {"RUNNING", "ENDED"},
        "ENDED": set(),
    }

    advertiser = models.ForeignKey(Advertiser, on_delete=models.PROTECT, related_name="campaigns")
    name = models.CharField(_("name"), max_length=200)
    slug = models.SlugField(
        _("short name"), max_length=80, unique=True, help_text=_("Part of the tracking addresses: /s/<short name>.")
    )
    state = models.CharField(_("state"), max_length=10, choices=CampaignState, default=CampaignState.DRAFT)
    description = models.TextField(_("description"), blank=True)
    landing_url = models.URLField(_("landing page"), max_length=2000)
    hosts = ArrayField(
        models.CharField(max_length=253),
        default=list,
        blank=True,
        verbose_name=_("hosts for deep links"),
        help_text=_(
            "Comma-separated host names that deep links may lead to; the landing page's host is always allowed."
        ),
    )
    currencies = ArrayField(models.CharField(max_length=3, validators=[CURRENCY]), verbose_name=_("currencies"))
    starts_at = models.DateTimeField(_("starts"), db_default=Now())
    ends_at = models.DateTimeField(_("ends"), null=True, blank=True)
    signature_required = models.BooleanField(_("conversions must be signed"), default=False)
    dedup_scope = models.CharField(
        _("duplicates"),
        max_length=13,
        choices=DedupScope,
        default=DedupScope.NONE,
        blank=True,
        help_text=_("Duplicates are kept, linked to the first and not paid. Holds for what comes in from now on."),
    )
    dedup_days = models.PositiveSmallIntegerField(
        _("days of a customer's duplicates"), default=30, help_text=_("With the scope of customers only.")
    )
    secret = models.CharField(_("signing secret"), max_length=80, default=new_secret, editable=False)
    previous_secret = models.CharField(_("signing secret before"), max_length=80, blank=True, editable=False)
    created_at = models.DateTimeField(_("created"), db_default=Now(), editable=False)

    objects = CampaignQuerySet.as_manager()

    class Meta:
        verbose_name = _("campaign")
        verbose_name_plural = _("campaigns")
        constraints = [
            models.CheckConstraint(
                condition=models.Q(ends_at__isnull=True) | models.Q(ends_at__gte=models.F("starts_at")),
                name="campaign_ends_after_start",
            ),
            models.CheckConstraint(
                condition=~models.Q(state="ENDED") | models.Q(ends_at__isnull=False), name="ended_campaign_has_an_end"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def runs_at(self, moment: datetime) -> bool:
        """Tell whether a touch of a moment is of this campaign; a draft never runs."""
        return (
            self.state != CampaignState.DRAFT
            and self.starts_at <= moment
            and (self.ends_at is None or moment < self.ends_at)
        )

    def move(self, state: CampaignState, *, at: datetime) -> None:
        """Change the state; an end has its moment. Raises CampaignMoveRefused where NEXT does not allow it."""
        if state == self.state:
            return
        if state not in self.NEXT[self.state]:
            raise CampaignMoveRefused(path="state")
        self.state = state
        if state == CampaignState.ENDED:
            self.ends_at = max(self.starts_at, min(self.ends_at or at, at))
        self.save(update_fields=["state", "ends_at"])


class EnrollmentState(models.TextChoices):
    ACTIVE = "ACTIVE", _("Active")
    PAUSED = "PAUSED", _("Paused")
    ENDED = "ENDED", _("Ended")


@pghistory.track()
class Enrollment(models.Model):
    """An ad space in a campaign; the periods say when it was active."""

    advertiser = models.ForeignKey(Advertiser, on_delete=models.PROTECT, related_name="enrollments")
    campaign = models.ForeignKey(Campaign, on_delete=models.PROTECT, related_name="enrollments")
    ad_space = models.ForeignKey(AdSpace, on_delete=models.PROTECT, related_name="enrollments")
    partner = models.ForeignKey(Partner, on_delete=models.PROTECT, related_name="enrollments")
    state = models.CharField(_("state"), max_length=10, choices=EnrollmentState, default=EnrollmentState.ACTIVE)

    class Meta:
        verbose_name = _("enrollment")
        verbose_name_plural = _("enrollments")
        constraints = [models.UniqueConstraint(fields=["campaign", "ad_space"], name="one_enrollment")]

    def __str__(self) -> str:
        return f"{self.ad_space} · {self.campaign}"


@pghistory.track()
class EnrollmentPeriod(models.Model):
    """When an enrollment was active: half-open, never overlapping."""

    advertiser = models.ForeignKey(Advertiser, on_delete=models.PROTECT, related_name="+")
    enrollment = models.ForeignKey(Enrollment, on_delete=models.CASCADE, related_name="periods")
    active = DateTimeRangeField(_("active"))

    class Meta:
        verbose_name = _("enrollment period")
        verbose_name_plural = _("enrollment periods")
        constraints = [
            ExclusionConstraint(
                name="enrollment_periods_do_not_overlap",
                expressions=[("enrollment", RangeOperators.EQUAL), ("active", RangeOperators.OVERLAPS)],
            )
        ]

    def __str__(self) -> str:
        return f"{self.enrollment}: {self.active}"


@pghistory.track()
class TrackingLink(models.Model):
    """An address a partner publishes: `/c/<code>`."""

    advertiser = models.ForeignKey(Advertiser, on_delete=models.PROTECT, related_name="links")
    enrollment = models.ForeignKey(Enrollment, on_delete=models.PROTECT, related_name="links")
    code = models.CharField(_("code"), max_length=40, unique=True, default=new_link_code)
    name = models.CharField(_("name"), max_length=120, blank=True)
    landing_url = models.URLField(
        _("deep link"), max_length=2000, blank=True, help_text=_("Empty: the campaign's landing page.")
    )
    sub1 = models.CharField(max_length=500, blank=True)
    sub2 = models.CharField(max_length=500, blank=True)
    sub3 = models.CharField(max_length=500, blank=True)
    is_active = models.BooleanField(_("active"), default=True)
    created_at = models.DateTimeField(_("created"), db_default=Now(), editable=False)

    class Meta:
        verbose_name = _("tracking link")
        verbose_name_plural = _("tracking links")

    def __str__(self) -> str:
        return self.name or self.code


@pghistory.track()
class Coupon(models.Model):
    """A code customers type at checkout, and the partner who hands it out."""

    advertiser = models.ForeignKey(Advertiser, on_delete=models.PROTECT, related_name="coupons")
    campaign = models.ForeignKey(Campaign, on_delete=models.PROTECT, related_name="coupons")
    partner = models.ForeignKey(
        Partner,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="coupons",
        help_text=_("Empty: nobody owns the code."),
    )
    code = models.CharField(_("code"), max_length=80, help_text=_("Upper and lower case are the same."))
    description = models.CharField(_("description"), max_length=200, blank=True)
    valid_from = models.DateTimeField(_("valid from"), db_default=Now())
    valid_to = models.DateTimeField(_("valid until"), null=True, blank=True)

    class Meta:
        verbose_name = _("coupon")
        verbose_name_plural = _("coupons")
        constraints = [
            models.UniqueConstraint("campaign", Upper("code"), name="one_coupon_per_code"),
            models.CheckConstraint(
                condition=models.Q(valid_to__isnull=True) | models.Q(valid_to__gt=models.F("valid_from")),
                name="coupon_ends_after_start",
            ),
        ]

    def __str__(self) -> str:
        return self.code

    def clean(self) -> None:
        if self.valid_to and self.valid_to <= self.valid_from:
            raise ValidationError({"valid_to": _("The code must end after it starts.")})
