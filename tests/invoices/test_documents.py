"""Documents as a finance department gets them: read back from the PDF bytes."""

import io
import json
import re
from dataclasses import replace
from datetime import date
from decimal import Decimal

import pikepdf
import pytest
import typst

from apps.invoices import documents
from apps.invoices.documents import (
    TEMPLATES,
    breakable,
    group_iban,
    invoice_view,
    render_invoice,
    render_statement,
    shorten,
    statement_view,
)
from apps.invoices.rules import (
    Agreement,
    Bank,
    InvoiceContent,
    InvoiceKind,
    InvoiceLine,
    Party,
    Reference,
    TaxStatus,
    document_language,
    totals,
    vat_treatment,
)
from apps.statements.rules import StatementContent, StatementLine

AGREED = Agreement("2026-01", date(2026, 1, 14))
ACME = Party(
    "Acme Outdoor GmbH",
    ("Große Elbstraße 14",),
    "22767",
    "Hamburg",
    "DE",
    "DE136695976",
    "41/234/56789",
    register="Amtsgericht Hamburg, HRB 123456",
    directors="Ines Brandt",
)
BLOG = Party("Wanderlust UG", ("Lindenallee 5",), "04109", "Leipzig", "DE", "DE129273398", reference="P-10482")
SMALL = Party("Mara Vogt", ("Am Hang 3",), "79098", "Freiburg", "DE", "", "06/123/4", status=TaxStatus.SMALL_BUSINESS)
LYON = Party("Sentiers SARL", ("12 rue des Lilas",), "69003", "Lyon", "FR", "FR40303265045")
LINES = (InvoiceLine("Spring tents", "March 2026", 1018, 60_000), InvoiceLine("Always on", "March 2026", 12, 63_456))


def make_invoice(recipient=BLOG, lines=LINES, language=None, **changes):
    treatment = vat_treatment(ACME, recipient, date(2026, 3, 31), agreement=AGREED)
    content = InvoiceContent(
        kind=InvoiceKind.SELF_BILLED,
        number="GS-2026-00042",
        issued_on=date(2026, 4, 2),
        supply_from=date(2026, 3, 1),
        supply_to=date(2026, 3, 31),
        currency="EUR",
        issuer=ACME,
        recipient=recipient,
        lines=lines,
        treatment=treatment,
        totals=totals(lines, treatment.rate),
        brand="Acme Outdoor",
        language=language or document_language(recipient),
        pay_on=date(2026, 4, 20),
        bank=Bank(recipient.name, "DE89370400440532013000", "COBADEFFXXX"),
        statements=("S-2026-03-0118",),
        agreement=AGREED,
    )
    return replace(content, **changes)


def make_statement(count=3, **changes):
    lines = tuple(StatementLine(date(2026, 3, 1 + n % 31), f"{100234 + n}", "Spring", 1000) for n in range(count))
    content = StatementContent(
        number="S-2026-03-0118",
        issued_on=date(2026, 4, 1),
        first_on=date(2026, 3, 1),
        last_on=date(2026, 3, 31),
        currency="EUR",
        advertiser="Acme Outdoor GmbH",
        partner="Wanderlust UG",
        partner_lines=("Lindenallee 5", "04109 Leipzig"),
        lines=lines,
        opening_minor=3500,
        payable_minor=3500 + 1000 * count,
        carried_minor=0,
        minimum_minor=5000,
        pays_on=date(2026, 4, 20),
        content_hash="a" * 64,
    )
    return replace(content, **changes)


def texts(view):
    """Return all texts of a view, one a line."""
    if isinstance(view, str):
        return view
    items = view.values() if isinstance(view, dict) else view if isinstance(view, list | tuple) else ()
    return "\n".join(texts(item) for item in items)


def open_pdf(data):
    return pikepdf.open(io.BytesIO(data))


@pytest.mark.parametrize("render, make", [(render_invoice, make_invoice), (render_statement, make_statement)])
def test_same_content_gives_the_same_bytes_also_after_storage(render, make):
    content = make()
    stored = type(content).from_json(json.loads(json.dumps(content.to_json(), sort_keys=True)))
    assert render(content) == render(stored)


@pytest.mark.parametrize("data", [render_invoice(make_invoice()), render_statement(make_statement())])
def test_document_is_pdf_a_3b_with_embedded_fonts_and_the_day_of_its_content(data):
    with open_pdf(data) as pdf:
        with pdf.open_metadata() as meta:
            assert (meta["pdfaid:part"], meta["pdfaid:conformance"]) == ("3", "B")
            assert meta["xmp:CreateDate"].startswith("2026-04-0")
        assert len(pdf.pages) == 1
        assert pdf.Root.Lang in {"de", "en"}
        fonts = [font for font in pdf.objects if isinstance(font, pikepdf.Dictionary) and font.get("/FontDescriptor")]
        assert fonts
        assert all("/FontFile2" in font.FontDescriptor or "/FontFile3" in font.FontDescriptor for font in fonts)


