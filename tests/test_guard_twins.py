"""Every guard of the database has its twin: with it a harm is refused, without it the very same statement does it.

The guards are those of the golden list; one that has none in `tests/harms.py`, and no named test of its own elsewhere,
fails.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.db import Error, connection, transaction

from tests.harms import BESIDE, guard_off, harm_of, other_guards_off, run
from tests.scene import scene

__all__ = ["scene"]
ROOT = Path(__file__).resolve().parent.parent
ROOMS = (
    *("identity", "records", "partners", "campaigns", "ledger", "tracking", "attribution", "commissions", "claims"),
    *("statements", "invoices", "imports", "outbox"),
)

# Guards whose twin is a test of its own, and the file it stands in.
ELSEWHERE = {
    "commissions_decision.pgtrigger_moves_are_written": "tests/pipeline/test_deciding.py",
    "commissions_decision.pgtrigger_is_of_a_conversion": "tests/commissions/test_references.py",
    "commissions_decision.pgtrigger_stays_with_its_conversion": "tests/commissions/test_references.py",
    "commissions_receipt.pgtrigger_is_of_a_conversion": "tests/commissions/test_references.py",
    "commissions_receipt.pgtrigger_stays_with_its_conversion": "tests/commissions/test_references.py",
    "commissions_superseded.pgtrigger_is_of_a_conversion": "tests/commissions/test_references.py",
}
# pghistory's own: every change of a row of set-up is an event.
HISTORY = re.compile(r"\.pgtrigger_(insert_insert|update_update|delete_delete)$|event\.pgtrigger_append_only$")


def golden() -> list[tuple[str, str]]:
    """Return kind and name of the guards of all rooms."""
    lines = (ROOT / "tests" / "golden" / "guards.txt").read_text().splitlines()
    found = [("unique", line.removeprefix("unique index ")) for line in lines if line.startswith("unique")]
    found += [tuple(line.split(" ", 1)) for line in lines if not line.startswith("unique")]
    return sorted({guard for guard in found if guard[1].startswith(tuple(f"{room}_" for room in ROOMS))})


def attempt(statement: str) -> int:
    """Do a statement and undo it; return how many rows it touched, 0 where it was refused."""
    run("SET CONSTRAINTS ALL DEFERRED")  # what refers to a row is asked at the end, which never comes
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)
            touched = cursor.rowcount
            transaction.set_rollback(True)
    except Error:
        return 0
    return touched


def written_beside(name: str) -> int:
    """Do a guard's statement and undo it; return how many rows it left where the guard writes."""
    table = "claims_claimmove" if name.startswith("claims_") else "tracking_unsettled"
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {table}")
        before = cursor.fetchone()[0]
        cursor.execute(BESIDE[name])
        assert cursor.rowcount == 1
        cursor.execute(f"SELECT count(*) FROM {table}")
        after = cursor.fetchone()[0]
        transaction.set_rollback(True)
    return after - before


def twin_of(kind: str, name: str) -> str:
    """Try a guard's harm with it and without it; return what is wrong, empty where the twin shows the harm."""
    if name in BESIDE:
        other_guards_off(kind, name)
        with_guard = written_beside(name)
        guard_off(kind, name)
        return "" if (with_guard, written_beside(name)) == (1, 0) else "does not write a row by itself"
    harm = harm_of(kind, name)
    if not harm:
        return "no harm is known"
    other_guards_off(kind, name)
    if attempt(harm):
        return f"lets pass: {harm}"
    guard_off(kind, name)
    return "" if attempt(harm) else f"its twin is refused too, or finds no row: {harm}"


@pytest.mark.django_db
def test_every_guard_refuses_a_harm_that_its_twin_does(scene):
    wrong, tried = {}, 0
    for kind, name in golden():
        if HISTORY.search(name) or name in ELSEWHERE:
            continue
        with transaction.atomic():
            if found := twin_of(kind, name):
                wrong[f"{kind} {name}"] = found
            transaction.set_rollback(True)
        tried += 1
    assert "\n".join(f"{name}: {text}" for name, text in wrong.items()) == ""
    assert tried > 60


def test_guards_with_a_test_of_their_own_are_named_there():
    names = [name for _kind, name in golden()]
    for name, file in ELSEWHERE.items():
        assert name in names and name.partition(".pgtrigger_")[2] in (ROOT / file).read_text(), name
