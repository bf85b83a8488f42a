"""`import`: rows of touches a second, against reading the same file into `bulk_create`."""

import csv
import random
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

from apps.campaigns.models import Campaign
from apps.core.actors import SYSTEM
from apps.core.ids import uuid7
from apps.pipeline.services.importing import import_history
from apps.tracking.models import Touchpoint
from apps.tracking.partitions import make_partitions
from tests.benchmarks.framework import Report, alternate, benchmark, middle, throwaway_campaign
from tests.cast import NOON

YEAR = datetime(2025, 1, 1, tzinfo=UTC)
PARTNERS = [f"partner{number}" for number in range(12)]


def write_history(folder: Path, rows: int) -> None:
    """Write a year of journeys of about four touches each, and one conversion."""
    draw = random.Random(rows)
    with (folder / "partners.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["partner", "name", "country", "ad_space"])
        writer.writerows([name, name.title(), "DE", f"{name}-main"] for name in PARTNERS)
    with (folder / "touches.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["touch_id", "visitor_id", "occurred_at", "kind", "channel", "partner", "ad_space"])
        for number in range(rows):
            if number % 4 == 0:
                at = YEAR + timedelta(seconds=draw.randrange(330 * 86_400))
            at += timedelta(seconds=draw.randrange(3 * 86_400))
            name = draw.choice(PARTNERS)
            moment = f"{at:%Y-%m-%dT%H:%M:%SZ}"
            writer.writerow([f"t{number}", f"v{number // 4}", moment, "CLICK", name, name, f"{name}-main"])
    with (folder / "conversions.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["order_ref", "visitor_id", "occurred_at", "goal", "amount", "currency"])
        writer.writerow(["H1", "v1", "2025-12-31T12:00:00Z", "SALE", "10.00", "EUR"])


def import_plainly(campaign: Campaign, path: Path) -> None:
    """Do what comes to mind first: a row, an object, `bulk_create`; no checks beyond the moment, no repeat told."""
    visitors = {}
    with path.open(newline="") as file:
        touches = [
            Touchpoint(
                id=uuid7(at := datetime.fromisoformat(row["occurred_at"])),
                advertiser_id=campaign.advertiser_id,
                campaign_id=campaign.pk,
                partner_id=1,
                ad_space_id=1,
                visitor=visitors.setdefault(row["visitor_id"], uuid4()),
                occurred_at=at,
                recorded_at=NOON,
                kind=row["kind"],
                channel=row["channel"],
            )
            for row in csv.DictReader(file)
        ]
    Touchpoint.objects.bulk_create(touches, batch_size=5_000)


@benchmark("import")
def measure_import(quick: bool) -> Report:
    rows, rounds = (60_000, 3) if quick else (200_000, 3)
    make_partitions(first_on=YEAR.date(), last_on=YEAR.date().replace(month=12))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_history(folder, rows)

        def import_well() -> None:
            runs = import_history(campaign=throwaway_campaign(), folder=folder, actor=SYSTEM, now=NOON)
            assert [run.refused for run in runs] == [0, 0, 0] and runs[1].added == rows

        found = alternate(
            {
                "import_history": import_well,
                "bulk_create": lambda: import_plainly(throwaway_campaign(), folder / "touches.csv"),
            },
            rounds,
        )
    speed = {name: rows / middle(times, "seconds") for name, times in found.items()}
    cpu = {name: middle(times, "cpu_seconds") / rows * 1e6 for name, times in found.items()}
    ratio = speed["import_history"] / speed["bulk_create"]
    return Report(
        figures={"rows_per_s": round(speed["import_history"]), "vs_bulk_create": round(ratio, 2)},
        scale={"rows": rows, "rounds": rounds},
        columns=("touches", "rows/s", "CPU µs/row", "ratio"),
        rows=[
            (name, f"{speed[name]:,.0f}", f"{cpu[name]:.1f}", f"{speed[name] / speed['bulk_create']:.1f} ×")
            for name in found
        ],
    )
