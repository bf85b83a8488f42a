"""Conversions that are duplicates of others by their campaign's scope: kept, linked to the first, not paid."""

from __future__ import annotations

import pgtrigger
from django.db import models
from django.utils.translation import gettext_lazy as _

from apps.campaigns.models import Campaign, DedupScope
from apps.identity.models import Advertiser
from apps.tracking.models.conversions import Conversion

APPEND_ONLY = pgtrigger.Protect(name="append_only", operation=pgtrigger.Update | pgtrigger.Delete)
KEPT_UNTIL_LIFTED = """
IF NOT EXISTS (
    SELECT 1 FROM tracking_liftedduplicate l
    WHERE l.conversion_id = OLD.conversion_id AND l.original_id = OLD.original_id
) THEN
    RAISE EXCEPTION 'The verdict on conversion % is not lifted', OLD.conversion_id;
END IF;
RETURN OLD;
"""


class FirstOfScope(models.Model):
    """A conversion that is the first under a key of its campaign's scope: a click, or a customer with a goal.

    Decided once, when it is settled; what comes later is compared with it.
    """

    advertiser = models.ForeignKey(Advertiser, on_delete=models.PROTECT, related_name="+")
    campaign = models.ForeignKey(Campaign, on_delete=models.PROTECT, related_name="+", db_index=False)
    conversion = models.ForeignKey(Conversion, on_delete=models.PROTECT, related_name="first_of")
    key = models.CharField(max_length=100)
    occurred_at = models.DateTimeField()

    class Meta:
        verbose_name = _("first of its scope")
        verbose_name_plural = _("firsts of their scope")
        constraints = [models.UniqueConstraint(fields=["campaign", "key", "conversion"], name="one_first_per_key")]
        triggers = [APPEND_ONLY]

    def __str__(self) -> str:
        return f"{self.conversion_id} {self.key}"


class Duplicate(models.Model):
    """A conversion that repeats another one: which, and by which scope. Not paid while the verdict stands.

    Decided once; it is lifted only where the other one is rejected while this one is open, and then judged again.
    """

    advertiser = models.ForeignKey(Advertiser, on_delete=models.PROTECT, related_name="+")
    conversion = models.OneToOneField(Conversion, on_delete=models.PROTECT, primary_key=True, related_name="duplicate")
    original = models.ForeignKey(Conversion, on_delete=models.PROTECT, related_name="duplicates")
    scope = models.CharField(_("scope"), max_length=13, choices=DedupScope)
    recorded_at = models.DateTimeField(_("recorded"))

    class Meta:
        verbose_name = _("duplicate")
        verbose_name_plural = _("duplicates")
        constraints = [
            models.CheckConstraint(
                condition=~models.Q(conversion=models.F("original")), name="nothing_is_its_own_duplicate"
            )
        ]
        triggers = [
            pgtrigger.Protect(name="never_edited", operation=pgtrigger.Update),
            pgtrigger.Trigger(
                name="kept_until_lifted", when=pgtrigger.Before, operation=pgtrigger.Delete, func=KEPT_UNTIL_LIFTED
            ),
        ]

    def __str__(self) -> str:
        return f"{self.conversion_id} of {self.original_id}"


class LiftedDuplicate(models.Model):
    """A verdict that stood until the first conversion was rejected: what was judged, when, and when it was lifted."""

    advertiser = models.ForeignKey(Advertiser, on_delete=models.PROTECT, related_name="+")
    conversion = models.ForeignKey(
        Conversion, on_delete=models.PROTECT, related_name="lifted_duplicates", db_index=False
    )
    original = models.ForeignKey(Conversion, on_delete=models.PROTECT, related_name="+", db_index=False)
    scope = models.CharField(_("scope"), max_length=13, choices=DedupScope)
    recorded_at = models.DateTimeField(_("recorded"))
    lifted_at = models.DateTimeField(_("lifted"))

    class Meta:
        verbose_name = _("lifted duplicate")
        verbose_name_plural = _("lifted duplicates")
        constraints = [models.UniqueConstraint(fields=["conversion", "original"], name="a_verdict_is_lifted_once")]
        triggers = [APPEND_ONLY]

    def __str__(self) -> str:
        return f"{self.conversion_id} of {self.original_id}"
