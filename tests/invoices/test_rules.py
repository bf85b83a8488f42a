"""The VAT table of the payer in Germany, row by row, and the frozen content of a document."""

import json
from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.invoices.rules import (
    Agreement,
    Bank,
    Blocked,
    InvoiceContent,
    InvoiceKind,
    InvoiceLine,
    Party,
    Reference,
    TaxStatus,
    Totals,
    VatTreatment,
    document_language,
    document_word,
    is_member,
    mask_iban,
    normal_vat_id,
    obstacles,
    standard_rate,
    totals,
    vat_of,
    vat_treatment,
)
from apps.invoices.rules.rates import MEMBERS
from apps.invoices.rules.table import NOTES, ROWS

DAY = date(2026, 3, 31)
AGREED = Agreement("2026-01", date(2026, 1, 14))
ACME = Party("Acme GmbH", ("Elbstraße 14",), "22767", "Hamburg", "DE", "DE136695976", "41/234/56789")
BLOG = Party("Wanderlust UG", ("Lindenallee 5",), "04109", "Leipzig", "DE", "DE 129 273 398")
SMALL = Party(
    "Mara Vogt", ("Am Hang 3",), "79098", "Freiburg", "DE", tax_number="06/123/45678", status=TaxStatus.SMALL_BUSINESS
)
LYON = Party("Sentiers SARL", ("12 rue des Lilas",), "69003", "Lyon", "FR", "FR40303265045")
BERN = Party("Gipfel AG", ("Marktgasse 1",), "3011", "Bern", "CH", "CHE-107.787.577 MWST")
LEEDS = Party("Trailhead Ltd", ("8 Mill Lane",), "LS1 4DJ", "Leeds", "GB", "GB980780684")
OREGON = Party("Summit LLC", ("1 Pine St",), "97201", "Portland", "US", tax_number="12-3456789")


def decide(payee, payer=ACME, on=DAY, agreement=AGREED, **options):
    return vat_treatment(payer, payee, on, agreement=agreement, **options)


def gross(treatment, net_minor=100_000):
    return net_minor + vat_of(net_minor, treatment.rate)


def test_german_partner_with_vat_gets_19_percent_and_a_gutschrift():
    treatment = decide(BLOG)
    assert (treatment.category, treatment.rate, gross(treatment)) == ("S", Decimal(19), 119_000)
    assert (treatment.payee_vat_id, treatment.payer_vat_id) == ("DE129273398", "DE136695976")
    assert document_word(InvoiceKind.SELF_BILLED, ACME, BLOG) == "Gutschrift"
    assert treatment.notes == ()


def test_german_small_business_is_exempt_with_the_note():
    treatment = decide(SMALL)
    assert (treatment.category, treatment.rate, gross(treatment)) == ("E", Decimal(0), 100_000)
    assert treatment.payee_tax_number == "06/123/45678"
    assert "§ 19 UStG" in treatment.notes[0]


def test_french_partner_with_valid_id_is_reverse_charged_with_both_ids():
    treatment = decide(LYON)
    assert (treatment.category, treatment.rate, gross(treatment)) == ("AE", Decimal(0), 100_000)
    assert (treatment.payee_vat_id, treatment.payer_vat_id) == ("FR40303265045", "DE136695976")
    assert treatment.exemption == "VATEX-EU-AE"
    assert "Steuerschuldnerschaft des Leistungsempfängers" in treatment.notes[0]
    assert "Reverse charge" in treatment.notes[0]


@pytest.mark.parametrize(
    ("vat_id", "code"),
    [("", "vat_id_missing"), ("FR40303265046", "vat_id_invalid"), ("DE129273398", "vat_id_invalid")],
)
def test_french_partner_without_a_valid_id_is_blocked(vat_id, code):
    blocked = decide(replace(LYON, vat_id=vat_id))
    assert (type(blocked), blocked.code, blocked.side) == (Blocked, code, "payee")


@pytest.mark.parametrize("payee", [BERN, LEEDS, OREGON])
def test_business_outside_the_union_is_reverse_charged(payee):
    treatment = decide(payee)
    assert (treatment.code, treatment.category, gross(treatment)) == ("reverse_charge_outside", "AE", 100_000)
    assert treatment.payer_vat_id == "DE136695976"


def test_private_person_gets_a_statement_only():
    assert decide(replace(SMALL, status=TaxStatus.PRIVATE)).code == "statement_only"


