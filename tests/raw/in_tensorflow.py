"""In TensorFlow."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

Pair = tuple[int, int]


def conv(x: Any, kernel: Any, stride: Pair, padding: str, dilation: Pair) -> Any:
    return tf.nn.conv2d(x, tf.convert_to_tensor(kernel), stride, padding.upper(), dilations=dilation)


def max_pool(x: Any, size: Pair, stride: Pair, padding: str) -> Any:
    return tf.nn.max_pool2d(x, size, stride, padding.upper())


def block_means(x: Any, size: Pair) -> Any:
    shape = tf.shape(x)
    rows, columns = shape[1] // size[0], shape[2] // size[1]
    x = x[:, : rows * size[0], : columns * size[1]]
    x = tf.reshape(x, tf.stack([shape[0], rows, size[0], columns, size[1], shape[3]]))
    return tf.reduce_mean(x, axis=(2, 4))


def gate(first: Any, others: list[Any]) -> Any:
    return first * tf.cast(tf.add_n(others) > 0, first.dtype)


def plus_softsign(x: Any) -> Any:
    return x + tf.math.softsign(x)
