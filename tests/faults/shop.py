"""A shop outside: it sends clicks, sales, refunds and the like until each is acknowledged, and keeps its own account.

What its partners must come to is plain arithmetic over what was acknowledged: eight percent of what is left of an
order, in equal parts among those whose clicks it named.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import re
import signal
import socket
import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlencode

PERCENT = 8
BROWSER = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Host": "localhost"}


class Shop:
    """One thread of a shop's life; `links` are codes by campaign, partners being what stands before the colon."""

    def __init__(
        self,
        number: int,
        *,
        ports: Sequence[int],
        teller: str,
        links: dict[str, dict[str, str]],
        seed: int,
        pace: float,
    ) -> None:
        self.number, self.ports, self.teller, self.links, self.pace = number, ports, teller, links, pace
        self.random = random.Random(f"{seed}-{number}")
        self.orders: list[dict] = []
        self.clicks: list[str] = []
        self.retries = self.without_id = self.sent = 0
        self.strange: list[str] = []

    def live(self, stop: threading.Event) -> None:
        while not stop.is_set():
            order = self.sell()
            if not self.orders:
                continue
            for _ in range(self.random.choice((0, 0, 0, 1, 2))):
                self.change(self.random.choice(self.orders[-30:]))
            if order and self.random.random() < 0.15:
                self.tell_sale(order)
            time.sleep(self.pace * self.random.random())

    def sell(self) -> dict | None:
        campaign, currency = self.random.choice((("kills-eur", "EUR"), ("kills-usd", "USD")))
        partners = self.random.sample(sorted(self.links[campaign]), self.random.choice((1, 1, 2)))
        clicks = [self.click(self.links[campaign][partner]) for partner in partners]
        named = [(partner, token) for partner, token in zip(partners, clicks, strict=True) if token]
        if not named:
            return None
        order = {
            "order": f"K-{self.number}-{len(self.orders)}",
            "campaign": campaign,
            "currency": currency,
            "partners": [partner for partner, _ in named],
            "tokens": [token for _, token in named],
            "amount": 100 * self.random.randrange(10, 300),
            "amendments": {},
            "refunds": {},
            "rejected": False,
        }
        self.orders.append(order)
        if self.random.random() < 0.05:
            self.refund(order)  # told before its sale
        self.tell_sale(order)
        return order

    def click(self, code: str) -> str | None:
        """Click until an answer comes; return the click id that it names, if it names one."""
        while True:
            answer = self.call(f"/c/{code}", BROWSER)
            if answer is not None and answer[0] == 302:
                self.sent += 1
                found = re.search(r"tclid=([^&]+)", answer[1])
                if found is None:
                    self.without_id += 1
                    return None
                self.clicks.append(found[1])
                return found[1]
            self.wait()

    def tell_sale(self, order: dict) -> None:
        query = [("tclid", token) for token in order["tokens"]]
        query += [("order_ref", order["order"]), ("amount", f"{order['amount'] // 100}.00")]
        query.append(("currency", order["currency"]))
        while True:
            answer = self.call(f"/s/{order['campaign']}?{urlencode(query)}", {"Host": "localhost"})
            if answer is not None and answer[0] in {200, 201}:
                self.sent += 1
                order["id"] = json.loads(answer[2])["id"]
                return
            if answer is not None and answer[0] not in {500, 503}:
                self.strange.append(f"{order['order']}: {answer[0]} {answer[2][:200]!r}")
                return
            self.wait()

    def change(self, order: dict) -> None:
        """Refund, amend or reject an order told before."""
        pick = self.random.random()
        if pick < 0.6:
            self.refund(order)
        elif pick < 0.85:
            sequence = self.random.choice([n for n in range(1, 50) if str(n) not in order["amendments"]])
            amount = 100 * self.random.randrange(10, 300)
            self.tell(kind="amendment", order=order["order"], sequence=sequence, amount=amount)
            order["amendments"][str(sequence)] = amount
        else:
            answer = self.tell(kind="rejection", order=order["order"])
            order["rejected"] = order["rejected"] or answer["rejected"]

    def refund(self, order: dict) -> None:
        ref = f"{order['order']}-R{len(order['refunds'])}"
        amount = 0 if self.random.random() < 0.2 else 100 * self.random.randrange(1, 60)
        for _ in range(self.random.choice((1, 1, 2))):
            self.tell(kind="refund", order=order["order"], ref=ref, amount=amount)
        order["refunds"][ref] = amount

    def tell(self, **told: object) -> dict:
        """Tell until an answer without an error comes."""
        while True:
            with suppress(OSError, ValueError), socket.socket(socket.AF_UNIX) as client:
                client.settimeout(20)
                client.connect(self.teller)
                with client.makefile("rw") as lines:
                    lines.write(json.dumps(told) + "\n")
                    lines.flush()
                    answer = json.loads(lines.readline())
                if "error" not in answer:
                    self.sent += 1
                    return answer
            self.wait()

    def call(self, path: str, headers: dict[str, str]) -> tuple[int, str, bytes] | None:
        """Return status, location and body, or None where nobody answered to the end."""
        port = self.random.choice(self.ports)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        try:
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.headers.get("location", ""), answer.read()
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()

    def wait(self) -> None:
        self.retries += 1
        time.sleep(0.05)


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
            "sent": sum(life.sent for life in lives),
            "retries": sum(life.retries for life in lives),
            "without_id": sum(life.without_id for life in lives),
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
        if order["rejected"] or 0 in order["refunds"].values():
            left = 0
        for partner in order["partners"]:
            found[partner, order["currency"]] += left * PERCENT // 100 // len(order["partners"])
    return dict(found)
