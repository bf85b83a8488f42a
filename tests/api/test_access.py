"""Every address: a stranger 401, a key without the scope 403, a neighbor 404, the owner 200."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.urls import get_resolver
from django.utils import timezone

from apps.commissions.models import Decision
from apps.identity.models import AdvertiserKey, Scope
from apps.invoices.models import Invoice
from apps.records.models import AuditEntry, Job
from apps.statements.models import Statement
from apps.tracking.models import Refund
from tests.api.conftest import Caller, code_of, make_world
from tests.cast import make_key

LISTS = {
    "/conversions/": Scope.CONVERSIONS_READ,
    "/campaigns/": Scope.CAMPAIGNS_READ,
    "/partners/": Scope.PARTNERS_READ,
    "/statements/": Scope.FINANCE_READ,
    "/invoices/": Scope.FINANCE_READ,
    "/jobs/": Scope.CONVERSIONS_DECIDE,
}
ROWS = {
    "/conversions/{conversion}/": Scope.CONVERSIONS_READ,
    "/conversions/{conversion}/receipt/": Scope.CONVERSIONS_READ,
    "/campaigns/{campaign}/": Scope.CAMPAIGNS_READ,
    "/partners/{partner}/": Scope.PARTNERS_READ,
    "/statements/{statement}/": Scope.FINANCE_READ,
    "/invoices/{invoice}/": Scope.FINANCE_READ,
    "/invoices/{invoice}/pdf/": Scope.FINANCE_READ,
    "/jobs/{job}/": Scope.CONVERSIONS_DECIDE,
    "/jobs/{job}/items/": Scope.CONVERSIONS_DECIDE,
}
DECISIONS = [
    *("/conversions/{conversion}/approve/", "/conversions/{conversion}/reject/", "/jobs/{job}/cancel/"),
    *("/jobs/{job}/undo/", "/decisions/"),
]
TOLD = ["/conversions/batch/", "/conversions/{conversion}/refund/", "/refunds/"]


@pytest.fixture(scope="module")
def addresses():
    return lambda world: {
        "conversion": world.conversions[0].pk,
        "campaign": world.campaign.pk,
        "partner": world.campaign.enrollments.get().partner_id,
        "statement": Statement.objects.get(advertiser=world.advertiser).pk,
        "invoice": Invoice.objects.get(advertiser=world.advertiser).pk,
        "job": make_job(world),
    }


def make_job(world) -> int:
    """Return the job of each world: a list of which nothing is done."""
    name = {"items": 1, "name": f"{world.advertiser.slug}.csv"}
    return Job.objects.create(advertiser=world.advertiser, kind="decide_list", key="k", content=name, state="DRAFT").pk


def test_every_route_is_in_the_tables():
    routes = [
        str(pattern.pattern)
        for group in get_resolver().url_patterns
        if str(group.pattern) == "api/"
        for version in group.url_patterns
        if hasattr(version, "url_patterns")
        for pattern in version.url_patterns
    ]

    beside = {"/refunds/", "/decisions/"}  # stand beside the router, as the explaining does
    assert len(routes) == len(LISTS) + len(ROWS) + len({*DECISIONS, *TOLD} - beside)


def test_stranger_sees_nothing(stranger, addresses):
    ids = addresses(make_world("acme", 1))

    for path in [*LISTS, *ROWS]:
        assert code_of(stranger.get(path.format(**ids))) == (401, "not_authenticated"), path
    for path in ["/conversions/", *DECISIONS, *TOLD]:
        assert code_of(stranger.post(path.format(**ids), {})) == (401, "not_authenticated"), path


def test_owner_sees_its_own_and_a_neighbor_does_not(caller, addresses):
    acme, globex = make_world("canary", 1), make_world("globex", 1)
    ids, owner, neighbor = addresses(acme), caller(acme.advertiser), caller(globex.advertiser)

    for path in ROWS:
        assert owner.get(path.format(**ids)).status_code == 200, path
        assert neighbor.get(path.format(**ids)).status_code == 404, path
    for path in LISTS:
        assert len(owner.get(path).json()["results"]) == 1, path
        assert "canary" in owner.get(path).text.lower(), path
        assert "canary" not in neighbor.get(path).text.lower(), path


def test_neighbor_refunds_nothing(caller):
    acme, globex = make_world("acme", 1, billed=False), make_world("globex", 1)
    neighbor, conversion = caller(globex.advertiser), acme.conversions[0]
    refund = {"refund_ref": "R1", "whole": True}

    assert neighbor.post(f"/conversions/{conversion.pk}/refund/", refund).status_code == 404
    waiting = neighbor.post("/refunds/", {**refund, "order_ref": conversion.order_ref})
    assert (waiting.status_code, waiting.json()["conversion"]) == (201, None)
    assert not Refund.objects.filter(advertiser=acme.advertiser).exists()


def test_neighbor_decides_nothing(caller):
    acme, globex = make_world("acme", 1, billed=False), make_world("globex", 1)
    neighbor, conversion = caller(globex.advertiser), acme.conversions[0]
    audit = AuditEntry.objects.count()

    assert neighbor.post(f"/conversions/{conversion.pk}/approve/").status_code == 404
    assert neighbor.post(f"/conversions/{conversion.pk}/reject/", {"reason": "test"}).status_code == 404
    assert Decision.objects.get(conversion=conversion).state == "PENDING"
    assert AuditEntry.objects.count() == audit


@pytest.mark.parametrize("scope", Scope.values)
def test_scope_opens_its_own_addresses_only(caller, addresses, scope):
    world = make_world("acme", 1)
    ids, holder = addresses(world), caller(world.advertiser, [scope])

    for path, needed in {**LISTS, **ROWS}.items():
        expected = 200 if scope == needed else 403
        assert holder.get(path.format(**ids)).status_code == expected, path
    told = holder.post("/conversions/", {"campaign": "acme-shop", "order_ref": "N1", "amount": "1"}).status_code
    assert told == (201 if scope == Scope.CONVERSIONS_WRITE else 403)
    for path in DECISIONS:
        allowed = holder.post(path.format(**ids), {"reason": "test"}).status_code != 403
        assert allowed == (scope == Scope.CONVERSIONS_DECIDE), path
    for path in TOLD:
        allowed = holder.post(path.format(**ids), {}).status_code != 403
        assert allowed == (scope == Scope.CONVERSIONS_WRITE), path


def test_revoked_expired_and_unknown_keys_are_refused():
    advertiser = make_world("acme", 1).advertiser
    revoked, expired = make_key(advertiser, Scope.values), make_key(advertiser, Scope.values)
    AdvertiserKey.objects.filter(prefix=revoked.partition(".")[0]).update(revoked=True)
    past = timezone.now() - timedelta(seconds=1)
    AdvertiserKey.objects.filter(prefix=expired.partition(".")[0]).update(expiry_date=past)

    assert code_of(Caller(revoked).get("/campaigns/")) == (401, "invalid_key")
    assert code_of(Caller(expired).get("/campaigns/")) == (401, "expired_key")
    assert code_of(Caller("nonsense").get("/campaigns/")) == (401, "invalid_key")
    assert code_of(Caller(revoked[:-1] + "x").get("/campaigns/")) == (401, "invalid_key")


def test_use_of_a_key_is_noted(caller):
    advertiser = make_world("acme", 1).advertiser
    owner = caller(advertiser)

    owner.get("/campaigns/")

    assert AdvertiserKey.objects.get(advertiser=advertiser).last_used_at == timezone.now()


@pytest.mark.parametrize(
    "path",
    ["/nothing/", "/conversions/abc/", "/partners/abc/", "/campaigns/abc/", "/statements/-1/", "/invoices/x/pdf/"],
)
def test_an_address_that_leads_nowhere_is_answered_as_the_api_does(caller, path):
    reply = caller(make_world("acme", 1).advertiser).get(path)

    assert code_of(reply) == (404, "not_found")
    assert reply.json()["type"] == "client_error"


def test_an_address_without_its_last_slash_still_leads_there(caller):
    reply = caller(make_world("acme", 1).advertiser).get("/campaigns")

    assert (reply.status_code, reply["Location"]) == (301, "/api/v1/campaigns/")
