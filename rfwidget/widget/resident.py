"""Gradient maps that pages hold before anybody asks: which are computed next, what is kept, what has been sent.

A page that shows a layer tells now and then where the pointer is, for as long as maps are missing there. That is a
lease: without one, nothing is computed.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from rfwidget.estimator import ReceptiveField
from rfwidget.types import GridPoint, GridShape, Size
from rfwidget.widget.heat import Levels, levels_of
from rfwidget.widget.notebook import cell_runs
from rfwidget.widget.overlay import Hint
from rfwidget.widget.view import View, heat_patches
from rfwidget.widget.worker import Cancelled, Check

LEASE = 3.0
"""Seconds for which a page that has told of itself counts as one that is looked at."""

_BATCH = 0.02
_SINGLES = 2.5
"""Seconds that a batch takes at most, or so many times as long as one map alone: so long may a click have to wait."""

_CALM = 0.15
"""Seconds that a batch may take while no click is near: the larger, the less each of its maps takes."""

_AT_BEST = 0.5
"""A batch that has not been tried may take so much less for each map than a smaller one."""

_WORTH = 0.8
"""So much less it has to take for a click to wait longer: nothing is gained where one map keeps all cores busy."""

_SLOWEST = 0.25
"""Seconds for one map above which none is computed before it is asked for."""

_WORK = 120.0
"""Seconds that all maps around a place take at most; of slower networks there are fewer."""

_MOST_CELLS = 1 << 14
_BATCHES = (1, 4, 16)
"""Maps that are made together; each number may have to be compiled."""


_SLICE = 4.0
"""Seconds after which other work that nobody waits for has its turn."""

_PACK = 0.05
_PACKED = 1 << 16
"""Seconds, and bytes, after which the maps that are ready are sent together."""

_LOST = 5.0
"""Seconds without any that comes after which maps that have been sent and have not come count as lost."""

_AHEAD, _AHEAD_LEAST, _AHEAD_MOST = 1 << 19, 1 << 16, 1 << 20
"""Bytes of maps that may be on their way to a page: at first, at least and at most. Over a slow connection all that is
sent ahead stands before what somebody waits for."""

_OVERHEAD = 256
"""Bytes of a map beside its pixels."""


class Plan(NamedTuple):
    """How many maps of a layer are held, and how fine they are.

    Attributes:
        cells: as many, those nearest to where the pointer is.
        step: pixels of the image along each side of a byte, as `Levels.step`.
    """

    cells: int
    step: int = 1


def plan(view: View, budget: float) -> Plan:
    """As many maps as a budget of bytes holds: coarse ones if that makes room for more cells."""
    size, shape = view.field.description.size, view.input_shape
    w, h = int(min(size.w, shape.w)), int(min(size.h, shape.h))
    cells = min(int(view.grid.w) * int(view.grid.h), _MOST_CELLS)
    if cells * (w * h + _OVERHEAD) <= budget:
        return Plan(cells)
    coarse = math.ceil(w / 2 + 0.5) * math.ceil(h / 2 + 0.5) + _OVERHEAD
    return Plan(min(cells, int(budget // coarse)), step=2)


def nearest_first(grid: Size, centre: GridPoint, most: int = _MOST_CELLS) -> list[GridPoint]:
    """Cells of a grid, the nearest to one of them first.

    >>> nearest_first(Size(5, 2), GridPoint(1, 0), 4)
    [GridPoint(x=1, y=0), GridPoint(x=0, y=0), GridPoint(x=2, y=0), GridPoint(x=1, y=1)]
    """
    if len(grid) == 3:
        near = [np.arange(*_around(at, most, int(count))) for at, count in zip(centre, grid, strict=True)]
        squares = [(places - at) ** 2 for places, at in zip(near, centre, strict=True)]
        away = squares[0][None, None] + squares[1][None, :, None] + squares[2][:, None, None]
        planes, rows, columns = np.unravel_index(np.argsort(away, axis=None, kind="stable")[:most], away.shape)
        at = zip(near[0][columns].tolist(), near[1][rows].tolist(), near[2][planes].tolist(), strict=True)
        return [GridPoint(*place) for place in at]
    w, h = int(grid.w), int(grid.h)
    # Of a large grid only the surroundings: as far as so many cells reach, even from a corner or along a border.
    reach = 2 * math.isqrt(most) + 2
    left, right = _around(centre.x, max(reach, most // h + 1), w)
    top, bottom = _around(centre.y, max(reach, most // w + 1), h)
    away = (np.arange(left, right) - centre.x)[None] ** 2 + (np.arange(top, bottom) - centre.y)[:, None] ** 2
    rows, columns = np.unravel_index(np.argsort(away, axis=None, kind="stable")[:most], away.shape)
    return [GridPoint(x, y) for x, y in zip((columns + left).tolist(), (rows + top).tolist(), strict=True)]


def _around(place: int, reach: int, count: int) -> tuple[int, int]:
    return max(0, place - reach), min(count, place + reach + 1)


class Pace:
    """How long maps take, and how many are to be made together: as many as a click may wait for.

    >>> pace = Pace()
    >>> pace.batch()
    1
    >>> for _ in range(2):
    ...     pace.note(1, 0.016)
    >>> pace.batch(), pace.batch(calm=True), pace.slow
    (4, 16, True)
    >>> for _ in range(2):
    ...     pace.note(4, 0.015)
    >>> pace.batch(), pace.batch(calm=True)
    (1, 16)
    """

    def __init__(self) -> None:
        self._last: deque[float] = deque(maxlen=5)
        self._known: dict[int, deque[float]] = {size: deque(maxlen=5) for size in _BATCHES}
        self._tried: set[int] = set()

    def note(self, together: int, seconds: float) -> None:
        """So long did each of some maps take that were made together."""
        self._last.append(seconds)
        # The first time of a batch, it was compiled.
        if together in self._tried:
            self._known[together].append(seconds)
        self._tried.add(together)

    def batch(self, *, calm: bool = False) -> int:
        """How many are to be made together; more while no click is near."""
        return self._fitting(_CALM if calm else _BATCH)[0]

    @property
    def slow(self) -> bool:
        """Whether a click would notice that it waits for even one map."""
        return min(self._known[1], default=0) > _BATCH / 2

    @property
    def most(self) -> int:
        """How many may be made at all; not known before some have been."""
        if len(self._last) < (self._last.maxlen or 0):
            return _MOST_CELLS
        seconds = min(self._last)
        return 0 if seconds > _SLOWEST else int(_WORK / seconds)

    def _fitting(self, longest: float) -> tuple[int, float]:
        """Maps that are made together in so many seconds, or a little more, and the seconds that each of them takes."""
        seconds = min(self._known[1], default=math.inf)
        longest, found = max(longest, _SINGLES * seconds), 1
        if seconds > _SLOWEST:  # none will be made, or nothing is known yet
            return found, seconds
        for size in _BATCHES[1:]:
            each = min(self._known[size], default=_AT_BEST * seconds)
            if size * each <= longest and each <= _WORTH * seconds:
                found, seconds = size, each
        return found, seconds


class _Page:
    """What a page has told of itself, and how much is on its way to it.

    Args:
        told: maps that had been sent to all pages when it was first heard of.
        came: as many had come there.
    """

    def __init__(self, told: int, came: int) -> None:
        self.until = 0.0
        self._before, self._came = told - came, came
        self._grew = time.monotonic()
        self._window = float(_AHEAD)

    def hear(self, came: int, told: int, size: float) -> None:
        """So many maps have come by now, of those that have been sent, which are so large on average."""
        some, self._came = came - self._came, came
        if some:
            self._grew = time.monotonic()
        if self.on_its_way(told) * size > self._window / 2:
            self._window = min(max(2 * some * size, _AHEAD_LEAST), self._window)
        elif some:
            self._window = min(2 * self._window, _AHEAD_MOST)

    def on_its_way(self, told: int) -> int:
        """Maps that have been sent and have not come, as far as is known."""
        return told - self._before - self._came

    def has_room(self, told: int, size: float) -> bool:
        """Whether more may be sent before it tells that some have come."""
        return self.on_its_way(told) * size < self._window

    def forget_lost(self, told: int, sent_at: float) -> bool:
        """Whether what is on its way has been lost; it is not waited for any more."""
        lost = self.on_its_way(told) > 0 and time.monotonic() - max(sent_at, self._grew) > _LOST
        if lost:
            self._before = told - self._came
        return lost


class Residents:
    """The maps of one view. Hints come on the main thread, maps are made on the worker's.

    Args:
        rf: the estimator.
        send: called on the worker's thread with maps that all pages are to hold.
        replan: called there with the view and its new plan: the network is slower than it was taken to be.
        changed: called there with the view: its weights are others than when its maps were made.
    """

    def __init__(
        self,
        rf: ReceptiveField,
        send: Callable[[View, Sequence[tuple[GridPoint, Levels]]], None],
        replan: Callable[[View, Plan], None],
        changed: Callable[[View], None],
    ) -> None:
        self._rf = rf
        self._send, self._replan, self._changed = send, replan, changed
        self._lock = threading.Lock()
        self._view: View | None = None
        self._pace = Pace()
        self._paced: tuple[str, GridShape, str] | None = None  # another image or channel takes as long
        self.forget()

    def forget(self) -> None:
        """Drop all maps, and make no more until another view is shown."""
        self.show(None, Plan(0))

    def show(self, view: View | None, plan: Plan) -> None:
        """Hold the maps of another view."""
        with self._lock:
            self._view, self._plan = view, plan
            self._broken: Plan | None = None  # the plan before the network failed
            self._maps: dict[GridPoint, Levels] = {}
            self._sent: set[GridPoint] = set()
            self._sent_at = 0.0
            self._order: list[GridPoint] = []
            self._focus: GridPoint | None = None
            self._pages: dict[str, _Page] = {}
            self._near_until = 0.0
            self._told, self._told_bytes = 0, 0
            self._mark: int | None = None
            self._marked = False
            work = None if view is None else (view.layer, view.input_shape, view.heat)
            if work not in (None, self._paced):
                self._paced, self._pace = work, Pace()

    @property
    def slow(self) -> bool:
        """Whether a click would notice that it waits for even one map."""
        return self._pace.slow

    def hint(self, hint: Hint) -> bool:
        """A page tells where its pointer is; whether there is something to do about it."""
        now = time.monotonic()
        with self._lock:
            view = self._view
            if view is None or hint.revision != view.revision or not self._plan.cells:
                return False
            page = self._pages.get(hint.client)
            known = page is not None
            page = page or _Page(self._told, hint.came)
            self._pages = {client: one for client, one in self._pages.items() if one.until > now - 60}
            self._pages[hint.client] = page
            page.until = now + LEASE if hint.shown else 0.0
            if not hint.shown:
                return False
            if hint.near:
                self._near_until = now + LEASE
            page.hear(hint.came, self._told, self._size)
            if page.forget_lost(self._told, self._sent_at) or not known:
                self._sent.clear()
                self._focus = None
            focus = GridPoint(min(hint.cell.x, int(view.grid.w) - 1), min(hint.cell.y, int(view.grid.h) - 1))
            if focus != self._focus:
                self._focus = focus
                self._order = nearest_first(view.grid, focus, self._plan.cells)
                if self._plan.cells < view.grid.w * view.grid.h:
                    self._sent.intersection_update(self._order)  # pages drop the farthest themselves
            return True

    @property
    def _size(self) -> float:
        """Bytes of a map that has been sent, on average."""
        return self._told_bytes / max(self._told, 1)

    def keep(self, view: View, cell: GridPoint, levels: Levels, *, asked_for: bool) -> None:
        """An answer, which all pages have got, is a map like the others; where it was asked for, more may be soon."""
        with self._lock:
            if view is not self._view:
                return
            if asked_for:
                self._near_until = time.monotonic() + LEASE
            mended, self._broken = self._broken, None
            self._plan = mended or self._plan
            if self._plan.cells:
                self._maps[cell] = levels
                self._sent.add(cell)
        if mended is not None:
            self._replan(view, mended)

    def recheck(self) -> bool:
        """The weights may be others by now; whether there is anything that depends on them."""
        with self._lock:
            self._marked = False
            return bool(self._maps)

    def produce(self, check: Check) -> bool:
        """Make maps and send them for a while, as long as somebody looks and no cell of the notebook runs.

        Returns:
            Whether there is more to be made.
        """
        view, end = self._view, time.monotonic() + _SLICE
        if view is None or view.field is not self._rf.field or cell_runs():
            return False
        packed: list[tuple[GridPoint, Levels]] = []
        opened = time.monotonic()
        try:
            if self._weights_changed(view):
                return False
            while time.monotonic() < end:
                check()
                some = self._next(view)
                if not some:
                    return False
                packed += self._make(view, some)
                if time.monotonic() - opened > _PACK or sum(m.values.size for _, m in packed) > _PACKED:
                    self._send(view, packed)
                    packed, opened = [], time.monotonic()
            return True
        except Cancelled:
            raise
        except Exception:  # it waits for somebody who asks
            self._broken, self._plan = self._plan, Plan(0)
            self._replan(view, self._plan)
            return False
        finally:
            if packed:
                self._send(view, packed)

    def _weights_changed(self, view: View) -> bool:
        if self._marked:
            return False
        mark = self._rf.network.weights_mark()
        before, self._mark, self._marked = self._mark, mark, True
        if before in (None, mark):
            return False
        self.forget()
        self._changed(view)
        return True

    def _next(self, view: View) -> list[GridPoint]:
        """The cells that are to be made together next."""
        if cell_runs():
            return []
        now = time.monotonic()
        with self._lock:
            looking = [page for page in self._pages.values() if page.until >= now]
            if view is not self._view or not looking:
                return []
            if not all(page.has_room(self._told, self._size) for page in looking):
                return []  # until a page tells that some have come
            self._order = [cell for cell in self._order if cell not in self._sent]
            return self._order[: self._pace.batch(calm=now > self._near_until)]

    def _make(self, view: View, cells: Sequence[GridPoint]) -> list[tuple[GridPoint, Levels]]:
        """The maps of some cells, and note that they are sent."""
        missing = [cell for cell in cells if cell not in self._maps]
        together = len(missing) if len(missing) in _BATCHES else 1  # what is left is not worth compiling for
        begin = time.perf_counter()
        patches = heat_patches(self._rf, view, missing, at_once=together)
        made = {cell: levels_of(patch, step=self._plan.step) for cell, patch in zip(missing, patches, strict=True)}
        if missing:
            self._pace.note(together, (time.perf_counter() - begin) / len(missing))
            self._hold_fewer(view)
        with self._lock:
            if view is not self._view:
                return []
            self._maps.update(made)
            self._sent.update(cells)
            self._sent_at = time.monotonic()
            maps = [(cell, self._maps[cell]) for cell in cells]
            self._told += len(maps)
            self._told_bytes += sum(levels.values.size + _OVERHEAD for _, levels in maps)
            if len(self._maps) > 1.2 * self._plan.cells + max(_BATCHES):
                kept = set(nearest_first(view.grid, self._focus or cells[0], self._plan.cells))
                self._maps = {cell: levels for cell, levels in self._maps.items() if cell in kept}
            return maps

    def _hold_fewer(self, view: View) -> None:
        """Of slow networks fewer maps are made, of very slow ones none."""
        most = self._pace.most
        if most >= self._plan.cells:
            return
        with self._lock:
            self._plan = self._plan._replace(cells=most)
            self._order = self._order[:most]
        self._replan(view, self._plan)
