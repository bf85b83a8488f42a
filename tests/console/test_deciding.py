"""Deciding in the console: all of a filter, a file, one by one; each says first what it will do."""

import csv
import io
from datetime import timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from apps.commissions.models import Commission, Decision, HoldPolicy, HoldReason, Move, PartnerReview, Reason
from apps.commissions.selections import selected
from apps.console.decision_jobs import TYPED_FROM
from apps.console.job_rows import said
from apps.console.selections import selection_of
from apps.identity.models import Role
from apps.ledger.models import Posting
from apps.pipeline.services.deciding_chunks import work_on_decisions
from apps.pipeline.services.settling import settle_waiting
from apps.records.models import Job
from apps.tracking.models import Duplicate
from tests.cast import NOON, make_conversion, make_touch
from tests.console.scene import make_scene, member, sell, sell_more, state_of

pytestmark = pytest.mark.django_db
LIST = "admin:tracking_conversion_changelist"


@pytest.fixture
def acme():
    return make_scene()


def ask(acme, query: str, **fields):
    """Open the page that says how much it is, and post it with what it showed."""
    address = f"{reverse('admin:decide_many')}?{query}"
    shown = acme.owner.get(address).context
    content = {"as_of": shown["as_of"].isoformat(), "key": shown["key"], **fields}
    return shown, acme.owner.post(address, content)


def upload(acme, text: str, client: Client | None = None):
    file = SimpleUploadedFile("decisions.csv", text.encode(), "text/csv")
    return (client or acme.owner).post(reverse("admin:upload_decisions"), {"file": file})


def test_all_of_a_filter_is_shown_before_anything_happens(acme):
    seen = sell_more(acme, "SEEN-1", "SEEN-2")
    everything = {"action": "reject", "select_across": "1", "_selected_action": [str(acme.open.pk)]}
    sent = acme.owner.post(f"{reverse(LIST)}?state=open", everything)
    assert sent["Location"] == f"{reverse('admin:decide_many')}?verb=reject&state=open"
    page = acme.owner.get(sent["Location"])
    for text in ("Reject 3 conversions", "200.00", "16.00", "Blog", "stays rejected"):
        assert text in page.content.decode(), text
    assert {state_of(sale) for sale in (acme.open, *seen)} == {"PENDING"}


def test_a_decision_on_a_filter_means_those_seen(acme):
    seen = sell_more(acme, "SEEN")[0]
    address = f"{reverse('admin:decide_many')}?verb=reject&state=open"
    shown = acme.owner.get(address).context
    late = sell(acme, at=timezone.now() + timedelta(seconds=1), order_ref="LATE")
    content = {"as_of": shown["as_of"].isoformat(), "key": shown["key"], "reason": "cancelled"}
    answer = acme.owner.post(address, content)
    again = acme.owner.post(address, content)
    assert answer["Location"] == again["Location"]
    work_on_decisions(now=timezone.now())
    assert [state_of(sale) for sale in (acme.open, seen, late)] == ["REJECTED", "REJECTED", "PENDING"]
    page = acme.owner.get(answer["Location"]).content.decode()
    assert "Rejections cannot be undone." in page and "The order was cancelled" in page


def test_a_reason_is_asked_for_and_many_are_typed(acme, monkeypatch):
    monkeypatch.setattr("apps.console.decision_jobs.TYPED_FROM", 1)
    sell_more(acme, "MORE")
    _, refused = ask(acme, "verb=hold&state=open", typed="1", reason="review")
    assert "Type 2 to go on." in refused.content.decode()
    _, refused = ask(acme, "verb=hold&state=open", typed="2")
    assert "required" in refused.content.decode()
    assert not Job.objects.exists()
    _, done = ask(acme, "verb=hold&state=open", typed="2", reason="review")
    assert (done.status_code, Job.objects.get().total, TYPED_FROM) == (302, 2, 100)


