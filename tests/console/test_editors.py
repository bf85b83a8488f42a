"""The test bench and the editors of plans, policies and codes: live answers, precise refusals, new versions."""

import json
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apps.attribution.models import CouponRule, PolicyVersion
from apps.commissions.models import CommissionPlan, PlanAssignment, PlanVersion
from apps.console.samples import EXAMPLE, journeys
from apps.identity.models import Role
from apps.pipeline.receipts import explain_conversion
from apps.pipeline.rules import explain
from tests.console.scene import make_scene, member

pytestmark = pytest.mark.django_db
BENCH = "/admin/bench/explain/"


@pytest.fixture
def acme():
    return make_scene()


def ask(client, document, address=BENCH):
    text = document if isinstance(document, str) else json.dumps(document)
    return client.post(address, text, content_type="application/json")


def soon(acme, days=1):
    return f"{timezone.localtime(timezone=acme.advertiser.zone) + timedelta(days=days):%Y-%m-%dT%H:%M}"


def page(acme, name, *args):
    return reverse(f"admin:campaigns_campaign_{name}", args=[acme.campaign.pk, *args])


# --- the bench --------------------------------------------------------------------------------------
def test_the_bench_answers_what_the_engine_explains_and_stores_nothing(acme):
    before = PolicyVersion.objects.count(), PlanVersion.objects.count()
    answer = ask(acme.owner, EXAMPLE).json()
    assert answer["receipt"] == explain(EXAMPLE)
    for text in ("3/4 (75.0 %)", "3.38 EUR", "older than the click window", "tried before: new customers"):
        assert text in answer["html"]
    assert answer["said"]["plans.default.rules[0]"].startswith("12 % of the net amount for a new customer")
    assert answer["said"]["policy.adjustments[0]"] == "channel content: multiply the weight by 3"
    assert (PolicyVersion.objects.count(), PlanVersion.objects.count()) == before


def test_a_fault_is_named_by_code_and_path_and_said_in_words(acme):
    document = {**EXAMPLE, "conversion": {**EXAMPLE["conversion"], "lines": [{"unit_price": "1.083,29"}]}}
    assert ask(acme.owner, document).json()["error"] == {
        "code": "invalid_amount",
        "path": "conversion.lines[0].unit_price",
        "message": "This is no amount of the currency, such as 12.50.",
    }


def test_a_list_of_documents_is_answered_in_its_order(acme):
    answer = ask(acme.owner, [EXAMPLE, {"conversion": 1}]).json()
    assert answer["receipt"] == [explain(EXAMPLE), {"error": {"code": "invalid_type", "path": "conversion"}}]
    assert "5.18 EUR" in answer["html"] and "invalid_type" in answer["html"]


@pytest.mark.parametrize(
    "text", ["", "{", "NaN", "[" * 100_000, '{"a": 1, "a": 2}', '"x"', '{"plans": {"x": {"rules": [1]}}}']
)
def test_what_is_no_document_is_refused_without_a_trace(acme, text):
    answer = ask(acme.owner, text)
    assert answer.status_code == 200 and answer.json()["error"]["code"]


def test_names_are_shown_as_text(acme):
    document = json.loads(json.dumps(EXAMPLE).replace("voucher", "<b>voucher</b>"))
    assert "&lt;b&gt;voucher&lt;/b&gt;" in ask(acme.owner, document).json()["html"]


def test_strangers_get_no_answers(acme):
    assert ask(Client(), EXAMPLE).status_code == 302
    assert acme.owner.get(BENCH).status_code == 405
    assert ask(member(acme, Role.ANALYST), EXAMPLE).status_code == 200
    check = page(acme, "check_plan")
    assert ask(acme.neighbor, {"rules": []}, check).status_code == 404
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = acme.owner.cookies
    assert ask(strict, EXAMPLE).status_code == 403


