"""Tables as CSV that a spreadsheet opens as text: no cell of somebody else's is ever taken for a formula."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence

from django.http import StreamingHttpResponse

RISKY = ("=", "+", "-", "@", "\t", "\r")  # what spreadsheets take for the beginning of a formula (OWASP)


def safe(value: object) -> str:
    """Return a cell's text; one that would be read as a formula begins with an apostrophe."""
    text = str(value)
    return f"'{text}" if text.lstrip(" ").startswith(RISKY) else text


def csv_answer(name: str, heading: Sequence[str], rows: Iterable[Sequence[object]]) -> StreamingHttpResponse:
    """Answer with a table as a file, row by row, in UTF-8 with the mark by which Excel knows it."""
    answer = StreamingHttpResponse(_lines(heading, rows), content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    answer["Cache-Control"] = "no-store"
    return answer


def _lines(heading: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    buffer.write("\ufeff")
    writer.writerow(heading)
    for row in rows:
        writer.writerow([safe(cell) for cell in row])
        if buffer.tell() > 16_384:
            yield buffer.getvalue()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue()