def test_a_hold_is_undone_from_its_page_and_a_waiting_job_stopped(acme):
    _, answer = ask(acme, "verb=hold&state=open", reason="suspicious")
    assert b'http-equiv="refresh"' in acme.owner.get(answer["Location"]).content
    work_on_decisions(now=timezone.now())
    page = acme.owner.get(answer["Location"]).content.decode()
    assert "Undo" in page and 'http-equiv="refresh"' not in page
    assert state_of(acme.open) == "ON_HOLD"
    back = acme.owner.post(answer["Location"], {"verb": "undo"})
    assert back["Location"] != answer["Location"]
    acme.owner.post(back["Location"], {"verb": "cancel"})
    work_on_decisions(now=timezone.now())
    assert (state_of(acme.open), Job.objects.latest("pk").state) == ("ON_HOLD", "CANCELLED")


def test_what_a_job_approved_can_be_rejected_until_it_locks(acme):
    fresh = sell_more(acme, "FRESH")[0]
    _, answer = ask(acme, f"verb=approve&state=open&q={fresh.pk}")
    work_on_decisions(now=timezone.now())
    assert state_of(fresh) == "APPROVED"
    job = Job.objects.get()
    assert f"?verb=reject&amp;job={job.pk}" in acme.owner.get(answer["Location"]).content.decode()
    posted = Posting.objects.count()
    shown, _ = ask(acme, f"verb=reject&job={job.pk}", reason="cancelled")
    assert shown["weight"].count == 1
    work_on_decisions(now=timezone.now())
    assert (state_of(fresh), Posting.objects.count()) == ("REJECTED", posted + 1)


def test_a_job_says_what_was_decided_and_leads_to_it(acme):
    other = sell_more(acme, "OTHER")[0]
    query = f"verb=hold&state=open&partner={acme.partners.blog.pk}&campaign={acme.campaign.pk}&q=OPEN"
    _, asked = ask(acme, query, reason="suspicious")
    work_on_decisions(now=timezone.now())
    job = Job.objects.get()
    wanted = f"Pending · partner Blog · campaign {acme.campaign.name} · order OPEN…"
    page, listed = acme.owner.get(asked["Location"]).text, acme.owner.get(reverse("admin:decision_jobs")).text
    for text in (wanted, "The order is suspicious", "Owner"):
        assert text in page and text in listed, text
    moved = acme.owner.get(reverse(LIST), {"moved_by": job.pk})
    assert f"?moved_by={job.pk}" in page
    assert [row.pk for row in moved.context["cl"].result_list] == [acme.open.pk]
    assert state_of(other) == "PENDING"
    assert acme.neighbor.get(reverse(LIST), {"moved_by": job.pk}).context["cl"].result_count == 0

    undoing = acme.owner.post(asked["Location"], {"verb": "undo"})["Location"]
    for address in (undoing, reverse("admin:decision_jobs")):
        assert f"Undo of job {job.pk}: Take off hold" in acme.owner.get(address).text
    assert asked["Location"] in acme.owner.get(undoing).text


def test_a_preview_tells_amounts_and_what_will_be_done(acme):
    sell_more(acme, "M-1")
    rows = [f"{name},approve" for name in ("OPEN-1", "M-1", "NONE", "PAID-1")]
    shown = acme.owner.get(upload(acme, "\n".join(["order_ref,decision", *rows]))["Location"])
    preview = shown.context["preview"]
    assert (preview.done, preview.refused, preview.unchanged) == (2, 1, 1)
    assert ([str(sum) for sum in preview.amounts], [str(sum) for sum in preview.commissions]) == (["150.00"], ["12.00"])
    for text in ("Will be done", "150.00 EUR", "12.00 EUR", "100.00 EUR", "8.00 EUR", "Apply"):
        assert text in shown.text, text


def test_a_list_of_which_nothing_can_be_done_offers_no_apply(acme):
    page = acme.owner.get(upload(acme, "order_ref,decision\nNONE,approve\n")["Location"]).text
    assert ('value="confirm"' in page, "there is nothing to apply" in page) == (False, True)
    assert 'value="confirm"' in acme.owner.get(upload(acme, "order_ref,decision\nOPEN-1,approve\n")["Location"]).text


