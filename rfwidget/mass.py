"""Sums of maps that do not depend on the order of addition, and how sure one can be of what is read from them.

A map of mass is summed over many images, on several machines perhaps, and the parts are added. Plain floats would give
another last bit for every order, so each sum is carried as two: what it is, and what rounding has left out. Beside it
some groups of images are summed alone, for what is left when a group is missing tells how much the rest depends on it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

GROUPS = 8
"""Into how many groups images are dealt."""


class Mass:
    """Maps ``(h, w)``, ``(l,)`` or ``(d, h, w)`` summed over images.

    Args:
        lengths: of the map, in the order of arrays.

    >>> one, other = Mass(1, 2), Mass(1, 2)
    >>> one.begin_image()
    >>> one.add(np.array([[1e16, 0.1]]), (0, 0))
    >>> other.begin_image()
    >>> other.add(np.array([[1.0, 0.2]]), (0, 0))
    >>> other.begin_image()
    >>> other.add(np.array([[1.0, 0.3]]), (0, 0))
    >>> (one + other).values.tolist() == (other + one).values.tolist() == [[1e16 + 2, 0.6]]
    True
    """

    def __init__(self, *lengths: int) -> None:
        self.images = 0
        self.high: Floats = np.zeros(lengths)
        self.low: Floats = np.zeros(lengths)
        self.groups: Floats = np.zeros((0, *lengths))

    @classmethod
    def of(cls, high: Floats, low: Floats, groups: Floats, images: int) -> Mass:
        """A sum from its parts."""
        mass = cls(*high.shape)
        mass.high, mass.low, mass.groups, mass.images = high, low, groups, images
        return mass

    @property
    def values(self) -> Floats:
        """The sum, correctly rounded but for the rarest of ties."""
        return self.high + self.low

    def begin_image(self) -> None:
        """The maps that are added from now on belong to one more image."""
        if len(self.groups) < GROUPS:
            self.groups = np.concatenate([self.groups, np.zeros((1, *self.high.shape))])
        self.images += 1

    def add(self, values: Floats, corner: Sequence[int]) -> None:
        """Add a map at a place, without what lies outside.

        Args:
            values: the map.
            corner: where it begins along x, y, ...
        """
        target: list[Any] = []
        source: list[Any] = []
        for start, length, room in zip(reversed(corner), values.shape, self.high.shape, strict=True):
            first, last = max(start, 0), min(start + length, room)
            if first >= last:
                return
            target.append(slice(first, last))
            source.append(slice(first - start, last - start))
        place, inside = tuple(target), values[tuple(source)]
        self.groups[((self.images - 1) % GROUPS, *place)] += inside
        self.high[place], left_out = _exact_sum(self.high[place], inside)
        self.low[place] += left_out

    def __add__(self, other: Mass) -> Mass:
        """The sum over the images of both, those of the other one dealt on from where this one ends."""
        high, left_out = _exact_sum(self.high, other.high)
        groups = np.zeros((min(GROUPS, self.images + other.images), *high.shape))
        groups[: len(self.groups)] = self.groups
        for place, group in enumerate(other.groups):
            groups[(self.images + place) % GROUPS] += group
        return Mass.of(high, self.low + other.low + left_out, groups, self.images + other.images)

    def spread(self, figures: Callable[[Floats], Sequence[float]]) -> list[float] | None:
        """How far figures of the sum may be off, for the images are few: a jackknife over the groups.

        Args:
            figures: some numbers from a map; its scale does not matter.

        Returns:
            For each the root of variance plus squared bias; None if there are not two images.
        """
        count = len(self.groups)
        if count < 2:
            return None
        whole = self.values
        rest = np.array([figures(np.maximum(whole - group, 0.0)) for group in self.groups])
        bias = (count - 1) * (rest.mean(axis=0) - np.asarray(figures(whole)))
        variance = (count - 1) / count * ((rest - rest.mean(axis=0)) ** 2).sum(axis=0)
        return [math.sqrt(both) for both in (variance + bias**2).tolist()]


def _exact_sum(a: Floats, b: Floats) -> tuple[Floats, Floats]:
    """The rounded sum, and what rounding has left out: together they are exact (Knuth)."""
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)
