"""Bring a partner's tax profile in, in the form that its invoices will need."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from django.db import transaction

from apps.core.actors import Actor
from apps.core.errors import Invalid
from apps.invoices.rules import normal_vat_id
from apps.partners.models import Partner, Partnership, TaxProfile
from apps.partners.services import write_tax_profile


class InvalidVatId(Invalid):
    code = "invalid_vat_id"
    message = "This is not a VAT id of the chosen country, such as DE136695976 for Germany."


@transaction.atomic
def keep_tax_profile(
    *, partner: Partner, values: Mapping[str, str], actor: Actor, now: datetime, partnership: Partnership | None = None
) -> TaxProfile:
    """Write a partner's tax profile with its VAT id in normal form. Raises InvalidVatId, PartnerKeepsItself."""
    vat_id = normal_vat_id(values["vat_id"], values["country"]) if values["vat_id"].strip() else ""
    if vat_id is None:
        raise InvalidVatId(path="vat_id")
    return write_tax_profile(
        partner=partner, values={**values, "vat_id": vat_id}, actor=actor, now=now, partnership=partnership
    )
