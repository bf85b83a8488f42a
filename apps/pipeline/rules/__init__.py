"""The story of one conversion in memory: facts in, decision and receipt out. Pure.

`decide(case)` runs both engines; `compact`, `render`, `canonical_bytes` and `seal` are its receipt; `explain(document)`
is the test bench, the same functions on a public document.
"""

from apps.pipeline.rules.case import Case, Decided, decide
from apps.pipeline.rules.document import parse
from apps.pipeline.rules.explaining import explain, explain_text
from apps.pipeline.rules.receipt import canonical_bytes, compact, render, seal

__all__ = [
    "Case",
    "Decided",
    "canonical_bytes",
    "compact",
    "decide",
    "explain",
    "explain_text",
    "parse",
    "render",
    "seal",
]