def test_title_and_author_are_in_the_metadata():
    with open_pdf(render_invoice(make_invoice())) as pdf, pdf.open_metadata() as meta:
        assert meta["dc:title"] == "Gutschrift GS-2026-00042"
        assert meta["dc:creator"] == ["Acme Outdoor GmbH"]


def test_many_lines_run_over_pages():
    lines = tuple(InvoiceLine(f"Campaign {n}", "March 2026", n, n * 1234) for n in range(90))
    with open_pdf(render_invoice(make_invoice(lines=lines))) as pdf:
        assert len(pdf.pages) == 4


def test_statement_of_thousands_of_lines_stays_small():
    data = render_statement(make_statement(3000))
    with open_pdf(data) as pdf:
        assert len(pdf.pages) > 40
    assert len(data) < 1_000_000


def test_german_document_says_gutschrift_and_writes_german_numbers():
    view = invoice_view(make_invoice())
    assert view["title"] == "Gutschrift GS-2026-00042"
    assert view["totals"] == [
        ["Summe netto", "1.234,56\xa0€"],
        ["Umsatzsteuer 19\xa0%", "234,57\xa0€"],
        ["Gesamtbetrag", "1.469,13\xa0€"],
    ]
    assert view["rows"][0] == ["Spring tents", "March 2026", "1.018", "600,00"]
    assert view["payment"]["text"] == "Wir überweisen 1.469,13\xa0€ am 20. April 2026 auf Ihr Konto."
    assert "§ 14 Abs. 2 UStG" in texts(view["notes"])
    assert "Version 2026-01, angenommen am 14. Januar 2026" in texts(view["notes"])


def test_english_document_of_a_french_partner_shows_both_ids_and_reverse_charge():
    view = invoice_view(make_invoice(LYON))
    assert view["title"] == "Self-billed invoice GS-2026-00042"
    assert view["totals"] == [["Net total", "€1,234.56"], ["VAT (reverse charge)", "€0.00"], ["Total", "€1,234.56"]]
    assert (view["parties"][0]["role"], view["parties"][0]["name"]) == ("Supplier", "Sentiers SARL")
    assert ["VAT ID", "FR40303265045"] in view["parties"][0]["ids"]
    assert ["VAT ID", "DE136695976"] in view["parties"][1]["ids"]
    assert "Steuerschuldnerschaft des Leistungsempfängers" in texts(view["tax_notes"])
    assert view["window"] == ["Sentiers SARL", "12 rue des Lilas", "69003 Lyon", "FRANCE"]


def test_small_business_document_carries_its_note_and_tax_number():
    view = invoice_view(make_invoice(SMALL))
    assert ["Steuernummer", "06/123/4"] in view["parties"][0]["ids"]
    assert view["totals"][1] == ["Umsatzsteuer (steuerfrei)", "0,00\xa0€"]
    assert "§ 19 UStG" in texts(view["tax_notes"])


def test_reversal_names_the_reversed_document_and_promises_no_payment():
    view = invoice_view(
        make_invoice(
            kind=InvoiceKind.SELF_BILLED_CREDIT,
            number="GK-2026-00003",
            corrects=Reference("GS-2026-00042", date(2026, 4, 2)),
        )
    )
    assert view["title"] == "Storno-Gutschrift GK-2026-00003"
    assert "GS-2026-00042 vom 2. April 2026" in view["intro"]
    assert view["payment"]["rows"] == [] and view["payment"]["text"] == ""


def test_fee_invoice_asks_for_money_and_is_no_gutschrift():
    view = invoice_view(make_invoice(kind=InvoiceKind.INVOICE, agreement=None))
    assert view["title"] == "Rechnung GS-2026-00042"
    assert view["payment"]["text"].startswith("Bitte überweisen Sie")
    assert "Gutschrift" not in texts(view)


@pytest.mark.parametrize(
    ("currency", "language", "money"),
    [
        ("JPY", "en", "JP¥1,235"),
        ("KWD", "en", "KWD\xa01.235"),
        ("USD", "de", "12,35\xa0$"),
        ("CHF", "de", "12,35\xa0CHF"),
        ("GBP", "en", "£12.35"),
    ],
)
def test_amounts_follow_currency_and_language(currency, language, money):
    line = InvoiceLine("Spring", "March 2026", 1, 1235)
    view = invoice_view(make_invoice(LYON, (line,), language, currency=currency))
    assert view["totals"][2][1] == money


