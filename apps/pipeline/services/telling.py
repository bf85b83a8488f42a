"""Tell people by e-mail what concerns them; written with its cause, it leaves after the commit."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from django.db import transaction

from apps.claims.models import Claim, ClaimState
from apps.identity.models import Advertiser, Membership, Role, User
from apps.invoices.models import Invoice
from apps.ledger.models import Reconciliation
from apps.messages.mails import INVITATION, MAIL
from apps.messages.services import queue_message
from apps.partners.models import PartnerMembership
from apps.pipeline.bell import message_bell
from apps.statements.models import Statement

MONEY = [Role.OWNER, Role.FINANCE]


def tell_of_books(*, kept: Reconciliation, now: datetime) -> None:
    """Tell owners and finance that their advertiser is parked, or released."""
    advertiser = kept.advertiser
    template = "books_differ" if kept.difference_count else "books_released"
    context = {
        "advertiser": advertiser.name,
        "count": kept.difference_count,
        "first": [row["message"] for row in kept.differences[:5]],
    }
    people = User.objects.filter(memberships__advertiser=advertiser, memberships__role__in=MONEY, is_active=True)
    for user in people.order_by("pk").distinct():
        _queue(advertiser, template, f"books:{kept.pk}", f"books:{advertiser.pk}", user, context, now)


def tell_of_statements(*, advertiser: Advertiser, statements: list[Statement], now: datetime) -> None:
    """Tell the partners' people of new statements."""
    for statement in statements:
        context = {"advertiser": advertiser.name, "month": f"{statement.period.lower:%Y-%m}"}
        _tell_partner(statement.partner_id, advertiser, "statement", f"statement:{statement.pk}", context, now)


def tell_of_invoice(*, invoice: Invoice, now: datetime) -> None:
    """Tell the partner's people of a document that settles a statement."""
    context = {"advertiser": invoice.advertiser.name, "number": invoice.number}
    _tell_partner(invoice.partner_id, invoice.advertiser, "invoice", f"invoice:{invoice.pk}", context, now)


def tell_of_claim(*, claim: Claim, now: datetime) -> None:
    """Tell the partner's people that their claim is answered, and where the answer stands."""
    context: dict[str, object] = {
        "advertiser": claim.advertiser.name,
        "order": claim.order_ref,
        "claim": claim.pk,
        "accepted": claim.state == ClaimState.ACCEPTED,
    }
    _tell_partner(claim.partner_id, claim.advertiser, "claim", f"claim:{claim.pk}", context, now)


def tell_new_member(*, membership: Membership, now: datetime) -> None:
    """Send somebody new to the house the way in."""
    user = membership.user
    queue_message(
        advertiser=membership.advertiser,
        kind=INVITATION,
        cause=f"member:{membership.pk}",
        subject=f"user:{user.pk}",
        address=user.email,
        payload={"user": user.pk, "host": membership.advertiser.name, "language": user.language},
        now=now,
    )
    transaction.on_commit(message_bell.ring)


def _tell_partner(
    partner_id: int,
    advertiser: Advertiser,
    template: str,
    about: str,
    context: Mapping[str, object],
    now: datetime,
) -> None:
    people = PartnerMembership.objects.filter(partner=partner_id, user__is_active=True).select_related("user")
    for membership in people.order_by("pk"):
        _queue(advertiser, template, about, f"partner:{partner_id}", membership.user, dict(context), now)


def _queue(
    advertiser: Advertiser,
    template: str,
    about: str,
    subject: str,
    user: User,
    context: dict[str, object] | dict[str, str],
    now: datetime,
) -> None:
    queue_message(
        advertiser=advertiser,
        kind=MAIL,
        cause=f"{about}:{user.pk}",
        subject=f"{subject}:{user.pk}",
        address=user.email,
        payload={"template": template, "language": user.language, "context": context},
        now=now,
    )
    transaction.on_commit(message_bell.ring)
