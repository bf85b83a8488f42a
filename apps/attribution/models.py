"""Policies that decide whose a conversion is, and the shares they made."""

from __future__ import annotations

from datetime import datetime

import pghistory
import pgtrigger
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from apps.campaigns.models import Campaign, Coupon
from apps.core.guards import asked_once
from apps.identity.models import Advertiser
from apps.partners.models import Partner
from apps.tracking.models import Conversion


@pghistory.track()
class AttributionPolicy(models.Model):
    """How the conversions of a campaign are shared; what it says stands in its versions."""

    advertiser = models.ForeignKey(Advertiser, on_delete=models.PROTECT, related_name="policies")
    campaign = models.OneToOneField(Campaign, on_delete=models.PROTECT, related_name="attribution_policy")
    name = models.CharField(_("name"), max_length=120)

    class Meta:
        verbose_name = _("attribution policy")
        verbose_name_plural = _("attribution policies")

    def __str__(self) -> str:
        return self.name


class PolicyVersion(models.Model):
    """What a policy says from a moment on; the latest start at or before a conversion applies.

    `settings` is the `policy` object of the test bench's document. Never edited: a change is a new version.
    """

    advertiser = models.ForeignKey(Advertiser, on_delete=models.PROTECT, related_name="+")
    policy = models.ForeignKey(AttributionPolicy, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField(_("version"))
    starts_at = models.DateTimeField(_("starts"))
    settings = models.JSONField(_("settings"))
    created_at = models.DateTimeField(_("created"), db_default=Now())

    class Meta:
        verbose_name = _("policy version")
        verbose_name_plural = _("policy versions")
        ordering = ["-starts_at"]
        constraints = [
            models.UniqueConstraint(fields=["policy", "starts_at"], name="one_policy_version_per_start"),
            models.UniqueConstraint(fields=["policy", "number"], name="one_policy_version_per_number"),
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
        return f"{self.policy} v{self.number}"


class CouponPolicy(models.TextChoices):
    ALWAYS = "ALWAYS", _("The owner takes all, even without a click")
    IF_INVOLVED = "IF_INVOLVED", _("The owner takes all if it took part")
    IF_WINNER = "IF_WINNER", _("The code changes nothing; without any click its owner takes all")
    IF_WINNER_STRICT = "IF_WINNER_STRICT", _("The code changes nothing at all")
    SHARE = "SHARE", _("The owner first gets a percentage")


class CouponRule(models.Model):
    """What a code changes from a moment on, instead of what the campaign's policy says of codes; never edited."""

    advertiser = models.ForeignKey(Advertiser, on_delete=models.PROTECT, related_name="+")
    coupon = models.ForeignKey(Coupon, on_delete=models.PROTECT, related_name="rules")
    starts_at = models.DateTimeField(_("starts"))
    policy = models.CharField(_("policy"), max_length=20, choices=CouponPolicy)
    percent = models.DecimalField(_("percent"), max_digits=7, decimal_places=4, null=True, blank=True)
    created_at = models.DateTimeField(_("created"), db_default=Now())

    class Meta:
        verbose_name = _("coupon rule")
        verbose_name_plural = _("coupon rules")
        ordering = ["-starts_at"]
        constraints = [
            models.UniqueConstraint(fields=["coupon", "starts_at"], name="one_coupon_rule_per_start"),
            models.CheckConstraint(
                condition=models.Q(policy="SHARE", percent__gt=0, percent__lte=100)
                | (~models.Q(policy="SHARE") & models.Q(percent__isnull=True)),
                name="only_sharing_has_a_percentage",
            ),
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
        return f"{self.coupon} {self.policy}"


class ShareQuerySet(models.QuerySet["Share"]):
    def of_conversions(self, ids: list) -> ShareQuerySet:
        return self.filter(conversion_id__in=ids)


class Share(models.Model):
    """The part of a conversion that belongs to a partner, exactly `numerator / denominator`.

    The rows of a conversion sum to one, checked by the database on the very statement that
    writes them; a row without partner is the part that nobody is paid for.
    """

    # Written by the thousand, and never for a row that is not there: that the conversion exists is checked once a
    # statement (a conversion is never deleted); the other references follow from it and are proved by check_books (D8).
    advertiser = models.ForeignKey(
        Advertiser, on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False
    )
    conversion = models.ForeignKey(
        Conversion, on_delete=models.PROTECT, related_name="shares", db_constraint=False, db_index=False
    )
    partner = models.ForeignKey(
        Partner, on_delete=models.PROTECT, null=True, related_name="shares", db_constraint=False, db_index=False
    )
    numerator = models.DecimalField(max_digits=60, decimal_places=0)
    denominator = models.DecimalField(max_digits=60, decimal_places=0)
    revenue_minor = models.BigIntegerField(_("attributed revenue"))
    currency = models.CharField(_("currency"), max_length=3)
    policy_version = models.ForeignKey(
        PolicyVersion, on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False
    )
    touch_id = models.UUIDField(_("last counted touch"), null=True)
    ad_space_id = models.BigIntegerField(null=True)

    objects = ShareQuerySet.as_manager()

    class Meta:
        verbose_name = _("share")
        verbose_name_plural = _("shares")
        constraints = [
            models.UniqueConstraint(
                fields=["conversion", "partner"], nulls_distinct=False, name="one_share_per_partner"
            ),
            models.CheckConstraint(
                condition=models.Q(numerator__gt=0, denominator__gt=0)
                & models.Q(numerator__lte=models.F("denominator")),
                name="share_is_a_part",
            ),
        ]
        triggers = [
            asked_once(
                "shares_sum_to_one",
                """
                    IF EXISTS (
                        SELECT 1 FROM (SELECT DISTINCT conversion_id FROM new_rows) n
                        CROSS JOIN LATERAL (
                            SELECT sum(s.numerator) AS parts, min(s.denominator) AS low, max(s.denominator) AS high
                            FROM attribution_share s WHERE s.conversion_id = n.conversion_id
                        ) found
                        WHERE parts <> high OR low <> high
                    ) THEN
                        RAISE EXCEPTION 'shares of a conversion must sum to one' USING ERRCODE = 'check_violation';
                    END IF;
                    IF EXISTS (
                        SELECT 1 FROM (SELECT DISTINCT conversion_id, advertiser_id, currency FROM new_rows) n
                        LEFT JOIN LATERAL (
                            SELECT advertiser_id, currency FROM tracking_conversion WHERE id = n.conversion_id OFFSET 0
                        ) c ON true
                        WHERE (c.advertiser_id, c.currency) IS DISTINCT FROM (n.advertiser_id, n.currency)
                    ) THEN
                        RAISE EXCEPTION 'a share is of a conversion of its advertiser and currency'
                            USING ERRCODE = 'foreign_key_violation';
                    END IF;
                    RETURN NULL;
                """,
            ),
            pgtrigger.Protect(name="never_edited", operation=pgtrigger.Update),
        ]

    def __str__(self) -> str:
        return f"{self.numerator}/{self.denominator}"


def version_at(versions: list[PolicyVersion], moment: datetime) -> PolicyVersion | None:
    """Return the version whose start is the latest at or before a moment."""
    started = [version for version in versions if version.starts_at <= moment]
    return max(started, key=lambda version: version.starts_at, default=None)
