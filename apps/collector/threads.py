"""Run calls that use Django's database layer beside the event loop, on threads with connections of their own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from django.db import close_old_connections, connections
from django.db.backends.base.base import BaseDatabaseWrapper

P = ParamSpec("P")
R = TypeVar("R")

THREADS = 8


class DatabaseThreads:
    """A few threads, each with one connection that lives as long as CONN_MAX_AGE says."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(THREADS, thread_name_prefix="collector")
        self._mine = threading.local()
        self._wrappers: list[BaseDatabaseWrapper] = []

    async def run(self, patience: float, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Return what a call returns. Raises TimeoutError after `patience` seconds; the call may still end well."""
        work = asyncio.get_running_loop().run_in_executor(self._executor, lambda: self._run(call, *args, **kwargs))
        return await asyncio.wait_for(work, patience)

    def close(self) -> None:
        """Let running calls end and close what they used."""
        self._executor.shutdown(wait=True, cancel_futures=True)
        for wrapper in self._wrappers:
            if wrapper.connection is not None:
                wrapper.connection.close()

    def _run(self, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        if not getattr(self._mine, "known", False):
            self._mine.known = True
            self._wrappers.append(connections["default"])
        close_old_connections()
        try:
            return call(*args, **kwargs)
        finally:
            close_old_connections()
