"""What a widget shows: one layer of a measured network on one image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rfwidget._measure.memory import MAX_SHOWN_CELLS
from rfwidget.estimator import ReceptiveField
from rfwidget.geometry import FieldGeometry
from rfwidget.network import Patch
from rfwidget.types import GridPoint, GridShape, Size

HEAT_MAPS = ("gradient", "attention", "rollout")
"""What a heat map shows of a cell: its gradient, what its token attends to in the last attention before the layer, and
that rolled out over depth.
"""


class View(NamedTuple):
    """One layer of a measured network on one image.

    Attributes:
        revision: grows with every new view of a widget.
        field: receptive fields of all cells.
        input_shape: the model's input.
        grid: the layer's grid.
        channels: of the layer's output.
        layer: name of the layer.
        image: model input, float32 ``(h, w, c)``, of a volume ``(d, h, w, c)``.
        picture: what is shown of it, uint8 RGB, with as many axes.
        channel: of the output whose gradient maps are shown; None: the mean of all.
        photo: the photograph that it was made of, uint8 RGB of any size; None: there is none.
        said: the image, and what goes into the model, in words.
        axes: of the model's input: 1 for a signal, which is an image of one row here, 3 for a volume.
        heat: what heat maps show, one of `HEAT_MAPS`.
    """

    revision: int
    field: FieldGeometry
    input_shape: GridShape
    grid: Size
    channels: int
    layer: str
    image: npt.NDArray[np.float32]
    picture: npt.NDArray[np.uint8]
    channel: int | None = None
    photo: npt.NDArray[np.uint8] | None = None
    said: str = ""
    axes: int = 2
    heat: str = "gradient"

    @property
    def sharpest(self) -> npt.NDArray[np.uint8]:
        """The photograph, or else what there is."""
        return self.picture if self.photo is None else self.photo

    @property
    def few_cells(self) -> bool:
        """Whether the output can be shown as a picture of one pixel per cell."""
        return math.prod(self.grid) <= MAX_SHOWN_CELLS


def heat_patches(rf: ReceptiveField, view: View, cells: Sequence[GridPoint], at_once: int | None = None) -> list[Patch]:
    """What is shown of some cells: gradients, or shares of attention on the pixels, as if of one channel.

    Args:
        rf: the estimator.
        view: what is shown.
        cells: some of its grid.
        at_once: gradients that are computed together; None: all of them.
    """
    if view.heat == "gradient":
        together = len(cells) if at_once is None else at_once
        return list(rf.gradient_patches(cells, view.image, view.channel, at_once=together)) if cells else []
    maps = rf.attention_maps(cells, view.image, rolled_out=view.heat == "rollout") if cells else []
    return [Patch(shown.on_image()[..., None], 0) for shown in maps]


def nearest_cell(view: View, centre: Sequence[float] | None) -> GridPoint:
    """The cell whose receptive field is centred nearest to a place of the image; without one, the central cell."""
    if centre is None:
        return GridPoint(*(int(count) // 2 for count in view.grid))
    along = zip(view.field, centre, view.grid, strict=True)
    return GridPoint(*(axis.nearest(at, int(count)) for axis, at, count in along))


def centre_of(view: View, cell: GridPoint) -> tuple[float, ...]:
    """Where the receptive field of a cell is centred, along x, y, ..."""
    return tuple(axis.centre_at(at) for axis, at in zip(view.field, cell, strict=True))
