"""Backpropagation by JAX, compiled for one shape at a time: of the linear copy, and of the network itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from rfwidget.keras.code import Follower

Floats = npt.NDArray[np.float64]
Singles = npt.NDArray[np.float32]

OWN = "jax."
"""Functions of modules with such names are the framework's own."""
Function = Callable[..., Any]
Weights = Callable[[], Sequence[Any]]


@contextmanager
def _doubles() -> Iterator[None]:
    """While float64 means float64, on the CPU: JAX makes float32 of it unless it is told otherwise."""
    with jax.enable_x64(True), jax.default_device(jax.local_devices(backend="cpu")[0]):
        yield


def sensitivity(function: Function, images: Floats, places: Sequence[tuple[int, ...]]) -> Floats:
    """Gradient of one output place per image, as `rfwidget.keras.backends.Backend.sensitivity`."""

    def total(x: Any) -> Any:
        # Sums of what is chosen have its gradient, for image k does not influence output l.
        return jnp.sum(function(x)[tuple(np.transpose([(k, *place) for k, place in enumerate(places)]))])

    with _doubles():
        gradient = jax.jit(jax.grad(total))(images)
        return np.array(jnp.sum(jnp.abs(gradient), axis=-1))


def evaluate(function: Function, images: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Values of a function of images, on the CPU."""
    if images.dtype == np.float64:
        with _doubles():
            return np.array(jax.jit(function)(images))
    with jax.default_device(jax.local_devices(backend="cpu")[0]):
        return np.array(function(jnp.asarray(images)))


def _none() -> Sequence[Any]:
    return ()


class CompiledGradient:
    """Backpropagation from one cell per image, compiled for one shape of images.

    It is traced once, at the first call: cells, channels and weights are arguments.

    Args:
        function: maps ``[n, h, w, c]`` and weights, if there are any, to ``[n, gh, gw, channels]``; image k must not
            influence output l.
        shape: ``(n, h, w, c)`` of the images; another is compiled anew.
        weights: gives the values of the weights.

    Attributes:
        traces: how often ``function`` was traced so far.
    """

    def __init__(self, function: Function, shape: tuple[int, ...], weights: Weights = _none) -> None:
        self.traces = 0
        self._weights = weights

        def backward(images: Any, places: Any, channels: Any, values: Sequence[Any]) -> Any:
            self.traces += 1  # runs while JAX traces, and never again
            y, pull = jax.vjp(lambda x: _call(function, x, values).astype(jnp.float32), images)
            # As with TensorFlow: beginning from a map of ones and zeros, a linear last layer is never computed.
            chosen, rank = channels, len(shape) - 2
            for axis in range(rank):
                hot = jax.nn.one_hot(places[:, axis], y.shape[1 + axis], dtype=y.dtype)
                chosen = chosen * hot[(slice(None), *(slice(None) if k == axis else None for k in range(rank)), None)]
            return pull(chosen)[0]

        self._backward = jax.jit(backward)

    def __call__(self, images: Singles, places: Sequence[tuple[int, ...]], channels: Singles) -> Singles:
        """Gradients ``[n, h, w, c]`` of the weighted sum of each cell's channels.

        Args:
            images: ``[n, h, w, c]``.
            places: ``(y, x)`` of the output, one for each image; all zeros is the answer to a place that is not there.
            channels: weight of each channel.
        """
        return np.array(self._backward(images, np.asarray(places, np.int32), channels, self._weights()))


def _call(function: Function, images: Any, values: Sequence[Any]) -> Any:
    return function(images, values) if len(values) else function(images)


class Compiled:
    """A network as `rfwidget._measure.patches` runs it.

    Args:
        function: maps ``[n, h, w, c]`` of any size, and weights, to ``[n, gh, gw, channels]``.
        weights: gives the values of the weights.
    """

    def __init__(self, function: Function, weights: Weights = _none) -> None:
        self._function, self._weights = function, weights
        self._forward = jax.jit(lambda images, values: _call(function, images, values))

    def gradient(self, shape: tuple[int, ...]) -> CompiledGradient:
        """Backpropagation for images of one shape, ``(n, h, w, c)``."""
        return CompiledGradient(self._function, shape, self._weights)

    def evaluate(self, images: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Values for images ``[n, h, w, c]``."""
        return np.array(self._forward(images, self._weights()))


class CompiledNetwork:
    """The real network forward on the whole image, traced at the first call; weights are read at every call.

    Args:
        function: maps an image ``[1, h, w, c]`` and weights to the layer's output ``[1, gh, gw, channels]``.
        shape: ``(h, w, c)`` of the image.
        weights: gives the values of the weights.
    """

    def __init__(self, function: Function, shape: tuple[int, ...], weights: Weights = _none) -> None:
        self._shape, self._weights = shape, weights
        self._forward = jax.jit(lambda image, values: _call(function, image, values).astype(jnp.float32))

    @property
    def channels(self) -> int:
        """Channels of the layer."""
        image: Any = jax.ShapeDtypeStruct((1, *self._shape), jnp.float32)
        return int(jax.eval_shape(self._forward, image, self._weights()).shape[-1])

    def feature_map(self, image: npt.NDArray[Any]) -> Singles:
        """Output ``[gh, gw, channels]`` for an image ``[h, w, c]``."""
        result: Singles = np.array(self._forward(image[None].astype(np.float32), self._weights()))[0]
        return result


def follower() -> Follower:
    """Follows code of JAX over spans."""
    from rfwidget.keras.jax.follow import Follower as Own

    return Own()


def kept(layer: Any) -> AbstractContextManager[None]:  # noqa: ARG001
    """Arrays of JAX cannot be written to."""
    return nullcontext()
