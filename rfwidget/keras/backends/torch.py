"""Backpropagation by PyTorch, on the device that Keras uses: eager, and drawn as one list of operations."""

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
    """Backpropagation from one cell per image, drawn for one shape of images.

    Keras on PyTorch is slow where its layers are small: each call of one takes longer than its arithmetic. So forward
    and backward pass are drawn, on tensors without numbers, as one list of PyTorch's own operations, which is gone
    through from then on; drawing takes a second or so, and waits until the gradient was asked for some times. Code that
    asks for numbers, to choose a branch by them, say, cannot be drawn: it runs every time, by eager autograd.

    Args:
        function: maps ``[n, h, w, c]`` and weights, if there are any, to ``[n, gh, gw, channels]``; image k must not
            influence output l.
        shape: ``(n, h, w, c)`` of the images.
        weights: gives the values of the weights.

    Attributes:
        traces: one after the first call.
        drawn: whether the list of operations is used.
    """

    def __init__(self, function: Function, shape: tuple[int, ...], weights: Weights = _none) -> None:  # noqa: ARG002
        self._function, self._weights = function, weights
        self.traces = self._calls = 0
        self._drawn: _Drawn | None = None

    @property
    def drawn(self) -> bool:
        """Whether the list of operations is used."""
        return self._drawn is not None

    def __call__(self, images: Singles, places: Sequence[tuple[int, ...]], channels: Singles) -> Singles:
        """Gradients ``[n, h, w, c]`` of the weighted sum of each cell's channels.

        Args:
            images: ``[n, h, w, c]``.
            places: ``(y, x)`` of the output, one for each image; all zeros is the answer to a place that is not there.
            channels: weight of each channel.
        """
        with _undisturbed(backward=True):
            given = keras.ops.convert_to_tensor(images)
            if self._drawn is not None:
                return self._drawn(given, _begun(self._drawn.output, places, channels, given.device), self._values())
            leaf = given.requires_grad_()
            y = self._function(leaf).to(torch.float32)
            if not y.requires_grad:
                self.traces = 1
                return np.zeros_like(images)
            start = _begun(y.shape, places, channels, y.device)
            (gradient,) = torch.autograd.grad(y, leaf, start, allow_unused=True)
            found = np.zeros_like(images) if gradient is None else _array(gradient)
            self.traces = 1
            self._calls += 1
            if self._calls == _EAGER_CALLS and gradient is not None:
                self._drawn = self._draw(leaf.detach(), start, found)
        return found

    def _values(self) -> list[Any]:
        return [value.detach() for value in self._weights()]

    def _draw(self, images: Any, start: Any, expected: Singles) -> _Drawn | None:
        """The list of operations; None if there is none, or it does not give what eager autograd gives."""
        try:
            drawn = _Drawn(self._function, images, start, self._values())
            found = drawn(images, start, self._values())
        except Exception:  # whatever code does that needs numbers
            return None
        close = np.abs(found - expected).max() <= _DRAWN_AGREE * np.abs(expected).max()
        return drawn if close else None


_EAGER_CALLS = 10
"""So many calls are eager: comparing windows with a larger part of the image takes fewer."""

_DRAWN_AGREE = 1e-4
"""Difference between a gradient that is drawn and an eager one, relative to the largest magnitude."""


class _Drawn:
    """Forward and backward pass as one list of operations.

    Args:
        function: as in `CompiledGradient`.
        images: of the shape that it is drawn for.
        start: gradient of the output.
        values: of the weights.

    Attributes:
        output: shape of the output.
    """

    def __init__(self, function: Function, images: Any, start: Any, values: Sequence[Any]) -> None:
        from torch.fx.experimental.proxy_tensor import make_fx

        def backward(x: Any, start: Any, *values: Any) -> Any:
            leaf = x.detach().requires_grad_()
            y = (function(leaf, list(values)) if values else function(leaf)).to(torch.float32)
            return torch.autograd.grad(y, leaf, start)[0]

        self.output = tuple(start.shape)
        draw = make_fx(backward, tracing_mode="fake", _allow_non_fake_inputs=True)
        self._graph = draw(images, start, *values)
        self._graph.graph.eliminate_dead_code()
        self._graph.recompile()

    def __call__(self, images: Any, start: Any, values: Sequence[Any]) -> Singles:
        with torch.no_grad():
            return _array(self._graph(images, start, *values))


def _begun(shape: Sequence[int], places: Sequence[tuple[int, ...]], channels: Singles, device: Any) -> Any:
    """The gradient of an output ``[n, gh, gw, channels]``: weights of the channels at a place of each image."""
    start = torch.zeros(tuple(shape), device=device)
    weights = torch.from_numpy(channels).to(device)
    for number, place in enumerate(places):
        if all(k < length for k, length in zip(place, shape[1:-1], strict=True)):
            start[(number, *place)] = weights
    return start


class Compiled:
    """A network as `rfwidget._measure.patches` runs it.

    Args:
        function: maps ``[n, h, w, c]`` of any size to ``[n, gh, gw, channels]``; image k must not influence output l.
        weights: gives the values of the weights.
    """

    def __init__(self, function: Function, weights: Weights = _none) -> None:
        self._function, self._weights = function, weights

    def gradient(self, shape: tuple[int, ...]) -> CompiledGradient:
        """Backpropagation for images of one shape, ``(n, h, w, c)``."""
        return CompiledGradient(self._function, shape, self._weights)

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
