"""Do a verb again where the database refused it only for its timing."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from functools import wraps
from itertools import chain
from typing import ParamSpec, TypeVar

from django.db import OperationalError, connection

# A serialization failure, a deadlock, a lock that was not given in time.
TIMING = frozenset({"40001", "40P01", "55P03"})
PAUSES = (0.05, 0.25)
P = ParamSpec("P")
R = TypeVar("R")
logger = logging.getLogger(__name__)


def retried(verb: Callable[P, R]) -> Callable[P, R]:
    """Let a verb that is one transaction be done again, twice at most, after a deadlock or a lock not given in time.

    Inside a transaction nothing is tried again: that transaction is lost, and whoever began it begins anew.
    """

    @wraps(verb)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        for pause in chain(PAUSES, [None]):
            try:
                return verb(*args, **kwargs)
            except OperationalError as error:
                if pause is None or connection.in_atomic_block or sqlstate_of(error) not in TIMING:
                    raise
                logger.warning("%s is tried again: %s", verb.__qualname__, sqlstate_of(error))
                time.sleep(pause * (0.5 + random.random()))
        raise AssertionError("the last try returns or raises")

    return call


def sqlstate_of(error: BaseException) -> str:
    """Return PostgreSQL's code of a database error, empty where it comes from elsewhere."""
    return getattr(error.__cause__, "sqlstate", None) or ""
