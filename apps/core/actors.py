"""Who does something: a person, a key or the system itself."""

from dataclasses import dataclass
from enum import StrEnum


class ActorKind(StrEnum):
    USER = "USER"
    KEY = "KEY"
    SYSTEM = "SYSTEM"


@dataclass(frozen=True, slots=True)
class Actor:
    kind: ActorKind
    id: str
    name: str

    def __str__(self) -> str:
        return self.name


SYSTEM = Actor(ActorKind.SYSTEM, "system", "Tributary")