def test_british_partner_was_a_member_until_the_end_of_2020():
    agreement = Agreement("1", date(2020, 1, 1))
    assert decide(LEEDS, on=date(2020, 12, 31), agreement=agreement).code == "reverse_charge_eu"
    assert decide(LEEDS, on=date(2021, 1, 1), agreement=agreement).code == "reverse_charge_outside"


def test_small_business_note_changed_with_the_law_of_2025():
    before = decide(SMALL, on=date(2024, 12, 31), agreement=Agreement("1", date(2024, 1, 1)))
    assert "§ 19 Abs. 1 UStG" in before.notes[0]
    assert "Steuerfreie Leistung" in decide(SMALL).notes[0]


def test_payer_needs_its_own_id_for_reverse_charge():
    blocked = decide(LYON, payer=replace(ACME, vat_id=""))
    assert (blocked.code, blocked.side) == ("vat_id_missing", "payer")


def test_german_partner_may_have_only_a_tax_number_but_not_nothing():
    assert decide(replace(BLOG, vat_id="", tax_number="232/1/2")).payee_tax_number == "232/1/2"
    assert decide(replace(BLOG, vat_id="")).code == "tax_id_missing"


def test_partner_without_agreement_by_the_day_of_supply_is_blocked():
    assert decide(BLOG, agreement=None).code == "agreement_missing"
    assert decide(BLOG, agreement=Agreement("1", date(2026, 4, 1))).code == "agreement_missing"
    assert isinstance(decide(BLOG, agreement=Agreement("1", DAY)), VatTreatment)
    assert isinstance(decide(BLOG, agreement=None, self_billed=False), VatTreatment)


@pytest.mark.parametrize("field", ["name", "lines", "postcode", "city"])
def test_incomplete_address_is_blocked(field):
    blocked = decide(replace(BLOG, **{field: () if field == "lines" else " "}))
    assert blocked.code == "address_incomplete"


def test_obstacles_lists_everything_in_the_order_to_mend_it():
    found = obstacles(ACME, replace(LYON, vat_id="", city=""), DAY)
    assert [one.code for one in found] == ["agreement_missing", "address_incomplete", "vat_id_missing"]
    assert obstacles(ACME, LYON, DAY, agreement=AGREED) == ()


@pytest.mark.parametrize(
    ("payer", "payee", "category", "rate"),
    [
        (LYON, replace(LYON, name="Autre"), "S", Decimal(20)),
        (LYON, BLOG, "AE", Decimal(0)),
        (BERN, replace(BERN, name="Andere"), "S", Decimal("8.1")),
        (LEEDS, BLOG, "O", Decimal(0)),
        (OREGON, OREGON, "O", Decimal(0)),
    ],
)
def test_payers_elsewhere(payer, payee, category, rate):
    treatment = decide(payee, payer=payer)
    assert (treatment.category, treatment.rate) == (category, rate)


def test_countries_without_a_rule_are_blocked_for_the_payer():
    brazil = replace(OREGON, country="BR")
    blocked = decide(brazil, payer=brazil)
    assert (blocked.code, blocked.side) == ("treatment_unknown", "payer")


def test_every_member_state_has_a_rate_today_and_every_note_both_languages():
    members = [country for country in MEMBERS if is_member(country, DAY)]
    assert len(members) == 28  # the 27 and Monaco
    assert all(standard_rate(country, DAY) for country in members)
    assert all(set(NOTES[note]) == {"de", "en"} for row in ROWS for note in row.notes)


@pytest.mark.parametrize(
    ("country", "on", "rate"),
    [
        ("DE", "2020-06-30", "19"),
        ("DE", "2020-07-01", "16"),
        ("DE", "2020-12-31", "16"),
        ("DE", "2021-01-01", "19"),
        ("EE", "2025-06-30", "22"),
        ("EE", "2025-07-01", "24"),
        ("FI", "2026-01-01", "25.5"),
        ("LU", "2023-06-01", "16"),
        ("RO", "2025-08-01", "21"),
        ("SK", "2025-01-01", "23"),
    ],
)
def test_rates_have_their_days(country, on, rate):
    assert standard_rate(country, date.fromisoformat(on)) == Decimal(rate)


def test_no_rate_before_the_table_begins():
    assert standard_rate("DE", date(2006, 12, 31)) is None
    assert standard_rate("US", DAY) is None


