"""Kill processes at random while a shop sends; then be quiet, and compare the books with the shop's own account."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from contextlib import suppress
from pathlib import Path

from tests.faults import shop, workers
from tests.faults.children import in_child
from tests.faults.figures import Figures
from tests.faults.servers import ROOT, TEMPLATE, Servers, use_database

DATABASE = "kills"
PARTNERS = ("ada", "ben", "cleo", "dan")
ROLES = ("settle", "settle", "approve", "decide", "decide", "bill", "bill", "tell")
QUIET = 60.0  # seconds within which everything that waits must be done
COLLECTORS, SHOPPERS = 2, 3
# How often what happens, out of a hundred.
WEIGHTS = {"worker": 72, "collector": 8, "celery": 6, "valkey": 7, "connections": 7}


def make_ground() -> dict:
    """Write the advertiser with a campaign per currency; return its links by campaign and partner, its campaigns'
    secrets, and an API key."""
    from django.utils import timezone

    from apps.campaigns.models import TrackingLink
    from apps.tracking.partitions import make_months_ahead
    from tests import cast

    make_months_ahead(now=timezone.now())
    advertiser = cast.make_advertiser("kills", decide_days=5, lock_days=5)
    partners = [cast.make_partner(slug) for slug in PARTNERS]
    links: dict[str, dict[str, str]] = {}
    secrets: dict[str, str] = {}
    for currency in ("EUR", "USD"):
        campaign = cast.make_campaign(advertiser, f"kills-{currency.lower()}", currencies=[currency])
        cast.make_policy(campaign, model="LINEAR")
        cast.make_plan(campaign)
        codes = {}
        for partner in partners:
            enrollment = cast.join(partner, campaign)
            codes[partner.slug] = TrackingLink.objects.get(enrollment=enrollment).code
        links[campaign.slug], secrets[campaign.slug] = codes, campaign.secret
    return {"links": links, "secrets": secrets, "token": cast.make_key(advertiser, ["conversions:decide"])}


class Town:
    """All processes of an installation, each of which may be killed and is then started again."""

    def __init__(self, servers: Servers, shift: workers.Shift) -> None:
        self.servers, self.shift = servers, shift
        self.ports = [free_port() for _ in range(COLLECTORS)]
        self.workers: dict[int, tuple[str, int]] = {}
        self.programs: dict[str, subprocess.Popen] = {}
        self.log = open(shift.folder / "programs.log", "ab")  # noqa: SIM115  (it lives as long as the town)

    def open(self) -> None:
        for place, role in enumerate(ROLES):
            self.workers[place] = (role, workers.start(self.shift, role))
        for place in range(COLLECTORS):
            self._start(f"collector {place}")
        self._start("celery")

    def close(self) -> None:
        for _, pid in self.workers.values():
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        for program in self.programs.values():
            _kill_group(program)
        self.log.close()

    def strike(self, what: str, chance: random.Random) -> int:
        """Let something happen; return how many processes were killed."""
        if what == "connections":
            self.servers.cut_connections(DATABASE)
            return 0
        if what == "valkey":
            self.servers.lose_valkey()
            return 1
        if what == "worker":
            place = chance.randrange(len(self.workers))
            role, pid = self.workers[place]
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            self.workers[place] = (role, workers.start(self.shift, role))
            return 1
        name = what if what == "celery" else f"collector {chance.randrange(COLLECTORS)}"
        _kill_group(self.programs[name])
        self._start(name)
        return 1

    def _start(self, name: str) -> None:
        if name == "celery":
            arguments = ["celery", "-A", "config", "worker", "-l", "WARNING", "-c", "1", "-Q", "settle,billing"]
        else:
            port = str(self.ports[int(name.split()[1])])
            arguments = ["granian", "--interface", "asgi", "--host", "127.0.0.1", "--port", port, "--no-ws"]
            arguments.append("config.asgi:application")
        env = {**os.environ, "DATABASE_URL": self.servers.url(DATABASE), "PYTHONPATH": str(ROOT)}
        self.programs[name] = subprocess.Popen(
            [sys.executable, "-m", *arguments],
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


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def waits() -> dict[str, int]:
    """Return how many rows still wait, by work list."""
    from apps.commissions.models import Decision, DecisionState
    from apps.records.models import Job
    from apps.tracking.models import AwaitedClick, AwaitedSale, Stirred, Unsettled

    return {
        "unsettled": Unsettled.objects.count(),
        "refunds without their sale": AwaitedSale.objects.count(),
        "sales without their clicks": AwaitedClick.objects.count(),
        "marks": Stirred.objects.count(),
        "undecided": Decision.objects.filter(state__in=[DecisionState.PENDING, DecisionState.ON_HOLD]).count(),
        "jobs": Job.objects.unfinished().count(),
    }


def bill_everything(shift: workers.Shift) -> None:
    """Close months until nothing is unstated, however late it falls due; the books may then be compared."""
    from datetime import timedelta

    from apps.core.actors import SYSTEM
    from apps.core.periods import Period
    from apps.identity.models import Advertiser
    from apps.ledger.models import UnstatedPosting
    from apps.pipeline.services.closing import close_month, issue_invoices

    advertiser, now = Advertiser.objects.get(), shift.now()
    while UnstatedPosting.objects.exists():
        now += timedelta(days=31)
        for month in workers.months_over(advertiser, now):
            moment = max(now, Period.month(month.year, month.month, advertiser.zone).end)
            close_month(advertiser=advertiser, month=month, actor=SYSTEM, now=moment)
    issue_invoices(advertiser=advertiser, actor=SYSTEM, now=now)


def compare(account: dict) -> dict:
    """Return what differs between the shop's account and the books, in numbers and in sentences."""
    from django.db import connection

    from apps.pipeline.books import check_books
    from apps.tracking.models import Conversion, Touchpoint
    from apps.tracking.rules.clicks import read_click
    from apps.tracking.selectors import click_keys
    from tests.faults.books import totals

    wrong = [str(difference) for difference in check_books(sample=2_000)] + judge_jobs(account)
    books = totals(told=True)
    expected = {key: amount for key, amount in shop.owed(account["orders"]).items() if amount}
    found = {(slug, currency): int(amount) for slug, currency, amount in books["owed"] if int(amount)}
    for key in sorted(expected.keys() | found.keys()):
        if expected.get(key, 0) != found.get(key, 0):
            wrong.append(f"{key}: the books owe {found.get(key, 0)}, the shop's account says {expected.get(key, 0)}")
    if expected != found:
        wrong += compare_orders(account["orders"])
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT p.slug, s.currency, sum(s.earned_minor) FROM statements_statement s "
            "JOIN partners_partner p ON p.id = s.partner_id GROUP BY 1, 2"
        )
        stated = {(slug, currency): int(amount) for slug, currency, amount in cursor.fetchall() if amount}
        cursor.execute("SELECT count(*) - count(DISTINCT posting_id) FROM statements_statementline")
        twice = cursor.fetchone()[0]
    wrong += [f"statements say {stated}, the shop's account {expected}"] * (stated != expected)
    told = {order["order"]: order.get("id") for order in account["orders"] if order.get("id")}
    kept = {ref: str(id_) for ref, id_ in Conversion.objects.values_list("order_ref", "id")}
    lost = [ref for ref, id_ in told.items() if kept.get(ref) != id_]
    campaigns = dict(Conversion.objects.values_list("campaign__slug", "campaign_id"))
    keys = click_keys()
    ids = {id_ for token in account["clicks"] for c in campaigns.values() if (id_ := read_click(token, c, keys))}
    touches = set(Touchpoint.objects.filter(pk__in=ids).values_list("pk", flat=True))
    lost_clicks = len(account["clicks"]) - len(touches)
    over = sum(max(0, found.get(key, 0) - expected.get(key, 0)) for key in expected.keys() | found.keys())
    wrong += [f"{len(lost)} acknowledged sales are lost: {lost[:5]}"] * bool(lost)
    wrong += [f"{lost_clicks} acknowledged clicks are lost"] * bool(lost_clicks)
    joined = sum(int(count) for visitors, count, _ in books["persons"] if visitors == "2")
    if joined != account["identified"]:
        wrong.append(f"{account['identified']} customers of two devices were told, {joined} persons are known")
    wrong += account["strange"]
    return {"wrong": wrong, "lost": len(lost) + lost_clicks, "paid_twice_minor": over, "claimed_twice": twice}


