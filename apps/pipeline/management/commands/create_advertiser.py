"""`manage.py create_advertiser`: the first step on a new installation."""

from __future__ import annotations

import getpass
import os
import secrets
import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from apps.core.actors import SYSTEM
from apps.core.errors import Refusal
from apps.identity.models import User
from apps.pipeline.services.founding import found_advertiser


class Command(BaseCommand):
    help = (
        "Create an advertiser and the person who owns it. The password is asked for, read from OWNER_PASSWORD, "
        "or made up and printed once."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="the advertiser's name")
        parser.add_argument("--owner", required=True, metavar="EMAIL", help="the owner's e-mail address")
        parser.add_argument("--slug", default="", help="short name; default: from the name")
        parser.add_argument("--currency", default="EUR")
        parser.add_argument("--timezone", default="Europe/Berlin")
        parser.add_argument("--country", default="DE", help="of the legal entity")

    def handle(self, *args: Any, **options: Any) -> None:
        password, made_up = self._password(options["owner"])
        try:
            founded = found_advertiser(
                name=options["name"],
                slug=options["slug"],
                owner_email=options["owner"],
                owner_password=password,
                currency=options["currency"],
                timezone=options["timezone"],
                country=options["country"],
                actor=SYSTEM,
                now=timezone.now(),
            )
        except Refusal as refusal:
            raise CommandError(f"{refusal.code}: {refusal.message}", returncode=2) from refusal
        self.stdout.write(f"{founded.advertiser.name} ({founded.advertiser.slug}) is there.")
        self.stdout.write(f"Sign in at {settings.PUBLIC_URL}/admin/ as {founded.owner.email}")
        if made_up and founded.new_user:
            self.stdout.write(f"Password (shown once): {password}")

    def _password(self, email: str) -> tuple[str | None, bool]:
        if User.objects.filter(email=email.strip().lower()).exists():
            return None, False
        if given := os.environ.get("OWNER_PASSWORD"):
            return given, False
        if sys.stdin.isatty():
            return getpass.getpass(f"Password for {email}: "), False
        return secrets.token_urlsafe(12), True
