"""Worker processes that live to be killed: each looks for waiting rows as the Celery tasks do, again and again.

Their clock runs ahead and fast, so that what is sold today matures, locks and is billed within the run.
"""

from __future__ import annotations

import json
import os
import socket
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.faults.servers import use_database

AHEAD = timedelta(days=40)
AT_ONCE = 2  # rows of a job's chunk
TURN = 0.05  # seconds between two looks


@dataclass(frozen=True)
class Shift:
    """What workers share: their database, a folder for sockets and complaints, and the clock."""

    database: str
    folder: Path
    began: float
    days_per_second: float

    def now(self) -> datetime:
        days = (time.monotonic() - self.began) * self.days_per_second
        return datetime.now(UTC) + AHEAD + timedelta(days=days)

    @property
    def clock(self) -> str:
        """Tell the clock to another process."""
        return f"{self.began} {self.days_per_second}"

    @classmethod
    def of_clock(cls, told: str) -> Shift:
        began, days_per_second = map(float, told.split())
        return cls("", Path(), began, days_per_second)

    @property
    def teller(self) -> str:
        return str(self.folder / "teller.sock")

    @property
    def complaints(self) -> Path:
        return self.folder / "complaints.txt"


def start(shift: Shift, role: str) -> int:
    """Fork a worker and return its process id."""
    pid = os.fork()
    if pid == 0:
        try:
            os.setpgid(0, 0)
            use_database(shift.database)
            ROLES[role](shift)
        finally:
            os._exit(1)
    return pid


def _again(shift: Shift, work: Callable[[], object]) -> None:
    """Do the work for ever; a connection that was cut is no fault of it, anything else is written down."""
    import psycopg
    from django.db import InterfaceError, OperationalError, connection

    while True:
        try:
            work()
        except (OperationalError, InterfaceError, psycopg.OperationalError):
            # The driver's own error comes from a cut met while Django closes a cursor, which it does not translate.
            connection.close()
        except Exception:
            with open(shift.complaints, "a") as file:
                file.write(traceback.format_exc() + "\n")
            connection.close()
        time.sleep(TURN)


def settle(shift: Shift) -> None:
    from apps.pipeline.services.refunding import tell_surpluses
    from apps.pipeline.services.settling import settle_waiting
    from apps.tracking.sweeping import wake_awaited

    def work() -> None:
        wake_awaited(now=shift.now(), hear=tell_surpluses)
        settle_waiting(now=shift.now(), limit=200)

    _again(shift, work)


def approve(shift: Shift) -> None:
    from apps.identity.models import Advertiser
    from apps.pipeline.services.deciding import approve_matured

    def work() -> None:
        for advertiser in Advertiser.objects.order_by("pk"):
            approve_matured(advertiser=advertiser, now=shift.now())

    _again(shift, work)


def bill(shift: Shift) -> None:
    from apps.core.actors import SYSTEM
    from apps.identity.models import Advertiser
    from apps.pipeline.services.closing import close_month, issue_invoices, render_missing

    def work() -> None:
        for advertiser in Advertiser.objects.order_by("pk"):
            for month in months_over(advertiser, shift.now()):
                close_month(advertiser=advertiser, month=month, actor=SYSTEM, now=shift.now())
            issue_invoices(advertiser=advertiser, actor=SYSTEM, now=shift.now())
        render_missing(now=shift.now())

    _again(shift, work)


def months_over(advertiser, now: datetime) -> list:
    """Return the months that have ended and are not closed, from the advertiser's first conversion on."""
    from apps.core.periods import add_months, day_of
    from apps.statements.models import ClosedPeriod

    last = ClosedPeriod.objects.filter(advertiser=advertiser).order_by("-period").first()
    month = last.period.upper if last else day_of(datetime.now(UTC), advertiser.zone).replace(day=1)
    today, found = day_of(now, advertiser.zone), []
    while add_months(month, 1) <= today:
        found.append(month)
        month = add_months(month, 1)
    return found


def decide(shift: Shift) -> None:
    """Work on decisions at scale, a few rows at a time, so that there is something to resume."""
    from apps.pipeline.services import deciding_chunks

    deciding_chunks.CHUNK = AT_ONCE
    deciding_chunks.Stride.__init__.__defaults__ = (AT_ONCE, False)  # type: ignore[misc]
    _again(shift, lambda: deciding_chunks.work_on_decisions(now=shift.now()))


def tell(shift: Shift) -> None:
    """Take in what people and the API's callers do over a socket; an answer means that it is stored for good."""
    from django.db import connection

    from apps.pipeline.bell import decide_bell
    from tests.faults.office import Office

    # Nobody whose clock is the real one is to work on jobs: an end would lie before its beginning.
    decide_bell.ring = lambda: None  # type: ignore[method-assign]
    office = Office(shift.now)
    path = Path(shift.teller)
    path.unlink(missing_ok=True)
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    server.listen(50)
    while True:
        client, _ = server.accept()
        with client, client.makefile("rw") as lines:
            try:
                answer = office.act(json.loads(lines.readline()))
            except Exception as error:
                answer = {"error": repr(error)}
                connection.close()
            try:
                lines.write(json.dumps(answer) + "\n")
                lines.flush()
            except OSError:
                continue


ROLES: dict[str, Callable[[Shift], None]] = {
    "settle": settle,
    "approve": approve,
    "decide": decide,
    "bill": bill,
    "tell": tell,
}