def compare_orders(orders: list[dict]) -> list[str]:
    """Return of the first orders that differ what the account says of them, and how their conversions stand."""
    from apps.commissions.models import Commission
    from apps.tracking.models import Conversion

    booked: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    owed = Commission.objects.filter(payable=True, conversion__decision__state="APPROVED")
    for number, slug, minor in owed.values_list("conversion__order_ref", "partner__slug", "amount_minor"):
        booked[number.partition("~")[0]][slug] += minor
    wrong = []
    for order in orders:
        expected = {partner: amount for (partner, _), amount in shop.owed([order]).items() if amount}
        found = {partner: amount for partner, amount in booked[order["order"]].items() if amount}
        if expected != found:
            known = Conversion.objects.filter(order_ref__in=[order["order"], f"{order['order']}~2"])
            stands = [
                (row.order_ref, row.decision.state, row.decision.note, [str(move) for move in row.moves.all()])
                for row in known.select_related("decision").order_by("order_ref")
            ]
            wrong.append(f"{order['order']}: expected {expected}, booked {found}: {order} {stands}")
    return wrong[:10]


def judge_jobs(account: dict) -> list[str]:
    """Note on the account's orders what jobs have rejected; return what jobs say that is not so."""
    from apps.commissions.models import Decision, DecisionState
    from apps.records.models import Job, JobItemOutcome, JobState

    orders, wrong = {order["order"]: order for order in account["orders"]}, []
    for asked in account["jobs"]:
        job = Job.objects.get(pk=asked["job"])
        if job.state != JobState.DONE or job.done != job.total:
            wrong.append(f"job {job.pk} is {job.state} at {job.done} of {job.total}")
        by_job = Decision.objects.filter(
            conversion__moves__job=job, conversion__order_ref__in=asked["orders"]
        ).distinct()
        moved = set(by_job.values_list("conversion__order_ref", flat=True))
        if len(moved) != job.moved:
            wrong.append(f"job {job.pk} says that it moved {job.moved}, it was {sorted(moved)}")
        if asked["kind"] == "list":
            done = job.items.filter(outcome__in=[JobItemOutcome.DONE, JobItemOutcome.UNCHANGED])
            moved = set(done.values_list("content__order_ref", flat=True))
        for number in moved if asked["kind"] != "hold" else ():
            orders[number]["rejected"] = True
    decided = Decision.objects.exclude(state=DecisionState.REJECTED).values_list("conversion__order_ref", flat=True)
    stands = set(decided)
    wrong += [f"{number} is not rejected" for number, order in orders.items() if order["rejected"] and number in stands]
    return wrong


