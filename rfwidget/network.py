"""What the estimator must know of a network; a framework's wing supplies one of these.

Nothing here measures or draws. An instance stands for one network from its image input to one layer, built once, that
can be run on images of other sizes as well; it never changes the user's model.

Where arrays ``(h, w)`` are said here, those of a sequence are ``(l,)`` and those of a volume ``(d, h, w)``; sizes and
points have as many fields as there are axes.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from rfwidget._progress import Progress
from rfwidget.geometry import FieldGeometry, rect_of_support
from rfwidget.types import GridPoint, GridShape, Rect, Size

_SMALL = 64
"""Pixels of a field that is so small that strips may hold all of it across, too."""


class Patch(NamedTuple):
    """A gradient map where it can differ from zero.

    Attributes:
        values: float32 ``(h, w, c)``, of a sequence ``(l, c)``, of a volume ``(d, h, w, c)``; outside the patch the
            gradient is zero.
        left: column of the image at which the patch begins.
        top: row at which it begins, if there are rows.
        front: plane at which it begins, if there are planes.
    """

    values: npt.NDArray[np.float32]
    left: int
    top: int = 0
    front: int = 0

    @property
    def start(self) -> tuple[int, ...]:
        """Where it begins along x, y, ..."""
        return (self.left, self.top, self.front)[: self.values.ndim - 1]

    @property
    def rows(self) -> slice:
        """Rows of the image that it covers."""
        return self.part[-2]

    @property
    def columns(self) -> slice:
        """Columns of the image that it covers."""
        return self.part[-1]

    @property
    def part(self) -> tuple[slice, ...]:
        """The part of an image's array that it covers."""
        starts = zip(reversed(self.start), self.values.shape, strict=False)
        return tuple(slice(start, start + length) for start, length in starts)

    def spread(self, shape: GridShape) -> npt.NDArray[np.float32]:
        """The gradient map of the whole image."""
        lengths = shape.lengths
        if self.values.shape[:-1] == lengths:
            return self.values
        full = np.zeros((*lengths, shape.c), np.float32)
        full[self.part] = self.values
        return full


class LayerField(NamedTuple):
    """Receptive fields of one layer, and of what it reads.

    Attributes:
        field: of all its cells; None if the image does not influence the layer at all.
        reads: the smallest size among the maps that the layer reads, ``Size(1, 1)`` for the image itself; NaN where
            unknown.
        reason: why there is no field although the image influences the layer, in a sentence.
        warning: what is not known of the field, in a sentence.
    """

    field: FieldGeometry | None
    reads: Size
    reason: str = ""
    warning: str = ""


class Attention(NamedTuple):
    """What the queries of one attention take from its keys, on one image.

    Places are those of tokens: the pixel in the middle of what each stands for, in the order of arrays; NaN where it
    stands for none (class tokens, registers, padding).

    Attributes:
        name: where it stands in the model.
        weights: float32 ``(..., queries, keys)``, behind the softmax; in front there are heads and windows.
        queries: places of the queries, ``(..., queries, axes)``.
        keys: places of the keys, ``(..., keys, axes)``.
    """

    name: str
    weights: npt.NDArray[np.float32]
    queries: npt.NDArray[np.float32]
    keys: npt.NDArray[np.float32]


class Attended(NamedTuple):
    """All attentions on the way to a layer, on one image.

    Attributes:
        cells: places of the layer's cells, ``(*grid, axes)``, as those of tokens; NaN where unknown.
        attentions: in the order in which they are computed.
        prefix: number, among those without a place, of the one token that the layer is; None: it is a grid.
        unseen: why some attention may be missing, in words; empty: none is.
    """

    cells: npt.NDArray[np.float32]
    attentions: tuple[Attention, ...] = ()
    prefix: int | None = None
    unseen: str = ""


