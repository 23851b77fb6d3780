"""Backpropagation by autograd, from one layer of a private copy to the image: eager, then as a list of operations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from rfwidget.torch.walk import modes_off, undisturbed

Singles = npt.NDArray[np.float32]

_EAGER_CALLS = 10
"""So many calls are eager: comparing windows with a larger part of the image takes fewer."""


Operations = Callable[[torch.Tensor, torch.Tensor], torch.Tensor | None]
"""Maps images and the gradient of the output to that of the images; None: it holds no longer."""


class Eager:
    """A network as `rfwidget._measure.patches` runs it.

    Args:
        function: maps a tensor ``[n, c, h, w]`` of any size to the layer's output ``[n, channels, gh, gw]``.
        device: where it runs.
        dtype: of its images.
        listed: makes one list of operations of forward and backward pass, for images and a gradient of the output like
            those that it is given; None: there is none.
    """

    def __init__(
        self,
        function: Callable[[torch.Tensor], torch.Tensor],
        device: torch.device,
        dtype: torch.dtype,
        listed: Callable[[torch.Tensor, torch.Tensor], Operations | None],
    ) -> None:
        self.function, self.device, self.listed, self._dtype = function, device, listed, dtype

    def gradient(self, shape: tuple[int, ...]) -> EagerGradient:  # noqa: ARG002 - any shape will do
        """Backpropagation for images of one shape."""
        return EagerGradient(self)

    def evaluate(self, images: npt.NDArray[Any]) -> Singles:
        """Values ``[n, gh, gw, channels]`` for images ``[n, h, w, c]``."""
        with undisturbed(self.device), torch.no_grad():
            output = self.function(self.tensor(images))
            return np.ascontiguousarray(output.float().movedim(1, -1).cpu().numpy())

    def tensor(self, images: npt.NDArray[Any]) -> torch.Tensor:
        """Images ``[n, h, w, c]`` as the module takes them."""
        made = torch.from_numpy(np.ascontiguousarray(images, np.float32))
        return made.to(self.device, self._dtype).movedim(-1, 1).contiguous()  # so modules are quickest


class EagerGradient:
    """Backpropagation from one cell per image.

    Eager autograd does it, and from the eleventh request on one list of operations where the network gives one.

    Args:
        network: that it goes through.

    Attributes:
        traces: 0, for nothing is ever compiled.
        is_listed: whether the list is used.
    """

    traces = 0

    def __init__(self, network: Eager) -> None:
        self._network = network
        self._calls, self._output = 0, torch.Size()
        self._operations: Operations | None = None

    @property
    def is_listed(self) -> bool:
        """Whether one list of operations is used."""
        return self._operations is not None

    def __call__(self, images: Singles, places: Sequence[tuple[int, ...]], channels: Singles) -> Singles:
        """Gradients ``[n, h, w, c]`` of the weighted sum of each cell's channels.

        Args:
            images: ``[n, h, w, c]``, of the same shape each time.
            places: ``(y, x)`` of the output, one for each image; all zeros is the answer to a place that is not there.
            channels: weight of each channel.
        """
        if self._operations is not None:
            with modes_off(self._network.device):
                leaf = self._network.tensor(images)
                found = self._operations(leaf, self._begun(self._output, leaf, places, channels))
            if found is not None:
                return _array(found)
            self._operations, self._calls = None, 0
        with undisturbed(self._network.device), torch.enable_grad():
            leaf = self._network.tensor(images).requires_grad_()
            output = self._network.function(leaf)
            if not output.requires_grad:
                return np.zeros_like(images, np.float32)
            start = self._begun(output.shape, output, places, channels)
            (gradient,) = torch.autograd.grad(output, leaf, start, allow_unused=True)
            if gradient is None:
                return np.zeros_like(images, np.float32)
            self._calls += 1
            if self._calls == _EAGER_CALLS:
                self._output = output.shape
                self._operations = self._network.listed(leaf.detach(), start)
        return _array(gradient)

    @staticmethod
    def _begun(
        shape: torch.Size, like: torch.Tensor, places: Sequence[tuple[int, ...]], channels: Singles
    ) -> torch.Tensor:
        """The gradient of the output."""
        start = torch.zeros(shape, dtype=like.dtype, device=like.device)
        weights = torch.from_numpy(channels).to(like.device, like.dtype)
        for number, place in enumerate(places):
            cell: Any = (number, slice(None), *place)
            if all(k < length for k, length in zip(place, shape[2:], strict=True)):
                start[cell] = weights
        return start


def _array(gradient: torch.Tensor) -> Singles:
    return np.ascontiguousarray(gradient.float().movedim(1, -1).cpu().numpy())
