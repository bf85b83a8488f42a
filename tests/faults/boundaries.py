"""Kill a workflow before every statement it sends and around every commit, run it again, compare with a clean run."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import psycopg

from tests.faults.books import differences, totals
from tests.faults.children import in_child
from tests.faults.figures import Figures
from tests.faults.servers import TEMPLATE, Servers, use_database
from tests.faults.workflows import CARELESS, EARLIER, WORKFLOWS, make_ground

EACH = 2  # boundaries of each workflow that any sample has
PATIENCE = 3.0  # seconds that the second run may take until the work is done


class Boundaries:
    """Counts what a process sends to the database; at the chosen boundary the process dies."""

    def __init__(self, deadly: int | None = None) -> None:
        self.seen, self.deadly = 0, deadly

    def cross(self) -> None:
        if self.seen == self.deadly:
            os.kill(os.getpid(), signal.SIGKILL)
        self.seen += 1

    @contextmanager
    def watching(self) -> Iterator[Boundaries]:
        """Watch the driver itself, so that COPY, raw cursors and commits count like Django's own statements."""
        watched = [
            (psycopg.Cursor, "execute", False),
            (psycopg.Cursor, "executemany", False),
            (psycopg.Cursor, "copy", False),
            (psycopg.ServerCursor, "execute", False),
            (psycopg.Connection, "commit", True),
        ]
        originals = [getattr(owner, name) for owner, name, _ in watched]
        for (owner, name, after), original in zip(watched, originals, strict=True):
            setattr(owner, name, self._counted(original, after))
        try:
            yield self
        finally:
            for (owner, name, _), original in zip(watched, originals, strict=True):
                setattr(owner, name, original)

    def _counted(self, original: Callable, after: bool) -> Callable:
        def counted(*args: object, **kwargs: object) -> object:
            self.cross()
            answer = original(*args, **kwargs)
            if after:
                self.cross()
            return answer

        return counted


def clean_run(database: str, work: Callable[[], None]) -> tuple[dict, int]:
    """Do the work to its end in a child; return the books after it and how many boundaries it crossed."""

    def run() -> tuple[dict, int]:
        use_database(database)
        with Boundaries().watching() as boundaries:
            work()
        return totals(exact=True, told=True), boundaries.seen

    books, seen = in_child(run).result  # type: ignore[misc]
    return books, seen


def killed_run(database: str, work: Callable[[], None], deadly: int) -> bool:
    """Do the work in a child that dies at a boundary; return whether it did."""

    def run() -> None:
        use_database(database)
        with Boundaries(deadly).watching():
            work()

    return in_child(run).signal == signal.SIGKILL


def run_again(database: str, work: Callable[[], None], expected: dict) -> list[str]:
    """Do the work again, as a sweep would until nothing waits; return what then differs, and what the books say."""

    def run() -> list[str]:
        from apps.pipeline.books import check_books

        use_database(database)
        until = time.monotonic() + PATIENCE
        while True:
            work()
            found = differences(expected, totals(exact=True, told=True))
            if not found or time.monotonic() > until:
                return found + [str(difference) for difference in check_books()]
            time.sleep(0.05)

    return in_child(run).result  # type: ignore[return-value]


def sample(places: list[tuple[int, str, int]], count: int, seed: int) -> list[tuple[int, str, int]]:
    """Return so many places, some of each workflow however small it is."""
    chance = random.Random(seed)
    chance.shuffle(places)
    taken: Counter[int] = Counter()
    ranked = []
    for place in places:
        taken[place[0]] += 1
        ranked.append((taken[place[0]] > EACH, place))
    return sorted(place for _, place in sorted(ranked, key=lambda one: one[0])[:count])


def kill_at_boundaries(
    servers: Servers, *, count: int | None, seed: int, workflows: Mapping[str, Callable[[], None]] = WORKFLOWS
) -> Figures:
    """Kill each workflow at its boundaries, all of them or a sample of `count`, and compare with the clean run."""
    began = time.monotonic()
    before = servers.copy(TEMPLATE, "boundaries_0")

    def ground() -> None:
        use_database(before)
        make_ground()

    in_child(ground)
    states, clean, places = [before], [], []
    for number, (name, work) in enumerate(workflows.items(), 1):
        after = servers.copy(states[-1], f"boundaries_{number}")
        books, crossed = clean_run(after, work)
        clean.append(books)
        places += [(number - 1, name, place) for place in range(crossed)]
        states.append(after)
    print(f"{len(places)} boundaries in {len(workflows)} workflows", flush=True)
    places = [place for place in places if place[1] not in EARLIER or workflows is not CARELESS]
    chosen = places if count is None else sample(places, count, seed)
    wrong, died = [], 0
    for number, name, place in chosen:
        victim = servers.copy(states[number], "boundaries_victim")
        died += killed_run(victim, workflows[name], place)
        wrong += [f"{name}, killed at {place}: {text}" for text in run_again(victim, workflows[name], clean[number])]
    for database in [*states, "boundaries_victim"]:
        servers.drop(database)
    figures = {"boundaries": len(places), "killed": died, "wrong": len(wrong)}
    return Figures("boundaries", seed, figures, wrong + ["a run survived"] * (died < len(chosen)), began)
