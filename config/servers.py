"""The servers' addresses, and the one sentence that is said when there are none."""

from __future__ import annotations

import os
import runpy
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit

DEV = Path(__file__).resolve().parent.parent / "dev"


@dataclass(frozen=True)
class RedisAddresses:
    """One server, spelled for each library that reads it."""

    cache: str
    broker: str


def redis_addresses(url: str) -> RedisAddresses:
    """Return the address of a Redis or Valkey server as the cache and as Celery spell it.

    Accepts `redis://`, `rediss://`, `unix:///path?db=N` (redis-py) and `redis+socket:///path?virtual_host=N` (Celery).
    The address names the broker's database, 0 unless it says otherwise; the cache takes the next one, because emptying
    a cache flushes its whole database. Raises ValueError for any other scheme.
    """
    parts = urlsplit(url)
    query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    if parts.scheme in {"redis", "rediss"}:
        database = int(query.pop("db", parts.path.strip("/") or 0))
        rest = urlencode(query)
        return RedisAddresses(
            cache=urlunsplit((parts.scheme, parts.netloc, f"/{database + 1}", rest, "")),
            broker=urlunsplit((parts.scheme, parts.netloc, f"/{database}", rest, "")),
        )
    if parts.scheme in {"unix", "redis+socket"}:
        database = int(query.pop("db", None) or query.pop("virtual_host", None) or 0)
        login = parts.netloc.rpartition("@")[0]
        login = f"{login}@" if login else ""
        return RedisAddresses(
            cache=f"unix://{login}{parts.path}?db={database + 1}",
            broker=f"redis+socket://{login}{parts.path}?virtual_host={database}",
        )
    raise ValueError(
        f"REDIS_URL must start with redis://, rediss://, unix:// or redis+socket://, not {parts.scheme!r}."
    )


def use_local_servers() -> None:
    """Fill DATABASE_URL and REDIS_URL with the embedded servers, starting them if need be.

    Exits with one sentence where that cannot be done, so that nobody reads a trace about a missing server.
    """
    if os.environ.get("DATABASE_URL") and os.environ.get("REDIS_URL"):
        return
    if not DEV.exists():
        raise SystemExit("Set DATABASE_URL and REDIS_URL to say which servers to use.")
    runpy.run_path(str(DEV))["use_servers"]()
