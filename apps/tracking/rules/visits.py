"""Who is knocking: a person following a link, or something that only looks like one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from crawleruseragents import is_crawler

FRAMES = {"embed", "fencedframe", "frame", "iframe", "object"}
TABLET = re.compile(r"iPad|Tablet|PlayBook|Silk(?!.*Mobile)|Kindle|Android(?!.*Mobile)", re.IGNORECASE)
MOBILE = re.compile(r"Mobi|iPhone|iPod|Android|Opera Mini|Windows Phone", re.IGNORECASE)
DESKTOP = re.compile(r"Windows NT|Macintosh|X11|CrOS", re.IGNORECASE)


def visit_refusal(method: str, headers: Mapping[str, str]) -> str:
    """Return why a request is no visit (`head`, `prefetch`, `bot`, `not_navigation`), or an empty text.

    `headers` have lower-case names. Fetch Metadata (W3C) tells navigations of a whole page from images,
    scripts and frames, in which a cookie could be stuffed; browsers without it are taken at their word.
    """
    if method == "HEAD":
        return "head"
    purposes = (headers.get("sec-purpose"), headers.get("purpose"), headers.get("x-purpose"), headers.get("x-moz"))
    if any("prefetch" in purpose or "preview" in purpose for purpose in purposes if purpose):
        return "prefetch"
    if _is_known_crawler(headers.get("user-agent", "")[:1000]):
        return "bot"
    if headers.get("sec-fetch-mode", "navigate") != "navigate" or headers.get("sec-fetch-dest") in FRAMES:
        return "not_navigation"
    return ""


def device_of(user_agent: str) -> str:
    """Return the coarse kind of device, `mobile`, `tablet` or `desktop`, or an empty text where unknown."""
    agent = user_agent[:1000]
    if TABLET.search(agent):
        return "tablet"
    if MOBILE.search(agent):
        return "mobile"
    return "desktop" if DESKTOP.search(agent) else ""


@lru_cache(maxsize=4096)
def _is_known_crawler(user_agent: str) -> bool:
    return is_crawler(user_agent)
