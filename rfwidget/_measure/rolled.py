"""Grids that are rolled up: tensors ``(batch, tokens, channels)`` whose tokens are the places of a grid.

Which axis holds the tokens, and which of them stand in front of the grid (class tokens, registers), is measured: on
local paths, where attention over the whole image is left out, every token still depends on its own patch, and a class
token on nothing. What shape the grid has is known from the reshape that rolled it up (`rfwidget._measure.spans.Roll`),
or from what the tokens see; it must not contradict what they see.

Nothing here knows a framework.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rfwidget._measure import spans
from rfwidget._measure.spans import NOWHERE, Carried, Roll
from rfwidget.errors import ReceptiveFieldError, SizeRefusedError
from rfwidget.geometry import AxisField

RANK = 3
"""Axes of a tensor of tokens."""

HOW_TO_SAY = "If its tokens are the places of a grid, give the shape to the estimator: grid=(height, width)"

Ints = npt.NDArray[np.int32]


class Tokens(NamedTuple):
    """Where the grid lies in a tensor of tokens.

    Attributes:
        axis: of the tokens.
        before: tokens in front of the grid.
        after: tokens behind it.
        order: image axes in the order in which they were rolled up; ``(0, 1)`` if row stands behind row.
        single: number of the one token that is meant, a grid of one cell; None: the grid.
        lengths: the grid at the size asked for.
    """

    axis: int
    before: int
    after: int
    order: tuple[int, ...]
    single: int | None = None
    lengths: tuple[int, ...] | None = None

    @property
    def batch(self) -> int:
        """Axis of the images."""
        return 1 if self.axis == 0 else 0

    @property
    def channels(self) -> int:
        """Axis of the channels."""
        return next(axis for axis in range(RANK) if axis not in (self.axis, self.batch))

    @property
    def moved(self) -> tuple[int, int, int]:
        """Order of the axes that makes it ``(batch, tokens, channels)``."""
        return self.batch, self.axis, self.channels

    @property
    def others(self) -> tuple[int, ...]:
        """Numbers of the tokens that belong to no place; those behind the grid count from the end."""
        return (*range(self.before), *range(-self.after, 0))

    def only(self, number: int) -> Tokens:
        """One token, as a grid of one cell."""
        return self._replace(single=number)

    def grid(self, x: Carried) -> tuple[int, ...] | None:
        """Cells along each image axis; None: they cannot be told."""
        if self.single is not None:
            return (1,) * len(self.order)
        if x.rank != RANK:
            return None
        count = x.shape[self.axis] - self.before - self.after
        if self.lengths is not None and math.prod(self.lengths) == count:
            return self.lengths
        rolls = _rolls(x.marks.rolls, x, self.axis, self.before, count)
        found = {roll.lengths for roll in rolls if roll.order == self.order}
        return _in_order(found.pop(), self.order) if len(found) == 1 else None

    def grid_on(
        self, lengths: Sequence[int], asked: Sequence[int], grid: Sequence[int], axes: Sequence[AxisField] | None
    ) -> tuple[int, ...]:
        """Cells along each image axis on an image of some lengths.

        Args:
            lengths: of that image.
            asked: of the image whose grid is known.
            grid: on that.
            axes: receptive fields along each image axis; None: unknown.

        Raises:
            SizeRefusedError: if it cannot be told.
        """
        if self.single is not None or tuple(lengths) == tuple(asked):
            return tuple(grid)
        found = []
        for n, own, cells, field in zip(lengths, asked, grid, axes or (None,) * len(grid), strict=True):
            if n == own:
                found.append(cells)
                continue
            if field is None or not field.pixels or (n - own) * field.cells % field.pixels:
                raise SizeRefusedError(f"the grid of tokens on an image of {tuple(lengths)} is unknown")
            found.append(cells + (n - own) * field.cells // field.pixels)
        return tuple(found)

    def unrolled(self, x: Carried, grid: Sequence[int]) -> Carried:
        """The grid, ``(1, *grid, channels)``.

        Args:
            x: the tensor of tokens.
            grid: cells along each image axis.
        """
        x = spans.transpose(x, self.moved)
        first = self.before if self.single is None else self.single % x.shape[1]
        x = spans.cut(x, 1, first, first + math.prod(grid))
        x = spans.reshape(x, (x.shape[0], *(grid[axis] for axis in self.order), x.shape[-1]))
        back = [1 + self.order.index(axis) for axis in range(len(self.order))]
        return spans.transpose(x, (0, *back, x.rank - 1))


def _in_order(lengths: Sequence[int], order: Sequence[int]) -> tuple[int, ...]:
    """Lengths in the order of the image's axes, from those in the order of the roll."""
    return tuple(lengths[order.index(axis)] for axis in range(len(order)))


