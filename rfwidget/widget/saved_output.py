"""The picture that is left of a widget when there is no kernel: a second output, renewed when nothing happens."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from functools import partial

from IPython.display import display, update_display

from rfwidget.widget.worker import Lull, MainThread

_DELAY = 1.0
"""Seconds without a change after which the picture is renewed."""


class SavedOutput:
    """An output of its own below the live view, which hides it as long as it lives.

    Args:
        take: called on the main thread; gives a function that paints what is shown then, as a PNG file, on any thread.
        main: where outputs may be written.
    """

    def __init__(self, take: Callable[[], Callable[[], bytes]], main: MainThread) -> None:
        self._take = take
        self._main = main
        self._display_id = uuid.uuid4().hex
        self._shown = False
        self._lull = Lull(main, _DELAY, self._paint_aside)

    def show(self) -> None:
        """Put the picture below the output that has just been written."""
        display(_bundle(self._take()()), raw=True, display_id=self._display_id)
        self._shown = True

    def renew(self) -> None:
        """Paint the picture anew once nothing has changed for a while."""
        if self._shown:
            self._lull.stir()

    def _paint_aside(self) -> None:
        """On a thread of its own: a click that comes meanwhile must wait for no picture."""
        threading.Thread(target=self._paint, args=(self._take(),), name="rfwidget-saved-output", daemon=True).start()

    def _paint(self, paint: Callable[[], bytes]) -> None:
        self._main.post(partial(self._update, paint()))

    def _update(self, png: bytes) -> None:
        update_display(_bundle(png), raw=True, display_id=self._display_id)


def _bundle(png: bytes) -> dict[str, object]:
    return {"image/png": png, "text/plain": ""}
