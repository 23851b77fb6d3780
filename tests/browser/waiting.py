"""Waiting for what no locator can tell: each on its condition, with patience for a machine that others use as well."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image
from playwright.sync_api import FloatRect, Locator, Page

T = TypeVar("T")
SECONDS = 90.0
"""After so many it is a failure."""

_TWO_FRAMES = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(null))))"


def until(page: Page, holds: Callable[[], object], what: str, *, every: float = 0.2, seconds: float = SECONDS) -> None:
    """Ask again and again until something holds.

    Args:
        page: whose events are handled meanwhile.
        holds: whether it does.
        what: is waited for, in words.
        every: seconds between two questions.
        seconds: after which it is a failure.
    """
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"after {seconds:.0f} s there is not yet: {what}"
        page.wait_for_timeout(every * 1000)


def passes(page: Page, check: Callable[[], T], *, every: float = 0.2, seconds: float = SECONDS) -> T:
    """Check again and again until no assertion fails; what the check gives. At the end, it fails as it did last."""
    end = time.monotonic() + seconds
    while True:
        try:
            return check()
        except AssertionError:
            if time.monotonic() >= end:
                raise
        page.wait_for_timeout(every * 1000)


def two_frames(page: Page) -> None:
    """Wait until the page has drawn what it knows."""
    page.evaluate(_TWO_FRAMES)


def settled_box(target: Locator) -> FloatRect:
    """Where an element is in the window, once it stays there: a change of layout may take the page several frames."""
    target.wait_for(state="visible")
    page, last = target.page, None

    def stays() -> bool:
        nonlocal last
        before, last = last, target.bounding_box()
        if last is None or last != before:
            two_frames(page)
            return False
        return True

    until(page, stays, f"a box of {target} that stays", every=0.05)
    assert last is not None
    return last


def screenshot(target: Locator) -> npt.NDArray[np.uint8]:
    """What an element shows now, ``(h, w, 3)``."""
    return np.asarray(Image.open(io.BytesIO(target.screenshot())).convert("RGB"))


def settled_screenshot(target: Locator, every: float = 0.4) -> npt.NDArray[np.uint8]:
    """What an element shows, ``(h, w, 3)``, once it goes on showing that: a canvas may be drawn after its message."""
    last = screenshot(target)

    def stays() -> bool:
        nonlocal last
        before, last = last, screenshot(target)
        return before.shape == last.shape and bool((before == last).all())

    until(target.page, stays, f"a picture of {target} that stays", every=every)
    return last
