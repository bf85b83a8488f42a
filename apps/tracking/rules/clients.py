"""What of a client's own data may be kept for some days: its browser, its network, where it came from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network

LONGEST_AGENT, LONGEST_REFERRER = 500, 1000
UNSTORABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Client:
    """A client as its call shows it, without its full address."""

    user_agent: str = ""
    address: str = ""
    referrer: str = ""


UNKNOWN = Client()


def client_of(headers: Mapping[str, str], source: str) -> Client:
    """Return what may be kept of a call; `headers` have lower-case names, `source` is the caller's address."""
    return Client(
        _text(headers.get("user-agent", ""), LONGEST_AGENT),
        network_of(source),
        _text(headers.get("referer", ""), LONGEST_REFERRER),
    )


def network_of(source: str) -> str:
    """Return an address cut to /24 or /48, or an empty text.

    >>> network_of("203.0.113.77"), network_of("2001:db8:1:2::3"), network_of("::ffff:203.0.113.77"), network_of("x")
    ('203.0.113.0/24', '2001:db8:1::/48', '203.0.113.0/24', '')
    """
    try:
        address = ip_address(source.partition("%")[0])
    except ValueError:
        return ""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is None:
            return str(ip_network((address, 48), strict=False))
        address = address.ipv4_mapped
    return str(ip_network((address, 24), strict=False))


def _text(value: str, longest: int) -> str:
    return UNSTORABLE.sub("", value[:longest])
