"""What every benchmark needs: a register, a stopwatch for time and CPU, rounds that alternate, a table."""

import itertools
import json
import os
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import median

from django.db import connection
from rich.console import Console
from rich.table import Table

from apps.campaigns.models import Campaign
from tests.cast import make_advertiser, make_campaign

BENCHMARKS: dict[str, Callable[[bool], "Report"]] = {}
TICKS = os.sysconf("SC_CLK_TCK")
numbers = itertools.count(1)


@dataclass(frozen=True)
class Report:
    """The figures by their names in the performance budgets, the size they hold for, and the table to print."""

    figures: dict[str, float]
    scale: dict[str, object]
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]] = field(default_factory=list)


@dataclass(frozen=True)
class Measured:
    """How long something took: on the clock, and of CPU in this process and its PostgreSQL backend together."""

    seconds: float
    cpu_seconds: float


def benchmark(name: str) -> Callable:
    """Register a function that measures and returns a Report; its argument says whether to be quick."""

    def register(function: Callable[[bool], Report]) -> Callable[[bool], Report]:
        BENCHMARKS[name] = function
        return function

    return register


def throwaway_campaign(**fields: object) -> Campaign:
    """Return a new campaign of a new advertiser, named so that no earlier run is in the way."""
    slug = f"bench-{os.getpid()}-{time.monotonic_ns()}-{next(numbers)}"
    return make_campaign(make_advertiser(slug), slug, **fields)


def backend_cpu_seconds() -> float:
    """Return the CPU time of this connection's PostgreSQL process. Ends the run where it cannot be read."""
    connection.ensure_connection()
    pid = connection.connection.info.backend_pid
    try:
        with open(f"/proc/{pid}/stat") as stat:
            name, _, rest = stat.read().partition("(")[2].rpartition(")")
    except OSError:
        name, rest = "", ""
    if not name.startswith("postgres"):
        raise SystemExit("CPU time is counted with PostgreSQL's own: run this beside the server, on Linux.")
    user, system = rest.split()[11:13]
    return (int(user) + int(system)) / TICKS


def measure(action: Callable[[], object]) -> Measured:
    """Do something and say how long it took; a fresh connection counts what PostgreSQL did from its beginning."""
    backend, own, started = backend_cpu_seconds(), time.process_time(), time.perf_counter()
    action()
    seconds, own = time.perf_counter() - started, time.process_time() - own
    return Measured(seconds, own + backend_cpu_seconds() - backend)


def alternate(actions: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[Measured]]:
    """Measure the actions in turn, A B A B …, so that a noisy minute falls on all of them."""
    found: dict[str, list[Measured]] = {name: [] for name in actions}
    for _ in range(rounds):
        for name, action in actions.items():
            found[name].append(measure(action))
    return found


def analyze(*tables: str) -> None:
    """Tell the planner about data that was just made, as autovacuum does for data that came over time."""
    with connection.cursor() as cursor:
        for table in tables:
            cursor.execute(f"ANALYZE {table}")


def middle(measured: list[Measured], attribute: str) -> float:
    return median(getattr(one, attribute) for one in measured)


def machine() -> dict[str, object]:
    with connection.cursor() as cursor:
        cursor.execute("SHOW server_version")
        server = cursor.fetchone()[0]
    return {
        "cpus": os.cpu_count(),
        "architecture": platform.machine(),
        "python": platform.python_version(),
        "postgresql": server,
    }


def show(report: Report, *, name: str, as_json: bool) -> None:
    """Print the table and, if asked, one object on a line of its own."""
    scale = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in report.scale.items())
    print(f"{name}: {scale}")
    table = Table()
    for place, column in enumerate(report.columns):
        table.add_column(column, justify="right" if place else "left")
    for row in report.rows:
        table.add_row(*row)
    Console(width=120).print(table)
    if as_json:
        result = {"bench": name, "figures": report.figures, "scale": report.scale, "machine": machine()}
        print(json.dumps(result), flush=True)
