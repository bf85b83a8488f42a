"""The house rules that a reviewer would otherwise have to remember."""

import ast
import os
import re
import subprocess
from pathlib import Path

import pytest
from django.apps import apps
from django.conf import settings
from django.core.management import call_command
from django.db import connection, models

from apps.console.base import ConsoleAdmin
from apps.console.site import site
from apps.identity.models import Advertiser

ROOT = Path(__file__).resolve().parent.parent
DOORS = ("collector", "api", "console", "portal")
# Rows that belong to nobody's advertiser: people, partners and what is theirs.
OWNERLESS = {
    "identity.Advertiser",
    "identity.User",
    "partners.AdSpace",
    "partners.Partner",
    "partners.PartnerMembership",
    "partners.PayoutProfile",
    "partners.TaxProfile",
}
# Rows that may stand without an advertiser: calls nobody can be named for, and what concerns them all.
OWNER_OPTIONAL = {"outbox.Attempt", "outbox.Outbox", "records.AuditEntry", "records.Job", "tracking.RejectedEvent"}
WRITES = {
    *("create", "bulk_create", "bulk_update", "update", "update_or_create", "get_or_create", "delete", "save"),
    *("save_model", "delete_model", "save_formset", "save_related", "delete_queryset"),  # what Django's admin offers
    *("assign_key", "create_key", "create_user", "set_password"),
    *("acreate", "aupdate", "adelete", "asave"),
}
# What is called like a write of a table in a door, and why it may be there.
NO_WRITES = {
    "apps/api/access.py AdvertiserKey.objects.filter(pk=found.pk).update": "a key's last use, on every call",
    "apps/console/closing.py self.fields['typed'].widget.attrs.update": "a dictionary",
    "apps/console/closing.py sums.update": "a counter",
    "apps/portal/templatetags/portal.py segno.make(address, error='m', micro=False).save": "a picture, into memory",
}


def own_models() -> list[type[models.Model]]:
    return [
        model
        for model in apps.get_models()
        if model.__module__.startswith("apps.") and not hasattr(model, "pgh_tracked_model")
    ]


def tracked_files(*patterns: str) -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [ROOT / name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


@pytest.mark.parametrize("model", own_models(), ids=lambda model: model._meta.label)
def test_every_row_has_its_advertiser(model):
    fields = {field.name: field for field in model._meta.get_fields()}
    owner = fields.get("advertiser")
    if model._meta.label in OWNERLESS:
        assert owner is None or not owner.concrete
        return
    assert owner is not None, "a table without an owner column: name it in OWNERLESS if that is meant"
    assert owner.concrete and owner.related_model is Advertiser
    assert owner.null is (model._meta.label in OWNER_OPTIONAL)


def test_every_room_says_in_a_sentence_what_it_is_for():
    for room in settings.ROOMS:
        sentence = ast.get_docstring(ast.parse((ROOT / "apps" / room / "__init__.py").read_text()))
        assert sentence and sentence.endswith("."), room


def test_every_module_says_what_it_is_for():
    boring = {"apps.py", "urls.py", "__init__.py"}
    missing = [
        str(path.relative_to(ROOT))
        for path in tracked_files("apps/*.py", "apps/**/*.py", "config/*.py", "tests/*.py", "tests/**/*.py")
        if path.name not in boring
        and "migrations" not in path.parts
        and not ast.get_docstring(ast.parse(path.read_text()))
    ]
    assert missing == []


@pytest.mark.parametrize("door", DOORS)
def test_doors_never_write_tables(door):
    """Doors translate and make one call; `.objects`, querysets and rows are for reading there."""
    found = {
        f"{path.relative_to(ROOT)} {ast.unparse(node.func)}"
        for path in tracked_files(f"apps/{door}/**/*.py", f"apps/{door}/*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in WRITES
    }
    assert found == {line for line in NO_WRITES if line.startswith(f"apps/{door}/")}


def test_every_page_that_writes_has_its_service():
    """Django's admin would save a row by itself: here it hands every form to `add` and `revise` of the page."""
    for model, page in site._registry.items():
        assert type(page).save_model is ConsoleAdmin.save_model, model
        assert (type(page).can_add, type(page).can_change) == (ConsoleAdmin.can_add, ConsoleAdmin.can_change), model
        assert not page.inlines, model
        assert not page.can_delete or type(page).delete_model is not ConsoleAdmin.delete_model, model


def test_rules_read_no_clock_and_no_chance():
    for path in tracked_files("apps/*/rules.py", "apps/*/rules/*.py"):
        text = path.read_text()
        assert not re.search(r"\b(datetime\.now|date\.today|time\.time|random\.|secrets\.)", text), path


@pytest.mark.django_db
def test_no_migration_is_missing():
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)


def test_no_index_host_is_named():
    hosts = re.compile(r"(pypi\.org|pythonhosted\.org|registry\.npmjs\.org|npmjs\.com|deb\.debian\.org)")
    named = []
    for path in tracked_files():
        if path.suffix in {".woff2", ".ttf", ".png", ".mo", ".ico"} or path == Path(__file__):
            continue
        if hosts.search(path.read_text(errors="ignore")):
            named.append(str(path.relative_to(ROOT)))
    assert [name for name in named if name != "tests/test_architecture.py"] == []


GUARDS = r"""
SELECT 'trigger ' || c.relname || '.' || regexp_replace(t.tgname, '_[0-9a-f]{5}$', '')
FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE NOT t.tgisinternal AND n.nspname = 'public' AND c.relname !~ '^tracking_touchpoint_'
UNION
SELECT 'constraint ' || c.relname || '.' || k.conname
FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = 'public' AND (k.contype IN ('c', 'x', 'u') OR k.contype = 'f' AND k.conname !~ '_fk_')
  AND c.relname !~ '^(django|auth|account|mfa|usersessions|rest_framework|pghistory)_'
  AND k.conname !~ '_[0-9a-f]{8}_(uniq|fk)'
UNION
SELECT 'unique index ' || c.relname || '.' || i.relname
FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class c ON c.oid = x.indrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE x.indisunique AND NOT x.indisprimary AND n.nspname = 'public'
  AND c.relname !~ '^(django|auth|account|mfa|usersessions|rest_framework|pghistory|identity_user)_'
ORDER BY 1
"""


@pytest.mark.django_db
def test_the_database_s_guards_are_the_golden_list():
    """Triggers and constraints as they are; a change here is meant, and written down by `REWRITE=1`."""
    with connection.cursor() as cursor:
        cursor.execute(GUARDS)
        found = [row[0] for row in cursor.fetchall()]
    golden = ROOT / "tests" / "golden" / "guards.txt"
    if os.environ.get("REWRITE"):
        golden.parent.mkdir(exist_ok=True)
        golden.write_text("\n".join(found) + "\n")
    assert found == golden.read_text().splitlines()
