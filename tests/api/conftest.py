"""A caller with a key, and a world in which there is something to see: sales, statements, invoices."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
import time_machine
from django.test import Client

from apps.core.actors import SYSTEM
from apps.identity.models import Advertiser, Scope
from apps.pipeline.services.closing import close_month, issue_invoices, render_missing
from apps.pipeline.services.deciding import approve_conversions
from apps.pipeline.services.settling import settle_waiting
from tests.cast import (
    NOON,
    join,
    make_advertiser,
    make_campaign,
    make_conversion,
    make_key,
    make_partner,
    make_plan,
    make_policy,
    make_touch,
)

SOLD_AT = datetime(2026, 1, 15, 10, tzinfo=UTC)
CLOSED_AT = datetime(2026, 3, 2, 8, tzinfo=UTC)
API = "/api/v1"


class Caller:
    """Calls the API with a key, or as a stranger without one."""

    def __init__(self, key: str | None) -> None:
        self._client = Client(headers={"authorization": f"Bearer {key}"} if key else {})

    def get(self, path: str, fields: dict[str, Any] | None = None, **headers: str) -> Any:
        return self._client.get(f"{API}{path}", fields, headers=_names(headers))

    def post(self, path: str, content: Any = None, **headers: str) -> Any:
        return self._client.post(f"{API}{path}", content, content_type="application/json", headers=_names(headers))


def _names(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


def code_of(reply: Any) -> tuple[int, str]:
    return reply.status_code, reply.json()["errors"][0]["code"]


@pytest.fixture(autouse=True)
def noon(db: None) -> Iterator[None]:
    with time_machine.travel(NOON, tick=False):
        yield


@pytest.fixture
def caller() -> Callable[..., Caller]:
    return lambda advertiser, scopes=tuple(Scope.values): Caller(make_key(advertiser, scopes))


@pytest.fixture
def stranger() -> Caller:
    return Caller(None)


def make_world(slug: str, sales: int, *, billed: bool = True, rendered: bool = True) -> SimpleNamespace:
    """Make an advertiser with that many campaigns' worth of partners, each with a sale of 1,000.00 that is billed."""
    advertiser: Advertiser = make_advertiser(slug)
    campaign = make_campaign(advertiser, slug=f"{slug}-shop")
    make_policy(campaign)
    make_plan(campaign)
    for number in range(1, sales):
        make_campaign(advertiser, slug=f"{slug}-shop-{number}")
    conversions = []
    for number in range(sales):
        visitor = uuid4()
        make_touch(join(make_partner(f"{slug}-{number}"), campaign), datetime(2026, 1, 12, tzinfo=UTC), visitor)
        lines = [{"unit_price_minor": 50_000, "sku": "L1"}, {"unit_price_minor": 50_000, "sku": "L2"}]
        order = f"{slug}-{number}"
        conversions.append(make_conversion(campaign, 100_000, SOLD_AT, order, visitor=visitor, lines=lines))
    settle_waiting(now=SOLD_AT)
    if billed:
        ids = [conversion.pk for conversion in conversions]
        approve_conversions(advertiser=advertiser, conversion_ids=ids, actor=SYSTEM, now=SOLD_AT)
        close_month(advertiser=advertiser, month=date(2026, 2, 1), actor=SYSTEM, now=CLOSED_AT)
        issue_invoices(advertiser=advertiser, actor=SYSTEM, now=CLOSED_AT)
        if rendered:
            render_missing(advertiser=advertiser, now=CLOSED_AT)
    return SimpleNamespace(advertiser=advertiser, campaign=campaign, conversions=conversions)
