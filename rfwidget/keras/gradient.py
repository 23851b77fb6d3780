"""Backpropagation, the only module that names TensorFlow: eager through a probe, compiled through the real network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

Floats = npt.NDArray[np.float64]


def sensitivity(function: Callable[[Any], Any], images: Floats, places: Sequence[tuple[int, ...]]) -> Floats:
    """Gradient of one output place per image.

    Args:
        function: maps ``[n, h, w, c]`` to ``[n, gh, gw, channels]``; image k must not influence output l.
        images: ``[n, h, w, c]``.
        places: ``(y, x)`` of the output, one for each image.

    Returns:
        ``[n, h, w]``, the absolute gradient summed over the image's channels.
    """
    with tf.device("CPU"), tf.GradientTape(watch_accessed_variables=False) as tape:
        x = tf.constant(images)
        tape.watch(x)
        y = function(x)
        chosen = tf.gather_nd(y, [(k, *place) for k, place in enumerate(places)])
    gradient = tape.gradient(chosen, x, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    result: Floats = tf.reduce_sum(tf.abs(gradient), axis=-1).numpy()
    return result


def response(function: Callable[[Any], Any], images: Floats, directions: Floats) -> Floats:
    """Absolute change of each output place, to first order, when the image moves in a direction.

    Args:
        function: maps ``[n, h, w, c]`` to ``[n, gh, gw, channels]``.
        images: where to stand, ``[n, h, w, c]``.
        directions: where to go, ``[n, h, w, c]``.

    Returns:
        ``[n, gh, gw]``.
    """
    x = tf.constant(images)
    with tf.device("CPU"), tf.autodiff.ForwardAccumulator(x, tf.constant(directions)) as accumulator:
        y = function(x)
    change = accumulator.jvp(y, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    result: Floats = tf.reduce_sum(tf.abs(change), axis=-1).numpy()
    return result


def evaluate(function: Callable[[Any], Any], images: Floats) -> Floats:
    """Values of a function of images, on the CPU."""
    with tf.device("CPU"):
        result: Floats = np.asarray(function(tf.constant(images)))
    return result


class CompiledNetwork:
    """The real network, traced once; cell and channel are arguments, and weights are read at every call.

    Args:
        function: maps an image ``[1, h, w, c]`` to the layer's output ``[1, gh, gw, channels]``.
        shape: ``(h, w, c)`` of the image.
    """

    def __init__(self, function: Callable[[Any], Any], shape: tuple[int, int, int]) -> None:
        image = tf.TensorSpec((1, *shape), tf.float32)
        number = tf.TensorSpec((), tf.int32)

        def forward(x: Any) -> Any:
            return tf.cast(function(x), tf.float32)

        def backward(x: Any, row: Any, column: Any, channel: Any) -> Any:
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(x)
                cell = forward(x)[0, row, column]
                value = tf.cond(
                    channel < 0, lambda: tf.reduce_mean(cell), lambda: tf.gather(cell, tf.maximum(channel, 0))
                )
            return tape.gradient(value, x, unconnected_gradients=tf.UnconnectedGradients.ZERO)

        self._forward = tf.function(forward, input_signature=[image], autograph=False)
        self._backward = tf.function(backward, input_signature=[image, number, number, number], autograph=False)

    @property
    def channels(self) -> int:
        """Channels of the layer."""
        return int(self._forward.get_concrete_function().output_shapes[-1])

    def feature_map(self, image: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Output ``[gh, gw, channels]`` for an image ``[h, w, c]``."""
        result: npt.NDArray[np.float32] = self._forward(tf.constant(image[None], tf.float32))[0].numpy()
        return result

    def gradient(self, image: npt.NDArray[np.float32], row: int, column: int, channel: int | None) -> Any:
        """d(cell)/d(image), ``[h, w, c]``; without a channel, of the mean of all."""
        numbers = [tf.constant(v, tf.int32) for v in (row, column, -1 if channel is None else channel)]
        return self._backward(tf.constant(image[None], tf.float32), *numbers)[0].numpy()
