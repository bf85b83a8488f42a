"""Who came, clicked and bought: persons without personal data, and the keys that say which visitors are one."""

from __future__ import annotations

import uuid

import pgtrigger
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils.translation import gettext_lazy as _

from apps.identity.models import Advertiser
from apps.tracking.models.conversions import Conversion


class KeyKind(models.TextChoices):
    VISITOR = "VISITOR", _("Visitor")
    CUSTOMER = "CUSTOMER", _("Customer number")
    EMAIL = "EMAIL", _("E-mail hash")
    DEVICE = "DEVICE", _("Device")


class Person(models.Model):
    """Somebody, of whom nothing is known but a random id; what is known stands in keys that can be deleted."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    advertiser = models.ForeignKey(Advertiser, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField()
    erased_at = models.DateTimeField(_("erased"), null=True)

    class Meta:
        verbose_name = _("person")
        verbose_name_plural = _("persons")

    def __str__(self) -> str:
        return str(self.pk)


class IdentityKey(models.Model):
    """A name under which a person is met: a visitor's id as it is, all else as a keyed hash.

    `person` is the connected part of the graph that the key lies in; a shared key lies in none.
    """

    ERASED_BY = {"value": "apps.tracking.forgetting.forget_person"}

    advertiser = models.ForeignKey(Advertiser, on_delete=models.PROTECT, related_name="+")
    kind = models.CharField(_("kind"), max_length=8, choices=KeyKind)
    value = models.UUIDField()
    person = models.ForeignKey(Person, on_delete=models.PROTECT, null=True, related_name="keys", db_index=False)
    first_seen_at = models.DateTimeField(_("first seen"))
    shared_at = models.DateTimeField(_("shared since"), null=True)

    class Meta:
        verbose_name = _("identity key")
        verbose_name_plural = _("identity keys")
        indexes = [
            models.Index(fields=["person"], condition=models.Q(person__isnull=False), name="keys_of_person"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["advertiser", "kind", "value"], name="one_key_per_value"),
            models.CheckConstraint(
                condition=models.Q(person__isnull=True) | models.Q(shared_at__isnull=True),
                name="shared_keys_join_nobody",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.pk}"


class IdentityLink(models.Model):
    """Two keys that were seen together; severed, where somebody has said that they are not the same person's."""

    advertiser = models.ForeignKey(Advertiser, on_delete=models.PROTECT, related_name="+")
    low = models.ForeignKey(IdentityKey, on_delete=models.CASCADE, related_name="+", db_index=False)
    high = models.ForeignKey(IdentityKey, on_delete=models.CASCADE, related_name="+")
    first_seen_at = models.DateTimeField(_("first seen"))
    severed_at = models.DateTimeField(_("severed"), null=True)

    class Meta:
        verbose_name = _("link of keys")
        verbose_name_plural = _("links of keys")
        constraints = [
            models.UniqueConstraint(fields=["low", "high"], name="one_link_per_pair"),
            models.CheckConstraint(condition=models.Q(low__lt=models.F("high")), name="links_are_in_order"),
        ]

    def __str__(self) -> str:
        return f"{self.low_id}-{self.high_id}"


class Merge(models.Model):
    """Two persons found to be one: which into which, by which key; `moved` are the absorbed one's keys.

    Undone by somebody (`undone_by`), or because the key has turned out to be shared.
    """

    ERASED_BY = {"key": "apps.tracking.forgetting.forget_person"}

    advertiser = models.ForeignKey(Advertiser, on_delete=models.PROTECT, related_name="+")
    survivor = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="merges")
    absorbed = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="merged_into")
    key = models.ForeignKey(IdentityKey, on_delete=models.SET_NULL, null=True, related_name="merges")
    kind = models.CharField(_("joined by"), max_length=8, choices=KeyKind)
    moved = ArrayField(models.BigIntegerField())
    at = models.DateTimeField(_("at"))
    undone_at = models.DateTimeField(_("undone"), null=True)
    undone_by = models.CharField(_("undone by"), max_length=200, blank=True, default="")

    class Meta:
        verbose_name = _("merge")
        verbose_name_plural = _("merges")
        constraints = [
            models.CheckConstraint(
                condition=~models.Q(survivor=models.F("absorbed")), name="a_person_merges_with_another"
            ),
            models.CheckConstraint(
                condition=models.Q(undone_at__isnull=False) | models.Q(undone_by=""), name="who_undid_has_a_date"
            ),
        ]
        triggers = [pgtrigger.Protect(name="stays", operation=pgtrigger.Delete)]

    def __str__(self) -> str:
        return f"{self.absorbed_id} into {self.survivor_id}"


class Sighting(models.Model):
    """A key that a conversion came with; once the customer is erased, only that there was one."""

    ERASED_BY = {"key": "apps.tracking.forgetting.forget_person"}

    advertiser = models.ForeignKey(Advertiser, on_delete=models.PROTECT, related_name="+")
    conversion = models.ForeignKey(Conversion, on_delete=models.PROTECT, related_name="sightings", db_index=False)
    kind = models.CharField(max_length=8, choices=KeyKind)
    key = models.ForeignKey(IdentityKey, on_delete=models.SET_NULL, null=True, related_name="sightings")

    class Meta:
        verbose_name = _("sighting")
        verbose_name_plural = _("sightings")
        constraints = [models.UniqueConstraint(fields=["conversion", "kind"], name="one_sighting_per_kind")]

    def __str__(self) -> str:
        return f"{self.conversion_id} {self.kind}"


class StandingReason(models.TextChoices):
    FIRST_ORDER = "first_order", _("no earlier order of this person is known")
    EARLIER_ORDER = "earlier_order", _("an earlier order of this person is known")
    NEW_ONCE = "new_once", _("another order of this person has counted as the first one")


class CustomerStanding(models.Model):
    """Whether the customer was new, where the shop did not say: decided once, when the conversion was stored."""

    conversion = models.OneToOneField(Conversion, on_delete=models.PROTECT, primary_key=True, related_name="standing")
    advertiser = models.ForeignKey(Advertiser, on_delete=models.PROTECT, related_name="+")
    is_new = models.BooleanField(_("new customer"))
    reason = models.CharField(_("because"), max_length=20, choices=StandingReason)
    decided_at = models.DateTimeField()

    class Meta:
        verbose_name = _("customer's standing")
        verbose_name_plural = _("customers' standings")
        triggers = [pgtrigger.Protect(name="append_only", operation=pgtrigger.Update | pgtrigger.Delete)]

    def __str__(self) -> str:
        return self.reason
