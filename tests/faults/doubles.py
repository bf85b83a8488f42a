"""Everything done by several processes at once, from the first statement to the PDF: done once, as by one alone."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from tests.faults import boundaries, workflows
from tests.faults.books import differences, totals
from tests.faults.children import in_child
from tests.faults.figures import Figures
from tests.faults.servers import TEMPLATE, Servers, use_database

ALONE, TOGETHER = "doubles_alone", "doubles_together"
PATIENCE = 30.0


def at_once(database: str, work: Callable[[], None], processes: int) -> list[str]:
    """Do the work in so many processes, released at the same moment; return the errors that are no refusals."""
    gate, opener = os.pipe()

    def run() -> str:
        from django.db import OperationalError, connection

        from apps.core.errors import Conflict

        use_database(database)
        connection.ensure_connection()
        os.close(opener)
        os.read(gate, 1)  # ends for all when the last writer closes
        until = time.monotonic() + PATIENCE
        while True:
            try:
                work()
            except Conflict:
                return ""  # somebody else was faster
            except OperationalError as error:
                connection.close()
                if time.monotonic() > until:
                    return repr(error)
                continue
            return ""

    with ThreadPoolExecutor(processes) as pool:
        runs = [pool.submit(in_child, run) for _ in range(processes)]
        time.sleep(0.5)
        os.close(opener)
        errors = [str(one.result().result) for one in runs]
    os.close(gate)
    return [error for error in errors if error]


def do_everything_twice(servers: Servers, *, processes: int, seed: int) -> Figures:
    """Do each workflow in `processes` processes at once and compare the books with those of one process."""
    began = time.monotonic()
    servers.copy(TEMPLATE, ALONE)

    def ground() -> None:
        use_database(ALONE)
        workflows.make_ground()

    in_child(ground)
    servers.copy(ALONE, TOGETHER)
    wrong: list[str] = []

    def look(database: str) -> Callable[[], dict]:
        def run() -> dict:
            from apps.pipeline.books import check_books

            use_database(database)
            return {"books": totals(exact=True, told=True), "checks": [str(difference) for difference in check_books()]}

        return run

    for name, work in workflows.WORKFLOWS.items():
        wrong += [f"{name}: {error}" for error in at_once(TOGETHER, work, processes)]
        boundaries.clean_run(ALONE, work)
        alone, together = in_child(look(ALONE)).result, in_child(look(TOGETHER)).result
        wrong += [f"{name}: {text}" for text in differences(alone["books"], together["books"])]  # type: ignore[index]
        wrong += [f"{name}: {text}" for text in together["checks"]]  # type: ignore[index]
    for database in (ALONE, TOGETHER):
        servers.drop(database)
    figures = {"workflows": len(workflows.WORKFLOWS), "processes": processes, "wrong": len(wrong)}
    return Figures("doubles", seed, figures, wrong, began)
