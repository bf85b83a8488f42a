"""What the advertiser's people and machines do beside telling: decide, by row, by list and by filter; answer claims."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Any


class Office:
    """Acts on one advertiser, once however often it is asked; `clock` is the workers', which runs ahead."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self.clock = clock
        self.keys: dict[str, Any] = {}

    def act(self, told: dict[str, Any]) -> dict[str, Any]:
        """Do what is asked; refusals are answers, with their code."""
        from apps.core.errors import Refusal

        kind = told.pop("kind")
        try:
            return getattr(self, kind)(**told)
        except Refusal as refusal:
            return {"refused": refusal.code}

    @property
    def call(self) -> dict[str, Any]:
        from django.utils import timezone

        from apps.core.actors import SYSTEM
        from apps.identity.models import Advertiser

        return {"advertiser": Advertiser.objects.get(slug="kills"), "actor": SYSTEM, "now": timezone.now()}

    def rejection(self, order: str) -> dict[str, Any]:
        from apps.pipeline.services.deciding import reject_conversions
        from apps.tracking.models import Conversion

        ids = list(Conversion.objects.filter(order_ref=order).values_list("pk", flat=True))
        reject_conversions(conversion_ids=ids, reason="test", **self.call)
        return {"rejected": True}

    def by_filter(self, prefix: str, state: str, reason: str) -> dict[str, Any]:
        """Ask for a decision on all orders whose numbers begin alike; whoever asks again finds the job."""
        from apps.commissions.selections import Selection
        from apps.pipeline.services.deciding_jobs import ask_by_filter
        from apps.records.models import Job

        now = self.clock()
        if job := Job.objects.filter(key=prefix).first():
            return {"job": job.pk}
        call = {**self.call, "now": now}
        asked = ask_by_filter(
            selection=Selection(order=prefix), state=state, reason=reason, key=prefix, as_of=now, **call
        )
        return {"job": asked.job.pk}

    def waiting(self) -> dict[str, Any]:
        """Tell how much of what was told is still to be worked out."""
        from apps.tracking.models import Stirred, Unsettled

        return {"waiting": Unsettled.objects.count() + Stirred.objects.count()}

    def undo(self, job: int) -> dict[str, Any]:
        from apps.pipeline.services.deciding_jobs import undo_job

        return {"job": undo_job(job_id=job, **{**self.call, "now": self.clock()}).job.pk}

    def claim(self, order: str, campaign: str, partner: str, amount: int | None) -> dict[str, Any]:
        """Report that an order is missing, or without an amount that it is wrongly rejected."""
        from django.utils import timezone

        from apps.campaigns.models import Campaign
        from apps.claims.models import Claim
        from apps.claims.rules import ClaimFact
        from apps.claims.services import report_claim
        from apps.core.actors import SYSTEM
        from apps.partners.models import Partner

        kind, now = "MISSING" if amount else "DECLINED", timezone.now()
        if known := Claim.objects.filter(order_ref=order, kind=kind).first():
            return {"claim": known.pk}
        place = Campaign.objects.get(slug=campaign)
        fact = ClaimFact(place.pk, kind, order, now, place.currencies[0], amount)
        reported = report_claim(partner=Partner.objects.get(slug=partner), fact=fact, actor=SYSTEM, now=now)
        return {"claim": reported.claim.pk}

    def answer(self, claim: int) -> dict[str, Any]:
        """Accept a claim; one that was answered before has its answer."""
        from apps.claims.models import Claim
        from apps.claims.services import ClaimClosed
        from apps.pipeline.services.claiming import accept_claim

        with suppress(ClaimClosed):
            accept_claim(claim_id=claim, **self.call)
        found = Claim.objects.get(pk=claim)
        return {"state": found.state, "conversion": str(found.conversion_id)}
