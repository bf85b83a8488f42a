"""One Chromium for all browser tests; without one they are skipped, with a screenshot where they fail."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest
from django.core.cache import cache

NAMES = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session")
def chromium() -> Iterator:
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip("browser tests need Chromium on the PATH")
    # The test client's database calls stay in this thread although Playwright runs a loop beside it.
    os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        args = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=found, args=args)
        yield browser
        browser.close()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    item.failed = outcome.get_result().failed


@pytest.fixture(params=["light", "dark-phone"])
def page(request, chromium, live_server, tmp_path) -> Iterator:
    """A new person's browser: a desk by day, a phone by night; whatever its console complains about fails the test."""
    cache.clear()  # the limit of logins a minute counts on a clock that stands still here
    phone = request.param == "dark-phone"
    context = chromium.new_context(
        base_url=live_server.url,
        viewport={"width": 390, "height": 844} if phone else {"width": 1280, "height": 800},
        color_scheme="dark" if phone else "light",
        locale="en-GB",
    )
    page = context.new_page()
    page.set_default_timeout(15_000)
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    if getattr(request.node, "failed", False):
        path = tmp_path / "failure.png"
        page.screenshot(path=path, full_page=True)
        print(f"screenshot: {path}")
    context.close()
    assert complaints == []
