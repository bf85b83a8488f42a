"""Tell of conversions: one, or up to a thousand in one call."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from django.utils import timezone
from drf_spectacular.utils import OpenApiExample
from rest_framework import serializers
from rest_framework.exceptions import UnsupportedMediaType
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.errors import status_of
from apps.campaigns.models import Campaign
from apps.commissions.models import DecisionState
from apps.core.errors import Invalid, Refusal
from apps.identity.models import Advertiser
from apps.pipeline.services.receiving import DUPLICATE, HINTS, TEST, receive_conversion
from apps.tracking.rules.conversions import LONGEST_UNKNOWN, MOST_UNKNOWN, read_conversion
from apps.tracking.rules.fields import InvalidBody, MissingField, text_of
from apps.tracking.selectors import terms_of
from apps.tracking.services import record_rejection

LOCKED = "LOCKED"
STATUSES = [*DecisionState.values, LOCKED, DUPLICATE, TEST]
MOST_ROWS = 1_000
BATCH = ("campaign", "conversions")
TOLD_WRONG = {
    409: ("order_ref_conflict", "sequence_conflict"),
    422: (
        *("currency_mismatch", "currency_not_accepted", "forged_click", "invalid_amount", "invalid_body"),
        *("invalid_currency", "invalid_email_sha256", "invalid_field", "invalid_lines", "invalid_occurred_at"),
        *("invalid_parts", "missing_field", "unknown_campaign"),
    ),
}
"""The codes that a conversion told is refused with, by status."""


class UnknownCampaign(Invalid):
    code = "unknown_campaign"
    message = "There is no campaign of this name."


class LineInput(serializers.Serializer):
    sku = serializers.CharField(max_length=120, required=False)
    name = serializers.CharField(max_length=200, required=False)
    category = serializers.CharField(max_length=60, required=False, help_text="Tracking category (margin class).")
    shop_category = serializers.CharField(max_length=120, required=False)
    quantity = serializers.IntegerField(min_value=1, required=False)
    unit_price = serializers.CharField(help_text="Decimal string, before the order's discount.")
    discount = serializers.CharField(required=False, help_text="The position's own discount.")


class ConversionInput(serializers.Serializer):
    """Describes the body; it is read by the same rules as a server-to-server call."""

    campaign = serializers.CharField(help_text="The campaign's short name.")
    order_ref = serializers.CharField(
        max_length=120,
        required=False,
        help_text="The shop's order number. Without it the first click stands for the order (hint `order_by_click`), "
        "and a second order of the same click cannot be told from a repeat.",
    )
    tclid = serializers.ListField(child=serializers.CharField(), required=False, help_text="Click ids.")
    goal = serializers.CharField(max_length=40, required=False, help_text="Default: SALE.")
    amount = serializers.CharField(required=False, help_text="Decimal string, after discount, net of VAT: `1083.29`.")
    currency = serializers.CharField(max_length=3, required=False)
    discount = serializers.CharField(required=False, help_text="The order discount within `amount`.")
    lines = LineInput(many=True, required=False)
    parts = serializers.CharField(required=False, help_text="Instead of `lines`: `CATEGORY:11.10|CATEGORY:14.99`.")
    coupon = serializers.ListField(child=serializers.CharField(max_length=80), required=False)
    new_customer = serializers.BooleanField(required=False, help_text="Left out, it is decided from the history.")
    customer_id = serializers.CharField(
        max_length=200, required=False, help_text="The shop's own number of its customer; kept as a keyed hash only."
    )
    email_sha256 = serializers.CharField(
        max_length=64, required=False, help_text="SHA-256 of the e-mail in lower case and without spaces, in hex."
    )
    device_id = serializers.CharField(max_length=200, required=False, help_text="A device that the customer uses.")
    occurred_at = serializers.DateTimeField(required=False, help_text="With its zone. Default: now.")
    country = serializers.CharField(max_length=2, required=False)
    test = serializers.BooleanField(required=False)
    update = serializers.BooleanField(
        required=False, help_text="Amend the conversion where it is told already; otherwise that is 409."
    )
    sequence = serializers.IntegerField(
        min_value=1, required=False, help_text="Of an update: the highest holds, in whatever order they arrive."
    )


class Told(serializers.Serializer):
    """What a call is told of its conversion, alone or in a batch."""

    duplicate_of = serializers.UUIDField(
        required=False, help_text="The conversion that it repeats by its campaign's scope: it is kept and not paid."
    )
    hints = serializers.ListField(
        child=serializers.ChoiceField(choices=HINTS),
        required=False,
        help_text="It is stored as told, but: `parts_mismatch` lines and discount do not come to the amount; "
        "`unknown_goal` no rule of the plan names the goal, what it would earn waits on hold; `other_customer` an "
        "update names another customer than the order came with, who stays; `order_by_click` it names no order, so "
        "that the click stands for it: another order of this click is taken for the same one, 200 where it says the "
        "same and 409 where it does not. Send `order_ref`.",
    )
    sequence = serializers.IntegerField(required=False, help_text="Of an update: its place, 0 where nothing is new.")
    in_force = serializers.BooleanField(required=False, help_text="Of an update: no later one counts instead.")
    ignored = serializers.ListField(
        child=serializers.CharField(),
        required=False,
        help_text="Names of the call that nothing was read from, and `forged_click` where click ids were left out.",
    )


class ConversionTold(Told):
    ok = serializers.BooleanField()
    id = serializers.UUIDField()
    status = serializers.ChoiceField(choices=STATUSES)


class BatchInput(serializers.Serializer):
    campaign = serializers.CharField(required=False, help_text="Of the rows that name none.")
    conversions = ConversionInput(many=True, help_text=f"Up to {MOST_ROWS:,} conversions, as they are told one by one.")


class BatchRow(Told):
    row = serializers.IntegerField(help_text="Its place in the call, from 0.")
    answer = serializers.IntegerField(help_text="The status it would have been answered alone: 201, 200, 409, 422.")
    id = serializers.UUIDField(required=False)
    status = serializers.ChoiceField(choices=STATUSES, required=False)
    code = serializers.CharField(required=False)
    detail = serializers.CharField(required=False)
    attr = serializers.CharField(required=False)


class BatchTold(serializers.Serializer):
    created = serializers.IntegerField()
    repeated = serializers.IntegerField()
    refused = serializers.IntegerField()
    ignored = serializers.ListField(
        child=serializers.CharField(),
        required=False,
        help_text="Names beside `conversions` that nothing was read from.",
    )
    results = BatchRow(many=True)


SALE_EXAMPLE = OpenApiExample(
    "A sale",
    request_only=True,
    value={"campaign": "acme-shop", "order_ref": "A-1001", "amount": "89.90", "currency": "EUR", "coupon": ["SAVE10"]},
)
UPDATE_EXAMPLE = OpenApiExample(
    "An amended sale",
    request_only=True,
    value={"campaign": "acme-shop", "order_ref": "A-1001", "amount": "59.90", "update": True, "sequence": 2},
)
BATCH_EXAMPLE = OpenApiExample(
    "Two rows",
    request_only=True,
    value={
        "conversions": [
            {"campaign": "acme-shop", "order_ref": "A-1001", "amount": "89.90", "currency": "EUR"},
            {"campaign": "acme-shop", "order_ref": "A-1002", "amount": "12.00", "currency": "EUR"},
        ]
    },
)
BATCH_ANSWER = OpenApiExample(
    "One new, one refused",
    response_only=True,
    value={
        "created": 1,
        "repeated": 0,
        "refused": 1,
        "results": [
            {"row": 0, "answer": 201, "id": "01999999-0000-7000-8000-000000000001", "status": "PENDING"},
            {
                "row": 1,
                "answer": 422,
                "code": "invalid_amount",
                "detail": "An amount is not negative.",
                "attr": "amount",
            },
        ],
    },
)


Finder = Callable[[Mapping[str, object]], Campaign]


class InvalidBatch(Invalid):
    code = "invalid_batch"
    message = f"`conversions` is a list of 1 to {MOST_ROWS:,} conversions."


@dataclass(slots=True)
class Call:
    """What is known of a call so far, for the shop's developer to see where it is refused."""

    advertiser: Advertiser
    fields: Mapping[str, object] = field(default_factory=dict)
    campaign: Campaign | None = None

    def keep(self, refusal: Refusal) -> None:
        record_rejection(
            advertiser=self.advertiser,
            campaign=self.campaign,
            door="api",
            refusal=refusal,
            payload=self.fields,
            now=timezone.now(),
        )


