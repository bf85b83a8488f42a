"""Tell a customer what is kept of them, and forget them, in every room."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

from django.db import transaction

from apps.claims.models import Claim
from apps.claims.selectors import Attached, evidence_of
from apps.claims.services import erase_evidence, erase_words
from apps.core.actors import Actor
from apps.core.errors import NotFound
from apps.core.retrying import retried
from apps.identity.models import Advertiser
from apps.records.services import record_act
from apps.tracking.forgetting import CustomerName, Forgotten, customer_facts, find_customer, forget_person
from apps.tracking.joining import lock_persons
from apps.tracking.models import Conversion

FILES_TOLD = "The files themselves can be had from the page of their claim in the console."


class UnknownCustomer(NotFound):
    code = "unknown_customer"
    message = "Nothing is kept of this customer."


@transaction.atomic
def export_customer(*, advertiser: Advertiser, name: CustomerName, actor: Actor, now: datetime) -> dict[str, Any]:
    """Return everything that is kept of a customer, as plain values, and write down that it was asked for.

    Raises UnnamedCustomer, InvalidEmailHash, UnknownCustomer.
    """
    customer = find_customer(advertiser=advertiser, name=name)
    if not (customer.keys or customer.touches or customer.conversions):
        raise UnknownCustomer
    facts = customer_facts(advertiser=advertiser, customer=customer)
    orders = Conversion.objects.filter(pk__in=customer.conversions).values_list("goal", "order_ref")
    claims = Claim.objects.for_advertiser(advertiser).filter(order_ref__in=[ref for _, ref in orders])
    told = [
        {
            **{"order_ref": row.order_ref, "told_at": row.told_at, "text": row.text, "state": row.state},
            "claim": row.pk,
            "files": [_told_of(file) for file in evidence_of(row)],
        }
        for row in claims.order_by("pk")
        if (row.goal, row.order_ref) in set(orders)
    ]
    _write_down(advertiser, actor, "customer.exported", facts["persons"], now, orders=len(facts["orders"]))
    return {"advertiser": advertiser.slug, "exported_at": now, **facts, "claims": told, "claims_files": FILES_TOLD}


def _told_of(file: Attached) -> dict[str, Any]:
    """Return what is kept of a file, without who attached it, who is not the customer."""
    return {name: value for name, value in asdict(file).items() if name != "attached_by"}


@retried
@transaction.atomic
def erase_customer(*, advertiser: Advertiser, name: CustomerName, actor: Actor, now: datetime) -> Forgotten:
    """Delete a customer's keys and raw data, and what partners wrote and sent of their orders; again, it does nothing.

    Books and facts stay and lead to nobody. Conversions are not settled anew by it; what was shared stays, also where
    one is settled again later. Raises UnnamedCustomer, InvalidEmailHash.
    """
    # Before the customer is looked for: who joins them with another visitor meanwhile is waited for, or waits.
    lock_persons(advertiser.pk)
    customer = find_customer(advertiser=advertiser, name=name)
    orders = set(Conversion.objects.filter(pk__in=customer.conversions).values_list("goal", "order_ref"))
    words = erase_words(advertiser=advertiser, orders=orders)
    files = erase_evidence(advertiser=advertiser, orders=orders, now=now)
    forgotten = forget_person(advertiser=advertiser, customer=customer, now=now)
    if forgotten or words or files:
        persons = sorted(str(person) for person in customer.persons)
        _write_down(advertiser, actor, "customer.erased", persons, now, **asdict(forgotten), words=words, files=files)
    return forgotten


def _write_down(
    advertiser: Advertiser, actor: Actor, verb: str, persons: list[str], now: datetime, **counts: int
) -> None:
    """Write the act down by the random ids of persons; the trail must not keep who it was."""
    details: dict[str, object] = {"persons": persons, **counts}
    record_act(advertiser=advertiser, actor=actor, verb=verb, subject="customer", now=now, details=details)
