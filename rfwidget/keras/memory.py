"""How much memory a network will need on an image, estimated from the sizes of its maps before it runs.

Rough on purpose: maps are counted, workspaces of kernels are not. See `rfwidget.limits` for what is then refused.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

from rfwidget.keras.twin import Entry
from rfwidget.limits import check_memory

_DOUBLE, _SINGLE = 8, 4

_SMALLER = "ask for a smaller input_shape, or for an earlier layer"


class Footprint(NamedTuple):
    """The maps of a network up to a layer, on an image.

    Attributes:
        image: pixels of the image.
        thin: numbers in all maps together at one channel each.
        full: numbers in all maps together.
        largest: numbers in the largest map.
    """

    image: int
    thin: int
    full: int
    largest: int

    @classmethod
    def of(cls, entries: Mapping[str, Entry], target: str, height: int, width: int, channels: int) -> Footprint:
        """The footprint on an image of that size, whose entries are given."""
        paths = list(entries)
        before = [entries[path] for path in paths[: paths.index(target) + 1]]
        cells = [height * width, *(entry.height * entry.width for entry in before)]
        maps = [height * width * channels, *(e.height * e.width * (e.channels or 1) for e in before)]
        return cls(height * width, sum(cells), sum(maps), max(maps))

    def check_probe(self, layer: str, images: int, sizes: tuple[int, int], *, thin: bool) -> None:
        """Refuse to backpropagate through the probe on images of that size, in a batch, if memory will not do."""
        share = images * math.prod(sizes) / self.image
        needed = 2.0 * _DOUBLE * share * (self.thin if thin else self.full)
        check_memory(f"Measuring {layer!r} on {sizes[1]}x{sizes[0]} pixels", needed, _SMALLER)

    def check_gradient(self, layer: str, sizes: tuple[int, int]) -> None:
        """Refuse to backpropagate through the network itself on a part of that size."""
        needed = 2.0 * _SINGLE * self.full * math.prod(sizes) / self.image
        check_memory(f"Backpropagating from {layer!r} on {sizes[1]}x{sizes[0]} pixels", needed, _SMALLER)

    def check_forward(self, layer: str) -> None:
        """Refuse to run the network itself on the image: the largest map, what it comes from and what it becomes."""
        check_memory(f"The feature map of {layer!r}", 3.0 * _SINGLE * self.largest, _SMALLER)