@contextmanager
def kept_where_refused(request: Request) -> Iterator[Call]:
    """Keep a call that is refused: what it said as far as that could be read, and why it is no fact."""
    call = Call(request.auth.advertiser)
    try:
        yield call
    except Refusal as refusal:
        call.fields = call.fields or {"content_type": request.content_type}
        call.keep(refusal)
        raise
    except UnsupportedMediaType as error:
        call.fields = {"content_type": request.content_type}
        call.keep(Invalid(str(error.detail), code=error.default_code))
        raise


def campaign_of(advertiser: Advertiser, fields: Mapping[str, object]) -> Campaign:
    """Return the campaign a call names. Raises MissingField, UnknownCampaign."""
    slug = text_of(fields, "campaign", 80)
    if not slug:
        raise MissingField("`campaign` names the campaign.", path="campaign")
    campaign = Campaign.objects.for_advertiser(advertiser).filter(slug=slug).first()
    if campaign is None:
        raise UnknownCampaign(path="campaign")
    return campaign


def told(campaign: Campaign, fields: Mapping[str, object]) -> Response:
    """Take in one conversion and answer it."""
    now = timezone.now()
    own = {name: value for name, value in fields.items() if name != "campaign"}
    fact = read_conversion(own, terms=terms_of(campaign), now=now)
    # Of the caller itself nothing is kept: it is the shop's server, not the customer's browser.
    received = receive_conversion(campaign=campaign, fact=fact, now=now, source="api", payload=own)
    content = received.answer
    if fact.ignored:
        content["ignored"] = fact.ignored
    return Response(content, status=201 if received.created else 200)


