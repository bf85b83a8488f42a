"""What a campaign pays: plans, their versions and rules, and whom they hold for."""

from __future__ import annotations

import pghistory
import pgtrigger
from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import DateTimeRangeField, RangeOperators
from django.db import models
from django.db.models.functions import Coalesce, Now
from django.utils.translation import gettext_lazy as _

from apps.campaigns.models import Campaign, Coupon
from apps.identity.models import Advertiser
from apps.partners.models import AdSpace, Partner, PartnerGroup


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