def check_said(
    said: Sequence[int] | None, known: Mapping[str, Sequence[int]], unknown: Mapping[str, Sequence[int]]
) -> None:
    """See that a grid as the caller says it fits some layer.

    Args:
        said: cells along each image axis; None: nothing is said.
        known: grids of layers of tokens, by name.
        unknown: shapes of what other layers give that may be tokens, by name.

    Raises:
        ReceptiveFieldError: if none has so many tokens, or those that have are known to be another grid.
    """
    if said is None or any(tuple(grid) == tuple(said) for grid in known.values()):
        return
    cells, counts = math.prod(said), {n for shape in unknown.values() for n in shape if n > 1}
    if cells in counts:
        return
    begin = f"grid={tuple(said)} is {' x '.join(map(str, said))} = {cells} tokens"
    for name, grid in known.items():
        if math.prod(grid) == cells:
            raise ReceptiveFieldError(f"{begin}, but those of {name!r} are the places of a grid {tuple(grid)}")
    some = sorted({math.prod(grid) for grid in known.values()} or {n for shape in unknown.values() for n in shape[:2]})
    told = f"they give {', '.join(map(str, some))}" if some else "none gives tokens"
    raise ReceptiveFieldError(f"{begin}, which no layer gives: {told}")


def named(layer: str, tokens: Tokens | None) -> list[tuple[str, Tokens | None]]:
    """A layer's grid, and the tokens in front of it, by name.

    >>> [name for name, _ in named("blocks.3", Tokens(axis=1, before=2, after=0, order=(0, 1)))]
    ['blocks.3', 'blocks.3[0]', 'blocks.3[1]']
    """
    if tokens is None:
        return [(layer, None)]
    return [(layer, tokens), *((f"{layer}[{number}]", tokens.only(number)) for number in tokens.others)]


def is_candidate(x: Carried) -> bool:
    """Whether a tensor may be one of tokens of an image or a volume."""
    return (
        x.rank == RANK
        and x.image_axes > 1
        and x.marks.derived
        and 1 in x.shape[:2]
        and x.shape[-2:] not in x.marks.pairs
        and math.prod(x.shape[:2]) > 1
    )


def find(whole: Carried, local: Carried | None, said: Sequence[int] | None = None) -> Tokens | None:
    """How a grid lies in a tensor.

    Args:
        whole: the tensor.
        local: the same on local paths; None: it could not be run so.
        said: cells along each image axis, as the caller says; taken where nothing else is known.

    Returns:
        None if its tokens are no places of a grid, or it cannot be told which.
    """
    if not is_candidate(whole):
        return None
    local = whole if local is None or local.shape != whole.shape else local
    apart = {axis for image_axis in range(local.image_axes) for axis in local.along(image_axis)}
    found: list[tuple[float, Tokens]] = []
    for axis in range(RANK):
        batch = 1 if axis == 0 else 0
        if whole.shape[batch] != 1 or whole.shape[axis] < 2 or (apart and axis not in apart):
            continue
        ends = _ends(local, axis)
        if ends is None:
            if said is None:
                continue
            ends = 0, 0
        before, after = ends
        count = whole.shape[axis] - before - after
        rolls = _rolls(whole.marks.rolls | local.marks.rolls, local, axis, before, count) if count > 1 else []
        if said is not None and not rolls and math.prod(said) == count:
            order = tuple(range(whole.image_axes))
            found.append((_spread(local, axis), Tokens(axis, before, after, order, lengths=tuple(said))))
        elif len(rolls) == 1:
            grid = _in_order(rolls[0].lengths, rolls[0].order)
            found.append((_spread(local, axis), Tokens(axis, before, after, rolls[0].order, lengths=grid)))
    if not found:
        return None
    found.sort(key=lambda one: one[0])
    # Where what is seen does not tell the tokens from the channels, only the caller may have said which they are.
    if len(found) > 1 and found[0][0] == found[1][0] and said is None:
        return None
    return found[0][-1]


