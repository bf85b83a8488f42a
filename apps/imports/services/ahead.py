"""Read the next batch while the database stores this one."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from queue import Queue
from threading import Event, Thread
from typing import TypeVar

Item = TypeVar("Item")
AHEAD = 2


def read_ahead(items: Iterator[Item]) -> Generator[Item, None, None]:
    """Yield the items of an iterator that runs in a thread of its own, at most two ahead.

    The thread must not use the database: its connection belongs to the caller. What the iterator raises is
    raised here; when the caller stops early, so does the thread.
    """
    queue: Queue[tuple[Item | None, BaseException | None]] = Queue(AHEAD)
    stop = Event()

    def fill() -> None:
        try:
            for item in items:
                if stop.is_set():
                    return
                queue.put((item, None))
        except BaseException as error:
            queue.put((None, error))
        else:
            queue.put((None, None))

    with running(Thread(target=fill, name="read-ahead", daemon=True), stop, queue):
        while True:
            item, error = queue.get()
            if error:
                raise error
            if item is None:
                return
            yield item


@contextmanager
def running(thread: Thread, stop: Event, queue: Queue[tuple[Item | None, BaseException | None]]) -> Iterator[None]:
    """Let a thread run for as long as its items are wanted; what it still wants to hand over is let go."""
    thread.start()
    try:
        yield
    finally:
        stop.set()
        while thread.is_alive():
            while not queue.empty():
                queue.get()
            thread.join(0.01)
