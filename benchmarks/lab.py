"""A JupyterLab and a Chromium for whoever takes pictures of them, or measures in them."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from tests.browser.conftest import CHROMIUM_FLAGS
from tests.browser.jupyter import Server, serve_lab


@contextmanager
def lab_and_browser() -> Iterator[tuple[Server, Browser]]:
    """Both started, and ended with all that they hold; ``RFWIDGET_CHROMIUM`` says which Chromium."""
    with (
        tempfile.TemporaryDirectory() as folder,
        serve_lab(Path(folder)) as server,
        sync_playwright() as playwright,
        playwright.chromium.launch(
            executable_path=os.environ.get("RFWIDGET_CHROMIUM") or None, args=CHROMIUM_FLAGS
        ) as browser,
    ):
        yield server, browser