def kill_at_random(servers: Servers, *, count: int, minutes: float | None, seed: int) -> Figures:
    """Kill `count` processes, or as many as `minutes` hold; return the figures of the run."""
    began, chance = time.monotonic(), random.Random(seed)
    servers.copy(TEMPLATE, DATABASE)

    def ground() -> dict:
        use_database(DATABASE)
        return make_ground()

    known: dict = in_child(ground).result  # type: ignore[assignment]
    folder = Path(tempfile.mkdtemp(prefix="faults-"))
    speed = 1.0 if minutes is None else 0.25
    shift = workers.Shift(DATABASE, folder, time.monotonic(), days_per_second=speed)
    town = Town(servers, shift)
    account_file = folder / "account.json"
    kills, strikes = 0, dict.fromkeys(WEIGHTS, 0)
    try:
        town.open()
        selling = shop.open_shop(
            account_file, threads=SHOPPERS, ports=town.ports, teller=shift.teller, seed=seed, pace=0.02, **known
        )
        time.sleep(3)
        until = time.monotonic() + (minutes or 0) * 60
        while kills < count if minutes is None else time.monotonic() < until:
            what = chance.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
            kills += town.strike(what, chance)
            strikes[what] += 1
            time.sleep(chance.random())
        os.kill(selling, signal.SIGTERM)
        _, status = os.waitpid(selling, 0)
        quiet = time.monotonic()
        left = wait_until_quiet()
        took = time.monotonic() - quiet
    finally:
        town.close()
    account = json.loads(account_file.read_text()) if status == 0 else {}

    def finish() -> dict:
        use_database(DATABASE)
        bill_everything(shift)
        return compare(account)

    found = in_child(finish).result
    wrong = [f"after {QUIET:.0f} quiet seconds {left} waited"] * any(left.values()) + found["wrong"]  # type: ignore
    wrong += ["the shop sold nothing"] * (not account["orders"])
    wrong += shift.complaints.read_text().split("\n\n")[:5] if shift.complaints.exists() else []
    figures = {
        "kills": kills,
        **{f"{name}_struck": times for name, times in strikes.items()},
        "sales": len(account["orders"]),
        "clicks": len(account["clicks"]),
        "acknowledged": account["sent"],
        "jobs": len(account["jobs"]),
        "claims": sum(order["repeated"] or not order["tokens"] for order in account["orders"]),
        "identified": account["identified"],
        "retried": account["retries"],
        "without_id": account["without_id"],
        "lost": found["lost"],  # type: ignore[index]
        "paid_twice_minor": found["paid_twice_minor"],  # type: ignore[index]
        "claimed_twice": found["claimed_twice"],  # type: ignore[index]
        "quiet_after_s": round(took, 1),
    }
    servers.drop(DATABASE)
    return Figures("kills", seed, figures, wrong, began)


def wait_until_quiet() -> dict[str, int]:
    """Wait until nothing waits any more, a minute at most; return what still does."""

    def look() -> dict[str, int]:
        use_database(DATABASE)
        return waits()

    until = time.monotonic() + QUIET
    while True:
        left = in_child(look).result
        if not any(left.values()) or time.monotonic() > until:  # type: ignore[union-attr]
            return left  # type: ignore[return-value]
        time.sleep(0.5)
