"""Kill processes at random while a shop sends; then be quiet, and compare the books with the shop's own account."""

from __future__ import annotations

import json
import os
import random
import signal
import tempfile
import time
from pathlib import Path

from tests.faults import shop, workers
from tests.faults.children import in_child
from tests.faults.comparing import bill_everything, compare, waits
from tests.faults.figures import Figures
from tests.faults.servers import TEMPLATE, Servers, use_database
from tests.faults.town import WEIGHTS, Town

DATABASE = "kills"
PARTNERS = ("ada", "ben", "cleo", "dan")
QUIET = 60.0  # seconds within which everything that waits must be done
SHOPPERS = 3
AWAY_AT_MOST = 120.0  # seconds that a server stays away in a long run, and in a short one:
AWAY_SHORTLY = 3.0


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
    token = cast.make_key(advertiser, ["conversions:decide", "conversions:write"])
    return {"links": links, "secrets": secrets, "token": token}


def kill_at_random(servers: Servers, *, count: int, minutes: float | None, seed: int) -> Figures:
    """Kill `count` processes, or as many as `minutes` hold; return the figures of the run."""
    began, chance = time.monotonic(), random.Random(seed)
    servers.copy(TEMPLATE, DATABASE)
    servers.keep_commits(DATABASE)

    def ground() -> dict:
        use_database(DATABASE)
        return make_ground()

    known: dict = in_child(ground).result  # type: ignore[assignment]
    folder = Path(tempfile.mkdtemp(prefix="faults-"))
    speed = 1.0 if minutes is None else 0.25
    shift = workers.Shift(DATABASE, folder, time.monotonic(), days_per_second=speed)
    town = Town(servers, shift, DATABASE, patience=AWAY_SHORTLY if minutes is None else AWAY_AT_MOST)
    account_file = folder / "account.json"
    selling = 0
    try:
        town.open()
        doors = {"ports": town.ports, "web_port": town.web_port, "teller": shift.teller}
        selling = shop.open_shop(account_file, threads=SHOPPERS, seed=seed, pace=0.02, **doors, **known)
        kills, strikes = strike(town, chance, count, minutes)
        os.kill(selling, signal.SIGTERM)
        _, status = os.waitpid(selling, 0)
        selling = 0
        quiet = time.monotonic()
        left = wait_until_quiet()
        took = time.monotonic() - quiet
    finally:
        if selling:
            os.kill(selling, signal.SIGKILL)  # it would wait for an answer for ever, and hold what prints this
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


def strike(town: Town, chance: random.Random, count: int, minutes: float | None) -> tuple[int, dict[str, int]]:
    """Strike each kind once, then at random, until so many are killed or the time is over; return both counts."""
    kills, strikes = 0, dict.fromkeys(WEIGHTS, 0)
    until = time.monotonic() + (minutes or 0) * 60
    to_come = chance.sample(list(WEIGHTS), len(WEIGHTS))
    while kills < count if minutes is None else time.monotonic() < until:
        what = to_come.pop() if to_come else chance.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        killed = town.strike(what, chance)
        if killed is not None:
            kills += killed
            strikes[what] += 1
        time.sleep(chance.random())
        town.call_back()
    town.call_back(everyone=True)
    return kills, strikes


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
