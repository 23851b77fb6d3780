"""Slow work that nobody waits for: done between clicks, given up for them, and taken up again.

A worker has one slot for idle jobs and ends the one that runs when anything urgent comes. Here several tasks share that
slot, and one that was ended begins anew once the worker has been quiet for a while.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from rfwidget.widget.worker import Cancelled, Urgency, Worker

Check = Callable[[], None]
"""Ends a task whose result nobody wants any more, or that is in the way; called by the task now and then."""

_QUIET = 0.4
"""Seconds without anything urgent before a task begins: between the clicks of a hand, say."""


class Background:
    """An agenda of named tasks for a worker's idle time, in the order in which they came.

    Args:
        worker: does the tasks.
        quiet: seconds without anything urgent before one begins.
    """

    def __init__(self, worker: Worker, quiet: float = _QUIET) -> None:
        self._worker = worker
        self._quiet = quiet
        self._lock = threading.Lock()
        self._tasks: dict[str, Callable[[Check], None]] = {}
        self._busy = False

    def want(self, name: str, run: Callable[[Check], None]) -> None:
        """Have a task done, in place of the one of that name.

        Args:
            name: of the task.
            run: called on the worker's thread with a `Check`; it handles its own errors.
        """
        with self._lock:
            self._tasks[name] = run
            if self._busy:
                return
            self._busy = True
        self._worker.submit(Urgency.IDLE, self._work)

    def forget(self, name: str) -> None:
        """Give up a task."""
        with self._lock:
            self._tasks.pop(name, None)

    def _work(self) -> None:
        try:
            while (task := self._next()) is not None:
                name, run = task
                self._worker.pause(self._quiet)
                self._do(name, run)
        except Cancelled:
            self._worker.submit(Urgency.IDLE, self._work)

    def _next(self) -> tuple[str, Callable[[Check], None]] | None:
        with self._lock:
            self._busy = bool(self._tasks)
            return next(iter(self._tasks.items()), None)

    def _do(self, name: str, run: Callable[[Check], None]) -> None:
        def check() -> None:
            self._worker.check()
            if self._tasks.get(name) is not run:
                raise Cancelled

        try:
            run(check)
        except Cancelled:
            self._worker.check()  # in the way: begin anew later; otherwise replaced or given up
        with self._lock:
            if self._tasks.get(name) is run:
                del self._tasks[name]
