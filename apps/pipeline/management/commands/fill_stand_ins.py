"""`manage.py fill_stand_ins`: make an imported trial invoiceable."""

from __future__ import annotations

from datetime import date
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from apps.core.actors import SYSTEM
from apps.pipeline.management.commands._arguments import add_advertiser, day_argument, named_advertiser
from apps.pipeline.services.standing_in import fill_stand_ins


class Command(BaseCommand):
    help = (
        "For a trial: fill the addresses, tax numbers and self-billing agreements that an imported history lacks with "
        "texts that say STAND-IN, so that its invoices can be issued. What is there stays. Refuses on production."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        add_advertiser(parser)
        parser.add_argument(
            "--agreed-on", type=day_argument, default=date(2020, 1, 1), metavar="DAY", help="default %(default)s"
        )

        parser.add_argument("--force", action="store_true", help="also on a production installation")

    def handle(self, *args: Any, **options: Any) -> None:
        if settings.ENVIRONMENT == "production" and not options["force"]:
            raise CommandError("this is a production installation: invented company data is for trials", returncode=2)
        advertiser = named_advertiser(options["advertiser"])
        filled = fill_stand_ins(advertiser=advertiser, agreed_on=options["agreed_on"], actor=SYSTEM, now=timezone.now())
        self.stdout.write(f"{filled} parties filled with stand-ins")
