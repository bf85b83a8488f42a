"""What came in as files: each run, and each row that was refused."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from apps.campaigns.models import Campaign
from apps.identity.models import Advertiser


class ImportKind(models.TextChoices):
    PARTNERS = "PARTNERS", _("Partners")
    TOUCHES = "TOUCHES", _("Touchpoints")
    CONVERSIONS = "CONVERSIONS", _("Conversions")


class ImportRun(models.Model):
    """A file read once: how many rows were added, already there, or refused."""

    advertiser = models.ForeignKey(Advertiser, on_delete=models.CASCADE, related_name="import_runs")
    campaign = models.ForeignKey(Campaign, on_delete=models.CASCADE, related_name="import_runs")
    kind = models.CharField(_("kind"), max_length=12, choices=ImportKind)
    file_name = models.CharField(_("file"), max_length=200)
    sha256 = models.CharField(_("SHA-256"), max_length=64)
    rows = models.PositiveBigIntegerField(_("rows"), default=0)
    added = models.PositiveBigIntegerField(_("added"), default=0)
    repeated = models.PositiveBigIntegerField(_("already there"), default=0)
    refused = models.PositiveBigIntegerField(_("refused"), default=0)
    started_at = models.DateTimeField(_("started"))
    finished_at = models.DateTimeField(_("finished"), null=True)

    class Meta:
        verbose_name = _("import")
        verbose_name_plural = _("imports")
        indexes = [models.Index(fields=["advertiser", "-started_at"], name="imports_by_time")]

    def __str__(self) -> str:
        return f"{self.file_name} {self.started_at:%Y-%m-%d %H:%M}"


class RefusedRow(models.Model):
    """A row of a file that could not be taken, with its code."""

    advertiser = models.ForeignKey(Advertiser, on_delete=models.CASCADE, related_name="+")
    run = models.ForeignKey(ImportRun, on_delete=models.CASCADE, related_name="refused_rows")
    row = models.PositiveBigIntegerField(_("row"), help_text=_("Line of the file; the heading is line 1."))
    code = models.CharField(_("code"), max_length=60)
    message = models.CharField(_("message"), max_length=300)
    content = models.JSONField(_("content"))

    class Meta:
        verbose_name = _("refused row")
        verbose_name_plural = _("refused rows")
        ordering = ["row"]

    def __str__(self) -> str:
        return f"{self.row}: {self.code}"
