"""One thread that does the latest job it was handed, urgent kinds first.

Framework calls must not run in message handlers: those may run beside a cell, and a queue of them would answer clicks
that nobody waits for any more. So every kind of job has one slot; a new job takes the place of one that has not begun.
"""

from __future__ import annotations

import atexit
import threading
import traceback
from collections.abc import Callable
from enum import IntEnum
from typing import NamedTuple

_LAST_WAIT = 60.0
"""Seconds that the end of the program waits for a job that cannot be ended halfway."""


class Urgency(IntEnum):
    """Kinds of jobs, the most urgent first."""

    SETUP = 0
    REQUEST = 1
    TASK = 2
    IDLE = 3


class Cancelled(Exception):  # noqa: N818 - not an error: it ends a job whose result nobody wants any more
    """Raised inside a job by `Worker.check` after a newer job of its kind was handed in."""


class _Job(NamedTuple):
    run: Callable[[], None]
    dropped: Callable[[], None] | None
    over: threading.Event


class Worker:
    """A daemon thread with a one-slot mailbox per kind of job; it starts with the first job."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._changed = threading.Condition()
        self._slots: dict[Urgency, _Job] = {}
        self._running: Urgency | None = None
        self._stale = False
        self._stopped = False
        self._thread: threading.Thread | None = None

    def submit(
        self, urgency: Urgency, run: Callable[[], None], dropped: Callable[[], None] | None = None
    ) -> threading.Event:
        """Hand in a job; one of the same kind that has not begun is dropped, one that runs is told to stop.

        A job of any kind tells an idle one that runs to stop.

        Args:
            urgency: the kind of job.
            run: called on the thread; it handles its own errors.
            dropped: called on the caller's thread if a newer job takes this one's place.

        Returns:
            Set once the job has run or will never run.
        """
        over = threading.Event()
        with self._changed:
            if self._stopped:
                over.set()
                return over
            before = self._slots.get(urgency)
            self._slots[urgency] = _Job(run, dropped, over)
            if self._running == urgency and urgency is not Urgency.REQUEST:
                self._stale = True
            if self._running is Urgency.IDLE:
                self._stale = True
            if self._thread is None:
                self._thread = threading.Thread(target=self._loop, name=self._name, daemon=True)
                self._thread.start()
                atexit.register(self._end)
            self._changed.notify_all()
        if before is not None:
            if before.dropped is not None:
                before.dropped()
            before.over.set()
        return over

    def check(self) -> None:
        """Called by a long job now and then: ends it if its result is no longer wanted."""
        if self._stale or self._stopped:
            raise Cancelled

    def pause(self, seconds: float) -> None:
        """Called by an idle job before it begins: waits, and ends the job at once if something urgent comes."""
        with self._changed:
            self._changed.wait_for(lambda: self._stale or self._stopped, seconds)
        self.check()

    @property
    def idle(self) -> bool:
        """Whether nothing runs and nothing waits."""
        with self._changed:
            return self._running is None and not self._slots

    @property
    def settled(self) -> bool:
        """Whether nothing runs and nothing waits but idle jobs."""
        with self._changed:
            return self._is_settled()

    def wait_settled(self, timeout: float) -> bool:
        """Block until settled; whether that came within ``timeout`` seconds."""
        with self._changed:
            return self._changed.wait_for(self._is_settled, timeout)

    def wait_idle(self, timeout: float) -> bool:
        """Block until idle; whether that came within ``timeout`` seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: self._running is None and not self._slots, timeout)

    def stop(self) -> None:
        """Drop what waits, tell a running job to stop, and end the thread."""
        with self._changed:
            self._stopped = True
            for job in self._slots.values():
                job.over.set()
            self._slots.clear()
            self._changed.notify_all()

    def join(self, timeout: float) -> bool:
        """Wait for the thread to end; whether it did."""
        thread = self._thread
        if thread is None or thread is threading.current_thread():
            return True
        thread.join(timeout)
        return not thread.is_alive()

    def _end(self) -> None:
        """At the end of the program: a thread that comes back from native code after it would crash the process."""
        self.stop()
        self.join(_LAST_WAIT)

    def _is_settled(self) -> bool:
        return self._running in (None, Urgency.IDLE) and all(urgency is Urgency.IDLE for urgency in self._slots)

    def _loop(self) -> None:
        while True:
            with self._changed:
                self._running, self._stale = None, False
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._stopped or bool(self._slots))
                if self._stopped:
                    break
                self._running = min(self._slots)
                job = self._slots.pop(self._running)
            try:
                job.run()
            except Cancelled:
                pass
            except BaseException:  # a job handles its own errors; one that does not must not end the thread
                traceback.print_exc()
            job.over.set()
            del job  # an idle thread must keep nothing alive
        atexit.unregister(self._end)
