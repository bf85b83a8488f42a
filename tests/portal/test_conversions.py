"""The list, its filters in the address, and why an amount is what it is."""

from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction

from django.urls import reverse

from apps.commissions.models import Commission, Superseded
from apps.core.money import Money
from apps.identity.models import Advertiser
from apps.pipeline.services.receiving import receive_refund
from apps.pipeline.services.settling import settle_waiting
from apps.portal.formats import money
from apps.tracking.changing import record_refund
from apps.tracking.models import Amendment
from apps.tracking.rules.refunds import ToldRefund
from tests.cast import make_conversion, make_touch
from tests.portal.stage import NOW, sell

LIST = reverse("portal:conversions")


def eur(text: str) -> Money:
    return Money.parse(text, "EUR")


def refs(answer) -> list[str]:
    return [row.order_ref for row in answer.context["conversions"]]


def test_the_list_is_of_the_last_30_days_newest_first(blog):
    assert refs(blog.get(LIST)) == ["MAR-4", "MAR-3", "MAR-2", "MAR-1"]


def test_the_address_holds_range_status_order_and_campaign(stage, blog):
    assert refs(blog.get(LIST, {"range": "year"}))[-2:] == ["FEB-2", "FEB-1"]
    assert refs(blog.get(LIST, {"from": "2026-02-10", "to": "2026-02-10"})) == ["FEB-1"]
    assert refs(blog.get(LIST, {"status": "ON_HOLD"})) == ["MAR-2"]
    assert refs(blog.get(LIST, {"q": "mar-3"})) == ["MAR-3"]
    assert refs(blog.get(LIST, {"campaign": stage.campaign.pk, "range": "30d"})) != []
    assert refs(blog.get(LIST, {"campaign": stage.campaign.pk + 1})) == []


def test_nonsense_in_the_address_falls_back(blog):
    nonsense = {"range": "soon", "from": "x", "status": "PAID-TWICE", "campaign": "Ⅻ", "page": "-1", "q": "%_'\\"}
    answer = blog.get(LIST, nonsense)
    assert answer.status_code == 200
    assert refs(answer) == []
    assert refs(blog.get(LIST, {**nonsense, "q": ""})) == ["MAR-4", "MAR-3", "MAR-2", "MAR-1"]


def test_a_sub_id_finds_its_sales(stage, blog):
    at = stage.sales.held.occurred_at
    click = make_touch(stage.enrollments.blog, at, sub2="newsletter")
    make_conversion(stage.campaign, 30_00, at + timedelta(minutes=5), "SUB-1", click_ids=[click.pk])
    settle_waiting(now=NOW)
    assert refs(blog.get(LIST, {"q": "newsletter"})) == ["SUB-1"]
    assert refs(blog.get(LIST, {"q": "news"})) == []


def test_counts_and_sums_are_those_of_the_filters(blog):
    answer = blog.get(LIST, {"range": "year"})
    assert [(row["code"], row["count"]) for row in answer.context["statuses"]] == [
        ("", 6),
        ("PENDING", 1),
        ("ON_HOLD", 1),
        ("APPROVED", 3),
        ("REJECTED", 1),
    ]
    assert answer.context["totals"] == {"commission": eur("144.00"), "revenue": eur("1800.00")}
    rejected = blog.get(LIST, {"range": "year", "status": "REJECTED"}).context["totals"]
    assert rejected == {"commission": eur("6.16"), "revenue": eur("77.00")}


def test_each_row_says_status_share_and_days(blog):
    rows = {row.order_ref: row for row in blog.get(LIST, {"range": "year"}).context["conversions"]}
    assert {ref: row.status for ref, row in rows.items()} == {
        "MAR-4": "APPROVED",
        "MAR-3": "REJECTED",
        "MAR-2": "ON_HOLD",
        "MAR-1": "PENDING",
        "FEB-2": "STATED",
        "FEB-1": "STATED",
    }
    assert (rows["FEB-1"].share, rows["FEB-1"].commission) == (Fraction(1, 2), eur("40.00"))
    assert (rows["MAR-1"].decide_by, rows["MAR-1"].pays_on) == (date(2026, 4, 27), date(2026, 5, 20))
    assert rows["MAR-3"].reason == "returned"
    assert rows["FEB-1"].pays_on == date(2026, 4, 20)


