"""What inputs of one, two and three axes are called, and how each framework writes their shapes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Rank(NamedTuple):
    """Words for inputs of so many axes.

    Attributes:
        axes: their names, in the order of `rfwidget.types`.
        thing: what the input is.
        unit: what it consists of, several of them.
        grid: what a layer's output is, with an article.
        order: the shape of an array of it, channels last.
        channels_first: the same in PyTorch's order.
    """

    axes: str
    thing: str
    unit: str
    grid: str
    order: str
    channels_first: str

    @property
    def pair(self) -> str:
        """The axes as the fields of a cell.

        >>> RANKS[2].pair, RANKS[1].pair
        ('(x, y)', '(x,)')
        """
        return f"({', '.join(self.axes)}{',' if len(self.axes) == 1 else ''})"


RANKS = {
    1: Rank("x", "sequence", "samples", "a one-dimensional grid", "(length, channels)", "(channels, length)"),
    2: Rank(
        "xy",
        "image",
        "pixels",
        "a two-dimensional grid",
        "(height, width, channels)",
        "(channels, height, width)",
    ),
    3: Rank(
        "xyz",
        "volume",
        "voxels",
        "a three-dimensional grid",
        "(depth, height, width, channels)",
        "(channels, depth, height, width)",
    ),
}
"""By the number of axes."""


def measured(lengths: Iterable[float], by: str = "x") -> str:
    """Lengths along x, y, ... in words.

    >>> measured((96, 64)), measured((1000,)), measured((32, 32, 16), by=" x ")
    ('96x64 pixels', '1000 samples', '32 x 32 x 16 voxels')
    """
    sides = [f"{length:.0f}" for length in lengths]
    return f"{by.join(sides)} {RANKS[len(sides)].unit}"
