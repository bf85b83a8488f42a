"""Click ids: time-ordered, unguessable, and signed so that a forged one is known without a look-up."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Sequence
from functools import lru_cache
from uuid import UUID

LABEL = b"tributary click id 1"
LENGTH = 32
SIGNATURE_BYTES = 8


@lru_cache(maxsize=16)
def derive_key(secret: str) -> bytes:
    """Return the key click ids are signed with, of an installation's secret."""
    return hmac.digest(secret.encode(), LABEL, "sha256")


def sign_click(id_: UUID, campaign_id: int, key: bytes) -> str:
    """Return the text a click id travels as: 32 characters of base64url (RFC 4648), 16 bytes id, 8 bytes HMAC."""
    return base64.urlsafe_b64encode(id_.bytes + _signature(id_, campaign_id, key)).decode()


def read_click(text: str, campaign_id: int, keys: Sequence[bytes]) -> UUID | None:
    """Return the id within a click id of this campaign, or None where no key has signed it."""
    if len(text) != LENGTH:
        return None
    try:
        content = base64.b64decode(text.encode("ascii"), altchars=b"-_", validate=True)
    except (UnicodeEncodeError, binascii.Error):
        return None
    if len(content) != 16 + SIGNATURE_BYTES:
        return None
    id_, signature = UUID(bytes=content[:16]), content[16:]
    signed = [hmac.compare_digest(signature, _signature(id_, campaign_id, key)) for key in keys]
    return id_ if any(signed) else None


def _signature(id_: UUID, campaign_id: int, key: bytes) -> bytes:
    return hmac.digest(key, campaign_id.to_bytes(8, "big") + id_.bytes, "sha256")[:SIGNATURE_BYTES]
