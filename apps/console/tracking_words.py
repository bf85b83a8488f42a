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
    ("sig", gettext_lazy("The signature, see the Python and PHP snippets; a JSON body is signed by its SHA-256.")),
    ("ts", gettext_lazy("With sig: seconds since 1970, at most five minutes off.")),
]

REFUSALS: list[tuple[int, str, Word]] = [
    (404, "unknown_campaign", gettext_lazy("No campaign has the short name in the address.")),
    (409, "order_ref_conflict", gettext_lazy("The order is stored already with other content; nothing is changed.")),
    (413, "payload_too_large", gettext_lazy("A call has at most 256 KB.")),
    (422, "bad_signature", gettext_lazy("The signature is missing, wrong or too old.")),
    (422, "currency_not_accepted", gettext_lazy("The campaign does not take this currency.")),
    (422, "forged_click", gettext_lazy("No click id is one of this campaign's, and there is no code either.")),
    (422, "invalid_amount", gettext_lazy("Not digits with a point: 1.083,29 and 1,083.29 are refused.")),
    (422, "invalid_body", gettext_lazy("Neither a query, a form nor one JSON object; or more than 200 fields.")),
    (422, "invalid_currency", gettext_lazy("No currency of ISO 4217.")),
    (422, "invalid_field", gettext_lazy("A value that the field cannot have; `field` names it.")),
    (422, "invalid_lines", gettext_lazy("The lines are no JSON list, or a position lacks its unit_price.")),
    (422, "invalid_occurred_at", gettext_lazy("No time with its zone, or one in the future.")),
    (422, "invalid_parts", gettext_lazy("The parts are not written CATEGORY:amount.")),
    (422, "missing_field", gettext_lazy("A field that the call needs is missing; `field` names it.")),
    (503, "unavailable", gettext_lazy("Send the same call again: however often, it is recorded once.")),
]
