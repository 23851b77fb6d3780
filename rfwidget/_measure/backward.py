"""Measuring one layer of any `Network` from what it says of single cells (gradients, say), one axis at a time.

Each axis is measured on an image long enough for the cells in its middle to see no border: their first and last
influenced pixels are the edges of the receptive field, overhang included. The image grows by whole periods only, so
that the padding stays what it is at the requested size. Nothing here knows a framework.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rfwidget._measure.looks import shortest, unbounded
from rfwidget._progress import Progress
from rfwidget.errors import NoInfluenceError, ReceptiveFieldError, SizeRefusedError
from rfwidget.geometry import AxisField, FieldGeometry, extent
from rfwidget.network import Network, summed_across
from rfwidget.ranks import RANKS
from rfwidget.types import GridPoint, GridShape, Size


def measure(network: Network, progress: Progress) -> FieldGeometry:
    """Receptive fields of all cells of a network's layer.

    Args:
        network: what to measure.
        progress: called with a fraction 0..1 and a few words; what it raises ends the measurement.

    Raises:
        ReceptiveFieldError: if the image does not influence the layer at all, or no honest number can be given.
    """
    axes = RANKS[len(network.input_shape.size)].axes
    fields = []
    for done, axis in enumerate(axes):
        progress(done / len(axes), f"measuring along {axis}")
        fields.append(measure_axis(network, axis))
    geometry = FieldGeometry(*fields)
    if network.reach is None:
        _check(network, geometry)
    progress(1.0, "measured")
    return geometry


def _check(network: Network, geometry: FieldGeometry) -> None:
    """Compare with one cell on the whole image: only then is it sure that the axes can be measured one at a time."""
    point = central(network.output_shape)
    rect = geometry.rect(point)
    if any(low < 0 or high > n for (low, high), n in zip(rect.edges, network.input_shape.size, strict=True)):
        return
    seen = network.visible(point)
    if seen != rect:
        warnings.warn(
            f"measured along each axis alone, cell {tuple(point)} of {network.output_layer!r} sees {rect}, but "
            f"on the whole image {seen}: the axes depend on each other. rect_at(point, clip=True) is exact",
            stacklevel=4,
        )


def measure_axis(network: Network, axis: str) -> AxisField:
    """Receptive fields along one axis, ``"x"``, ``"y"`` or ``"z"``."""
    try:
        return _measure_at_any_size(network, axis) if network.resizable else _measure_fixed(network, axis)
    except SizeRefusedError:  # a size that was built in somewhere shows only when another one is tried
        return _measure_fixed(network, axis)


def _measure_at_any_size(network: Network, axis: str) -> AxisField:
    start, cells_at_start = _lengths(network, axis)
    period = int(_along(network.period, axis))
    cells = _grid_cells(network, axis, start + period) - cells_at_start
    if cells < 1:
        _refuse_turned(network, axis, start + period)
        return _measure_fixed(network, axis)
    reach = _along(network.reach, axis) if network.reach is not None else 0.0
    # Cells in the middle, this far from both ends, see no border of the image nor of anything inside the network.
    length = start + period * max(0, math.ceil((4 * reach + 2 * period - start) / period))
    seen: Edges | None = None
    before: AxisField | None = None
    while True:
        grid = cells_at_start + cells * ((length - start) // period)
        if grid >= cells:
            first = (grid - cells) // 2
            # One more cell, if there is one, tells in which direction the fields move.
            latest = _edges(network, axis, length, range(first, min(first + cells + 1, grid)))
            if all(low == high for low, high in latest.pairs):
                raise NoInfluenceError(nothing(network.output_layer))
            found = _moving(latest, cells, period, length - start)
            if network.reach is not None and latest.inside:
                return found
            if network.reach is not None and network.global_context:
                return unbounded(cells, period)
            if latest.inside and found == before:
                return found
            # Fields that stay as near to both borders grow with the image. (Strides may leave its last columns unseen.)
            if (
                seen is not None
                and latest.margins == seen.margins
                and (network.global_context or 2 * length > network.longest)
            ):
                return unbounded(cells, period)
            seen, before = latest, found
        if 2 * length > network.longest:
            raise ReceptiveFieldError(
                f"the receptive field of {network.output_layer!r} along {axis} still grows on an image of {length} "
                "pixels, but does not fill it: no exact size can be given. Choose a layer before the operations that "
                "look so far"
            )
        length += period * math.ceil(length / period)


def _moving(seen: Edges, cells: int, period: int, more: int) -> AxisField:
    """The field of all cells, on the image asked for, from that of one whole period and the cell behind it.

    Args:
        seen: what they see.
        cells: in one period.
        period: pixels.
        more: pixels by which the image they were seen on is longer.
    """
    pairs = seen.pairs[:cells]
    if seen.pairs[cells:] != tuple((low - period, high - period) for low, high in pairs[:1]):
        return shortest(seen.first_cell, pairs, period)
    # A mirrored grid: its first cell sees the end of the image, wherever that is.
    anchored = [(low - more, high - more) if low != high else (0, 0) for low, high in pairs]
    return shortest(seen.first_cell, anchored, -period)


def _refuse_turned(network: Network, axis: str, length: int) -> None:
    """Raise if a longer image makes the grid longer along the other axis: then nothing can be said axis by axis."""
    image = network.input_shape.size
    place = _place(axis)
    before = network.grid_size(image)
    after = network.grid_size(_with(image, place, length))
    for other, (old, new) in enumerate(zip(before, after, strict=True)):
        if other != place and new > old:
            raise ReceptiveFieldError(
                f"the grid of {network.output_layer!r} is turned: its cells along {'xyz'[other]} follow the image along"
                f" {axis} (Permute, transpose). Choose a layer where that has been turned back, or turn it back there"
            )


def _place(axis: str) -> int:
    return "xyz".index(axis)


def _with(size: Size, place: int, length: int) -> Size:
    """A size with another length along one axis."""
    return Size(*(length if k == place else n for k, n in enumerate(size)))


def central(grid: GridShape) -> GridPoint:
    """The cell in the middle."""
    return GridPoint(*(int(count) // 2 for count in grid.size))


def _along(size: Size, axis: str) -> float:
    return size[_place(axis)]


def _grid_cells(network: Network, axis: str, length: int) -> int:
    image = _with(network.input_shape.size, _place(axis), length)
    return int(_along(network.grid_size(image), axis))


def _lengths(network: Network, axis: str) -> tuple[int, int]:
    """The requested image and its grid along an axis."""
    return int(_along(network.input_shape.size, axis)), int(_along(network.output_shape.size, axis))


def _edges(network: Network, axis: str, length: int, cells: Sequence[int]) -> Edges:
    return _supports(network, axis, length, cells, network.axis_sensitivity(axis, length, cells))


def _edges_on_image(network: Network, axis: str) -> Edges:
    """Of all cells of the central row (column), on the real image."""
    place, middle = _place(axis), central(network.output_shape)
    count = int(network.output_shape.size[place])
    points = [GridPoint(*(cell if k == place else m for k, m in enumerate(middle))) for cell in range(count)]
    sensitivity = summed_across(network.sensitivity(network.input_shape.size, points), place)
    return _supports(network, axis, sensitivity.shape[1], range(len(points)), sensitivity)


def _supports(
    network: Network, axis: str, length: int, cells: Sequence[int], sensitivity: npt.NDArray[np.float64]
) -> Edges:
    if not np.isfinite(sensitivity).all():
        raise ReceptiveFieldError(
            f"the gradient of {network.output_layer!r} is not finite on an image of {length} pixels along {axis}: "
            "some operation on the way overflows. Choose an earlier layer to find out which"
        )
    return Edges(cells[0], length, tuple(extent(row != 0) for row in sensitivity))


def _measure_fixed(network: Network, axis: str) -> AxisField:
    """The best that can be said when only the requested size can be run: interior cells tell the pattern."""
    length, grid = _lengths(network, axis)
    seen = _edges_on_image(network, axis)
    if all(low == high for low, high in seen.pairs):
        raise NoInfluenceError(nothing(network.output_layer))
    # Strides may leave less than a period unseen at the borders; a field that all cells share and is farther away from
    # them is finite (a few cells enlarged to many, say).
    near = max(margin for margins in seen.margins for margin in margins) < _along(network.period, axis)
    if network.global_context and (seen.fills or (seen.shared and near)):
        return unbounded(grid, length)
    field = interior_pattern(seen)
    if field is not None:
        return field
    warnings.warn(
        f"{network.output_layer!r} can only be run on images of the requested size, and its cells are not clear enough "
        f"of the borders along {axis}: the receptive fields given there are the parts inside the image. Ask for a "
        "larger input_shape, if the model can be built for it",
        stacklevel=4,
    )
    return AxisField(grid, length, seen.pairs)


def nothing(layer: str) -> str:
    """What to say of a layer that the image does not influence."""
    return (
        f"the image does not influence {layer!r} at all. If only global context (pooling over the whole image, "
        "attention) leads there, leave out ignore_global_context; else check that input_layer is the image"
    )


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
        field = shortest(window, pairs, pixels)
        if all(_clip(field.edges_at(cell), length) == pair for cell, pair in enumerate(seen.pairs)):
            return field
    return None


def _clip(pair: tuple[float, float], length: int) -> tuple[float, float]:
    low, high = max(pair[0], 0), min(pair[1], length)
    return (low, high) if low < high else (0, 0)