def test_the_bench_starts_from_a_campaign_or_a_real_sale(acme):
    shown = acme.owner.get(f"/admin/bench/?campaign={acme.campaign.pk}")
    document = shown.context["document"]
    assert document["plans"]["default"]["rules"][0]["pay"] == {"percent": "8"}
    assert explain(document)["shares"]

    shown = acme.owner.get(f"/admin/bench/?conversion={acme.paid.pk}")
    answer = explain(shown.context["document"])
    assert answer["shares"] == explain_conversion(acme.paid.pk)["shares"]
    assert (
        f"?conversion={acme.paid.pk}"
        in acme.owner.get(reverse("admin:tracking_conversion_change", args=[acme.paid.pk])).content.decode()
    )
    for wrong in ("conversion=x", f"conversion={'0' * 32}", "campaign=999", "campaign=x"):
        assert acme.owner.get(f"/admin/bench/?{wrong}").status_code == 404, wrong


@pytest.mark.parametrize("currency", ["EUR", "JPY", "KWD"])
def test_sample_journeys_explain_in_every_currency(currency):
    for _, found in journeys(currency):
        plans = {"default": {"rules": [{"pay": {"percent": "8"}}]}}
        answer = explain({**found, "plans": plans, "policy": {"model": "LINEAR", "repeats": "ONCE"}})
        assert answer["currency"] == currency and answer["shares"]


# --- plans ------------------------------------------------------------------------------------------
RULES = [
    {"name": "new customers", "when": {"new_customer": True, "amount_from": "200"}, "pay": {"percent": "12"}},
    {"name": "books", "when": {"category": ["BOOK", "COMIC"], "role": ["closer"]}, "pay": {"per_line": "0.50"}},
    {"when": {}, "pay": {"percent": "5", "of": "gross"}},
]


def test_a_new_version_of_a_plan_keeps_the_order_people_give(acme):
    plan = CommissionPlan.objects.get()
    content = {"document": json.dumps({"rules": RULES, "per_order": "2.00"}), "starts_at": soon(acme)}
    assert acme.owner.post(page(acme, "plan_version", plan.pk), content).status_code == 302
    version = plan.versions.first()
    assert (version.number, version.per_order_minor) == (2, 200)
    assert [(row.name, row.when, row.pay) for row in version.rules.all()] == [
        (rule.get("name", "#3"), rule["when"], rule["pay"]) for rule in RULES
    ]
    shown = acme.owner.get(page(acme, "plan")).content.decode()
    assert "a new customer and order from 200 EUR" in shown


@pytest.mark.parametrize(
    ("document", "code", "path"),
    [
        (
            {"rules": [{"when": {"amount_from": "x"}, "pay": {"percent": "5"}}]},
            "invalid_amount",
            "plan.rules[0].when.amount_from",
        ),
        ({"rules": [{"pay": {}}]}, "missing_field", "plan.rules[0].pay.percent"),
        ({"rules": [{"name": "n" * 121, "pay": {"percent": "5"}}]}, "invalid_text", "plan.rules[0].name"),
        ({"rules": 5}, "invalid_type", "plan.rules"),
        ([], "invalid_type", "plan"),
        ({"rules": [], "more": 1}, "unknown_field", "plan.more"),
    ],
)
def test_a_plan_that_the_engine_cannot_read_is_refused_at_its_field(acme, document, code, path):
    plan = CommissionPlan.objects.get()
    content = {"document": json.dumps(document), "starts_at": soon(acme)}
    answer = acme.owner.post(page(acme, "plan_version", plan.pk), content)
    assert answer.status_code == 200
    fault = answer.context["fault"]
    assert (fault["code"], fault["path"]) == (code, path)
    assert plan.versions.count() == 1


def test_two_versions_never_begin_at_one_moment(acme):
    plan = CommissionPlan.objects.get()
    content = {"document": json.dumps({"rules": RULES}), "starts_at": soon(acme)}
    acme.owner.post(page(acme, "plan_version", plan.pk), content)
    again = acme.owner.post(page(acme, "plan_version", plan.pk), content)
    assert b"already has a version that starts at this moment" in again.content and plan.versions.count() == 2
    past = acme.owner.post(page(acme, "plan_version", plan.pk), {**content, "starts_at": soon(acme, -2)})
    assert b"A version holds from now or later" in past.content and plan.versions.count() == 2


