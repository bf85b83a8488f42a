"""The fault tests' own PostgreSQL and Valkey: started by `./dev`'s code, killed at will, gone with the run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import psycopg

from config.servers import load_dev

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = "tributary"
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

    def lose_valkey(self) -> None:
        """Kill Valkey; it comes back with nothing of what it held."""
        if pid := self.valkey.pid():
            os.kill(pid, signal.SIGKILL)
            while self.valkey.pid():
                pass
        self.valkey.start()

    def run(self, statement: str) -> None:
        with self._connect() as connection:
            connection.execute(statement)

    def _connect(self) -> psycopg.Connection:
        return psycopg.connect(host=str(self.postgres.sockets), user="tributary", dbname="postgres", autocommit=True)


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
