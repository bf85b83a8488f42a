"""What an open conversion came to before it was worked out anew."""

from __future__ import annotations

import pgtrigger
from django.db import models
from django.utils.translation import gettext_lazy as _

from apps.commissions.models.references import of_its_conversion
from apps.identity.models import Advertiser
from apps.tracking.models import Conversion


class Superseded(models.Model):
    """A result of an open conversion that another one has replaced; kept as it stood, never changed.

    `earned` holds a row per commission and correction: partner, amount in minor units, and of a commission the share as
    a fraction. `sha256` is the replaced receipt's.
    """

    advertiser = models.ForeignKey(
        Advertiser, on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False
    )
    conversion = models.ForeignKey(Conversion, on_delete=models.PROTECT, related_name="superseded", db_constraint=False)
    settled_at = models.DateTimeField(_("worked out"))
    replaced_at = models.DateTimeField(_("replaced"))
    total_minor = models.BigIntegerField(_("commission"))
    currency = models.CharField(_("currency"), max_length=3)
    earned = models.JSONField(_("earned"))
    sha256 = models.CharField(_("SHA-256"), max_length=64)

    class Meta:
        verbose_name = _("superseded result")
        verbose_name_plural = _("superseded results")
        ordering = ["pk"]
        triggers = [
            pgtrigger.Protect(name="append_only", operation=pgtrigger.Update | pgtrigger.Delete),
            of_its_conversion("advertiser_id", "currency")[0],
        ]

    def __str__(self) -> str:
        return f"{self.conversion_id} {self.total_minor} {self.currency}"
