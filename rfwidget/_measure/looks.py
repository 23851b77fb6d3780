"""From looks at a network to the receptive fields of all its layers.

A *look* runs a network once on an image of some size and says, for every map inside, what each cell depends on
(`rfwidget._measure.spans`). Looks at longer images show cells that no border touches, whatever the size asked for; what
repeats there, repeats everywhere. Networks that run at one size only are read there as far as they go.

Image axes are numbered in the order of arrays, and so are pairs of numbers here. Nothing here knows a framework.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from rfwidget._measure.spans import NOWHERE, Carried, Plane, joined
from rfwidget.errors import SizeRefusedError
from rfwidget.geometry import AxisField

Ints = npt.NDArray[np.int32]

# Images grow by multiples of these, which most strides divide: the first two will do for nearly all networks.
_NEAR, _FAR = 192, 768
_STEPS = (1344, 5040, 40320)

_SEVERAL = 4
"""Periods that a step holds at least, where it seems to suit the network."""

_CHEAP = 1 << 23
"""Numbers in all maps up to which a look is taken to be cheap: the first longer one is then much longer."""

_WORK = 3 << 26
"""Numbers in all maps of all looks of a measurement, each once, at most: a second or two for every 2^26."""

_RECENT = 8
"""So many maps before one may share its numbers with it."""

_LOOKS = 24
"""Looks of a measurement, at most."""

_ACROSS = (_NEAR, 360)
"""Pixels by which an image is longer across an axis, if that is short; some networks run at few sizes only."""

_BESIDE = 1 << 22
"""Pixels of the largest image that is longer along one axis, and not too short along the others."""

_PIXELS = 1 << 24
"""Pixels of the largest image that is looked at, unless the one asked for is large: some code has to count them."""

_LONGEST = 1 << 17
"""No longer image is looked at, whatever is still cut off there."""

_PHASES = 64
"""Kinds of cells that are looked for without a sign of them in how maps grow."""

_JOINED = 1 << 20
"""Factors of a plane with so many elements or fewer are looked at together."""

_MOST = 1 << 24
"""Of more elements (the scores of an attention) the extent is not told."""

_LOOPING = 1.5
"""Times as many maps at another size are made by code that loops over the image; windows that are shifted only where
there are several, say, make a few more."""

SPARE = 1 << 25
"""Numbers that a look may keep until it is known which maps are needed."""

_VOLUME = 3
"""Axes of a volume."""

_SMALL = 1 << 16
"""What maps with so many numbers or fewer show is worked out when it is asked for; larger ones are not kept."""


class Line(NamedTuple):
    """What the cells of a map see along one image axis, in a line through its middle.

    Attributes:
        first: first pixel of each cell; 0 where it sees nothing.
        end: last pixel + 1 of each cell; 0 where it sees nothing.
        bordered: whether a border was met on the way to the cell.
        straight: whether all lines beside this one are alike.
        turned: whether it is the lines, and not the cells in them, that see different parts of this axis.
        oblique: whether lines away from the middle reach further: then this one holds what the cells of all lines see.
    """

    first: Ints
    end: Ints
    bordered: npt.NDArray[np.bool_]
    straight: bool
    turned: bool
    oblique: bool = False


class Seen:
    """One map in a look.

    Args:
        tensor: the map.
        places: its axes of places, one for each image axis; None: it is no grid.
        lines: what was found out about planes that other maps share.

    Attributes:
        shape: of the tensor.
        grid: cells along each image axis; None: it is no grid.
        marks: what is known of the whole map.
    """

    def __init__(self, tensor: Carried, places: Sequence[int] | None, lines: _Lines) -> None:
        self.shape, self.marks = tensor.shape, tensor.marks
        self.grid = None if places is None else tuple(tensor.shape[place] for place in places)
        self._tensor: Carried | None = tensor
        self._places, self._lines, self._image_axes = places, lines, tensor.image_axes

    @cached_property
    def lines(self) -> tuple[Line, ...]:
        """One for each image axis of a grid; none of a map that is not needed."""
        if self._tensor is None or self._places is None or 0 in self.shape:
            return ()
        return tuple(self._lines.of(self._tensor, axis, self._places) for axis in range(len(self._places)))

    @cached_property
    def coupled(self) -> bool:
        """Whether what cells see along one axis depends on where they stand along another."""
        if any(line.oblique for line in self.lines):
            return True
        stepwise = self.marks.stepwise or len(self.lines) == _VOLUME
        return stepwise and not all(line.straight or line.turned for line in self.lines)

    @cached_property
    def extents(self) -> tuple[float, ...]:
        """The longest span that no border has cut along each image axis; NaN if borders were met everywhere."""
        if self._tensor is None:
            return (math.nan,) * self._image_axes
        return tuple(_extent(self._tensor, axis) for axis in range(self._image_axes))

    @cached_property
    def nowhere(self) -> bool:
        """Whether the image does not reach it."""
        return self._tensor is not None and self._tensor.nowhere

    def place(self, places: Sequence[int] | None) -> None:
        """Say which its axes of places are, when that is known later; nothing happens once the map is gone."""
        if self._tensor is not None and places != self._places:
            self._places = places
            self.grid = None if places is None else tuple(self.shape[place] for place in places)
            self.__dict__.pop("lines", None)

    def let_go(self, *, needed: bool) -> None:
        """Keep the answers, if they are needed, and not the map."""
        if needed:
            _ = self.lines, self.extents, self.nowhere, self.coupled
        self._tensor = None


@dataclass
class Look:
    """What one run of a network shows; filled in by a wing's interpreter.

    Attributes:
        lengths: of the image, along each image axis.
        needed: numbers of the maps that are to be looked into (see `needed`); None: all.
        maps: everything that the image reaches, in the order in which it was made.
        made: number of the map that a layer gives, by path; the last one if it is called several times.
        reads: numbers of the maps that a layer reads.
        failure: what ended the run before the end of the network.
        work: numbers in all maps together.
        fresh: those of them that no map shares with one shortly before it: what a look really costs.
        loose: whether maps are those of another look by the names of layers alone, for the code makes more of them.
        looping: whether it makes many more: it loops over the image.
        spare: numbers that may be kept until it is known which maps are those of another look.
    """

    lengths: tuple[int, ...]
    needed: Collection[int] | None = None
    maps: list[Seen] = field(default_factory=list)
    made: dict[str, int] = field(default_factory=dict)
    reads: dict[str, tuple[int, ...]] = field(default_factory=dict)
    failure: Exception | None = None
    work: int = 0
    fresh: int = 0
    loose: bool = False
    looping: bool = False
    spare: int = 0
    _lines: _Lines = field(default_factory=lambda: _Lines())
    _recent: deque[list[npt.NDArray[Any]]] = field(default_factory=lambda: deque(maxlen=_RECENT))

    def add(self, tensor: Carried, places: Sequence[int] | None) -> int:
        """Take down a map.

        Args:
            tensor: the map.
            places: its axes of places, one for each image axis; None: it is no grid.

        Returns:
            Its number.
        """
        number, seen = len(self.maps), Seen(tensor, places, self._lines)
        wanted = self.needed is None or number in self.needed
        if wanted and _SMALL < tensor.size <= self.spare:
            self.spare -= tensor.size
        elif not wanted or tensor.size > _SMALL:
            seen.let_go(needed=wanted)
        self.work += tensor.size
        owned = [_owner(factor) for plane in tensor.planes for factor in plane]
        known = {id(one) for some in self._recent for one in some}
        self.fresh += sum(one.size for one in owned if id(one) not in known)
        self._recent.append(owned)
        self.maps.append(seen)
        return number


def _owner(factor: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The array whose memory a factor is a view of."""
    while isinstance(factor.base, np.ndarray):
        factor = factor.base
    return factor


