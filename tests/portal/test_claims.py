"""Claims in the portal: a form, a file with its preview, the clock, and never another partner's name."""

from io import BytesIO

import pytest
from django.test import Client
from django.urls import reverse

from apps.claims.models import Claim
from apps.core.actors import SYSTEM
from apps.pipeline.services.claiming import accept_claim
from tests.cast import make_cast
from tests.portal.stage import NOW, client_of

LIST, NEW, UPLOAD = reverse("portal:claims"), reverse("portal:claim_new"), reverse("portal:claim_upload")
FORM = {
    "campaign": "acme-shop",
    "kind": "MISSING",
    "order_ref": "LOST-1",
    "occurred_at": "2026-03-30T10:00",
    "amount": "50.00",
    "text": "two\nlines",
}


def page_of(claim: Claim) -> str:
    return reverse("portal:claim", args=[claim.pk])


def test_a_missing_sale_is_reported_and_has_its_day(stage, blog):
    answer = blog.post(NEW, FORM, follow=True)

    claim = Claim.objects.get()
    assert (claim.partner, claim.amount_minor, claim.state, claim.text) == (stage.blog, 50_00, "OPEN", "two\nlines")
    assert f"{claim.occurred_at:%H:%M}" == "08:00"  # written in Berlin's summer time
    assert answer.redirect_chain[-1][0] == page_of(claim)
    assert "16 June 2026" in answer.text or "Jun" in answer.text
    assert "does not know this order yet" in answer.text
    blog.post(NEW, FORM)
    assert Claim.objects.count() == 1
    assert "LOST-1" in blog.get(LIST).text


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"order_ref": ""}, "order_ref"),
        ({"amount": "50,00"}, "amount"),
        ({"amount": ""}, "amount"),
        ({"campaign": "globex"}, "campaign"),
        ({"occurred_at": "2027-01-01T00:00"}, "occurred_at"),
        ({"occurred_at": "soon"}, "occurred_at"),
        ({"click": "forged"}, "click"),
        ({"currency": "USD"}, "currency"),
        ({"kind": "THEFT"}, "kind"),
    ],
)
def test_what_cannot_be_read_is_said_at_its_field(blog, change, field):
    answer = blog.post(NEW, {**FORM, **change})
    assert (answer.status_code, list(answer.context["errors"])) == (422, [field])
    assert not Claim.objects.exists()


def test_an_amount_that_is_too_large_is_called_that(blog):
    answer = blog.post(NEW, {**FORM, "amount": "99999999999999"})
    assert answer.context["errors"] == {"amount": "The amount is too large."}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"order_ref": "FEB-2"}, "kind"),  # all of it is the partner's
        ({"order_ref": "FEB-1", "kind": "WRONG", "amount": "1000.00"}, "amount"),
        ({"order_ref": "FEB-1"}, None),  # another one has a part of it
        ({"order_ref": "FEB-2", "kind": "WRONG", "amount": "1200.00"}, None),
        ({"order_ref": "MAR-3"}, None),  # rejected
    ],
)
def test_an_order_that_stands_as_claimed_needs_no_claim(blog, change, field):
    answer = blog.post(NEW, {**FORM, **change})
    assert answer.status_code == (422 if field else 302)
    assert Claim.objects.exists() == (field is None)
    if field:
        assert list(answer.context["errors"]) == [field]


def test_the_conflict_is_shown_without_a_name(stage, blog):
    blog.post(NEW, {**FORM, "order_ref": "CANARY-ORDER"})
    text = blog.get(page_of(Claim.objects.get())).text
    assert "credited to another partner" in text
    assert "Coupons" not in text and "8,765" not in text


def test_a_claim_starts_from_the_conversion_it_is_about(stage, blog):
    rejected = blog.get(reverse("portal:conversion", args=[stage.sales.rejected.pk]))
    assert "Tell the advertiser" in rejected.text
    values = blog.get(rejected.context["claim_url"]).context["values"]
    assert (values["kind"], values["order_ref"]) == ("DECLINED", "MAR-3")
    foreign = blog.get(NEW, {"campaign": "acme-shop", "order": "CANARY-ORDER"}).context["values"]
    assert foreign == {"kind": "MISSING", "campaign": "acme-shop", "order_ref": "CANARY-ORDER"}


def test_a_file_is_looked_at_before_it_is_reported_and_twice_is_once(blog):
    content = (
        "campaign;order_ref;occurred_at;amount\n"
        "Acme Shop;F-1;2026-03-30 10:00;10.00\nacme-shop;F-2;soon;1\nacme-shop;F-3;2026-03-30T10:00+02:00;5\n"
    )
    preview = blog.post(UPLOAD, {"file": BytesIO(content.encode())})

    assert [(row["line"], bool(row["fact"])) for row in preview.context["rows"]] == [(2, True), (3, False), (4, True)]
    assert not Claim.objects.exists()
    for _ in range(2):
        assert blog.post(UPLOAD, {"text": preview.context["text"], "confirmed": "1"}).status_code == 302
    assert sorted(Claim.objects.values_list("order_ref", flat=True)) == ["F-1", "F-3"]


@pytest.mark.parametrize(
    "content", [b"\xff\xfe\x00", b"order_ref\nA", b"", b"campaign;order_ref;occurred_at;price\na;b;c;d"]
)
def test_a_file_that_cannot_be_read_says_so(blog, content):
    answer = blog.post(UPLOAD, {"file": BytesIO(content)})
    assert (answer.status_code, bool(answer.context["error"])) == (422, True)
    assert not Claim.objects.exists()


def test_an_accepted_claim_leads_to_its_conversion(stage, blog):
    blog.post(NEW, FORM)
    claim = Claim.objects.get()
    accept_claim(advertiser=stage.advertiser, claim_id=claim.pk, actor=SYSTEM, now=NOW)
    claim.refresh_from_db()

    answer = blog.get(page_of(claim))

    assert answer.context["conversion_url"] == reverse("portal:conversion", args=[claim.conversion_id])
    assert blog.get(answer.context["conversion_url"]).status_code == 200
    assert "Withdraw" not in answer.text


def test_neighbors_and_strangers_see_nothing(stage, blog):
    blog.post(NEW, FORM)
    claim = Claim.objects.get()
    neighbor = client_of(stage.partners.coupons)

    assert neighbor.get(page_of(claim)).status_code == 404
    assert neighbor.post(reverse("portal:claim_withdraw", args=[claim.pk])).status_code == 404
    assert "LOST-1" not in neighbor.get(LIST).text
    for address in (LIST, NEW, UPLOAD, page_of(claim)):
        assert Client().get(address).status_code == 302
    assert Claim.objects.get().state == "OPEN"


def test_a_claim_is_withdrawn_once(blog):
    blog.post(NEW, FORM)
    address = reverse("portal:claim_withdraw", args=[Claim.objects.get().pk])
    assert "The claim is withdrawn" in blog.post(address, follow=True).text
    assert "answered already" in blog.post(address, follow=True).text
    assert Claim.objects.get().state == "WITHDRAWN"


@pytest.mark.parametrize("rows", [1, 3])
def test_the_list_asks_a_constant_number_of_questions(db, clock, django_assert_num_queries, rows):
    cast = make_cast()
    client = client_of(cast.partners.blog)
    for place in range(rows):
        client.post(NEW, {**FORM, "order_ref": f"Q-{place}"})
    client.get(LIST)  # what was said at the last report is read here
    with django_assert_num_queries(7):
        assert client.get(LIST).status_code == 200
