"""The servers' addresses: how each library spells them, and where they come from when nobody has named any."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType
from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit

DEV = Path(__file__).resolve().parent.parent / "dev"


@dataclass(frozen=True)
class RedisAddresses:
    """One server, spelled for each library that reads it."""

    cache: str
    broker: str


def redis_addresses(url: str, *, offset: int = 0) -> RedisAddresses:
    """Return the address of a Redis or Valkey server as the cache and as Celery spell it.

    Accepts `redis://`, `rediss://`, `unix:///path?db=N` (redis-py) and `redis+socket:///path?virtual_host=N` (Celery).
    The address names the broker's database, 0 unless it says otherwise, to which the offset is added; the cache takes
    the next one, because emptying a cache flushes its whole database. Raises ValueError for any other scheme.
    """
    parts = urlsplit(url)
    query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    if parts.scheme in {"redis", "rediss"}:
        database = int(query.pop("db", None) or parts.path.strip("/") or 0) + offset
        rest = urlencode(query)
        return RedisAddresses(
            cache=urlunsplit((parts.scheme, parts.netloc, f"/{database + 1}", rest, "")),
            broker=urlunsplit((parts.scheme, parts.netloc, f"/{database}", rest, "")),
        )
    if parts.scheme in {"unix", "redis+socket"}:
        database = int(query.get("db") or query.get("virtual_host") or 0) + offset
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
    """Fill the environment with the addresses of this checkout's own servers, starting them if need be.

    Exits with one sentence where that cannot be done, so that nobody reads a trace about a missing server.
    """
    if not (os.environ.get("DATABASE_URL") and os.environ.get("REDIS_URL")):
        load_dev().use_servers()


def use_test_servers() -> None:
    """Fill the environment with servers that end with the tests, and part pytest's workers within them."""
    load_dev().use_throwaway_servers()
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    if worker:
        offset = 2 * (int(worker.removeprefix("gw")) + 1)
        os.environ["REDIS_URL"] = redis_addresses(os.environ["REDIS_URL"], offset=offset).broker


def load_dev() -> ModuleType:
    """Return the script `dev` as a module."""
    if not DEV.exists():
        raise SystemExit("Set DATABASE_URL and REDIS_URL to say which servers to use.")
    loader = SourceFileLoader("dev", str(DEV))
    module = module_from_spec(spec_from_loader("dev", loader))
    sys.modules["dev"] = module
    loader.exec_module(module)
    return module
