"""Acme's year in the console: sales settled, approved, stated and invoiced, and a neighbour who sees none of it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from uuid import uuid4

from django.test import Client
from django.utils import timezone

from apps.commissions.models import Decision
from apps.core.actors import SYSTEM
from apps.identity.models import AdvertiserKey, Role
from apps.invoices.models import Invoice
from apps.pipeline.services.closing import close_month, issue_invoices, render_missing
from apps.pipeline.services.deciding import approve_conversions
from apps.pipeline.services.settling import settle_waiting
from apps.statements.models import Statement
from apps.tracking.models import Conversion, RejectedEvent
from tests.cast import NOON, make_advertiser, make_cast, make_conversion, make_coupon, make_member, make_touch

SOLD_AT = datetime(2026, 1, 15, 10, tzinfo=UTC)


def sign_in(user) -> Client:
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def sell(acme: SimpleNamespace, amount_minor: int = 100_00, at: datetime = SOLD_AT, order_ref: str = "") -> Conversion:
    """Write a sale that one click of the blog came before, and settle it."""
    click = make_touch(acme.enrollments.blog, at - timedelta(days=1), uuid4())
    sale = make_conversion(acme.campaign, amount_minor, at, order_ref or None, click_ids=[click.pk])
    assert settle_waiting(now=at + timedelta(minutes=1)).settled == 1
    return sale


def sell_more(acme: SimpleNamespace, *orders: str, hours: int = 1) -> list[Conversion]:
    """Sell an hour ago, a second apart."""
    at = timezone.now() - timedelta(hours=hours)
    return [sell(acme, 50_00, at + timedelta(seconds=n), order) for n, order in enumerate(orders)]


def make_scene() -> SimpleNamespace:
    """Return Acme with an owner, a sale that reached its invoice, one that waits, and a neighbour's owner."""
    acme = make_cast()
    acme.owner = sign_in(make_member(acme.advertiser))
    acme.neighbor = sign_in(make_member(make_advertiser("globex"), email="owner@globex.example"))
    acme.paid = sell(acme, 1000_00, order_ref="PAID-1")
    approve_conversions(
        advertiser=acme.advertiser, conversion_ids=[acme.paid.pk], actor=SYSTEM, now=SOLD_AT + timedelta(days=5)
    )
    closing = datetime(2026, 3, 2, 8, tzinfo=UTC)
    close_month(advertiser=acme.advertiser, month=date(2026, 2, 1), actor=SYSTEM, now=closing)
    issue_invoices(advertiser=acme.advertiser, actor=SYSTEM, now=closing)
    render_missing(advertiser=acme.advertiser, now=closing)
    acme.open = sell(acme, at=NOON - timedelta(days=2), order_ref="OPEN-1")
    acme.coupon = make_coupon(acme.campaign, partner=acme.partners.blog)
    acme.refused = RejectedEvent.objects.create(
        advertiser=acme.advertiser, campaign=acme.campaign, at=NOON, door="s2s", code="invalid_amount", message="No."
    )
    AdvertiserKey.objects.create_key(advertiser=acme.advertiser, name="shop", scopes=["conversions:write"])
    acme.statement = Statement.objects.get()
    acme.invoice = Invoice.objects.get()
    return acme


def member(acme: SimpleNamespace, role: Role) -> Client:
    return sign_in(make_member(acme.advertiser, role, f"{role.lower()}@acme.example"))


def state_of(sale: Conversion) -> str:
    return Decision.objects.get(conversion=sale).state
