"""A shop outside: it tells, decides and answers until each is acknowledged, and keeps its own account.

What its partners must come to is plain arithmetic over what was acknowledged: eight percent of what is left of an
order, in equal parts among those whose clicks it named, of a claimed order all to whoever claimed it.
"""

from __future__ import annotations

import json
import os
import random
import re
import signal
import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from apps.tracking.rules.signatures import sign_call
from tests.faults.doors import Doors

PERCENT = 8
CAMPAIGNS = (("kills-eur", "EUR"), ("kills-usd", "USD"))
# A shop's clock: so far behind this house's, or ahead of it, as is mended (seconds).
BEHIND, AHEAD = 590, 240
TOLD_WITH = {"customer_id": "customer", "occurred_at": "occurred_at"}
BROWSER = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Host": "localhost"}


def new_order(number: str, campaign: str, currency: str, partners: list[str]) -> dict:
    facts = {"order": number, "campaign": campaign, "currency": currency, "partners": partners, "tokens": []}
    return {
        **facts,
        **{"customer": "", "amendments": {}, "refunds": {}, "rejected": False, "repeated": False},
        **{"occurred_at": "", "by_api": False},
    }


class Shop:
    """One thread of a shop's life; `links` are codes by campaign and partner, `secrets` sign a campaign's calls."""

    def __init__(
        self,
        number: int,
        *,
        links: dict[str, dict[str, str]],
        secrets: dict[str, str],
        seed: int,
        pace: float,
        **doors: Any,
    ) -> None:
        self.number, self.links, self.secrets, self.pace = number, links, secrets, pace
        self.random = random.Random(f"{seed}-{number}")
        self.doors = Doors(chance=self.random, **doors)
        self.orders: list[dict] = []
        self.clicks: list[str] = []
        self.jobs: list[dict] = []
        self.held: list[int] = []
        self.without_id = self.identified = 0
        self.strange = self.doors.strange

    def live(self, stop: threading.Event) -> None:
        while not stop.is_set():
            pick = self.random.random()
            if pick < 0.06:
                self.decide_many()
            elif pick < 0.12:
                self.be_claimed()
            order = self.sell(f"K-{self.number}-{len(self.orders)}")
            if not self.orders:
                continue
            for _ in range(self.random.choice((0, 0, 0, 1, 2))):
                self.change(self.random.choice(self.orders[-30:]))
            if order and self.random.random() < 0.15:
                self.tell_sale(order)
            time.sleep(self.pace * self.random.random())
        # What is worked out only after an undoing was asked for is left alone by it.
        while self.doors.tell(kind="waiting")["waiting"]:
            self.doors.wait()
        for job in self.held:
            while "refused" in self.doors.tell(kind="undo", job=job):
                self.doors.wait()  # it is still being worked on

    def sell(self, number: str) -> dict | None:
        campaign, currency = self.random.choice(CAMPAIGNS)
        partners = self.random.sample(sorted(self.links[campaign]), self.random.choice((1, 1, 2)))
        clicks = [self.click(self.links[campaign][partner]) for partner in partners]
        named = [(partner, token) for partner, token in zip(partners, clicks, strict=True) if token]
        if not named:
            return None
        order = new_order(number, campaign, currency, [partner for partner, _ in named])
        order |= {"tokens": [token for _, token in named], "amount": 100 * self.random.randrange(10, 300)}
        order["by_api"] = self.random.random() < 0.2
        if self.random.random() < 0.3:
            skew = timedelta(seconds=self.random.uniform(-BEHIND, AHEAD))
            order["occurred_at"] = (datetime.now(UTC) + skew).isoformat()
        self.orders.append(order)
        if self.random.random() < 0.05:
            self.refund(order)  # told before its sale
        # The same partner on another device: the customer's person grows, and what the order comes to does not.
        other = self.random.random() < 0.3 and len(named) == 1 and self.click(self.links[campaign][partners[0]])
        is_known = self.random.random() < 0.5
        if other:
            order["customer"] = f"customer of {number}"
            if is_known:
                self.identify(order, other)
        self.tell_sale(order)
        if other and not is_known:
            self.identify(order, other)
        return order

    def identify(self, order: dict, token: str) -> None:
        fields = {"tclid": token, "customer_id": order["customer"], "ts": str(int(time.time()))}
        fields["sig"] = sign_call(list(fields.items()), self.secrets[order["campaign"]])
        self.identified += self.doors.send(f"/i/{order['campaign']}", fields, method="POST") is not None

    def decide_many(self) -> None:
        """Sell some orders, then hold or reject all of them at once by a filter, or reject some by a list."""
        prefix, kind = f"J-{self.number}-{len(self.orders)}-", self.random.choice(("hold", "reject", "list"))
        numbers = [f"{prefix}{place}" for place in range(self.random.randrange(2, 6))]
        sold = [number for number in numbers if self.sell(number)]
        if not sold:
            return
        time.sleep(self.random.random())
        if kind == "list":
            items = [{"order_ref": order, "decision": "reject", "reason": "cancelled"} for order in sold[::2]]
            answer = self.doors.post("/decisions/", {"items": items}, key=prefix)
        else:
            state, reason = ("ON_HOLD", "review") if kind == "hold" else ("REJECTED", "cancelled")
            answer = self.doors.tell(kind="by_filter", prefix=prefix, state=state, reason=reason)
            self.held += [answer["job"]] if kind == "hold" else []
        job = answer["id"] if kind == "list" else answer["job"]
        self.jobs.append({"job": job, "kind": kind, "orders": sold[::2] if kind == "list" else sold})

    def be_claimed(self) -> None:
        """Accept a partner's claim of an order nobody told of, or of one that was rejected."""
        fallen = [order for order in self.orders[-200:] if order["rejected"] and not order["repeated"]]
        if fallen and self.random.random() < 0.5:
            order, amount = self.random.choice(fallen), None
        else:
            campaign, currency = self.random.choice(CAMPAIGNS)
            partner = self.random.choice(sorted(self.links[campaign]))
            order = new_order(f"C-{self.number}-{len(self.orders)}", campaign, currency, [partner])
            order["amount"] = amount = 100 * self.random.randrange(10, 300)
            self.orders.append(order)
        named = {"order": order["order"], "campaign": order["campaign"], "partner": order["partners"][0]}
        claim = self.doors.tell(kind="claim", amount=amount, **named)["claim"]
        while (answer := self.doors.tell(kind="answer", claim=claim)).get("refused") == "claim_not_settled":
            self.doors.wait()
        if answer.get("state") != "ACCEPTED":
            self.strange.append(f"claim of {order['order']}: {answer}")
        elif amount is None:
            order["repeated"] = True
        else:
            order["id"] = answer["conversion"]

    def click(self, code: str) -> str | None:
        """Click until an answer comes; return the click id that it names, if it names one."""
        while True:
            answer = self.doors.call(self.random.choice(self.doors.ports), f"/c/{code}", BROWSER)
            if answer is not None and answer[0] == 302:
                self.doors.sent += 1
                found = re.search(r"tclid=([^&]+)", answer[1])
                if found is None:
                    self.without_id += 1
                    return None
                self.clicks.append(found[1])
                return found[1]
            self.doors.wait()

    def tell_sale(self, order: dict) -> None:
        if answer := self.say(order, order["amount"]):
            order["id"] = answer["id"]

    def say(self, order: dict, amount: int, **update: int) -> dict | None:
        """Tell an order, or a later word on it, through its door."""
        fields = {"order_ref": order["order"], "amount": f"{amount // 100}.00", "currency": order["currency"], **update}
        fields |= {name: order[told] for name, told in TOLD_WITH.items() if order[told]}
        if order["by_api"]:
            fields |= {"campaign": order["campaign"], "tclid": order["tokens"]}
            fields |= {"update": True} if update else {}
            return self.doors.post("/conversions/", fields, key=self.key())
        pairs = [("tclid", token) for token in order["tokens"]] + list(fields.items())
        return self.doors.send(f"/s/{order['campaign']}", self.vouched(order, pairs))

    def vouched(self, order: dict, pairs: list) -> list:
        """Sign a call about an order that the shop never told itself: a person accepted it."""
        if order["tokens"]:
            return pairs
        stamped = [*pairs, ("ts", str(int(time.time())))]
        return [*stamped, ("sig", sign_call(stamped, self.secrets[order["campaign"]]))]

    def key(self) -> str:
        """Return a new key for one call in two, and none for the other."""
        return f"{self.random.random()}-" if self.random.random() < 0.5 else ""

    def change(self, order: dict) -> None:
        """Refund, amend or reject an order told before."""
        pick = self.random.random()
        if pick < 0.6:
            self.refund(order)
        elif pick < 0.85:
            sequence = self.random.choice([n for n in range(1, 50) if str(n) not in order["amendments"]])
            amount = 100 * self.random.randrange(10, 300)
            if self.say(order, amount, update=1, sequence=sequence):
                order["amendments"][str(sequence)] = amount
        elif not order["repeated"]:
            answer = self.doors.tell(kind="rejection", order=order["order"])
            order["rejected"] = order["rejected"] or "rejected" in answer

    def refund(self, order: dict) -> None:
        ref = f"R{len(order['refunds'])}-{self.random.random()}"
        amount = 0 if self.random.random() < 0.2 else 100 * self.random.randrange(1, 60)
        fields: dict = {"order_ref": order["order"], "refund_ref": ref, "currency": order["currency"]}
        for _ in range(self.random.choice((1, 1, 2))):
            # More than is left is refused, for good: the shop takes it back too.
            final = ("more_than_sold",)
            if order["by_api"]:
                told = {"amount": f"{amount // 100}.00"} if amount else {"whole": True}
                answer = self.doors.post("/refunds/", fields | told, key=self.key(), final=final)
            else:
                told = {"amount": f"{amount // 100}.00"} if amount else {"whole": "1"}
                answer = self.doors.send(
                    f"/s/{order['campaign']}/refund", self.vouched(order, list((fields | told).items())), final=final
                )
            if answer:
                order["refunds"][ref] = amount


