"""The bytes a receipt is sealed by are those of its long form, whatever is in it."""

import json
from decimal import Decimal
from hashlib import sha256
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from apps.commissions.rules import Item, Order, Pay, Plan, Rule, When, basket
from apps.pipeline.rules import canonical_bytes, decide, parse, render, seal
from apps.pipeline.rules.canonical import canonical_text
from apps.pipeline.rules.receipt import compact
from tests.pipeline.documents import EXAMPLE, RICH

names = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.sampled_from(['"', "\\", "\n\t", "é€", "</"])
ids = names | st.uuids() | st.integers(0, 10**9)
amounts = st.integers(0, 10**7) | st.decimals(0, 1000, places=3)
rules = st.builds(
    Rule,
    name=names,
    pay=st.builds(
        Pay,
        percent=st.none() | st.decimals(0, 1000, places=2),
        of=st.sampled_from(["net", "gross"]),
        per_line=amounts,
        per_unit=amounts,
    ),
    when=st.just(When()),
)
items = st.builds(
    Item, unit_price=st.integers(0, 10**6), quantity=st.integers(1, 50), sku=st.none() | names, category=names
)


@st.composite
def plans(draw, key):
    minimum = draw(st.none() | st.integers(0, 10**4))
    return Plan(
        key=key,
        rules=tuple(draw(st.lists(rules, max_size=4))),
        per_order=draw(st.just(0) | amounts),
        minimum=minimum,
        maximum=draw(st.none() | st.integers(minimum or 0, 10**5)),
    )


@st.composite
def receipts(draw):
    """Draw whatever a compact receipt can say, also what no conversion comes to, with its order and its plans."""
    sold = draw(st.lists(items, max_size=3))
    worth = sum(item.unit_price * item.quantity for item in sold)
    lines, flags = basket(draw(st.integers(0, 10**6)), draw(st.integers(0, worth)), sold) if sold else ((), ())
    order = Order(sum(line.net for line in lines), lines, flags=flags)
    known = {key: draw(plans(key)) for key in draw(st.lists(names, min_size=1, max_size=2, unique=True))}
    denominator = draw(st.integers(1, 10**30))
    winners = []
    for partner in draw(st.lists(ids, max_size=4, unique_by=str)):
        plan = known[draw(st.sampled_from(sorted(known)))]
        pick = st.sampled_from([None, *range(len(plan.rules))])
        picks = [draw(pick) for _ in lines]
        money = [draw(st.integers(-(10**6), 10**9)) for _ in range(2)]
        winners.append([partner, draw(st.integers(0, denominator)), *money, plan.key, picks])
    touches = st.tuples(ids).map(list) | st.tuples(ids, names).map(list)
    stored = {
        "v": 1,
        "policy": draw(st.none() | st.integers()),
        "touches": draw(st.lists(touches, max_size=4)),
        "den": denominator,
        "unpaid": [draw(st.integers(0, denominator)), draw(st.integers(-(10**6), 10**9))],
        "winners": winners,
        "roles": [draw(st.none() | ids), draw(st.lists(ids, max_size=2)), draw(st.none() | ids), len(winners), 0],
        "flags": draw(st.lists(names, max_size=2)),
    }
    return stored, order, known, draw(st.sampled_from(["EUR", "JPY", "KWD", "CLF"]))


@given(receipts())
def test_the_short_way_to_the_bytes_is_the_long_one(receipt):
    assert canonical_text(*receipt).encode() == canonical_bytes(render(*receipt))


def test_an_order_without_lines_and_a_rate_in_broken_cents_are_written_alike():
    plan = Plan("default", (Rule("r", Pay(per_unit=Decimal("0.5"))),), per_order=Decimal("12.5"), minimum=100)
    partner = UUID(int=7)
    stored = {
        "touches": [],
        "den": 1,
        "unpaid": [0, 0],
        "winners": [[partner, 1, 0, 0, "default", []]],
        "roles": [partner, [], partner, 0, 0],
        "flags": [],
    }
    receipt = (stored, Order(0, ()), {"default": plan}, "EUR")
    assert canonical_text(*receipt).encode() == canonical_bytes(render(*receipt))


def test_a_seal_is_the_hash_of_the_long_form():
    for document in (EXAMPLE, RICH):
        case = parse(document)
        decided = decide(case)
        named = {plan.key: plan for plan in case.plans.values()}
        stored = compact(decided.attribution, decided.rating, case.order, 7)
        long = canonical_bytes(render(stored, case.order, named, case.currency))
        sealed = seal(stored, case.order, named, case.currency)
        assert sealed == {**stored, "hash": sha256(long).hexdigest()}
        assert json.loads(canonical_text(stored, case.order, named, case.currency)) == json.loads(long)
