"""A shop outside: it tells, decides and answers until each is acknowledged, and keeps its own account.

What its partners must come to is plain arithmetic over what was acknowledged: eight percent of what is left of an
order, in equal parts among those whose clicks it named, of a claimed order all to whoever claimed it.
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

from apps.tracking.rules.signatures import sign_call

PERCENT = 8
SETTLED = 5.0  # seconds until what was told last is worked out: an undoing leaves alone what is worked out after it
CAMPAIGNS = (("kills-eur", "EUR"), ("kills-usd", "USD"))
BROWSER = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Host": "localhost"}


def new_order(number: str, campaign: str, currency: str, partners: list[str]) -> dict:
    facts = {"order": number, "campaign": campaign, "currency": currency, "partners": partners, "tokens": []}
    return {**facts, "customer": "", "amendments": {}, "refunds": {}, "rejected": False, "repeated": False}


class Shop:
    """One thread of a shop's life; `links` are codes by campaign and partner, `secrets` sign a campaign's
    calls, `token` is the key of its machines.
    """

    def __init__(
        self,
        number: int,
        *,
        ports: Sequence[int],
        teller: str,
        links: dict[str, dict[str, str]],
        secrets: dict[str, str],
        token: str,
        seed: int,
        pace: float,
    ) -> None:
        self.number, self.ports, self.teller, self.links, self.pace = number, ports, teller, links, pace
        self.random, self.token, self.secrets = random.Random(f"{seed}-{number}"), token, secrets
        self.orders: list[dict] = []
        self.clicks: list[str] = []
        self.jobs: list[dict] = []
        self.held: list[int] = []
        self.retries = self.without_id = self.sent = self.identified = self.refused = 0
        self.strange: list[str] = []

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
        time.sleep(SETTLED)
        for job in self.held:
            while "refused" in self.tell(kind="undo", job=job):
                self.wait()  # it is still being worked on

    def sell(self, number: str) -> dict | None:
        campaign, currency = self.random.choice(CAMPAIGNS)
        partners = self.random.sample(sorted(self.links[campaign]), self.random.choice((1, 1, 2)))
        clicks = [self.click(self.links[campaign][partner]) for partner in partners]
        named = [(partner, token) for partner, token in zip(partners, clicks, strict=True) if token]
        if not named:
            return None
        order = new_order(number, campaign, currency, [partner for partner, _ in named])
        order |= {"tokens": [token for _, token in named], "amount": 100 * self.random.randrange(10, 300)}
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
        self.identified += self.send(f"/i/{order['campaign']}", fields, method="POST") is not None

    def decide_many(self) -> None:
        """Sell some orders, then hold or reject all of them at once by a filter, or reject some by a list."""
        prefix, kind = f"J-{self.number}-{len(self.orders)}-", self.random.choice(("hold", "reject", "list"))
        numbers = [f"{prefix}{place}" for place in range(self.random.randrange(2, 6))]
        sold = [number for number in numbers if self.sell(number)]
        if not sold:
            return
        time.sleep(self.random.random())
        if kind == "list":
            asked = {"kind": "by_list", "orders": sold[::2], "token": self.token}
            answer, tries = {"refused": ""}, 0
            while "refused" in answer:
                # A call that died at work blocks its key for two minutes; the same list under another is no harm.
                answer = self.tell(**asked, key=f"{prefix}{tries // 20}")
                tries += 1
        else:
            state, reason = ("ON_HOLD", "review") if kind == "hold" else ("REJECTED", "cancelled")
            answer = self.tell(kind="by_filter", prefix=prefix, state=state, reason=reason)
            self.held += [answer["job"]] if kind == "hold" else []
        self.jobs.append({"job": answer["job"], "kind": kind, "orders": sold[::2] if kind == "list" else sold})

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
        claim = self.tell(kind="claim", amount=amount, **named)["claim"]
        while (answer := self.tell(kind="answer", claim=claim)).get("refused") == "claim_not_settled":
            self.wait()
        if answer.get("state") != "ACCEPTED":
            self.strange.append(f"claim of {order['order']}: {answer}")
        elif amount is None:
            order["repeated"] = True
        else:
            order["id"] = answer["conversion"]

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
        if answer := self.send(f"/s/{order['campaign']}", self.fields_of(order, order["amount"])):
            order["id"] = answer["id"]

    def fields_of(self, order: dict, amount: int) -> list[tuple[str, str]]:
        query = [("tclid", token) for token in order["tokens"]]
        query += [("customer_id", order["customer"])] if order["customer"] else []
        query += [("order_ref", order["order"]), ("amount", f"{amount // 100}.00")]
        return [*query, ("currency", order["currency"])]

    def change(self, order: dict) -> None:
        """Refund, amend or reject an order told before."""
        pick = self.random.random()
        if pick < 0.6:
            self.refund(order)
        elif pick < 0.85:
            sequence = self.random.choice([n for n in range(1, 50) if str(n) not in order["amendments"]])
            amount = 100 * self.random.randrange(10, 300)
            told = [*self.fields_of(order, amount), ("update", "1"), ("sequence", str(sequence))]
            if self.send(f"/s/{order['campaign']}", told):
                order["amendments"][str(sequence)] = amount
        elif not order["repeated"]:
            answer = self.tell(kind="rejection", order=order["order"])
            order["rejected"] = order["rejected"] or "rejected" in answer

    def refund(self, order: dict) -> None:
        ref = f"R{len(order['refunds'])}-{self.random.random()}"
        amount = 0 if self.random.random() < 0.2 else 100 * self.random.randrange(1, 60)
        fields = {"order_ref": order["order"], "refund_ref": ref, "currency": order["currency"]}
        fields |= {"amount": f"{amount // 100}.00"} if amount else {"whole": "1"}
        for _ in range(self.random.choice((1, 1, 2))):
            # More than is left is refused, for good: the shop takes it back too.
            if self.send(f"/s/{order['campaign']}/refund", fields, final=("more_than_sold",)):
                order["refunds"][ref] = amount

    def send(self, path: str, fields: object, *, method: str = "GET", final: Sequence[str] = ()) -> dict | None:
        """Call until the answer is no fault of the house's; None where it is a refusal."""
        query = urlencode(fields)  # type: ignore[arg-type]
        while True:
            answer = self.call(f"{path}?{query}", {"Host": "localhost"}, method)
            if answer is not None and answer[0] in {200, 201}:
                self.sent += 1
                return json.loads(answer[2])
            if answer is not None and answer[0] not in {500, 503}:
                if json.loads(answer[2]).get("code") in final:
                    self.refused += 1
                else:
                    self.strange.append(f"{path}?{query[:120]}: {answer[0]} {answer[2][:200]!r}")
                return None
            self.wait()

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

    def call(self, path: str, headers: dict[str, str], method: str = "GET") -> tuple[int, str, bytes] | None:
        """Return status, location and body, or None where nobody answered to the end."""
        port = self.random.choice(self.ports)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        try:
            connection.request(method, path, headers=headers)
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
            "jobs": [job for life in lives for job in life.jobs],
            **{
                name: sum(getattr(life, name) for life in lives)
                for name in ("sent", "retries", "without_id", "identified", "refused")
            },
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
