"""Signed calls: the shop proves with a shared secret that it made the call, and when.

The signed text is built so that any language can build it:

1. take every parameter of the query and the form body except `sig`, decoded, `ts` among them;
   a JSON body counts as one parameter `body_sha256`, the lower-case hex SHA-256 of its bytes;
2. percent-encode each name and each value as UTF-8, leaving only `A-Z a-z 0-9 - . _ ~` (RFC 3986);
3. write each as `name=value`, sort these texts by their bytes, join them with `&`;
4. `sig` is the lower-case hex HMAC-SHA256 of that text with the campaign's secret.

`ts` is the time in whole seconds since 1970 (UTC), at most five minutes from ours either way.

>>> canonical_text([("order_ref", "A 1"), ("amount", "10.00"), ("sig", "x"), ("ts", "1773144000")])
'amount=10.00&order_ref=A%201&ts=1773144000'
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

from apps.core.errors import Invalid

WINDOW = timedelta(minutes=5)
SIGNED = "s2s"
"""The source of what the shop's server told with a signature."""
UNSIGNED = "unsigned"
"""The source of what nobody signed. All else was told with a signature or a key, imported, or claimed and accepted by a
person: without a signature or a key nobody changes it."""
Pairs = Sequence[tuple[str, str]]


class BadSignature(Invalid):
    code = "bad_signature"
    message = "The call is not signed with the campaign's secret."


class OrderWasSigned(BadSignature):
    message = "Somebody vouched for the order, by a signature, a key or in person: what changes it needs as much."


def body_digest(body: bytes) -> tuple[str, str]:
    """Return the parameter that stands for a JSON body in the signed text."""
    return "body_sha256", hashlib.sha256(body).hexdigest()


def canonical_text(pairs: Pairs) -> str:
    """Return the text that is signed."""
    parts = [f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in pairs if name != "sig"]
    return "&".join(sorted(parts))


def sign_call(pairs: Pairs, secret: str) -> str:
    """Return the `sig` of a call that has its `ts` already."""
    return hmac.new(secret.encode(), canonical_text(pairs).encode(), hashlib.sha256).hexdigest()


def check_signature(pairs: Pairs, *, secrets: Iterable[str], required: bool, now: datetime) -> None:
    """Refuse a call that is signed wrongly or, where it must be, not at all. Raises BadSignature."""
    given = [value for name, value in pairs if name == "sig"]
    stamps = [value for name, value in pairs if name == "ts"]
    if not given:
        if required:
            raise BadSignature("Signed calls only are taken here: `sig` is missing.", path="sig")
        return
    if len(given) > 1 or len(stamps) != 1 or not (stamps[0].isascii() and stamps[0].isdigit() and len(stamps[0]) < 12):
        raise BadSignature("A signed call has one `sig` and one `ts`, in whole seconds.", path="ts")
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=int(stamps[0]))
    if abs(now - at) > WINDOW:
        raise BadSignature("`ts` is more than five minutes from the time here.", path="ts")
    sent = given[0].lower().encode("utf-8", "replace")
    matches = [hmac.compare_digest(sent, sign_call(pairs, secret).encode()) for secret in secrets if secret]
    if not any(matches):
        raise BadSignature(path="sig")
