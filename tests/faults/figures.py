"""What a run found, as it is printed at its end."""

from __future__ import annotations

import time
from dataclasses import dataclass, field


@dataclass
class Figures:
    """A run's name, seed and figures, and in `wrong` a sentence for everything that must not be."""

    name: str
    seed: int
    figures: dict[str, object]
    wrong: list[str] = field(default_factory=list)
    began: float = 0.0

    def show(self) -> None:
        seconds = time.monotonic() - self.began
        for sentence in self.wrong[:20]:
            print(f"WRONG {sentence}")
        told = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in self.figures.items())
        print(f"{self.name}: {told}, {seconds:.1f} s (seed {self.seed})", flush=True)
