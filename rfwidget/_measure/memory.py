"""How much is too much: refusals that come before the memory is asked for, not after it has run out.

A kernel that runs out of memory is killed, and takes everything in the notebook with it; so large work is estimated
first. The estimates are rough and the limits generous: they are there for mistakes, such as a whole photograph at full
size, not to save memory. Images have limits of their own in `rfwidget.image`.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from rfwidget.errors import ReceptiveFieldError
from rfwidget.ranks import RANKS, measured
from rfwidget.types import GridShape

MAX_CELLS = 2**26
"""Cells of the largest grid that is measured."""

MAX_SHOWN_CELLS = 2**20
"""Cells of the largest grid whose feature map is sent to a browser."""

_LEFT_ALONE = 0.9
"""Part of the free memory that one piece of work may take."""

_MOST = 2.0 * 2**30
"""Bytes that work which can be cut into parts takes at most."""

_CONTROL_GROUP = Path("/sys/fs/cgroup")


def check_grid(grid: GridShape, layer: str, image: GridShape) -> None:
    """Refuse a layer that has no cell on the image, or too many to handle.

    Args:
        grid: the layer's output.
        layer: its name.
        image: the model's input.
    """
    if min(grid.size) < 1:
        raise ReceptiveFieldError(
            f"layer {layer!r} has no cell on {article(image)} of {measured(image.size)}: ask for a larger input_shape"
        )
    if math.prod(grid.size) > MAX_CELLS:
        cells = "x".join(map(str, grid.size))
        raise ReceptiveFieldError(
            f"layer {layer!r} has {cells} cells on {article(image)} of {measured(image.size)}: at most {MAX_CELLS:,} "
            "can be handled, ask for a smaller input_shape"
        )


def article(image: GridShape) -> str:
    """What the input is, with its article: ``an image``, ``a sequence``."""
    thing = RANKS[len(image.size)].thing
    return f"{'an' if thing[0] in 'aeiou' else 'a'} {thing}"


def check_memory(what: str, needed: float, advice: str) -> None:
    """Refuse work that needs more memory than there is.

    Args:
        what: the work, at the beginning of a sentence.
        needed: bytes, roughly.
        advice: what to do instead.

    Raises:
        ReceptiveFieldError: if more is needed than nine tenths of what is free.
    """
    free = free_memory()
    if free is not None and needed > _LEFT_ALONE * free:
        raise ReceptiveFieldError(f"{what} needs about {_gib(needed)}, and {_gib(free)} are free: {advice}")


def share() -> float:
    """Bytes that work which can be cut into parts takes at once."""
    free = free_memory()
    return _MOST if free is None else min(_MOST, free / 2)


def free_memory() -> int | None:
    """Bytes that this process can still get, as far as the system tells; None: it does not."""
    known = [free for free in (_free_on_machine(), _free_in_group()) if free is not None]
    return min(known) if known else None


def _free_on_machine() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError, IndexError):
        pass
    try:  # no Linux: all the memory there is
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return None


def _free_in_group() -> int | None:
    """What a container's limit leaves; memory that only caches files counts as free."""
    try:
        limit = int((_CONTROL_GROUP / "memory.max").read_text(encoding="ascii"))
        used = int((_CONTROL_GROUP / "memory.current").read_text(encoding="ascii"))
        lines = (_CONTROL_GROUP / "memory.stat").read_text(encoding="ascii").splitlines()
        cached = sum(int(line.split()[1]) for line in lines if line.startswith(("inactive_file ", "active_file ")))
    except (OSError, ValueError, IndexError):  # no container, or no limit ("max")
        return None
    return max(0, limit - used + cached)


def _gib(count: float) -> str:
    return f"{count / 2**30:.3g} GiB"


_DOUBLE, _SINGLE = 8, 4

_SMALLER = "ask for a smaller input_shape, or for an earlier layer"


class Footprint(NamedTuple):
    """The maps of a network up to a layer, on an image. Workspaces of kernels are counted as one more of the largest.

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
    def of(cls, shapes: Sequence[Sequence[int]], pixels: int) -> Footprint:
        """The footprint of maps of some shapes, on an image of so many pixels."""
        sizes = [math.prod(shape) for shape in shapes]
        thin = [size // max((1, *shape[-1:])) for size, shape in zip(sizes, shapes, strict=True)]
        return cls(pixels, sum(thin), sum(sizes), max(sizes))

    def on(self, pixels: int) -> Footprint:
        """The footprint on an image of another size."""
        scaled = (count * pixels // self.image for count in (self.thin, self.full, self.largest))
        return Footprint(pixels, *scaled)

    def check_linear(self, layer: str, images: int, sizes: Sequence[int], *, thin: bool) -> None:
        """Refuse to backpropagate through a linear copy, on images of that size in a batch, if memory will not do."""
        needed = 2.0 * _DOUBLE * images * (self.thin if thin else self.full) * math.prod(sizes) / self.image
        check_memory(f"Measuring {layer!r} on {measured(reversed(sizes))}", needed, _SMALLER)

    def check_touched(self, layer: str, sets: int) -> None:
        """Refuse to follow so many sets of pixels through the network."""
        check_memory(f"Following pixels to {layer!r}", 2.0 * sets * self.thin, _SMALLER)

    def check_gradient(self, layer: str, sizes: Sequence[int]) -> None:
        """Refuse to backpropagate through the network itself on a part of that size."""
        needed = 2.0 * _SINGLE * (self.full + self.largest) * math.prod(sizes) / self.image
        check_memory(f"Backpropagating from {layer!r} on {measured(reversed(sizes))}", needed, _SMALLER)

    @property
    def forward(self) -> float:
        """Bytes for running the network itself on the image: largest map, what it comes from, what it becomes, work."""
        return 6.0 * _SINGLE * self.largest

    def check_forward(self, layer: str) -> None:
        """Refuse to run the network itself on the image."""
        check_memory(f"The feature map of {layer!r}", self.forward, _SMALLER)
