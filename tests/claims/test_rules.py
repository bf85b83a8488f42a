"""What a file is, its bytes say; its name is cleaned and ends as its type."""

import pytest

from apps.claims.rules import (
    MOST_EVIDENCE_BYTES,
    EvidenceEmpty,
    EvidenceTooLarge,
    EvidenceTypeUnknown,
    clean_name,
    media_type_of,
    read_evidence,
)

PNG = b"\x89PNG\r\n\x1a\n\x00\x00"
MAIL = (
    b"Received: by mail\r\n from shop\r\nFrom: shop@shop.example\r\nSubject: Your order\r\n\r\nf\xfcr Sie <b>42</b>\r\n"
)


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (PNG, "image/png"),
        (b"\xff\xd8\xff\xe0\x00", "image/jpeg"),
        (b"RIFF\x10\x00\x00\x00WEBPVP8 ", "image/webp"),
        (b"RIFF\x10\x00\x00\x00WAVEfmt ", None),
        (b"%PDF-1.7\n\x00", "application/pdf"),
        (MAIL, "message/rfc822"),
        (b"From: me\n\n", "message/rfc822"),
        (b"Order: 4711\nAmount: 50\n", "text/plain"),
        ("Bestellung für Ada".encode(), "text/plain"),
        (b"\xef\xbb\xbfhello", "text/plain"),
        ("für".encode("latin-1"), None),
        ("hello".encode("utf-16"), None),
        (b"PK\x03\x04", None),
        (b"MZ\x90\x00", None),
        (b"GIF89a\x01\x00", None),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", None),
        (b"\xef\xbb\xbf \n<!doctype html><script>alert(1)</script>", None),
        (b"<?xml version='1.0'?>", None),
    ],
)
def test_a_type_is_what_the_bytes_say(content, media_type):
    assert media_type_of(content) == media_type


@pytest.mark.parametrize(
    ("name", "media_type", "clean"),
    [
        ("receipt.png", "image/png", "receipt.png"),
        ("Photo.JPEG", "image/jpeg", "Photo.jpeg"),
        ("receipt.html", "text/plain", "receipt.html.txt"),
        ("receipt.png", "application/pdf", "receipt.png.pdf"),
        ("../../etc/passwd", "text/plain", "passwd.txt"),
        ("C:\\Users\\Ada\\order.pdf", "application/pdf", "order.pdf"),
        ("a\u202egnp.exe", "image/png", "agnp.exe.png"),
        ('x";\r\nSet-Cookie: a=b.txt', "text/plain", "x__Set-Cookie_ a=b.txt"),
        ("", "image/webp", "file.webp"),
        (".png", "image/png", "png.png"),
        ("заказ.eml", "message/rfc822", "заказ.eml"),
        ("n" * 300 + ".txt", "text/plain", "n" * 110 + ".txt"),
    ],
)
def test_a_name_is_cleaned_and_ends_as_its_type(name, media_type, clean):
    assert clean_name(name, media_type) == clean


@pytest.mark.parametrize(
    ("content", "refusal", "code"),
    [
        (b"", EvidenceEmpty, "empty"),
        (b" \n", EvidenceEmpty, "empty"),
        (PNG + b"\x00" * MOST_EVIDENCE_BYTES, EvidenceTooLarge, "too_large"),
        (b"<html>", EvidenceTypeUnknown, "unknown_type"),
    ],
)
def test_a_file_that_is_not_taken_has_a_code(content, refusal, code):
    with pytest.raises(refusal) as raised:
        read_evidence("receipt.png", content)
    assert (raised.value.code, raised.value.path) == (code, "evidence")


def test_a_file_of_the_most_bytes_is_taken_with_its_hash():
    content = PNG.ljust(MOST_EVIDENCE_BYTES, b"\x00")
    fact = read_evidence("a.png", content)
    assert (fact.media_type, len(fact.content), len(fact.sha256)) == ("image/png", MOST_EVIDENCE_BYTES, 64)


def test_long_texts_of_headers_are_told_apart_without_trying_every_way():
    assert media_type_of(b"a:\n" * 1_000_000 + b"no header") == "text/plain"
