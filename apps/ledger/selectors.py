"""Read the book."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Sum

from apps.identity.models import Advertiser
from apps.ledger.models import AccountKind, Posting, UnstatedPosting


@dataclass(frozen=True, slots=True)
class PartnerBalance:
    """What the book owes a partner, in minor units: accrued (not yet on a document), payable (documented)."""

    partner_id: int
    currency: str
    accrued_minor: int
    payable_minor: int
    unstated_minor: int


def balances_by_partner(*, advertiser: Advertiser, partner_id: int | None = None) -> list[PartnerBalance]:
    """Return the balances of every partner that has an account, by partner and currency; four queries in all."""
    found: dict[tuple[int, str], dict[str, int]] = {}

    def add(side: str, sign: int) -> None:
        rows = Posting.objects.filter(advertiser=advertiser, **{f"{side}__partner__isnull": False})
        if partner_id is not None:
            rows = rows.filter(**{f"{side}__partner": partner_id})
        keys = (f"{side}__partner_id", "currency", f"{side}__kind")
        for partner, currency, kind, total in rows.order_by().values_list(*keys).annotate(total=Sum("amount_minor")):
            sums = found.setdefault((partner, currency), {})
            sums[kind] = sums.get(kind, 0) + sign * total

    add("credit", 1)
    add("debit", -1)
    unstated = UnstatedPosting.objects.filter(advertiser=advertiser)
    if partner_id is not None:
        unstated = unstated.filter(partner=partner_id)
    waiting = {
        (partner, currency): total
        for partner, currency, total in unstated.order_by()
        .values_list("partner_id", "currency")
        .annotate(total=Sum("signed_minor"))
    }
    return [
        PartnerBalance(
            partner_id=partner,
            currency=currency,
            accrued_minor=sums.get(AccountKind.PARTNER_ACCRUED, 0),
            payable_minor=sums.get(AccountKind.PARTNER_PAYABLE, 0),
            unstated_minor=waiting.get((partner, currency), 0),
        )
        for (partner, currency), sums in sorted(found.items())
    ]
