"""A real Chromium without a window, and a page of it that notes what a person would see in its console."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.service import DEADLINE

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_NOTE_VIOLATIONS = """
    window.violations = [];
    document.addEventListener("securitypolicyviolation", (event) => violations.push(event.violatedDirective));
"""


@contextmanager
def chromium() -> Iterator[Browser]:
    """Skips the test where there is none; where CI=true that is a failure."""
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("no Chromium is installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found)
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Visit:
    """A page that was opened, and what it asked for and complained about."""

    page: Page
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def row(self, type_: str) -> Any:
        """The row of a type, which there may not be yet."""
        return self.page.locator("#records tr").filter(has=self.page.locator(".type").get_by_text(type_, exact=True))

    def says(self, text: str) -> None:
        """Wait until the state of the connection reads so."""
        self.page.locator("#connection").get_by_text(text).wait_for()


@contextmanager
def visiting(browser: Browser, address: str, **options: Any) -> Iterator[Visit]:
    """The page at this address. At the end: it asked nobody else for anything, and broke no policy and no script."""
    with browser.new_context(**options) as context:
        context.set_default_timeout(DEADLINE * 1000)
        page = context.new_page()
        visit = Visit(page)
        page.add_init_script(_NOTE_VIOLATIONS)
        page.on("request", lambda request: visit.requests.append(request.url))
        page.on("pageerror", lambda error: visit.complaints.append(str(error)))
        page.on("dialog", lambda dialog: (visit.complaints.append(dialog.message), dialog.dismiss()))
        page.goto(address)
        yield visit
        assert page.evaluate("violations") == []
        assert visit.complaints == []
        assert [url for url in visit.requests if not url.startswith(f"{address}/")] == []
