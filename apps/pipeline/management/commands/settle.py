"""`manage.py settle`: settle what waits, without a worker."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from apps.pipeline.services.settling import settle_waiting
from apps.tracking.models import Unsettled


class Command(BaseCommand):
    help = "Settle every conversion on the work list: gather the journeys, attribute, award."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--limit", type=int, help="try at most so many")

    def handle(self, *args: Any, **options: Any) -> None:
        waiting = Unsettled.objects.filter(parked_at__isnull=True).count()
        columns = (TextColumn("settling"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=Console(stderr=True)) as bar:
            task = bar.add_task("settling", total=waiting)
            result = settle_waiting(
                now=timezone.now(), limit=options["limit"], progress=lambda done: bar.update(task, completed=done)
            )
        self.stdout.write(f"{result.settled} settled, {result.failed} failed")
        parked = Unsettled.objects.filter(parked_at__isnull=False).count()
        if parked:
            self.stdout.write(f"{parked} are parked after repeated failures; the console shows why")
