"""`POST /i/<campaign>`: the shop tells who a visitor is, so that what they do on other devices is theirs too.

Signed calls only are taken: whoever says who a visitor is can lead a customer's sales to that visitor's touches.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from apps.campaigns.models import Campaign
from apps.collector.http import Answer, as_json
from apps.core.errors import NotFound
from apps.pipeline.services.receiving import receive_identity
from apps.tracking.identifying import visitor_of_click
from apps.tracking.rules.clicks import read_click
from apps.tracking.rules.conversions import ForgedClick
from apps.tracking.rules.fields import InvalidField, MissingField, text_of
from apps.tracking.rules.persons import read_identity
from apps.tracking.selectors import click_keys


class UnknownClick(NotFound):
    code = "unknown_click"
    message = "The click is not known yet; tell it again in a moment."


def store_identity(campaign: Campaign, fields: dict[str, object], now: datetime) -> Answer:
    """Remember whose a visitor is, named by `tclid` or `visitor`.

    Raises MissingField, InvalidField, InvalidEmailHash, ForgedClick, UnknownClick.
    """
    identity = read_identity(fields)
    if not identity:
        raise MissingField("Say who it is: `customer_id`, `email_sha256` or `device_id`.", path="customer_id")
    visitor = _visitor(campaign, fields)
    receive_identity(advertiser=campaign.advertiser, visitor=visitor, identity=identity, now=now)
    return as_json(200, {"ok": True})


def _visitor(campaign: Campaign, fields: dict[str, object]) -> UUID:
    token = text_of(fields, "tclid", 200)
    if token:
        click = read_click(token, campaign.pk, click_keys())
        if click is None:
            raise ForgedClick("The click id is not one that this campaign gave out.", path="tclid")
        visitor = visitor_of_click(advertiser_id=campaign.advertiser_id, click_id=click)
        if visitor is None:
            raise UnknownClick(path="tclid")
        return visitor
    text = text_of(fields, "visitor", 40)
    if not text:
        raise MissingField("`tclid` or `visitor` says which visitor it is.", path="tclid")
    try:
        return UUID(hex=text)
    except ValueError:
        raise InvalidField("`visitor` is the id of the visitor's cookie.", path="visitor") from None
