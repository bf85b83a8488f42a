"""Bank accounts in their normal form."""

import pytest

from apps.partners.rules import normal_bic, normal_iban


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("DE89370400440532013000", "DE89370400440532013000"),
        (" de89 3704 0044 0532 0130 00 ", "DE89370400440532013000"),
        ("GB33BUKB20201555555555", "GB33BUKB20201555555555"),
        ("DE89370400440532013001", None),
        ("DE8937040044053201300", None),
        ("XX89370400440532013000", None),
        ("", None),
        ("12345678", None),
    ],
)
def test_an_iban_has_length_form_and_check_digits_of_its_country(text, normal):
    assert normal_iban(text) == normal


@pytest.mark.parametrize(
    ("text", "normal"), [("COBADEFFXXX", "COBADEFFXXX"), ("coba de ff", "COBADEFF"), ("COBA", None), ("", None)]
)
def test_a_bic_has_the_form_of_one(text, normal):
    assert normal_bic(text) == normal