def test_results_are_a_file_that_no_spreadsheet_calculates(acme):
    text = 'order_ref,decision,reason,note\nOPEN-1,reject,cancelled,"=HYPERLINK(""x"")"\n@NONE,approve,,\n'
    address = upload(acme, text)["Location"]
    acme.owner.post(address, {"verb": "confirm"})
    work_on_decisions(now=timezone.now())
    file = acme.owner.get(f"{address}results.csv")
    rows = list(csv.reader(io.StringIO(b"".join(file.streaming_content).decode("utf-8-sig"))))
    assert rows[1] == ["2", "OPEN-1", "SALE", "", "reject", "cancelled", '\'=HYPERLINK("x")', "DONE", "", ""]
    assert (rows[2][:2], rows[2][7:9]) == (["3", "'@NONE"], ["REFUSED", "no_such_conversion"])
    assert Client().get(f"{address}results.csv").status_code == 302
    assert acme.neighbor.get(f"{address}results.csv").status_code == 404
    _, asked = ask(acme, "verb=hold", reason="review")
    sell_more(acme, "LATER")
    _, asked = ask(acme, "verb=hold&state=open", reason="review")
    work_on_decisions(now=timezone.now())
    told = b"".join(acme.owner.get(f"{asked['Location']}results.csv").streaming_content).decode()
    assert ",hold,review,,DONE,," in told and "LATER" in told


def test_tabs_count_what_the_other_filters_leave(acme):
    sell_more(acme, "N-1", "N-2")
    make_conversion(acme.campaign, 5_00, NOON, "TEST-1", is_test=True)
    settle_waiting(now=timezone.now())

    def counts(**query) -> dict[str, str]:
        page = acme.owner.get(reverse(LIST), query)
        return {str(tab["title"]): tab["count"] for tab in page.context["tabs"] if tab["count"]}

    assert counts() == {"To decide": "3", "Approved": "1"}
    assert counts(q="N-") == counts(q="n-", state="approved") == {"To decide": "2"}
    assert counts(partner=acme.partners.coupons.pk) == {}
    assert counts(partner=acme.partners.blog.pk) == {"To decide": "3", "Approved": "1"}
    for query in ({}, {"q": "N-"}, {"goal": "sale"}):
        listed = acme.owner.get(reverse(LIST), {**query, "state": "open"}).context["cl"].result_count
        assert counts(**query)["To decide"] == str(listed), query
    assert acme.owner.get(reverse("admin:review")).context["left"] == counts()["To decide"]


def test_the_filters_of_the_list_and_of_a_decision_are_the_same(acme):
    sell_more(acme, "NEW-1", "NEW-2")
    Decision.objects.filter(conversion__order_ref="NEW-2").update(state="ON_HOLD", decided_at=timezone.now())
    queries = [
        *("state=open", "state=hold", "state=approved", "state=rejected", "state=late", "state=awaiting", "state=live"),
        *("state=test", "", f"campaign={acme.campaign.pk}", "campaign=0", f"partner={acme.partners.blog.pk}"),
        *("goal=sale", "goal=LEAD", "reason=review", "reason=mood", "coupon=save10", "coupon=SAVE", "moved_by=1"),
        *(f"partner={acme.partners.coupons.pk}", "from=2026-03-01", "to=2026-03-01", "from=nonsense", "q=NEW"),
        *("q=new-1", f"q={acme.open.pk}", "q=nothing", "locks_before=2026-03-01", "state=open&q=NEW&from=2026-03-01"),
    ]
    for query in queries:
        if query == "reason=mood":
            assert acme.owner.get(f"{reverse('admin:decide_many')}?verb=hold&{query}").status_code == 404
            continue
        listed = acme.owner.get(f"{reverse(LIST)}?{query}").context["cl"].queryset
        request = acme.owner.get(f"{reverse('admin:decide_many')}?verb=hold&{query}").wsgi_request
        chosen = selected(acme.advertiser, selection_of(request), as_of=timezone.now() + timedelta(days=1))
        assert set(chosen.values_list("pk", flat=True)) == set(listed.values_list("pk", flat=True)), query


@pytest.mark.parametrize("query", ["verb=eat", "", "verb=hold&state=parked", "verb=hold&partner=x", "verb=hold&job=9"])
def test_what_selects_nothing_that_can_be_decided_is_not_there(acme, query):
    assert acme.owner.get(f"{reverse('admin:decide_many')}?{query}").status_code == 404


