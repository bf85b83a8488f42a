"""Where a click may lead: a table of honest and hostile addresses, and properties."""

from __future__ import annotations

import pytest
from ada_url import URL
from hypothesis import given
from hypothesis import strategies as st

from apps.tracking.rules.addresses import allowed_address, with_click

LANDING = "https://shop.example/start"
HOSTS = ("shop.example", "*.outlet.example", "münchen.example", "  ", "127.0.0.1", "localhost")

ALLOWED = {
    "https://shop.example": "https://shop.example/",
    "http://shop.example/p?a=1#top": "http://shop.example/p?a=1#top",
    "https://www.shop.example/p": "https://www.shop.example/p",
    "HTTPS://SHOP.EXAMPLE/P": "https://shop.example/P",
    "https://shop.example:443/": "https://shop.example/",
    "https:///shop.example": "https://shop.example/",
    "https://outlet.example/": "https://outlet.example/",
    "https://de.outlet.example/x y": "https://de.outlet.example/x%20y",
    "https://xn--mnchen-3ya.example/ä": "https://xn--mnchen-3ya.example/%C3%A4",
    "https://münchen.example/": "https://xn--mnchen-3ya.example/",
    "https://shop.example/?next=https://evil.example/": "https://shop.example/?next=https://evil.example/",
    "http://127.0.0.1/": "http://127.0.0.1/",
    "https://shop.example/a/../b": "https://shop.example/b",
}
HOSTILE = [
    "",
    "/p",
    "//shop.example/p",
    "https:shop.example",
    "https://evil.example/",
    "https://evil.example/shop.example",
    "https://evil.example?shop.example",
    "https://evil.example#shop.example",
    "https://evil.example#@shop.example/",
    "https://shop.example.evil.example/",
    "https://evilshop.example/",
    "https://shop.example@evil.example/",
    "https://user@shop.example/",
    "https://user:word@shop.example/",
    "https://:word@shop.example/",
    "https://evil.example\\@shop.example/",
    "https://shop.example\\@evil.example/",
    "https://shop.example\\.evil.example/",
    "https:\\\\shop.example/",
    "https://shop.example:8443/",
    "https://shop.example:80/",
    "https://shop.example:99999/",
    "javascript:alert(1)//https://shop.example",
    "data:text/html,shop.example",
    "ftp://shop.example/",
    "https://shop.example/\r\nset-cookie: a=b",
    "https://shop.example/\x00",
    "https://shop\t.example/",
    "\nhttps://shop.example/",
    " https://shop.example/",
    "https://shop.example%00.evil.example/",
    "https://shop.example%2f@evil.example/",
    "https://shop.example%40evil.example/",
    "https://shop.example%09.evil.example/",
    "https://[::ffff:127.0.0.1]/",
    "http://x.127.0.0.1/",
    "https://x.localhost/",
    "https://shop。evil.example/",
    "https://ѕhop.example/",
    "https://example/",
    "https://shop.example./",
    "https://shop.example\u0085/",
    "https://shop.example/" + "x" * 2000,
]


@pytest.mark.parametrize(("address", "sent"), ALLOWED.items())
def test_address_of_the_campaign_is_sent_as_the_parser_writes_it(address, sent):
    assert allowed_address(address, landing=LANDING, hosts=HOSTS) == sent


@pytest.mark.parametrize("address", HOSTILE)
def test_hostile_address_is_refused(address):
    assert allowed_address(address, landing=LANDING, hosts=HOSTS) is None


def test_without_hosts_only_the_landing_page_is_allowed():
    assert allowed_address("https://shop.example/p", landing=LANDING, hosts=()) == "https://shop.example/p"
    assert allowed_address("https://outlet.example/p", landing=LANDING, hosts=()) is None


def test_port_of_the_landing_page_is_allowed_on_its_host_alone():
    landing = "http://localhost:8000/shop/"

    assert allowed_address("http://localhost:8000/p", landing=landing, hosts=()) == "http://localhost:8000/p"
    assert allowed_address("http://shop.example:8000/p", landing=landing, hosts=HOSTS) is None
    assert allowed_address("http://localhost:22/p", landing=landing, hosts=()) is None


@given(st.text(max_size=40), st.sampled_from(["https://{}", "https://{}@shop.example/", "https://shop.example{}/"]))
def test_whatever_is_allowed_leads_to_a_listed_host(text, shape):
    sent = allowed_address(shape.format(text), landing=LANDING, hosts=HOSTS)

    if sent is not None:
        host = URL(sent).hostname
        names = {"shop.example", "outlet.example", "xn--mnchen-3ya.example", "127.0.0.1", "localhost"}
        assert host in names or host.endswith((".shop.example", ".outlet.example", ".xn--mnchen-3ya.example"))
        assert sent.isascii() and sent.isprintable()


@pytest.mark.parametrize(
    ("address", "sent"),
    [
        ("https://shop.example/", "https://shop.example/?tclid=ID"),
        ("https://shop.example/p?a=1&b=%20#top", "https://shop.example/p?a=1&b=%20&tclid=ID#top"),
        ("https://shop.example/#a?b", "https://shop.example/?tclid=ID#a?b"),
        ("https://shop.example/?", "https://shop.example/?tclid=ID"),
        ("https://shop.example/?tclid=borrowed&a=1", "https://shop.example/?a=1&tclid=ID"),
        ("https://shop.example/?%74clid=borrowed", "https://shop.example/?tclid=ID"),
    ],
)
def test_click_id_joins_the_pages_own_query_and_replaces_a_borrowed_one(address, sent):
    assert with_click(address, "ID") == sent
