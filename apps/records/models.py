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
    DRAFT = "DRAFT", _("waits for its go")
    WAITING = "WAITING", _("waiting")
    RUNNING = "RUNNING", _("running")
    DONE = "DONE", _("done")
    FAILED = "FAILED", _("failed")
    CANCELLED = "CANCELLED", _("cancelled")


class JobQuerySet(models.QuerySet["Job"]):
    def for_advertiser(self, advertiser: Advertiser) -> JobQuerySet:
        return self.filter(advertiser=advertiser)

    def unfinished(self) -> JobQuerySet:
        return self.filter(state__in=[JobState.WAITING, JobState.RUNNING])


class Job(models.Model):
    """A long piece of work that people watch: how far it is, and what came of it.

    Work that resumes keeps what was asked in `content` (never changed) as of the moment `as_of`, and in `place` how
    far it came; the place moves in the transaction of each chunk's effect, so that a kill anywhere loses nothing.
    """

    advertiser = models.ForeignKey(Advertiser, on_delete=models.CASCADE, null=True, related_name="jobs")
    kind = models.CharField(_("kind"), max_length=40)
    key = models.CharField(_("key"), max_length=200, help_text=_("The same work asked for twice is one job."))
    state = models.CharField(_("state"), max_length=10, choices=JobState, default=JobState.RUNNING)
    done = models.PositiveBigIntegerField(_("done"), default=0)
    total = models.PositiveBigIntegerField(_("of"), default=0)
    moved = models.PositiveBigIntegerField(_("took effect"), default=0)
    refused = models.PositiveBigIntegerField(_("refused"), default=0)
    content = models.JSONField(_("what was asked"), default=dict)
    as_of = models.DateTimeField(_("as of"), null=True)
    place = models.CharField(_("place"), max_length=64, blank=True, default="")
    attempts = models.PositiveSmallIntegerField(_("tries without progress"), default=0)
    actor_kind = models.CharField(_("kind of actor"), max_length=10, blank=True, default="")
    actor_id = models.CharField(_("actor id"), max_length=64, blank=True, default="")
    actor_name = models.CharField(_("actor"), max_length=200, blank=True, default="")
    result = models.JSONField(_("result"), default=dict)
    error = models.TextField(_("error"), blank=True)
    started_at = models.DateTimeField(_("started"), db_default=Now())
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)

    objects = JobQuerySet.as_manager()

    class Meta:
        verbose_name = _("job")
        verbose_name_plural = _("jobs")
        indexes = [
            models.Index(fields=["advertiser", "-started_at"], name="jobs_by_time"),
            models.Index(fields=["kind"], condition=models.Q(state__in=["WAITING", "RUNNING"]), name="jobs_unfinished"),
        ]
        constraints = [models.UniqueConstraint(fields=["advertiser", "kind", "key"], name="one_job_per_key")]
        triggers = [
            pgtrigger.ReadOnly(
                name="asked_once", fields=["advertiser", "kind", "key", "content", "as_of", "actor_kind", "actor_id"]
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.key}"

    @property
    def is_over(self) -> bool:
        return self.state in {JobState.DONE, JobState.FAILED, JobState.CANCELLED}


class JobItemOutcome(models.TextChoices):
    WAITING = "WAITING", _("waiting")
    DONE = "DONE", _("done")
    UNCHANGED = "UNCHANGED", _("unchanged")
    REFUSED = "REFUSED", _("refused")


class JobItem(models.Model):
    """A single piece of a job, in the order it was asked for, and what came of it; `code` says why it was refused."""

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="items")
    advertiser = models.ForeignKey(
        Advertiser, on_delete=models.CASCADE, related_name="+", db_constraint=False, db_index=False
    )
    number = models.PositiveIntegerField(_("number"))
    content = models.JSONField(_("what was asked"))
    outcome = models.CharField(_("outcome"), max_length=10, choices=JobItemOutcome, default=JobItemOutcome.WAITING)
    code = models.CharField(_("code"), max_length=60, blank=True, default="")
    message = models.CharField(_("message"), max_length=300, blank=True, default="")

    class Meta:
        verbose_name = _("job item")
        verbose_name_plural = _("job items")
        ordering = ["number"]
        constraints = [
            models.UniqueConstraint(fields=["job", "number"], name="one_item_per_number"),
            models.CheckConstraint(
                condition=~models.Q(outcome="REFUSED") | ~models.Q(code=""), name="refused_item_says_why"
            ),
        ]
        triggers = [pgtrigger.ReadOnly(name="asked_once", fields=["job", "advertiser", "number", "content"])]

    def __str__(self) -> str:
        return f"{self.number}: {self.outcome}"


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
