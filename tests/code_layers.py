"""Layers with code of their own, as people write them: what the random networks hold besides Keras' layers."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from tests.raw import raw

Pair = tuple[int, int]


class _Kernel(keras.Layer):
    """A layer with one kernel."""

    def __init__(self, filters: int, kernel: Pair, stride: Pair, dilation: Pair, padding: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.filters, self.size, self.stride, self.dilation = filters, kernel, stride, dilation
        self.padding = padding

    def build(self, shape: Any) -> None:
        self.kernel = self.add_weight(shape=(*self.size, shape[-1], self.filters), name="kernel")

    def compute_output_shape(self, shape: Any) -> Any:
        spans = [(k - 1) * d for k, d in zip(self.size, self.dilation, strict=True)]
        lengths = [
            None if n is None else (n - 1 - (0 if self.padding == "same" else span)) // s + 1
            for n, span, s in zip(shape[1:3], spans, self.stride, strict=True)
        ]
        return (shape[0], *lengths, self.filters)


class Masked(_Kernel):
    """A convolution that looks up and to the right alone: its own row and the ones above, without the first column."""

    def call(self, x: Any) -> Any:
        mask = np.ones((*self.size, 1, 1), "float32")
        mask[self.size[0] // 2 + 1 :] = 0
        mask[:, : self.size[1] // 3] = 0
        kernel = self.kernel * ops.cast(mask, self.kernel.dtype)
        return ops.conv(x, kernel, self.stride, self.padding, dilation_rate=self.dilation)


class RawConv(_Kernel):
    """A convolution that does not speak to Keras."""

    def call(self, x: Any) -> Any:
        return raw.conv(x, self.kernel, self.stride, self.padding, self.dilation)


class RawPool(keras.Layer):
    """A maximum that does not speak to Keras."""

    def __init__(self, kernel: Pair, stride: Pair, padding: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.size, self.stride, self.padding = kernel, stride, padding

    def call(self, x: Any) -> Any:
        return raw.max_pool(x, self.size, self.stride, self.padding)


class Binned(keras.Layer):
    """Means of blocks, by reshape; what is left over at the end is cut off."""

    def __init__(self, size: Pair, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.size = size

    def call(self, x: Any) -> Any:
        return raw.block_means(x, self.size)

    def compute_output_shape(self, shape: Any) -> Any:
        lengths = (None if n is None else n // k for n, k in zip(shape[1:3], self.size, strict=True))
        return (shape[0], *lengths, shape[3])


class Mixed(keras.Layer):
    """Each cell, and the mean of its window."""

    def __init__(self, size: Pair, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.size = size

    def call(self, x: Any) -> Any:
        shape, (height, width) = ops.shape(x), self.size
        parts = ops.reshape(x, (-1, shape[1] // height, height, shape[2] // width, width, shape[3]))
        return ops.reshape(parts + ops.mean(parts, axis=(2, 4), keepdims=True), (-1, *shape[1:]))

    def compute_output_shape(self, shape: Any) -> Any:
        return shape


class Gate(keras.Layer):
    """The first of some maps where the sum of the others is positive."""

    def call(self, maps: Any) -> Any:
        first, *others = maps
        return raw.gate(first, others)

    def compute_output_shape(self, shapes: Any) -> Any:
        return shapes[0]


class Sorted(keras.Layer):
    """The channels of each cell by their size."""

    def call(self, x: Any) -> Any:
        return ops.sort(x, axis=-1)


class Foreign(keras.Layer):
    """Acts on a cell alone, in code that does not speak to Keras."""

    def call(self, x: Any) -> Any:
        return raw.plus_softsign(x)
