"""How the portal writes amounts, numbers, shares and moments, in the reader's language."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from functools import cache

from babel import Locale
from babel import dates as babel_dates
from babel.numbers import NumberPattern, format_decimal, format_percent, parse_pattern
from django.utils import timezone
from django.utils.translation import get_language

from apps.core.money import Money, digits

NOTHING = "–"
# English readers are mostly Europeans: day before month, the currency behind the amount.
LOCALES = {"en": "en_150", "de": "de_DE", "ru": "ru_RU"}


def reader_locale() -> Locale:
    """Return the locale that the reader's language is written in."""
    language = (get_language() or "en").split("-")[0]
    return Locale.parse(LOCALES.get(language, "en_150"))


# --- numbers --------------------------------------------------------------------------------------


@cache
def pattern_of(locale: Locale, places: int) -> NumberPattern:
    """Return how amounts of so many decimals are written."""
    pattern = parse_pattern(locale.currency_formats["standard"].pattern)
    pattern.frac_prec = (places, places)
    return pattern


def money(value: Money | str | None) -> str:
    """`1,083.29 €`: an amount with its currency's own decimals; text passes unchanged, None is a dash."""
    if value is None or value == "":
        return NOTHING
    if not isinstance(value, Money):
        return str(value)
    locale = reader_locale()
    text = pattern_of(locale, digits(value.currency)).apply(
        value.decimal, locale, currency=value.currency, currency_digits=False
    )
    return text.replace("-", "\N{MINUS SIGN}")


def signed_money(value: Money | str | None) -> str:
    """The amount with its sign always shown: `+30.00 €`."""
    text = money(value)
    return f"+{text}" if isinstance(value, Money) and value.minor > 0 else text


def number(value: int | Decimal | Fraction | str | None) -> str:
    """`12,408`: a count or a plain decimal, grouped; text passes unchanged."""
    if value is None or value == "":
        return NOTHING
    if isinstance(value, Fraction):
        value = Decimal(value.numerator) / Decimal(value.denominator)
    if not isinstance(value, int | Decimal):
        return str(value)
    return format_decimal(value, locale=reader_locale())


def unrounded_money(value: Decimal, currency: str) -> str:
    """`4.4784 €`: an amount before rounding, with at least its currency's own decimals."""
    locale = reader_locale()
    places = max(digits(currency), -int(value.as_tuple().exponent))
    text = pattern_of(locale, places).apply(value, locale, currency=currency, currency_digits=False)
    return text.replace("-", "\N{MINUS SIGN}")


def decimal_text(value: Decimal) -> str:
    """`7.1255`: a decimal with all its places."""
    return format_decimal(value, locale=reader_locale(), decimal_quantization=False)


def figure(value: Money | int | Decimal | str | None) -> str:
    """An amount as money, any other number as a number."""
    return money(value) if isinstance(value, Money) else number(value)


def percent(value: Fraction | Decimal | int | None, places: int = 1) -> str:
    """`12.5 %` of the part 0.125."""
    if value is None or value == "":
        return NOTHING
    exact = Fraction(value)
    shown = Decimal(round(exact * 100 * 10**places)).scaleb(-places - 2)
    pattern = "#,##0." + "#" * places + "\N{NO-BREAK SPACE}%" if places else "#,##0\N{NO-BREAK SPACE}%"
    text = format_percent(shown, pattern, locale=reader_locale(), decimal_quantization=False)
    return text.replace("-", "\N{MINUS SIGN}")


def share(value: Fraction | int | str | None) -> str:
    """`1/3 (33.33 %)`: an exact part of one; unwieldy fractions are shown as a percentage alone."""
    if value is None or value == "":
        return NOTHING
    part = Fraction(value)
    if part.denominator == 1 or part.denominator > 9999:
        return percent(part, 2)
    return f"{part.numerator}/{part.denominator} ({percent(part, 2)})"


# --- moments --------------------------------------------------------------------------------------


def day(value: date | datetime | None) -> str:
    """`20 Mar 2026`; a moment is first put into the active time zone."""
    if not value:
        return NOTHING
    if isinstance(value, datetime):
        value = timezone.localtime(value).date() if timezone.is_aware(value) else value.date()
    return babel_dates.format_date(value, "medium", locale=reader_locale())


def clock(value: datetime | None) -> str:
    """`14:05` in the active time zone."""
    if not value:
        return NOTHING
    local = timezone.localtime(value) if timezone.is_aware(value) else value
    return babel_dates.format_time(local.time(), "HH:mm", locale=reader_locale())


def moment(value: datetime | None) -> str:
    """`20 Mar 2026, 14:05` in the active time zone."""
    return f"{day(value)}, {clock(value)}" if value else NOTHING
