"""Arguments that several commands share."""

from __future__ import annotations

import argparse
from datetime import date, datetime

from django.core.management.base import CommandError, CommandParser

from apps.core.periods import add_months, start_of
from apps.identity.models import Advertiser


def month_argument(text: str) -> date:
    """Read `2025-01` as its first day."""
    try:
        return datetime.strptime(text, "%Y-%m").date()
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a month such as 2025-01") from None


def day_argument(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a day such as 2025-01-31") from None


def add_advertiser(parser: CommandParser) -> None:
    parser.add_argument("--advertiser", metavar="SLUG", help="short name; may be left out where there is only one")


def named_advertiser(slug: str | None) -> Advertiser:
    """Return the advertiser of that short name, or the only one; else say which there are."""
    advertisers = list(Advertiser.objects.order_by("slug"))
    known = ", ".join(row.slug for row in advertisers) or "none yet; make one with create_advertiser"
    if slug is None:
        if len(advertisers) == 1:
            return advertisers[0]
        raise CommandError(f"name the advertiser with --advertiser: {known}", returncode=2)
    for advertiser in advertisers:
        if advertiser.slug == slug:
            return advertiser
    raise CommandError(f"there is no advertiser {slug!r}: {known}", returncode=2)


def first_moment_after(month: date, advertiser: Advertiser) -> datetime:
    """Return the first moment after a month in the advertiser's zone."""
    return start_of(add_months(month, 1), advertiser.zone)
