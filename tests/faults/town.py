"""All processes of an installation and the servers below them: each may be killed, frozen or away, and comes back."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress

from tests.faults import ahead, workers
from tests.faults.servers import ROOT, Servers

ROLES = ("settle", "settle", "approve", "decide", "decide", "bill", "bill", "tell")
COLLECTORS, BEATS = 2, 2
LONGEST_HANG = 20.0  # seconds
QUEUES = "settle,billing,messages,insights"
# How often what happens, out of a hundred.
WEIGHTS = {
    **{"worker": 70, "collector": 7, "web": 3, "celery": 3, "beat": 1.5},
    **{"valkey": 5, "valkey_away": 0.5, "connections": 6, "postgres": 3, "postgres_hung": 1},
}


class Town:
    """The processes by name; `patience` is the longest time in seconds that a server stays away."""

    def __init__(self, servers: Servers, shift: workers.Shift, database: str, patience: float) -> None:
        self.servers, self.shift, self.database, self.patience = servers, shift, database, patience
        self.ports = [free_port() for _ in range(COLLECTORS)]
        self.web_port = free_port()
        self.workers: dict[int, tuple[str, int]] = {}
        self.programs: dict[str, subprocess.Popen] = {}
        self.away: dict[str, tuple[float, Callable[[], None]]] = {}
        self.log = open(shift.folder / "programs.log", "ab")  # noqa: SIM115  (it lives as long as the town)

    def open(self) -> None:
        for place, role in enumerate(ROLES):
            self.workers[place] = (role, workers.start(self.shift, role))
        for name in self._arguments():
            self._start(name)
        for port in (*self.ports, self.web_port):
            _wait_for(port)

    def close(self) -> None:
        self.call_back(everyone=True)
        for _, pid in self.workers.values():
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        for program in self.programs.values():
            _kill_group(program)
        self.log.close()

    def strike(self, what: str, chance: random.Random) -> int | None:
        """Let something happen; return how many processes were killed, None where what it is about is away."""
        server = "postgres" if what == "connections" else what.partition("_")[0]
        if server in self.away:
            return None
        return getattr(self, f"_strike_{what}", self._strike_program)(what, chance)

    def call_back(self, *, everyone: bool = False) -> None:
        """Let servers come back whose time it is."""
        for name, (until, come) in list(self.away.items()):
            if everyone or time.monotonic() > until:
                del self.away[name]
                come()

    def _strike_worker(self, _: str, chance: random.Random) -> int:
        place = chance.randrange(len(self.workers))
        role, pid = self.workers[place]
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        self.workers[place] = (role, workers.start(self.shift, role))
        return 1

    def _strike_program(self, what: str, chance: random.Random) -> int:
        name = chance.choice([name for name in self.programs if name.split()[0] == what])
        _kill_group(self.programs[name])
        self._start(name)
        return 1

    def _strike_connections(self, _: str, chance: random.Random) -> int:
        self.servers.cut_connections(self.database)
        return 0

    def _strike_valkey(self, _: str, chance: random.Random) -> int:
        self.servers.kill_valkey()
        self.servers.valkey.start()
        return 1

    def _strike_valkey_away(self, _: str, chance: random.Random) -> int:
        """Leave Valkey dead, or frozen with its connections open, for a while."""
        until = time.monotonic() + self.patience * chance.random()
        if chance.random() < 0.5:
            self.servers.kill_valkey()
            self.away["valkey"] = until, self.servers.valkey.start
            return 1
        self.away["valkey"] = until, self.servers.freeze_valkey()
        return 0

    def _strike_postgres(self, _: str, chance: random.Random) -> int:
        """Crash PostgreSQL: one of its processes, upon which it ends the others by itself, or all at once."""
        self.servers.crash_postgres(everything=chance.random() < 0.5)
        return 1

    def _strike_postgres_hung(self, _: str, chance: random.Random) -> int:
        until = time.monotonic() + min(LONGEST_HANG, self.patience) * chance.random()
        self.away["postgres"] = until, self.servers.freeze_postgres()
        return 0

    def _arguments(self) -> dict[str, list[str]]:
        """Return the programs' command lines behind `python -m`, by name."""
        granian = ["granian", "--host", "127.0.0.1", "--no-ws", "--interface"]
        celery = ["tests.faults.ahead", "celery", "-A", "config"]
        return {
            **{
                f"collector {place}": [*granian, "asgi", "--port", str(port), "config.asgi:application"]
                for place, port in enumerate(self.ports)
            },
            "web": [
                *granian,
                "wsgi",
                "--blocking-threads",
                "8",
                "--backpressure",
                "32",
                "--port",
                str(self.web_port),
                "config.wsgi:application",
            ],
            "celery": [*celery, "worker", "-l", "WARNING", "-c", "1", "-Q", QUEUES],
            **{f"beat {place}": [*celery, "beat", "-l", "WARNING", "--pidfile="] for place in range(BEATS)},
        }

    def _start(self, name: str) -> None:
        env = {**os.environ, "DATABASE_URL": self.servers.url(self.database), "PYTHONPATH": str(ROOT)}
        if name == "celery":
            env[ahead.CLOCK] = self.shift.clock
        self.programs[name] = subprocess.Popen(
            [sys.executable, "-m", *self._arguments()[name]],
            cwd=ROOT,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=self.log,
            start_new_session=True,
        )


def _kill_group(program: subprocess.Popen) -> None:
    with suppress(ProcessLookupError):
        os.killpg(program.pid, signal.SIGKILL)
    program.wait()


def _wait_for(port: int) -> None:
    """Wait until somebody listens. Raises TimeoutError after a minute."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.1)
    raise TimeoutError(f"nobody listens on {port}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