def test_rules_that_never_pay_are_warned_of_live(acme):
    answer = ask(acme.owner, {"rules": [RULES[2], RULES[0]]}, page(acme, "check_plan")).json()
    assert "Rule 2 (new customers) never pays: Rule 1 (#1) holds wherever it does" in answer["html"]
    assert answer["said"]["plan.rules[1]"].startswith("12 % of the net amount")
    answer = ask(acme.owner, {"rules": RULES[:2]}, page(acme, "check_plan")).json()
    assert "a line that meets none pays nothing" in answer["html"] and "may both hold" in answer["html"]
    answer = ask(acme.owner, {"rules": [{"pay": {"percent": "-1"}}]}, page(acme, "check_plan")).json()
    assert answer["error"]["path"] == "plan.rules[0].pay.percent" and "html" not in answer


def test_a_second_plan_is_added_and_assigned(acme):
    answer = acme.owner.post(page(acme, "new_plan"), {"name": "Gold"})
    plan = CommissionPlan.objects.get(name="Gold")
    assert answer["Location"] == page(acme, "plan_version", plan.pk)
    assert b"already has a plan of this name" in acme.owner.post(page(acme, "new_plan"), {"name": "Gold"}).content

    blog = {"target": f"partner:{acme.partners.blog.pk}", "starts_at": soon(acme)}
    assert acme.owner.post(page(acme, "assign_plan", plan.pk), blog).status_code == 302
    again = acme.owner.post(page(acme, "assign_plan", plan.pk), blog)
    assert b"The plan Gold holds there at that time; end it first." in again.content
    whole = {"target": "campaign", "starts_at": soon(acme)}
    assert b"The plan Standard holds there" in acme.owner.post(page(acme, "assign_plan", plan.pk), whole).content
    assert PlanAssignment.objects.count() == 2

    shown = acme.owner.get(page(acme, "plan")).content.decode()
    assert "partner Blog" in shown and "Take away" in shown
    row = PlanAssignment.objects.get(partner=acme.partners.blog)
    acme.owner.post(page(acme, "unassign_plan", row.pk))
    assert not PlanAssignment.objects.filter(pk=row.pk).exists()
    foreign = {"target": "partner:999999", "starts_at": soon(acme)}
    assert b"Select a valid choice" in acme.owner.post(page(acme, "assign_plan", plan.pk), foreign).content


# --- policies and codes -----------------------------------------------------------------------------
def test_a_policy_is_published_as_the_engine_reads_it(acme):
    settings = {
        "model": "POSITION",
        "weights": {"first": "30", "middle": "20", "last": "50"},
        "repeats": "ONCE",
        "channel_windows": {"email": 7},
        "freeze": {"goal": "CHECKOUT", "hours": 12},
        "adjustments": [{"when": {"channel": ["content"]}, "do": "MULTIPLY", "factor": "2"}],
    }
    content = {"document": json.dumps(settings), "starts_at": soon(acme)}
    assert acme.owner.post(page(acme, "policy_version"), content).status_code == 302
    assert PolicyVersion.objects.first().settings == settings
    shown = acme.owner.get(page(acme, "attribution")).content.decode()
    for text in ("30 / 20 / 50", "email 7 days", "for 12 hours after CHECKOUT", "multiply the weight by 2"):
        assert text in shown


@pytest.mark.parametrize(
    ("settings", "code", "path"),
    [
        ({"model": "NEWEST"}, "invalid_choice", "policy.model"),
        ({"model": "LINEAR", "weights": {"first": "x"}}, "invalid_number", "policy.weights.first"),
        ({"model": "LINEAR", "click_window_days": "30"}, "invalid_type", "policy.click_window_days"),
        ({"model": "LINEAR", "unknown": 1}, "unknown_field", "policy.unknown"),
        ({}, "missing_field", "policy.model"),
        (5, "invalid_type", "policy"),
    ],
)
def test_a_policy_that_the_engine_cannot_read_is_refused_at_its_field(acme, settings, code, path):
    content = {"document": json.dumps(settings), "starts_at": soon(acme)}
    answer = acme.owner.post(page(acme, "policy_version"), content)
    assert (answer.context["fault"]["code"], answer.context["fault"]["path"]) == (code, path)
    assert PolicyVersion.objects.count() == 1


