"""Invoices and statements as PDF/A-3b, drawn from frozen content alone: the same content gives the same bytes.

Typst sees the folder `templates/documents` and nothing else: no system fonts, no packages, no clock. Texts of a
document reach the template as JSON strings, which it prints and never evaluates.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from typing import Any

import typst
from babel import Locale
from babel.dates import format_date
from babel.numbers import format_decimal, get_currency_symbol

from apps.core.money import Money, digits
from apps.invoices.rules import InvoiceContent, InvoiceKind, Party
from apps.statements.rules import StatementContent

TEMPLATES = Path(__file__).resolve().parents[2] / "templates" / "documents"
LOCALES = {"de": "de_DE", "en": "en_GB"}
ORDER_REF_LENGTH = 20
# A longer statement goes without the tags of accessible PDF, which make it ten times as large.
TAGGED_LINES = 1000
LONG_WORD = re.compile(r"(\S{26})(?=\S)")
# Control characters, and those that turn the direction of writing and so could show another text than stored.
UNSEEN = (*range(10), *range(11, 32), *range(0x7F, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A))
NO_GLYPH = re.compile(r'the text `"(.+?)"` could not be displayed')
UNESCAPE = re.compile(r"\\u\{([0-9a-f]+)\}")


def render_invoice(content: InvoiceContent) -> bytes:
    """Return the PDF/A-3b of an invoice, a self-billed invoice or a correction of one."""
    return _typeset("invoice.typ", invoice_view(content), content.issued_on)


def render_statement(content: StatementContent) -> bytes:
    """Return the PDF/A-3b of a statement of account; it may run over many pages."""
    tags = len(content.lines) <= TAGGED_LINES
    return _typeset("statement.typ", statement_view(content), content.issued_on, tags=tags)


def invoice_view(content: InvoiceContent) -> dict[str, Any]:
    """Return the texts of an invoice as the template prints them: words, days and amounts in its language."""
    say = _Words(content.language, content.currency)
    supplier, customer, treatment = content.supplier, content.customer, content.treatment
    return {
        "language": say.language,
        "title": f"{content.word} {content.number}",
        "word": content.word,
        "number": content.number,
        "author": content.issuer.name,
        "brand": content.brand or content.issuer.name,
        "issued_on": _iso(content.issued_on),
        "sender": " · ".join(_address(content.issuer)),
        "window": say.address(content.recipient, seen_from=content.issuer.country),
        "facts": _facts(content, say),
        "parties": [
            say.party("supplier", supplier, treatment.payee_vat_id, treatment.payee_tax_number),
            say.party("customer", customer, treatment.payer_vat_id, ""),
        ],
        "intro": _intro(content, say),
        "columns": [
            say.label("campaign" if content.kind.self_billed else "service"),
            say.label("month" if content.kind.self_billed else "detail"),
            say.label("conversions" if content.kind.self_billed else "quantity"),
            f"{say.label('net')} {content.currency}",
        ],
        "rows": [
            [breakable(line.text), breakable(line.detail), say.count(line.quantity), say.amount(line.net_minor)]
            for line in content.lines
        ],
        "totals": _totals(content, say),
        "tax_notes": treatment.notes,
        "notes": [*_procedure(content, say), *content.notes],
        "payment": _payment(content, say),
        "footer": say.footer(content.issuer),
        "page": say.label("page"),
    }


def statement_view(content: StatementContent) -> dict[str, Any]:
    """Return the texts of a statement as the template prints them."""
    say = _Words(content.language, content.currency)
    carried = "below_minimum" if content.carried_minor > 0 else "overdrawn"
    outcome = say.label("nothing_due")
    if content.payable_minor:
        outcome = say.label("paid_on" if content.pays_on else "paid", day=say.day(content.pays_on))
    elif content.carried_minor:
        outcome = say.label(carried, minimum=say.money(content.minimum_minor))
    return {
        "language": say.language,
        "title": f"{say.label('statement')} {content.number}",
        "word": say.label("statement"),
        "author": content.advertiser,
        "brand": content.brand or content.advertiser,
        "issued_on": _iso(content.issued_on),
        "partner": [breakable(line) for line in (content.partner, *content.partner_lines)],
        "facts": [
            [say.label("number"), content.number],
            [say.label("date"), say.day(content.issued_on)],
            [say.label("period"), say.days(content.first_on, content.last_on)],
            [say.label("currency"), content.currency],
        ],
        "summary": [
            [say.label("opening"), say.money(content.opening_minor)],
            [say.label("earned", count=say.count(len(content.lines))), say.money(content.earned_minor)],
            [say.label("payable"), say.money(content.payable_minor)],
            [say.label("carried"), say.money(content.carried_minor)],
        ],
        "outcome": outcome,
        "columns": [
            say.label("sold_on"),
            say.label("order"),
            say.label("campaign"),
            "",
            f"{say.label('amount')} {content.currency}",
        ],
        "opening": [say.label("opening"), say.amount(content.opening_minor)],
        "rows": [
            [
                say.short_day(line.occurred_on),
                shorten(line.order_ref),
                breakable(line.campaign),
                breakable(line.note),
                say.amount(line.amount_minor),
            ]
            for line in content.lines
        ],
        "closing": [say.label("balance"), say.amount(content.opening_minor + content.earned_minor)],
        "empty": say.label("no_lines"),
        "proof": [
            [say.label(name), value]
            for name, value in (("hash", content.content_hash), ("previous", content.previous_hash))
            if value
        ],
        "page": say.label("page"),
    }


def shorten(order_ref: str) -> str:
    """Return an order reference that fits its column: a long one keeps its first eight and last seven characters."""
    if len(order_ref) <= ORDER_REF_LENGTH:
        return order_ref
    return f"{order_ref[:8]}…{order_ref[-7:]}"


def breakable(text: str) -> str:
    """Return a text whose longest words may break (at zero-width spaces), so that none runs over its neighbor."""
    return LONG_WORD.sub("\\1\N{ZERO WIDTH SPACE}", text)


def _facts(content: InvoiceContent, say: _Words) -> list[list[str]]:
    facts = [
        [say.label("number"), content.number],
        [say.label("date"), say.day(content.issued_on)],
        [say.label("supply"), say.days(content.supply_from, content.supply_to)],
        [say.label("reference"), content.recipient.reference],
        [say.label("statements"), ", ".join(content.statements)],
    ]
    if content.corrects:
        facts.append([say.label("corrects"), content.corrects.number])
    return [fact for fact in facts if fact[1]]


def _intro(content: InvoiceContent, say: _Words) -> str:
    if content.corrects:
        corrected = InvoiceKind.SELF_BILLED if content.kind.self_billed else InvoiceKind.INVOICE
        return say.label(
            f"correction_of_{corrected.value}",
            number=content.corrects.number,
            day=say.day(content.corrects.issued_on),
        )
    name = content.brand or content.issuer.name
    return say.label("intro_self_billed", brand=name) if content.kind.self_billed else say.label("intro_invoice")


def _totals(content: InvoiceContent, say: _Words) -> list[list[str]]:
    treatment, sums = content.treatment, content.totals
    vat = {
        "S": say.label("vat", rate=say.rate(treatment.rate)),
        "E": say.label("vat_exempt"),
        "AE": say.label("vat_reverse_charge"),
    }.get(treatment.category, say.label("vat_outside"))
    return [
        [say.label("total_net"), say.money(sums.net_minor)],
        [vat, say.money(sums.vat_minor)],
        [
            say.label("total_reversed" if content.kind.is_correction else "total"),
            say.money(sums.gross_minor),
        ],
    ]


def _procedure(content: InvoiceContent, say: _Words) -> list[str]:
    """Say by which right the customer writes this document, and what an objection does."""
    if not content.kind.self_billed:
        return []
    law = "german" if content.issuer.country == "DE" else "other"
    notes = [say.label(f"self_billing_{law}")]
    if content.agreement:
        day = say.day(content.agreement.accepted_on)
        notes.append(say.label("agreement", version=content.agreement.version, day=day))
    if not content.kind.is_correction:
        notes.append(say.label(f"objection_{law}"))
    return [" ".join(notes)]


def _payment(content: InvoiceContent, say: _Words) -> dict[str, Any]:
    bank, text = content.bank, content.terms
    if not text and not content.kind.is_correction and content.pay_on:
        key = "pay_self_billed" if content.kind.self_billed else "pay_invoice"
        text = say.label(key, amount=say.money(content.totals.gross_minor), day=say.day(content.pay_on))
    rows = []
    if bank and not content.kind.is_correction:
        rows = [[say.label("holder"), bank.holder], ["IBAN", group_iban(bank.iban)], ["BIC", bank.bic]]
    return {"heading": say.label("payment"), "text": text, "rows": [row for row in rows if row[1]]}


def group_iban(iban: str) -> str:
    """Return an IBAN in groups of four; a masked one stays as it is."""
    return iban if "•" in iban else " ".join(re.findall(".{1,4}", iban.replace(" ", "")))


class _Words:
    """Labels, days and amounts in the language of one document."""

    def __init__(self, language: str, currency: str) -> None:
        self.language, self.currency = language if language in LOCALES else "en", currency
        self.locale, self.labels = Locale.parse(LOCALES[self.language]), _labels()[self.language]

    def label(self, name: str, **values: str) -> str:
        return self.labels[name].format(**values)

    def amount(self, minor: int) -> str:
        pattern = "#,##0" + ("." + "0" * digits(self.currency) if digits(self.currency) else "")
        text = format_decimal(Money(minor, self.currency).decimal, format=pattern, locale=self.locale)
        return text.replace("-", "−")

    def money(self, minor: int) -> str:
        symbol = get_currency_symbol(self.currency, locale=self.locale)
        if self.language == "de":
            return f"{self.amount(minor)}\N{NO-BREAK SPACE}{symbol}"
        gap = "\N{NO-BREAK SPACE}" if symbol[-1].isalpha() else ""
        return f"{'−' if minor < 0 else ''}{symbol}{gap}{self.amount(abs(minor))}"

    def count(self, number: int) -> str:
        return format_decimal(number, locale=self.locale)

    def rate(self, percent: Any) -> str:
        text = format_decimal(percent, format="0.###", locale=self.locale)
        return f"{text}\N{NO-BREAK SPACE}%" if self.language == "de" else f"{text}%"

    def day(self, day: date | None) -> str:
        return format_date(day, "d. MMMM y" if self.language == "de" else "d MMMM y", self.locale) if day else ""

    def short_day(self, day: date) -> str:
        return format_date(day, "dd.MM.y" if self.language == "de" else "d MMM y", self.locale)

    def days(self, first: date, last: date) -> str:
        return f"{self.short_day(first)} – {self.short_day(last)}"

    def country(self, code: str) -> str:
        return self.locale.territories.get(code, code)

    def address(self, party: Party, *, seen_from: str) -> list[str]:
        lines = [breakable(line) for line in _address(party)]
        return lines if party.country == seen_from else [*lines, self.country(party.country).upper()]

    def party(self, role: str, party: Party, vat_id: str, tax_number: str) -> dict[str, Any]:
        ids = [("vat_id", vat_id), ("tax_number", tax_number), ("email", party.email)]
        return {
            "role": self.label(role),
            "name": breakable(party.name),
            "lines": [*map(breakable, _address(party)[1:]), self.country(party.country)],
            "ids": [[self.label(name), breakable(value)] for name, value in ids if value],
        }

    def footer(self, issuer: Party) -> list[list[str]]:
        """Return three columns: who writes, where registered, tax numbers and contact."""
        legal = [issuer.register, self.label("directors", names=issuer.directors) if issuer.directors else ""]
        ids = [("vat_id", issuer.vat_id), ("tax_number", issuer.tax_number), ("email", issuer.email)]
        return [
            [*_address(issuer), self.country(issuer.country)],
            [text for text in legal if text],
            [f"{self.label(name)} {breakable(value)}" for name, value in ids if value],
        ]


def _address(party: Party) -> list[str]:
    """Return name, street and town; a British or American postcode follows the town."""
    town = (
        (party.city, party.postcode)
        if party.country in {"GB", "IE", "US", "CA", "AU"}
        else (party.postcode, party.city)
    )
    return [party.name, *party.lines, " ".join(filter(None, town))]


def _iso(day: date) -> list[int]:
    return [day.year, day.month, day.day]


@cache
def _labels() -> Mapping[str, Mapping[str, str]]:
    return json.loads((TEMPLATES / "labels.json").read_text(encoding="utf-8"))


@cache
def _fonts() -> typst.Fonts:
    return typst.Fonts(include_system_fonts=False, include_embedded_fonts=True, font_paths=[str(TEMPLATES / "fonts")])


def _typeset(template: str, view: Mapping[str, Any], day: date, *, tags: bool = True) -> bytes:
    """Draw a view; characters no font has (PDF/A refuses them) become `□`, so that no name can stop a document."""
    unprintable: dict[int, str | None] = {**dict.fromkeys(UNSEEN), **dict.fromkeys(range(0xD800, 0xE000), "□")}
    while True:
        try:
            return typst.compile(
                str(TEMPLATES / template),
                root=str(TEMPLATES),
                font_paths=_fonts(),
                ignore_system_fonts=True,
                sys_inputs={"view": json.dumps(_translate(view, unprintable), ensure_ascii=False)},
                pdf_standards="a-3b",
                timestamp=datetime(day.year, day.month, day.day, tzinfo=UTC),
                pdf_tags=tags,
            )
        except typst.TypstError as error:
            texts = (UNESCAPE.sub(lambda found: chr(int(found[1], 16)), t) for t in NO_GLYPH.findall(error.diagnostic))
            missing = {ord(character) for text in texts for character in text}
            if missing <= unprintable.keys():
                raise
            unprintable |= dict.fromkeys(missing, "□")


def _translate(value: Any, characters: Mapping[int, str | None]) -> Any:
    if isinstance(value, str):
        return value.translate(characters)
    if isinstance(value, Mapping):
        return {key: _translate(item, characters) for key, item in value.items()}
    return [_translate(item, characters) for item in value] if isinstance(value, list | tuple) else value