class Network(ABC):
    """A network from its image input to one layer.

    Attributes:
        input_layer: name of the image input.
        output_layer: name (path in nested models) of the layer.
        input_shape: the image: ``n`` None, width, height, channels.
        output_shape: the grid of the layer at that image.
        layers: grids ``Size(w, h)`` of all layers that have one, by name, in the order of the network.
        extra_tokens: names of the tokens that the layer gives beside those of its grid (a class token, registers), each
            a layer whose grid is one cell.
        resizable: whether the network runs on images of other sizes.
        period: shift of the image, per axis, after which everything inside the network repeats: the least common
            multiple of all inner strides.
        reach: proven bound: no cell looks further than this many pixels beyond its own place, global context apart;
            None where unknown code makes such a bound impossible.
        longest: longest image worth trying along an axis when ``reach`` is None.
        global_context: whether the network mixes the whole image (global pooling, attention, ...) on the way.
    """

    input_layer: str
    output_layer: str
    input_shape: GridShape
    output_shape: GridShape
    layers: Mapping[str, Size]
    extra_tokens: tuple[str, ...] = ()
    resizable: bool = True
    period: Size
    reach: Size | None = None
    longest: int = 2048
    global_context: bool = False

    @abstractmethod
    def grid_size(self, image: Size) -> Size:
        """Grid of the layer on an image of that size; ``Size(0, 0)`` if the image is too small."""

    @abstractmethod
    def sensitivity(self, image: Size, points: Sequence[GridPoint]) -> npt.NDArray[np.float64]:
        """What each pixel of an image of that size contributes to each cell, whatever the weights.

        Returns:
            ``(len(points), h, w)``, never negative, exactly zero where the pixel cannot influence the cell.

        Raises:
            SizeRefusedError: if the network does not run on such an image.
        """

    def axis_sensitivity(self, axis: str, length: int, cells: Sequence[int]) -> npt.NDArray[np.float64]:
        """What each pixel column (row) contributes to cells far from the borders of the other axis.

        This general way runs strips of the image: as long as asked along ``axis``, as short as the requested image
        across it. A framework's wing may know a cheaper one.

        Args:
            axis: ``"x"``, ``"y"`` or ``"z"``.
            length: image width (height), congruent to the requested one modulo the period.
            cells: columns (rows) of the grid.

        Returns:
            ``(len(cells), length)``, never negative.
        """
        place = "xyz".index(axis)
        image = Size(*(length if k == place else self._short(k) for k in range(len(self.period))))
        grid = self.grid_size(image)
        middle = [int(count) // 2 for count in grid]
        points = [GridPoint(*(cell if k == place else m for k, m in enumerate(middle))) for cell in cells]
        result: npt.NDArray[np.float64] = summed_across(self.sensitivity(image, points), place)
        return result

    def _short(self, place: int) -> int:
        """A short but safe side of a strip: a few periods, and small fields twice, more than a cell needs to exist."""
        sides = self.input_shape.size
        full, period = int(sides[place]), int(self.period[place])
        if not self.resizable:
            return full
        reach = self.reach[place] if self.reach is not None else math.inf
        more = 4 * period
        if reach <= _SMALL:
            more += math.ceil(2 * reach / period) * period
        for side in range(full % period or period, full + more, period):
            image = Size(*(side if k == place else n for k, n in enumerate(sides)))
            if min(self.grid_size(image)) > 0:
                return side + more if reach <= _SMALL else min(full, side + more)
        return full

    def fields(self, layers: Sequence[str], progress: Progress) -> Mapping[str, LayerField]:  # noqa: ARG002
        """Receptive fields of those of some layers that the network knows by a way of its own.

        The layers left out are measured one at a time, from sensitivities. This general way leaves out all of them.

        Args:
            layers: names as in ``layers``; or the network's own layer.
            progress: called with a fraction 0..1 and a few words.

        Returns:
            By name; each field equals what measuring that layer alone gives.
        """
        return {}

    def visible(self, point: GridPoint) -> Rect:
        """First to last pixel of the real image that influences a cell; the empty rectangle if none does."""
        return rect_of_support(self.sensitivity(self.input_shape.size, [point])[0] != 0)

    def observed(self, points: Sequence[GridPoint]) -> npt.NDArray[np.bool_] | None:  # noqa: ARG002
        """Pixels of the real image that cells were seen to depend on, found in another way than sensitivities are.

        It may miss some, but never invent one. None: there is no such way; the sensitivities are one themselves.

        Returns:
            ``(len(points), h, w)``.
        """
        return None

    @abstractmethod
    def response(self, masks: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
        """What the marked pixels of the real image together contribute to each cell.

        Args:
            masks: ``(n, h, w)`` of the size of ``input_shape``.

        Returns:
            ``(n, grid h, grid w)``, never negative, exactly zero where a cell sees no marked pixel.
        """

    @abstractmethod
    def gradient(self, image: npt.NDArray[Any], point: GridPoint, channel: int | None) -> Patch:
        """d(cell)/d(image) with the model's own weights.

        Args:
            image: model input ``(h, w, c)`` of ``input_shape``, of any real type. Convert only the part that is used:
                the cost of a cell then does not grow with the image.
            point: the cell.
            channel: output channel; None: the mean of all.
        """

    def gradients(
        self,
        image: npt.NDArray[Any],
        points: Sequence[GridPoint],
        channel: int | None,
        at_once: int | None = None,  # noqa: ARG002 - one at a time
    ) -> Iterator[Patch]:
        """`gradient` of many cells, in their order, computed as they are asked for.

        This general way takes one after the other. A framework's wing may know a faster one; its memory must not grow
        with the number of points.

        Args:
            image: as for `gradient`.
            points: the cells.
            channel: as for `gradient`.
            at_once: compute at most so many together; None: as many as is fastest.
        """
        return (self.gradient(image, point, channel) for point in points)

    def weights_mark(self) -> int:
        """A number that is another one once the model's weights have changed; always the same if they never do."""
        return 0

    def prepare(self, image: npt.NDArray[Any]) -> None:  # noqa: B027 - most frameworks have nothing to do
        """Do now what the first `gradient` would do before its own work (compiling, say).

        Called from a thread in the background when the machine is idle; `gradient` may be called meanwhile.

        Args:
            image: as for `gradient`, typical of those to come.
        """

    def release(self) -> None:  # noqa: B027 - a network may hold nothing of the kind
        """Give back what can be made again (compiled code, copies of the model); what has been measured stays.

        The next call that needs it makes it anew. May be called while others run: they end as they would have.
        """

    @abstractmethod
    def feature_map(self, image: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Output of the layer, ``(h, w, c)``, for a model input ``(h, w, c)``."""

    def attended(self, image: npt.NDArray[Any]) -> Attended:  # noqa: ARG002 - in general nothing is known
        """The attentions on the way to the layer, from one run of the model as it is.

        Args:
            image: as for `gradient`.
        """
        nowhere = np.full((*self.output_shape.lengths, len(self.output_shape.size)), np.nan, np.float32)
        return Attended(nowhere, unseen="attentions are not followed in models of this framework")


def summed_across(maps: npt.NDArray[Any], place: int) -> npt.NDArray[Any]:
    """Maps ``(n, *lengths)`` summed to lines along x (0), y (1), ..."""
    kept = maps.ndim - 1 - place
    result: npt.NDArray[Any] = maps.sum(axis=tuple(axis for axis in range(1, maps.ndim) if axis != kept))
    return result