def needed(asked: Look, wanted: Iterable[int]) -> frozenset[int]:
    """Numbers of the maps that longer looks are to look into.

    Args:
        asked: the look at the size asked for.
        wanted: numbers of the maps whose fields are wanted.
    """
    wanted = list(wanted)
    return frozenset(wanted).union(_scales(asked, wanted), *asked.reads.values())


def _scales(asked: Look, wanted: Iterable[int]) -> Iterator[int]:
    """For maps whose cells see all, the last ones before them that tell how far apart such cells are."""
    for number in wanted:
        seen = asked.maps[number]
        before = reversed(asked.maps[:number]) if seen.marks.context else ()
        for earlier, other in enumerate(before, 1):
            if other.grid == seen.grid and not other.marks.context:
                yield number - earlier
                break


class _Lines:
    """Lines of the maps of a look: layers that move nothing share their planes, and so their lines."""

    def __init__(self) -> None:
        self._known: dict[tuple[Any, ...], tuple[Plane, Line]] = {}

    def of(self, tensor: Carried, image_axis: int, places: Sequence[int]) -> Line:
        plane = tensor.planes[image_axis]
        if sum(factor.size for factor in plane) > _SMALL:
            return _line(tensor, image_axis, places)
        key = (*map(id, plane), image_axis, *places, tensor.shape[places[image_axis]])
        if key not in self._known:
            self._known[key] = (plane, _line(tensor, image_axis, places))  # kept alive, for their addresses tell them
        return self._known[key][1]


def _line(tensor: Carried, image_axis: int, places: Sequence[int]) -> Line:
    """The middle of a map, where the borders of the other axes are farthest away, its channels joined.

    Of a volume, and behind a recurrence, it is all of the map: where fields grow step by step, the largest counts. It
    is all of a map, too, in which lines reach further than those in the middle, that is sheared, say.
    """
    found, further = _joined_lines(tensor, image_axis, places, all_=len(places) == _VOLUME or tensor.marks.stepwise)
    if not further or found.turned:
        return found
    return _joined_lines(tensor, image_axis, places, all_=True)[0]._replace(oblique=True)


def _joined_lines(tensor: Carried, image_axis: int, places: Sequence[int], *, all_: bool) -> tuple[Line, bool]:
    """All lines of a map, or those in its middle, as one; and whether others reach further that no border has cut."""
    plane, place, straight, further = tensor.planes[image_axis], places[image_axis], True, False
    if math.prod(np.broadcast_shapes(*(factor.shape for factor in plane))) <= _JOINED:
        plane = (joined(plane),)
    rows: list[npt.NDArray[Any]] = []
    for factor in plane:
        for axis in range(tensor.rank):
            length = factor.shape[1 + axis]
            if axis == place or length == 1:
                continue
            if axis in places:
                factor = _not_empty(factor, axis)
                length = factor.shape[1 + axis]
                straight = straight and _are_alike(factor, axis, _central(length, 2))
                if not all_:
                    further = further or _reach_further(factor, axis)
                    factor = factor[(*(slice(None),) * (1 + axis), _central(length, 1))]
            factor = factor.max(axis=1 + axis, keepdims=True)
        rows.append(np.broadcast_to(factor.reshape(3, -1), (3, tensor.shape[place])))
    low, high, bordered = np.max(rows, axis=0)
    first, end = np.where(high == NOWHERE, 0, -low), np.where(high == NOWHERE, 0, high)
    alike = bool((first == first[:1]).all() and (end == end[:1]).all())
    return Line(first, end, bordered > 0, straight, not straight and len(first) > 1 and alike), further


