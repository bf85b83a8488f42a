"""A little of everything that guards watch over: something for every harm to be done to."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from uuid import uuid4

import pytest

from apps.attribution.models import CouponRule
from apps.claims.models import Claim, ClaimTerms, Evidence
from apps.commissions.models import HoldPolicy, PartnerReview, Superseded
from apps.core.actors import SYSTEM
from apps.imports.models import ImportRun, RefusedRow
from apps.messages.services import deliver_waiting
from apps.partners.models import PartnerGroup
from apps.pipeline.services.closing import close_month, issue_invoices, render_missing
from apps.pipeline.services.deciding import approve_conversions
from apps.pipeline.services.settling import settle_waiting
from apps.records.models import IdempotencyKey, Job, JobItem
from apps.tracking.models import (
    Amendment,
    CustomerStanding,
    Duplicate,
    FirstOfScope,
    IdentityKey,
    IdentityLink,
    LiftedDuplicate,
    Merge,
    Person,
    Refund,
    Repeat,
    Sighting,
    StatedTouch,
)
from tests.cast import (
    START,
    make_cast,
    make_conversion,
    make_coupon,
    make_key,
    make_member,
    make_partner_user,
    make_touch,
)

SOLD = datetime(2026, 1, 15, 10, tzinfo=UTC)
CLOSED = datetime(2026, 3, 2, 8, tzinfo=UTC)


@pytest.fixture
def scene():
    """A sale with lines that was settled, approved, refunded, stated, invoiced and mailed, and one that waits."""
    acme = make_cast()
    make_partner_user(acme.partners.blog)
    coupon = make_coupon(acme.campaign, partner=acme.partners.coupons)
    CouponRule.objects.create(advertiser=acme.advertiser, coupon=coupon, policy="SHARE", percent=50, starts_at=START)
    visitor = uuid4()
    make_touch(acme.enrollments.blog, SOLD - timedelta(days=1), visitor)
    lines = [{"unit_price_minor": 1_000_00, "quantity": 2}]
    sale = make_conversion(acme.campaign, 2_000_00, SOLD, "SOLD-1", visitor, lines, click_ids=[uuid4()])
    click = make_touch(acme.enrollments.comparison, SOLD - timedelta(days=1))
    other = make_conversion(acme.campaign, 3_000_00, SOLD, "SOLD-2", click_ids=[click.pk])
    settle_waiting(now=SOLD)
    approve_conversions(advertiser=acme.advertiser, conversion_ids=[sale.pk, other.pk], actor=SYSTEM, now=SOLD)
    told = {"advertiser": acme.advertiser, "recorded_at": SOLD, "content_hash": ""}
    Refund.objects.create(
        order_ref="SOLD-1", refund_ref="R-1", kind="AMOUNT", amount_minor=10_00, occurred_at=SOLD, **told
    )
    Amendment.objects.create(conversion=sale, sequence=1, content={"amount_minor": 1_900_00}, **told)
    Amendment.objects.create(conversion=sale, sequence=0, turn=1, origin="ORDER", content={}, **told)
    settle_waiting(now=SOLD)
    close_month(advertiser=acme.advertiser, month=date(2026, 2, 1), actor=SYSTEM, now=CLOSED)
    issue_invoices(advertiser=acme.advertiser, actor=SYSTEM, now=CLOSED)
    render_missing(now=CLOSED)
    deliver_waiting(clock=lambda: CLOSED, chance=lambda: 0.5)
    tell_of_persons(acme, sale, other)
    claim_and_hold(acme, sale)
    ask_and_import(acme)
    make_conversion(acme.campaign, 10_00, SOLD, "WAITS-1")
    return acme


def tell_of_persons(acme, sale, other):
    """Write what is known of the customer: two persons who are one, a repeated order, a touch that was stated."""
    of_acme = {"advertiser": acme.advertiser}
    persons = [Person.objects.create(created_at=SOLD, **of_acme) for _ in range(2)]
    keys = [
        IdentityKey.objects.create(kind=kind, value=uuid4(), person=persons[0], first_seen_at=SOLD, **of_acme)
        for kind in ("VISITOR", "CUSTOMER")
    ]
    IdentityLink.objects.create(low=keys[0], high=keys[1], first_seen_at=SOLD, **of_acme)
    Merge.objects.create(
        survivor=persons[0], absorbed=persons[1], key=keys[1], kind="CUSTOMER", moved=[], at=SOLD, **of_acme
    )
    Sighting.objects.create(conversion=sale, kind="CUSTOMER", key=keys[1], **of_acme)
    CustomerStanding.objects.create(conversion=sale, is_new=True, reason="first_order", decided_at=SOLD, **of_acme)
    FirstOfScope.objects.create(campaign=acme.campaign, conversion=sale, key="click", occurred_at=SOLD, **of_acme)
    Duplicate.objects.create(conversion=other, original=sale, scope="CLICK", recorded_at=SOLD, **of_acme)
    LiftedDuplicate.objects.create(
        conversion=sale, original=other, scope="CLICK", recorded_at=SOLD, lifted_at=SOLD, **of_acme
    )
    Repeat.objects.create(conversion=sale, original=other, recorded_at=SOLD, **of_acme)
    StatedTouch.objects.create(conversion=sale, touch_id=uuid4(), visitor=uuid4(), recorded_at=SOLD, **of_acme)
    settle_waiting(now=SOLD)


def claim_and_hold(acme, sale):
    """Write the clock of claims, one that waits and one that was accepted, what a campaign holds back and replaced."""
    told = {
        **{"advertiser": acme.advertiser, "campaign": acme.campaign, "partner": acme.partners.blog},
        **{"kind": "WRONG", "order_ref": "SOLD-1", "occurred_at": SOLD, "amount_minor": 1, "currency": "EUR"},
        **{"told_at": SOLD, "told_by": "Blog", "answer_by": SOLD.date(), "moved_at": SOLD, "moved_by": "Blog"},
    }
    ClaimTerms.objects.create(advertiser=acme.advertiser)
    Claim.objects.create(state="ACCEPTED", conversion=sale, **told)
    claim = Claim.objects.create(state="OPEN", **told)
    Evidence.objects.create(
        **{"advertiser": acme.advertiser, "claim": claim, "sha256": "0" * 64, "name": "a.txt", "content": b"seen"},
        **{"media_type": "text/plain", "size": 4, "attached_at": SOLD, "attached_by": "Blog"},
    )
    HoldPolicy.objects.create(advertiser=acme.advertiser, campaign=acme.campaign, starts_at=CLOSED, too_fast_seconds=5)
    Superseded.objects.create(
        advertiser=acme.advertiser, conversion=sale, settled_at=SOLD, replaced_at=SOLD, total_minor=1, currency="EUR",
        earned=[], sha256="x",
    )  # fmt: skip
    PartnerReview.objects.create(
        advertiser=acme.advertiser, partner=acme.partners.cashback, reason="new terms", since=CLOSED
    )


def ask_and_import(acme):
    """Write what machines and people have asked for: a key and its answer, a member, a job, an import."""
    of_acme = {"advertiser": acme.advertiser}
    make_key(acme.advertiser, ["conversions:read"])
    make_member(acme.advertiser)
    PartnerGroup.objects.create(slug="gold", name="Gold", **of_acme)
    IdempotencyKey.objects.create(key="K-1", request_hash="x", status=200, body={}, **of_acme)
    job = Job.objects.create(kind="decisions", key="K-1", **of_acme)
    JobItem.objects.create(job=job, number=1, content={}, outcome="REFUSED", code="no_such_conversion", **of_acme)
    run = ImportRun.objects.create(
        campaign=acme.campaign, kind="touches", file_name="touches.csv", sha256="x", started_at=SOLD, **of_acme
    )
    RefusedRow.objects.create(run=run, row=2, code="missing_field", message="x", content={}, **of_acme)