@pytest.mark.parametrize(
    ("vat_id", "country", "normal"),
    [
        ("de 136.695.976", "DE", "DE136695976"),
        ("136695976", "DE", None),
        ("EL094259216", "GR", "EL094259216"),
        ("ATU13585627", "AT", "ATU13585627"),
        ("ATU13585627", "DE", None),
        ("CHE-107.787.577 MWST", "CH", "CHE107787577MWST"),
        ("980 7806 84", "GB", "GB980780684"),
        ("GB980780685", "GB", None),
        ("anything", "US", "anything"),
    ],
)
def test_vat_ids_are_checked_by_their_country(vat_id, country, normal):
    assert normal_vat_id(vat_id, country) == normal


@pytest.mark.parametrize(
    ("net", "rate", "vat"),
    [
        (50, "19", 10),
        (49, "19", 9),
        (-50, "19", -10),
        (100_000, "19", 19_000),
        (0, "19", 0),
        (1, "25.5", 0),
        (2, "25.5", 1),
    ],
)
def test_vat_is_rounded_once_half_away_from_zero(net, rate, vat):
    assert vat_of(net, Decimal(rate)) == vat


@given(st.integers(-(10**12), 10**12), st.sampled_from(["0", "8.1", "19", "25.5"]))
def test_a_reversal_cancels_exactly_and_rounding_moves_at_most_half_a_unit(net, rate):
    vat = vat_of(net, Decimal(rate))
    assert vat_of(-net, Decimal(rate)) == -vat
    assert abs(Decimal(vat) - net * Decimal(rate) / 100) <= Decimal("0.5")


def test_language_follows_the_partner():
    assert [document_language(party) for party in (BLOG, LYON, replace(LYON, language="de"))] == ["de", "en", "de"]
    assert document_language(replace(BLOG, language="en")) == "en"


def test_the_word_gutschrift_is_on_every_self_billed_document_between_german_parties():
    for kind in (InvoiceKind.SELF_BILLED, InvoiceKind.SELF_BILLED_CREDIT):
        for language in ("de", "en"):
            assert "Gutschrift" in document_word(kind, ACME, BLOG, language)
    assert document_word(InvoiceKind.SELF_BILLED, ACME, LYON) == "Self-billed invoice"
    assert document_word(InvoiceKind.INVOICE, ACME, BLOG) == "Rechnung"


def test_type_codes_are_those_of_the_e_invoice():
    assert {kind.value: kind.type_code for kind in InvoiceKind} == {
        "self_billed_invoice": "389",
        "self_billed_credit_note": "261",
        "invoice": "380",
        "credit_note": "381",
    }


def make_content(**changes):
    lines = (InvoiceLine("Spring", "January 2026", 41, 30_000), InvoiceLine("Spring", "February 2026", 12, 70_000))
    treatment = decide(BLOG)
    content = InvoiceContent(
        kind=InvoiceKind.SELF_BILLED,
        number="GS-2026-00042",
        issued_on=date(2026, 4, 2),
        supply_from=date(2026, 1, 1),
        supply_to=DAY,
        currency="EUR",
        issuer=ACME,
        recipient=BLOG,
        lines=lines,
        treatment=treatment,
        totals=totals(lines, treatment.rate),
        language="de",
        pay_on=date(2026, 4, 20),
        bank=Bank("Wanderlust UG", "DE89370400440532013000"),
        statements=("S-1", "S-2"),
        agreement=AGREED,
    )
    return replace(content, **changes)


@pytest.mark.parametrize(
    "content",
    [
        make_content(),
        make_content(pay_on=None, bank=None, agreement=None, terms="On demand", notes=("One", "Two")),
        make_content(kind=InvoiceKind.SELF_BILLED_CREDIT, corrects=Reference("GS-2026-00041", date(2026, 3, 2))),
    ],
)
def test_content_survives_a_json_column(content):
    assert InvoiceContent.from_json(json.loads(json.dumps(content.to_json(), sort_keys=True))) == content


def test_on_a_self_billed_document_the_partner_supplies():
    assert (make_content().supplier, make_content().customer) == (BLOG, ACME)
    fee = make_content(kind=InvoiceKind.INVOICE)
    assert (fee.supplier, fee.customer) == (ACME, BLOG)


def test_content_refuses_totals_that_are_not_those_of_its_lines():
    with pytest.raises(ValueError, match="totals"):
        make_content(totals=Totals(100_000, 19_001, 119_001))


def test_a_correction_names_what_it_corrects():
    with pytest.raises(ValueError, match="corrects"):
        make_content(kind=InvoiceKind.CREDIT)


def test_masked_iban_keeps_its_ends():
    assert mask_iban("DE89 3704 0044 0532 0130 00") == "DE89 •••• 3000"
