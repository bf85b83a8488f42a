"""`manage.py demo`: build the demo once, print who can sign in."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from apps.pipeline.demo.playing import logins, play_demo


class Command(BaseCommand):
    help = "Build the demo data (once; asked again it changes nothing) and print the logins."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--force", action="store_true", help="also outside a demo environment")

    def handle(self, *args: Any, **options: Any) -> None:
        if settings.ENVIRONMENT == "production" and not options["force"]:
            raise CommandError("this is not a demo environment (TRIBUTARY_ENV); --force builds it all the same")
        play_demo(now=timezone.now(), say=lambda text: self.stderr.write(f"  {text}"))
        width = max(len(login.what) for login in logins())
        for login in logins():
            self.stdout.write(f"{login.what.ljust(width)}  {login.email}  {login.password}")
