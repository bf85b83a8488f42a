"""Where a click may lead: only to the campaign's own pages.

Addresses are read as browsers read them (WHATWG URL Standard), and what that parser writes is what is
sent: what one parser allows and another follows cannot differ.
"""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import unquote_plus

from ada_url import URL, HostType, idna_to_ascii

LONGEST = 2000
SCHEMES = {"http:", "https:"}
CLICK_PARAMETER = "tclid"


def allowed_address(address: str, *, landing: str, hosts: Iterable[str]) -> str | None:
    """Return the address as it may be sent, or None where the campaign does not allow it.

    A listed host stands for itself and its subdomains; the landing page's host is always listed, and its
    port is the only one beside the scheme's own. A name without a dot or an IP address stands for itself.
    """
    url = _parse(address)
    home = _parse(landing)
    if url is None or home is None:
        return None
    if url.port and (url.hostname, url.port) != (home.hostname, home.port):
        return None
    listed = {_plain(host) for host in hosts} | {home.hostname}
    return url.href if any(_covers(host, url) for host in listed if host) else None


def safe_address(address: str) -> str | None:
    """Return an absolute http address as browsers understand it, or None."""
    url = _parse(address)
    return url.href if url else None


def with_click(address: str, click_id: str) -> str:
    """Return a parsed address with the click id in its query; its own query and fragment stay as they are."""
    rest, mark, fragment = address.partition("#")
    page, _, query = rest.partition("?")
    parts = query.split("&") if query else []
    kept = [part for part in parts if unquote_plus(part.partition("=")[0]) != CLICK_PARAMETER]
    return f"{page}?{'&'.join([*kept, f'{CLICK_PARAMETER}={click_id}'])}{mark}{fragment}"


def _parse(address: str) -> URL | None:
    if len(address) > LONGEST or not address.lower().startswith(("http://", "https://")):
        return None
    if "\\" in address or any(character < " " or "\x7f" <= character <= "\x9f" for character in address):
        return None
    try:
        url = URL(address)
    except ValueError:
        return None
    if url.protocol not in SCHEMES or url.username or url.password or not url.hostname:
        return None
    return url


def _plain(host: str) -> str:
    name = host.strip().strip(".").removeprefix("*.").lower()
    try:
        return idna_to_ascii(name).decode() if name else ""
    except ValueError:
        return ""


def _covers(host: str, url: URL) -> bool:
    if host == url.hostname:
        return True
    return url.host_type == HostType.DEFAULT and "." in host and url.hostname.endswith(f".{host}")
