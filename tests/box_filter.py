"""A framework of our own in NumPy: box filters with a stride. It has every closed form, and starts no TensorFlow."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from rfwidget.base import Progress, ReceptiveField
from rfwidget.errors import unknown_layer
from rfwidget.network import Network, Patch
from rfwidget.types import GridPoint, GridShape, Size


class BoxNetwork(Network):
    """One filter without padding: cell (i, j) is the mean of a box of the image that begins at (i, j) * stride."""

    def __init__(self, name: str, image: GridShape, box: Size, stride: Size) -> None:
        self.input_layer, self.output_layer = "image", name
        self.input_shape = image
        self.box, self.stride = box, stride
        self.period = stride
        self.output_shape = GridShape(None, *self.grid_size(Size(image.w, image.h)), image.c)
        self.reach = box

    def grid_size(self, image: Size) -> Size:
        cells = [max(0, (side - box) // step + 1) for side, box, step in zip(image, self.box, self.stride, strict=True)]
        return Size(*cells)

    def sensitivity(self, image: Size, points: Sequence[GridPoint]) -> npt.NDArray[np.float64]:
        maps = np.zeros((len(points), int(image.h), int(image.w)))
        for plane, point in zip(maps, points, strict=True):
            plane[self._rows(point), self._columns(point)] = 1
        return maps

    def response(self, masks: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
        _, w, h, _ = self.output_shape
        seen = np.zeros((len(masks), h, w))
        for y in range(h):
            for x in range(w):
                point = GridPoint(x, y)
                seen[:, y, x] = masks[:, self._rows(point), self._columns(point)].sum(axis=(1, 2))
        return seen

    def gradient(self, image: npt.NDArray[np.float32], point: GridPoint, channel: int | None) -> Patch:
        c = image.shape[2]
        values = np.zeros((int(self.box.h), int(self.box.w), c), np.float32)
        values[:, :, slice(None) if channel is None else channel] = 1 / (self.box.w * self.box.h)
        if channel is None:
            values /= c
        return Patch(values, int(point.x * self.stride.w), int(point.y * self.stride.h))

    def feature_map(self, image: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        _, w, h, c = self.output_shape
        cells = [image[self._rows(p), self._columns(p)].mean(axis=(0, 1)) for p in _points(w, h)]
        return np.array(cells, np.float32).reshape(h, w, c)

    def _rows(self, point: GridPoint) -> slice:
        top = int(point.y * self.stride.h)
        return slice(top, top + int(self.box.h))

    def _columns(self, point: GridPoint) -> slice:
        left = int(point.x * self.stride.w)
        return slice(left, left + int(self.box.w))


class BoxReceptiveField(ReceptiveField):
    """Estimator of two layers, ``wide`` and ``tall``."""

    LAYERS = {"wide": (Size(12, 6), Size(4, 2)), "tall": (Size(5, 9), Size(1, 3))}  # noqa: RUF012 - a constant

    def _build(
        self,
        input_shape: Sequence[int | None] | None,
        input_layer: str | None,
        output_layer: str | None,
        *,
        ignore_global_context: bool,  # noqa: ARG002 - there is none
        progress: Progress,
    ) -> BoxNetwork:
        progress(0.5, "building")
        h, w, c = input_shape or self.default_input_shape()
        name = output_layer or next(iter(self.LAYERS))
        if name not in self.LAYERS:
            raise unknown_layer(name, self.LAYERS)
        image = GridShape(None, int(w or 0), int(h or 0), int(c or 0))
        networks = {key: BoxNetwork(key, image, *parts) for key, parts in self.LAYERS.items()}
        network = networks[name]
        network.input_layer = input_layer or "image"
        network.layers = {key: n.grid_size(Size(image.w, image.h)) for key, n in networks.items()}
        return network


def _points(w: int, h: int) -> list[GridPoint]:
    return [GridPoint(x, y) for y in range(h) for x in range(w)]
