"""`manage.py approve_matured`: approve what nobody decided in time."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from apps.core.periods import start_of
from apps.pipeline.management.commands._arguments import add_advertiser, day_argument, named_advertiser
from apps.pipeline.services.deciding import approve_matured


class Command(BaseCommand):
    help = "Approve the pending conversions whose day to decide has passed."

    def add_arguments(self, parser: CommandParser) -> None:
        add_advertiser(parser)
        parser.add_argument("--as-of", type=day_argument, metavar="DAY", help="act as of that day (imported history)")

    def handle(self, *args: Any, **options: Any) -> None:
        advertiser = named_advertiser(options["advertiser"])
        day = options["as_of"]
        moved = approve_matured(advertiser=advertiser, now=start_of(day, advertiser.zone) if day else timezone.now())
        self.stdout.write(f"{moved} approved")