def test_ticked_rows_are_decided_at_once_and_leave_their_way_back(acme):
    acme.owner.post(reverse(LIST), {"action": "hold", "_selected_action": [str(acme.open.pk), str(acme.paid.pk)]})
    assert (state_of(acme.open), state_of(acme.paid)) == ("ON_HOLD", "APPROVED")
    page = acme.owner.get(reverse(LIST)).content.decode()
    job = Job.objects.get()
    assert reverse("admin:decision_job", args=[job.pk]) in page and "1 could not move there." in page


def test_ten_rows_of_which_two_are_bad(acme):
    """▸ 10 rows, 2 bad: 8 applied, 2 reported with row and reason; uploading again changes nothing."""
    sales = sell_more(acme, *(f"C-{n}" for n in range(1, 9)))
    rows = [f"C-{n},approve,," for n in range(1, 7)] + ["C-7,reject,cancelled,by mail", "C-8,hold,suspicious,"]
    rows[2:2] = ["NOBODY,approve,,"]
    rows[5:5] = ["C-1,dance,,"]
    text = "order_ref,decision,reason,note\n" + "\n".join(rows) + "\n"
    answer = upload(acme, text)
    page = acme.owner.get(answer["Location"]).content.decode()
    assert page.count("will be done") == 8 and "no_such_conversion" in page and "invalid_decision" in page
    assert {state_of(sale) for sale in sales} == {"PENDING"}

    acme.owner.post(answer["Location"], {"verb": "confirm"})
    work_on_decisions(now=timezone.now())
    job = Job.objects.get()
    assert (job.state, job.done, job.moved, job.refused) == ("DONE", 10, 8, 2)
    told = [(item.content["row"], item.code) for item in job.items.filter(outcome="REFUSED")]
    assert told == [(4, "no_such_conversion"), (7, "invalid_decision")]
    assert [state_of(sale) for sale in sales] == ["APPROVED"] * 6 + ["REJECTED", "ON_HOLD"]
    assert Move.objects.get(conversion=sales[6]).note == "by mail"

    moves, posted = Move.objects.count(), Posting.objects.count()
    again = upload(acme, text)
    assert acme.owner.get(again["Location"]).content.decode().count("unchanged</span>") >= 8
    acme.owner.post(again["Location"], {"verb": "confirm"})
    work_on_decisions(now=timezone.now())
    job = Job.objects.latest("pk")
    assert (job.state, job.moved, job.refused) == ("DONE", 0, 2)
    assert (Move.objects.count(), Posting.objects.count()) == (moves, posted)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("order_ref,decison\nA,approve\n", "has no column decision"),
        ("decision,colour\napprove,red\n", "columns nobody knows"),
        ("decision\n", "The list is empty"),
    ],
)
def test_a_file_that_cannot_be_read_says_why_and_makes_no_job(acme, text, said):
    assert said in upload(acme, text).content.decode()
    assert not Job.objects.exists()


def test_the_upload_tells_every_reason_with_its_code(acme):
    page = acme.owner.get(reverse("admin:upload_decisions")).text
    for code in (*Reason.values, *HoldReason.values):
        assert f">{code}</code>" in page, code


def test_a_discarded_draft_decides_nothing(acme):
    answer = upload(acme, "order_ref,decision\nOPEN-1,approve\n")
    work_on_decisions(now=timezone.now())
    assert state_of(acme.open) == "PENDING"
    acme.owner.post(answer["Location"], {"verb": "cancel"})
    acme.owner.post(answer["Location"], {"verb": "confirm"})
    work_on_decisions(now=timezone.now())
    assert (state_of(acme.open), Job.objects.get().state) == ("PENDING", "CANCELLED")


