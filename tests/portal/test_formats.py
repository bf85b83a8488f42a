"""Money, shares and moments are written in the reader's language."""

from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction

import pytest
from django.utils import timezone, translation

from apps.core.money import Money
from apps.portal import formats

NBSP = "\N{NO-BREAK SPACE}"


@pytest.mark.parametrize(
    ("language", "value", "text"),
    [
        ("en", Money(108329, "EUR"), f"1,083.29{NBSP}€"),
        ("de", Money(108329, "EUR"), f"1.083,29{NBSP}€"),
        ("ru", Money(108329, "EUR"), f"1{NBSP}083,29{NBSP}€"),
        ("en", Money(-5, "EUR"), f"\N{MINUS SIGN}0.05{NBSP}€"),
        ("de", Money(1083, "JPY"), f"1.083{NBSP}¥"),
        ("de", Money(1083295, "IQD"), f"1.083,295{NBSP}IQD"),
        ("en", "as it is", "as it is"),
        ("en", None, "–"),
    ],
)
def test_money_keeps_every_decimal_of_its_currency(language, value, text):
    with translation.override(language):
        assert formats.money(value) == text


def test_signed_money_shows_a_plus_only_above_zero():
    with translation.override("en"):
        assert formats.signed_money(Money(300, "EUR")) == f"+3.00{NBSP}€"
        assert formats.signed_money(Money(0, "EUR")) == f"0.00{NBSP}€"


@pytest.mark.parametrize(
    ("part", "text"),
    [
        (Fraction(1, 3), f"1/3 (33.33{NBSP}%)"),
        (Fraction(3, 4), f"3/4 (75{NBSP}%)"),
        (Fraction(1), f"100{NBSP}%"),
        (Fraction(12345, 99991), f"12.35{NBSP}%"),
    ],
)
def test_share_is_exact_and_readable(part, text):
    with translation.override("en"):
        assert formats.share(part) == text


def test_percent_and_numbers_follow_the_language():
    with translation.override("de"):
        assert formats.percent(Decimal("-0.0315")) == f"\N{MINUS SIGN}3,2{NBSP}%"
        assert formats.number(12408) == "12.408"


def test_days_are_counted_in_the_active_zone():
    late = datetime(2026, 3, 14, 23, 30, tzinfo=UTC)
    with translation.override("en"), timezone.override("Europe/Berlin"):
        assert formats.moment(late) == "15 Mar 2026, 00:30"
        assert formats.day(date(2026, 3, 20)) == "20 Mar 2026"
