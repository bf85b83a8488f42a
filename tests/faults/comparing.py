"""Hold the books against the shop's own account, once everything that waited is done."""

from __future__ import annotations

from collections import defaultdict

from tests.faults import shop, workers


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