def test_pages_ask_the_database_as_often_for_one_row_as_for_three(acme):
    job = upload(acme, "order_ref,decision\nOPEN-1,approve\n")["Location"]
    wanted = {"review": 23, "many": 9, "job": 15, "jobs": 4}

    def asked() -> dict[str, int]:
        pages = {
            "review": reverse("admin:review"),
            "many": f"{reverse('admin:decide_many')}?verb=hold&state=open",
            "job": job,
            "jobs": reverse("admin:decision_jobs"),
        }
        found = {}
        for name, address in pages.items():
            acme.owner.get(address)
            with CaptureQueriesContext(connection) as queries:
                assert acme.owner.get(address).status_code == 200
            found[name] = len(queries)
        return found

    assert asked() == wanted
    sell_more(acme, "T-1", "T-2", "T-3")
    job = upload(acme, "order_ref,decision\nT-1,approve\nT-2,approve\nT-3,approve\n")["Location"]
    assert asked() == wanted


def test_the_pages_are_for_those_who_decide(acme):
    job = upload(acme, "order_ref,decision\nOPEN-1,approve\n")["Location"]
    decide = f"{reverse('admin:decide_many')}?verb=approve&state=open"
    pages = [decide, reverse("admin:upload_decisions"), reverse("admin:review")]
    analyst = member(acme, Role.ANALYST)
    for address in [*pages, job, reverse("admin:decision_jobs")]:
        assert Client().get(address).status_code == 302, address
    for address in pages:
        assert analyst.get(address).status_code == 403, address
    assert analyst.post(decide).status_code == analyst.post(job, {"verb": "confirm"}).status_code == 403
    assert acme.neighbor.get(job).status_code == acme.neighbor.post(job, {"verb": "confirm"}).status_code == 404
    assert acme.neighbor.get(decide).context["weight"].count == 0
    acme.neighbor.post(reverse("admin:review"), {"id": str(acme.open.pk), "verb": "approve"})
    assert state_of(acme.open) == "PENDING"


def test_a_part_is_rejected_on_the_page_of_an_order_and_told_in_its_story(acme):
    click = make_touch(acme.enrollments.blog, NOON - timedelta(days=1))
    lines = [{"sku": "TENT", "unit_price_minor": 60_00}, {"sku": "LAMP", "unit_price_minor": 40_00}]
    sale = make_conversion(acme.campaign, 100_00, NOON, "PARTS", click_ids=[click.pk], lines=lines)
    settle_waiting(now=NOON)
    page = reverse("admin:tracking_conversion_change", args=[sale.pk])
    address = reverse("admin:parts", args=[sale.pk])
    assert address in acme.owner.get(page).content.decode()
    assert b"one of the two" in acme.owner.post(address, {"reason": "returned"}).content
    assert b"can only be lowered" in acme.owner.get(address).content
    higher = {"amount": "100.01", "reason": "returned"}
    assert b"A correction lowers an amount" in acme.owner.post(address, higher).content
    answer = acme.owner.post(address, {"lines": ["2"], "reason": "returned", "note": "broken"})
    assert answer["Location"] == page
    told = acme.owner.get(page).content.decode()
    for text in ("A part rejected: all of line 2", "By Owner.", "broken", "Correction for Blog: -3.20"):
        assert text.replace("-", "\u2212") in told or text in told, text
    assert sum(Commission.objects.filter(conversion=sale).values_list("amount_minor", flat=True)) == 4_80
    assert state_of(sale) == "PENDING"
    assert acme.neighbor.get(address).status_code == acme.neighbor.post(address, {}).status_code == 404
    assert member(acme, Role.ANALYST).get(address).status_code == 403


def test_hold_rules_are_set_on_the_campaign_and_shown_on_what_they_held(acme):
    address = reverse("admin:campaigns_campaign_holds", args=[acme.campaign.pk])
    rules = {"verb": "rules", "too_fast_seconds": "30", "first_sale_above": "500.00"}
    assert acme.owner.post(address, rules)["Location"] == address
    policy = HoldPolicy.objects.get()
    assert (policy.too_fast_seconds, policy.first_sale_above_minor, policy.under_review) == (30, 500_00, False)
    assert "fewer than 30 seconds" in acme.owner.get(address).content.decode()
    at = timezone.now()
    click = make_touch(acme.enrollments.blog, at)
    sale = make_conversion(acme.campaign, at=at + timedelta(seconds=5), order_ref="FAST", click_ids=[click.pk])
    settle_waiting(now=at + timedelta(seconds=6))
    assert state_of(sale) == "ON_HOLD"
    page = acme.owner.get(reverse("admin:tracking_conversion_change", args=[sale.pk])).content.decode()
    assert "Bought too fast after the click" in page and "By Hold rule, from Pending." in page

    blog = acme.partners.blog
    assert b"required" in acme.owner.post(address, {"verb": "review", "review-partner": blog.pk}).content
    acme.owner.post(address, {"verb": "review", "review-partner": blog.pk, "review-reason": "odd traffic"})
    assert "odd traffic" in acme.owner.get(address).content.decode()
    acme.owner.post(address, {"verb": "end", "partner": blog.pk})
    assert not PartnerReview.objects.filter(until=None).exists()
    assert acme.neighbor.post(address, rules).status_code == 404
    assert member(acme, Role.ANALYST).post(address, rules).status_code == 403
    assert HoldPolicy.objects.count() == 1