def test_texts_are_printed_and_never_evaluated():
    evil = '#read("/etc/hostname") $x$ *b* @preview/cetz `c` #panic() \\ <label> //'
    lines = (InvoiceLine(evil, evil, 1, 123_456),)
    assert render_invoice(make_invoice(replace(BLOG, name=evil), lines))[:5] == b"%PDF-"


@pytest.mark.parametrize(
    "name", ["株式会社", "🎉 Party", "bell\x07", "nul\x00", "\ud800", "\uffff", "a\u202eb", "Łódź Ελλάς Ж"]
)
def test_no_name_can_stop_a_document(name):
    with open_pdf(render_invoice(make_invoice(replace(BLOG, name=name)))) as pdf:
        assert len(pdf.pages) == 1


def test_unprintable_characters_become_a_square_and_the_rest_stays():
    odd, plain = (make_invoice(replace(BLOG, name=name)) for name in ("Abu 株\uffff u7", "Abu □□ u7"))
    assert render_invoice(odd) == render_invoice(plain)


def test_a_template_that_fails_is_an_error_and_no_endless_loop():
    with pytest.raises(typst.TypstError):
        documents._typeset("invoice.typ", {}, date(2026, 4, 2))


def test_statement_says_what_is_paid_and_when():
    view = statement_view(make_statement(language="de"))
    assert view["summary"] == [
        ["Vortrag aus dem vorigen Auszug", "35,00\xa0€"],
        ["Provisionen im Zeitraum (3)", "30,00\xa0€"],
        ["Auszahlung", "65,00\xa0€"],
        ["Vortrag auf den nächsten Auszug", "0,00\xa0€"],
    ]
    assert view["outcome"] == "Die Auszahlung ist für den 20. April 2026 vorgesehen."
    assert view["rows"][0] == ["01.03.2026", "100234", "Spring", "", "10,00"]


@pytest.mark.parametrize(
    ("opening", "outcome"),
    [
        (-500, "The amount is below the minimum payout of €50.00 and is carried forward to the next statement."),
        (-1000, "Nothing is due."),
        (-2500, "The balance is negative. It is set off against future commissions; no payment is needed."),
    ],
)
def test_statement_says_why_nothing_is_paid(opening, outcome):
    content = make_statement(1, opening_minor=opening, payable_minor=0, carried_minor=opening + 1000)
    assert statement_view(content)["outcome"] == outcome
    assert statement_view(content)["opening"][1].startswith("−")


def test_empty_statement_renders():
    assert render_statement(make_statement(0, carried_minor=3500, payable_minor=0))[:5] == b"%PDF-"


def test_labels_are_complete_in_both_languages_with_the_same_places():
    labels = json.loads((TEMPLATES / "labels.json").read_text(encoding="utf-8"))
    assert labels["de"].keys() == labels["en"].keys()
    for name in labels["de"]:
        places = [sorted(re.findall(r"\{\w+\}", labels[language][name])) for language in ("de", "en")]
        assert places[0] == places[1], name


def test_fonts_come_with_their_licence():
    assert "SIL OPEN FONT LICENSE" in (TEMPLATES / "fonts" / "OFL.txt").read_text(encoding="utf-8").upper()


@pytest.mark.parametrize(
    ("text", "short"),
    [("100234", "100234"), ("X" * 20, "X" * 20), ("SHOP-2026-00042-ABCDEF-XYZ", "SHOP-202…DEF-XYZ")],
)
def test_long_order_references_keep_both_ends(text, short):
    assert shorten(text) == short


def test_only_words_too_long_for_their_place_may_break():
    assert breakable("x" * 60).split("\u200b") == ["x" * 26, "x" * 26, "x" * 8]
    assert breakable("a name of many words that is long but breaks by itself") == (
        "a name of many words that is long but breaks by itself"
    )


def test_an_unknown_language_is_printed_in_english():
    assert statement_view(make_statement(language="fr"))["word"] == "Statement of account"


def test_iban_is_grouped_unless_masked():
    assert group_iban("DE89370400440532013000") == "DE89 3704 0044 0532 0130 00"
    assert group_iban("DE89 •••• 3000") == "DE89 •••• 3000"


def test_a_rate_with_decimals_is_written_in_full():
    treatment = replace(make_invoice().treatment, rate=Decimal("25.5"))
    content = make_invoice(treatment=treatment, totals=totals(LINES, Decimal("25.5")))
    assert invoice_view(content)["totals"][1][0] == "Umsatzsteuer 25,5\xa0%"