def test_a_version_starts_now_or_later(acme):
    content = {"document": '{"model": "LINEAR"}', "starts_at": "2020-01-01T00:00"}
    assert b"A version holds from now or later" in acme.owner.post(page(acme, "policy_version"), content).content
    assert PolicyVersion.objects.count() == 1
    acme.owner.post(page(acme, "policy_version"), {**content, "starts_at": soon(acme, 0)})
    assert PolicyVersion.objects.first().settings["model"] == "LINEAR"


def test_the_policy_s_samples_and_real_sales_explain(acme):
    context = acme.owner.get(page(acme, "policy_version")).context
    for sample in context["samples"]:
        assert explain({**sample["document"], "policy": context["document"]})["shares"]
    [*sales] = context["latest"]
    assert len(sales) == 2
    document = acme.owner.get(sales[0]["address"]).json()
    assert explain({**document, "policy": {"model": "LINEAR"}})["shares"]


def test_a_code_gets_a_rule_of_its_own(acme):
    address = reverse("admin:campaigns_coupon_rule", args=[acme.coupon.pk])
    share = {"policy": "SHARE", "percent": "", "starts_at": soon(acme, 0)}
    assert b"Say how many per cent" in acme.owner.post(address, share).content
    assert acme.owner.post(address, {**share, "percent": "30"}).status_code == 302
    assert CouponRule.objects.values_list("policy", "percent").get() == ("SHARE", 30)
    planned = {"policy": "ALWAYS", "percent": "5", "starts_at": soon(acme, 3)}
    assert b"This rule has no percentage" in acme.owner.post(address, planned).content
    for _ in range(2):
        again = acme.owner.post(address, {**planned, "percent": ""})
    assert b"already has a rule that starts at this moment" in again.content and CouponRule.objects.count() == 2
    shown = acme.owner.get(reverse("admin:campaigns_coupon_change", args=[acme.coupon.pk])).content.decode()
    assert "then its part of the rest" in shown and "planned" in shown


@pytest.mark.parametrize(("role", "status"), [(Role.MANAGER, 302), (Role.ANALYST, 403), (Role.FINANCE, 403)])
def test_only_owners_and_managers_change_rules_and_everybody_reads(acme, role, status):
    client = member(acme, role)
    plan = CommissionPlan.objects.get()
    row = PlanAssignment.objects.get()
    starts_at = soon(acme)
    rule = reverse("admin:campaigns_coupon_rule", args=[acme.coupon.pk])
    changes = [
        (page(acme, "plan_version", plan.pk), {"document": json.dumps({"rules": RULES})}),
        (page(acme, "policy_version"), {"document": '{"model": "LINEAR"}'}),
        (page(acme, "new_plan"), {"name": "Gold"}),
        (page(acme, "assign_plan", plan.pk), {"target": f"partner:{acme.partners.blog.pk}"}),
        (page(acme, "unassign_plan", row.pk), {}),
        (rule, {"policy": "ALWAYS"}),
    ]
    for address, content in changes:
        assert client.post(address, {**content, "starts_at": starts_at}).status_code == status, address
    for address in (page(acme, "plan"), page(acme, "attribution"), "/admin/bench/", page(acme, "coupons")):
        assert client.get(address).status_code == 200
    allowed = status == 302
    assert (PolicyVersion.objects.count(), CommissionPlan.objects.count()) == ((2, 2) if allowed else (1, 1))
    assert ("New version" in client.get(page(acme, "plan")).content.decode()) is allowed


def test_neighbors_change_nothing(acme):
    plan = CommissionPlan.objects.get()
    rule = reverse("admin:campaigns_coupon_rule", args=[acme.coupon.pk])
    content = {"document": json.dumps({"rules": RULES}), "starts_at": soon(acme), "target": "campaign", "name": "x"}
    pages = ["policy_version", "new_plan"]
    addresses = [page(acme, name) for name in pages]
    addresses += [page(acme, name, plan.pk) for name in ("plan_version", "assign_plan")]
    addresses += [page(acme, "unassign_plan", PlanAssignment.objects.get().pk), rule]
    for address in addresses:
        assert acme.neighbor.post(address, content).status_code == 404, address
    assert (PolicyVersion.objects.count(), PlanVersion.objects.count(), CouponRule.objects.count()) == (1, 1, 0)
