"""Backpropagation by plain eager autograd, from one layer of a private copy to the image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from rfwidget.torch.walk import undisturbed

Singles = npt.NDArray[np.float32]


class Eager:
    """A network as `rfwidget._measure.patches` runs it.

    Args:
        function: maps a tensor ``[n, c, h, w]`` of any size to the layer's output ``[n, channels, gh, gw]``.
        device: where it runs.
        dtype: of its images.
    """

    def __init__(self, function: Callable[[torch.Tensor], torch.Tensor], device: torch.device, dtype: torch.dtype):
        self._function, self._device, self._dtype = function, device, dtype

    def gradient(self, shape: tuple[int, ...]) -> EagerGradient:  # noqa: ARG002 - any shape will do
        """Backpropagation; eager code serves all shapes."""
        return EagerGradient(self._function, self.tensor, self._device)

    def evaluate(self, images: npt.NDArray[Any]) -> Singles:
        """Values ``[n, gh, gw, channels]`` for images ``[n, h, w, c]``."""
        with undisturbed(self._device), torch.no_grad():
            output = self._function(self.tensor(images))
            return np.ascontiguousarray(output.float().movedim(1, -1).cpu().numpy())

    def tensor(self, images: npt.NDArray[Any]) -> torch.Tensor:
        """Images ``[n, h, w, c]`` as the module takes them."""
        made = torch.from_numpy(np.ascontiguousarray(images, np.float32))
        return made.to(self._device, self._dtype).movedim(-1, 1).contiguous()  # so modules are quickest


class EagerGradient:
    """Backpropagation from one cell per image.

    Attributes:
        traces: 0, for nothing is ever compiled.
    """

    traces = 0

    def __init__(
        self,
        function: Callable[[torch.Tensor], torch.Tensor],
        tensor: Callable[[npt.NDArray[Any]], torch.Tensor],
        device: torch.device,
    ) -> None:
        self._function, self._tensor, self._device = function, tensor, device

    def __call__(self, images: Singles, places: Sequence[tuple[int, ...]], channels: Singles) -> Singles:
        """Gradients ``[n, h, w, c]`` of the weighted sum of each cell's channels.

        Args:
            images: ``[n, h, w, c]``.
            places: ``(y, x)`` of the output, one for each image; all zeros is the answer to a place that is not there.
            channels: weight of each channel.
        """
        with undisturbed(self._device), torch.enable_grad():
            leaf = self._tensor(images).requires_grad_()
            output = self._function(leaf)
            if not output.requires_grad:
                return np.zeros_like(images, np.float32)
            start = torch.zeros_like(output)
            weights = torch.from_numpy(channels).to(output.device, output.dtype)
            for number, place in enumerate(places):
                cell: Any = (number, slice(None), *place)
                if all(k < length for k, length in zip(place, output.shape[2:], strict=True)):
                    start[cell] = weights
            (gradient,) = torch.autograd.grad(output, leaf, start, allow_unused=True)
        if gradient is None:
            return np.zeros_like(images, np.float32)
        return np.ascontiguousarray(gradient.float().movedim(1, -1).cpu().numpy())
