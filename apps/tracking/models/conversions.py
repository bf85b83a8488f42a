"""Sales, leads and other goals that happened, and what was sold."""

from __future__ import annotations

from typing import ClassVar

import pgtrigger
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.utils.translation import gettext_lazy as _

from apps.campaigns.models import Campaign
from apps.identity.models import Advertiser


class ConversionQuerySet(models.QuerySet["Conversion"]):
    def for_advertiser(self, advertiser: Advertiser) -> ConversionQuerySet:
        return self.filter(advertiser=advertiser)


class Conversion(models.Model):
    """A sale, lead or other goal that happened: a fact without status.

    Amounts are net of VAT and shipping in minor units; `amount_minor` is after, `discount_minor`
    is the order discount itself. Writing a row puts it on the work list in the same statement.
    """

    id = models.UUIDField(primary_key=True)
    advertiser = models.ForeignKey(Advertiser, on_delete=models.PROTECT, related_name="conversions")
    campaign = models.ForeignKey(Campaign, on_delete=models.PROTECT, related_name="conversions")
    goal = models.CharField(_("goal"), max_length=40, default="SALE")
    order_ref = models.CharField(_("order number"), max_length=120)
    occurred_at = models.DateTimeField(_("happened"))
    recorded_at = models.DateTimeField(_("recorded"))
    amount_minor = models.BigIntegerField(_("amount"))
    discount_minor = models.BigIntegerField(_("discount"), default=0)
    currency = models.CharField(_("currency"), max_length=3)
    visitor = models.UUIDField(null=True)
    click_ids = ArrayField(models.UUIDField(), default=list)
    coupons = ArrayField(models.CharField(max_length=80), default=list)
    new_customer = models.BooleanField(_("new customer"), null=True)
    country = models.CharField(_("country"), max_length=2, blank=True, default="")
    device = models.CharField(_("device"), max_length=10, blank=True, default="")
    is_test = models.BooleanField(_("test"), default=False)
    source = models.CharField(_("source"), max_length=20, default="api")
    content_hash = models.CharField(max_length=64, help_text=_("Tells an exact repeat from other content."))

    objects = ConversionQuerySet.as_manager()

    class Meta:
        verbose_name = _("conversion")
        verbose_name_plural = _("conversions")
        indexes = [
            models.Index(fields=["advertiser", "-occurred_at"], name="conversions_by_time"),
            models.Index(fields=["campaign", "-occurred_at"], name="conversions_of_campaign"),
            models.Index(fields=["visitor"], condition=models.Q(visitor__isnull=False), name="conversions_of_visitor"),
            GinIndex(fields=["click_ids"], condition=~models.Q(click_ids=[]), name="conversions_of_click"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["advertiser", "goal", "order_ref"], name="one_conversion_per_order"),
            models.CheckConstraint(
                condition=models.Q(amount_minor__gte=0, discount_minor__gte=0), name="conversion_is_not_negative"
            ),
        ]
        triggers: ClassVar = [
            pgtrigger.Protect(name="append_only", operation=pgtrigger.Update | pgtrigger.Delete),
            pgtrigger.Trigger(
                name="put_on_work_list",
                when=pgtrigger.After,
                operation=pgtrigger.Insert,
                func=(
                    "INSERT INTO tracking_unsettled (conversion_id, advertiser_id, attempts, last_error, marked_at) "
                    "VALUES (NEW.id, NEW.advertiser_id, 0, '', NEW.recorded_at); RETURN NEW;"
                ),
            ),
        ]

    def __str__(self) -> str:
        return self.order_ref


class ConversionLine(models.Model):
    """A basket position; `unit_price_minor` is gross of the order discount."""

    advertiser = models.ForeignKey(Advertiser, on_delete=models.PROTECT, related_name="+")
    conversion = models.ForeignKey(Conversion, on_delete=models.PROTECT, related_name="lines")
    position = models.PositiveSmallIntegerField()
    sku = models.CharField(_("SKU"), max_length=120, blank=True)
    name = models.CharField(_("name"), max_length=200, blank=True)
    category = models.CharField(_("tracking category"), max_length=60, default="DEFAULT")
    shop_category = models.CharField(_("shop category"), max_length=120, blank=True)
    quantity = models.PositiveIntegerField(_("quantity"), default=1)
    unit_price_minor = models.BigIntegerField(_("unit price"))

    class Meta:
        verbose_name = _("line")
        verbose_name_plural = _("lines")
        constraints = [models.UniqueConstraint(fields=["conversion", "position"], name="one_line_per_position")]
        triggers = [pgtrigger.Protect(name="append_only", operation=pgtrigger.Update | pgtrigger.Delete)]

    def __str__(self) -> str:
        return self.sku or self.category
