"""What the last proof of an advertiser's books says: whether it is parked, since when, and about which rows."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.urls import reverse
from django.utils.translation import gettext as _

from apps.commissions.models import Commission
from apps.identity.models import Advertiser
from apps.invoices.models import Invoice
from apps.ledger.reconciling import last_reconciliation, parked_since
from apps.partners.models import Partnership
from apps.statements.models import Statement
from apps.tracking.models import Conversion

# How a proof names its rows: `conversion <id>`, `commission:12`, `partner 5 EUR`, `statement 3`, `invoice AO-7`.
KINDS = ("conversion", "commission", "partner", "statement", "invoice")
SUBJECT = re.compile(rf"({'|'.join(KINDS)})[ :]([\w.:/-]+)")


@dataclass(frozen=True, slots=True)
class Books:
    """A proof of the books; `since` is when the advertiser was parked, None where nothing differs."""

    advertiser: Advertiser
    at: datetime
    difference_count: int
    differences: list[dict[str, Any]]
    since: datetime | None

    @property
    def told(self) -> list[dict[str, Any]]:
        """Return the differences, each with the word and the page of the row that differs. At most five queries."""
        named = [SUBJECT.match(row["subject"]) for row in self.differences]
        pages = pages_of(self.advertiser, [found.groups() for found in named if found])
        return [
            {**row, **(pages.get(found.groups(), {}) if found else {})}
            for row, found in zip(self.differences, named, strict=True)
        ]


def books_of(advertiser: Advertiser) -> Books | None:
    """Return the last proof of the books; None where there has been none yet. One query, two where they differ."""
    last = last_reconciliation(advertiser)
    if last is None:
        return None
    since = parked_since(last) if last.difference_count else None
    return Books(advertiser, last.at, last.difference_count, last.differences, since)


def pages_of(advertiser: Advertiser, names: Iterable[tuple[str, ...]]) -> dict[tuple[str, ...], dict[str, str]]:
    """Return word and link of each row that a proof names, where it is there."""
    keys: dict[str, set[str]] = {kind: set() for kind in KINDS}
    for kind, key in names:
        keys[kind].add(key)
    found: dict[tuple[str, ...], dict[str, str]] = {}

    def put(kind: str, key: object, word: str, page: str, pk: object) -> None:
        found[kind, str(key)] = {"word": word, "link": reverse(f"admin:{page}_change", args=[pk])}

    numbers = {kind: [key for key in keys[kind] if key.isdecimal() and len(key) < 19] for kind in KINDS}
    ids = [key for key in keys["conversion"] if re.fullmatch(r"[0-9a-f-]{36}", key)]
    if ids:
        for pk, order_ref in (
            Conversion.objects.for_advertiser(advertiser).filter(pk__in=ids).values_list("pk", "order_ref")
        ):
            put("conversion", pk, _("order %s") % order_ref, "tracking_conversion", pk)
    if numbers["commission"]:
        earned = Commission.objects.filter(advertiser=advertiser, pk__in=numbers["commission"])
        for pk, id_, order_ref in earned.values_list("pk", "conversion", "conversion__order_ref"):
            put("commission", pk, _("commission of order %s") % order_ref, "tracking_conversion", id_)
    if numbers["partner"]:
        known = Partnership.objects.for_advertiser(advertiser).filter(partner__in=numbers["partner"])
        for pk, partner_id, name in known.values_list("pk", "partner", "partner__name"):
            put("partner", partner_id, name, "partners_partnership", pk)
    if numbers["statement"]:
        for row in (
            Statement.objects.for_advertiser(advertiser).filter(pk__in=numbers["statement"]).select_related("partner")
        ):
            put("statement", row.pk, _("statement %s") % row, "statements_statement", row.pk)
    if keys["invoice"]:
        for row in Invoice.objects.for_advertiser(advertiser).filter(number__in=keys["invoice"]):
            put("invoice", row.number, _("invoice %s") % row.number, "invoices_invoice", row.pk)
    return found
