"""Contacts of visitors on the way to a sale."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from apps.identity.models import Advertiser


class TouchKind(models.TextChoices):
    CLICK = "CLICK", _("Click")
    SOFT_CLICK = "SOFT_CLICK", _("Soft click")
    VIEW = "VIEW", _("View")
    COUPON = "COUPON", _("Coupon link")
    VISIT = "VISIT", _("Visit")
    CALL = "CALL", _("Call")
    STORE = "STORE", _("Store")
    EXTERNAL = "EXTERNAL", _("External")
    MANUAL = "MANUAL", _("Accepted claim")
    GOAL = "GOAL", _("Goal")


class ChannelClass(models.TextChoices):
    PAID = "PAID", _("Paid")
    OWNED = "OWNED", _("Owned")
    EARNED = "EARNED", _("Earned")


class Touchpoint(models.Model):
    """A contact of a visitor on the way to a sale.

    The table is partitioned by month on the time-ordered id (D5); nothing references it by
    foreign key, and it references nothing, so that a month can be dropped. Ids are made by the
    application: at random for live touches, from the source's own id for imported ones.
    """

    id = models.UUIDField(primary_key=True)
    advertiser = models.ForeignKey(
        Advertiser, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    campaign_id = models.BigIntegerField(null=True)
    partner_id = models.BigIntegerField(null=True)
    ad_space_id = models.BigIntegerField(null=True)
    link_id = models.BigIntegerField(null=True)
    visitor = models.UUIDField()
    occurred_at = models.DateTimeField(_("happened"))
    recorded_at = models.DateTimeField(_("recorded"))
    kind = models.CharField(_("kind"), max_length=12, choices=TouchKind)
    channel = models.CharField(_("channel"), max_length=60)
    channel_class = models.CharField(_("channel class"), max_length=6, choices=ChannelClass, default=ChannelClass.PAID)
    goal = models.CharField(_("goal"), max_length=40, blank=True, default="")
    refusal = models.CharField(
        _("does not count"),
        max_length=20,
        blank=True,
        default="",
        help_text=_("Why the touch cannot count from its first moment (bot, prefetch, …)."),
    )
    country = models.CharField(_("country"), max_length=2, blank=True, default="")
    device = models.CharField(_("device"), max_length=10, blank=True, default="")
    sub1 = models.CharField(max_length=500, blank=True, default="")
    sub2 = models.CharField(max_length=500, blank=True, default="")
    sub3 = models.CharField(max_length=500, blank=True, default="")
    sub4 = models.CharField(max_length=500, blank=True, default="")
    sub5 = models.CharField(max_length=500, blank=True, default="")

    class Meta:
        verbose_name = _("touchpoint")
        verbose_name_plural = _("touchpoints")
        indexes = [
            models.Index(fields=["advertiser", "visitor", "id"], name="touches_of_visitor"),
            models.Index(fields=["partner_id", "id"], name="touches_of_partner"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"
