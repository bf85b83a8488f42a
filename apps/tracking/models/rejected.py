"""Calls that could not become facts."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from apps.campaigns.models import Campaign
from apps.identity.models import Advertiser


class RejectedEvent(models.Model):
    """A call that could not become a fact, kept with its code for the shop's developer to see."""

    advertiser = models.ForeignKey(Advertiser, on_delete=models.CASCADE, null=True, related_name="rejected_events")
    campaign = models.ForeignKey(Campaign, on_delete=models.CASCADE, null=True, related_name="rejected_events")
    at = models.DateTimeField(_("at"))
    door = models.CharField(_("door"), max_length=20)
    code = models.CharField(_("code"), max_length=60)
    message = models.CharField(_("message"), max_length=300)
    payload = models.JSONField(_("payload"), default=dict)

    class Meta:
        verbose_name = _("refused call")
        verbose_name_plural = _("refused calls")
        indexes = [models.Index(fields=["advertiser", "-at"], name="rejected_by_time")]

    def __str__(self) -> str:
        return f"{self.code} {self.at}"
