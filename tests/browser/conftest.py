"""Fixtures of the browser tests: one JupyterLab and one Chromium for all of them, a fresh page for each.

They end with the package, not with the session: while Playwright's synchronous interface is open, the thread counts
as one with a running event loop, and tests elsewhere start loops of their own.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.browser.jupyter import PATIENCE, LabPage, Server, serve_lab
from tests.browser.second_try import pytest_configure, pytest_itemcollected, pytest_terminal_summary
from tests.browser.waiting import SECONDS

__all__ = ["pytest_configure", "pytest_itemcollected", "pytest_terminal_summary"]  # hooks

CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


SLOWER = float(os.environ.get("RFWIDGET_SLOWER", "1"))
"""So many times slower than it is, every page takes its machine to be."""

expect.set_options(timeout=SECONDS * 1000)  # milliseconds: a busy machine is no failure


@pytest.fixture(scope="package")
def browser(monkeypatch_package: pytest.MonkeyPatch) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=os.environ.get("RFWIDGET_CHROMIUM") or None, args=CHROMIUM_FLAGS
        )
        make_page, make_context = chromium.new_page, chromium.new_context

        def new_page(**options: Any) -> Page:
            page = make_page(**options)
            be_patient(page)
            return page

        def new_context(**options: Any) -> BrowserContext:
            context = make_context(**options)
            context.on("page", be_patient)
            return context

        monkeypatch_package.setattr(chromium, "new_page", new_page)
        monkeypatch_package.setattr(chromium, "new_context", new_context)
        yield chromium
        chromium.close()


@pytest.fixture(scope="package")
def monkeypatch_package() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        yield patch


def be_patient(page: Page) -> None:
    """Give a page time; and make it slow, where that is asked for."""
    page.set_default_timeout(PATIENCE)
    if SLOWER != 1:
        page.context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", {"rate": SLOWER})


@pytest.fixture(scope="package")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serve_lab(tmp_path_factory.mktemp("lab")) as server:
        yield server


@pytest.fixture(scope="package")
def context(browser: Browser) -> Iterator[BrowserContext]:
    """One cache for all pages: JupyterLab is large."""
    shared = browser.new_context(viewport={"width": 1280, "height": 1000})
    yield shared
    shared.close()


@pytest.fixture
def lab_page(
    context: BrowserContext, lab: Server, artifacts: Path, request: pytest.FixtureRequest
) -> Iterator[LabPage]:
    """A fresh page; at the end, it leaves a screenshot, and nothing must stand in its console."""
    page = LabPage(context.new_page(), lab)
    yield page
    page.page.screenshot(path=artifacts / f"{request.node.name}.png")
    page.shut_down_kernels()
    page.page.close()
    assert page.problems == []


@pytest.fixture(scope="package")
def artifacts() -> Path:
    """Where the tests leave screenshots to look at."""
    folder = Path(__file__).parents[1] / "artifacts"
    folder.mkdir(exist_ok=True)
    return folder
