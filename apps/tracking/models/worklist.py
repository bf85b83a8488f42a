"""What waits to be settled."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils.translation import gettext_lazy as _

from apps.identity.models import Advertiser
from apps.tracking.models.conversions import Conversion


class Stirred(models.Model):
    """A mark that visitors got touches, persons and keys changed, or firsts were rejected, by whoever did it.

    The sweep reads the mark once it is committed, and wakes the conversions that were stored and settled meanwhile;
    those of visitors and persons that were there before are woken by the mark's own transaction. `since` bounds
    visitors' conversions, and is None where there are none. `firsts` are conversions that others may have repeated.
    """

    ERASED_BY = {"visitors": "apps.tracking.sweeping.wake_stirred"}

    advertiser = models.ForeignKey(Advertiser, on_delete=models.PROTECT, related_name="+")
    visitors = ArrayField(models.UUIDField(), default=list)
    since = models.DateTimeField(null=True)
    persons = ArrayField(models.UUIDField(), default=list)
    keys = ArrayField(models.BigIntegerField(), default=list)
    firsts = ArrayField(models.UUIDField(), default=list, db_default=[])

    class Meta:
        verbose_name = _("stirred visitors and persons")
        verbose_name_plural = _("stirred visitors and persons")

    def __str__(self) -> str:
        return str(self.pk)


class KeptJourney(models.Model):
    """A conversion whose customer is erased: while it is open it keeps the touches that it was shared by."""

    conversion = models.OneToOneField(
        Conversion, on_delete=models.PROTECT, primary_key=True, related_name="kept_journey"
    )
    advertiser = models.ForeignKey(Advertiser, on_delete=models.PROTECT, related_name="+")

    class Meta:
        verbose_name = _("kept journey")
        verbose_name_plural = _("kept journeys")

    def __str__(self) -> str:
        return str(self.conversion_id)


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
