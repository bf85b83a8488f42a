"""What waits to be settled."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from apps.identity.models import Advertiser
from apps.tracking.models.conversions import Conversion


class Unsettled(models.Model):
    """The work list of settling: written by the statement that writes a conversion, deleted with the result."""

    conversion = models.OneToOneField(Conversion, on_delete=models.PROTECT, primary_key=True, related_name="unsettled")
    advertiser = models.ForeignKey(Advertiser, on_delete=models.PROTECT, related_name="+")
    attempts = models.PositiveSmallIntegerField(default=0)
    last_error = models.TextField(blank=True, default="")
    marked_at = models.DateTimeField()
    parked_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = _("unsettled conversion")
        verbose_name_plural = _("unsettled conversions")
        indexes = [
            models.Index(fields=["marked_at"], condition=models.Q(parked_at__isnull=True), name="unsettled_waiting")
        ]

    def __str__(self) -> str:
        return str(self.conversion_id)
