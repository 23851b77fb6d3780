"""A Keras model's sub-network from the image to one layer, as the estimator sees it.

Its receptive fields come from looks (`rfwidget.keras.looks`), sensitivities from a linear copy in float64, gradients
from the user's own graph with its own weights; nothing is ever added to it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property, partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from keras import ops

from rfwidget._measure.forward import coupled_words, partial_words
from rfwidget._measure.memory import Footprint, article, check_memory, share
from rfwidget._measure.patches import Patches
from rfwidget._measure.spans import Carried
from rfwidget._measure.stretch import Stretch
from rfwidget._measure.windows import Window, plan, whole_image
from rfwidget._progress import Progress
from rfwidget.errors import ReceptiveFieldError, SizeRefusedError, in_words
from rfwidget.geometry import FieldGeometry
from rfwidget.keras.backends import CompiledNetwork
from rfwidget.keras.backends import backend as backprop
from rfwidget.keras.domains import OpaqueError
from rfwidget.keras.linear import LinearModel
from rfwidget.keras.looks import LayersFields, ModelLooks
from rfwidget.keras.weighted import WeightedNetwork
from rfwidget.network import Attended, LayerField, Network, Patch
from rfwidget.ranks import measured
from rfwidget.types import GridPoint, GridShape, Rect, Size

Floats = npt.NDArray[np.float64]

_UNKNOWN = (
    "what {layer!r} sees is unknown: {reasons} on the way there cannot be followed. Choose a layer before it; its "
    "gradient maps are known all the same"
)
_TURNED = (
    "the grid of {layer!r} is turned: its cells along x follow the image along y (Permute, transpose). Choose a layer "
    "where that has been turned back, or add Permute((2, 1, 3)) behind it"
)


class Long(NamedTuple):
    """A long sequence that a shorter one stands for.

    Attributes:
        grids: of all layers on it, by path.
        looks: at the model on the sequence itself; they take long.
    """

    grids: Mapping[str, tuple[int, ...]]
    looks: Callable[[], ModelLooks]


class KerasNetwork(Network):
    """One layer of a model.

    Args:
        looks: at the model, at the size asked for.
        weighted: the model itself up to the layer.
        linear: its linear copy up to the layer.
        input_layer: name of the image input.
        output_layer: path of the layer.
        input_shape: the image.
        labels: public names of the layers, by path.
        long: what is known of a long sequence, if the looks are those of a shorter one.
    """

    longest = 4096

    def __init__(
        self,
        looks: ModelLooks,
        weighted: WeightedNetwork,
        linear: LinearModel,
        input_layer: str,
        output_layer: str,
        input_shape: GridShape,
        labels: Mapping[str, str],
        long: Long | None = None,
    ) -> None:
        self._looks, self._weighted, self._linear = looks, weighted, linear
        self._target, self._labels = output_layer, labels
        self._paths = {label: path for path, label in labels.items()}
        entry = looks.entries[output_layer]
        self.input_layer, self.input_shape = input_layer, input_shape
        self.output_layer = labels.get(output_layer, output_layer)
        self._long = long
        grids = long.grids if long else {path: entry.grid for path, entry in looks.entries.items()}
        self.output_shape = GridShape.of(grids[output_layer], entry.channels)
        self.layers = {labels[path]: _size(grids[path]) for path in looks.layers}
        self.extra_tokens = tuple(labels.get(path, path) for path in looks.beside(output_layer))
        self.global_context = bool(looks.seen(output_layer).marks.context)
        shapes = [seen.shape for seen in looks.asked.maps[: entry.number + 1]]
        looked_at = Footprint.of(shapes, math.prod(looks.asked.lengths))
        self._footprint = looked_at.on(math.prod(input_shape.lengths))

    # -- receptive fields ---------------------------------------------------------------------------------------------

    def fields(self, layers: Sequence[str], progress: Progress) -> Mapping[str, LayerField]:
        """Of all layers, from the same looks."""
        paths = {name: self._paths.get(name, name) for name in layers}
        reasons = {name: self._reason(path) for name, path in paths.items()}
        known = [path for name, path in paths.items() if not reasons[name]]

        def tick() -> None:
            progress(0.5, "looking at larger images")

        progress(0.0, "measuring")
        together = self._looks.fields(known, tick) if known else None
        found = {}
        for name, path in paths.items():
            if reasons[name] or together is None:
                found[name] = LayerField(None, Size(*(math.nan,) * self._looks.axes), reasons[name])
                continue
            fields = together
            if together.partial(path) and self._looks.is_better_alone(path):
                fields = self._looks.fields([path], tick)
            axes = fields.axes(path)
            field = None if axes is None else FieldGeometry(*reversed(axes))
            notes = [coupled_words(name)] if fields.coupled(path) else []
            notes += [partial_words(name, fields.fields)] if fields.partial(path) else []
            found[name] = LayerField(field, Size(*reversed(fields.reads(path))), warning=" ".join(notes))
        progress(1.0, "measured")
        return found

    def _reason(self, path: str) -> str:
        """Why a layer can have no field; empty if it can."""
        seen = self._looks.seen(path)
        name = self._labels.get(path, path)
        if seen.marks.unknown:
            return _UNKNOWN.format(layer=name, reasons=", ".join(sorted(seen.marks.unknown)))
        if any(line.turned for line in seen.lines):
            return _TURNED.format(layer=name)
        if self._long is not None and not self._looks.is_known_on_long(path):
            return f"what {name!r} sees is not known on so long a sequence: ask about it alone, or about a shorter one"
        return ""

    def visible(self, point: GridPoint) -> Rect:
        """From the spans of all cells at the size asked for."""
        if self._stretch is None:
            return self._visible(self._cells, point)
        if self._field is None or self._field.x.unbounded:
            return self._visible(self._whole_cells, point)
        return self._stretch.visible(point.x, self._field, partial(self._visible, self._cells))

    @staticmethod
    def _visible(carried: Carried, point: GridPoint) -> Rect:
        place, edges = (0, *point.place, 0), []
        for axis in reversed(range(len(point))):
            first, end = (np.broadcast_to(part, carried.shape) for part in carried.spans(axis))
            edges.append((int(first[place]), int(end[place])))
        return Rect.of(edges)

    def response(self, masks: npt.NDArray[np.bool_]) -> Floats:
        """One where a cell depends on some marked pixel, holes of dilation and strides included."""
        self._footprint.check_touched(self.output_layer, len(masks))
        if self._stretch is None:
            return _touched(self._looks, self._target, masks)
        size = math.inf if self._field is None else self._field.x.size
        found = []
        for mask in masks:
            near = self._stretch.response(mask, size, lambda part: _touched(self._looks, self._target, part[None])[0])
            found.append(_touched(self._whole_looks, self._target, mask[None])[0] if near is None else near)
        return np.stack(found)

    @cached_property
    def _stretch(self) -> Stretch | None:
        if self._long is None:
            return None
        (short,), (long,) = self._looks.asked.lengths, self.input_shape.lengths
        cells = self._looks.entries[self._target].grid[0]
        return Stretch(long, short, self.output_shape.w, cells, int(self.period.w))

    @property
    def _whole_looks(self) -> ModelLooks:
        """Looks at the input itself, however long it is."""
        return self._looks if self._long is None else self._long.looks()

    @cached_property
    def _whole_cells(self) -> Carried:
        return self._whole_looks.carried(self._target)

    @cached_property
    def _cells(self) -> Carried:
        return self._looks.carried(self._target)

    @cached_property
    def _fields(self) -> LayersFields | None:
        """What is known of the layer; None: its field is unknown."""
        return None if self._reason(self._target) else self._looks.fields([self._target], lambda: None)

    @property
    def _field(self) -> FieldGeometry | None:
        axes = None if self._fields is None else self._fields.axes(self._target)
        return None if axes is None else FieldGeometry(*reversed(axes))

    @property
    def _margins(self) -> list[tuple[int, int]]:
        """Along x, y, ..., cells at both ends of a grid that meet a border."""
        return [] if self._fields is None else list(reversed(self._fields.margins(self._target)))

    # -- the second way -----------------------------------------------------------------------------------------------

    @property
    def resizable(self) -> bool:  # type: ignore[override]
        """Whether the model does the same on images of other sizes."""
        return self._fields is not None and all(self._fields.fields.resizable)

    @property
    def period(self) -> Size:  # type: ignore[override]
        """The least common multiple of all inner strides."""
        return Size(*(1,) * self._looks.axes) if self._fields is None else _size(self._fields.fields.period)

    @property
    def reach(self) -> Size | None:  # type: ignore[override]
        """The size of the field, if it is bounded: a cell that looked further would show it by meeting a border."""
        size = None if self._field is None else self._field.description.size
        return None if size is None or not math.isfinite(sum(size)) else size

    def grid_size(self, image: Size) -> Size:
        """Known at the size asked for; else by running the linear copy."""
        if image == self.input_shape.size:
            return self.output_shape.size
        lengths = tuple(int(length) for length in reversed(image))
        try:
            outputs = self._linear.on_images(
                lambda run: backprop.evaluate(self._as_grid(run), self._linear.images(1, lengths))
            )
        except Exception:  # too small for some window: whatever the framework raises then
            return Size(*(0,) * len(image))
        return _size(outputs.shape[1:-1])

    def sensitivity(self, image: Size, points: Sequence[GridPoint]) -> Floats:
        """Backpropagated through the linear copy, one image per point."""
        lengths, places = tuple(int(length) for length in reversed(image)), [point.place for point in points]

        def backward(run: Any) -> Floats:
            self._footprint.check_linear(self.output_layer, len(points), lengths, thin=self._linear.thin)
            return backprop.sensitivity(self._as_grid(run), self._linear.images(len(points), lengths), places)

        try:
            result: Floats = self._linear.on_images(backward)
        except ReceptiveFieldError:
            raise
        except OpaqueError as error:
            raise SizeRefusedError(f"there are no gradients for {self.output_layer!r}: {in_words(error)}") from error
        except Exception as error:  # whatever the framework raises
            where = f"{article(self.input_shape)} of {measured(image)}"
            raise SizeRefusedError(
                f"the network up to {self.output_layer!r} does not run on {where}: "
                f"{in_words(error)}. Ask for another input_shape"
            ) from error
        return result

    # -- gradients, with the model's own weights ----------------------------------------------------------------------

    def gradient(self, image: npt.NDArray[Any], point: GridPoint, channel: int | None) -> Patch:
        """On a window around the receptive field wherever that gives the same; compiled at the first call."""
        with self._explained():
            return self.patches.at(image, point, channel)

    def gradients(
        self, image: npt.NDArray[Any], points: Sequence[GridPoint], channel: int | None, at_once: int | None = None
    ) -> Iterator[Patch]:
        """Windows by the batch."""
        with self._explained():
            yield from self.patches.many(image, points, channel, at_once)

    def weights_mark(self) -> int:
        """Of the model's own weights."""
        return self._weighted.mark()

    def prepare(self, image: npt.NDArray[Any]) -> None:
        """Compile the gradient, and see whether windows will do."""
        with self._explained():
            self.patches.prepare(image)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Puts into words what the framework raises where it has no gradient, say."""
        try:
            yield
        except ReceptiveFieldError:
            raise
        except Exception as error:
            raise ReceptiveFieldError(
                f"the gradient of {self.output_layer!r} cannot be computed: {in_words(error)}. Its receptive field is "
                "known all the same; for gradient maps choose a layer before that operation"
            ) from error

    def release(self) -> None:
        """Forget what has been compiled."""
        if "patches" in self.__dict__:
            self.patches.release()
        self.__dict__.pop("_compiled", None)

    def feature_map(self, image: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Compiled at the first call; in parts where the whole would take much memory."""
        if self._footprint.forward > share() and self._window is not None:
            pixels = self._footprint.image * share() / self._footprint.forward
            return self.patches.values(image, pixels)
        self._footprint.check_forward(self.output_layer)
        return self._compiled.feature_map(image)

    def _as_grid(self, run: Callable[..., Any]) -> Callable[..., Any]:
        """A function of images ``[n, h, w, c]`` that gives maps ``[n, gh, gw, channels]``, tokens in their places."""
        entry = self._looks.entries[self._target]
        tokens = entry.tokens
        if tokens is None:
            return run

        def unrolled(images: Any, *weights: Any) -> Any:
            lengths = tuple(images.shape[1:-1])
            own = lengths == self._looks.asked.lengths
            axes = None if own or self._fields is None else self._fields.axes(self._target)
            grid = tokens.grid_on(lengths, self._looks.asked.lengths, entry.grid, axes)
            output = ops.transpose(run(images, *weights), tokens.moved)
            first = tokens.before if tokens.single is None else tokens.single % output.shape[1]
            output = output[:, first : first + math.prod(grid)]
            output = ops.reshape(output, (-1, *(grid[axis] for axis in tokens.order), output.shape[-1]))
            return ops.transpose(
                output, (0, *(1 + tokens.order.index(axis) for axis in range(len(grid))), len(grid) + 1)
            )

        return unrolled

    def attended(self, image: npt.NDArray[Any]) -> Attended:
        """Seen in one run of the model as it is."""

        def check(weights: int) -> None:
            advice = "ask for a smaller input_shape, or for an earlier layer"
            check_memory(f"The attentions up to {self.output_layer!r}", 4.0 * weights, advice)

        tokens = self._looks.entries[self._target].tokens
        rolled = None if tokens is None or tokens.single is None else (tokens.moved, tokens.single)
        return self._weighted.attended(np.asarray(image, np.float32), self._as_grid, rolled, check)

    @property
    def _window(self) -> Window | None:
        """The window of gradients, if there is one that fits into memory, and is smaller than the image."""
        try:
            window = self.patches.window
        except ReceptiveFieldError:
            return None
        return None if window.whole else window

    @cached_property
    def patches(self) -> Patches:
        """Gradient maps with the model's own weights."""
        image, grid = self.input_shape, self.output_shape
        field = None if self.global_context or not self.resizable else self._field
        window = whole_image(image, grid) if field is None else plan(field, image, grid, self.period, self._margins)
        return Patches(
            backprop.Compiled(self._as_grid(self._weighted.run), self._weighted.weights),
            image,
            grid,
            window,
            partial(self._footprint.check_gradient, self.output_layer),
        )

    @cached_property
    def _compiled(self) -> CompiledNetwork:
        shape = (*self.input_shape.lengths, self.input_shape.c)
        return backprop.CompiledNetwork(self._as_grid(self._weighted.run), shape, self._weighted.weights)


def _touched(looks: ModelLooks, target: str, masks: npt.NDArray[np.bool_]) -> Floats:
    touched: Floats = looks.carried(target, masks).touched[:, 0, ..., 0].astype(np.float64)
    return touched


def _size(lengths: Sequence[int]) -> Size:
    """Lengths in the order of arrays as width and height."""
    return Size(*reversed(lengths))
