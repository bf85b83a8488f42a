"""A blog's portal on 2 April 2026: sales shared with a coupon site, a closed month, an invoice, and what is open."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from uuid import uuid4

from django.test import Client

from apps.core.actors import SYSTEM
from apps.invoices.models import Invoice
from apps.partners.models import Partner
from apps.pipeline.services.closing import close_month, issue_invoices, render_missing
from apps.pipeline.services.deciding import approve_conversions, hold_conversions, reject_conversions
from apps.pipeline.services.settling import settle_waiting
from apps.statements.models import Statement
from tests.cast import make_cast, make_conversion, make_partner_user, make_policy, make_touch

NOW = datetime(2026, 4, 2, 10, 0, tzinfo=UTC)
CLOSED_AT = datetime(2026, 4, 1, 6, 0, tzinfo=UTC)
JANUARY = datetime(2026, 1, 1, tzinfo=UTC)


def sell(cast: SimpleNamespace, order_ref: str, amount_minor: int, at: datetime, *partners: str, **fields: object):
    """Let partners' links be clicked, an hour after the other, and the same visitor buy an hour later."""
    visitor = uuid4()
    for place, slug in enumerate(partners):
        enrollment = getattr(cast.enrollments, slug)
        clicked_at = at - timedelta(hours=len(partners) - place)
        make_touch(enrollment, clicked_at, visitor, link_id=enrollment.links.order_by("pk").first().pk)
    return make_conversion(cast.campaign, amount_minor, at, order_ref, visitor, **fields)


def make_stage() -> SimpleNamespace:
    """February: 1,000.00 shared by two, approved, stated and invoiced in March. March: one sale of each decision.

    Linear at 8 %: the blog earns 40.00 of February's and, alone, 80.00 of a second one.
    """
    cast = make_cast()
    make_policy(cast.campaign, starts_at=JANUARY, model="LINEAR")
    february = datetime(2026, 2, 10, 12, tzinfo=UTC)
    march = datetime(2026, 3, 28, 12, tzinfo=UTC)
    sales = {
        "shared": sell(cast, "FEB-1", 1_000_00, february, "blog", "coupons"),
        "alone": sell(cast, "FEB-2", 1_000_00, february + timedelta(days=1), "blog"),
        "pending": sell(cast, "MAR-1", 100_00, march, "blog", "coupons"),
        "held": sell(cast, "MAR-2", 50_00, march + timedelta(hours=5), "blog"),
        "rejected": sell(cast, "MAR-3", 77_00, march + timedelta(hours=10), "blog"),
        "approved": sell(cast, "MAR-4", 200_00, march + timedelta(hours=15), "blog"),
        "theirs": sell(cast, "CANARY-ORDER", 8_765_43, march + timedelta(hours=20), "coupons"),
    }
    settle_waiting(now=march + timedelta(days=1))

    def decide(verb, *names: str, **more: object) -> None:
        ids = [sales[name].pk for name in names]
        verb(advertiser=cast.advertiser, conversion_ids=ids, actor=SYSTEM, now=march + timedelta(days=2), **more)

    decide(approve_conversions, "shared", "alone", "approved", "theirs")
    decide(hold_conversions, "held")
    decide(reject_conversions, "rejected", reason="returned")
    close_month(advertiser=cast.advertiser, month=date(2026, 3, 1), actor=SYSTEM, now=CLOSED_AT)
    issue_invoices(advertiser=cast.advertiser, actor=SYSTEM, now=CLOSED_AT)
    render_missing(advertiser=cast.advertiser, now=CLOSED_AT)
    return SimpleNamespace(
        **vars(cast),
        sales=SimpleNamespace(**sales),
        blog=cast.partners.blog,
        statement=Statement.objects.get(partner=cast.partners.blog),
        invoice=Invoice.objects.get(partner=cast.partners.blog),
    )


def client_of(partner: Partner, email: str | None = None) -> Client:
    """Return a browser in which a person of the partner is signed in."""
    client = Client()
    client.force_login(make_partner_user(partner, email))
    return client
