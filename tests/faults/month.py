"""A shop's month: journeys over devices, baskets, codes, repeats, refunds, amendments; and the shop's own account.

All prices are whole multiples of 48.00, so that every share of every commission is a whole number of cents: what the
partners must come to is plain arithmetic, and none of it is the product's.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from hashlib import sha256
from typing import Any, NamedTuple
from uuid import UUID

from apps.core.ids import uuid7_from

FIRST = datetime(2026, 1, 1, 6, tzinfo=UTC)
DAYS = 28
PARTNERS = ("ada", "ben", "cleo", "dan")
STEP = 48_00
RATES = {"": Fraction(3, 40), "OFFER": Fraction(3, 80)}
NEW_RATE, LEAD_PAY = Fraction(3, 20), 18_00
RULES = [
    {"name": "leads", "when": {"goal": ["LEAD"]}, "pay": {"per_line": "18.00"}},
    {"name": "offers", "when": {"category": ["OFFER"]}, "pay": {"percent": "3.75"}},
    {"name": "all", "when": {}, "pay": {"percent": "7.5"}},
]
DOLLAR_RULES = [{"name": "new", "when": {"new_customer": True}, "pay": {"percent": "15"}}, RULES[2]]
# By campaign: its currency, its rules, which of its conversions are duplicates of others.
CAMPAIGNS: dict[str, tuple[str, list[dict], str]] = {
    "eur": ("EUR", RULES, ""),
    "usd": ("USD", DOLLAR_RULES, ""),
    "click": ("EUR", RULES, "CLICK_GOAL"),
    "customer": ("EUR", RULES, "CUSTOMER_GOAL"),
}
DEDUP_DAYS = 10
REFUNDED, AMENDED, REJECTED, HELD, PARTED = 0.015, 0.006, 0.01, 0.005, 0.1
KIOSK_EVERY, KIOSK_VISITORS = 4_000, 25


class Fact(NamedTuple):
    """Something told; facts of one `group` come together, an `update` not before the sale that `about` names."""

    kind: str
    about: str
    told: Any
    group: str = ""


@dataclass
class Order:
    """An order as the shop knows it; `lines` are (category, unit price, quantity)."""

    ref: str
    campaign: str
    at: datetime
    amount: int = 0
    goal: str = "SALE"
    lines: list[tuple[str, int, int]] = field(default_factory=list)
    touches: list[tuple[datetime, UUID, int]] = field(default_factory=list)
    coupons: tuple[str, ...] = ()
    is_new: bool | None = None
    amendments: dict[int, int] = field(default_factory=dict)
    refunds: list[int] = field(default_factory=list)
    returned: Counter[int] = field(default_factory=Counter)
    is_whole_back: bool = False
    fate: str = "APPROVED"
    decision: dict[str, str] = field(default_factory=dict)

    @property
    def currency(self) -> str:
        return CAMPAIGNS[self.campaign][0]

    def earns(self) -> Fraction:
        """Return the commission of what is left of the order, in minor units."""
        if self.is_whole_back:
            return Fraction(0)
        if self.goal == "LEAD":
            return Fraction(LEAD_PAY)
        if self.lines:
            left = [(kind, price * max(0, pieces - self.returned[place]))
                    for place, (kind, price, pieces) in enumerate(self.lines, 1)]  # fmt: skip
            return sum((RATES[kind] * value for kind, value in left), Fraction(0))
        amount = self.amendments[max(self.amendments)] if self.amendments else self.amount
        rate = NEW_RATE if self.is_new and self.campaign == "usd" else RATES[""]
        return rate * max(0, amount - sum(self.refunds))

    def parts(self) -> dict[int, Fraction]:
        """Return the partners' parts, 40/20/40 over the touches before the sale; without any a code's owner has it."""
        owners = [owner for at, _, owner in sorted(self.touches, key=lambda touch: touch[:2]) if at <= self.at]
        found: dict[int, Fraction] = defaultdict(Fraction)
        between = len(owners) - 2
        for place, owner in enumerate(owners):
            is_end = place in (0, len(owners) - 1)
            if between < 1:
                found[owner] += Fraction(1, len(owners))
            else:
                found[owner] += Fraction(2, 5) if is_end else Fraction(1, 5 * between)
        if not owners and self.coupons:
            found[PARTNERS.index(self.coupons[0].removeprefix("CODE-"))] = Fraction(1)
        return found


@dataclass
class Month:
    """The facts told before the decisions and after them, each in the order they happened, and the account."""

    seed: int
    count: int
    early: list[Fact] = field(default_factory=list)
    late: list[Fact] = field(default_factory=list)
    orders: list[Order] = field(default_factory=list)
    originals: dict[str, str] = field(default_factory=dict)
    joined: int = 0  # persons of more than one visitor

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.lonely: list[UUID] = []
        kinds = {self.plain: 82, self.lead: 3, self.devices: 3, self.clicked: 3, self.by_updates: 0.6,
                 self.same_click: 0.4, self.same_customer: 0.5}  # fmt: skip
        until_kiosk = KIOSK_EVERY // 4
        while len(self.orders) < self.count:
            if len(self.orders) >= until_kiosk:
                until_kiosk += KIOSK_EVERY
                self.kiosk()
            self.random.choices(list(kinds), list(kinds.values()))[0]()
        self.late_links()

    # What customers do.

    def plain(self) -> None:
        """A visitor comes, comes again, buys; sometimes with a code, which alone also leads to its owner."""
        dollars = self.random.random() < 0.1
        order = self.order("usd" if dollars else "eur")
        coupon = self.random.random() < 0.05
        order.coupons = (f"CODE-{self.random.choice(PARTNERS)}",) if coupon else ()
        order.is_new = self.random.choice((None, True, False)) if dollars else None
        visitor = self.visitor()
        if not coupon or self.random.random() < 0.5:
            order.touches = self.touches(order, visitor, self.random.choice((1, 1, 2, 3)))
        self.imported(order, visitor)
        self.afterwards(order)
        if order.fate == "APPROVED" and self.random.random() < 0.005:
            # A click told after the decision: the order stays as it was shared.
            self.touch(order, visitor, self.random.randrange(len(PARTNERS)), self.late)
        elif self.random.random() < 0.004:
            self.lonely.append(visitor)

    def lead(self) -> None:
        order = self.order("eur", goal="LEAD")
        visitor = self.visitor()
        order.touches = self.touches(order, visitor, self.random.choice((1, 2)))
        self.imported(order, visitor)

    def devices(self) -> None:
        """A customer clicks on two devices: two orders name them, or an order and an identify call."""
        name = self.name()
        identity = self.random.choice(({"customer_id": name}, {"email_sha256": sha256(name.encode()).hexdigest()}))
        first, second = self.visitor(), self.visitor()
        order = self.order("eur")
        order.touches = self.touches(order, first, self.random.choice((1, 2)))
        order.touches += self.touches(order, second, self.random.choice((1, 2)))
        self.joined += 1
        both = dict(identity)
        if self.random.random() < 0.3:
            both["device_id"] = f"device {name}"
        self.imported(order, first, both)
        self.afterwards(order)
        if self.random.random() < 0.5:
            self.early.append(Fact("identity", order.ref, (second, identity)))
            return
        again = self.order("eur", at=order.at + timedelta(hours=self.random.randrange(1, 40)))
        again.touches = list(order.touches)
        self.imported(again, second, identity)

    def clicked(self) -> None:
        """A sale with a basket that names the clicks of one or two visitors, nobody knowing that they are one."""
        order = self.order("eur")
        visitors = [self.visitor() for _ in range(self.random.choice((1, 1, 2)))]
        clicks = []
        for visitor in visitors:
            own = self.touches(order, visitor, self.random.choice((1, 2)))
            order.touches += own
            clicks.append(own[-1][1])
        for _ in range(self.random.choice((0, 1, 2, 3))):
            kind, price = self.random.choice(("", "OFFER")), STEP * self.random.randrange(1, 6)
            order.lines.append((kind, price, self.random.randrange(1, 4)))
        if order.lines:
            order.amount = sum(price * pieces for _, price, pieces in order.lines)
        self.told(order, clicks)
        self.afterwards(order)

    def by_updates(self) -> None:
        """An order told by numbered updates alone: the highest number holds, whichever comes first."""
        order = self.order("eur")
        order.touches = self.touches(order, self.visitor(), 2)
        for sequence in (1, 2, 3)[: self.random.choice((2, 3))]:
            order.amendments[sequence] = self.price()
            changes = {"amount_minor": order.amendments[sequence], "is_update": True, "sequence": sequence}
            self.told(order, [order.touches[0][1]], **changes)

    def same_click(self) -> None:
        """Several orders of one click: one counts for each goal, the earliest."""
        ground = self.order("click")
        self.orders.pop()
        touches = self.touches(ground, self.visitor(), self.random.choice((1, 2)))
        firsts: dict[str, str] = {}
        for place in range(self.random.choice((2, 3))):
            goal = self.random.choice(("SALE", "SALE", "LEAD"))
            order = self.order("click", at=ground.at + timedelta(hours=place), goal=goal)
            order.touches = touches
            self.told(order, [touches[0][1]], group=ground.ref)
            self.repeats(order, firsts.setdefault(goal, order.ref))

    def same_customer(self) -> None:
        """Several orders of one customer: what comes within ten days of one that counts repeats it."""
        early = FIRST + (self.moment() - FIRST) % timedelta(days=10)
        ground = self.order("customer", at=early)
        self.orders.pop()
        visitor, name = self.visitor(), self.name()
        touches = self.touches(ground, visitor, self.random.choice((1, 2, 3)))
        firsts: list[Order] = []
        for days in (0, *sorted(self.random.sample((2, 5, 9, 11, 13, 16), 2))):
            order = self.order("customer", at=ground.at + timedelta(days=days))
            order.touches = touches
            self.imported(order, visitor, {"customer_id": name}, group=ground.ref)
            near = [one for one in firsts if order.at - one.at <= timedelta(days=DEDUP_DAYS)]
            firsts += [] if near else [order]
            self.repeats(order, near[0].ref if near else order.ref)

    def kiosk(self) -> None:
        """A counter's device that so many visitors have in common that it joins nobody."""
        name = self.name()
        for _ in range(KIOSK_VISITORS):
            order, visitor = self.order("eur"), self.visitor()
            order.touches = self.touches(order, visitor, 1)
            self.imported(order, visitor, {"device_id": name})

    def late_links(self) -> None:
        """Visitors found to be one after the decisions: persons merge, and nothing that is decided changes."""
        for one, other in zip(self.lonely[::2], self.lonely[1::2], strict=False):
            self.joined += 1
            identity = {"customer_id": self.name()}
            self.late += [Fact("identity", "", (visitor, identity)) for visitor in (one, other)]

    # What the shop tells afterwards.

    def afterwards(self, order: Order) -> None:
        """Refund, amend or decide otherwise: told before the decisions or after them, refunds also before the sale."""
        chance = self.random
        if chance.random() < REFUNDED:
            self.refund(order)
        if not order.lines and chance.random() < AMENDED:
            least = sum(order.refunds) // STEP + 1
            for sequence in (1, 2):
                order.amendments[sequence] = STEP * chance.randrange(least, least + 8)
                changes = {"amount_minor": order.amendments[sequence], "is_update": True, "sequence": sequence}
                fact = self.fact_of(order, **changes)
                chance.choice((self.early, self.late)).append(Fact("update", order.ref, (order.campaign, fact)))
        if order.refunds or order.returned or order.is_whole_back or order.amendments:
            return
        lot = chance.random()
        if lot < REJECTED:
            order.fate, order.decision = "REJECTED", {"decision": "reject", "reason": "cancelled"}
        elif lot < REJECTED + HELD:
            order.fate, order.decision = "ON_HOLD", {"decision": "hold", "reason": "review"}
        elif order.lines and lot > 1 - PARTED:
            order.decision = {"decision": "reject", "reason": "returned", "lines": "1"}
            order.returned[1] = order.lines[0][2]
        elif not order.lines and lot > 1 - HELD:
            order.refunds.append(order.amount // 2)
            order.decision = {"decision": "correct", "reason": "returned", "amount": f"{order.amount / 200:.2f}"}

    def refund(self, order: Order) -> None:
        chance = self.random
        told: list[dict[str, str]] = []
        if order.lines:
            place = chance.randrange(len(order.lines)) + 1
            order.returned[place] += 1
            told.append({"lines": f"{place}:1"})
        else:
            for _ in range(chance.choice((1, 1, 2))):
                amount = STEP // 2 * chance.randrange(1, 3)
                if sum(order.refunds) + amount < order.amount:
                    order.refunds.append(amount)
                    told.append({"amount": f"{amount / 100:.2f}"})
        if chance.random() < 0.2 and sum(pieces for _, _, pieces in order.lines) != 1:
            order.is_whole_back = True
            told.append({"whole": "1"})
        for place, fields in enumerate(told):
            at = order.at + timedelta(hours=chance.randrange(48))
            fields |= {"order_ref": order.ref, "goal": order.goal, "refund_ref": f"R{place}"}
            fields |= {"currency": order.currency, "occurred_at": at.isoformat()}
            chance.choice((self.early, self.late)).append(Fact("refund", order.ref, fields))

    def repeats(self, order: Order, first: str) -> None:
        if first != order.ref:
            self.originals[order.ref], order.fate = first, "PENDING"

    # How it is told.

    def order(self, campaign: str, *, at: datetime | None = None, goal: str = "SALE") -> Order:
        amount = self.price() if goal == "SALE" else 0
        order = Order(f"S-{len(self.orders)}", campaign, at or self.moment(), amount, goal)
        self.orders.append(order)
        return order

    def imported(self, order: Order, visitor: UUID, identity: dict[str, str] | None = None, group: str = "") -> None:
        id_ = uuid7_from(order.at, str(self.seed), order.ref)
        self.early.append(Fact("order", order.ref, (order, id_, visitor, identity or {}), group))

    def told(self, order: Order, clicks: list[UUID], group: str = "", **changes: Any) -> None:
        fact = self.fact_of(order, click_ids=tuple(clicks), **changes)
        self.early.append(Fact("sale", order.ref, (order.campaign, fact), group))

    def fact_of(self, order: Order, **changes: Any) -> dict[str, Any]:
        """Return what a call says of an order, as the fields of a ConversionFact."""
        fields = {"goal": order.goal, "order_ref": order.ref, "amount_minor": order.amount, "currency": order.currency}
        fields |= {"occurred_at": order.at, "lines": tuple(order.lines), "coupons": order.coupons}
        return {**fields, "new_customer": order.is_new, **changes}

    def touches(self, order: Order, visitor: UUID, count: int) -> list[tuple[datetime, UUID, int]]:
        return [self.touch(order, visitor, self.random.randrange(len(PARTNERS)), self.early) for _ in range(count)]

    def touch(self, order: Order, visitor: UUID, owner: int, told: list[Fact]) -> tuple[datetime, UUID, int]:
        at = order.at - timedelta(minutes=self.random.randrange(1, 18_000), milliseconds=self.random.randrange(60_000))
        id_ = uuid7_from(at, str(self.seed), str(self.random.random()))
        told.append(Fact("touch", order.ref, (order.campaign, id_, owner, visitor, at)))
        return at, id_, owner

    def moment(self) -> datetime:
        return FIRST + timedelta(days=DAYS) * min(1.0, len(self.orders) / self.count)

    def price(self) -> int:
        return STEP * self.random.randrange(1, 11)

    def visitor(self) -> UUID:
        return UUID(int=self.random.getrandbits(128), version=4)

    def name(self) -> str:
        return f"{self.random.getrandbits(64):016x}"

    # The account.

    def owed(self) -> dict[tuple[str, str], int]:
        """Return what partners are owed by currency, of the orders that are approved and repeat no other."""
        found: dict[tuple[str, str], Fraction] = defaultdict(Fraction)
        for order in self.orders:
            if order.fate == "APPROVED":
                for owner, part in order.parts().items():
                    found[PARTNERS[owner], order.currency] += part * order.earns()
        assert all(amount.denominator == 1 for amount in found.values()), "the prices are made for whole cents"
        return {key: int(amount) for key, amount in found.items() if amount}

    def fates(self) -> Iterator[tuple[str, str]]:
        for order in self.orders:
            yield order.ref, order.fate
