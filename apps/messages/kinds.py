"""What can leave: a kind is a function that delivers one message and raises where it could not."""

from __future__ import annotations

from collections.abc import Callable

from apps.core.errors import NotFound
from apps.messages.models import Outbox

Deliver = Callable[[Outbox], None]
KINDS: dict[str, Deliver] = {}


class UnknownKind(NotFound):
    code = "unknown_kind"
    message = "Nothing here delivers messages of this kind."


def delivers(kind: str) -> Callable[[Deliver], Deliver]:
    """Register what delivers messages of a kind."""

    def register(deliver: Deliver) -> Deliver:
        KINDS[kind] = deliver
        return deliver

    return register


def deliver(message: Outbox) -> None:
    """Deliver a message by its kind. Raises UnknownKind, and whatever the delivery raises."""
    if message.kind not in KINDS:
        raise UnknownKind(f"Nothing here delivers messages of the kind {message.kind}.")
    KINDS[message.kind](message)
