"""What an order's page reads of its lines."""

import pytest

from apps.tracking.changing import record_update
from apps.tracking.rules.conversions import Terms, read_conversion
from apps.tracking.selectors import lines_told_last
from apps.tracking.services import record_conversion
from tests.cast import NOON, make_advertiser, make_campaign

LINES = (
    '[{"sku":"S","name":"Sock","category":"WOOL","unit_price":"20.00","quantity":2},{"sku":"T","unit_price":"50.00"}]'
)


@pytest.mark.django_db
def test_lines_say_what_they_lack_of_the_amount_also_told_anew():
    campaign = make_campaign(make_advertiser())
    terms = Terms(campaign.pk, ("EUR",), ())
    told = {"order_ref": "A1", "amount": "100.00", "discount": "10.00", "lines": LINES}
    record_conversion(campaign=campaign, fact=read_conversion(told, terms=terms, now=NOON), now=NOON)
    conversion = campaign.conversions.get()

    first = lines_told_last(conversion)

    assert [(line.position, line.name, line.category, line.quantity, line.amount_minor) for line in first.lines] == [
        (1, "Sock", "WOOL", 2, 40_00), (2, "T", "DEFAULT", 1, 50_00),
    ]  # fmt: skip
    assert (first.version, first.amount_minor, first.discount_minor, first.difference_minor) == (
        "0", 100_00, 10_00, 20_00,
    )  # fmt: skip

    told = {"order_ref": "A1", "amount": "40.00", "lines": '[{"sku":"S","unit_price":"20.00","quantity":2}]'}
    fact = read_conversion({**told, "update": "1"}, terms=terms, now=NOON)
    record_update(campaign=campaign, fact=fact, now=NOON)
    again = lines_told_last(conversion)

    assert [(line.name, line.unit_price_minor) for line in again.lines] == [("Sock", 20_00)]
    assert (again.version, again.amount_minor, again.difference_minor) == ("1", 40_00, 0)
