"""The kernel around the widget: whether a cell runs, and which of its shells hears what a page says."""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable
from typing import Any

from IPython import get_ipython
from ipywidgets import Widget


class _Cells:
    """Counts the cells that run, by the events of IPython's shell; one for the process."""

    def __init__(self) -> None:
        self.running = 0
        self.listeners: weakref.WeakSet[CellListener] = weakref.WeakSet()
        self._shell: Any = None

    def attach(self) -> None:
        """Listen to the shell, if there is one."""
        shell = get_ipython()
        if shell is None or shell is self._shell:
            return
        self._shell = shell
        self.running = int(_inside_a_cell())
        shell.events.register("pre_run_cell", self._begin)
        shell.events.register("post_run_cell", self._end)

    def _begin(self, _: Any) -> None:
        self.running += 1

    def _end(self, _: Any) -> None:
        self.running = max(0, self.running - 1)
        if not self.running:
            for listener in list(self.listeners):
                listener.ended()


class CellListener:
    """Hears of the end of every cell, for as long as somebody holds this.

    Args:
        ended: called on the main thread.
    """

    def __init__(self, ended: Callable[[], None]) -> None:
        self.ended = ended
        _CELLS.attach()
        _CELLS.listeners.add(self)


def cell_runs() -> bool:
    """Whether a cell of the notebook runs; False where there is no notebook."""
    return _CELLS.running > 0


def _inside_a_cell() -> bool:
    """Whether this is called by the code of a cell, which has begun before anybody listened."""
    frame = sys._getframe()
    while frame.f_back is not None:
        frame = frame.f_back
        if frame.f_code.co_name == "run_code" and frame.f_globals.get("__name__") == "IPython.core.interactiveshell":
            return True
    return False


_CELLS = _Cells()


def hear_every_shell(widget: Widget) -> None:
    """Have a widget's messages handled in the sub-shell that the page names, whatever the widget said before.

    ipykernel 7.4 takes them to the sub-shell that heard the message before the widget's own last one, also where that
    has been closed together with the connection it was opened for: from then on no message arrives.
    """
    comm = widget.comm
    if hasattr(comm, "_reply_subshell_for"):
        comm._reply_subshell_for = _named_by_the_page


def _named_by_the_page(_data: Any, named: Any) -> Any:
    return named
