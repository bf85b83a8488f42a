"""JSON bodies whose numbers stay the text they were sent as: an amount never becomes a float."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any

from rest_framework.parsers import JSONParser

from apps.tracking.rules.fields import read_json


class ExactJSONParser(JSONParser):
    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> dict[str, object]:
        """Return the body's object. Raises InvalidBody."""
        body = stream.read()
        return read_json(body) if body.strip() else {}
