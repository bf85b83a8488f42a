"""The words for codes are there in every language, and escape what they do not know."""

from django.utils import translation

from apps.portal.templatetags import portal


def test_status_is_a_word_beside_its_colour_and_escapes_what_it_does_not_know():
    with translation.override("en"):
        assert ">Pending</span>" in portal.status("PENDING").replace("</svg>", ">")
        assert "<script>" not in portal.status("<script>")
