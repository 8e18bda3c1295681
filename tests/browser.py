"""Opens pages in a real browser, and records their messages and requests."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest

REQUIRED = "JAXLOG_BROWSER_TESTS"
"""If this environment variable is `required`, a missing browser is a failure."""

_FLAGS = (
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@dataclass
class Opened:
    """A page that is open.

    Attributes:
      page: what playwright drives.
      said: errors and warnings of its console, and exceptions of its script.
      asked: the addresses that it asked for, beside its own, those of its server, and `data:`.
    """

    page: Any
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)


Open = Callable[..., Opened]


@pytest.fixture
def open_page() -> Iterator[Open]:
    """Opens a file or an address; options are those of playwright's `new_page`."""
    chromium = shutil.which("chromium")
    driver = importlib.util.find_spec("playwright")
    if chromium is None or driver is None:
        # Other versions of JAX are tried without what drives it.
        why = f"there is no {'chromium: tests/install_chromium.sh' if driver else 'playwright'}"
        if os.environ.get(REQUIRED) == "required":
            pytest.fail(why)
        pytest.skip(why)
    from playwright.sync_api import sync_playwright

    # Ended after each test: while it runs, its thread has an event loop, and others cannot start.
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=_FLAGS)

        def open_page(place: Path | str, **options: Any) -> Opened:
            opened = Opened(browser.new_page(**options))
            own = place if isinstance(place, str) else place.absolute().as_uri()
            server = urljoin(own, "/") if isinstance(place, str) else own
            opened.page.on("console", lambda message: opened.said.append(message.text))
            opened.page.on("pageerror", lambda error: opened.said.append(str(error)))
            opened.page.on(
                "request",
                lambda request: (
                    opened.asked.append(request.url)
                    if not request.url.startswith((server, "data:"))
                    else None
                ),
            )
            opened.page.goto(own)
            return opened

        yield open_page
        browser.close()
