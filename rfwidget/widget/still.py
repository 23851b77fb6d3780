"""The picture that is left of a widget when there is no kernel: a second output, renewed when nothing happens."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable

from IPython.display import display, update_display

from rfwidget.widget.main_thread import MainThread

_DELAY = 1.0
"""Seconds without a change after which the picture is renewed."""


class Still:
    """An output of its own below the live view, which hides it as long as it lives.

    Args:
        paint: gives the picture as a PNG file.
        main: where outputs may be written.
    """

    def __init__(self, paint: Callable[[], bytes], main: MainThread) -> None:
        self._paint = paint
        self._main = main
        self._display_id = uuid.uuid4().hex
        self._shown = False
        self._due = 0.0

    def show(self) -> None:
        """Put the picture below the output that has just been written."""
        display(self._bundle(), raw=True, display_id=self._display_id)
        self._shown = True

    def renew(self) -> None:
        """Paint the picture anew once nothing has changed for a while."""
        if self._shown:
            self._due = time.monotonic() + _DELAY
            self._main.later(_DELAY, self._renew_if_due)

    def _renew_if_due(self) -> None:
        if time.monotonic() >= self._due - _DELAY / 100:
            update_display(self._bundle(), raw=True, display_id=self._display_id)

    def _bundle(self) -> dict[str, object]:
        return {"image/png": self._paint(), "text/plain": ""}
