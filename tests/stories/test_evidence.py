"""Evidence: a partner shows what a claim says, the advertiser reads it, and in the end nobody has it any more."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import ProgrammingError, connection, transaction
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from apps.claims.models import Claim, ClaimState, Evidence
from apps.claims.rules import MOST_EVIDENCE_BYTES, ClaimFact, TooMuchEvidence, read_evidence
from apps.claims.services import (
    ClaimClosed,
    ClaimNotFound,
    EvidenceErased,
    EvidenceNotFound,
    attach_evidence,
    forget_evidence,
    move_claim,
    remove_evidence,
    report_claim,
    withdraw_claim,
)
from apps.core.actors import SYSTEM
from apps.identity.models import Role
from apps.pipeline.services.erasing import erase_customer, export_customer
from apps.pipeline.services.receiving import receive_conversion
from apps.pipeline.tasks import keep_evidence
from apps.records.models import AuditEntry
from apps.tracking.forgetting import CustomerName
from apps.tracking.rules.conversions import ConversionFact
from apps.tracking.rules.persons import Identity
from tests.cast import NOON, make_advertiser, make_cast, make_member
from tests.console.scene import member, sign_in
from tests.portal.stage import client_of

pytestmark = pytest.mark.django_db
PNG = b"\x89PNG\r\n\x1a\n\x00"
NEW = reverse("portal:claim_new")


@pytest.fixture
def acme():
    acme = make_cast()
    acme.owner = sign_in(make_member(acme.advertiser))
    acme.neighbor = sign_in(make_member(make_advertiser("globex"), email="owner@globex.example"))
    acme.blog = client_of(acme.partners.blog)
    return acme


def make_claim(acme, order_ref="LOST-1", *evidence) -> Claim:
    fact = ClaimFact(acme.campaign.pk, "MISSING", order_ref, NOON - timedelta(days=2), "EUR", 50_00)
    call = {"partner": acme.partners.blog, "fact": fact, "actor": SYSTEM, "now": NOON}
    return report_claim(**call, evidence=evidence).claim


def file(name="receipt.png", content=PNG):
    return SimpleUploadedFile(name, content, "text/html")


def form(*files):
    at = timezone.now() - timedelta(days=1)
    told = {"campaign": "acme-shop", "kind": "MISSING", "order_ref": "LOST-1", "amount": "50.00"}
    return {**told, "occurred_at": f"{at:%Y-%m-%dT%H:%M}", "evidence": list(files)}


def attach(acme, claim, *facts, now=NOON):
    return attach_evidence(partner=acme.partners.blog, claim_id=claim.pk, evidence=facts, actor=SYSTEM, now=now)


def at_portal(row, name="portal:claim_evidence"):
    return reverse(name, args=[row.claim_id, row.pk])


def at_console(row, name="admin:claim_evidence"):
    return reverse(name, args=[row.claim_id, row.pk])


def stored():
    return list(Evidence.objects.order_by("pk").values_list("name", "media_type", "size", "erased_at"))


def test_a_file_goes_from_the_report_to_the_advertiser_and_is_gone_180_days_after_the_answer(acme):
    answer = acme.blog.post(NEW, form(file("C:\\me\\receipt.html")), follow=True)

    row = Evidence.objects.select_related("claim").get()
    assert (row.name, row.media_type, row.size) == ("receipt.html.png", "image/png", len(PNG))
    assert "receipt.html.png" in answer.text
    assert AuditEntry.objects.get(verb="evidence attached").details["sha256"] == row.sha256

    page = acme.owner.get(reverse("admin:claims_claim_change", args=[row.claim_id])).text
    assert "receipt.html.png" in page and at_console(row) in page
    assert acme.owner.get(at_console(row)).content == PNG
    assert acme.blog.get(at_portal(row)).content == PNG

    claim = withdraw_claim(partner=acme.partners.blog, claim_id=row.claim_id, actor=SYSTEM, now=NOON)
    assert forget_evidence(now=NOON + timedelta(days=180)) == 0
    assert forget_evidence(now=NOON + timedelta(days=180, seconds=1)) == 1
    assert forget_evidence(now=NOON + timedelta(days=181)) == 0
    row.refresh_from_db()
    assert (row.content, row.name, row.size) == (None, "", len(PNG)) and len(row.sha256) == 64
    assert acme.blog.get(at_portal(row)).status_code == acme.owner.get(at_console(row)).status_code == 404
    assert "Deleted file" in acme.blog.get(reverse("portal:claim", args=[claim.pk])).text
    assert "Deleted file" in acme.owner.get(reverse("admin:claims_claim_change", args=[claim.pk])).text


@pytest.mark.parametrize("state", ["OPEN", "ESCALATED"])
def test_files_of_a_claim_that_nobody_answers_are_gone_180_days_after_the_answer_was_due(acme, state):
    claim = make_claim(acme, "LOST-1", read_evidence("a.png", PNG))
    if state == "ESCALATED":
        move_claim(claim, ClaimState.ESCALATED, actor=SYSTEM, now=NOON + timedelta(days=76))
    assert forget_evidence(now=NOON + timedelta(days=75 + 180)) == 0
    assert Evidence.objects.kept().count() == 1
    assert forget_evidence(now=NOON + timedelta(days=75 + 181)) == 1
    assert keep_evidence() == 0
    claim.refresh_from_db()
    assert claim.state == state


def test_the_same_file_twice_is_stored_once_by_form_and_by_page(acme):
    for _ in range(2):
        acme.blog.post(NEW, form(file(), file("again.png")))
    claim = Claim.objects.get()
    answer = acme.blog.post(reverse("portal:claim_attach", args=[claim.pk]), {"evidence": [file()]}, follow=True)
    assert "has these files already" in answer.text
    assert Evidence.objects.count() == AuditEntry.objects.filter(verb="evidence attached").count() == 1


@pytest.mark.parametrize(
    ("files", "word"),
    [
        ([("a.png", b"")], "it is empty"),
        ([("a.png", b"<html>")], "told by their content"),
        ([("a.png", PNG), ("b.svg", b"<svg/>")], "told by their content"),
        ([("a.png", PNG.ljust(MOST_EVIDENCE_BYTES + 1))], "at most 5 MB"),
        ([(f"{n}.txt", b"%d" % n) for n in range(6)], "at most 5 files"),
    ],
)
def test_what_is_refused_leaves_no_claim_and_no_file(acme, files, word):
    given = [file(name, content) for name, content in files]
    answer = acme.blog.post(NEW, form(*given))
    assert answer.status_code == 422 and word in answer.context["errors"]["evidence"]
    assert not Claim.objects.exists() and not Evidence.objects.exists()

    claim, before = make_claim(acme), AuditEntry.objects.count()
    given = [file(name, content) for name, content in files]
    answer = acme.blog.post(reverse("portal:claim_attach", args=[claim.pk]), {"evidence": given}, follow=True)
    assert word in answer.text
    assert not Evidence.objects.exists() and AuditEntry.objects.count() == before


def test_five_files_are_the_most_over_all_times_and_a_deleted_one_makes_room(acme):
    facts = [read_evidence(f"{n}.txt", b"%d" % n) for n in range(7)]
    claim = make_claim(acme, "LOST-1", *facts[:3])
    before = stored()
    with pytest.raises(TooMuchEvidence):
        attach(acme, claim, *facts[2:6])
    assert stored() == before and len(before) == 3
    attach(acme, claim, *facts[2:5])
    first = Evidence.objects.order_by("pk").first()
    with pytest.raises(TooMuchEvidence):
        attach(acme, claim, facts[5])
    remove_evidence(advertiser=acme.advertiser, claim_id=claim.pk, evidence_id=first.pk, actor=SYSTEM, now=NOON)
    attach(acme, claim, facts[5])
    assert Evidence.objects.kept().count() == 5


def test_a_closed_claim_takes_no_file_and_a_foreign_one_is_not_there(acme):
    claim = make_claim(acme)
    call = {"claim_id": claim.pk, "evidence": [read_evidence("a.png", PNG)], "actor": SYSTEM, "now": NOON}
    with pytest.raises(ClaimNotFound):
        attach_evidence(partner=acme.partners.coupons, **call)
    withdraw_claim(partner=acme.partners.blog, claim_id=claim.pk, actor=SYSTEM, now=NOON)
    with pytest.raises(ClaimClosed):
        attach_evidence(partner=acme.partners.blog, **call)
    answer = acme.blog.post(reverse("portal:claim_attach", args=[claim.pk]), {"evidence": [file()]}, follow=True)
    assert "answered already" in answer.text and 'type="file"' not in answer.text
    assert not Evidence.objects.exists()


def test_an_owner_deletes_one_file_and_it_does_not_come_back(acme):
    first, second = read_evidence("ada.txt", b"Ada Lovelace"), read_evidence("b.png", PNG)
    claim = make_claim(acme, "LOST-1", first, second)
    row = Evidence.objects.get(name="ada.txt")

    for client, status in ((member(acme, Role.MANAGER), 403), (acme.neighbor, 404)):
        assert client.post(at_console(row, "admin:claim_evidence_remove")).status_code == status
    assert acme.owner.get(at_console(row, "admin:claim_evidence_remove")).status_code == 403
    assert Evidence.objects.kept().count() == 2

    answer = acme.owner.post(at_console(row, "admin:claim_evidence_remove"), follow=True)
    assert "deleted for good" in answer.text and "ada.txt" not in answer.text and "b.png" in answer.text
    assert acme.owner.post(at_console(row, "admin:claim_evidence_remove")).status_code == 404
    entry = AuditEntry.objects.get(verb="evidence removed")
    assert entry.details["sha256"] == first.sha256 and "ada" not in str(entry.details)
    with pytest.raises(EvidenceErased):
        attach(acme, claim, first)
    with pytest.raises(EvidenceNotFound):
        remove_evidence(advertiser=acme.advertiser, claim_id=claim.pk, evidence_id=row.pk, actor=SYSTEM, now=NOON)
    assert Evidence.objects.kept().get().name == "b.png"


def test_what_is_deleted_stays_deleted_in_the_database_too(acme):
    make_claim(acme, "LOST-1", read_evidence("a.png", PNG))
    row = Evidence.objects.get()
    Evidence.objects.update(content=None, name="", erased_at=NOON)
    with pytest.raises(ProgrammingError), transaction.atomic():
        Evidence.objects.update(content=PNG, name="a.png", erased_at=None)
    row.refresh_from_db()
    assert row.content is None and row.erased_at == NOON


def test_strangers_sign_in_neighbors_find_nothing_owners_save_it(acme):
    make_claim(acme, "LOST-1", read_evidence("a.txt", "für Ada".encode()))
    row = Evidence.objects.get()
    attach_to = reverse("portal:claim_attach", args=[row.claim_id])
    for address in (at_portal(row), at_console(row), attach_to, at_console(row, "admin:claim_evidence_remove")):
        answer = Client().post(address) if address == attach_to else Client().get(address)
        assert answer.status_code == 302 and "/login/" in answer["Location"], address
    other = client_of(acme.partners.coupons)
    assert other.get(at_portal(row)).status_code == 404
    assert other.post(attach_to, {"evidence": [file()]}).status_code == 404
    assert acme.neighbor.get(at_console(row)).status_code == 404
    assert acme.neighbor.get(at_portal(row)).status_code in (302, 404)
    mismatched = reverse("portal:claim_evidence", args=[make_claim(acme, "LOST-2").pk, row.pk])
    assert acme.blog.get(mismatched).status_code == 404
    for answer in (acme.blog.get(at_portal(row)), acme.owner.get(at_console(row)), *analysts(acme, row)):
        assert answer.status_code == 200 and answer.content == "für Ada".encode()
        assert answer["Content-Type"] == "text/plain; charset=utf-8"
        assert answer["Content-Disposition"] == 'attachment; filename="a.txt"'
        assert answer["X-Content-Type-Options"] == "nosniff"
        assert answer["Content-Security-Policy"].startswith("sandbox; default-src 'none'")
        assert "no-store" in answer["Cache-Control"]
    assert Evidence.objects.count() == 1


def analysts(acme, row):
    return [member(acme, Role.ANALYST).get(at_console(row))]


def test_a_customer_who_is_forgotten_takes_the_files_along(acme):
    fact = ConversionFact("SALE", "A-1", 100_00, "EUR", identity=Identity("4711"))
    receive_conversion(campaign=acme.campaign, fact=fact, now=NOON)
    for order in ("A-1", "B-1"):
        make_claim(acme, order, read_evidence("ada.txt", b"Ada Lovelace"))
    call = {"advertiser": acme.advertiser, "name": CustomerName(customer_id="4711"), "actor": SYSTEM, "now": NOON}

    told = export_customer(**call)
    [claim] = told["claims"]
    assert (claim["order_ref"], [one["name"] for one in claim["files"]]) == ("A-1", ["ada.txt"])
    assert not any("attached_by" in one for one in claim["files"]) and "page of their claim" in told["claims_files"]
    erase_customer(**call)

    kept = Evidence.objects.kept().select_related("claim").get()
    assert kept.claim.order_ref == "B-1"
    assert AuditEntry.objects.get(verb="customer.erased").details["files"] == 1
    trail = AuditEntry.objects.count()
    erase_customer(**call)
    assert AuditEntry.objects.count() == trail


def test_no_file_comes_to_the_order_of_a_customer_who_was_forgotten(acme):
    """Nobody would delete it: the customer's names find nothing any more."""
    fact = ConversionFact("SALE", "A-1", 100_00, "EUR", identity=Identity("4711"))
    receive_conversion(campaign=acme.campaign, fact=fact, now=NOON)
    claims = {order: make_claim(acme, order) for order in ("A-1", "B-1")}
    name = CustomerName(customer_id="4711")
    erase_customer(advertiser=acme.advertiser, name=name, actor=SYSTEM, now=NOON)

    ada = read_evidence("ada.txt", b"Ada Lovelace")
    with pytest.raises(EvidenceErased):
        attach(acme, claims["A-1"], ada)
    address = reverse("portal:claim_attach", args=[claims["A-1"].pk])
    refused = acme.blog.post(address, {"evidence": [file()]}, follow=True)
    assert "the data of the order" in refused.text
    withdraw_claim(partner=acme.partners.blog, claim_id=claims["A-1"].pk, actor=SYSTEM, now=NOON)
    with pytest.raises(EvidenceErased):
        make_claim(acme, "A-1", ada)
    assert Claim.objects.count() == 2 and not Evidence.objects.exists()
    assert len(attach(acme, claims["B-1"], ada)) == 1


def test_a_request_that_is_too_large_is_answered_before_it_is_read(acme):
    claim = make_claim(acme)
    address = reverse("portal:claim_attach", args=[claim.pk])
    with override_settings(REQUEST_MAX_BYTES=1000):
        answer = acme.blog.post(address, {"evidence": [file(content=PNG + b"\x00" * 2000)]})
    assert answer.status_code == 413 and answer.text.startswith("too_large")
    assert not Evidence.objects.exists()


@pytest.mark.parametrize("rows", [1, 3])
def test_pages_list_files_without_their_bytes_in_a_constant_number_of_queries(acme, rows):
    claim = make_claim(acme, "LOST-1", *(read_evidence(f"{n}.txt", b"%d" % n) for n in range(rows)))
    for client, address, queries in (
        (acme.blog, reverse("portal:claim", args=[claim.pk]), 8),
        # What accepting would do is found out by accepting, in a transaction that is rolled back.
        (acme.owner, reverse("admin:claims_claim_change", args=[claim.pk]), 84),
    ):
        client.get(address)
        with CaptureQueriesContext(connection) as asked:
            assert client.get(address).text.count(".txt</") == rows
        assert len(asked) == queries
        assert not any('"claims_evidence"."content"' in query["sql"] for query in asked)
