"""What leaves the house, and every try to deliver it."""

from __future__ import annotations

from typing import ClassVar

import pgtrigger
from django.db import models
from django.utils.translation import gettext_lazy as _

from apps.core.ids import uuid7
from apps.identity.models import Advertiser

STATE_FIELDS = ["attempts", "due_at", "last_error", "sent_at", "parked_at"]


class OutboxQuerySet(models.QuerySet["Outbox"]):
    def for_advertiser(self, advertiser: Advertiser) -> OutboxQuerySet:
        return self.filter(advertiser=advertiser)

    def waiting(self) -> OutboxQuerySet:
        return self.filter(sent_at=None, parked_at=None)

    def parked(self) -> OutboxQuerySet:
        return self.filter(parked_at__isnull=False)

    def sent(self) -> OutboxQuerySet:
        return self.filter(sent_at__isnull=False)


class Outbox(models.Model):
    """A message that leaves, written in the transaction of its cause and delivered at least once.

    `uid` is what the receiver knows it by, however often it comes; `cause` makes it one message however often its
    cause runs; messages of one `subject` leave in their order. `kind` names what delivers it.
    """

    uid = models.UUIDField(unique=True)
    advertiser = models.ForeignKey(Advertiser, on_delete=models.PROTECT, null=True, related_name="+")
    kind = models.CharField(_("kind"), max_length=40)
    cause = models.CharField(_("cause"), max_length=200)
    subject = models.CharField(_("about"), max_length=200)
    address = models.CharField(_("to"), max_length=500)
    payload = models.JSONField(_("content"), default=dict)
    created_at = models.DateTimeField(_("written"))
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    due_at = models.DateTimeField(_("next attempt"))
    last_error = models.TextField(_("last error"), blank=True, default="")
    sent_at = models.DateTimeField(_("sent"), null=True)
    parked_at = models.DateTimeField(_("parked"), null=True)

    objects = OutboxQuerySet.as_manager()

    class Meta:
        verbose_name = _("message")
        verbose_name_plural = _("messages")
        indexes = [
            models.Index(fields=["due_at"], condition=models.Q(sent_at=None, parked_at=None), name="outbox_waiting"),
            models.Index(
                fields=["subject", "id"], condition=models.Q(sent_at=None, parked_at=None), name="outbox_in_order"
            ),
            models.Index(fields=["advertiser", "-id"], name="outbox_of_advertiser"),
        ]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["kind", "cause"], name="one_message_per_cause"),
            models.CheckConstraint(
                condition=models.Q(sent_at=None) | models.Q(parked_at=None), name="sent_is_not_parked"
            ),
        ]
        triggers: ClassVar = [pgtrigger.ReadOnly(name="content_never_changes", exclude=STATE_FIELDS)]

    def __str__(self) -> str:
        return f"{self.kind} to {self.address}"

    def save(self, *args: object, **kwargs: object) -> None:
        if self.uid is None:
            self.uid = uuid7(self.created_at)
        super().save(*args, **kwargs)  # type: ignore[arg-type]


class AttemptOutcome(models.TextChoices):
    BEGUN = "BEGUN", _("begun")
    SENT = "SENT", _("sent")
    FAILED = "FAILED", _("failed")


class Attempt(models.Model):
    """A step of a delivery: begun, then sent or failed; begun alone means that the worker died in it."""

    advertiser = models.ForeignKey(Advertiser, on_delete=models.PROTECT, null=True, related_name="+")
    message = models.ForeignKey(Outbox, on_delete=models.CASCADE, related_name="log")
    number = models.PositiveSmallIntegerField(_("attempt"))
    at = models.DateTimeField(_("at"))
    outcome = models.CharField(_("outcome"), max_length=6, choices=AttemptOutcome)
    error = models.TextField(_("error"), blank=True, default="")

    class Meta:
        verbose_name = _("attempt")
        verbose_name_plural = _("attempts")
        triggers: ClassVar = [pgtrigger.Protect(name="never_changed", operation=pgtrigger.Update)]

    def __str__(self) -> str:
        return f"{self.message_id} #{self.number} {self.outcome}"
