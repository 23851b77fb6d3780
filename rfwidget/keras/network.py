"""A Keras model's sub-network from the image to one layer, as the estimator sees it.

Built once; the probe and the real network are both run from the user's own graph, at any size, and nothing is added
to it. The theoretical side runs in float64 through the probe, the gradient with the model's own weights.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property, partial
from typing import Any

import numpy as np
import numpy.typing as npt

from rfwidget._measure.patches import Patches
from rfwidget._measure.windows import plan, whole_image
from rfwidget._progress import Progress
from rfwidget.errors import SizeRefusedError
from rfwidget.keras import all_layers
from rfwidget.keras import gradient as backprop
from rfwidget.keras.memory import Footprint
from rfwidget.keras.period import find_period
from rfwidget.keras.real import RealNetwork
from rfwidget.keras.twin import Twin, ramp, selecting_images
from rfwidget.network import LayerField, Network, Patch
from rfwidget.types import GridPoint, GridShape, Size

Floats = npt.NDArray[np.float64]

_AXES = {"y": 0, "x": 1}

# Images measured in one go hold at most this many numbers, so that memory stays small.
_BATCH = 1 << 22


class KerasNetwork(Network):
    """One layer of a model.

    Args:
        twin: the surveyed probe of the model.
        real: the model itself up to the layer.
        input_layer: name of the image input.
        output_layer: path of the layer.
        input_shape: the image.
        labels: public names of the layers, by path.
    """

    def __init__(
        self,
        twin: Twin,
        real: RealNetwork,
        input_layer: str,
        output_layer: str,
        input_shape: GridShape,
        labels: Mapping[str, str],
    ) -> None:
        self._twin = twin
        self._real = real
        entry = twin.entries[output_layer]
        hint = entry.hint
        self._target, self._labels = output_layer, labels
        self.input_layer, self.input_shape = input_layer, input_shape
        self.output_layer = labels.get(output_layer, output_layer)
        channels = entry.channels or self._compiled.channels
        self.output_shape = GridShape(None, entry.width, entry.height, channels)
        self.layers = {labels[path]: Size(e.width, e.height) for path, e in twin.layers.items()}
        self.reach = Size(float(hint.reach[1]), float(hint.reach[0])) if hint.exact else None
        self.global_context = any(hint.context)
        self.resizable = hint.resizable
        self._period = hint.period
        if not hint.exact and hint.resizable:
            found = find_period(twin, output_layer, (input_shape.h, input_shape.w), hint.period)
            self._period, self.resizable = found or hint.period, found is not None
        self.period = Size(self._period[1], self._period[0])
        self.notes = () if hint.exact and hint.linear else twin.notes
        self._hint = hint
        self._footprint = Footprint.of(twin.entries, output_layer, input_shape.h, input_shape.w, input_shape.c)

    def grid_size(self, image: Size) -> Size:
        """Computed where the layer's scale is known, else by running the probe."""
        sizes = (int(image.h), int(image.w))
        if self._hint.exact and (cells := self._congruent_grid(sizes)) is not None:
            return Size(cells[1], cells[0])
        try:
            outputs = backprop.evaluate(self._function(None), ramp(1, *sizes, self._twin.channels()))
        except Exception:  # too small for some window: whatever the framework raises then
            return Size(0, 0)
        return Size(outputs.shape[2], outputs.shape[1])

    def _congruent_grid(self, sizes: tuple[int, int]) -> tuple[int, int] | None:
        """Rows and columns at a size that differs from the requested one by whole periods."""
        asked = (self.input_shape.h, self.input_shape.w)
        grid = (self.output_shape.h, self.output_shape.w)
        cells = []
        for i in (0, 1):
            periods, rest = divmod(sizes[i] - asked[i], self._hint.period[i])
            if rest or periods < 0:
                return None
            scale = self._hint.scale[i]
            cells.append(grid[i] if scale is None else grid[i] + int(periods * self._hint.period[i] / scale))
        return cells[0], cells[1]

    def sensitivity(self, image: Size, points: Sequence[GridPoint]) -> Floats:
        """Backpropagated through the probe, one image per point."""
        sizes = (int(image.h), int(image.w))
        return self._sensitivity(None, sizes, [(point.y, point.x) for point in points])

    def axis_sensitivity(self, axis: str, length: int, cells: Sequence[int]) -> Floats:
        """Backpropagated through a probe of one axis only, on images one pixel high (wide)."""
        if not self._hint.separable:
            return super().axis_sensitivity(axis, length, cells)
        kept = _AXES[axis]
        sizes = (length, 1) if kept == 0 else (1, length)
        places = [(cell, 0) if kept == 0 else (0, cell) for cell in cells]
        result: Floats = self._sensitivity(kept, sizes, places).sum(axis=2 - kept)
        return result

    def all_fields(self, progress: Progress) -> Mapping[str, LayerField]:
        """By impulses, one run of the probe along each axis."""
        size = (self.input_shape.h, self.input_shape.w)
        fields = all_layers.all_fields(self._twin, size, progress)
        return {self._labels.get(path, path): field for path, field in fields.items()}

    def response(self, masks: npt.NDArray[np.bool_]) -> Floats:
        """The probe's own output if it is linear, else its directional derivative."""
        self._footprint.check_probe(self.output_layer, len(masks), masks.shape[1:], thin=self._twin.thin)
        directions = np.repeat(masks[..., None], self._twin.channels(), axis=-1).astype(np.float64)
        function = self._function(None)
        if self._hint.linear:
            result: Floats = np.abs(backprop.evaluate(function, directions)).sum(axis=-1)
            return result
        changes = [backprop.response(function, image, directions) for image in self._ramps(*masks.shape)]
        return np.sum(changes, axis=0)  # type: ignore[no-any-return]

    def gradient(self, image: npt.NDArray[Any], point: GridPoint, channel: int | None) -> Patch:
        """On a window around the receptive field wherever that gives the same; compiled at the first call."""
        return self.patches.at(image, point, channel)

    def gradients(self, image: npt.NDArray[Any], points: Sequence[GridPoint], channel: int | None) -> Iterator[Patch]:
        """Windows by the batch."""
        return self.patches.many(image, points, channel)

    def prepare(self, image: npt.NDArray[Any]) -> None:
        """Compile the gradient, and see whether windows will do."""
        self.patches.prepare(image)

    def feature_map(self, image: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Compiled at the first call."""
        self._footprint.check_forward(self.output_layer)
        return self._compiled.feature_map(image)

    @cached_property
    def patches(self) -> Patches:
        """Gradient maps with the model's own weights."""
        image, grid = self.input_shape, self.output_shape
        if self.field is None or not self.resizable or self.global_context:
            window = whole_image(image, grid)
        else:
            window = plan(self.field, image, grid, self.period)
        return Patches(
            backprop.Compiled(self._real.run),
            image,
            grid,
            window,
            partial(self._footprint.check_gradient, self.output_layer),
        )

    @cached_property
    def _compiled(self) -> backprop.CompiledNetwork:
        shape = self.input_shape
        return backprop.CompiledNetwork(self._real.run, (shape.h, shape.w, shape.c))

    def _function(self, axis: int | None) -> Any:
        return self._twin.function(self._target, axis)

    def _ramps(self, n: int, height: int, width: int) -> list[Floats]:
        """Images to linearise at."""
        if self._hint.linear:
            return [ramp(n, height, width, self._twin.channels())]
        return selecting_images(n, height, width, self._twin.channels())

    def _sensitivity(self, axis: int | None, sizes: tuple[int, int], places: Sequence[tuple[int, int]]) -> Floats:
        function = self._function(axis)
        batch = max(1, _BATCH // math.prod(sizes))
        parts = []
        for start in range(0, len(places), batch):
            some = places[start : start + batch]
            if axis is None:
                self._footprint.check_probe(self.output_layer, len(some), sizes, thin=self._twin.thin)
            images = self._ramps(len(some), *sizes)
            try:
                parts.append(sum(backprop.sensitivity(function, image, some) for image in images))
            except Exception as error:  # whatever the framework raises
                raise SizeRefusedError(self._refusal(function, images[0], error)) from error
        return np.concatenate(parts)

    def _refusal(self, function: Any, images: Floats, error: Exception) -> str:
        """Why there is no gradient: the network does not run, or some code in it cannot be backpropagated through."""
        network, size = f"the network up to {self.output_layer!r}", f"{images.shape[2]}x{images.shape[1]} pixels"
        try:
            backprop.evaluate(function, images[:1])
        except Exception:
            return f"{network} does not run on an image of {size}: {error}. Ask for another input_shape"
        return f"{network} runs but has no gradient: {error}. Choose a layer before the code that has none"
