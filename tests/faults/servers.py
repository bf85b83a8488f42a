"""The fault tests' own PostgreSQL and Valkey: started by `./dev`'s code, killed at will, gone with the run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

import psycopg

from config.servers import load_dev

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = "tributary"
CLIENT = """
SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() ORDER BY random()
LIMIT 1
"""
FOLDER = "FAULT_SERVERS"  # names the folder of servers that are up already


class Servers:
    """Both servers of a folder; databases are copies of one that has all tables."""

    def __init__(self, folder: Path) -> None:
        dev = load_dev()
        self.postgres, self.valkey = dev.Postgres(folder, durable=False), dev.Valkey(folder, durable=False)

    def url(self, database: str) -> str:
        return f"postgresql://tributary@/{database}?host={quote(str(self.postgres.sockets))}"

    def copy(self, source: str, name: str) -> str:
        """Make a database as a copy of another, over whatever had its name."""
        self.run(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        self.run(f"CREATE DATABASE {name} TEMPLATE {source}")
        return name

    def drop(self, name: str) -> None:
        self.run(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def cut_connections(self, database: str) -> int:
        """End every connection to a database as a crashed network would; return how many."""
        with self._connect() as connection:
            rows = connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = %s AND backend_type = 'client backend'",
                [database],
            )
            return len(rows.fetchall())

    def kill_valkey(self) -> None:
        """Kill Valkey; it will come back with nothing of what it held."""
        if pid := self.valkey.pid():
            os.kill(pid, signal.SIGKILL)
            while self.valkey.pid():
                time.sleep(0.01)

    def freeze_valkey(self) -> Callable[[], None]:
        """Stop Valkey in its tracks; return what lets it go on."""
        return _freeze([self.valkey.pid()])

    def freeze_postgres(self) -> Callable[[], None]:
        """Stop all of PostgreSQL's processes in their tracks; return what lets them go on."""
        return _freeze(self._postgres_pids())

    def keep_commits(self, database: str) -> None:
        """Let a database's commits outlive a crash of PostgreSQL, as they do outside of tests."""
        self.run(f"ALTER DATABASE {database} SET synchronous_commit = on")

    def crash_postgres(self, *, everything: bool) -> None:
        """Kill all of PostgreSQL's processes, or one client's, upon which it ends the others by itself; let it recover.

        Whoever is killed while it recovers would end it for good: so the end of what was before is waited for.
        """
        if everything:
            struck = self._postgres_pids()
            for pid in struck:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            while not all(map(_is_gone, struck)):
                time.sleep(0.01)
            for lock in self.postgres.sockets.glob(".s.PGSQL.*.lock"):
                lock.unlink()  # a dead server whose parent has not asked for its end still counts as its owner
        else:
            with suppress(psycopg.Error), self._connect() as connection:
                client = connection.execute(CLIENT).fetchone()
                if client is None:
                    return
                os.kill(client[0], signal.SIGKILL)
                while True:
                    connection.execute("SELECT 1")
                    time.sleep(0.01)
        until = time.monotonic() + 60
        while True:
            if not self.postgres.pid():
                self.postgres.start()
            try:
                return self.run("SELECT 1")
            except psycopg.Error:
                if time.monotonic() > until:
                    raise
            time.sleep(0.1)

    def _postgres_pids(self) -> list[int]:
        """Return the process ids of the server, its first one first."""
        main = self.postgres.pid()
        children = Path(f"/proc/{main}/task/{main}/children").read_text().split()
        return [main, *map(int, children)]

    def run(self, statement: str) -> None:
        with self._connect() as connection:
            connection.execute(statement)

    def _connect(self) -> psycopg.Connection:
        return psycopg.connect(host=str(self.postgres.sockets), user="tributary", dbname="postgres", autocommit=True)


def _freeze(pids: list[int]) -> Callable[[], None]:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)

    def go_on() -> None:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    return go_on


def _is_gone(pid: int) -> bool:
    """Tell whether a process is dead, be it that nobody has asked yet how it ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


@contextmanager
def own_servers() -> Iterator[Servers]:
    """Yield servers with the tables made: those the environment names, else new ones that end with the block."""
    if folder := os.environ.get(FOLDER):
        servers = Servers(Path(folder))
        use(servers)
        yield servers
        return
    dev = load_dev()
    throwaway = dev.ThrowawayServers(["DATABASE_URL", "REDIS_URL"])
    try:
        os.environ.update(dev.settings("test", throwaway.take()))
        servers = Servers(throwaway.folder)
        use(servers)
        migrate = [sys.executable, str(ROOT / "manage.py"), "migrate", "--verbosity", "0"]
        subprocess.run(migrate, cwd=ROOT, check=True)
        yield servers
    finally:
        throwaway.leave()


def use(servers: Servers) -> None:
    """Fill the environment with the servers' addresses, for this process and its children."""
    os.environ.update(DATABASE_URL=servers.url(TEMPLATE), REDIS_URL=servers.valkey.url)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    os.environ["EMAIL_BACKEND"] = "django.core.mail.backends.dummy.EmailBackend"


def use_database(name: str) -> None:
    """Let this process work in another database from now on."""
    from django.db import connection

    connection.close()
    connection.settings_dict["NAME"] = name
