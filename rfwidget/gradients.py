"""Gradient maps of the measured layer, with the model's own weights.

`Gradients` is the part of `rfwidget.base.ReceptiveField` that backpropagates: cells and images are checked here, the
rest is the network's matter.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from rfwidget import _validation
from rfwidget.errors import ReceptiveFieldError
from rfwidget.image import as_model_input, check_finite, default_input, fit_model
from rfwidget.limits import check_memory
from rfwidget.measured import Measured
from rfwidget.network import Patch
from rfwidget.types import GridPoint


class Gradients(Measured):
    """Gradients of cells with respect to an image, and the layer's output for it."""

    _sample: npt.NDArray[np.uint8] | None = None

    def gradient_at(
        self, point: Sequence[int], image: Any = None, channel: int | None = None
    ) -> npt.NDArray[np.float32]:
        """Gradient of a cell with respect to the image, with the model's own weights.

        Args:
            point: the cell, ``(x, y)``.
            image: model input ``(height, width, channels)``; None: the sample photograph.
            channel: output channel; None: the mean of all.

        Returns:
            float32 ``(height, width, channels)``, zero outside the receptive field.

        Raises:
            ReceptiveFieldError: if the cell, the channel or the image does not fit, or the gradient is not finite.
        """
        shape = self.input_shape
        patch = self.gradient_patch(point, image, channel)
        if patch.values.shape[:2] == (shape.h, shape.w):
            return patch.values
        full = np.zeros((shape.h, shape.w, shape.c), np.float32)
        full[patch.rows, patch.columns] = patch.values
        return full

    def gradient_patch(self, point: Sequence[int], image: Any = None, channel: int | None = None) -> Patch:
        """As `gradient_at`, but only the part of the image outside which the gradient is zero."""
        cell, pixels = self._cell(point), self._pixels(image)
        patch = self.network.gradient(pixels, cell, self._channel(channel))
        return _check_patch(patch, pixels, cell)

    def gradients_at(
        self, points: Iterable[Sequence[int]], image: Any = None, channel: int | None = None
    ) -> npt.NDArray[np.float32]:
        """Gradients of several cells: faster than one by one.

        Args:
            points: the cells, each ``(x, y)``.
            image: model input ``(height, width, channels)``; None: the sample photograph.
            channel: output channel; None: the mean of all.

        Returns:
            float32 ``(n, height, width, channels)``. For many cells of a large image, take `gradient_patches`.

        Raises:
            ReceptiveFieldError: as `gradient_at`.
        """
        cells, shape = self._cells(points), self.input_shape
        size = 4.0 * len(cells) * shape.h * shape.w * shape.c
        check_memory(f"An array of {len(cells)} gradient maps", size, "take gradient_patches, one map after the other")
        full = np.zeros((len(cells), shape.h, shape.w, shape.c), np.float32)
        for map_, patch in zip(full, self.gradient_patches(cells, image, channel), strict=True):
            map_[patch.rows, patch.columns] = patch.values
        return full

    def gradient_patches(
        self, points: Iterable[Sequence[int]], image: Any = None, channel: int | None = None
    ) -> Iterator[Patch]:
        """As `gradients_at`, but one `Patch` after the other, computed as they are asked for.

        Memory does not grow with the number of cells.
        """
        cells, pixels, index = self._cells(points), self._pixels(image), self._channel(channel)
        patches = self.network.gradients(pixels, cells, index)
        return (_check_patch(patch, pixels, cell) for cell, patch in zip(cells, patches, strict=True))

    def prepare(self, image: Any = None) -> None:
        """Do now what would make the first gradient slow (compiling, say); best on a thread in the background."""
        self.network.prepare(self._pixels(image))

    def feature_map(self, image: Any = None, channel: int | None = None) -> npt.NDArray[np.float32]:
        """Output of the layer for an image, ``(h, w)``: one channel, or the mean of all."""
        index = self._channel(channel)
        values = self.network.feature_map(as_model_input(self._pixels(image), self.input_shape))
        return values.mean(axis=2) if index is None else values[:, :, index]

    def _cells(self, points: Iterable[Sequence[int]]) -> list[GridPoint]:
        return [self._cell(point) for point in _validation.series("points", points, "cells (x, y)")]

    def _channel(self, channel: int | None) -> int | None:
        return _validation.channel_index(channel, self.channels, f" of layer {self.output_layer!r}")

    def _pixels(self, image: Any) -> npt.NDArray[Any]:
        """An image that fits, as it is; its values are checked where a gradient uses them."""
        shape = self.input_shape
        if image is not None:
            return fit_model(image, shape)
        sample = self._sample
        if sample is None or sample.shape != (shape.h, shape.w, shape.c):
            self._sample = sample = default_input(shape)
        return sample


def _check_patch(patch: Patch, image: npt.NDArray[Any], cell: GridPoint) -> Patch:
    """The gradient map of a cell, if it and the pixels under it are finite."""
    check_finite(image[patch.rows, patch.columns])
    if not np.isfinite(patch.values).all():
        raise ReceptiveFieldError(
            f"the gradient of cell ({cell.x}, {cell.y}) is not finite: does the model give NaN or overflow on this "
            "image? Check its weights and the range of the image (preprocess)"
        )
    return patch