def told_batch(advertiser: Advertiser, fields: Mapping[str, object]) -> Response:
    """Take in the rows of a batch one by one: a refused row is kept as a refused call and stops no other."""
    rows = fields.get("conversions")
    if not isinstance(rows, list) or not 0 < len(rows) <= MOST_ROWS:
        raise InvalidBatch(path="conversions")
    find = _remembered(advertiser)
    named = {"campaign": fields["campaign"]} if fields.get("campaign") else {}
    full = [{**named, **row} if isinstance(row, dict) else row for row in rows]
    results = [{"row": place, **_told_row(advertiser, row, find)} for place, row in enumerate(full)]
    answers = [result["answer"] for result in results]
    created, repeated = answers.count(201), answers.count(200)
    counts = {"created": created, "repeated": repeated, "refused": len(rows) - created - repeated}
    unread = [name[:LONGEST_UNKNOWN] for name in fields if name not in BATCH][:MOST_UNKNOWN]
    return Response({**counts, **({"ignored": unread} if unread else {}), "results": results})


def _told_row(
    advertiser: Advertiser, row: object, find: Callable[[Mapping[str, object]], Campaign]
) -> dict[str, object]:
    call = Call(advertiser)
    try:
        if not isinstance(row, dict):
            raise InvalidBody("A conversion is a JSON object.")
        call.fields = row
        call.campaign = find(row)
        response = told(call.campaign, row)
    except Refusal as refusal:
        call.keep(refusal)
        refused = {"answer": status_of(refusal), "code": refusal.code, "detail": refusal.message}
        return {**refused, "attr": refusal.path} if refusal.path else refused
    return {"answer": response.status_code, **{k: v for k, v in response.data.items() if k != "ok"}}


def _remembered(advertiser: Advertiser) -> Finder:
    """Return a look-up of campaigns that asks the database once for each name."""
    known: dict[object, Campaign] = {}

    def find(fields: Mapping[str, object]) -> Campaign:
        slug = fields.get("campaign")
        if isinstance(slug, str) and slug in known:
            return known[slug]
        campaign = campaign_of(advertiser, fields)
        known[slug] = campaign
        return campaign

    return find
