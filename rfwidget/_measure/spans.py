"""What flows forward through a network, and how primitives carry it.

A `Carried` stands for a tensor. Instead of a number, every element holds what it depends on: the *span* of pixels
along each image axis (first and last), whether one of some marked sets of pixels *touches* it, or both. All of them
have one join, the maximum, so a handful of primitives serves them all: pointwise (`join`), reduction (`reduce`), window
(`window`, `transposed_window`, `convolve`), movement (`reshape`, `transpose`, `take`, `pad`, ...), contraction
(`contract`, `mix`), and `everything` for what is unknown. Weights do not matter, so nothing is rounded and nothing
cancels; a network of any framework is measured in one pass.

Planes are thin: along axes on which a plane does not differ it has length 1, as in NumPy's broadcasting. The channels
of a map, and rows where only columns are looked at, cost nothing. And a plane is kept as factors whose join it is: what
every query shares with every key (the scores of an attention) costs queries plus keys, not queries times keys.

Nothing here knows a framework, or what x and y are: image axes are numbered from 0, in the order of arrays.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Factor = npt.NDArray[Any]
Plane = tuple[Factor, ...]

_FACTORS = 6
"""A plane has at most so many factors; more are joined, at the cost of their common lengths."""

NOWHERE = -(1 << 30)
"""Both ends of the span of an element that depends on no pixel."""


class Roll(NamedTuple):
    """Axes of places that a reshape has rolled up into one.

    Attributes:
        lengths: of the axes, in the order in which they were rolled up.
        order: the image axes that they go along, as shows in what their elements depended on.
    """

    lengths: tuple[int, ...]
    order: tuple[int, ...]


@dataclass(frozen=True)
class Marks:
    """What is known of a whole tensor besides its planes.

    Attributes:
        context: image axes along which elements from all over the image were mixed (global pooling, attention, ...).
        unknown: what could not be seen through on the way here, in words; spans behind it are upper bounds.
        blurred: whether each channel is said to depend on what any of them does, to save work; see `blurred`.
        derived: whether the image leads here at all, be it through places that no element happens to see.
        pairs: lengths of the last two axes of a product of two such tensors, as long as nothing has been summed with
            it: one element for every pair, such as the scores of an attention, which are no grid of places.
        stepwise: whether a recurrence along one axis may have let elements see further along others, step by step.
        rolls: grids that were rolled up on the way here, one axis of tokens in place of all axes of places.
    """

    context: frozenset[int] = frozenset()
    unknown: frozenset[str] = frozenset()
    blurred: bool = False
    derived: bool = False
    pairs: frozenset[tuple[int, int]] = frozenset()
    stepwise: bool = False
    rolls: frozenset[Roll] = frozenset()

    def __or__(self, other: Marks) -> Marks:
        if self == other:
            return self
        return Marks(
            self.context | other.context,
            self.unknown | other.unknown,
            self.blurred or other.blurred,
            self.derived or other.derived,
            self.pairs | other.pairs,
            self.stepwise or other.stepwise,
            self.rolls | other.rolls,
        )


_UNMARKED = Marks()


@dataclass(frozen=True)
class Carried:
    """What every element of a tensor depends on.

    Attributes:
        shape: of the tensor.
        planes: what flows. A plane is the join of its factors: arrays ``(k, *lengths)`` with each length that of
            ``shape``, or 1 where all elements along that axis agree. Spans are int32 with the three rows ``-first``,
            ``last + 1``, and 1 where a border was met on the way (padding, along this image axis), so that the union
            of two is their maximum; one plane for each image axis, in order. Touched sets are bool, one row for each.
        marks: what is known of the whole tensor.
        local: whether paths that mix the whole image are left out.
    """

    shape: tuple[int, ...]
    planes: tuple[Plane, ...]
    marks: Marks = _UNMARKED
    local: bool = False

    @property
    def rank(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Numbers that all planes hold."""
        return sum(factor.size for plane in self.planes for factor in plane)

    def axis(self, axis: int) -> int:
        """An axis counted from the front; negative ones count from the end."""
        return axis % self.rank

    @property
    def image_axes(self) -> int:
        """Number of axes of the image; planes behind those of their spans are touched sets."""
        return sum(plane[0].dtype != np.bool_ for plane in self.planes)

    def along(self, image_axis: int) -> list[int]:
        """Axes that go along an image axis: in their middle, elements depend on different pixels.

        Those at the ends of an axis may do so for another reason: columns beside a border may see less of the rows.
        That does not make rows run along columns.
        """
        plane = self.planes[image_axis]
        return [axis for axis in range(self.rank) if any(_differs(factor, 1 + axis) for factor in plane)]

    @property
    def nowhere(self) -> bool:
        """Whether no element depends on any pixel, or touches any marked one."""
        return all((row == nothing(f)).all() for plane in self.planes for f in plane for row in f[:2])

    def spans(self, image_axis: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
        """First pixel, and last pixel + 1, of every element along an image axis; both 0 where there is none.

        Returns:
            Two arrays that broadcast to ``shape``.
        """
        plane = joined(self.planes[image_axis])
        empty = plane[1] == NOWHERE
        return np.where(empty, 0, -plane[0]).astype(np.int32), np.where(empty, 0, plane[1]).astype(np.int32)

    def bordered(self, image_axis: int) -> npt.NDArray[np.bool_]:
        """Whether a border was met on the way to each element along an image axis; broadcasts to ``shape``."""
        bordered: npt.NDArray[np.bool_] = joined(self.planes[image_axis])[2] > 0
        return bordered

    @property
    def touched(self) -> npt.NDArray[np.bool_]:
        """Whether each element depends on some pixel of each marked set, ``(k, *shape)``."""
        return self.full(len(self.planes) - 1)

    def full(self, plane: int) -> Factor:
        """A plane at its full lengths, ``(k, *shape)``; a view without memory of its own where it is thin."""
        whole = joined(self.planes[plane])
        return np.broadcast_to(whole, (len(whole), *self.shape))

    def each(self, function: Callable[[Factor], Factor], shape: Sequence[int]) -> Carried:
        """Another tensor, whose factors are a function of these; one that keeps joins."""
        planes = tuple(tuple(function(factor) for factor in plane) for plane in self.planes)
        return replace(self, shape=tuple(int(n) for n in shape), planes=planes)


def nothing(factor: Factor) -> Any:
    """What stands for no pixel, in the rows of spans or touched sets."""
    return False if factor.dtype == np.bool_ else NOWHERE


def joined(plane: Plane) -> Factor:
    """A plane as one array, at the common lengths of its factors."""
    whole = plane[0]
    for factor in plane[1:]:
        whole = np.maximum(whole, factor)
    return whole


def image(
    shape: Sequence[int], places: Sequence[int], touched: npt.NDArray[np.bool_] | None = None, *, local: bool = False
) -> Carried:
    """The image itself: every pixel depends on itself.

    Args:
        shape: of the image tensor, batch and channels included.
        places: its axes of places, one for each image axis.
        touched: marked sets of pixels, ``(k, *lengths of the places)``; carried beside the spans.
        local: leave out paths that mix the whole image.

    >>> x = image((1, 4, 6, 3), places=(1, 2))
    >>> [factor.shape for plane in x.planes for factor in plane]
    [(3, 1, 4, 1, 1), (3, 1, 1, 6, 1)]
    """
    shape = tuple(int(n) for n in shape)
    planes: list[Plane] = []
    for axis in places:
        index = np.arange(shape[axis], dtype=np.int32)
        lengths = [shape[axis] if other == axis else 1 for other in range(len(shape))]
        planes.append((np.stack([-index, index + 1, 0 * index]).reshape(3, *lengths),))
    if touched is not None:
        lengths = [shape[axis] if axis in places else 1 for axis in range(len(shape))]
        planes.append((np.asarray(touched, bool).reshape(len(touched), *lengths),))
    return Carried(shape, tuple(planes), Marks(derived=True), local)


def nowhere(shape: Sequence[int], like: Carried) -> Carried:
    """A tensor that depends on no pixel, such as a constant."""
    ones = (1,) * len(shape)
    planes = tuple((np.broadcast_to(_void(p[0], len(ones), border=False), (len(p[0]), *ones)),) for p in like.planes)
    return Carried(tuple(int(n) for n in shape), planes, local=like.local)


def _void(factor: Factor, rank: int, *, border: bool) -> Factor:
    """What an element without pixels holds, to be broadcast: nothing, and on request that a border was met."""
    if factor.dtype == np.bool_:
        return np.zeros((1, *(1,) * rank), np.bool_)
    return np.array([NOWHERE, NOWHERE, int(border)], np.int32).reshape(3, *(1,) * rank)


# -- pointwise ---------------------------------------------------------------------------------------------------------


def join(tensors: Sequence[Carried], shape: Sequence[int] | None = None) -> Carried:
    """Each element depends on what the elements of its place do; shapes broadcast as in NumPy.

    Args:
        tensors: at least one.
        shape: of the result, where constants stretch it further than the tensors do.
    """
    shapes = [tensor.shape for tensor in tensors] + ([] if shape is None else [tuple(shape)])
    whole = np.broadcast_shapes(*shapes)
    marks = tensors[0].marks
    for other in tensors[1:]:
        marks = marks | other.marks
    planes = (
        _merged([_lifted(factor, len(whole)) for plane in own for factor in plane])
        for own in zip(*(tensor.planes for tensor in tensors), strict=True)
    )
    return Carried(tuple(int(n) for n in whole), tuple(planes), marks, tensors[0].local)


def _merged(factors: Sequence[Factor]) -> Plane:
    """The same join in fewer factors: those that fit into another are joined to it."""
    merged: list[Factor] = []
    for factor in sorted(factors, key=lambda one: one.size, reverse=True):
        for place, other in enumerate(merged):
            if all(n in (1, m) for n, m in zip(factor.shape, other.shape, strict=True)):
                merged[place] = np.maximum(other, factor)
                break
        else:
            merged.append(factor)
    while len(merged) > _FACTORS:
        merged[-2:] = [np.maximum(merged[-2], merged[-1])]
    return tuple(merged)


def broadcast(x: Carried, shape: Sequence[int]) -> Carried:
    """The tensor stretched to a shape, as NumPy's ``broadcast_to``."""
    return join([x], shape)


def marked(x: Carried, marks: Marks) -> Carried:
    """The same tensor with more known about it."""
    return replace(x, marks=x.marks | marks)


def _lifted(factor: Factor, rank: int) -> Factor:
    """With axes of length 1 in front, as broadcasting adds them."""
    missing = rank - (factor.ndim - 1)
    return factor.reshape(factor.shape[0], *(1,) * missing, *factor.shape[1:]) if missing else factor


# -- reduction ---------------------------------------------------------------------------------------------------------


def reduce(x: Carried, axes: Iterable[int] | None = None, *, keepdims: bool = False) -> Carried:
    """Each result depends on all elements along some axes.

    Where that brings together what lies all over the image, the result is marked as global context along that image
    axis; of a ``local`` tensor nothing is left there.
    """
    chosen = tuple(range(x.rank)) if axes is None else tuple(sorted({x.axis(axis) for axis in axes}))
    shape = tuple(1 if axis in chosen else n for axis, n in enumerate(x.shape))
    reduced = with_context(x, x.each(lambda factor: _reduced(factor, chosen), shape), chosen)
    reduced = replace(reduced, planes=tuple(_merged(plane) for plane in reduced.planes))
    return reduced if keepdims else squeeze(reduced, chosen)


def _reduced(factor: Factor, axes: Sequence[int]) -> Factor:
    long = tuple(1 + axis for axis in axes if factor.shape[1 + axis] > 1)
    reduced: Factor = factor.max(axis=long, keepdims=True) if long else factor
    return reduced


def with_context(before: Carried, after: Carried, reduced: Sequence[int] = ()) -> Carried:
    """A result, marked along the image axes along which all of it depends on all that there was to depend on.

    Args:
        before: what it was made of.
        after: the result.
        reduced: axes that were brought together, with nothing else between them.
    """
    mixed = frozenset(
        axis
        for axis, (old, new) in enumerate(zip(before.planes, after.planes, strict=True))
        if old[0].dtype != np.bool_
        and any(a is not b for a, b in zip(old, new, strict=True))
        and _is_mixed(old, new, reduced)
    )
    if mixed and before.local:
        return replace(_without_context(after, mixed), marks=after.marks)
    return replace(after, marks=after.marks | Marks(mixed)) if mixed else after


def _without_context(x: Carried, mixed: Collection[int]) -> Carried:
    """What is left of a tensor without the factors that hold everything along some image axes."""
    planes = list(x.planes)
    for axis in mixed:
        hull = _hull(planes[axis])
        planes[axis] = tuple(factor for factor in planes[axis] if not _all(factor, hull))
    return replace(x, planes=tuple(planes)) if all(planes) else nowhere(x.shape, x)


def _is_mixed(old: Plane, new: Plane, reduced: Sequence[int]) -> bool:
    """Whether elements of which none alone depends on everything that there is now all do.

    One that did would be a channel that sees as far as all others together: to mix channels brings no places together.
    Unless what was brought together has one end of the image in sight here, and the other there: so have the places on
    an image that is smaller than what cells in its middle see.
    """
    hull = _hull(old)
    # Of several factors, one that alone holds everything will do: so it is where an attention brings all together.
    if not any(_all(factor, hull) for factor in new):
        return False
    return all(_from_end_to_end(factor, hull, reduced) for factor in old if _some(factor, hull))


def _from_end_to_end(factor: Factor, hull: npt.NDArray[Any], axes: Sequence[int]) -> bool:
    """Whether some elements along the axes see the first that there is and not the last, and others the other way."""
    long = tuple(axis for axis in axes if factor.shape[1 + axis] > 1)
    first, last = (factor[end] == hull[end] for end in (0, 1))
    ends = [(one & ~other).any(axis=long) for one, other in ((first, last), (last, first))]
    return bool(long) and bool((ends[0] & ends[1]).all())


def _hull(plane: Plane) -> npt.NDArray[Any]:
    """The span of all elements together."""
    hull: npt.NDArray[Any] = np.max([factor[:2].reshape(2, -1).max(axis=1) for factor in plane], axis=0)
    return hull


def _some(factor: Factor, hull: npt.NDArray[Any]) -> bool:
    """Whether some element depends on everything."""
    return bool((factor[:2].reshape(2, -1) == hull[:, None]).all(axis=0).any())


def _all(factor: Factor, hull: npt.NDArray[Any]) -> bool:
    """Whether all elements that depend on pixels depend on everything, and there are some."""
    spans = factor[:2].reshape(2, -1)
    seen = spans[1] != NOWHERE
    return bool(seen.any() and (spans[:, seen] == hull[:, None]).all())


def cumulate(x: Carried, axis: int) -> Carried:
    """Each result depends on its element and all before it along an axis: recurrences, running sums.

    It is global context, in one direction; of a ``local`` tensor each element keeps itself alone.
    """
    axis = x.axis(axis)
    if x.local:
        return x
    after = x.each(lambda factor: np.maximum.accumulate(factor, axis=1 + axis), x.shape)
    long = (n for n, plane in enumerate(x.planes) if any(f.shape[1 + axis] > 1 for f in plane))
    return marked(after, Marks(frozenset(n for n in long if x.planes[n][0].dtype != np.bool_)))


# -- windows -----------------------------------------------------------------------------------------------------------


def window(
    x: Carried, axis: int, size: int, *, stride: int = 1, dilation: int = 1, before: int = 0, after: int = 0
) -> Carried:
    """Each result depends on ``size`` elements, ``dilation`` apart; results are ``stride`` apart.

    Args:
        x: the tensor.
        axis: along which the window moves.
        size: elements under the window.
        stride: elements between two results.
        dilation: elements between two under the window.
        before: places before the first element that depend on nothing (zero padding); negative ones are cut off.
        after: the same behind the last.

    >>> x = window(image((1, 1, 6, 1), (1, 2)), axis=2, size=3, stride=2, before=1)
    >>> [edges.ravel().tolist() for edges in x.spans(1)]
    [[0, 1, 3], [2, 4, 6]]
    """
    axis = x.axis(axis)
    if size == stride == 1 and not before and not after:
        return x
    x = pad(x, axis, min(before, 0), min(after, 0))
    before, after, length = max(before, 0), max(after, 0), x.shape[axis]
    results = max(0, (length + before + after - (size - 1) * dilation - 1) // stride + 1)
    shape = (*x.shape[:axis], results, *x.shape[axis + 1 :])
    starts = np.arange(results) * stride - before

    def moved(factor: Factor) -> Factor:
        if factor.shape[1 + axis] == 1:
            taps = starts[:, None] + np.arange(size) * dilation
            return _kept(factor, axis, ((taps >= 0) & (taps < length)).any(axis=1))
        padded = _padded(factor, 1 + axis, before, after)
        found = _windowed(padded, 1 + axis, size, dilation, slice(0, (results - 1) * stride + 1, stride), results)
        return _thinned(found, 1 + axis)

    return x.each(moved, shape)


def transposed_window(
    x: Carried, axis: int, size: int, *, stride: int = 1, dilation: int = 1, start: int = 0, length: int
) -> Carried:
    """Each element reaches ``size`` results, ``dilation`` apart; elements begin ``stride`` results apart.

    Args:
        x: the tensor.
        axis: along which it grows.
        size: results that an element reaches.
        stride: results between the first ones of two elements.
        dilation: results between two that an element reaches.
        start: the first of these results that is kept.
        length: how many are kept; those that no element reaches depend on nothing.
    """
    axis = x.axis(axis)
    count, room = x.shape[axis], (size - 1) * dilation
    whole = max(count - 1, 0) * stride + 1 + room
    met = np.zeros(max(whole, start + length), bool)
    met[(np.arange(count)[:, None] * stride + np.arange(size) * dilation).ravel()] = True
    met = met[start : start + length]

    def reached(factor: Factor) -> Factor:
        if factor.shape[1 + axis] == 1:
            return _kept(factor, axis, met)
        padded = _padded(_spaced(factor, 1 + axis, stride), 1 + axis, room, room)
        found = _windowed(padded, 1 + axis, size, dilation, slice(None), whole)
        found = found[_along(1 + axis, slice(start, start + length))]
        return _thinned(_padded(found, 1 + axis, 0, max(start + length - whole, 0)), 1 + axis)

    return x.each(reached, (*x.shape[:axis], length, *x.shape[axis + 1 :]))


def _spaced(factor: Factor, axis: int, stride: int) -> Factor:
    """The elements ``stride`` apart, with nothing between them."""
    if stride == 1:
        return factor
    lengths = list(factor.shape)
    lengths[axis] = (lengths[axis] - 1) * stride + 1
    wide = np.broadcast_to(_void(factor, factor.ndim - 1, border=False), lengths).copy()
    wide[_along(axis, slice(None, None, stride))] = factor
    return wide


def convolve(
    x: Carried,
    places: Sequence[int],
    channels: int,
    taps: npt.NDArray[np.bool_],
    *,
    strides: Sequence[int],
    dilations: Sequence[int],
    paddings: Sequence[tuple[int, int]],
    groups: int = 1,
) -> Carried:
    """A convolution or cross-correlation, with the taps that its kernel really has.

    Args:
        x: the tensor.
        places: axes along which the kernel moves.
        channels: axis of the channels.
        taps: where the kernel is not zero by construction, ``(*sizes, channels in of a group, channels out)``; axes
            of channels may have length 1 if they do not matter, but the last one counts the results.
        strides: one for each place.
        dilations: one for each place.
        paddings: elements of nothing before and behind, one pair for each place.
        groups: of channels.
    """
    channels = x.axis(channels)
    places = [x.axis(place) for place in places]
    sizes, results = taps.shape[: len(places)], taps.shape[-1]
    if taps.all():
        x = grouped(x, channels, groups, results)
        for place, size, stride, dilation, (before, after) in zip(
            places, sizes, strides, dilations, paddings, strict=True
        ):
            x = window(x, place, size, stride=stride, dilation=dilation, before=before, after=after)
        return x
    for place, (before, after) in zip(places, paddings, strict=True):
        x = pad(x, place, before, after)
    lengths = [
        (x.shape[place] - (size - 1) * dilation - 1) // stride + 1
        for place, size, stride, dilation in zip(places, sizes, strides, dilations, strict=True)
    ]
    if all(factor.shape[1 + channels] == 1 for plane in x.planes for factor in plane):
        x, groups = cut(x, channels, 0, 1), 1  # all channels are alike
        taps = np.asarray(taps.any(axis=-2, keepdims=True), bool)

    def tapped(tap: Iterable[int], first: int, last: int) -> Carried:
        """What some channels hold where a tap reads them."""
        part = cut(x, channels, first, last)
        for place, offset, stride, dilation, length in zip(places, tap, strides, dilations, lengths, strict=True):
            start = int(offset) * dilation
            part = cut(part, place, start, start + (length - 1) * stride + 1, stride)
        return part

    inputs = x.shape[channels] // groups
    reads = np.broadcast_to(taps, (*sizes, inputs, results))
    # Results that read the same are worked out once: masks are mostly the same for many of them.
    told = np.concatenate([np.arange(results)[None] // (results // groups), reads.reshape(-1, results)])
    _, shown, which = np.unique(told, axis=1, return_index=True, return_inverse=True)
    parts = []
    for result in shown:
        first, own = int(told[0, result]) * inputs, reads[..., result]
        some = []
        for tap in np.argwhere(own.any(axis=-1)):
            mask, part = own[tuple(tap)], tapped(tap, first, first + inputs)
            part = part if mask.all() else take(part, channels, mask.nonzero()[0])
            some.append(reduce(part, [channels], keepdims=True))
        shape = list(x.shape)
        for place, length in zip(places, lengths, strict=True):
            shape[place] = length
        shape[channels] = 1
        parts.append(join(some) if some else nowhere(shape, x))
    if len(parts) == 1:
        return broadcast(parts[0], (*parts[0].shape[:channels], results, *parts[0].shape[channels + 1 :]))
    return take(concatenate(parts, channels), channels, which.ravel())


def grouped(x: Carried, axis: int, groups: int, results: int) -> Carried:
    """Each of the results depends on all channels of its group."""
    if groups == 1:
        mixed = reduce(x, [axis], keepdims=True)
        return broadcast(mixed, (*x.shape[:axis], results, *x.shape[axis + 1 :]))
    count, before, after = x.shape[axis], x.shape[:axis], x.shape[axis + 1 :]
    split = reduce(reshape(x, (*before, groups, count // groups, *after)), [axis + 1], keepdims=True)
    wide = broadcast(split, (*before, groups, results // groups, *after))
    return reshape(wide, (*before, results, *after))


def _windowed(factor: Factor, axis: int, size: int, dilation: int, chosen: slice, results: int) -> Factor:
    """Maximum over windows, by doubling: the cost grows with the logarithm of the size."""
    covered = 1
    while covered < size and results:
        more = min(covered, size - covered)
        shift = more * dilation
        behind, ahead = slice(None, factor.shape[axis] - shift), slice(shift, None)
        factor = np.maximum(factor[_along(axis, behind)], factor[_along(axis, ahead)])
        covered += more
    windowed: Factor = factor[_along(axis, chosen if results else slice(0, 0))]
    return windowed


# -- movement ----------------------------------------------------------------------------------------------------------


def pad(x: Carried, axis: int, before: int, after: int) -> Carried:
    """Places that depend on nothing before and behind the elements of an axis; negative numbers cut elements off.

    Whatever depends on such a place has met a border, along the image axes that go along this axis.
    """
    axis = x.axis(axis)
    if before == after == 0:
        return x
    length = x.shape[axis] + before + after
    shape = (*x.shape[:axis], max(0, length), *x.shape[axis + 1 :])

    def padded(factor: Factor) -> Factor:
        if factor.shape[1 + axis] == 1:
            place = np.arange(max(0, length)) - before
            return _kept(factor, axis, (place >= 0) & (place < x.shape[axis]))
        cropped = factor[_along(1 + axis, slice(max(0, -before), factor.shape[1 + axis] - max(0, -after)))]
        return _padded(cropped, 1 + axis, max(0, before), max(0, after))

    return x.each(padded, shape)


def cut(x: Carried, axis: int, start: int, stop: int, step: int = 1) -> Carried:
    """The elements ``start``, ``start + step``, ... before ``stop`` of an axis; a negative step goes backwards."""
    axis = x.axis(axis)
    index = range(start, stop, step)
    if index == range(x.shape[axis]):
        return x
    return take(x, axis, np.arange(start, stop, step))


def take(x: Carried, axis: int, index: npt.NDArray[Any]) -> Carried:
    """Elements of an axis by number, in any order and any number of times; -1 stands for nothing.

    Covers flips, rolls, tiles, repetitions, steps, reflecting padding and enlarging by copies.
    """
    axis = x.axis(axis)
    index = np.asarray(index)
    shape = (*x.shape[:axis], len(index), *x.shape[axis + 1 :])
    absent = index < 0

    def taken(factor: Factor) -> Factor:
        if factor.shape[1 + axis] == 1:
            return _kept(factor, axis, ~absent)
        moved = np.take(factor, np.where(absent, 0, index), axis=1 + axis)
        if absent.any():
            moved[_along(1 + axis, absent)] = _void(factor, factor.ndim - 1, border=False)
        return moved

    return x.each(taken, shape)


def read(x: Carried, axis: int, reads: Sequence[npt.NDArray[Any]]) -> Carried:
    """Each result depends on several elements of an axis, by number; -1 stands for nothing.

    Args:
        x: the tensor.
        axis: the axis.
        reads: one or more arrays, each with one element's number for every result (interpolation, say).
    """
    return join([take(x, axis, index) for index in reads])


def reshape(x: Carried, shape: Sequence[int]) -> Carried:
    """The same elements in another shape, in the order of C."""
    shape = _whole_shape(x.shape, shape)
    if shape == x.shape:
        return x
    groups = _groups(x.shape, shape)

    def reshaped(factor: Factor) -> Factor:
        lengths, full = [factor.shape[0]], [factor.shape[0]]
        for old, new in groups:
            thin = all(factor.shape[1 + axis] == 1 for axis in old)
            lengths += [1 if thin else shape[axis] for axis in new]
            full += [1 if thin else x.shape[axis] for axis in old]
        parted = np.broadcast_to(factor, full).reshape(lengths)
        for _, new in groups:
            if len(new) > 1:  # what was flattened comes apart again, and most of it does not differ along all axes
                for axis in new:
                    parted = _thinned(parted, 1 + axis)
        return parted

    rolls = frozenset(roll for old, new in groups if (roll := _rolled_up(x, old, new, shape)) is not None)
    result = x.each(reshaped, shape)
    return marked(result, Marks(rolls=rolls)) if rolls else result


def _rolled_up(x: Carried, old: Sequence[int], new: Sequence[int], shape: Sequence[int]) -> Roll | None:
    """The axes of places that a reshape makes one of; None: it does no such thing.

    Args:
        x: the tensor before.
        old: axes of it that hold the same elements as
        new: axes of the result.
        shape: of the result.
    """
    axes = x.image_axes
    old = [axis for axis in old if axis or x.shape[axis] > 1]  # a batch of one is no axis of places
    if axes < 2 or len(old) < 2 or sum(shape[axis] > 1 for axis in new) != 1:
        return None
    along = [x.along(image_axis) for image_axis in range(axes)]
    long = [axis for axis in old if x.shape[axis] > 1]
    if len(long) < axes:
        # A grid of one row, say: only if what its elements depend on shows that the others are the places of one.
        if len(old) != axes or not all(any(axis in found for found in along) for axis in long):
            return None
        long = list(old)
    runs: list[tuple[int | None, int]] = []
    for axis in long:
        found = [n for n in range(axes) if axis in along[n]]
        if len(found) > 1:
            return None
        image_axis = found[0] if found else None
        if runs and image_axis is not None and runs[-1][0] == image_axis:  # windows, and what is in them
            runs[-1] = (image_axis, runs[-1][1] * x.shape[axis])
        else:
            runs.append((image_axis, x.shape[axis]))
    if len(runs) != axes:
        return None
    told = [image_axis for image_axis, _ in runs]
    if not any(image_axis is not None for image_axis in told):
        return None  # it may be no grid at all: the heads of an attention and their channels, say
    rest = [n for n in range(axes) if n not in told and not along[n]]
    told = [rest.pop(0) if image_axis is None and rest else image_axis for image_axis in told]
    if set(told) != set(range(axes)):
        return None
    return Roll(tuple(length for _, length in runs), tuple(n for n in told if n is not None))


def _whole_shape(old: Sequence[int], new: Sequence[int]) -> tuple[int, ...]:
    """A shape in which -1 has been worked out."""
    known = math.prod(int(n) for n in new if n != -1)
    return tuple(math.prod(old) // max(known, 1) if n == -1 else int(n) for n in new)


def _groups(old: Sequence[int], new: Sequence[int]) -> list[tuple[list[int], list[int]]]:
    """Runs of axes, old and new, that hold the same elements."""
    if math.prod(old) == 0:
        return [(list(range(len(old))), list(range(len(new))))]
    groups: list[tuple[list[int], list[int]]] = []
    i = j = 0
    while i < len(old) or j < len(new):
        left, right = [], []
        have = want = 1
        if i < len(old):
            left, have, i = [i], old[i], i + 1
        if j < len(new):
            right, want, j = [j], new[j], j + 1
        while have != want:
            if have < want:
                left.append(i)
                have, i = have * old[i], i + 1
            else:
                right.append(j)
                want, j = want * new[j], j + 1
        groups.append((left, right))
    return groups


def transpose(x: Carried, order: Sequence[int]) -> Carried:
    """The axes in another order."""
    order = [x.axis(axis) for axis in order]
    moved = (0, *(1 + axis for axis in order))
    return x.each(lambda factor: factor.transpose(moved), [x.shape[axis] for axis in order])


def squeeze(x: Carried, axes: Collection[int]) -> Carried:
    """Without some axes of length 1."""
    gone = {x.axis(axis) for axis in axes}
    kept = [axis for axis in range(x.rank) if axis not in gone]
    return x.each(
        lambda factor: factor.reshape(factor.shape[0], *(factor.shape[1 + axis] for axis in kept)),
        [x.shape[axis] for axis in kept],
    )


def expand(x: Carried, axis: int) -> Carried:
    """With one more axis, of length 1."""
    axis %= x.rank + 1
    return x.each(lambda factor: np.expand_dims(factor, 1 + axis), (*x.shape[:axis], 1, *x.shape[axis:]))


def concatenate(tensors: Sequence[Carried], axis: int) -> Carried:
    """Tensors one behind the other along an axis."""
    axis = tensors[0].axis(axis)
    tensors = [tensor for tensor in tensors if tensor.shape[axis]] or list(tensors[:1])
    if len(tensors) == 1:
        return tensors[0]
    total = sum(tensor.shape[axis] for tensor in tensors)
    shape = (*tensors[0].shape[:axis], total, *tensors[0].shape[axis + 1 :])
    marks = tensors[0].marks
    for other in tensors[1:]:
        marks = marks | other.marks
    planes = []
    for pieces in zip(*(tensor.planes for tensor in tensors), strict=True):
        parts: list[Factor] = []
        if len({_outline(piece, axis) for piece in pieces}) == 1:
            # All have factors of the same kinds: each is concatenated with its like, the others being nothing there.
            for factors in zip(*pieces, strict=True):
                parts.append(_behind(factors, [tensor.shape[axis] for tensor in tensors], axis))
        else:
            parts.append(_behind([joined(piece) for piece in pieces], [t.shape[axis] for t in tensors], axis))
        planes.append(tuple(parts))
    return Carried(tuple(shape), tuple(planes), marks, tensors[0].local)


def _outline(plane: Plane, axis: int) -> tuple[tuple[bool, ...], ...]:
    """Which axes the factors of a plane are thin along, one axis aside."""
    return tuple(tuple(n == 1 for n in _without(factor.shape, 1 + axis)) for factor in plane)


def _behind(factors: Sequence[Factor], counts: Sequence[int], axis: int) -> Factor:
    """Factors one behind the other along an axis; thin still if all agree."""
    first = factors[0]
    if all(factor.shape[1 + axis] == 1 and np.array_equal(first, factor) for factor in factors):
        return first
    common = np.broadcast_shapes(*(_without(factor.shape, 1 + axis) for factor in factors))
    full = [
        np.broadcast_to(factor, (*common[: 1 + axis], count, *common[1 + axis :]))
        for factor, count in zip(factors, counts, strict=True)
    ]
    return np.concatenate(full, axis=1 + axis)


def blurred(tensors: Sequence[Carried], axis: int) -> Carried:
    """As `concatenate`, but each result depends on what all tensors do at its place.

    It is a thin tensor where that of `concatenate` is wide. Whoever mixes all of them gets the same from both; where
    some are told from others, this one will not do.
    """
    axis = tensors[0].axis(axis)
    total = sum(tensor.shape[axis] for tensor in tensors)
    whole = join([reduce(tensor, [axis], keepdims=True) for tensor in tensors])
    wide = broadcast(whole, (*whole.shape[:axis], total, *whole.shape[axis + 1 :]))
    return marked(wide, Marks(blurred=True))


def sharp(x: Carried) -> Carried:
    """A tensor whose channels were all mixed, so that it no longer matters whether they were `blurred`."""
    return replace(x, marks=replace(x.marks, blurred=False)) if x.marks.blurred else x


def rearrange(x: Carried, function: Callable[[npt.NDArray[Any]], npt.NDArray[Any]]) -> Carried:
    """Any movement of elements, given as a function of NumPy arrays; it runs on the planes at their full lengths."""
    moved = [np.stack([function(part) for part in x.full(number)]) for number in range(len(x.planes))]
    return replace(x, shape=tuple(moved[0].shape[1:]), planes=tuple((_thin(factor),) for factor in moved))


def scatter(tensors: Sequence[Carried], shape: Sequence[int], index: npt.NDArray[Any]) -> Carried:
    """Elements put at known places of a larger tensor; several at one place are joined.

    Args:
        tensors: what is put; joined place by place.
        shape: of the result.
        index: flat number in the result, in the order of C, of every element; -1: nowhere.
    """
    x = join(tensors)
    flat = np.asarray(index).ravel()
    kept = flat >= 0
    planes = []
    for number in range(len(x.planes)):
        whole = x.full(number)
        lengths = (len(whole), math.prod(shape))
        result = np.broadcast_to(_void(whole, 1, border=False), lengths).copy()
        for row, value in zip(result, whole.reshape(len(whole), -1), strict=True):
            np.maximum.at(row, flat[kept], value[kept])
        planes.append((_thin(result.reshape(len(whole), *shape)),))
    return replace(x, shape=tuple(int(n) for n in shape), planes=tuple(planes))


# -- contraction -------------------------------------------------------------------------------------------------------


def mix(x: Carried, axis: int, mask: npt.NDArray[np.bool_]) -> Carried:
    """A product with a constant matrix along an axis: result j depends on the elements k with ``mask[k, j]``."""
    axis = x.axis(axis)
    mask = np.asarray(mask, bool)
    shape = (*x.shape[:axis], mask.shape[1], *x.shape[axis + 1 :])
    if mask.all():
        return broadcast(reduce(x, [axis], keepdims=True), shape)

    def mixed(factor: Factor) -> Factor:
        if factor.shape[1 + axis] == 1:
            return _kept(factor, axis, mask.any(axis=0))
        moved = np.moveaxis(factor, 1 + axis, 0)
        empty = _void(factor, factor.ndim - 2, border=False)
        result = np.broadcast_to(empty, (mask.shape[1], *moved.shape[1:])).copy()
        for row, columns in zip(moved, mask, strict=True):
            result[columns] = np.maximum(result[columns], row)
        return np.moveaxis(result, 0, 1 + axis)

    return with_context(x, x.each(mixed, shape))


def contract(tensors: Sequence[Carried], labels: Sequence[Sequence[Any]], result: Sequence[Any]) -> Carried:
    """A product summed over labelled axes, as in ``einsum``.

    Args:
        tensors: the factors that depend on the image; others do not matter if they hold no zeros by construction.
        labels: for each factor, the label of each of its axes.
        result: labels of the result; one that no factor has is an axis of length 1.

    >>> x = image((1, 2, 3), places=(1, 2))
    >>> contract([x], ["nij"], "ni").spans(1)[1].tolist()
    [[3]]
    """
    parts = []
    for tensor, own in zip(tensors, labels, strict=True):
        names = list(own)
        for label in {name for name in names if names.count(name) > 1}:
            tensor, names = _diagonal(tensor, names, label)
        summed = [axis for axis, label in enumerate(names) if label not in result]
        tensor = reduce(tensor, summed) if summed else tensor
        names = [label for label in names if label in result]
        order = [names.index(label) for label in result if label in names]
        tensor = transpose(tensor, order)
        for place, label in enumerate(result):
            if label not in names:
                tensor = expand(tensor, place)
        parts.append(tensor)
    return join(parts)


def _diagonal(x: Carried, names: list[Any], label: Any) -> tuple[Carried, list[Any]]:
    """The elements whose places agree along two axes with one label."""
    first, second = [axis for axis, name in enumerate(names) if name == label][:2]
    moved = rearrange(x, lambda part: np.diagonal(part, axis1=first, axis2=second))
    rest = [name for axis, name in enumerate(names) if axis not in (first, second)]
    return moved, [*rest, label]


# -- everything --------------------------------------------------------------------------------------------------------


def everything(tensors: Sequence[Carried], shape: Sequence[int], reason: str | None = None) -> Carried:
    """A tensor of which each element may depend on all of some others.

    Args:
        tensors: what was read.
        shape: of the result.
        reason: what could not be seen through, in words; None: it is known to read everything.
    """
    parts = [reshape(reduce(tensor), (1,) * len(shape)) for tensor in tensors]
    whole = broadcast(join(parts), shape)
    return whole if reason is None else marked(whole, Marks(unknown=frozenset({reason})))


# -- factors -----------------------------------------------------------------------------------------------------------


def _along(axis: int, chosen: Any) -> tuple[Any, ...]:
    return (*(slice(None),) * axis, chosen)


def _without(shape: Sequence[int], axis: int) -> tuple[int, ...]:
    return (*shape[:axis], *shape[axis + 1 :])


def _kept(factor: Factor, axis: int, kept: Any) -> Factor:
    """A factor that is thin along an axis, with nothing at the places that are not kept; thin still if all are.

    No border is met there: what does not differ along an axis has nothing to do with the borders of that axis.
    """
    if kept.all():
        return factor
    where = kept.reshape(-1, *(1,) * (factor.ndim - 2 - axis))
    result: Factor = np.where(where, factor, _void(factor, factor.ndim - 1, border=False))
    return result


def _padded(factor: Factor, axis: int, before: int, after: int) -> Factor:
    """A factor with places behind the borders; whoever depends on those has met one, if spans differ along the axis."""
    if not before and not after:
        return factor
    lengths = list(factor.shape)
    lengths[axis] += before + after
    padded = np.broadcast_to(_void(factor, factor.ndim - 1, border=_differs(factor, axis)), lengths).copy()
    padded[_along(axis, slice(before, lengths[axis] - after))] = factor
    return padded


def _differs(factor: Factor, axis: int) -> bool:
    """Whether elements in the middle of an axis depend on different pixels, where they depend on any."""
    if factor.dtype == np.bool_ or factor.shape[axis] < 2:
        return False
    quarter = factor.shape[axis] // 4
    spans = factor[:2][_along(axis, slice(quarter, factor.shape[axis] - quarter))]
    return bool(((spans != spans.max(axis=axis, keepdims=True)) & (spans != NOWHERE)).any())


def _thinned(factor: Factor, axis: int) -> Factor:
    """A factor with length 1 along an axis on which it does not differ."""
    if factor.shape[axis] > 1:
        first: Factor = factor[_along(axis, slice(0, 1))]
        if np.array_equal(factor[_along(axis, slice(1, 2))], first) and (factor == first).all():
            return first
    return factor


def _thin(factor: Factor) -> Factor:
    for axis in range(1, factor.ndim):
        factor = _thinned(factor, axis)
    return np.ascontiguousarray(factor)
