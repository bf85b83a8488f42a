"""`manage.py create_campaign`: a campaign with one plan and one policy, ready for links, calls and imports."""

from __future__ import annotations

from datetime import date
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from apps.attribution.rules import MODELS
from apps.core.actors import SYSTEM
from apps.core.errors import Refusal
from apps.core.periods import start_of
from apps.pipeline.management.commands._arguments import add_advertiser, day_argument, named_advertiser
from apps.pipeline.services.opening import open_campaign


class Command(BaseCommand):
    help = "Create a running campaign that pays a percentage of everything, shared by one model."

    def add_arguments(self, parser: CommandParser) -> None:
        add_advertiser(parser)
        parser.add_argument("name")
        parser.add_argument("--slug", required=True, help="part of its tracking addresses: /s/<slug>")
        parser.add_argument("--landing-url", required=True, metavar="URL")
        parser.add_argument("--percent", default="8", help="of the net amount (default %(default)s)")
        parser.add_argument("--model", default="LAST_CLICK", choices=sorted(MODELS))
        parser.add_argument("--currency", help="default: the advertiser's")
        parser.add_argument("--starts-on", type=day_argument, metavar="DAY", help="default: today")

    def handle(self, *args: Any, **options: Any) -> None:
        advertiser, now = named_advertiser(options["advertiser"]), timezone.now()
        day: date | None = options["starts_on"]
        try:
            campaign = open_campaign(
                advertiser=advertiser,
                name=options["name"],
                slug=options["slug"],
                landing_url=options["landing_url"],
                currency=options["currency"] or advertiser.currency,
                percent=options["percent"],
                model=options["model"],
                starts_at=start_of(day, advertiser.zone) if day else now,
                actor=SYSTEM,
                now=now,
            )
        except Refusal as refusal:
            raise CommandError(f"{refusal.code}: {refusal.message}", returncode=2) from refusal
        self.stdout.write(f"{campaign.name} ({campaign.slug}) is running")