@pytest.mark.parametrize("as_of", ["2026-02-30T10:00:00Z", "2026-02-20T10:00:00", "0001-01-01T00:00:00+14:00", "x"])
def test_a_moment_that_no_page_was_shown_at_is_refused(acme, as_of):
    address = f"{reverse('admin:decide_many')}?verb=approve&state=open"
    assert acme.owner.post(address, {"as_of": as_of, "key": "k"}).status_code == 400
    assert not Job.objects.exists()


def test_an_id_that_is_none_is_refused_in_the_preview(acme):
    page = acme.owner.get(upload(acme, f"id,decision\n{'x' * 36},approve\n")["Location"])
    assert (page.status_code, "is the conversion&#x27;s id" in page.text) == (200, True)


def test_a_preview_counts_what_it_foresees_and_a_discarded_list_waits_for_nothing(acme):
    job = upload(acme, "order_ref,decision\nOPEN-1,approve\nNONE,approve\nOPEN-1,reject\n")
    address = job["Location"]
    shown = acme.owner.get(address)
    assert shown.context["refused"] == 2
    assert "decision reject" not in shown.text
    acme.owner.post(address, {"verb": "cancel"})
    page = acme.owner.get(address).text
    assert ("not applied" in page, "waiting" in page) == (True, False)


def test_a_job_is_undone_once_and_says_by_which(acme):
    _, asked = ask(acme, "verb=hold&state=open", reason="review")
    work_on_decisions(now=timezone.now())
    undoing = acme.owner.post(asked["Location"], {"verb": "undo"})["Location"]
    work_on_decisions(now=timezone.now())
    for page, words in ((asked["Location"], True), (undoing, False)):
        text = acme.owner.get(page).text
        assert ('value="undo"' in text, "Undone by job" in text) == (False, words)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"state": "APPROVED", "order_ref": "A"}, "Approve"),
        ({"decision": "REJECT ", "order_ref": "A"}, "Reject"),
        ({"decision": "dance"}, "decision dance"),
        ({"amount": "5.00"}, "Correct · amount 5.00"),
        ({"row": 3}, ""),
    ],
)
def test_a_row_says_what_it_was_told(content, words):
    assert said(content) == words


def test_rows_named_by_order_number_lead_to_their_conversion(acme):
    job = upload(acme, "order_ref,decision\nOPEN-1,approve\nNOBODY,approve\n")["Location"]
    page = acme.owner.get(job).text
    assert page.count(reverse("admin:tracking_conversion_change", args=[acme.open.pk])) == 1
    assert '<span class="tb-id">NOBODY</span>' in page


def test_a_list_that_cannot_be_decided_as_a_whole_says_so(acme):
    everything = {"action": "hold", "select_across": "1", "_selected_action": [str(acme.open.pk)]}
    sale = sell_more(acme, "TWICE")[0]
    Duplicate.objects.create(
        advertiser=acme.advertiser, conversion=sale, original=acme.open, scope="CLICK", recorded_at=timezone.now()
    )
    everything["_selected_action"] = [str(sale.pk)]
    page = acme.owner.post(f"{reverse(LIST)}?state=duplicates", everything, follow=True)
    assert "cannot be decided as a whole" in page.text
    assert (state_of(sale), Job.objects.count()) == ("PENDING", 0)
