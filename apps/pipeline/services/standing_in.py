"""Company data for a trial: marked stand-ins where an imported history names none, so that documents can be issued."""

from __future__ import annotations

from datetime import date, datetime

from django.db import transaction

from apps.core.actors import Actor
from apps.identity.models import Advertiser, LegalEntity
from apps.partners.models import Partnership, TaxProfile, TaxStatus
from apps.records.services import record_act

MARK = "STAND-IN"


@transaction.atomic
def fill_stand_ins(*, advertiser: Advertiser, agreed_on: date, actor: Actor, now: datetime) -> int:
    """Give the advertiser's company and its partners what their documents lack; return how many were filled.

    Only empty places are filled, each with a text that says what it is. A partner without a tax profile becomes a
    domestic business of the payer's country with an agreement to self-billing since `agreed_on`. For trials only.
    """
    entity = LegalEntity.objects.select_for_update().get(advertiser=advertiser, is_default=True)
    blanks = {"address": MARK, "postcode": "10115", "city": MARK, "tax_number": MARK}
    missing = {name: value for name, value in blanks.items() if not getattr(entity, name)}
    for name, value in missing.items():
        setattr(entity, name, value)
    entity.save()
    filled = int(bool(missing))
    partnerships = Partnership.objects.for_advertiser(advertiser).active().select_related("partner__tax_profile")
    for partnership in partnerships.order_by("pk"):
        partner = partnership.partner
        new = getattr(partner, "tax_profile", None) is None
        if new:
            TaxProfile.objects.create(
                partner=partner,
                status=TaxStatus.BUSINESS,
                legal_name=f"{partner.name} ({MARK})",
                address=MARK,
                postcode="10115",
                city=MARK,
                country=entity.country,
                tax_number=MARK,
            )
        if partnership.self_billing_on is None:
            partnership.self_billing_version, partnership.self_billing_on = MARK, agreed_on
            partnership.save(update_fields=["self_billing_version", "self_billing_on"])
            new = True
        filled += new
    record_act(
        advertiser=advertiser, actor=actor, verb="fill_stand_ins", subject=f"{filled} parties", now=now, details={}
    )
    return filled
