"""Who is one person: which keys join, and what they join. Deterministic, without fingerprints."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple
from uuid import UUID

from apps.core.errors import Invalid
from apps.tracking.rules.fields import text_of

VISITOR, CUSTOMER, EMAIL, DEVICE = "VISITOR", "CUSTOMER", "EMAIL", "DEVICE"
HIDDEN = (CUSTOMER, EMAIL, DEVICE)
MOST_JOINED = 20
LONGEST = 200
LABEL = b"tributary identity 1"
SHA256 = re.compile(r"[0-9a-f]{64}")
OF_NOTHING = hashlib.sha256(b"").hexdigest()
"""What shops send for a guest without an e-mail; it names nobody."""


class InvalidEmailHash(Invalid):
    code = "invalid_email_sha256"
    message = "`email_sha256` is the SHA-256 of the e-mail in lower case and without spaces: 64 hexadecimal digits."


@dataclass(frozen=True, slots=True)
class Identity:
    """How a shop knows its customer, as it was told; hashed with a key before it is stored."""

    customer_id: str = ""
    email_sha256: str = ""
    device_id: str = ""

    def __bool__(self) -> bool:
        return bool(self.customer_id or self.email_sha256 or self.device_id)

    @property
    def told(self) -> dict[str, str]:
        """Return what was told, by the kind of key."""
        values = zip(HIDDEN, (self.customer_id, self.email_sha256, self.device_id), strict=True)
        return {kind: value for kind, value in values if value}

    def only(self, kinds: Collection[str]) -> Identity:
        """Return those of the names that are of some kinds."""
        return Identity(*(self.told.get(kind, "") if kind in kinds else "" for kind in HIDDEN))


NOBODY = Identity()


class Key(NamedTuple):
    """A key as it is stored: visitors by their id, all else by a keyed hash; `former` are its hashes of old."""

    kind: str
    value: UUID
    former: tuple[UUID, ...] = ()


def read_identity(fields: Mapping[str, object]) -> Identity:
    """Read the customer, e-mail hash and device of a call. Raises InvalidField, InvalidEmailHash."""
    return Identity(
        text_of(fields, "customer_id", LONGEST),
        read_email_hash(text_of(fields, "email_sha256", LONGEST)),
        text_of(fields, "device_id", LONGEST),
    )


def read_email_hash(text: str) -> str:
    """Return an e-mail's hash in lower case; the hash of nothing is nothing. Raises InvalidEmailHash."""
    value = text.strip().lower()
    if value and not SHA256.fullmatch(value):
        raise InvalidEmailHash(path="email_sha256")
    return "" if value == OF_NOTHING else value


def email_hash(email: str) -> str:
    """Return what shops send for an e-mail address.

    >>> email_hash(" Ada@Example.org ")[:8]
    'cfe00dde'
    """
    return hashlib.sha256(email.strip().lower().encode()).hexdigest()


def hide(kind: str, text: str, *, advertiser_id: int, keyed_by: tuple[str, ...]) -> Key:
    """Return the key that stands for a customer, e-mail or device: HMAC-SHA256, its first 128 bits.

    The first secret is the present one; by those before it the key may still be stored.
    """
    content = f"{kind}\x1f{text}".encode()
    values = [hmac.digest(_secret_of(advertiser_id, secret), content, "sha256")[:16] for secret in keyed_by]
    now, *former = [UUID(bytes=value) for value in values]
    return Key(kind, now, tuple(former))


@lru_cache(maxsize=1024)
def _secret_of(advertiser_id: int, secret: str) -> bytes:
    """Return the advertiser's own secret: the same customer is another key elsewhere."""
    return hmac.digest(secret.encode(), LABEL + advertiser_id.to_bytes(8, "big"), "sha256")


def shared_keys(kinds: Mapping[int, str], links: Iterable[tuple[int, int]]) -> set[int]:
    """Return the keys seen with more than 20 keys of one kind: a counter's device, a guest's number, a kiosk.

    They join nobody. A key of 20 visitors joins them, one of 21 joins none.
    """
    seen: dict[int, Counter[str]] = defaultdict(Counter)
    for one, other in set(links):
        seen[one][kinds[other]] += 1
        seen[other][kinds[one]] += 1
    return {key for key, counts in seen.items() if max(counts.values()) > MOST_JOINED}


def groups_of(keys: Collection[int], links: Iterable[tuple[int, int]]) -> list[list[int]]:
    """Return the connected parts of the graph, each sorted, in the order of their first key; a function of the sets."""
    roots = {key: key for key in keys}

    def root(key: int) -> int:
        while roots[key] != key:
            roots[key] = roots[roots[key]]
            key = roots[key]
        return key

    for one, other in links:
        if one in roots and other in roots:
            low, high = sorted((root(one), root(other)))
            roots[high] = low
    found: dict[int, list[int]] = defaultdict(list)
    for key in sorted(keys):
        found[root(key)].append(key)
    return sorted(found.values())