def open_shop(account: Path, *, threads: int, **facts: object) -> int:
    """Fork the shop's process; told to end, it completes what it is at, writes its account and leaves."""
    pid = os.fork()
    if pid:
        return pid
    try:
        stop = threading.Event()
        signal.signal(signal.SIGTERM, lambda *_: stop.set())
        lives = [Shop(number, **facts) for number in range(threads)]  # type: ignore[arg-type]
        at_work = [threading.Thread(target=life.live, args=(stop,)) for life in lives]
        for thread in at_work:
            thread.start()
        for thread in at_work:
            thread.join()
        told = {
            "orders": [order for life in lives for order in life.orders],
            "clicks": [click for life in lives for click in life.clicks],
            "strange": [text for life in lives for text in life.strange],
            "jobs": [job for life in lives for job in life.jobs],
            **{name: sum(getattr(life.doors, name) for life in lives) for name in ("sent", "retries", "refused")},
            **{name: sum(getattr(life, name) for life in lives) for name in ("without_id", "identified")},
        }
        account.write_text(json.dumps(told))
        os._exit(0)
    finally:
        os._exit(1)


def owed(orders: Sequence[dict]) -> dict[tuple[str, str], int]:
    """Return what the account says that each partner is owed, in minor units by partner and currency."""
    found: dict[tuple[str, str], int] = defaultdict(int)
    for order in orders:
        amount = order["amount"]
        if order["amendments"]:
            amount = order["amendments"][max(order["amendments"], key=int)]
        left = max(0, amount - sum(order["refunds"].values()))
        if (order["rejected"] and not order["repeated"]) or 0 in order["refunds"].values():
            left = 0
        for partner in order["partners"]:
            found[partner, order["currency"]] += left * PERCENT // 100 // len(order["partners"])
    return dict(found)
