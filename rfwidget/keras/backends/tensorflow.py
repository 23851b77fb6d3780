"""Backpropagation by TensorFlow: eager through the linear copy, compiled through the network itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from rfwidget.keras.code import Follower

Floats = npt.NDArray[np.float64]
Singles = npt.NDArray[np.float32]

OWN = "tensorflow."
"""Functions of modules with such names are the framework's own."""


_NOT_ON_THIS_CPU = ("CPU implementation", "supported on CPU", "implementation only supports")
"""Of TensorFlow's own words where it has no operation for a processor: gradients of a convolution that is dilated or
has groups, and a depthwise one with unequal strides, need oneDNN, which is on by default only where there is AVX-512.
XLA compiles them for any."""


class _Traced:
    """A function that is traced once, for inputs of one shape.

    Called directly, it looks for no matching trace, nor does it count as one of many that TensorFlow would warn about.
    XLA compiles it where TensorFlow cannot run it on this processor.

    Args:
        function: of tensors.
        signature: of its inputs; None: it is called eagerly, and traced for XLA alone.
    """

    def __init__(self, function: Callable[..., Any], signature: Sequence[tf.TensorSpec] | None = None) -> None:
        self._function = function
        self._signature = signature
        self._by_xla = False

    def __call__(self, *inputs: Any) -> Any:
        try:
            return self.run(*inputs)
        except (tf.errors.InvalidArgumentError, tf.errors.UnimplementedError) as error:
            if self._by_xla or not any(words in str(error) for words in _NOT_ON_THIS_CPU):
                raise
            self._by_xla = True
            self.__dict__.pop("run", None)
            try:
                return self.run(*inputs)
            except tf.errors.OpError:
                raise error from None

    @cached_property
    def run(self) -> Any:
        """What is called."""
        jit = True if self._by_xla else None  # False would forbid it, whatever the user has set
        if self._signature is not None:
            made = tf.function(self._function, input_signature=self._signature, autograph=False, jit_compile=jit)
            return made.get_concrete_function()
        return tf.function(self._function, autograph=False, jit_compile=jit) if jit else self._function


def sensitivity(function: Callable[[Any], Any], images: Floats, places: Sequence[tuple[int, ...]]) -> Floats:
    """Gradient of one output place per image.

    Args:
        function: maps ``[n, h, w, c]`` to ``[n, gh, gw, channels]``; image k must not influence output l.
        images: ``[n, h, w, c]``.
        places: ``(y, x)`` of the output, one for each image.

    Returns:
        ``[n, h, w]``, the absolute gradient summed over the image's channels.
    """

    def backward(x: Any) -> Any:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(x)
            y = function(x)
            chosen = tf.gather_nd(y, [(k, *place) for k, place in enumerate(places)])
        gradient = tape.gradient(chosen, x, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        return tf.reduce_sum(tf.abs(gradient), axis=-1)

    with tf.device("CPU"):
        result: Floats = _Traced(backward)(tf.constant(images)).numpy()
    return result


def evaluate(function: Callable[[Any], Any], images: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Values of a function of images, on the CPU."""
    with tf.device("CPU"):
        return np.asarray(_Traced(function)(tf.constant(images)))


class CompiledGradient:
    """Backpropagation from one cell per image, compiled for one shape of images.

    It is traced once, at the first call: cells and channels are arguments, and weights are read at every call. Only
    the images' gradient is computed. (An eager tape computes those of the kernels too; TensorFlow 2.21 then writes
    outside its memory where a 1x1 convolution in float32 has strides.)

    Args:
        function: maps ``[n, h, w, c]`` to ``[n, gh, gw, channels]``; image k must not influence output l.
        shape: ``(n, h, w, c)`` of the images.

    Attributes:
        traces: how often ``function`` was traced so far.
    """

    def __init__(self, function: Callable[[Any], Any], shape: tuple[int, ...]) -> None:
        self.traces = 0
        rank = len(shape) - 2

        def backward(images: Any, places: Any, channels: Any) -> Any:
            self.traces += 1  # runs while TensorFlow traces, and never again
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(images)
                y = tf.cast(function(images), tf.float32)
            # Beginning from a map of ones and zeros is twice as fast as from cells taken out of the output: there is
            # nothing to gather and to scatter, and of a linear last layer the output itself is never computed.
            chosen = channels
            for axis in range(rank):
                hot = tf.one_hot(places[:, axis], tf.shape(y)[1 + axis])
                chosen = chosen * hot[(slice(None), *(slice(None) if k == axis else None for k in range(rank)), None)]
            return tape.gradient(y, images, chosen, unconnected_gradients=tf.UnconnectedGradients.ZERO)

        signature = [
            tf.TensorSpec(shape, tf.float32),
            tf.TensorSpec((shape[0], rank), tf.int32),
            tf.TensorSpec((None,), tf.float32),
        ]
        self._traced = _Traced(backward, signature)

    def __call__(self, images: Singles, places: Sequence[tuple[int, ...]], channels: Singles) -> Singles:
        """Gradients ``[n, h, w, c]`` of the weighted sum of each cell's channels.

        Args:
            images: ``[n, h, w, c]``.
            places: ``(y, x)`` of the output, one for each image; all zeros is the answer to a place that is not there.
            channels: weight of each channel.
        """
        gradients = self._traced(tf.constant(images), tf.constant(places, tf.int32), tf.constant(channels))
        result: Singles = gradients.numpy()
        return result


class Compiled:
    """A network as `rfwidget._measure.patches` runs it.

    Args:
        function: maps ``[n, h, w, c]`` of any size to ``[n, gh, gw, channels]``; image k must not influence output l.
        weights: they are read by ``function`` itself.
    """

    def __init__(self, function: Callable[[Any], Any], weights: Any = None) -> None:  # noqa: ARG002
        self._function = function

    def gradient(self, shape: tuple[int, ...]) -> CompiledGradient:
        """Backpropagation for images of one shape, ``(n, h, w, c)``."""
        return CompiledGradient(self._function, shape)

    def evaluate(self, images: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Values for images ``[n, h, w, c]``."""
        return evaluate(self._function, images)


class CompiledNetwork:
    """The real network forward on the whole image, traced at the first call; weights are read at every call.

    Args:
        function: maps an image ``[1, h, w, c]`` to the layer's output ``[1, gh, gw, channels]``.
        shape: ``(h, w, c)`` of the image.
        weights: they are read by ``function`` itself.
    """

    def __init__(self, function: Callable[[Any], Any], shape: tuple[int, ...], weights: Any = None) -> None:  # noqa: ARG002
        signature = [tf.TensorSpec((1, *shape), tf.float32)]
        self._traced = _Traced(lambda image: tf.cast(function(image), tf.float32), signature)

    @property
    def channels(self) -> int:
        """Channels of the layer."""
        return int(self._traced.run.output_shapes[-1])

    def feature_map(self, image: npt.NDArray[Any]) -> Singles:
        """Output ``[gh, gw, channels]`` for an image ``[h, w, c]``."""
        result: Singles = self._traced(tf.constant(image[None], tf.float32))[0].numpy()
        return result


def follower() -> Follower:
    """Follows code of TensorFlow over spans."""
    from rfwidget.keras.tf.follow import Follower as Own

    return Own()


def kept(layer: Any) -> AbstractContextManager[None]:
    """While code of a layer runs that may write to its variables: afterwards they are what they were."""
    from rfwidget.keras.tf.variables import kept as own

    return own(layer)
