"""All layers at once: from impulses that run forward through a network to the receptive fields of every layer.

One image holds one bright pixel column; every cell that it reaches, in any layer, sees that column. As the network
repeats after a period, as many consecutive columns as the period has pixels tell the whole field of every cell. The
answers are those of `rfwidget.measure`, which looks back from the cells of one layer. Nothing here knows a framework.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rfwidget._measure.looks import unbounded
from rfwidget.edges import Edges, periodic
from rfwidget.geometry import AxisField


class Impulses(NamedTuple):
    """Bright pixel columns (rows) in the middle of an image.

    Attributes:
        length: of the image, congruent to the requested one modulo the period.
        first: the first column.
        columns: how many, one per pixel of the period.
    """

    length: int
    first: int
    columns: int


def plan(requested: int, period: int, reach: float) -> Impulses:
    """An image so long that no border matters to a cell that sees one of the columns.

    Args:
        requested: length of the image asked for.
        period: of the network.
        reach: no cell looks further than this beyond its own place.

    >>> plan(requested=9, period=4, reach=10)
    Impulses(length=49, first=22, columns=4)
    """
    # As for one layer: a cell's own place may lie off its field by the reach, on either side.
    missing = max(0, int(np.ceil((4 * reach + 2 * period - requested) / period)))
    length = requested + missing * period
    return Impulses(length, (length - period) // 2, period)


class Hull:
    """First and last pixel that the cells of one map see along an axis, gathered impulse by impulse.

    Args:
        cells: how many cells of the map the period holds; 0 where all cells see the same.
        period: of the map, in pixels.
    """

    def __init__(self, cells: int, period: int) -> None:
        self._cells, self._period = cells, period
        self._low = np.full(max(cells, 1), np.iinfo(np.int64).max)
        self._high = np.full(max(cells, 1), np.iinfo(np.int64).min)
        self._grid = 0
        self._spread = False
        self._everywhere = True
        self._any = False

    def add(self, seen: npt.NDArray[np.bool_], first: int) -> None:
        """Take in what is seen of consecutive pixel columns.

        Args:
            seen: ``(columns, cells)``, whether a cell sees a column.
            first: the first of these columns.
        """
        self._grid = seen.shape[1]
        self._everywhere &= bool(seen.all())
        self._any |= bool(seen.any())
        if not seen.size:
            return
        # A field that reaches the ends of a map with that much room around it grows with the image.
        self._spread |= bool(seen[:, 0].any() or seen[:, -1].any())
        if self._cells:
            pixels, cells = np.nonzero(seen)
            periods, phases = np.divmod(cells, self._cells)
            moved = first + pixels - periods * self._period
            np.minimum.at(self._low, phases, moved)
            np.maximum.at(self._high, phases, moved + 1)

    @property
    def empty(self) -> bool:
        """Whether no cell sees anything."""
        return not self._any

    def field(self, requested: int, global_context: bool) -> AxisField | None:
        """The field of all cells; None if these impulses cannot tell.

        Args:
            requested: length of the image asked for.
            global_context: whether the network is known to mix the whole image on the way to this map.
        """
        if not self._cells:
            return unbounded(self._grid, requested) if global_context and self._everywhere and self._grid else None
        if self._spread:
            return unbounded(self._cells, self._period) if global_context else None
        pairs = tuple(
            (int(low), int(high)) if low < high else (0, 0) for low, high in zip(self._low, self._high, strict=True)
        )
        return periodic(Edges(0, 0, pairs), self._period)
