"""Turn a file's lines into the cells of named columns."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from operator import itemgetter
from typing import Generic, NamedTuple, TextIO, TypeVar

from apps.core.errors import Invalid, NotFound
from apps.imports.rules.cells import Refused, RowRefused, shown

Fact = TypeVar("Fact")
PERSONAL = {"customer_id", "email_sha256"}


class FileMissing(NotFound):
    code = "file_missing"
    message = "A file of the history is missing."


class FileUnreadable(Invalid):
    """A file of which no row can be read: not_text, empty_file, unknown_column, repeated_column, missing_column."""

    code = "file_unreadable"
    message = "The file cannot be read."


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of a file: those it must have, and those it may have."""

    must: tuple[str, ...]
    may: tuple[str, ...] = ()

    @property
    def all(self) -> tuple[str, ...]:
        return self.must + self.may


class Row(NamedTuple):
    """The cells of a line, in the order of `Columns.all`; where they could not be told apart, the refusal."""

    line: int
    cells: tuple[str, ...]
    refused: Refused | None = None


def read_header(cells: list[str], columns: Columns, name: str) -> list[str]:
    """Return the file's columns in its own order. Raises FileUnreadable."""
    found = [cell.strip().lower() for cell in cells]
    unknown = sorted(set(found) - set(columns.all))
    missing = [column for column in columns.must if column not in found]
    if missing:
        raise FileUnreadable(f"{name} has no column {', '.join(missing)}.", code="missing_column", path=missing[0])
    if unknown:
        raise FileUnreadable(
            f"{name} has columns nobody knows ({', '.join(unknown)}); known are {', '.join(columns.all)}.",
            code="unknown_column",
            path=unknown[0],
        )
    if len(set(found)) < len(found):
        raise FileUnreadable(f"{name} names a column twice.", code="repeated_column")
    return found


def delimiter_of(header: str) -> str:
    return ";" if ";" in header and "," not in header else ","


def wrong_width(cells: list[str], width: int, delimiter: str) -> str:
    """Say of a row that it has more or fewer cells than the heading, and where another sign separates them."""
    said = f"The row has {len(cells)} cell{'s' if len(cells) > 1 else ''}, the heading has {width}"
    other = ";" if delimiter == "," else ","
    if len(cells) < width and sum(cell.count(other) for cell in cells) >= width - 1:
        return f"{said}: it is separated by {other} and the heading by {delimiter}"
    return f"{said}."


def arrange(header: list[str], columns: Columns) -> Callable[[list[str]], tuple[str, ...]]:
    """Return the function that puts a line's cells into the order of `columns`, absent ones empty."""
    if tuple(header) == columns.all:
        return tuple
    absent = len(header)
    places = [header.index(column) if column in header else absent for column in columns.all]
    pick: Callable[[list[str]], tuple[str, ...]] = itemgetter(*places)
    if absent not in places:
        return pick
    return lambda cells: pick([*cells, ""])


def read_rows(source: TextIO, columns: Columns, name: str) -> Iterator[Row]:
    """Yield a file's rows in its order. Raises FileUnreadable where the first line is not a header."""
    first = source.readline()
    if not first.strip():
        raise FileUnreadable(f"{name} is empty.", code="empty_file")
    delimiter = delimiter_of(first)
    header = read_header(next(csv.reader([first], delimiter=delimiter)), columns, name)
    order, width = arrange(header, columns), len(header)
    reader = csv.reader(source, delimiter=delimiter)
    while True:
        line = reader.line_num + 2
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error:
            # The reader starts afresh with the next line.
            message = "The row cannot be told from its neighbors; is a quotation mark never closed?"
            yield Row(line, (), Refused(line, "broken_row", message, {}))
            continue
        if not any(cells):
            continue
        if len(cells) == width:
            yield Row(line, order(cells))
        else:
            message = wrong_width(cells, width, delimiter)
            content = shown(dict(zip(header, cells, strict=False)))
            yield Row(line, (), Refused(line, "wrong_number_of_cells", message, content))


def refuse(row: Row, columns: Columns, refusal: RowRefused) -> Refused:
    """Return a row's refusal together with what the row said, but for who the customer was."""
    said = zip(columns.all, row.cells, strict=False)
    content = {name: "…" if name in PERSONAL else cell for name, cell in said if cell}
    return Refused(row.line, refusal.code, refusal.message[:300], shown(content))


class Repeats:
    """Finds keys that may stand in a file more than once, in a fixed amount of memory.

    A first reading marks each key's place in a field of bits and collects those whose place was taken: every
    repeated key and, with sixteen bits a key, a few percent of the others. The second reading settles them.
    """

    def __init__(self, expected: int) -> None:
        self.bits = bytearray(2 * max(expected, 512))
        self.places = len(self.bits) * 8
        self.suspects: set[str] = set()

    def mark(self, key: str) -> None:
        byte, bit = divmod(hash(key) % self.places, 8)
        if self.bits[byte] >> bit & 1:
            self.suspects.add(key)
        else:
            self.bits[byte] |= 1 << bit


@dataclass(frozen=True, slots=True)
class Batch(Generic[Fact]):
    """Some rows of a file: those that became facts, each beside its fact, and those that were refused."""

    rows: list[Row]
    facts: list[Fact]
    refused: list[Refused]

    @property
    def size(self) -> int:
        return len(self.rows) + len(self.refused)


def read_batches(
    rows: Iterator[Row], columns: Columns, read: Callable[[tuple[str, ...]], Fact], size: int
) -> Iterator[Batch[Fact]]:
    """Yield a file's rows as facts, `size` rows at a time; a bad row never stops the others."""
    while some := list(islice(rows, size)):
        batch: Batch[Fact] = Batch([], [], [])
        for row in some:
            if row.refused:
                batch.refused.append(row.refused)
                continue
            try:
                fact = read(row.cells)
            except RowRefused as refusal:
                batch.refused.append(refuse(row, columns, refusal))
            else:
                batch.facts.append(fact)
                batch.rows.append(row)
        yield batch
