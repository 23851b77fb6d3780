"""From the edges seen for some cells to the receptive fields of all cells along an axis.

Pure numbers: what was seen comes from `rfwidget.measure`, what follows from it is an `AxisField`.
"""

from __future__ import annotations

from typing import NamedTuple

from rfwidget._measure.looks import shortest
from rfwidget.geometry import AxisField


class Edges(NamedTuple):
    """First and last edge of consecutive cells along one axis, and the image they were seen on."""

    first_cell: int
    length: int
    pairs: tuple[tuple[float, float], ...]

    @property
    def inside(self) -> bool:
        """Whether no field touches a border of the image."""
        return all(low > 0 and high < self.length for low, high in self.pairs if low != high)

    @property
    def margins(self) -> tuple[tuple[float, float], ...]:
        """How much of the image lies before and behind each field."""
        return tuple((low, self.length - high) for low, high in self.pairs)

    @property
    def shared(self) -> bool:
        """Whether there are several cells, and all see the same."""
        return len(self.pairs) > 1 and len(set(self.pairs)) == 1

    @property
    def fills(self) -> bool:
        """Whether every field covers the whole image."""
        return all(margins == (0, 0) for margins in self.margins)


def periodic(edges: Edges, period: int) -> AxisField:
    """The field of all cells from that of one whole period, in its shortest form."""
    return shortest(edges.first_cell, edges.pairs, period)


def interior_pattern(seen: Edges) -> AxisField | None:
    """The shortest pattern that the cells away from the borders repeat at least once and that explains all others."""
    grid, length = len(seen.pairs), seen.length
    clear = [cell for cell, (low, high) in enumerate(seen.pairs) if 0 < low < high < length]
    for count in range(1, grid // 2 + 1):
        run = [cell for cell in clear if cell + count in clear]
        shifts = {seen.pairs[cell + count][side] - seen.pairs[cell][side] for cell in run for side in (0, 1)}
        if len(run) < count or len(shifts) != 1 or (pixels := int(shifts.pop())) < 1:
            continue
        window = next((c for c in run if all(c + k in clear for k in range(count))), None)
        if window is None:
            continue
        pairs = tuple(seen.pairs[window + k] for k in range(count))
        field = periodic(Edges(window, length, pairs), pixels)
        if all(_clip(field.edges_at(cell), length) == pair for cell, pair in enumerate(seen.pairs)):
            return field
    return None


def _clip(pair: tuple[float, float], length: int) -> tuple[float, float]:
    low, high = max(pair[0], 0), min(pair[1], length)
    return (low, high) if low < high else (0, 0)
