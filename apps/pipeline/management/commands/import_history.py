"""`manage.py import_history DIR --campaign SLUG`."""

from __future__ import annotations

from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from apps.campaigns.models import Campaign
from apps.core.actors import SYSTEM
from apps.core.errors import Refusal
from apps.imports import rules
from apps.imports.models import ImportRun
from apps.pipeline.services.importing import Watch, import_history

UNUSABLE, SOME_REFUSED = 2, 3
FIRST = 10

DESCRIPTION = f"""Read a history into a campaign: partners.csv, touches.csv and conversions.csv of a folder.

Repeating it is safe: rows that are there already add nothing, and an import that was cut short is finished
by typing it again. Rows that cannot be taken never stop the others; they are listed here and kept with their
line, code and content. Conversions are settled by the running workers afterwards.

Ends with {UNUSABLE} where nothing could be read, with {SOME_REFUSED} where rows were refused, else with 0.

{rules.__doc__}"""


class Command(BaseCommand):
    help = "Read a history into a campaign: partners.csv, touches.csv and conversions.csv of a folder."

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> Any:
        parser = super().create_parser(prog_name, subcommand, **kwargs)
        parser.formatter_class, parser.description = RawDescriptionHelpFormatter, DESCRIPTION
        return parser

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("folder", metavar="DIR", type=Path, help="the folder with the three files")
        parser.add_argument("--campaign", metavar="SLUG", required=True, help="short name of the campaign")

    def handle(self, *, folder: Path, campaign: str, **options: Any) -> None:
        try:
            with self.watching() as watch:
                runs = import_history(
                    campaign=find_campaign(campaign), folder=folder, actor=SYSTEM, now=datetime.now(UTC), watch=watch
                )
        except Refusal as refusal:
            raise CommandError(f"{refusal.code}: {refusal.message}", returncode=UNUSABLE) from None
        for run in runs:
            self.tell(run)
        refused = sum(run.refused for run in runs)
        if refused:
            raise CommandError(f"{refused:,} rows were refused; all others were taken.", returncode=SOME_REFUSED)

    @contextmanager
    def watching(self) -> Iterator[Watch]:
        """Show a bar per file on a terminal, a line per batch elsewhere."""
        if not self.stdout.isatty():
            yield lambda kind, done, total: self.stdout.write(f"{kind.lower()}: {done:,} of about {total:,} rows")
            return
        columns = TextColumn("{task.description:<12}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
        with Progress(*columns, console=Console(file=self.stdout)) as progress:
            tasks: dict[str, Any] = {}

            def watch(kind: str, done: int, total: int) -> None:
                if kind not in tasks:
                    tasks[kind] = progress.add_task(kind.lower(), total=total)
                progress.update(tasks[kind], completed=done, total=max(done, total))

            yield watch

    def tell(self, run: ImportRun) -> None:
        self.stdout.write(
            f"{run.file_name}: {run.rows:,} rows, {run.added:,} added, {run.repeated:,} there already, "
            f"{run.refused:,} refused"
        )
        for row in run.refused_rows.all()[:FIRST] if run.refused else ():
            self.stdout.write(f"  line {row.row:>7}  {row.code:<24} {row.message}")
        if run.refused > FIRST:
            self.stdout.write(f"  … and {run.refused - FIRST:,} more")


def find_campaign(slug: str) -> Campaign:
    """Return the campaign of a short name. Raises CommandError naming those there are."""
    campaign = Campaign.objects.select_related("advertiser").filter(slug=slug).first()
    if campaign is None:
        known = ", ".join(Campaign.objects.order_by("slug").values_list("slug", flat=True)) or "none yet"
        raise CommandError(f"There is no campaign {slug!r}; the campaigns are: {known}.", returncode=UNUSABLE)
    return campaign
