"""Events of single orders, shuffled, repeated and late, through the pure rules: only their set decides.

A little machine takes one event after the other as the workers do: it settles what is pending anew, and once the order
is approved it adds the signed difference. Whatever the order of arrival, the sum must be what the rules give for the
whole set at once.
"""

from __future__ import annotations

import random
import time
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from apps.attribution.rules import Policy, Sale, Touch, attribute
from apps.commissions.rules import Item, Order, Pay, Plan, Rule, basket, rate
from apps.pipeline.rules.reductions import AMOUNT, LINES, WHOLE, RefundFact, amounts_after
from tests.faults.figures import Figures

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
MODELS = ("LAST_CLICK", "FIRST_CLICK", "LINEAR", "POSITION", "TIME_DECAY")
PLANS = {"default": Plan(key="default", rules=(Rule("all", Pay(percent=Decimal("7.5"))),))}
PARTNERS = "abcd"
PROCESSES, CHUNK = 2, 500


@dataclass(frozen=True)
class Event:
    """Something told of an order: a `touch`, the `sale`, a `refund` or an `amendment` (sequence, items)."""

    kind: str
    told: object


def draw_story(chance: random.Random) -> list[Event]:
    """Return the facts of one order, each once, in the order they happened."""
    touches = [
        Touch(f"t{place}", "CLICK", NOON - timedelta(hours=chance.randrange(1, 700)), partner=chance.choice(PARTNERS))
        for place in range(chance.randrange(1, 5))
    ]
    events = [Event("touch", touch) for touch in touches]
    events.append(Event("sale", draw_items(chance)))
    for sequence in range(1, 1 + chance.choice((0, 0, 1, 2))):
        events.append(Event("amendment", (sequence, draw_items(chance))))
    for place in range(chance.choice((0, 1, 1, 2, 3))):
        at = NOON + timedelta(hours=chance.randrange(500))
        kind = chance.choices((AMOUNT, LINES, WHOLE), (5, 4, 1))[0]
        lines = ((chance.randrange(1, 4), chance.randrange(1, 3)),) if kind == LINES else ()
        amount = chance.randrange(1, 60_00) if kind == AMOUNT else 0
        events.append(Event("refund", RefundFact(f"r{place}", kind, at, amount, lines)))
    return events


def draw_items(chance: random.Random) -> tuple[Item, ...]:
    return tuple(Item(chance.randrange(1, 99_99), chance.randrange(1, 4)) for _ in range(chance.randrange(1, 4)))


def order_of(items: tuple[Item, ...]) -> Order:
    lines, flags = basket(None, 0, items)
    return Order(net=sum(line.net for line in lines), lines=lines, flags=flags)


def worth(events: list[Event], policy: Policy) -> dict[str, int]:
    """Return what each partner is to have by a set of facts, told at once: the batch model."""
    sold = next(event.told for event in events if event.kind == "sale")
    amendments = dict(event.told for event in events if event.kind == "amendment")  # type: ignore[misc]
    order = order_of(amendments[max(amendments)] if amendments else sold)
    touches = [event.told for event in events if event.kind == "touch"]
    attribution = attribute(Sale(NOON), touches, policy)
    amounts = [award.commission for award in rate(order, attribution, PLANS).awards]
    refunds = [event.told for event in events if event.kind == "refund"]
    ranks = [winner.rank for winner in attribution.winners]
    left = amounts_after(amounts, ranks, order, refunds, attribution=attribution, plans=PLANS)
    return {str(winner.partner): cents for winner, cents in zip(attribution.winners, left, strict=True)}


@dataclass
class Machine:
    """Takes events as they arrive; `booked` are the signed rows, of which none is ever changed."""

    policy: Policy
    facts: list[Event] = field(default_factory=list)
    pending: dict[str, int] = field(default_factory=dict)
    booked: list[tuple[str, int]] = field(default_factory=list)
    approved: bool = False

    def take(self, event: Event) -> None:
        if event in self.facts:
            return
        self.facts.append(event)
        if not any(fact.kind == "sale" for fact in self.facts):
            return
        target = worth(self.facts, self.policy)
        if not self.approved:
            self.pending = target
            return
        have = self.sums()
        changes = [(name, target.get(name, 0) - have.get(name, 0)) for name in target.keys() | have.keys()]
        self.booked += [(name, change) for name, change in changes if change]

    def approve(self) -> None:
        self.approved = True
        self.booked += [(name, cents) for name, cents in self.pending.items() if cents]

    def sums(self) -> dict[str, int]:
        found: dict[str, int] = defaultdict(int)
        for name, cents in self.booked:
            found[name] += cents
        return found


def arrivals(events: list[Event], chance: random.Random) -> tuple[list[Event], list[Event]]:
    """Return an order of arrival before and after the approval: shuffled, some twice or thrice, refunds also late.

    Clicks and the sale come before the approval: what is decided then stays decided.
    """
    early = [event for event in events if event.kind in {"touch", "sale"} or chance.random() < 0.5]
    late = [event for event in events if event not in early]
    early += chance.choices(early, k=chance.randrange(3))
    late += chance.choices(early + late, k=chance.randrange(4))
    chance.shuffle(early)
    chance.shuffle(late)
    return early, late


def play(seed: str) -> str | None:
    """Play one story; return what is wrong with it, if anything."""
    chance = random.Random(seed)
    events = draw_story(chance)
    policy = Policy(model=chance.choice(MODELS))
    expected = {name: cents for name, cents in worth(events, policy).items() if cents}
    machine = Machine(policy)
    early, late = arrivals(events, chance)
    for event in early:
        machine.take(event)
    machine.approve()
    for event in late:
        machine.take(event)
    found = {name: cents for name, cents in machine.sums().items() if cents}
    return None if found == expected else f"story {seed}: {found}, the set of facts gives {expected}"


def play_many(first: int, count: int, seed: int) -> list[str]:
    return [wrong for number in range(first, first + count) if (wrong := play(f"{seed}-{number}"))]


def run_sequences(*, count: int, seed: int) -> Figures:
    """Play `count` stories in two processes."""
    began = time.monotonic()
    starts = range(0, count, CHUNK)
    sizes = [min(CHUNK, count - start) for start in starts]
    with ProcessPoolExecutor(PROCESSES) as pool:
        wrong = [text for found in pool.map(play_many, starts, sizes, [seed] * len(sizes)) for text in found]
    return Figures("sequences", seed, {"sequences": count, "wrong": len(wrong)}, wrong, began)
