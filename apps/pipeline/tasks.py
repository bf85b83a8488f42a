"""The bell: tasks look for waiting rows and make one call each. Everything here may run twice."""

from __future__ import annotations

from celery import shared_task
from django.utils import timezone

from apps.claims.services import forget_evidence
from apps.identity.models import Advertiser
from apps.messages.services import deliver_waiting, forget_messages
from apps.pipeline.bell import settle_bell
from apps.pipeline.demo.playing import beat_once
from apps.pipeline.services.claiming import answer_overdue_claims
from apps.pipeline.services.closing import render_missing
from apps.pipeline.services.deciding import approve_matured
from apps.pipeline.services.deciding_chunks import work_on_decisions
from apps.pipeline.services.reconciling import reconcile_all
from apps.pipeline.services.refunding import tell_surpluses
from apps.pipeline.services.settling import settle_waiting
from apps.tracking.client_data import keep_days
from apps.tracking.partitions import make_months_ahead
from apps.tracking.services import forget_rejections
from apps.tracking.sweeping import wake_awaited


@shared_task
def settle_unsettled() -> int:
    """Settle whatever waits; rung by each new fact, and every 30 seconds for what the bell missed."""
    wake_awaited(now=timezone.now(), hear=tell_surpluses)
    return settle_waiting(now=timezone.now(), limit=20_000).settled


@shared_task
def settle_approve_matured() -> int:
    """Approve what has matured undecided, advertiser by advertiser."""
    now = timezone.now()
    return sum(approve_matured(advertiser=advertiser, now=now) for advertiser in Advertiser.objects.order_by("pk"))


@shared_task
def settle_decide() -> int:
    """Work on decisions asked for by filter or list; rung by each, and swept for what was cut short."""
    return work_on_decisions(now=timezone.now())


@shared_task
def settle_answer_claims() -> int:
    """Accept or escalate the claims that nobody answered in time, advertiser by advertiser."""
    now = timezone.now()
    advertisers = Advertiser.objects.order_by("pk")
    return sum(answer_overdue_claims(advertiser=advertiser, now=now) for advertiser in advertisers)


@shared_task
def bill_render_documents() -> int:
    """Render the PDFs of issued invoices that have none yet; rung by each run, and swept for what failed before."""
    return render_missing(now=timezone.now()).rendered


@shared_task
def bill_reconcile_books() -> int:
    """Prove the books of every advertiser; whoever's differ issues and pays nothing until they are right again."""
    return reconcile_all(now=timezone.now())


@shared_task
def send_messages() -> int:
    """Deliver what waits to leave; rung by each cause, and swept for what failed before."""
    return deliver_waiting()


@shared_task
def keep_messages() -> int:
    """Forget messages 90 days after they left."""
    return forget_messages(now=timezone.now())


@shared_task
def keep_partitions() -> None:
    """Keep three months of touchpoint partitions ahead, and client data for 30 days."""
    make_months_ahead(now=timezone.now())
    keep_days(now=timezone.now())


@shared_task
def keep_evidence() -> int:
    """Delete the files of claims 180 days after these were closed, or had to be answered."""
    return forget_evidence(now=timezone.now())


@shared_task
def keep_rejected() -> int:
    """Forget refused calls after 30 days."""
    return forget_rejections(now=timezone.now())


@shared_task
def keep_demo_alive() -> int:
    """Let visitors come by in a demo (scheduled there only)."""
    sales = beat_once(now=timezone.now())
    if sales:
        settle_bell.ring()
    return sales
