"""Long sequences, measured on shorter ones that look the same.

What repeats in a network repeats however long the sequence is, so a look at a part that is shorter by whole periods
tells all: the fields of its cells, and how many cells there are more on the rest. Both ends stay what they are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rfwidget.geometry import AxisField, FieldGeometry
from rfwidget.types import GridPoint, Rect

STEP = 40320
"""Samples that long sequences are longer by whole numbers of: periods that do not divide it are rare."""

_LONG = 3 * STEP
"""Longer sequences are not looked at themselves."""


class Stretch(NamedTuple):
    """A sequence and the shorter one that stands for it.

    Attributes:
        long: samples of the sequence.
        short: samples of the other; the same number if the sequence is not long.
        long_cells: cells of the layer on the sequence.
        short_cells: cells on the other.
        period: shift after which everything inside the network repeats.
    """

    long: int
    short: int
    long_cells: int
    short_cells: int
    period: int

    def visible(self, cell: int, field: FieldGeometry, on_short: Callable[[GridPoint], Rect]) -> Rect:
        """First to last sample of the sequence that a cell sees.

        Args:
            cell: of the sequence.
            field: receptive fields; bounded.
            on_short: the same of cells of the shorter sequence.
        """
        half = self.short_cells // 2
        if cell < half:
            return on_short(GridPoint(cell))
        if cell < self.long_cells - half:
            return field.rect(GridPoint(cell))  # no border is near
        ((low, high),) = on_short(GridPoint(cell - self.long_cells + self.short_cells)).edges
        more = self.long - self.short
        return Rect.of([(low, high) if low == high else (low + more, high + more)])

    def response(
        self,
        mask: npt.NDArray[np.bool_],
        size: float,
        on_short: Callable[[npt.NDArray[np.bool_]], npt.NDArray[np.float64]],
    ) -> npt.NDArray[np.float64] | None:
        """What marked samples contribute to the cells.

        Args:
            mask: of the sequence.
            size: of the receptive fields; finite.
            on_short: the same on the shorter sequence.

        Returns:
            None if the marks lie too far apart for the shorter sequence.
        """
        result = np.zeros(self.long_cells)
        marked = np.flatnonzero(mask)
        if not marked.size:
            return result
        first, last = int(marked[0]), int(marked[-1]) + 1
        start = (first - self.short // 2 + (last - first) // 2) // self.period * self.period
        start = min(max(start, 0), self.long - self.short)
        room = size + 2 * self.period
        if (start and first - start < room) or (start < self.long - self.short and start + self.short - last < room):
            return None
        seen = on_short(mask[start : start + self.short])
        place = start * (self.long_cells - self.short_cells) // (self.long - self.short)
        result[place : place + self.short_cells] = seen
        return result


def shortened(lengths: Sequence[int]) -> tuple[int, ...]:
    """Lengths to look at in place of others: those of a long sequence are shorter by whole steps.

    >>> shortened((1_000_000,)), shortened((5000,)), shortened((8, 200_000))
    ((72640,), (5000,), (8, 200000))
    """
    if len(lengths) != 1 or lengths[0] <= _LONG:
        return tuple(lengths)
    return (STEP + lengths[0] % STEP,)


def lengthened(short: Sequence[int], longer: Sequence[int], lengths: Sequence[int]) -> tuple[int, ...]:
    """The grid of a layer on a long sequence.

    Args:
        short: the grid on the sequence that stands for it.
        longer: the grid on one that is longer by one step.
        lengths: of the long sequence.
    """
    steps = (lengths[0] - shortened(lengths)[0]) // STEP
    return (short[0] + steps * (longer[0] - short[0]),)


def is_known(field: AxisField, period: int) -> bool:
    """Whether a field on the shorter sequence is that on the long one."""
    return STEP % period == 0 and field.pixels > 0 and not field.others
