"""Backpropagation by PyTorch: eager, on the device that Keras uses."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import torch

from rfwidget.keras.code import Follower

Floats = npt.NDArray[np.float64]
Singles = npt.NDArray[np.float32]

OWN = "torch."
"""Functions of modules with such names are the framework's own."""
Function = Callable[..., Any]
Weights = Callable[[], Sequence[Any]]


@contextmanager
def _undisturbed(*, backward: bool) -> Iterator[None]:
    """Whatever modes the caller has set do not matter to what runs here."""
    with torch.inference_mode(False), torch.set_grad_enabled(backward), torch.autocast("cpu", enabled=False):
        yield


def _array(tensor: Any) -> npt.NDArray[Any]:
    return np.ascontiguousarray(tensor.detach().cpu().numpy())


def sensitivity(function: Function, images: Floats, places: Sequence[tuple[int, ...]]) -> Floats:
    """Gradient of one output place per image, as `rfwidget.keras.backends.Backend.sensitivity`."""
    with _undisturbed(backward=True), keras.device("cpu"):
        x = torch.from_numpy(images).requires_grad_()
        y = function(x)
        chosen = torch.stack([y[(k, *place)] for k, place in enumerate(places)])
        if not chosen.requires_grad:
            return np.zeros(images.shape[:-1])
        (gradient,) = torch.autograd.grad(chosen.sum(), x, allow_unused=True)
    return np.zeros(images.shape[:-1]) if gradient is None else _array(gradient.abs().sum(dim=-1))


def evaluate(function: Function, images: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Values of a function of images, on the CPU."""
    with _undisturbed(backward=False), keras.device("cpu"):
        return _array(function(keras.ops.convert_to_tensor(images)))


def _none() -> Sequence[Any]:
    return ()


class CompiledGradient:
    """Backpropagation from one cell per image.

    Args:
        function: maps ``[n, h, w, c]`` to ``[n, gh, gw, channels]``; image k must not influence output l.
        shape: ``(n, h, w, c)`` of the images; eager code serves all.
        weights: they are read by ``function`` itself.

    Attributes:
        traces: one after the first call. Nothing is compiled.
    """

    def __init__(self, function: Function, shape: tuple[int, ...], weights: Weights = _none) -> None:  # noqa: ARG002
        self._function = function
        self.traces = 0

    def __call__(self, images: Singles, places: Sequence[tuple[int, ...]], channels: Singles) -> Singles:
        """Gradients ``[n, h, w, c]`` of the weighted sum of each cell's channels.

        Args:
            images: ``[n, h, w, c]``.
            places: ``(y, x)`` of the output, one for each image; all zeros is the answer to a place that is not there.
            channels: weight of each channel.
        """
        self.traces = 1
        with _undisturbed(backward=True):
            leaf = keras.ops.convert_to_tensor(images).requires_grad_()
            y = self._function(leaf).to(torch.float32)
            if not y.requires_grad:
                return np.zeros_like(images)
            start = torch.zeros_like(y)
            weights = torch.from_numpy(channels).to(y.device)
            for number, place in enumerate(places):
                if all(k < length for k, length in zip(place, y.shape[1:-1], strict=True)):
                    start[(number, *place)] = weights
            (gradient,) = torch.autograd.grad(y, leaf, start, allow_unused=True)
        return np.zeros_like(images) if gradient is None else _array(gradient)


class Compiled:
    """A network as `rfwidget._measure.patches` runs it.

    Args:
        function: maps ``[n, h, w, c]`` of any size to ``[n, gh, gw, channels]``; image k must not influence output l.
        weights: they are read by ``function`` itself.
    """

    def __init__(self, function: Function, weights: Weights = _none) -> None:  # noqa: ARG002
        self._function = function

    def gradient(self, shape: tuple[int, ...]) -> CompiledGradient:
        """Backpropagation for images of one shape, ``(n, h, w, c)``."""
        return CompiledGradient(self._function, shape)

    def evaluate(self, images: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Values for images ``[n, h, w, c]``."""
        with _undisturbed(backward=False):
            return _array(self._function(keras.ops.convert_to_tensor(images)))


class CompiledNetwork:
    """The real network forward on the whole image.

    Args:
        function: maps an image ``[1, h, w, c]`` to the layer's output ``[1, gh, gw, channels]``.
        shape: ``(h, w, c)`` of the image.
        weights: they are read by ``function`` itself.
    """

    def __init__(self, function: Function, shape: tuple[int, ...], weights: Weights = _none) -> None:  # noqa: ARG002
        self._function, self._shape = function, shape

    @property
    def channels(self) -> int:
        """Channels of the layer."""
        return int(self.feature_map(np.zeros(self._shape, np.float32)).shape[-1])

    def feature_map(self, image: npt.NDArray[Any]) -> Singles:
        """Output ``[gh, gw, channels]`` for an image ``[h, w, c]``."""
        with _undisturbed(backward=False):
            return _array(self._function(keras.ops.convert_to_tensor(image[None].astype(np.float32)))[0].float())


def follower() -> Follower:
    """Follows code of PyTorch over spans."""
    from rfwidget.keras.aten.follow import Follower as Own

    return Own()


@contextmanager
def kept(layer: Any) -> Iterator[None]:
    """While code of a layer runs that may write to its tensors: afterwards they are what they were."""
    with torch.no_grad():
        before = [(own, own._version, own.detach().clone()) for own in (*layer.parameters(), *layer.buffers())]
    try:
        yield
    finally:
        with torch.no_grad():
            for own, version, value in before:
                if own._version != version:
                    own.copy_(value)
