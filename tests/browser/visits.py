"""What every visit does: sign in, look for barriers, look for sideways scrolling."""

from __future__ import annotations

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tests.cast import PASSWORD

WEIGHTY = {"serious", "critical"}


def sign_in(page: Page, email: str, to: str = "/") -> None:
    page.goto(f"/accounts/login/?next={to}")
    page.fill("[name=login]", email)
    page.fill("[name=password]", PASSWORD)
    page.press("[name=password]", "Enter")
    page.wait_for_url(f"**{to}")


def barriers(page: Page) -> list[str]:
    """Return what axe finds serious or critical on the page as it is now."""
    found = Axe().run(page).response["violations"]
    return [
        f"{page.url}: {one['id']}: {node['html'][:160]}"
        for one in found
        if one["impact"] in WEIGHTY
        for node in one["nodes"]
    ]


def look(page: Page, path: str = "") -> None:
    """Open an address (or stay) and find the page free of barriers and no wider than the screen."""
    if path:
        assert page.goto(path).status == 200
    assert barriers(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), page.url
