"""`manage.py explain FILE|-`: the test bench on the command line; nothing is stored."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from apps.core.errors import Invalid
from apps.pipeline.rules import explain_text


class Command(BaseCommand):
    help = (
        "Read one JSON document (a conversion, its touches, a policy, coupons and plans), or a list of them, and "
        "print the receipt. A document that is refused prints code and path of its first fault and exits with 2; in "
        "a list it is answered in its place."
    )
    requires_system_checks: list[str] = []  # no models, no database: answers at once

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", metavar="FILE", help="a path, or - for standard input")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            source = sys.stdin.buffer.read() if options["file"] == "-" else Path(options["file"]).read_bytes()
        except OSError as error:
            self.refuse("unreadable_file", "", f"{options['file']}: {error.strerror}")
        try:
            answer = explain_text(source)
        except Invalid as refusal:
            self.refuse(refusal.code, refusal.path, refusal.message)
        self.stdout.write(json.dumps(answer, ensure_ascii=False, indent=1))

    def refuse(self, code: str, path: str, message: str) -> None:
        self.stdout.write(json.dumps({"error": {"code": code, "path": path}}, ensure_ascii=False))
        self.stderr.write(f"{code} at {path}: {message}" if path else f"{code}: {message}")
        sys.exit(2)
