"""Waiting for what no locator can tell."""

from __future__ import annotations

import time
from collections.abc import Callable

from playwright.sync_api import Page


def until(page: Page, holds: Callable[[], bool], *, every: float = 0.2, seconds: float = 30) -> None:
    """Ask again and again until something holds.

    Args:
        page: whose events are handled meanwhile.
        holds: whether it does.
        every: seconds between two questions.
        seconds: after which it is a failure.
    """
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"it does not hold after {seconds} s"
        page.wait_for_timeout(every * 1000)