def _not_empty(factor: npt.NDArray[Any], axis: int) -> npt.NDArray[Any]:
    """The lines along an axis that see anything: those that lie in padding say nothing of the others."""
    seeing = np.moveaxis(factor[1] != NOWHERE, axis, 0).reshape(factor.shape[1 + axis], -1).any(axis=1)
    return factor if seeing.all() or not seeing.any() else factor.compress(seeing, 1 + axis)


def _reach_further(factor: npt.NDArray[Any], axis: int) -> bool:
    """Whether lines away from the middle of an axis see what those in the middle do not, and no border is to blame."""
    lines = np.moveaxis(factor, 1 + axis, 0)
    middle = lines[_central(len(lines), 1), :2].max(axis=0)
    every = np.where(lines[:, 2:] > 0, NOWHERE, lines[:, :2]).max(axis=0)
    both = (middle[1] != NOWHERE) & (every[1] != NOWHERE)
    return bool(((every > middle) & both).any())


def _central(length: int, least: int) -> slice:
    """The middle third of so many lines, but no fewer than some of them."""
    first = min(length // 3, max(length - least, 0))
    return slice(first, max(length - length // 3, first + least))


def _are_alike(factor: npt.NDArray[Any], axis: int, some: slice) -> bool:
    """Whether some of the lines along an axis of a map see the same."""
    lines = factor[(slice(2), *(slice(None),) * axis, some)]
    return bool((lines == lines.take([0], 1 + axis)).all())


def _extent(tensor: Carried, image_axis: int) -> float:
    lengths = np.broadcast_shapes(*(factor.shape for factor in tensor.planes[image_axis]))
    if 0 in tensor.shape or math.prod(lengths) > _MOST:
        return math.nan
    first, end = tensor.spans(image_axis)
    free = ~tensor.bordered(image_axis)
    return float((end - first)[free].max()) if free.any() else math.nan


class Fields(NamedTuple):
    """The receptive fields of a network's maps at the size asked for.

    Attributes:
        axes: fields of a map along each image axis, by number; None where the image does not reach it.
        sizes: extents of every map that a layer reads along each image axis, grids or not; NaN where unknown.
        period: shift of the image, along each axis, after which everything inside repeats.
        resizable: whether the network does the same on images of other sizes, along each axis.
        partial: numbers of maps of which only the part inside the image is known, along some axis.
        margins: of every grid, along each image axis, how many cells at its first and at its last end meet a border.
        cut_short: whether more would be known of these if longer images did not cost too much to be looked at.
        coupled: numbers of maps whose cells see something else along some axis where they stand elsewhere along
            another; of these the fields hold what all cells in a line see.
    """

    axes: Mapping[int, tuple[AxisField, ...] | None]
    sizes: Sequence[tuple[float, ...]]
    period: tuple[int, ...]
    resizable: tuple[bool, ...]
    partial: frozenset[int]
    margins: Mapping[int, tuple[tuple[int, int], ...]]
    cut_short: bool = False
    coupled: frozenset[int] = frozenset()


def measure(look: Callable[[tuple[int, ...]], Look], asked: Look, wanted: Sequence[int]) -> Fields:
    """Receptive fields of some maps of a network, along all image axes.

    Args:
        look: runs the network on an image of some lengths, and looks into the maps that are `needed` at least;
            SizeRefusedError where it does not run at all.
        asked: the look at the size asked for.
        wanted: numbers of the maps, grids all of them.
    """
    looked_into = needed(asked, wanted)
    looks = _Looks(look, asked, looked_into)
    axes = [_Axis(looks, asked, wanted, axis) for axis in range(len(asked.lengths))]
    fields: dict[int, tuple[AxisField, ...] | None] = {}
    partial: set[int] = set()
    for number in wanted:
        if asked.maps[number].nowhere and not all(axis.reached(number) for axis in axes):
            fields[number] = None
            continue
        fields[number] = tuple(axis.field(number) for axis in axes)
        if any(number in axis.partial for axis in axes):
            partial.add(number)
    unknown = (math.nan,) * len(axes)
    sizes = [
        tuple(axis.size(number) for axis in axes) if number in looked_into else unknown
        for number in range(len(asked.maps))
    ]
    resizable = tuple(a.resizable for a in axes)
    margins = {number: tuple(axis.margin(number) for axis in axes) for number in wanted}
    period = tuple(axis.period for axis in axes)
    coupled = frozenset(number for number in wanted if asked.maps[number].coupled)
    return Fields(fields, sizes, period, resizable, frozenset(partial), margins, looks.exhausted, coupled)


class _Looks:
    """Looks at longer images, along all axes at once where each map has axes of its own for them.

    Attributes:
        exhausted: whether a look was not made because it would have cost too much.
        suited: a step that told all along an axis; None: not known yet. It is tried first along the others.
    """

    def __init__(self, look: Callable[[tuple[int, ...]], Look], asked: Look, needed_: frozenset[int]) -> None:
        self._look, self._asked, self._needed = look, asked, needed_
        self._known: dict[tuple[int, ...], Look | None] = {}
        # Where a recurrence goes along one axis, what is seen along the others may grow with every step: then images
        # are longer along one axis alone.
        self._coupled = any(asked.maps[number].coupled for number in needed_)
        self._jointly = len(asked.lengths) > 1 and not self._coupled
        self.exhausted = False
        self.suited: int | None = None

    @property
    def steps(self) -> tuple[int, ...]:
        """Numbers of pixels to try, by whose multiples images grow."""
        steps = (*sorted({first_step(self._asked.lengths, self._asked.work), _FAR}), *_STEPS)
        return steps if self.suited is None else (self.suited, *(step for step in steps if step != self.suited))

    def longer(self, axis: int, more: int) -> Look | None:
        """A look at an image that is longer along an axis; None if the network does not do the same there."""
        jointly = tuple(n + more for n in self._asked.lengths)
        if self._jointly and self._is_affordable(jointly, self._trend()):
            found = self._at(jointly)
            self._jointly = found is not None and all(map(_grows_apart, self._asked.maps, found.maps))
            if self._jointly:
                return found
        alone = tuple(n + more * (a == axis) for a, n in enumerate(self._asked.lengths))
        # Across the axis the image must not be so short that all cells meet a border there.
        for more_beside in _ACROSS:
            beside = tuple(n if a == axis or n >= _NEAR else n + more_beside for a, n in enumerate(alone))
            if beside == alone or self._coupled or math.prod(beside) > _BESIDE or not self._is_affordable(beside, 1.0):
                break
            found = self._at(beside)
            if found is not None and len(found.maps) == len(self._asked.maps):
                return found
        if not self._is_affordable(alone, 1.0):
            self.exhausted = True
            return None
        return self._at(alone)

    def before(self, axis: int, longer: Look) -> Look:
        """The look that shows how maps grow along an axis towards a longer one: across it, both are as long."""
        across = [n for a, n in enumerate(longer.lengths) if a != axis]
        more = longer.lengths[axis] - self._asked.lengths[axis]
        own = [n for a, n in enumerate(self._asked.lengths) if a != axis]
        if across in (own, [n + more for n in own]):
            return self._asked
        lengths = tuple(self._asked.lengths[a] if a == axis else n for a, n in enumerate(longer.lengths))
        return self._at(lengths) or self._asked

    def _is_affordable(self, lengths: tuple[int, ...], trend: float) -> bool:
        if lengths in self._known:
            return True
        made = [found for found in self._known.values() if found is not None]
        expected = min(
            one.fresh * max(math.prod(lengths) / math.prod(one.lengths), 1.0) ** trend for one in [self._asked, *made]
        )
        if math.prod(lengths) > max(_PIXELS, 4 * math.prod(self._asked.lengths)):
            return False
        return len(self._known) < _LOOKS and sum(one.fresh for one in made) + expected <= _WORK

    def _trend(self) -> float:
        """How the work grows with the number of pixels, as a power: half of it where lines tell all."""
        joint = [one for one in self._known.values() if one is not None and self._is_joint(one)]
        if not joint:
            return 1.0
        largest = max(joint, key=lambda one: one.lengths)
        times = math.prod(largest.lengths) / math.prod(self._asked.lengths)
        return min(1.0, math.log(max(largest.work / max(self._asked.work, 1), 1.0)) / math.log(times))

    def _is_joint(self, look: Look) -> bool:
        return all(a != b for a, b in zip(look.lengths, self._asked.lengths, strict=True))

    def _at(self, lengths: tuple[int, ...]) -> Look | None:
        if lengths not in self._known:
            self._known[lengths] = self._compared(lengths)
        return self._known[lengths]

    def _compared(self, lengths: tuple[int, ...]) -> Look | None:
        try:
            longer = self._look(lengths)
        except SizeRefusedError:
            return None
        if longer.failure is None and self._asked.failure is None and len(longer.maps) != len(self._asked.maps):
            return self._matched(longer)
        count = min(len(longer.maps), len(self._asked.maps))
        same = all(len(a.shape) == len(b.shape) for a, b in zip(self._asked.maps, longer.maps, strict=False))
        if not same or not count:
            return None
        longer.maps = longer.maps[:count]
        for number, seen in enumerate(longer.maps):
            if number not in self._needed:
                seen.let_go(needed=False)
        return longer

    def _matched(self, longer: Look) -> Look | None:
        """The maps of layers that go by the same names; in place of others, those that were asked for."""
        maps, some = list(self._asked.maps), False
        for name, number in self._asked.made.items():
            found = longer.maps[longer.made[name]] if name in longer.made else None
            if found is not None and len(found.shape) == len(maps[number].shape):
                maps[number], some = found, True
        if not some:
            return None
        looping = len(longer.maps) > _LOOPING * len(self._asked.maps)
        matched = Look(longer.lengths, None, maps, self._asked.made, self._asked.reads, loose=True, looping=looping)
        matched.work, matched.fresh = longer.work, longer.fresh
        return matched


def first_step(lengths: Sequence[int], work: int) -> int:
    """Pixels by which the first longer image is longer.

    Args:
        lengths: of the image asked for.
        work: numbers in all maps there.
    """
    times = math.prod(n + _FAR for n in lengths) / math.prod(lengths)
    return _FAR if work * times <= _CHEAP else _NEAR


def _grows_apart(before: Seen, after: Seen) -> bool:
    """Whether a map grows along its axes of places only, each by itself."""
    if before.shape == after.shape:
        return True
    if before.grid is None or after.grid is None:
        return False
    return sum(a != b for a, b in zip(before.shape, after.shape, strict=True)) <= sum(
        a != b for a, b in zip(before.grid, after.grid, strict=True)
    )


class _Attempt(NamedTuple):
    """What looks told that are longer by multiples of a step.

    Attributes:
        longest: the longest of them.
        period: shift of the image after which everything inside repeats.
        found: fields by number.
        doubtful: numbers of maps that do not grow by as many cells as maps before them show.
        complete: whether the others are cut by borders even there; else the step is to blame.
    """

    longest: Look
    period: int
    found: dict[int, AxisField]
    doubtful: frozenset[int]
    complete: bool

    @property
    def rank(self) -> tuple[int, int]:
        """The larger, the more it tells."""
        return len(self.found), -len(self.doubtful)


class _Axis:
    """Everything about one image axis.

    Attributes:
        period: shift of the image after which everything inside repeats.
        resizable: whether the network does the same on longer images, as far as the maps that are wanted go.
        partial: numbers of maps of which only the part inside the image is known.
    """

    def __init__(self, looks: _Looks, asked: Look, wanted: Sequence[int], axis: int) -> None:
        self._axis, self._asked = axis, asked
        self._length = asked.lengths[axis]
        self.partial: set[int] = set()
        self._found: dict[int, AxisField] = {}
        self._long: Look | None = None
        self._likely = False
        self.period = 1
        best: _Attempt | None = None
        # A step that is no number of periods mostly shows in how maps grow; longer looks by such a step come last.
        for step in sorted(looks.steps, key=lambda step: not self._is_likely(looks, wanted, step)):
            attempt = self._attempt(looks, wanted, step)
            if attempt is not None and (best is None or attempt.rank > best.rank):
                best = attempt
            if attempt is not None and attempt.complete:
                looks.suited = step
                break
        if best is not None:
            self._long, self.period = best.longest, best.period
            for number, known in best.found.items():
                self._found[number] = with_others(known, asked.maps[number].lines[axis], self._length)
        self.resizable = best is not None and all(
            (n in best.found and n not in best.doubtful) or asked.maps[n].nowhere for n in wanted
        )

    def reached(self, number: int) -> bool:
        """Whether the image reaches a map at a longer size: at the one asked for, all may lie in holes."""
        return number in self._found

    def margin(self, number: int) -> tuple[int, int]:
        """Cells at the first and at the last end of a grid that meet a border, in a long image."""
        if self._long is None or number not in self._found or number >= len(self._long.maps):
            return 0, 0
        lines = self._long.maps[number].lines
        free = np.flatnonzero(~lines[self._axis].bordered) if lines else np.empty(0)
        if not free.size:
            return 0, 0
        return int(free[0]), len(lines[self._axis].bordered) - 1 - int(free[-1])

    def field(self, number: int) -> AxisField:
        """Field of a grid."""
        if number in self._found:
            return self._found[number]
        seen = self._asked.maps[number]
        if (
            self._long is not None
            and number < len(self._long.maps)
            and _has_as_many_grids(seen, self._long.maps[number])
            and self._endless(number, self._long)
        ):
            # A grid that does not grow, of cells that see all: pooled to a few. At this size one may have seen all
            # before.
            self._found[number] = unbounded(len(seen.lines[self._axis].first), self._length)
            return self._found[number]
        known, exact = fixed(seen.lines[self._axis], self._length, mixed=self._axis in seen.marks.context)
        if not exact:
            self.partial.add(number)
        self._found[number] = known
        return known

    def size(self, number: int) -> float:
        """Extent of any map; NaN where unknown."""
        if number in self._found:
            return self._found[number].size
        seen = self._asked.maps[number]
        if seen.nowhere:
            return 0.0
        if self._long is not None and number < len(self._long.maps):
            longer = self._long.maps[number]
            if self._axis in longer.marks.context and not longer.extents[self._axis] <= seen.extents[self._axis]:
                return math.inf
            return longer.extents[self._axis]
        return math.inf if self._axis in seen.marks.context else seen.extents[self._axis]

    def _is_likely(self, looks: _Looks, wanted: Sequence[int], step: int) -> bool:
        """Whether a step looks like a number of periods: all maps grow by a number of cells that suits it."""
        if self._likely:
            return False  # one that does is tried first
        first = looks.longer(self._axis, step)
        needed = max(wanted, default=-1) + 1
        if first is None or len(first.maps) < needed:
            return False
        pairs = zip(looks.before(self._axis, first).maps[:needed], first.maps, strict=False)
        grown = (cells for before, after in pairs for cells in _grown(before, after, self._axis))
        self._likely = all(cells == 0 or math.gcd(step, cells) >= _SEVERAL for cells in grown)
        return self._likely

    def _attempt(self, looks: _Looks, wanted: Sequence[int], step: int) -> _Attempt | None:
        """What looks tell that are longer by multiples of a step; None: there are none."""
        first = looks.longer(self._axis, step)
        if first is None:
            return None
        last = max(wanted, default=-1) + 1  # what comes behind does not matter
        base = looks.before(self._axis, first).maps
        common = min(last, len(first.maps), len(base))
        growth = {n: _grown(base[n], first.maps[n], self._axis) for n in range(common)}
        periods = {step // math.gcd(step, cells) for grown in growth.values() for cells in grown}
        period = math.lcm(1, *periods)
        reached = all(n < common for n in wanted)  # else the network does not run to its end on such images
        open_ = [n for n in wanted if n < common and not first.maps[n].nowhere and growth[n][-1]]
        found: dict[int, AxisField] = {}
        doubtful: set[int] = set()
        longer, times, complete = first, 1, reached
        shorter = [(seen, looks.before(self._axis, first).lengths[self._axis]) for seen in base]
        while True:
            again, alike = [], dict[tuple[int, int], AxisField | None]()
            for number in open_:
                line, cells = longer.maps[number].lines[self._axis], growth[number][-1]
                if (id(line), cells) not in alike:
                    alike[id(line), cells] = repeated(line, cells, step, cells * period // step)
                known = alike[id(line), cells]
                if known is None and self._endless(number, longer):
                    known = one_sided(line, cells, step) or unbounded(cells, step)
                if known is None:
                    known = recurrent(line, cells, step, longer)
                if known is None and self._spreads(line, longer.lengths[self._axis], *shorter[number]):
                    known = unbounded(cells, step)
                if known == unbounded(cells, step):
                    paced = self._paced(number, longer, growth)
                    if paced not in (None, known):
                        known, complete = paced, False
                        doubtful.add(number)
                if known is not None:
                    asked = self._asked.maps[number].lines[self._axis]
                    known = anchored(known, asked, longer.lengths[self._axis] - self._length)
                    if longer.loose and not agrees(known, asked, self._length):
                        continue  # it is another layer, or does something else on longer images
                    found[number] = known
                elif len(middle(line)) > 4 * cells:
                    complete = False  # no border is near, and yet nothing repeats: the step is no number of periods
                else:
                    again.append(number)
            times *= 4 if longer.fresh < _CHEAP else 2  # cheap looks cost less than the growth of their images
            # Where code loops over the image, a look at a much longer one takes too long.
            if not again or not complete or longer.looping or self._length + times * step > _LONGEST:
                break
            next_look = looks.longer(self._axis, times * step)
            if next_look is None or len(next_look.maps) < len(longer.maps):
                break
            base = looks.before(self._axis, next_look).maps
            if len(base) < common:
                break
            grown = [_grown(base[n], next_look.maps[n], self._axis) for n in growth]
            # Of the grids alone: a look along all axes may be followed by one along this one.
            told = {n for n in growth if n in again or not longer.loose}
            if any(cells[-1] != times * growth[n][-1] for n, cells in zip(growth, grown, strict=True) if n in told):
                complete = False
                break
            shorter = [(seen, longer.lengths[self._axis]) for seen in longer.maps]
            longer, open_ = next_look, again
        return _Attempt(longer, period, found, frozenset(doubtful), complete)

    def _paced(self, number: int, longer: Look, growth: Mapping[int, Sequence[int]]) -> AxisField | None:
        """The field of cells that see all, as far apart as maps before them show; None if they do not show it.

        How the grid grows does not tell it where the image has not grown by a number of strides: there may be a cell
        too many or too few.
        """
        cells = growth[number][-1]
        before = [n for n in range(number) if n in growth and growth[n][-1]]
        for earlier in sorted(before, key=lambda n: (growth[n][-1] == cells, n), reverse=True):
            seen, own = longer.maps[earlier], growth[earlier][-1]
            shown = None if self._axis in seen.marks.context or not seen.lines else pace(seen.lines[self._axis])
            if shown is not None:
                times, rest = divmod(own, cells)
                return None if rest else unbounded(shown[0], shown[1] * times)
        return None

    def _endless(self, number: int, longer: Look) -> bool:
        """Whether the cells in the middle of a map see what grows with the image."""
        before, after = self._asked.maps[number], longer.maps[number]
        if self._axis not in after.marks.context:
            return False
        one, other = before.lines[self._axis], after.lines[self._axis]
        middle, there = len(one.first) // 2, len(other.first) // 2
        grown = (other.end[there] - other.first[there]) - (one.end[middle] - one.first[middle])
        return bool(grown >= (longer.lengths[self._axis] - self._length) // 2)

    def _spreads(self, line: Line, length: int, before: Seen, length_before: int) -> bool:
        """Whether cells that no border touches see the more the longer the image is: what is added to its mirror image.

        Where they see all on one side, a longer image may yet tell more.
        """
        if before.nowhere or not before.lines:
            return False
        own = before.lines[self._axis]
        chosen, earlier = middle(line), middle(own)
        if not chosen.size or not earlier.size:
            return False
        first, end = line.first[chosen], line.end[chosen]
        grown = (end - first).max() - (own.end[earlier] - own.first[earlier]).max()
        sided = (first == first[0]).all() or (end == end[0]).all()
        return bool(not sided and grown >= (length - length_before) // 8 > 0)


def _has_as_many_grids(before: Seen, after: Seen) -> bool:
    """Whether two maps hold as many grids: else something was reshaped for one size of the image, and means nothing."""
    if before.grid is None or after.grid is None:
        return False
    own, other = (math.prod(seen.shape) // max(math.prod(seen.grid or ()), 1) for seen in (before, after))
    return own == other


def _grown(before: Seen, after: Seen, axis: int) -> list[int]:
    """Elements by which every axis of a map grows; the last number is that of the grid along the image axis."""
    grown = [b - a for a, b in zip(before.shape, after.shape, strict=True)]
    if before.grid is None or after.grid is None:
        return [*grown, 0]
    return [*grown, after.grid[axis] - before.grid[axis]]


def middle(line: Line) -> Ints:
    """Numbers of the cells in the middle of a line: half of those that no border touches, for borders may also wrap."""
    free = np.flatnonzero(~line.bordered)
    if not free.size:
        return free.astype(np.int32)
    run = max(np.split(free, np.flatnonzero(np.diff(free) != 1) + 1), key=len)
    quarter = len(run) // 4
    return run[quarter : len(run) - quarter].astype(np.int32)


def pace(line: Line) -> tuple[int, int] | None:
    """Cells, and pixels, after which what is seen in the middle of a line repeats; None if that does not show there."""
    chosen = middle(line)
    first, end = line.first[chosen].astype(np.int64), line.end[chosen].astype(np.int64)
    if (end <= first).any():
        return None
    for cells in range(1, min(len(chosen) // 2, _PHASES) + 1):
        pixels = first[cells] - first[0]
        if pixels and all((edge[cells:] - edge[:-cells] == pixels).all() for edge in (first, end)):
            return cells, abs(int(pixels))
    return None


def repeated(line: Line, cells: int, step: int, inner: int) -> AxisField | None:
    """The field that the cells in the middle of a long image repeat.

    Args:
        line: what the cells see.
        cells: by which the grid grows when the image grows by ``step``.
        step: pixels.
        inner: cells in which all that is inside the network repeats; so many must be seen to repeat.

    Returns:
        None if borders are met everywhere, or nothing repeats.
    """
    chosen = middle(line)
    first, end = line.first[chosen].astype(np.int64), line.end[chosen].astype(np.int64)
    empty = end <= first
    least = cells // math.gcd(cells, step)
    longest = min(cells, len(chosen) - inner)
    tried = {*range(least, _PHASES * least, least), *range(inner, 8 * inner, inner), cells // least * least}
    for sign in (1, -1):
        for period in sorted(p for p in tried if p <= longest and p % least == 0):
            pixels = sign * period * step // cells
            kept = ~(empty[period:] | empty[:-period])
            if not (empty[period:] == empty[:-period]).all() or not kept.any():
                continue
            shifts = ((first[period:] - first[:-period])[kept], (end[period:] - end[:-period])[kept])
            if all((shift == pixels).all() for shift in shifts):
                pairs = [(0, 0) if empty[k] else (int(first[k]), int(end[k])) for k in range(period)]
                return shortest(int(chosen[0]), pairs, pixels)
    return None


def shortest(first_cell: int, pairs: Sequence[tuple[float, float]], period: int) -> AxisField:
    """The field of all cells from that of one whole period, in its shortest form.

    Args:
        first_cell: the cell that ``pairs`` begin with.
        pairs: edges of the consecutive cells of one period; equal ones for a cell that sees nothing.
        period: shift of the field over these cells, in pixels.
    """
    cells = len(pairs)
    shifted: list[tuple[float, float]] = []
    for cell in range(cells):
        place = (cell - first_cell) % cells
        shift = (first_cell + place - cell) // cells * period
        low, high = pairs[place]
        shifted.append((low - shift, high - shift) if low != high else (0, 0))
    for count in range(1, cells):
        pixels, rest = divmod(period * count, cells)
        if rest == 0 and cells % count == 0 and _repeats(shifted, count, pixels):
            return AxisField(count, pixels, tuple(shifted[:count]))
    return AxisField(cells, period, tuple(shifted))


def _repeats(pairs: Sequence[tuple[float, float]], count: int, pixels: int) -> bool:
    """Whether each field is that of ``count`` cells before, moved by ``pixels``."""
    return all(
        pair == ((low + pixels, high + pixels) if low != high else (0, 0))
        for (low, high), pair in zip(pairs, pairs[count:], strict=False)
    )


def unbounded(cells: int, period: int) -> AxisField:
    """The field of cells that all see the whole image, ``cells`` of them per ``period`` pixels."""
    common = math.gcd(cells, period)
    count = cells // common
    return AxisField(count, period // common, ((-math.inf, math.inf),) * count)


def one_sided(line: Line, cells: int, step: int) -> AxisField | None:
    """The field of cells that see everything on one side, and so far on the other (recurrences); None: on both."""
    chosen = np.arange(len(line.first) // 3, len(line.first) - len(line.first) // 3)
    first, end = line.first[chosen].astype(np.int64), line.end[chosen].astype(np.int64)
    for moving, still, left in ((end, first, True), (first, end, False)):
        if (still != still[:1]).any() or (moving == moving[:1]).all():
            continue
        for period in range(cells // math.gcd(cells, step), min(cells, len(chosen) // 2) + 1):
            pixels, rest = divmod(period * step, cells)
            for signed in (pixels, -pixels):  # whoever goes backwards may give the last step first
                if rest == 0 and (moving[period:] - moving[:-period] == signed).all():
                    pairs = [(-math.inf, int(m)) if left else (int(m), math.inf) for m in moving[:period]]
                    return shortest(int(chosen[0]), pairs, signed)
    return None


def recurrent(line: Line, cells: int, step: int, look: Look) -> AxisField | None:
    """The field of cells that depend on one another in turn, by code that goes through the image step by step.

    Args:
        line: what the cells see.
        cells: by which the grid grows when the image grows by ``step``.
        step: pixels.
        look: at a long image.

    Returns:
        None unless cells in the middle see all of it, or all on one side, though no border cuts what they see. Where
        code loops over the image, all may see the borders.
    """
    chosen = slice(len(line.first) // 3, len(line.first) - len(line.first) // 3)
    first, end, length = line.first[chosen], line.end[chosen], max(line.end, default=0)
    if not first.size or (line.bordered[chosen].any() and not look.looping):
        return None
    if (first == 0).all() and (end == length).all():
        return unbounded(cells, step)
    return one_sided(line, cells, step) if (first == 0).all() or (end == length).all() else None


def anchored(known: AxisField, line: Line, more: int) -> AxisField:
    """The field where an image of the size asked for has it: mirrored maps, say, lie elsewhere in a longer one.

    Args:
        known: the field of a longer image.
        line: what the cells see at the size asked for.
        more: pixels by which the other image is longer.
    """
    if known.unbounded:
        # Of a recurrence that gives its last step first, the finite edge is counted from the other end of the image.
        one_sided_ = any(math.isfinite(edge) for pair in known.edges for edge in pair)
        if not one_sided_ or known.pixels > 0:
            return known
        return known._replace(edges=tuple((low - more, high - more) for low, high in known.edges))
    low, high = _edges(known, len(line.first))
    free = middle(line)
    free = free[line.end[free] > line.first[free]]
    if free.size:
        cell = int(free[len(free) // 2])
        shift = line.first[cell] - low[cell]
        shift = shift if line.end[cell] - high[cell] == shift else 0
    else:  # at borders cells see less than their fields, not more
        shift = -more if _held(line, low - more, high - more) > _held(line, low, high) else 0
    if not shift:
        return known
    pairs = ((a, b) if a == b else (int(a + shift), int(b + shift)) for a, b in known.edges)
    return known._replace(edges=tuple(pairs))


def agrees(known: AxisField, line: Line, length: int) -> bool:
    """Whether cells see what a field says, as far as the image goes."""
    low, high = _edges(known, len(line.first))
    low, high = np.maximum(low, 0), np.minimum(high, length)
    some = line.end > line.first
    inside = (low <= line.first) & (line.end <= high)
    same = (low == line.first) & (line.end == high)
    return bool(inside[some].all() and same[some & ~line.bordered].all())


def _held(line: Line, low: npt.NDArray[np.float64], high: npt.NDArray[np.float64]) -> int:
    """Number of cells that see nothing beyond some edges."""
    return int(((line.end > line.first) & (low <= line.first) & (line.end <= high)).sum())


def _edges(known: AxisField, count: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """First and last edges of the first cells; both 0 of those that see nothing."""
    turn, phase = np.divmod(np.arange(count), known.cells)
    edges = np.asarray(known.edges, np.float64)
    moved = edges[phase] + np.where(edges[phase, :1] == edges[phase, 1:], 0, turn[:, None] * known.pixels)
    return moved[:, 0], moved[:, 1]


def with_others(known: AxisField, line: Line, length: int) -> AxisField:
    """The field, with the cells of the image at the size asked for that see more than it says (wrapped borders)."""
    if known.unbounded:
        return known
    low, high = _edges(known, len(line.first))
    more = (line.first < np.maximum(low, 0)) | (line.end > np.minimum(high, length))
    cells = np.flatnonzero(more & (line.end > line.first))
    return known._replace(others=tuple((int(k), int(line.first[k]), int(line.end[k])) for k in cells))


def fixed(line: Line, length: int, *, mixed: bool) -> tuple[AxisField, bool]:
    """The best that can be said when only the requested size can be run: interior cells tell the pattern.

    Args:
        line: what the cells see.
        length: of the image.
        mixed: whether the whole image was mixed on the way.

    Returns:
        The field, and whether it is all of it; else it is the part inside the image.
    """
    count = len(line.first)
    pairs = [(int(a), int(b)) if b > a else (0, 0) for a, b in zip(line.first, line.end, strict=True)]
    seen = {pair for pair in pairs if pair[0] != pair[1]}
    if mixed and len(seen) == 1 and _nearly_all(next(iter(seen)), length, count):
        return unbounded(count, length), True
    free = [cell for cell, (low, high) in enumerate(pairs) if low != high and not line.bordered[cell]]
    # Enlarging reads the outermost cells again and again: there fields are cut off though no border was met.
    inside = [cell for cell in free if pairs[cell][0] > 0 and pairs[cell][1] < length]
    # Cells that see both ends may do so around a border that wraps.
    some = [cell for cell in free if pairs[cell][0] > 0 or pairs[cell][1] < length]
    for clear in (inside, some, free):
        if (found := _pattern(pairs, clear, length)) is not None:
            return with_others(found, line, length), True
    return AxisField(count, length, tuple(pairs)), False


def _pattern(pairs: Sequence[tuple[int, int]], clear: Sequence[int], length: int) -> AxisField | None:
    """The shortest pattern that clear cells repeat at least once, if it explains what most others see (not those that
    look beyond a border that wraps).
    """
    free = set(clear)
    for sign in (1, -1):
        for period in range(1, len(pairs) // 2 + 1):
            run = [cell for cell in clear if cell + period in free]
            shifts = {pairs[cell + period][side] - pairs[cell][side] for cell in run for side in (0, 1)}
            if len(run) < period or len(shifts) != 1 or (pixels := int(shifts.pop())) * sign < 1:
                continue
            window = next((c for c in run if all(c + k in free for k in range(period))), None)
            if window is None:
                continue
            found = shortest(window, [pairs[window + k] for k in range(period)], pixels)
            explained = sum(_within(pair, found.edges_at(cell), length) for cell, pair in enumerate(pairs))
            if 2 * explained > len(pairs):
                return found
    return None


def _nearly_all(pair: tuple[int, int], length: int, cells: int) -> bool:
    """Whether a field that all cells share is the whole image, but for what strides leave unseen at the borders."""
    near = max(1, length // max(cells, 1)) if cells > 1 else length
    return max(pair[0], length - pair[1]) < max(near, 2)


def _within(pair: tuple[int, int], field: tuple[float, float], length: int) -> bool:
    """Whether what a cell sees is what is left of its field inside the image, or less (holes at the borders)."""
    low, high = max(field[0], 0), min(field[1], length)
    return pair[0] == pair[1] or (low <= pair[0] and pair[1] <= high)
