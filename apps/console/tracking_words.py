"""What a conversion call is made of, said to the shop's developer."""

from __future__ import annotations

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy

Word = str | Promise

FIELDS: list[tuple[str, Word]] = [
    ("tclid", gettext_lazy("The click id of the landing page's address; several: with commas, at most 50.")),
    (
        "order_ref",
        gettext_lazy(
            "Your order number, at most 120 characters: with the goal it makes an order one. Without it the click id "
            "stands for the order, so a second sale after the same click is taken for a repeat or a conflict."
        ),
    ),
    ("goal", gettext_lazy("SALE if left out; LEAD or a goal of your own.")),
    (
        "amount",
        gettext_lazy(
            "After the discount, without VAT and shipping; digits with a point: 1083.29. Left out: the sum of lines."
        ),
    ),
    ("currency", gettext_lazy("ISO 4217, one of the campaign's; may be left out where it has only one.")),
    ("discount", gettext_lazy("The order's discount that `amount` has been reduced by.")),
    ("lines", gettext_lazy("The basket as a JSON list, at most 500; the fields of a position stand below.")),
    ("lines[].sku", gettext_lazy("Article number.")),
    ("lines[].name", gettext_lazy("What it is called.")),
    ("lines[].category", gettext_lazy("Tracking category (margin class) that rules ask for; DEFAULT if left out.")),
    ("lines[].shop_category", gettext_lazy("Your own category.")),
    ("lines[].quantity", gettext_lazy("A whole number from 1 on; 1 if left out.")),
    ("lines[].unit_price", gettext_lazy("Needed. Before the order's discount, without VAT.")),
    ("lines[].discount", gettext_lazy("The position's own discount, for all its pieces.")),
    ("parts", gettext_lazy("Instead of lines, amounts by category: SHOES:11.10|HATS:14.99.")),
    ("coupon", gettext_lazy("The code that was used; several: with commas, at most 20.")),
    ("new_customer", gettext_lazy("1 or 0.")),
    ("occurred_at", gettext_lazy("When it happened, with its zone: 2026-03-10T12:00:00+01:00. Left out: now.")),
    ("country", gettext_lazy("ISO 3166, two letters.")),
    ("test", gettext_lazy("1: the call is stored and settled, but never paid.")),
    ("update", gettext_lazy("1: an order that is stored already is told anew; lines and amount replace those before.")),
    ("sequence", gettext_lazy("With update: the place among your updates, from 1 on; the highest one holds.")),
    ("customer_id", gettext_lazy("Your own number of the customer; kept only as a keyed hash.")),
    ("email_sha256", gettext_lazy("SHA-256 of the trimmed, lower-case e-mail address, in hex; never the address.")),
    ("device_id", gettext_lazy("An app's id of the device; kept only as a keyed hash.")),
    ("sig", gettext_lazy("The signature, see the Python and PHP snippets; a JSON body is signed by its SHA-256.")),
    ("ts", gettext_lazy("With sig: seconds since 1970, at most five minutes off.")),
]

REFUND_FIELDS: list[tuple[str, Word]] = [
    ("order_ref", gettext_lazy("Needed. The order's number, as in the conversion.")),
    ("goal", gettext_lazy("SALE if left out, as in the conversion.")),
    ("refund_ref", gettext_lazy("Needed. The refund's own number, so that it counts once.")),
    ("whole", gettext_lazy("1: the whole order. One of whole, amount and lines.")),
    ("amount", gettext_lazy("What went back, without VAT: 25.00.")),
    ("currency", gettext_lazy("With amount, as long as the order is not known; else the order's own.")),
    ("lines", gettext_lazy("Positions as told last, with pieces: 2:1|3 is one piece of position 2 and all of 3.")),
    ("reason", gettext_lazy("returned if left out; cancelled, payment_failed, duplicate and so on.")),
    ("occurred_at", gettext_lazy("When it happened, with its zone. Left out: now.")),
]

IDENTITY_FIELDS: list[tuple[str, Word]] = [
    ("tclid", gettext_lazy("The click id of the visitor who has signed in; or visitor.")),
    ("visitor", gettext_lazy("Instead of tclid, the id of the visitor's cookie.")),
    ("customer_id, email_sha256, device_id", gettext_lazy("Who it is: at least one of them.")),
    ("sig", gettext_lazy("Always needed: this decides whose later orders are. Signed like a conversion.")),
    ("ts", gettext_lazy("Always needed: seconds since 1970, at most five minutes off.")),
]

REFUSALS: list[tuple[int, str, Word]] = [
    (404, "unknown_click", gettext_lazy("The click is not known yet; tell who it is again in a moment.")),
    (404, "unknown_campaign", gettext_lazy("No campaign has the short name in the address.")),
    (409, "order_ref_conflict", gettext_lazy("The order is stored already with other content; nothing is changed.")),
    (409, "refund_ref_conflict", gettext_lazy("A refund of this number is stored already with other content.")),
    (409, "sequence_conflict", gettext_lazy("An update of this sequence is stored already with other content.")),
    (413, "payload_too_large", gettext_lazy("A call has at most 256 KB.")),
    (422, "bad_signature", gettext_lazy("The signature is missing, wrong or too old.")),
    (422, "currency_mismatch", gettext_lazy("The order is in another currency.")),
    (422, "currency_not_accepted", gettext_lazy("The campaign does not take this currency.")),
    (422, "forged_click", gettext_lazy("No click id is one of this campaign's, and there is no code either.")),
    (422, "invalid_amount", gettext_lazy("Not digits with a point: 1.083,29 and 1,083.29 are refused.")),
    (422, "invalid_body", gettext_lazy("Neither a query, a form nor one JSON object; or more than 200 fields.")),
    (422, "invalid_currency", gettext_lazy("No currency of ISO 4217.")),
    (422, "invalid_email_sha256", gettext_lazy("Not 64 hexadecimal digits.")),
    (422, "invalid_field", gettext_lazy("A value that the field cannot have; `field` names it.")),
    (422, "invalid_lines", gettext_lazy("The lines are no JSON list, or a position lacks its unit_price.")),
    (422, "invalid_occurred_at", gettext_lazy("No time with its zone, or one in the future.")),
    (422, "invalid_parts", gettext_lazy("The parts are not written CATEGORY:amount.")),
    (422, "invalid_refund", gettext_lazy("A refund is one of whole, amount and lines.")),
    (422, "missing_field", gettext_lazy("A field that the call needs is missing; `field` names it.")),
    (422, "more_than_sold", gettext_lazy("More would be given back than was sold.")),
    (422, "order_of_other_campaign", gettext_lazy("The refund is of an order of another campaign.")),
    (422, "reserved_refund_ref", gettext_lazy("Refund numbers that begin with tributary: are this house's own.")),
    (422, "unknown_line", gettext_lazy("The order has no such position.")),
    (503, "unavailable", gettext_lazy("Send the same call again: however often, it is recorded once.")),
]
