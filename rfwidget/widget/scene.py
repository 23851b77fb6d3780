"""The static scene: what is shown around the heat map, as plain values.

A scene knows neither models nor browsers. Two painters draw it: `rfwidget.widget.canvas` with ipycanvas commands, and
`rfwidget.widget.png` into a picture. All positions are CSS pixels of the stage, whose image begins at
``(margin.left, margin.top)``.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rfwidget.geometry import FieldGeometry
from rfwidget.plotting import CORNER_STYLES, cell_centres, corner_cells, finite_rect, naive_rect
from rfwidget.types import GridShape, Rect, Size

STAGE_SIDE = 480
"""Longer side of the image on the screen, in CSS pixels, as far as whole zoom factors reach it."""

LINE = 2.0
"""Width of the rectangles' lines in CSS pixels."""

_EDGE = 10.0
"""Least margin around the image in CSS pixels: room for strokes and the focus ring."""

_MOST_OVERHANG = 0.3
"""Margin for overhanging fields, as a part of the image's longer side; what is farther out is cut off."""

_DOT_SPACING = 5.0
"""Least distance between dots in CSS pixels; denser grids show every second, third, ... cell."""

DASHES: dict[str, tuple[float, ...]] = {"-": (), "--": (7, 4), "-.": (9, 4, 2, 4), ":": (2, 3)}
"""Dash patterns in CSS pixels, under matplotlib's names."""


class Margin(NamedTuple):
    """Room around the image in CSS pixels."""

    left: float
    top: float
    right: float
    bottom: float


class StageLayout(NamedTuple):
    """Where the image stands on the stage.

    Attributes:
        image: width and height of the image in pixels.
        scale: CSS pixels per image pixel.
        margin: room around the image in CSS pixels.
    """

    image: Size
    scale: float
    margin: Margin

    @property
    def size(self) -> Size:
        """Width and height of the stage in CSS pixels."""
        return Size(
            self.margin.left + self.image.w * self.scale + self.margin.right,
            self.margin.top + self.image.h * self.scale + self.margin.bottom,
        )

    def place(self, rect: Rect) -> Rect:
        """A rectangle of image pixels, in CSS pixels of the stage."""
        x, y, scale = self.margin.left, self.margin.top, self.scale
        return Rect(x + rect.left * scale, y + rect.top * scale, x + rect.right * scale, y + rect.bottom * scale)


class Box(NamedTuple):
    """An outlined rectangle of the stage; ``label`` is empty or a word at its top left corner."""

    rect: Rect
    colour: str
    dash: tuple[float, ...]
    label: str
    width: float


class Scene(NamedTuple):
    """Everything static on the stage, back to front."""

    layout: StageLayout
    picture: npt.NDArray[np.uint8]
    dots: npt.NDArray[np.float64]
    boxes: tuple[Box, ...]


def plan_layout(image: GridShape, field: FieldGeometry | None, grid: Size | None) -> StageLayout:
    """Zoom and margins: whole zoom factors for small images, room for the fields that overhang."""
    longer = max(image.w, image.h)
    scale = float(max(1, STAGE_SIDE // longer)) if longer <= STAGE_SIDE else STAGE_SIDE / longer
    overhang = [0.0, 0.0, 0.0, 0.0]
    if field is not None and grid is not None:
        for point in corner_cells(grid):
            rect = finite_rect(field.rect(point), image)
            sides = (-rect.left, -rect.top, rect.right - image.w, rect.bottom - image.h)
            overhang = [max(known, side) for known, side in zip(overhang, sides, strict=True)]
    most = _MOST_OVERHANG * longer
    margin = Margin(*(math.ceil(_EDGE + min(side, most) * scale) for side in overhang))
    return StageLayout(Size(image.w, image.h), scale, margin)


def build_scene(
    picture: npt.NDArray[np.uint8],
    image: GridShape,
    field: FieldGeometry | None = None,
    grid: Size | None = None,
    *,
    dots: bool = True,
    rectangles: bool = True,
    naive: bool = False,
) -> Scene:
    """Scene of an image and, once it is known, of the grid over it.

    Args:
        picture: RGB as shown, ``(h, w, 3)``.
        image: the model's input.
        field: receptive fields of all cells; None: not measured yet.
        grid: the layer's grid.
        dots: show the centres of all cells.
        rectangles: show the fields of the first, central and last cell.
        naive: show where these would be if the grid were stretched linearly over the image.
    """
    layout = plan_layout(image, field, grid)
    boxes: list[Box] = []
    centres = np.zeros((0, 2))
    if field is not None and grid is not None:
        if dots:
            centres = _dots(field, image, grid, layout)
        for point, (colour, dash, word) in zip(corner_cells(grid), CORNER_STYLES, strict=True):
            if naive:
                boxes.append(Box(layout.place(naive_rect(point, image, grid)), colour, DASHES[":"], "", LINE / 2))
            if rectangles:
                rect = layout.place(finite_rect(field.rect(point), image))
                boxes.append(Box(rect, colour, DASHES[dash], word, LINE))
    return Scene(layout, picture, centres, tuple(boxes))


def _dots(field: FieldGeometry, image: GridShape, grid: Size, layout: StageLayout) -> npt.NDArray[np.float64]:
    """Centres of the cells inside the image, thinned to a readable distance; ``(n, 2)`` in CSS pixels."""
    axes = []
    for centres, axis, pixels, edge in zip(
        cell_centres(field, grid),
        field,
        (image.w, image.h),
        (layout.margin.left, layout.margin.top),
        strict=True,
    ):
        every = max(1, math.ceil(_DOT_SPACING / (axis.stride * layout.scale)))
        kept = centres[(every - 1) // 2 :: every]
        axes.append(edge + kept[(kept >= 0) & (kept <= pixels)] * layout.scale)
    xs, ys = np.meshgrid(*axes)
    return np.stack([xs.ravel(), ys.ravel()], axis=1)