def test_a_conversion_says_why_its_amount_is_what_it_is(stage, blog):
    answer = blog.get(reverse("portal:conversion", args=[stage.sales.shared.pk]))
    receipt = answer.context["receipt"]
    assert (receipt["share"], receipt["others"]) == (Fraction(1, 2), 1)
    assert [line["rate"] for line in receipt["lines"]] == ["8\N{NO-BREAK SPACE}%"]
    assert (receipt["total_exact"], receipt["share_exact"]) == (
        "80.00\N{NO-BREAK SPACE}€",
        "40.00\N{NO-BREAK SPACE}€",
    )
    assert receipt["amount"] == eur("40.00")
    assert receipt["verified"]
    assert "Recomputed: the same" in answer.text


def test_its_course_leads_to_the_statement_and_the_invoice(stage, blog):
    steps = blog.get(reverse("portal:conversion", args=[stage.sales.shared.pk])).context["steps"]
    assert [step["title"] for step in steps] == [
        "Through your link",
        "Sale",
        "Shared and rated",
        "Approved",
        "Locked",
        "On a statement",
        "Invoiced",
        "Pay day",
    ]
    assert [step["url"] for step in steps if step.get("url")] == [
        reverse("portal:statement", args=[stage.statement.pk]),
        reverse("portal:invoice_pdf", args=[stage.invoice.pk]),
    ]


def test_cents_that_do_not_end_are_shown_exactly(stage, blog):
    sale = sell(stage, "APR-1", 19_99, stage.sales.held.occurred_at, "blog", "coupons", "cashback")
    settle_waiting(now=sale.occurred_at)
    receipt = blog.get(reverse("portal:conversion", args=[sale.pk])).context["receipt"]
    assert receipt["total_exact"] == "1.5992\N{NO-BREAK SPACE}€"
    assert receipt["share_exact"] == "≈\N{NO-BREAK SPACE}0.533067\N{NO-BREAK SPACE}€"
    assert receipt["amount"] == eur("0.53")


def test_moments_are_in_the_zone_of_the_advertiser_and_the_page_names_it(stage, blog):
    url = reverse("portal:conversion", args=[stage.sales.shared.pk])
    assert "10 Feb 2026, 13:00" in blog.get(url).text
    Advertiser.objects.update(timezone="America/New_York")
    text = blog.get(url).text
    assert "10 Feb 2026, 07:00" in text
    assert "Days and times are in America/New_York." in text


def test_what_came_back_is_in_the_sums_and_said_in_words(stage, blog):
    refund = {"order_ref": "MAR-1", "refund_ref": "R-1", "amount": "25.00", "reason": "cancelled"}
    receive_refund(advertiser=stage.advertiser, fields=refund, now=NOW)
    settle_waiting(now=NOW)

    answer = blog.get(LIST, {"status": "PENDING"})
    assert [row.commission for row in answer.context["conversions"]] == [eur("3.00")]
    assert answer.context["totals"]["commission"] == eur("3.00")
    page = blog.get(reverse("portal:conversion", args=[stage.sales.pending.pk]))
    [correction] = page.context["corrections"]
    assert (correction["amount"], correction["text"]) == (eur("-1.00"), "The order was cancelled.")
    assert correction["on"] == NOW


def test_a_test_order_pays_nothing_and_expects_nothing(stage, blog):
    sale = sell(stage, "TRY-1", 100_00, NOW, "blog", is_test=True)
    settle_waiting(now=NOW)
    page = blog.get(reverse("portal:conversion", args=[sale.pk]))
    row = page.context["conversion"]
    assert (row.is_unpaid, row.pays_on, row.nothing.minor) == (True, None, 0)
    assert "expected on" not in page.text and page.text.count("<s ") == 1
    assert "0.00" in blog.get(reverse("portal:conversions")).text


