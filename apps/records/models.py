"""The paper trail."""

from __future__ import annotations

import hashlib

import pgtrigger
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from apps.identity.models import Advertiser


class AuditEntry(models.Model):
    """Who did what to which thing; written in the transaction of the act, never changed."""

    advertiser = models.ForeignKey(Advertiser, on_delete=models.PROTECT, null=True, related_name="+")
    at = models.DateTimeField(_("at"), db_default=Now())
    actor_kind = models.CharField(_("kind of actor"), max_length=10)
    actor_id = models.CharField(_("actor id"), max_length=64)
    actor_name = models.CharField(_("actor"), max_length=200)
    verb = models.CharField(_("did"), max_length=60)
    subject = models.CharField(_("to"), max_length=120)
    details = models.JSONField(_("details"), default=dict)

    class Meta:
        verbose_name = _("audit entry")
        verbose_name_plural = _("audit log")
        indexes = [models.Index(fields=["advertiser", "-at"], name="audit_by_time")]
        triggers = [pgtrigger.Protect(name="append_only", operation=pgtrigger.Update | pgtrigger.Delete)]

    def __str__(self) -> str:
        return f"{self.actor_name} {self.verb} {self.subject}"


class JobState(models.TextChoices):
    RUNNING = "RUNNING", _("running")
    DONE = "DONE", _("done")
    FAILED = "FAILED", _("failed")


class Job(models.Model):
    """A long piece of work that people watch: how far it is, and what came of it."""

    advertiser = models.ForeignKey(Advertiser, on_delete=models.CASCADE, null=True, related_name="jobs")
    kind = models.CharField(_("kind"), max_length=40)
    key = models.CharField(_("key"), max_length=200, help_text=_("The same work asked for twice is one job."))
    state = models.CharField(_("state"), max_length=10, choices=JobState, default=JobState.RUNNING)
    done = models.PositiveBigIntegerField(_("done"), default=0)
    total = models.PositiveBigIntegerField(_("of"), default=0)
    result = models.JSONField(_("result"), default=dict)
    error = models.TextField(_("error"), blank=True)
    started_at = models.DateTimeField(_("started"), db_default=Now())
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)

    class Meta:
        verbose_name = _("job")
        verbose_name_plural = _("jobs")
        indexes = [models.Index(fields=["advertiser", "-started_at"], name="jobs_by_time")]

    def __str__(self) -> str:
        return f"{self.kind} {self.key}"


class Document(models.Model):
    """The bytes of a file that left or may leave the house, with their hash; never changed."""

    advertiser = models.ForeignKey(Advertiser, on_delete=models.PROTECT, related_name="documents")
    name = models.CharField(_("file name"), max_length=200)
    media_type = models.CharField(_("media type"), max_length=100)
    content = models.BinaryField(_("content"))
    sha256 = models.CharField(_("SHA-256"), max_length=64)
    created_at = models.DateTimeField(_("created"), db_default=Now())

    class Meta:
        verbose_name = _("document")
        verbose_name_plural = _("documents")
        triggers = [pgtrigger.Protect(name="append_only", operation=pgtrigger.Update | pgtrigger.Delete)]

    def __str__(self) -> str:
        return self.name

    def save(self, *args: object, **kwargs: object) -> None:
        self.sha256 = hashlib.sha256(bytes(self.content)).hexdigest()
        super().save(*args, **kwargs)  # type: ignore[arg-type]


class IdempotencyKey(models.Model):
    """What a machine's call with an `Idempotency-Key` was answered: the same key and body get it again."""

    advertiser = models.ForeignKey(Advertiser, on_delete=models.CASCADE, related_name="+")
    key = models.CharField(_("key"), max_length=255)
    request_hash = models.CharField(_("request hash"), max_length=64)
    status = models.PositiveSmallIntegerField(_("status"), null=True)
    body = models.JSONField(_("answer"), null=True)
    created_at = models.DateTimeField(_("created"), db_default=Now())

    class Meta:
        verbose_name = _("idempotency key")
        verbose_name_plural = _("idempotency keys")
        constraints = [models.UniqueConstraint(fields=["advertiser", "key"], name="one_answer_per_key")]

    def __str__(self) -> str:
        return self.key
