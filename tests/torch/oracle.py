"""A black-box oracle for PyTorch modules: change pixels of a random image and see which cells change.

It knows neither gradients nor the formulas of layers, and shares no code with the package. It can only miss a
dependency (a maximum that never switches in any trial), never invent one: a cell counts as changed when its bits differ
from those of an unchanged image at the same place of an equally shaped batch. More trials therefore only add.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

Ints = npt.NDArray[np.int64]

_SCALES = (1.0, 30.0, 1e3)  # changes much larger than the image survive small weights and win maxima


class Seen(NamedTuple):
    """First pixel, and last pixel + 1, that each cell ``[y, x]`` of a map sees along one axis; both 0 for none."""

    first: Ints
    end: Ints


class Oracle:
    """What each cell of a module's output ``(1, c, h, w)`` sees, as far as trials have shown.

    Args:
        module: in float64 and in evaluation mode; it works on batches.
        channels: of the image.
        height: of the image.
        width: of the image.
        seed: of images and changes.
    """

    def __init__(self, module: nn.Module, channels: int, height: int, width: int, seed: int) -> None:
        self._module, self._shape = module, (1, channels, height, width)
        self._draw = np.random.default_rng(seed)
        self._changed: list[npt.NDArray[np.bool_] | None] = [None, None]
        self._trials = 0

    def more(self, trials: int) -> tuple[Seen, Seen]:
        """Some trials more; what cells see along y and along x."""
        for _ in range(trials):
            scale = _SCALES[self._trials % len(_SCALES)]
            for axis in (0, 1):
                found, before = self._trial(axis, scale), self._changed[axis]
                self._changed[axis] = found if before is None else before | found
            self._trials += 1
        y, x = self._changed
        assert y is not None
        assert x is not None
        return _span(y), _span(x)

    def _trial(self, axis: int, scale: float) -> npt.NDArray[np.bool_]:
        """Which cells change with each line of pixels."""
        length = self._shape[2 + axis]
        plain = torch.from_numpy(self._draw.standard_normal(self._shape)).repeat(length, 1, 1, 1)
        other = plain.clone()
        for k in range(length):
            line = other[k, :, k, :] if axis == 0 else other[k, :, :, k]
            line += torch.from_numpy(self._draw.standard_normal(tuple(line.shape))) * scale
        with torch.no_grad():
            return (self._module(plain) != self._module(other)).any(dim=1).numpy()


def _span(changed: npt.NDArray[np.bool_]) -> Seen:
    """``changed[k]`` tells which cells pixel line k changed."""
    any_ = changed.any(axis=0)
    first = np.where(any_, changed.argmax(axis=0), 0)
    end = np.where(any_, len(changed) - changed[::-1].argmax(axis=0), 0)
    return Seen(first, end)


def touched_cells(
    function: Callable[[torch.Tensor], torch.Tensor], image: torch.Tensor, mask: npt.NDArray[np.bool_], seed: int
) -> npt.NDArray[np.bool_]:
    """Cells that change when the marked pixels of an image do."""
    draw = np.random.default_rng(seed)
    changed: npt.NDArray[np.bool_] | None = None
    for scale in _SCALES:
        other = image + torch.from_numpy(draw.standard_normal(tuple(image.shape)) * mask) * scale
        with torch.no_grad():
            differs = (function(image) != function(other)).any(dim=1)[0].numpy()
        changed = differs if changed is None else changed | differs
    assert changed is not None
    return changed