def test_the_part_of_the_sale_is_that_of_what_is_left_of_it(stage, blog):
    refund = {"order_ref": "MAR-1", "refund_ref": "R-1", "amount": "25.00", "reason": "cancelled"}
    before = {row.order_ref: row for row in blog.get(LIST).context["conversions"]}["MAR-1"]
    total = blog.get(LIST).context["totals"]["revenue"]
    receive_refund(advertiser=stage.advertiser, fields=refund, now=NOW)
    settle_waiting(now=NOW)

    answer = blog.get(LIST)
    row = {row.order_ref: row for row in answer.context["conversions"]}["MAR-1"]
    gone = before.revenue.minor - row.revenue.minor
    assert (row.first_revenue, row.share) == (before.revenue, before.share)
    assert gone == round(25_00 * row.share)
    assert answer.context["totals"]["revenue"].minor == total.minor - gone
    assert f"<s>{money(before.revenue)}</s>" in answer.text
    overview = blog.get(reverse("portal:overview")).context["conversions"]
    assert {one.order_ref: one.revenue for one in overview}["MAR-1"] == row.revenue


def test_what_came_back_of_an_order_that_pays_nothing_is_in_no_sum(stage, blog):
    total = blog.get(LIST).context["totals"]
    sell(stage, "TWICE", 100_00, NOW - timedelta(hours=1), "blog", is_test=True)
    settle_waiting(now=NOW)
    assert blog.get(LIST).context["totals"] == total
    refund = {"order_ref": "TWICE", "refund_ref": "R-1", "amount": "25.00"}
    receive_refund(advertiser=stage.advertiser, fields=refund, now=NOW)
    settle_waiting(now=NOW)
    answer = blog.get(LIST)
    assert answer.context["totals"] == total
    assert answer.context["conversions"][0].revenue == eur("75.00")


def test_its_course_tells_what_stood_before_and_what_was_told_since(stage, blog):
    refund = {"order_ref": "MAR-1", "refund_ref": "R-1", "amount": "25.00", "reason": "cancelled"}
    receive_refund(advertiser=stage.advertiser, fields=refund, now=NOW)
    settle_waiting(now=NOW)
    sale, later = stage.sales.pending, NOW + timedelta(hours=1)
    before = Commission.objects.get(conversion=sale, kind="SALE", partner=stage.blog).amount_minor
    content = {"amount_minor": sale.amount_minor * 2}
    Amendment.objects.create(
        advertiser=sale.advertiser, conversion=sale, sequence=1, content=content, content_hash="x", recorded_at=later
    )
    settle_waiting(now=later)

    page = blog.get(reverse("portal:conversion", args=[sale.pk]))

    steps = [(step["title"], step.get("text", "")) for step in page.context["steps"]]
    own = [f"1/2 (50\N{NO-BREAK SPACE}%) for you: {money(eur(str(Decimal(n * before) / 100)))}" for n in (1, 2)]
    course = [step for step in steps if step[0] not in ("Through your link", "Sale", "Decision", "Pay day")]
    assert [title for title, _ in course] == [
        "Shared and rated", "The order was cancelled.", "The shop has told the order anew", "Worked out anew",
        "The order was cancelled.",
    ]  # fmt: skip
    assert [text for title, text in course if "rated" in title or "Worked" in title] == own
    assert "Worked out anew" in page.text


def test_its_course_stands_where_a_worker_s_clock_is_late_and_a_correction_has_no_reason(stage, blog):
    refund = ToldRefund("SALE", "MAR-1", "R-1", amount_minor=25_00, currency="EUR", reason="")
    record_refund(advertiser=stage.advertiser, refund=refund, now=NOW)
    settle_waiting(now=NOW)
    sale = stage.sales.pending
    Amendment.objects.create(
        advertiser=sale.advertiser, conversion=sale, sequence=1, content={"amount_minor": 200_00}, content_hash="x",
        recorded_at=NOW,
    )  # fmt: skip
    settle_waiting(now=sale.receipt.settled_at - timedelta(minutes=1))
    assert "reason" not in Superseded.objects.get(conversion=sale).earned[-1]

    page = blog.get(reverse("portal:conversion", args=[sale.pk]))

    titles = [step["title"] for step in page.context["steps"]]
    assert [title for title in titles if title in ("Shared and rated", "Worked out anew")] == [
        "Shared and rated", "Worked out anew",
    ]  # fmt: skip
