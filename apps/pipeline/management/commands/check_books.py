"""`manage.py check_books`: exit 0 where everything adds up, else 1 with a line per difference."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from apps.identity.models import Advertiser
from apps.pipeline.books import CHECK_COUNT, SAMPLE, check_books


class Command(BaseCommand):
    help = "Prove that shares, cents, accounts, statements and numbers add up; print what differs."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--advertiser", help="short name; default: all of them")
        parser.add_argument(
            "--sample", type=int, default=SAMPLE, help="results to work out again (default %(default)s)"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        advertiser_id = None
        if options["advertiser"]:
            advertiser_id = Advertiser.objects.values_list("pk", flat=True).get(slug=options["advertiser"])
        differences = check_books(advertiser_id=advertiser_id, sample=options["sample"])
        names = dict(Advertiser.objects.values_list("pk", "slug"))
        for row in differences:
            who = names.get(row.advertiser_id, "–") if row.advertiser_id else "–"
            self.stdout.write(f"{row.invariant} {who}: {row.subject}: {row.message}")
        if differences:
            self.stderr.write(f"{len(differences)} differences")
            sys.exit(1)
        self.stdout.write(f"the books are clean ({CHECK_COUNT} checks)")
