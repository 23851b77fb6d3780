"""What flows forward through a network, and how primitives carry it.

A `Carried` stands for a tensor. Instead of a number, every element holds what it depends on: the *span* of pixels
along each image axis (first and last), whether one of some marked sets of pixels *touches* it, or both. All of them
have one join, the maximum, so a handful of primitives serves them all: pointwise (`join`), reduction (`reduce`), window
(`window`, `transposed_window`, `convolve`), movement (`reshape`, `transpose`, `take`, `pad`, ...), contraction
(`contract`, `mix`), and `everything` for what is unknown. Weights do not matter, so nothing is rounded and nothing
cancels; a network of any framework is measured in one pass.

Planes are thin: along axes on which a plane does not differ it has length 1, as in NumPy's broadcasting. The channels
of a map, and rows where only columns are looked at, cost nothing. Nothing here knows a framework, or what x and y are:
image axes are numbered from 0, in the order of arrays.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

Plane = npt.NDArray[Any]

NOWHERE = -(1 << 30)
"""Both ends of the span of an element that depends on no pixel."""


@dataclass(frozen=True)
class Marks:
    """What is known of a whole tensor besides its planes.

    Attributes:
        context: image axes along which elements from all over the image were mixed (global pooling, attention, ...).
        unknown: what could not be seen through on the way here, in words; spans behind it are upper bounds.
    """

    context: frozenset[int] = frozenset()
    unknown: frozenset[str] = frozenset()

    def __or__(self, other: Marks) -> Marks:
        if self == other:
            return self
        return Marks(self.context | other.context, self.unknown | other.unknown)


_UNMARKED = Marks()


@dataclass(frozen=True)
class Carried:
    """What every element of a tensor depends on.

    Attributes:
        shape: of the tensor.
        planes: what flows: arrays ``(k, *lengths)`` with each length that of ``shape``, or 1 where all elements along
            that axis agree. Spans are int32 with ``k`` 2, ``(-first, last + 1)``, so that the union of two is their
            maximum; one plane for each image axis, in order. Touched sets are bool, with one entry of ``k`` for each.
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

    def axis(self, axis: int) -> int:
        """An axis counted from the front; negative ones count from the end."""
        return axis % self.rank

    @property
    def nowhere(self) -> bool:
        """Whether no element depends on any pixel, or touches any marked one."""
        return not any((plane != nothing(plane)).any() for plane in self.planes)

    def spans(self, image_axis: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
        """First pixel, and last pixel + 1, of every element along an image axis; both 0 where there is none.

        Returns:
            Two arrays that broadcast to ``shape``.
        """
        plane = self.planes[image_axis]
        empty = plane[1] == NOWHERE
        return np.where(empty, 0, -plane[0]).astype(np.int32), np.where(empty, 0, plane[1]).astype(np.int32)

    def full(self, plane: int) -> Plane:
        """A plane at its full lengths, ``(k, *shape)``; a view without memory of its own where it is thin."""
        return np.broadcast_to(self.planes[plane], (len(self.planes[plane]), *self.shape))

    def each(self, function: Callable[[Plane], Plane], shape: Sequence[int]) -> Carried:
        """Another tensor, whose planes are a function of these."""
        return replace(self, shape=tuple(int(n) for n in shape), planes=tuple(function(p) for p in self.planes))


def nothing(plane: Plane) -> Any:
    """What an element holds in a plane if it depends on nothing."""
    return False if plane.dtype == np.bool_ else NOWHERE


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
    >>> [plane.shape for plane in x.planes]
    [(2, 1, 4, 1, 1), (2, 1, 1, 6, 1)]
    """
    shape = tuple(int(n) for n in shape)
    planes: list[Plane] = []
    for axis in places:
        index = np.arange(shape[axis], dtype=np.int32)
        lengths = [shape[axis] if other == axis else 1 for other in range(len(shape))]
        planes.append(np.stack([-index, index + 1]).reshape(2, *lengths))
    if touched is not None:
        lengths = [shape[axis] if axis in places else 1 for axis in range(len(shape))]
        planes.append(np.asarray(touched, bool).reshape(len(touched), *lengths))
    return Carried(shape, tuple(planes), local=local)


def nowhere(shape: Sequence[int], like: Carried) -> Carried:
    """A tensor that depends on no pixel, such as a constant or padding."""
    ones = (1,) * len(shape)
    planes = tuple(np.full((len(p), *ones), nothing(p), p.dtype) for p in like.planes)
    return Carried(tuple(int(n) for n in shape), planes, local=like.local)


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
    planes = [_lifted(plane, len(whole)) for plane in tensors[0].planes]
    for other in tensors[1:]:
        marks = marks | other.marks
        planes = [np.maximum(a, _lifted(b, len(whole))) for a, b in zip(planes, other.planes, strict=True)]
    return Carried(tuple(int(n) for n in whole), tuple(planes), marks, tensors[0].local)


def broadcast(x: Carried, shape: Sequence[int]) -> Carried:
    """The tensor stretched to a shape, as NumPy's ``broadcast_to``."""
    return join([x], shape)


def marked(x: Carried, marks: Marks) -> Carried:
    """The same tensor with more known about it."""
    return replace(x, marks=x.marks | marks)


def _lifted(plane: Plane, rank: int) -> Plane:
    """With axes of length 1 in front, as broadcasting adds them."""
    missing = rank - (plane.ndim - 1)
    return plane.reshape(plane.shape[0], *(1,) * missing, *plane.shape[1:]) if missing else plane


# -- reduction ---------------------------------------------------------------------------------------------------------


def reduce(x: Carried, axes: Iterable[int] | None = None, *, keepdims: bool = False) -> Carried:
    """Each result depends on all elements along some axes.

    Where that brings together what lies all over the image, the result is marked as global context along that image
    axis; of a ``local`` tensor nothing is left there.
    """
    chosen = tuple(range(x.rank)) if axes is None else tuple(sorted({x.axis(axis) for axis in axes}))
    shape = tuple(1 if axis in chosen else n for axis, n in enumerate(x.shape))
    joined = x.each(lambda plane: _reduced(plane, chosen), shape)
    joined = _with_context(x, joined)
    return joined if keepdims else squeeze(joined, chosen)


def _reduced(plane: Plane, axes: Sequence[int]) -> Plane:
    long = tuple(1 + axis for axis in axes if plane.shape[1 + axis] > 1)
    reduced: Plane = plane.max(axis=long, keepdims=True) if long else plane
    return reduced


def _with_context(before: Carried, after: Carried) -> Carried:
    """A result, marked along the image axes along which all of it depends on all that there was to depend on."""
    mixed = {
        axis
        for axis, (old, new) in enumerate(zip(before.planes, after.planes, strict=True))
        if old.dtype != np.bool_ and old is not new and _is_mixed(old, new)
    }
    if not mixed - before.marks.context and not (mixed and before.local):
        return after
    if before.local:
        return replace(nowhere(after.shape, after), marks=after.marks)
    return replace(after, marks=after.marks | Marks(frozenset(mixed)))


def _is_mixed(old: Plane, new: Plane) -> bool:
    """Whether elements that differed along an image axis now all depend on everything that any of them did."""
    flat = old.reshape(2, -1)
    seen = flat[:, flat[1] != NOWHERE]
    if seen.shape[1] < 2:
        return False
    hull = seen.max(axis=1)
    if (seen == hull[:, None]).all():
        return False  # they did not differ
    now = new.reshape(2, -1)
    now = now[:, now[1] != NOWHERE]
    return bool(now.size and (now == hull[:, None]).all())


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

    def moved(plane: Plane) -> Plane:
        if plane.shape[1 + axis] == 1:
            taps = starts[:, None] + np.arange(size) * dilation
            return _kept(plane, axis, ((taps >= 0) & (taps < length)).any(axis=1))
        padded = _padded(plane, 1 + axis, before, after)
        return _windowed(padded, 1 + axis, size, dilation, slice(0, (results - 1) * stride + 1, stride), results)

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
    spread = pad(_spaced(x, axis, stride), axis, (size - 1) * dilation, (size - 1) * dilation)
    reached = window(spread, axis, size, dilation=dilation)
    return pad(reached, axis, -start, length + start - reached.shape[axis])


def _spaced(x: Carried, axis: int, stride: int) -> Carried:
    """The elements ``stride`` apart, with nothing between them."""
    count = x.shape[axis]
    if stride == 1 or count <= 1:
        return x
    shape = (*x.shape[:axis], (count - 1) * stride + 1, *x.shape[axis + 1 :])

    def spread(plane: Plane) -> Plane:
        lengths = list(plane.shape)
        lengths[1 + axis] = shape[axis]
        wide = np.full(lengths, nothing(plane), plane.dtype)
        wide[_along(1 + axis, slice(None, None, stride))] = plane
        return wide

    return x.each(spread, shape)


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
        x = _grouped(x, channels, groups, results)
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
    parts = []
    for tap in np.argwhere(taps.any(axis=(-1, -2))):
        part = x
        for place, offset, stride, dilation, length in zip(places, tap, strides, dilations, lengths, strict=True):
            first = int(offset) * dilation
            part = cut(part, place, first, first + (length - 1) * stride + 1, stride)
        mask = taps[tuple(tap)]
        parts.append(_grouped(part, channels, groups, results) if mask.all() else _mixed(part, channels, mask, groups))
    if not parts:
        shape = list(x.shape)
        for place, length in zip(places, lengths, strict=True):
            shape[place] = length
        shape[channels] = results
        return nowhere(shape, x)
    return join(parts)


def _grouped(x: Carried, axis: int, groups: int, results: int) -> Carried:
    """Each of the results depends on all channels of its group."""
    if groups == 1:
        mixed = reduce(x, [axis], keepdims=True)
        return broadcast(mixed, (*x.shape[:axis], results, *x.shape[axis + 1 :]))
    count, before, after = x.shape[axis], x.shape[:axis], x.shape[axis + 1 :]
    split = reduce(reshape(x, (*before, groups, count // groups, *after)), [axis + 1], keepdims=True)
    wide = broadcast(split, (*before, groups, results // groups, *after))
    return reshape(wide, (*before, results, *after))


def _mixed(x: Carried, axis: int, mask: npt.NDArray[np.bool_], groups: int) -> Carried:
    """As `_grouped`, where some results do not depend on some channels."""
    inputs, results = x.shape[axis] // groups, mask.shape[1] // groups
    parts = []
    for group in range(groups):
        some = cut(x, axis, group * inputs, (group + 1) * inputs)
        columns = np.broadcast_to(mask[:, group * results : (group + 1) * results], (inputs, results))
        parts.append(mix(some, axis, columns))
    return parts[0] if groups == 1 else concatenate(parts, axis)


def _windowed(plane: Plane, axis: int, size: int, dilation: int, chosen: slice, results: int) -> Plane:
    """Maximum over windows, by doubling: the cost grows with the logarithm of the size."""
    covered = 1
    while covered < size and results:
        more = min(covered, size - covered)
        shift = more * dilation
        behind, ahead = slice(None, plane.shape[axis] - shift), slice(shift, None)
        plane = np.maximum(plane[_along(axis, behind)], plane[_along(axis, ahead)])
        covered += more
    windowed: Plane = plane[_along(axis, chosen if results else slice(0, 0))]
    return windowed


# -- movement ----------------------------------------------------------------------------------------------------------


def pad(x: Carried, axis: int, before: int, after: int) -> Carried:
    """Places that depend on nothing before and behind the elements of an axis; negative numbers cut elements off."""
    axis = x.axis(axis)
    if before == after == 0:
        return x
    length = x.shape[axis] + before + after
    shape = (*x.shape[:axis], max(0, length), *x.shape[axis + 1 :])

    def padded(plane: Plane) -> Plane:
        if plane.shape[1 + axis] == 1:
            place = np.arange(max(0, length)) - before
            return _kept(plane, axis, (place >= 0) & (place < x.shape[axis]))
        cropped = plane[_along(1 + axis, slice(max(0, -before), plane.shape[1 + axis] - max(0, -after)))]
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

    def taken(plane: Plane) -> Plane:
        if plane.shape[1 + axis] == 1:
            return _kept(plane, axis, ~absent)
        moved = np.take(plane, np.where(absent, 0, index), axis=1 + axis)
        if absent.any():
            moved[_along(1 + axis, absent)] = nothing(plane)
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

    def reshaped(plane: Plane) -> Plane:
        lengths, full = [plane.shape[0]], [plane.shape[0]]
        for old, new in groups:
            thin = all(plane.shape[1 + axis] == 1 for axis in old)
            lengths += [1 if thin else shape[axis] for axis in new]
            full += [1 if thin else x.shape[axis] for axis in old]
        return np.broadcast_to(plane, full).reshape(lengths)

    return x.each(reshaped, shape)


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
    return x.each(lambda plane: plane.transpose(moved), [x.shape[axis] for axis in order])


def squeeze(x: Carried, axes: Collection[int]) -> Carried:
    """Without some axes of length 1."""
    gone = {x.axis(axis) for axis in axes}
    kept = [axis for axis in range(x.rank) if axis not in gone]
    return x.each(
        lambda plane: plane.reshape(plane.shape[0], *(plane.shape[1 + axis] for axis in kept)),
        [x.shape[axis] for axis in kept],
    )


def expand(x: Carried, axis: int) -> Carried:
    """With one more axis, of length 1."""
    axis %= x.rank + 1
    return x.each(lambda plane: np.expand_dims(plane, 1 + axis), (*x.shape[:axis], 1, *x.shape[axis:]))


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
        if all(piece.shape[1 + axis] == 1 for piece in pieces) and all(
            np.array_equal(pieces[0], piece) for piece in pieces[1:]
        ):
            planes.append(pieces[0])
            continue
        common = list(np.broadcast_shapes(*(_without(piece.shape, 1 + axis) for piece in pieces)))
        full = [
            np.broadcast_to(piece, (*common[: 1 + axis], tensor.shape[axis], *common[1 + axis :]))
            for piece, tensor in zip(pieces, tensors, strict=True)
        ]
        planes.append(np.concatenate(full, axis=1 + axis))
    return Carried(tuple(shape), tuple(planes), marks, tensors[0].local)


def rearrange(x: Carried, function: Callable[[npt.NDArray[Any]], npt.NDArray[Any]]) -> Carried:
    """Any movement of elements, given as a function of NumPy arrays; it runs on the planes at their full lengths."""
    moved = [np.stack([function(part) for part in x.full(number)]) for number in range(len(x.planes))]
    return replace(x, shape=tuple(moved[0].shape[1:]), planes=tuple(_thinned(plane) for plane in moved))


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
    for number, plane in enumerate(x.planes):
        result = np.full((len(plane), math.prod(shape)), nothing(plane), plane.dtype)
        values = x.full(number).reshape(len(plane), -1)
        for row, value in zip(result, values, strict=True):
            np.maximum.at(row, flat[kept], value[kept])
        planes.append(_thinned(result.reshape(len(plane), *shape)))
    return replace(x, shape=tuple(int(n) for n in shape), planes=tuple(planes))


# -- contraction -------------------------------------------------------------------------------------------------------


def mix(x: Carried, axis: int, mask: npt.NDArray[np.bool_]) -> Carried:
    """A product with a constant matrix along an axis: result j depends on the elements k with ``mask[k, j]``."""
    axis = x.axis(axis)
    mask = np.asarray(mask, bool)
    shape = (*x.shape[:axis], mask.shape[1], *x.shape[axis + 1 :])
    if mask.all():
        return broadcast(reduce(x, [axis], keepdims=True), shape)

    def mixed(plane: Plane) -> Plane:
        if plane.shape[1 + axis] == 1:
            return _kept(plane, axis, mask.any(axis=0))
        moved: Plane = np.moveaxis(plane, 1 + axis, 0)
        result: Plane = np.full((mask.shape[1], *moved.shape[1:]), nothing(plane), plane.dtype)
        for row, columns in zip(moved, mask, strict=True):
            result[columns] = np.maximum(result[columns], row)
        return np.moveaxis(result, 0, 1 + axis)

    return _with_context(x, x.each(mixed, shape))


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


# -- planes ------------------------------------------------------------------------------------------------------------


def _along(axis: int, chosen: Any) -> tuple[Any, ...]:
    return (*(slice(None),) * axis, chosen)


def _without(shape: Sequence[int], axis: int) -> tuple[int, ...]:
    return (*shape[:axis], *shape[axis + 1 :])


def _kept(plane: Plane, axis: int, kept: Any) -> Plane:
    """A plane that is thin along an axis, with nothing at the places that are not kept; thin still if all are."""
    if kept.all():
        return plane
    where = kept.reshape(-1, *(1,) * (plane.ndim - 2 - axis))
    return np.where(where, plane, np.asarray(nothing(plane), plane.dtype))


def _padded(plane: Plane, axis: int, before: int, after: int) -> Plane:
    if not before and not after:
        return plane
    amounts = [(before, after) if number == axis else (0, 0) for number in range(plane.ndim)]
    return np.pad(plane, amounts, constant_values=nothing(plane))


def _thinned(plane: Plane) -> Plane:
    """A plane with length 1 along every axis on which it does not differ."""
    for axis in range(1, plane.ndim):
        if plane.shape[axis] > 1:
            first = plane[_along(axis, slice(0, 1))]
            if (plane == first).all():
                plane = first
    return np.ascontiguousarray(plane)
