"""What a campaign holds back for a person to look at, and the partners whose conversions wait."""

from __future__ import annotations

import pgtrigger
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from apps.campaigns.models import Campaign
from apps.identity.models import Advertiser
from apps.partners.models import Partner


class HoldPolicy(models.Model):
    """A campaign's hold rules from a moment on: the latest start before a conversion's recording holds."""

    advertiser = models.ForeignKey(Advertiser, on_delete=models.PROTECT, related_name="+")
    campaign = models.ForeignKey(Campaign, on_delete=models.PROTECT, related_name="hold_policies")
    starts_at = models.DateTimeField(_("starts"))
    under_review = models.BooleanField(_("partners under review"), default=True)
    too_fast_seconds = models.PositiveIntegerField(_("seconds after the click at least"), null=True, blank=True)
    unowned_code = models.BooleanField(_("codes whose owner has no touch"), default=False)
    untrusted_door = models.BooleanField(_("told without a signature"), default=False)
    first_sale_above_minor = models.BigIntegerField(_("a partner's first sale above"), null=True, blank=True)
    created_at = models.DateTimeField(_("created"), db_default=Now())

    class Meta:
        verbose_name = _("hold policy")
        verbose_name_plural = _("hold policies")
        ordering = ["-starts_at"]
        constraints = [models.UniqueConstraint(fields=["campaign", "starts_at"], name="one_hold_policy_per_start")]
        triggers = [pgtrigger.Protect(name="append_only", operation=pgtrigger.Update | pgtrigger.Delete)]

    def __str__(self) -> str:
        return f"{self.campaign} {self.starts_at:%Y-%m-%d}"


class PartnerReview(models.Model):
    """A time in which a partner is looked at: its new conversions wait on hold. Open while it has no end."""

    advertiser = models.ForeignKey(Advertiser, on_delete=models.PROTECT, related_name="+")
    partner = models.ForeignKey(Partner, on_delete=models.PROTECT, related_name="+")
    reason = models.CharField(_("reason"), max_length=300)
    since = models.DateTimeField(_("since"))
    until = models.DateTimeField(_("until"), null=True, blank=True)

    class Meta:
        verbose_name = _("partner review")
        verbose_name_plural = _("partner reviews")
        constraints = [
            models.UniqueConstraint(
                fields=["advertiser", "partner"], condition=models.Q(until=None), name="one_open_review_per_partner"
            ),
            models.CheckConstraint(condition=~models.Q(reason=""), name="review_has_a_reason"),
        ]

    def __str__(self) -> str:
        return f"{self.partner} {self.since:%Y-%m-%d}"