def _rows(x: Carried, axis: int) -> list[Ints]:
    """For each image axis, the ends ``(-first, last)`` of what is seen at each place of an axis."""
    rows = []
    for plane in x.planes[: x.image_axes]:
        across = tuple(1 + other for other in range(x.rank) if other != axis)
        parts = [factor[:2].max(axis=across) for factor in plane]
        rows.append(np.broadcast_to(np.max(np.broadcast_arrays(*parts), axis=0), (2, x.shape[axis])))
    return rows


def _ends(x: Carried, axis: int) -> tuple[int, int] | None:
    """Numbers of places at the beginning and at the end of an axis that see nothing; None if there are others."""
    seen = np.any([row[1] != NOWHERE for row in _rows(x, axis)], axis=0)
    some = np.flatnonzero(seen)
    if not some.size or len(some) != some[-1] - some[0] + 1:
        return None
    return int(some[0]), len(seen) - 1 - int(some[-1])


def _spread(x: Carried, axis: int) -> float:
    """How much of the image one place of an axis sees, on the average: the less, the more they are places."""
    return float(np.mean([np.where(row[1] == NOWHERE, 0, row[0] + row[1]).mean() for row in _rows(x, axis)]))


def _rolls(done: Iterable[Roll], x: Carried, axis: int, before: int, count: int) -> list[Roll]:
    """How a grid of so many tokens may have been rolled up.

    As a reshape is known to have done it, if what is seen does not contradict; else as follows from what is seen alone.
    """
    rows = [row[:, before : before + count] for row in _rows(x, axis)]
    known = [roll for roll in done if math.prod(roll.lengths) == count and _suits(rows, roll, strictly=False)]
    if len(known) > 1:
        known = [roll for roll in known if _suits(rows, roll, strictly=True)] or known
    if known:
        return known
    order = tuple(range(x.image_axes))
    rolls = (Roll(lengths, order) for lengths in _factors(count, len(order)))
    return [roll for roll in rolls if _suits(rows, roll, strictly=True)]


def _suits(rows: Sequence[Ints], roll: Roll, *, strictly: bool) -> bool:
    """Whether what tokens see along each image axis depends on their place along that axis alone, and goes one way.

    Args:
        rows: what they see, for each image axis.
        roll: the shape.
        strictly: whether places that are side by side must also see different things.
    """
    for image_axis, row in enumerate(rows):
        parted = row.reshape(2, *roll.lengths)
        place = 1 + roll.order.index(image_axis)
        across = tuple(axis for axis in range(1, parted.ndim) if axis != place)
        if (parted.max(axis=across) != parted.min(axis=across)).any():
            return False
        line = np.moveaxis(parted, place, 1).reshape(2, parted.shape[place], -1)[..., 0]
        if strictly and (line[:, 1:] == line[:, :-1]).all(axis=0).any():
            return False
        # Towards the borders cells may see what lies at the other end, round a shifted window.
        quarter = line.shape[1] // 4
        steps = np.diff((line[1] - line[0])[quarter : line.shape[1] - quarter])
        if (steps < 0).any() and (steps > 0).any():
            return False
    return True


def _factors(count: int, axes: int) -> Iterator[tuple[int, ...]]:
    """All ways to write a number as a product of so many larger than one, in order."""
    if axes == 1:
        if count > 1:
            yield (count,)
        return
    for first in range(2, count // 2 + 1):
        if count % first == 0:
            for rest in _factors(count // first, axes - 1):
                yield (first, *rest)
