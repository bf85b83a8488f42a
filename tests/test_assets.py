"""The browser's files: what is committed is what was built, nothing comes from elsewhere, nothing is inline."""

import hashlib
import json
import re
from pathlib import Path

import pytest

from apps.portal.templatetags import portal

ROOT = Path(__file__).resolve().parent.parent
STATIC = ROOT / "static"
BUILD, APP, VENDOR = STATIC / "build", STATIC / "app", STATIC / "vendor"
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
# Pages below the strict policy: the console's own are under Unfold's.
OURS = [
    path
    for path in TEMPLATES
    if path.relative_to(ROOT / "templates").parts[0]
    in {"portal", "allauth", "account", "mfa", "403.html", "404.html", "500.html"}
]
TAG = re.compile(r"{%.*?%}|{{.*?}}|{#.*?#}", re.S)


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def name(path):
    return str(path.relative_to(ROOT))


def test_vendored_files_are_exactly_the_manifest():
    packages = json.loads((VENDOR / "MANIFEST.json").read_text())
    listed = {
        f"{package['name']}@{package['version']}/{file}": checksum
        for package in packages
        for file, checksum in package["files"].items()
    }
    found = {str(path.relative_to(VENDOR)): sha256(path) for path in VENDOR.rglob("*") if path.is_file()}
    del found["MANIFEST.json"]
    assert found == listed
    assert all(package["licence"] and "LICENSE" in package["files"] for package in packages)


def test_built_files_are_not_older_than_their_sources():
    build = json.loads((APP / "BUILD.json").read_text())
    assert {file: sha256(BUILD / file) for file in build["sources"]} == build["sources"], "npm run build"
    assert {file: sha256(APP / file) for file in build["files"]} == build["files"], "npm run build"


def test_lock_names_no_download_address():
    lock = (BUILD / "package-lock.json").read_text()
    assert '"resolved"' not in lock
    assert "registry." not in lock


@pytest.mark.parametrize("path", TEMPLATES, ids=name)
def test_template_loads_nothing_from_another_host(path):
    text = TAG.sub("", path.read_text())
    assert not re.findall(
        r"""<(?:script|link|img|iframe|use|source)[^>]*\s(?:src|href|srcset)=["'](?:https?:)?//""", text
    )
    assert not re.findall(r"""url\(\s*["']?(?:https?:)?//""", text)


@pytest.mark.parametrize("path", sorted([*APP.glob("*.css"), *APP.glob("*.js"), *APP.glob("*.svg")]), ids=name)
def test_own_file_names_no_other_host(path):
    hosts = set(re.findall(r"(?:https?:)?//([a-z0-9.-]+\.[a-z]{2,})", path.read_text()))
    assert hosts <= {"www.w3.org", "tailwindcss.com"}  # the SVG namespace, a licence line


@pytest.mark.parametrize("path", OURS, ids=name)
def test_template_has_nothing_inline(path):
    text = TAG.sub("", path.read_text())
    assert not re.search(r"<style\b|\sstyle=|\son[a-z]+=|javascript:", text)
    scripts = re.findall(r"<script\b([^>]*)>", text)
    assert all("src=" in script or 'type="application/json"' in script for script in scripts)


def classes_of(text):
    for value in re.findall(r'\bclass="((?:{%.*?%}|{{.*?}}|[^"])*)"', text):
        for token in TAG.sub(lambda tag: "" if tag[0].startswith("{{") else " ", value).split():
            if not token.endswith("-"):
                yield token


@pytest.mark.parametrize("path", OURS, ids=name)
def test_every_class_of_a_template_is_in_the_style_sheet(path):
    css = (APP / "portal.css").read_text().replace("\\", "")
    missing = {
        token for token in classes_of(path.read_text()) if not re.search(re.escape(f".{token}") + r"(?![\w-])", css)
    }
    assert not missing, "unknown classes, or the style sheet is older than the template: npm run build"


def test_every_icon_in_use_is_in_the_sprite():
    sprite = set(re.findall(r'<symbol id="([^"]+)"', (STATIC / portal.SPRITE).read_text()))
    used = {sign for _, sign, _ in portal.STATUSES.values()}
    used |= {sign for sign, _ in portal.TOUCHES.values()}
    used |= {sign for sign, _, _ in portal.PAGES.values()}
    for path in OURS:
        text = path.read_text()
        used |= set(re.findall(r'{% icon "([^"]+)"', text))
        used |= set(re.findall(r'\bsign="([^"]+)"', text))
        used |= set(re.findall(r'{% icon [\w.]+\|default:"([^"]+)"', text))
    assert used <= sprite
