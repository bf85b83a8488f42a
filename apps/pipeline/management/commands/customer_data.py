"""`export` what is kept of a customer, or `erase` it."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError
from django.core.serializers.json import DjangoJSONEncoder
from django.utils import timezone

from apps.core.actors import SYSTEM
from apps.core.errors import Refusal
from apps.identity.models import Advertiser
from apps.pipeline.services.erasing import erase_customer, export_customer
from apps.tracking.forgetting import CustomerName


class Command(BaseCommand):
    help = "Export what is kept of a customer as JSON, or erase their keys and raw data (books and facts stay)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("verb", choices=["export", "erase"])
        parser.add_argument("--advertiser", required=True, help="its short name")
        parser.add_argument("--customer-id", default="", help="the shop's customer number")
        parser.add_argument("--email", default="", help="the address; it is hashed here and not kept")
        parser.add_argument("--email-sha256", default="", help="its SHA-256, as the shop sends it")
        parser.add_argument("--device-id", default="")
        parser.add_argument("--visitor", type=UUID, default=None, help="the id in the visitor's cookie")

    def handle(self, *args: Any, **options: Any) -> None:
        advertiser = Advertiser.objects.filter(slug=options["advertiser"]).first()
        if advertiser is None:
            raise CommandError(f"There is no advertiser {options['advertiser']}.")
        fields = ("customer_id", "email", "email_sha256", "device_id", "visitor")
        name = CustomerName(**{field: options[field] for field in fields})
        call = {"advertiser": advertiser, "name": name, "actor": SYSTEM, "now": timezone.now()}
        try:
            if options["verb"] == "export":
                facts = export_customer(**call)
                self.stdout.write(json.dumps(facts, cls=DjangoJSONEncoder, ensure_ascii=False, indent=2))
                return
            gone = erase_customer(**call)
        except Refusal as refusal:
            raise CommandError(f"{refusal.code}: {refusal.message}") from None
        self.stdout.write(f"{gone.keys} keys and {gone.raw} rows of raw data are erased.")
