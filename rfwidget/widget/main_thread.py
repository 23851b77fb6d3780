"""Back from the worker to the thread that made the widget.

Synced traits may be set on that thread and in message handlers only: set anywhere else, updates get lost.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections import deque
from collections.abc import Callable


class MainThread:
    """Runs calls on the thread it was made on, as soon as that thread's event loop is free.

    Without an event loop (a plain script, a test) the calls wait for `drain`.
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
        """Run what waits, if this is the thread."""
        if threading.current_thread() is not self._thread:
            return
        try:
            while self._waiting:
                self._waiting.popleft()()
        finally:
            # An observer of the user's, or an interrupt, has ended one call; the others are due all the same.
            if self._waiting and self._loop is not None and not self._loop.is_closed():
                self._loop.call_soon(self.drain)


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
