"""Forked children that may be killed: what they return comes through a pipe, or never."""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Ended:
    """How a child ended: the signal that killed it (0: none), and what it returned."""

    signal: int
    result: object = None


def in_child(work: Callable[[], object]) -> Ended:
    """Do work in a forked child, to its end or to its death. Raises RuntimeError where the work itself failed."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        status = 1
        try:
            answer = json.dumps(work(), default=str).encode()
            with os.fdopen(writer, "wb") as out:
                out.write(answer)
            status = 0
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
        finally:
            os._exit(status)
    os.close(writer)
    with os.fdopen(reader, "rb") as told:
        answer = told.read()
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        return Ended(os.WTERMSIG(status))
    if os.waitstatus_to_exitcode(status):
        raise RuntimeError("a child failed; its trace stands above")
    return Ended(0, json.loads(answer))
