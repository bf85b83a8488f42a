"""What a job of decisions was asked for, in words: the filter by people's names, the undo with what it undoes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from apps.campaigns.models import Campaign
from apps.commissions.models import DecisionState, HoldReason, Reason
from apps.commissions.selections import Selection
from apps.identity.models import Advertiser
from apps.partners.models import Partner
from apps.pipeline.services.deciding_jobs import BY_FILTER, undone_by_job
from apps.records.models import Job, JobState

DOINGS = {
    "APPROVED": gettext_lazy("Approve"),
    "REJECTED": gettext_lazy("Reject"),
    "ON_HOLD": gettext_lazy("Put on hold"),
    "PENDING": gettext_lazy("Take off hold"),
}
REASONS = {**dict(Reason.choices), **dict(HoldReason.choices)}


@dataclass(frozen=True, slots=True)
class Names:
    """The names of the campaigns and partners that jobs ask for."""

    campaigns: Mapping[int, str] = field(default_factory=dict)
    partners: Mapping[int, str] = field(default_factory=dict)


def names_in(advertiser: Advertiser, jobs: Iterable[Job]) -> Names:
    """Return the names that the filters of jobs mention. At most two queries."""
    asked = [job.content.get("selection", {}) for job in jobs]
    campaigns = {told["campaign_id"] for told in asked if told.get("campaign_id")}
    partners = {told["partner_id"] for told in asked if told.get("partner_id")}
    own = Campaign.objects.for_advertiser(advertiser).filter(pk__in=campaigns)
    known = Partner.objects.filter(pk__in=partners, partnerships__advertiser=advertiser)
    return Names(dict(own.values_list("pk", "name")), dict(known.values_list("pk", "name")))


def doing(job: Job) -> str:
    """Return in words what a job does."""
    if job.kind != BY_FILTER:
        return _("By list %s") % job.content.get("name", "") if job.content.get("name") else _("By list")
    word = str(DOINGS[job.content["state"]])
    undone = undone_by_job(job)
    return _("Undo of job %(job)s: %(word)s") % {"job": undone, "word": word} if undone else word


def state_of(job: Job) -> str:
    """Return in words where a job stands."""
    return _("not applied yet") if job.state == JobState.DRAFT else str(job.get_state_display())


def asked_of(job: Job, names: Names) -> list[str]:
    """Return in words, one by one, what a job's filter asks; nothing of a list."""
    if job.kind != BY_FILTER:
        return []
    asked = Selection.of(job.content["selection"])
    told = [
        *(_("chosen one by one: %d") % len(asked.ids) for _once in asked.ids[:1]),
        *([", ".join(str(DecisionState(state).label) for state in asked.states)] if asked.states else []),
        *([_("partner %s") % names.partners.get(asked.partner_id, "?")] if asked.partner_id is not None else []),
        *([_("campaign %s") % names.campaigns.get(asked.campaign_id, "?")] if asked.campaign_id is not None else []),
        *([_("goal %s") % asked.goal] if asked.goal else []),
        *([_("code %s") % asked.coupon] if asked.coupon else []),
        *([_("reason: %s") % REASONS.get(asked.reason, asked.reason)] if asked.reason else []),
        *([_("order %s…") % asked.order] if asked.order else []),
        *([_("order %s") % asked.order_ref] if asked.order_ref else []),
        *([_("from %s") % _day(asked.since)] if asked.since else []),
        *([_("to %s") % _day(asked.until - timedelta(microseconds=1))] if asked.until else []),
        *([_("locks by %s") % date_format(asked.locks_until, "j M Y")] if asked.locks_until else []),
        *([_("locks after %s") % date_format(asked.locks_after, "j M Y")] if asked.locks_after else []),
        *([_("to decide by %s") % date_format(asked.due_until, "j M Y")] if asked.due_until else []),
        *([_("tests") if asked.is_test else _("without tests")] if asked.is_test is not None else []),
        *([_("without duplicates")] if asked.is_duplicate is False else []),
        *([_("what job %d decided last") % asked.job_id] if asked.job_id else []),
        *([_("what job %d decided") % asked.moved_by] if asked.moved_by else []),
    ]
    return told or [_("every conversion")]


def _day(moment: Any) -> str:
    return date_format(timezone.localtime(moment), "j M Y")


def counted(job: Job) -> str:
    """Return how many conversions a job decided, in words."""
    return ngettext("%d conversion decided", "%d conversions decided", job.moved) % job.moved
