"""What the last proof of an advertiser's books found; where something differs, no document leaves, no money moves."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db.models import Subquery
from django.db.models.functions import Coalesce

from apps.core.errors import Conflict
from apps.identity.models import Advertiser
from apps.ledger.models import Reconciliation

SHOWN = 200


class BooksDiffer(Conflict):
    code = "books_differ"
    message = (
        "The books do not add up. Statements, invoices and payments wait until they do; "
        "the finance pages say what differs."
    )


def last_reconciliation(advertiser: Advertiser) -> Reconciliation | None:
    """Return the last proof of the books; None where there has been none yet."""
    return Reconciliation.objects.filter(advertiser=advertiser).order_by("-pk").first()


def parked_since(last: Reconciliation) -> datetime:
    """Return the moment of the first proof that differed, of those up to this one without one between that did not."""
    rows = Reconciliation.objects.filter(advertiser=last.advertiser_id, pk__lte=last.pk)
    clean = rows.filter(difference_count=0).order_by("-pk").values("pk")[:1]
    return rows.filter(pk__gt=Coalesce(Subquery(clean), 0)).order_by("pk").values_list("at", flat=True)[0]


def parked_advertiser_ids() -> set[int]:
    """Return the advertisers whose last proof found a difference."""
    latest = Reconciliation.objects.order_by("advertiser_id", "-pk").distinct("advertiser_id")
    return {row.advertiser_id for row in latest.only("advertiser_id", "difference_count") if row.difference_count}


def last_differences(invariant: str, *, advertiser_id: int | None = None) -> list[str]:
    """Return the subjects in which the last proofs found an invariant broken, of an advertiser or of all."""
    latest = Reconciliation.objects.order_by("advertiser_id", "-pk").distinct("advertiser_id")
    if advertiser_id is not None:
        latest = latest.filter(advertiser=advertiser_id)
    return [row["subject"] for proof in latest for row in proof.differences if row["invariant"] == invariant]


def refuse_while_books_differ(advertiser: Advertiser) -> None:
    """Let documents and payments pass only where the last proof found nothing. Raises BooksDiffer."""
    last = last_reconciliation(advertiser)
    if last is not None and last.difference_count:
        raise BooksDiffer(differences=last.difference_count)


def record_reconciliation(
    *, advertiser: Advertiser, differences: Sequence[tuple[str, str, str]], milliseconds: int, now: datetime
) -> Reconciliation:
    """Write down what a proof found: (invariant, subject, message) each, of which the first 200 are kept."""
    return Reconciliation.objects.create(
        advertiser=advertiser,
        at=now,
        milliseconds=milliseconds,
        difference_count=len(differences),
        differences=[
            {"invariant": invariant, "subject": subject[:200], "message": message[:500]}
            for invariant, subject, message in differences[:SHOWN]
        ],
    )
