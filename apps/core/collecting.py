"""The garbage collector, out of the way of batches."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

SELDOM = 500_000


@contextmanager
def seldom_collecting() -> Iterator[None]:
    """Let the garbage collector look less often: rows come by the thousand, live for a batch and make no cycles."""
    usual = gc.get_threshold()
    gc.set_threshold(SELDOM, *usual[1:])
    try:
        yield
    finally:
        gc.set_threshold(*usual)
