"""Who is in the European Union, and what each country's standard rate is: dated tables for a tax adviser.

Sources: European Commission, "VAT rates applied in the Member States"; national acts named beside later changes.
A new rate is a new row; the latest `valid_from` on or before the day applies.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal

BEFORE = date(1993, 1, 1)
AFTER = date(9999, 12, 31)

# Country → first and last day of membership (or of the transition in which the VAT rules still applied).
MEMBERS: dict[str, tuple[date, date]] = {
    **{code: (BEFORE, AFTER) for code in "BE DE DK ES FR GR IE IT LU NL PT".split()},
    **{code: (date(1995, 1, 1), AFTER) for code in "AT FI SE".split()},
    **{code: (date(2004, 5, 1), AFTER) for code in "CY CZ EE HU LT LV MT PL SI SK".split()},
    **{code: (date(2007, 1, 1), AFTER) for code in "BG RO".split()},
    "HR": (date(2013, 7, 1), AFTER),
    "MC": (BEFORE, AFTER),  # belongs to the French VAT territory
    "GB": (BEFORE, date(2020, 12, 31)),
}

# Country, valid_from, per cent.
STANDARD_RATES: tuple[tuple[str, date, Decimal], ...] = tuple(
    (country, date.fromisoformat(valid_from), Decimal(percent))
    for country, valid_from, percent in (
        ("AT", "1995-01-01", "20"),
        ("BE", "1996-01-01", "21"),
        ("BG", "2007-01-01", "20"),
        ("CY", "2014-01-13", "19"),
        ("CZ", "2013-01-01", "21"),
        ("DE", "2007-01-01", "19"),
        ("DE", "2020-07-01", "16"),  # Zweites Corona-Steuerhilfegesetz
        ("DE", "2021-01-01", "19"),
        ("DK", "1993-01-01", "25"),
        ("EE", "2009-07-01", "20"),
        ("EE", "2024-01-01", "22"),
        ("EE", "2025-07-01", "24"),
        ("ES", "2012-09-01", "21"),
        ("FI", "2013-01-01", "24"),
        ("FI", "2024-09-01", "25.5"),
        ("FR", "2014-01-01", "20"),
        ("GR", "2016-06-01", "24"),
        ("HR", "2013-07-01", "25"),
        ("HU", "2012-01-01", "27"),
        ("IE", "2012-01-01", "23"),
        ("IE", "2020-09-01", "21"),
        ("IE", "2021-03-01", "23"),
        ("IT", "2013-10-01", "22"),
        ("LT", "2009-09-01", "21"),
        ("LU", "2015-01-01", "17"),
        ("LU", "2023-01-01", "16"),
        ("LU", "2024-01-01", "17"),
        ("LV", "2012-07-01", "21"),
        ("MC", "2014-01-01", "20"),
        ("MT", "2004-05-01", "18"),
        ("NL", "2012-10-01", "21"),
        ("PL", "2011-01-01", "23"),
        ("PT", "2011-01-01", "23"),
        ("RO", "2017-01-01", "19"),
        ("RO", "2025-08-01", "21"),
        ("SE", "1995-01-01", "25"),
        ("SI", "2013-07-01", "22"),
        ("SK", "2011-01-01", "20"),
        ("SK", "2025-01-01", "23"),
        # Outside the Union, for payers and partners of the same country.
        ("CH", "2018-01-01", "7.7"),
        ("CH", "2024-01-01", "8.1"),
        ("LI", "2018-01-01", "7.7"),
        ("LI", "2024-01-01", "8.1"),
        ("GB", "2011-01-04", "20"),
        ("NO", "2005-01-01", "25"),
    )
)


def is_member(country: str, on: date) -> bool:
    """Return whether a country applies the Union's VAT rules on a day."""
    first, last = MEMBERS.get(country, (AFTER, BEFORE))
    return first <= on <= last


def standard_rate(country: str, on: date) -> Decimal | None:
    """Return the standard rate in per cent (`Decimal("19")`), or None where none is on file for that day."""
    rates = [(valid_from, percent) for code, valid_from, percent in STANDARD_RATES if code == country]
    return max((row for row in rates if row[0] <= on), default=(None, None))[1]
