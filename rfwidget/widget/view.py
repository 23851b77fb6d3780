"""What the widget shows at a moment: everything that an answer to a click depends on, as one value."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rfwidget.estimator import ReceptiveField
from rfwidget.geometry import FieldGeometry
from rfwidget.limits import MAX_SHOWN_CELLS
from rfwidget.network import Patch
from rfwidget.types import GridPoint, GridShape, Rect, Size
from rfwidget.widget.heat import Heat, heat_map


class Style(NamedTuple):
    """How gradient maps are computed and coloured: output channel (None: mean), matplotlib colour map, sign kept."""

    channel: int | None
    colormap: str
    signed: bool


class View(NamedTuple):
    """One layer of a measured network on one image.

    Attributes:
        revision: grows with every new view of a widget.
        field: receptive fields of all cells.
        input_shape: the model's input.
        grid: the layer's grid.
        channels: of the layer's output.
        layer: name of the layer.
        image: model input, float32 ``(h, w, c)``.
        picture: what is shown of it, uint8 RGB.
        style: how gradient maps are computed and coloured.
    """

    revision: int
    field: FieldGeometry
    input_shape: GridShape
    grid: Size
    channels: int
    layer: str
    image: npt.NDArray[np.float32]
    picture: npt.NDArray[np.uint8]
    style: Style

    @property
    def few_cells(self) -> bool:
        """Whether the output can be shown as a picture of one pixel per cell."""
        return self.grid.w * self.grid.h <= MAX_SHOWN_CELLS


class Answer(NamedTuple):
    """The response to one cell."""

    view: View
    cell: GridPoint
    rect: Rect
    patch: Patch
    heat: Heat


def answer(rf: ReceptiveField, view: View, cell: GridPoint) -> Answer:
    """Backpropagate from a cell and colour the result."""
    patch = rf.gradient_patch(cell, view.image, view.style.channel)
    return Answer(view, cell, view.field.rect(cell), patch, heat_map(patch, view.style.colormap, view.style.signed))


def full_gradient(answered: Answer) -> npt.NDArray[np.float32]:
    """The gradient map over the whole image, ``(h, w, c)``."""
    patch, shape = answered.patch, answered.view.input_shape
    full = np.zeros((shape.h, shape.w, shape.c), np.float32)
    h, w = patch.values.shape[:2]
    full[patch.top : patch.top + h, patch.left : patch.left + w] = patch.values
    return full


def nearest_cell(view: View, centre: tuple[float, float] | None) -> GridPoint:
    """The cell whose receptive field is centred nearest to a place of the image; without one, the central cell."""
    if centre is None:
        return GridPoint(int(view.grid.w) // 2, int(view.grid.h) // 2)
    return GridPoint(
        view.field.x.nearest(centre[0], int(view.grid.w)), view.field.y.nearest(centre[1], int(view.grid.h))
    )
