"""A volume in the two-dimensional picture of the widget: three orthogonal sections side by side.

x and y lie at the top left, z and y to the right of it, x and z below it, all on one scale with a gap between. That
picture is as wide as width, gap and depth, and as high as height, gap and depth; one of its pixels is one voxel. Where
the sections cut is told by the selected cell: through the centre of its receptive field.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from rfwidget.geometry import AxisField, FieldGeometry
from rfwidget.network import Patch
from rfwidget.types import GridPoint, GridShape, Rect, Size
from rfwidget.widget.heat import Levels, levels_of, mass_boxes

_GAP = 0.14
"""Space between sections, as a share of the longest side."""

Voxel = tuple[int, int, int]
"""Its place along x, y and z."""


class Section(NamedTuple):
    """One section of a volume, and where it stands in the picture.

    Attributes:
        across: the axis that goes to the right: 0 for x, 1 for y, 2 for z.
        down: the axis that goes down.
        through: the axis that is cut.
        left: column of the picture where it begins.
        top: row of the picture where it begins.
    """

    across: int
    down: int
    through: int
    left: int
    top: int

    def slice(self, volume: npt.NDArray[Any], at: int) -> npt.NDArray[Any]:
        """What is seen of a volume ``(d, h, w, ...)``, cut at a voxel of the third axis: rows down."""
        plane: npt.NDArray[Any] = np.moveaxis(volume, 2 - self.through, 0)[at]
        left = [axis for axis in (2, 1, 0) if axis != self.through]  # axes of the plane, in the order of arrays
        return plane if left == [self.down, self.across] else np.swapaxes(plane, 0, 1)

    def flat(self, box: Rect) -> Rect:
        """A box as the section shows it, in its own pixels."""
        (left, right), (top, bottom) = box.edges[self.across], box.edges[self.down]
        return Rect(left, top, right, bottom)

    def fields(self, field: FieldGeometry) -> FieldGeometry:
        """Receptive fields of all cells as the section shows them."""
        return FieldGeometry(field[self.across], field[self.down])

    def shape(self, size: Sequence[float]) -> tuple[int, int]:
        """Its width and height, in a volume or a grid of a size."""
        return int(size[self.across]), int(size[self.down])


def sections_of(size: Size) -> tuple[Section, Section, Section]:
    """The sections of a volume.

    >>> [(section.across, section.down, section.left, section.top) for section in sections_of(Size(20, 10, 5))]
    [(0, 1, 0, 0), (2, 1, 23, 0), (0, 2, 0, 13)]
    """
    gap = _gap(size)
    return Section(0, 1, 2, 0, 0), Section(2, 1, 0, int(size.w) + gap, 0), Section(0, 2, 1, 0, int(size.h) + gap)


def _gap(size: Size) -> int:
    return max(2, math.ceil(_GAP * max(size)))


def picture_size(size: Size) -> Size:
    """Width and height of the picture.

    >>> picture_size(Size(20, 10, 5))
    Size(w=28, h=18)
    """
    between = _gap(size) + int(size.d)
    return Size(int(size.w) + between, int(size.h) + between)


def cut_through(field: FieldGeometry, cell: GridPoint, size: Size) -> Voxel:
    """Where the sections through a cell cut: the voxel in the centre of its field, or the nearest one to that."""
    x, y, z = (_voxel(axis, at, int(length)) for axis, at, length in zip(field, cell, size, strict=True))
    return x, y, z


def _voxel(axis: AxisField, cell: int, length: int) -> int:
    return min(max(math.floor(axis.centre_at(cell)), 0), length - 1)


def picture_of(volume: npt.NDArray[Any], cut: Voxel, ground: float = 0) -> npt.NDArray[Any]:
    """The picture of a volume ``(d, h, w, c)``, with a ground between the sections."""
    size = Size(*volume.shape[2::-1])
    width, height = (int(side) for side in picture_size(size))
    picture = np.full((height, width, volume.shape[3]), ground, volume.dtype)
    for section in sections_of(size):
        plane = section.slice(volume, cut[section.through])
        rows, columns = plane.shape[:2]
        picture[section.top : section.top + rows, section.left : section.left + columns] = plane
    return picture


def cut_levels(patch: Patch, cut: Voxel, shape: GridShape, *, mass: bool = False) -> Levels:
    """The gradient map of a volume as its sections show it, in one byte a pixel; see `levels_of`.

    Args:
        patch: the gradient, ``(d, h, w, c)``.
        cut: where the sections cut.
        shape: of the model's input.
        mass: also find the boxes that hold shares of it, in voxels of the volume.
    """
    size = shape.size
    width, height = (int(side) for side in picture_size(size))
    picture = np.zeros((height, width, patch.values.shape[-1]), np.float32)
    for section in sections_of(size):
        at = cut[section.through] - patch.start[section.through]
        if not 0 <= at < patch.values.shape[2 - section.through]:
            continue
        plane = section.slice(patch.values, at)
        top, left = section.top + patch.start[section.down], section.left + patch.start[section.across]
        picture[top : top + plane.shape[0], left : left + plane.shape[1]] = plane
    levels = levels_of(Patch(picture, 0, 0))
    return levels._replace(mass=mass_boxes(patch)) if mass else levels


def layer_of_cells(values: npt.NDArray[Any], cell: GridPoint | None) -> npt.NDArray[Any]:
    """Of a feature map ``(d, h, w, ...)`` the plane of a cell; without one, the central one."""
    plane: npt.NDArray[Any] = values[len(values) // 2 if cell is None else cell.z]
    return plane


def volume_to_json(size: Size) -> dict[str, Any]:
    """As `Volume` in js/protocol.ts."""
    return {"size": [int(side) for side in size], "sections": [list(section) for section in sections_of(size)]}


def spots_of(rect: Rect, size: Size) -> Iterator[tuple[Rect, Rect]]:
    """For each section all of it and the field in it, in pixels of the picture: between them the picture is dimmed."""
    for section in sections_of(size):
        width, height = section.shape(size)
        left, top, right, bottom = section.flat(rect)
        x, y = section.left, section.top
        inner = Rect(
            x + min(max(left, 0), width), y + min(max(top, 0), height),
            x + min(max(right, 0), width), y + min(max(bottom, 0), height),
        )  # fmt: skip
        yield Rect(x, y, x + width, y + height), inner
