"""Sequences in the two-dimensional picture of the widget: an image of one row, as long as the signal.

What is drawn, asked and sent knows columns and rows. A sequence has one row: its sample ``(x,)`` is the pixel
``(x, 0)``, its interval a rectangle from 0 to 1, its gradient ``(length, channels)`` a map ``(1, length, channels)``.
Nothing else in the package says so.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from rfwidget._progress import Progress
from rfwidget.estimator import Computed, ReceptiveField
from rfwidget.geometry import AxisField, FieldGeometry
from rfwidget.network import Network, Patch
from rfwidget.survey import LayerRow, Survey
from rfwidget.types import GridPoint, GridShape, ReceptiveFieldDescription, Rect, Size

_ONE_ROW = AxisField(cells=1, pixels=1, edges=((0, 1),))


def lifted_field(field: FieldGeometry) -> FieldGeometry:
    """Intervals of samples as rectangles of an image of one row.

    >>> lifted_field(FieldGeometry(AxisField(1, 2, ((-3, 4),)))).rect(GridPoint(1, 0))
    Rect(left=-1, top=0, right=6, bottom=1)
    """
    return FieldGeometry(*field, _ONE_ROW)


def own_cell(cell: GridPoint, axes: int) -> GridPoint:
    """A cell of the picture as the model has it.

    >>> own_cell(GridPoint(3, 0), 1), own_cell(GridPoint(3, 0), 2)
    (GridPoint(x=3), GridPoint(x=3, y=0))
    """
    return GridPoint(*cell[:axes])


def shown_cell(cell: Sequence[int]) -> GridPoint:
    """A cell of the model as the picture has it.

    >>> shown_cell((3,)), shown_cell((3, 4, 5))
    (GridPoint(x=3, y=0), GridPoint(x=3, y=4, z=5))
    """
    return GridPoint(*cell) if len(cell) > 1 else GridPoint(cell[0], 0)


def own_query(query: GridPoint | Rect, axes: int) -> GridPoint | Rect:
    """A pixel or a box of the picture as the model has it.

    >>> own_query(Rect(2, 0, 5, 1), 1)
    Rect(left=2, right=5)
    """
    return Rect.of(query.edges[:axes]) if isinstance(query, Rect) else own_cell(query, axes)


def shown_shape(shape: Sequence[Any]) -> tuple[Any, ...]:
    """The shape of an input ``(length, channels)`` or ``(height, width, channels)`` as the picture has it.

    >>> shown_shape((1000, 2)), shown_shape((64, 96, 3))
    ((1, 1000, 2), (64, 96, 3))
    """
    return (1, *shape) if len(shape) == 2 else tuple(shape)


def _lifted_shape(shape: GridShape) -> GridShape:
    return GridShape(shape.n, shape.w, 1, shape.c)


class _OneRow(Network):
    """A network of sequences as one of images of one row."""

    resizable = False

    def __init__(self, own: Network) -> None:
        self._own = own
        self.input_layer, self.output_layer = own.input_layer, own.output_layer
        self.input_shape, self.output_shape = _lifted_shape(own.input_shape), _lifted_shape(own.output_shape)
        self.layers = {name: Size(grid.w, 1) for name, grid in own.layers.items()}
        self.period = Size(own.period.w, 1)
        self.reach = None if own.reach is None else Size(own.reach.w, 1)
        self.global_context = own.global_context

    def grid_size(self, image: Size) -> Size:
        """As long as the sequence's."""
        return Size(self._own.grid_size(Size(image.w)).w, 1)

    def sensitivity(self, image: Size, points: Sequence[GridPoint]) -> npt.NDArray[np.float64]:
        """In one row."""
        return self._own.sensitivity(Size(image.w), [own_cell(point, 1) for point in points])[:, None]

    def visible(self, point: GridPoint) -> Rect:
        """In one row."""
        seen = self._own.visible(own_cell(point, 1))
        return Rect(seen.left, 0, seen.right, 0 if seen.left == seen.right else 1)

    def response(self, masks: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
        """Of one row."""
        return self._own.response(masks[:, 0])[:, None]

    def gradient(self, image: npt.NDArray[Any], point: GridPoint, channel: int | None) -> Patch:
        """In one row."""
        return _lifted_patch(self._own.gradient(image[0], own_cell(point, 1), channel))

    def gradients(
        self, image: npt.NDArray[Any], points: Sequence[GridPoint], channel: int | None, at_once: int | None = None
    ) -> Iterator[Patch]:
        """In one row."""
        cells = [own_cell(point, 1) for point in points]
        return map(_lifted_patch, self._own.gradients(image[0], cells, channel, at_once))

    def weights_mark(self) -> int:
        """The sequence's own."""
        return self._own.weights_mark()

    def prepare(self, image: npt.NDArray[Any]) -> None:
        """The sequence's own."""
        self._own.prepare(image[0])

    def release(self) -> None:
        """The sequence's own."""
        self._own.release()

    def feature_map(self, image: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """In one row."""
        return self._own.feature_map(image[0])[None]


def _lifted_patch(patch: Patch) -> Patch:
    return Patch(patch.values[None], patch.left, 0)


class OneRowReceptiveField(ReceptiveField):
    """An estimator of sequences as the widget asks it: about images of one row.

    Args:
        own: the estimator of sequences, which measures; its last result is the same as this one's.
    """

    def __init__(self, own: ReceptiveField) -> None:
        self.own = own

    def __copy__(self) -> OneRowReceptiveField:
        other = type(self)(copy.copy(self.own))
        other._computed = self._computed
        return other

    def _build(
        self,
        input_shape: Sequence[int | None] | None,
        input_layer: str | None,
        output_layer: str | None,
        *,
        ignore_global_context: bool,
        progress: Progress,
    ) -> Network:
        own = self.own._build(
            None if input_shape is None else input_shape[1:],
            input_layer,
            output_layer,
            ignore_global_context=ignore_global_context,
            progress=progress,
        )
        return _OneRow(own)

    def model_input(
        self, image: Any, shape: GridShape, preprocess: Callable[[Any], Any] | None = None
    ) -> npt.NDArray[np.float32]:
        """As the sequence's, in one row; ``preprocess`` is called with ``(length, channels)``."""
        own = GridShape(shape.n, shape.w, shape.c)
        return self.own.model_input(image[0], own, preprocess)[None]

    def compute(
        self,
        input_shape: Sequence[int | None] | None = None,
        input_layer: str | None = None,
        output_layer: str | None = None,
        *,
        ignore_global_context: bool = False,
        progress: Progress | None = None,
    ) -> ReceptiveFieldDescription:
        """As the sequence's, in one row."""
        self.own.compute(
            self._own_shape(input_shape),
            input_layer,
            output_layer,
            ignore_global_context=ignore_global_context,
            progress=progress,
        )
        self._computed = Computed(_OneRow(self.own.network), lifted_field(self.own.field))
        return self.field.description

    def survey(
        self,
        input_shape: Sequence[int | None] | None = None,
        input_layer: str | None = None,
        *,
        ignore_global_context: bool = False,
        progress: Progress | bool | None = None,
    ) -> Survey:
        """The sequence's own rows; grids and fields are those of one row."""
        own = self.own.survey(
            self._own_shape(input_shape), input_layer, ignore_global_context=ignore_global_context, progress=progress
        )
        return OneRowSurvey(own)

    def _own_shape(self, shape: Any) -> GridShape | None:
        """The shape of the sequence, by names: PyTorch writes the channels first."""
        if shape is None:
            return None
        _, length, channels = self.read_shape(shape)
        return GridShape(None, length, channels)


class OneRowSurvey(Survey):
    """A survey of sequences, with grids and fields of one row; all else is the sequence's.

    Args:
        own: the survey of sequences.
    """

    def __init__(self, own: Survey) -> None:
        self.own = own
        rows = [_lifted_row(row) for row in own]
        fields = {row.name: lifted_field(own.field(row.name)) for row in own if not row.note}
        super().__init__(rows, fields, _lifted_shape(own.input_shape), own.input_layer)


def _lifted_row(row: LayerRow) -> LayerRow:
    return row._replace(grid=Size(row.grid.w, 1))
