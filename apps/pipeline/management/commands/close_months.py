"""`manage.py close_months`: issue the statements and invoices of one or more months."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from apps.core.actors import SYSTEM
from apps.core.errors import Refusal
from apps.core.periods import months_of
from apps.invoices.services import Settled
from apps.pipeline.management.commands._arguments import (
    add_advertiser,
    first_moment_after,
    month_argument,
    named_advertiser,
)
from apps.pipeline.services.closing import close_month, issue_invoices, render_missing
from apps.pipeline.services.deciding import approve_matured


class Command(BaseCommand):
    help = (
        "Close months in order: statements, then invoices with their PDFs. Closing a month again changes nothing. "
        "With --history each month is closed as of the first moment after it, and what has matured by then is "
        "approved first: that is how an imported past becomes a book."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        add_advertiser(parser)
        parser.add_argument("first", type=month_argument, metavar="FIRST", help="month such as 2025-01")
        parser.add_argument("last", type=month_argument, metavar="LAST", nargs="?", help="default: FIRST alone")
        parser.add_argument("--history", action="store_true", help="act as of each month's end")

    def handle(self, *args: Any, **options: Any) -> None:
        advertiser = named_advertiser(options["advertiser"])
        present = timezone.now()
        waiting: tuple[Settled, ...] = ()
        for month in months_of(options["first"], options["last"] or options["first"]):
            now = first_moment_after(month, advertiser) if options["history"] else present
            if now > present:
                raise CommandError(f"{month:%Y-%m} has not ended yet", returncode=2)
            approved = approve_matured(advertiser=advertiser, now=now) if options["history"] else 0
            try:
                run = {"advertiser": advertiser, "actor": SYSTEM, "now": now, "tells": not options["history"]}
                closed = close_month(month=month, **run)
                result = issue_invoices(**run)
            except Refusal as refusal:
                raise CommandError(f"{month:%Y-%m}: {refusal.code}: {refusal.message}", returncode=2) from refusal
            rendered = render_missing(advertiser=advertiser, now=now)
            self.stdout.write(
                f"{month:%Y-%m}: {approved} approved, {closed.statement_count} statements, "
                f"{len(result.issued)} invoices, {result.without_document} settled without a document, "
                f"{len(result.blocked)} waiting"
            )
            if rendered.failed:
                self.stderr.write(f"  {rendered.failed} PDFs could not be made; the log says why, a worker tries again")
            waiting = result.blocked
        for partner, blocked in sorted({(str(row.statement.partner), row.blocked) for row in waiting}, key=str):
            self.stdout.write(f"  {partner}: {blocked.code}: {blocked.message}")
