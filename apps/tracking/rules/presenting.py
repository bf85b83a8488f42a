"""What of a refused call may be kept for the shop's developer: known fields without what says who the customer is."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

from apps.tracking.rules.basket import LINE_FIELDS
from apps.tracking.rules.conversions import FIELDS as CONVERSION_FIELDS
from apps.tracking.rules.links import SUBS
from apps.tracking.rules.refunds import FIELDS as REFUND_FIELDS

HIDDEN = "…"
MOST_FIELDS, MOST_ITEMS, LONGEST_TEXT, LONGEST_NAME, MOST_BYTES, DEEPEST = 60, 20, 300, 80, 4096, 4
PERSONAL = frozenset({"customer_id", "device_id", "email_sha256"})
OF_THE_DOORS = ("campaign", "conversions", "link", "url", "soft", "content_type", "position", "count")
KNOWN = frozenset((*CONVERSION_FIELDS, *REFUND_FIELDS, *LINE_FIELDS, *SUBS, *OF_THE_DOORS)) - PERSONAL
ADDRESS = re.compile(r"[^\s,;:<>\"'=&?/\\@%]+(?:@|%40)[^\s,;:<>\"'=&?/@%]+", re.IGNORECASE)


def presentable_call(fields: Mapping[str, object]) -> dict[str, object]:
    """Return as many fields of a call as 4 kB of JSON hold; the last entry says how many more there were.

    Of a field that nothing is read from only the name is kept, however deep it lies, and no e-mail address anywhere.
    """
    shown: dict[str, object] = {}
    room = MOST_BYTES - 40
    for name, value in list(fields.items())[:MOST_FIELDS]:
        key, kept = _name(name), _value(name, value, 0)
        room -= len(json.dumps({key: kept}, ensure_ascii=False).encode())
        if room < 0:
            break
        shown[key] = kept
    return shown if len(shown) == len(fields) else {**shown, HIDDEN: f"{len(fields) - len(shown)} more"}


def without_addresses(text: str) -> str:
    """Return a text that PostgreSQL's JSON takes, with whatever looks like an e-mail address left out."""
    storable = text.replace("\x00", "").encode("utf-8", "replace").decode()
    return ADDRESS.sub(HIDDEN, storable)


def _name(name: object) -> str:
    return without_addresses(str(name)[:LONGEST_NAME])


def _value(name: object, value: object, depth: int) -> object:
    """Return what is kept of a field: nothing where its name is not known, structures with known fields only."""
    if name not in KNOWN or depth > DEEPEST:
        return HIDDEN
    if isinstance(value, str):
        return _text(name, value, depth)
    if isinstance(value, Mapping):
        return {_name(key): _value(key, inner, depth + 1) for key, inner in list(value.items())[:MOST_FIELDS]}
    if isinstance(value, Sequence):
        items = [_value(name, item, depth + 1) for item in value[:MOST_ITEMS]]
        return ", ".join(map(str, items)) if all(isinstance(item, str) for item in items) else items
    return _text(name, str(value), depth)


def _text(name: object, text: str, depth: int) -> object:
    """Return a text cut short; lines that came as JSON are looked into, an address of a page ends before its query."""
    if text.lstrip()[:1] in ("[", "{"):
        try:
            return _value(name, json.loads(text), depth + 1)
        except (ValueError, RecursionError):
            return HIDDEN
    if name == "url":
        page = re.split(r"[?#]", text, maxsplit=1)
        text = page[0] + (f"?{HIDDEN}" if len(page) > 1 else "")
    cut = text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}…"
    return without_addresses(cut)
