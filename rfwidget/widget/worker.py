"""The thread that does the framework's work, what it does in idle time, and the way back to the main thread.

Framework calls must not run in message handlers: those may run beside a cell, and a queue of them would answer clicks
that nobody waits for any more. So every kind of job has one slot; a new job takes the place of one that has not begun.
Synced traits in turn may be set on the main thread and in message handlers only: set anywhere else, updates get lost.
"""

from __future__ import annotations

import asyncio
import atexit
import math
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable
from enum import IntEnum
from typing import NamedTuple

Check = Callable[[], None]
"""Ends a task whose result nobody wants any more, or that is in the way; called by the task now and then."""

_LAST_WAIT = 60.0
"""Seconds that the end of the program waits for a job that cannot be ended halfway."""

_QUIET = 0.4
"""Seconds without anything urgent before an idle task begins: between the clicks of a hand, say."""


REST = 60.0
"""Seconds without a job after which a worker's thread ends; what it had compiled for clicks goes with it."""


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
    """A daemon thread with a one-slot mailbox per kind of job.

    It starts with a job, ends when there has been none for a while or nobody looks any more, and starts anew with the
    next one.

    Args:
        name: of the thread.
        ended: called on the thread when it ends for want of jobs or of anybody who looks.
        rest: seconds without a job after which it ends.
    """

    def __init__(self, name: str, ended: Callable[[], None] = lambda: None, rest: float = REST) -> None:
        self._name = name
        self._ended = ended
        self._rest = rest
        self._changed = threading.Condition()
        self._slots: dict[Urgency, _Job] = {}
        self._running: Urgency | None = None
        self._stale = False
        self._stopped = False
        self._leaving = False
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
            if urgency is not Urgency.IDLE:
                self._leaving = False
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

    def leave(self) -> None:
        """End the thread as soon as there is nothing left to do, without a rest; unless somebody wants more first."""
        with self._changed:
            self._leaving = True
            self._changed.notify_all()

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
                self._changed.wait_for(lambda: self._stopped or self._leaving or bool(self._slots), self._rest)
                if self._stopped or not self._slots:
                    atexit.unregister(self._end)
                    self._thread = self._thread if self._stopped else None
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
        if not self._stopped:
            self._ended()


class _Task(NamedTuple):
    """What is to be done in idle time, and after how many quiet seconds."""

    run: Callable[[Check], bool | None]
    quiet: Callable[[], float]


class IdleTasks:
    """Slow work that nobody waits for: done between clicks, given up for them, and taken up again.

    A worker has one slot for idle jobs and ends the one that runs when anything urgent comes. Here several named tasks
    share that slot, in the order in which they came; one that was ended begins anew once the worker has been quiet for
    a while.

    Args:
        worker: does the tasks.
        quiet: seconds without anything urgent before one begins.
    """

    def __init__(self, worker: Worker, quiet: float = _QUIET) -> None:
        self._worker = worker
        self._quiet = quiet
        self._lock = threading.Lock()
        self._tasks: dict[str, _Task] = {}
        self._busy = False
        self._waiting = False

    def want(
        self,
        name: str,
        run: Callable[[Check], bool | None],
        *,
        first: bool = False,
        quiet: Callable[[], float] | None = None,
    ) -> None:
        """Have a task done, in place of another one of that name.

        Args:
            name: of the task.
            run: called on the worker's thread with a `Check`; it handles its own errors. Where it returns True there is
                more to do, after the other tasks that wait.
            first: before the others that wait.
            quiet: seconds without anything urgent before it begins, if not the usual ones; asked each time that it is
                to begin.
        """
        with self._lock:
            known = self._tasks.get(name)
            if known is not None and known.run == run:
                return
            task = _Task(run, quiet or (lambda: self._quiet))
            others = {other: waiting for other, waiting in self._tasks.items() if other != name}
            self._tasks = {name: task, **others} if first else {**self._tasks, name: task}
            if self._busy and not (first and self._waiting):
                return
            self._busy = True
        self._worker.submit(Urgency.IDLE, self._work)

    def forget(self, name: str) -> None:
        """Give up a task."""
        with self._lock:
            self._tasks.pop(name, None)

    def _work(self) -> None:
        try:
            while (found := self._next()) is not None:
                name, task = found
                self._waiting = True
                try:
                    self._worker.pause(task.quiet())
                finally:
                    self._waiting = False
                self._do(name, task)
        except Cancelled:
            self._worker.submit(Urgency.IDLE, self._work)

    def _next(self) -> tuple[str, _Task] | None:
        with self._lock:
            self._busy = bool(self._tasks)
            return next(iter(self._tasks.items()), None)

    def _do(self, name: str, task: _Task) -> None:
        def check() -> None:
            self._worker.check()
            if self._tasks.get(name) is not task:
                raise Cancelled

        more: bool | None = False
        try:
            more = task.run(check)
        except Cancelled:
            self._worker.check()  # in the way: begin anew later; otherwise replaced or given up
        with self._lock:
            if self._tasks.get(name) is task:
                del self._tasks[name]
                if more:
                    self._tasks[name] = task


class MainThread:
    """Runs calls on the thread it was made on, as soon as that thread's event loop is free.

    Without an event loop (in a script, in a test) the calls wait for `drain`.
    """

    def __init__(self) -> None:
        self._waiting: deque[Callable[[], None]] = deque()
        self._thread = threading.current_thread()
        self._lock = threading.RLock()
        try:
            self._loop: asyncio.AbstractEventLoop | None = asyncio.get_running_loop()
        except RuntimeError:
            self._loop = None

    def post(self, call: Callable[[], None]) -> None:
        """Run a call on the thread, in the order in which calls were posted; from any thread."""
        self._waiting.append(call)
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self.drain)

    def later(self, seconds: float, call: Callable[[], None]) -> None:
        """Run a call on the thread after some time; never without an event loop."""
        if self._loop is not None and not self._loop.is_closed():
            loop = self._loop
            loop.call_soon_threadsafe(lambda: loop.call_later(seconds, call))

    def drain(self) -> None:
        """Run what waits, if this is the thread; if one of the calls raises, the others wait for the next drain."""
        if threading.current_thread() is not self._thread:
            return
        while self._waiting:
            self._waiting.popleft()()


class Lull:
    """Calls back on the main thread once nothing has stirred for a while.

    Args:
        main: where to call back.
        seconds: how long nothing must have stirred.
        call: called once per lull; never without an event loop.
    """

    def __init__(self, main: MainThread, seconds: float, call: Callable[[], None]) -> None:
        self._main = main
        self._seconds = seconds
        self._call = call
        self._due = math.inf

    def stir(self) -> None:
        """Something has happened: wait anew."""
        self._due = time.monotonic() + self._seconds
        self._main.later(self._seconds, self._call_if_due)

    def _call_if_due(self) -> None:
        # Timers come a little early at times.
        if time.monotonic() >= self._due - self._seconds / 100:
            self._due = math.inf
            self._call()
