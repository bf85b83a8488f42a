"""Open the files of a history and look through them before anything is stored."""

from __future__ import annotations

import codecs
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TextIO

from apps.imports.rules.cells import RowRefused, moment
from apps.imports.rules.tables import Columns, FileMissing, FileUnreadable, Repeats, read_rows
from apps.imports.rules.touches import TOUCHES

FOREIGN_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
BYTES_PER_ROW = 40  # the least a row of touches takes; more rows only mean more suspects


@dataclass(frozen=True, slots=True)
class Source:
    """A file that can be read: its columns are known, its rows counted."""

    path: Path
    columns: Columns
    sha256: str
    rows: int

    @property
    def name(self) -> str:
        return self.path.name


@dataclass(slots=True)
class TouchSurvey:
    """What a file of touches spans, and which of its touch ids may repeat."""

    earliest: datetime | None = None
    latest: datetime | None = None
    suspects: set[str] = field(default_factory=set)


@contextmanager
def opened(path: Path) -> Iterator[TextIO]:
    """Open a file as text; broken bytes become marks that the cells refuse. Raises FileUnreadable: not_text."""
    with path.open("rb") as raw:
        if raw.read(4).startswith(FOREIGN_MARKS):
            raise FileUnreadable(f"{path.name} is UTF-16; save it as UTF-8.", code="not_text")
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as text:
        yield text


def find_source(folder: Path, name: str, columns: Columns) -> Source:
    """Find one file and check its heading. Raises FileMissing, FileUnreadable."""
    path = folder / name
    if not path.is_file():
        raise FileMissing(f"{name} is not in {folder}.")
    digest, lines = hashlib.sha256(), 0
    with path.open("rb") as raw:
        while block := raw.read(1 << 20):
            digest.update(block)
            lines += block.count(b"\n")
    with opened(path) as text:
        next(read_rows(text, columns, name), None)
    return Source(path, columns, digest.hexdigest(), lines)


def survey_touches(source: Source, *, now: datetime) -> TouchSurvey:
    """Read a file of touches once for its span of time and the ids that may stand in it twice."""
    found = TouchSurvey()
    repeats = Repeats(source.path.stat().st_size // BYTES_PER_ROW)
    when, name = TOUCHES.all.index("occurred_at"), TOUCHES.all.index("touch_id")
    with opened(source.path) as text:
        for row in read_rows(text, TOUCHES, source.name):
            if row.refused:
                continue
            repeats.mark(row.cells[name])
            with suppress(RowRefused):
                at = moment(row.cells[when], "occurred_at", now)
                if found.earliest is None or at < found.earliest:
                    found.earliest = at
                if found.latest is None or at > found.latest:
                    found.latest = at
    found.suspects = repeats.suspects
    return found
