"""What a client sent along with a fact, kept apart from it and not for long."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from apps.identity.models import Advertiser


class ClientData(models.Model):
    """What came with a click or a conversion, by the fact's own id: browser, network, referrer, the call's fields.

    The table is partitioned by day on the time-ordered id; a day is dropped after 30 days.
    """

    ERASED_BY = {
        name: "apps.tracking.forgetting.forget_person" for name in ("user_agent", "address", "referrer", "payload")
    }

    id = models.UUIDField(primary_key=True)
    advertiser = models.ForeignKey(
        Advertiser, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    user_agent = models.CharField(_("browser"), max_length=500, blank=True, default="")
    address = models.CharField(
        _("network"), max_length=43, blank=True, default="", help_text=_("The address cut to /24 or /48.")
    )
    referrer = models.CharField(_("referrer"), max_length=1000, blank=True, default="")
    payload = models.JSONField(_("fields of the call"), null=True)

    class Meta:
        verbose_name = _("client data")
        verbose_name_plural = _("client data")

    def __str__(self) -> str:
        return str(self.pk)
