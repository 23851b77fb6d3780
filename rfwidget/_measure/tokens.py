"""Where on the image the elements of tensors stand, while a network runs on numbers; and the attentions met on the way.

A token keeps its place whatever is done to it: reshaped, transposed, rolled, cut into windows, multiplied by weights.
So `Places` holds for every element of a tensor the pixel in the middle of what it stands for, moved by the same
movements as the tensor. The scores of an attention have two: that of the query and that of the key. Which of the two
factors was the query is told by the softmax, which runs along the keys.

Coordinates are homogeneous: the pixel coordinates of an element, in the order of arrays, times its presence, and the
presence itself, 1 or 0. Elements without a place (class tokens, registers, padding) are zeros, which is what padding
puts there anyway. Nothing here knows a framework.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from rfwidget.network import Attention

Planes = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Places:
    """Where the elements of a tensor stand.

    Attributes:
        own: float32 ``(axes + 1, *shape)``: coordinates times presence along each image axis, and the presence.
        other: the same of the second factor of a product, which has an element for every pair; None: it is none.
        lone: whether it is the product with something that has no places, which may be queries that were learned.
    """

    own: Planes
    other: Planes | None = None
    lone: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the tensor."""
        return self.own.shape[1:]

    @property
    def centres(self) -> npt.NDArray[np.float32]:
        """Coordinates in pixels, ``(*shape, axes)``; NaN where there is no place."""
        return _centres(self.own)


def image(shape: Sequence[int], axes: Sequence[int]) -> Places:
    """The image itself.

    Args:
        shape: of its tensor.
        axes: of the tensor that are those of the image, in the order of arrays.

    >>> image((1, 2, 3, 1), axes=(1, 2)).centres[0, 1, 2, 0].tolist()
    [1.5, 2.5]
    """
    lines = [_line(np.arange(shape[axis], dtype=np.float32) + 0.5, axis, len(shape)) for axis in axes]
    return Places(np.stack([np.broadcast_to(line, shape) for line in (*lines, np.float32(1))]))


def moved(places: Places, function: Callable[[Planes], Planes]) -> Places:
    """After a movement of the tensor.

    Args:
        places: before.
        function: the same movement, of one array of its shape; what it puts between and around is zero.
    """

    def each(planes: Planes) -> Planes:
        return np.stack([function(plane) for plane in planes])

    return replace(places, own=each(places.own), other=None if places.other is None else each(places.other))


def joined(parts: Sequence[Places], shape: Sequence[int]) -> Places | None:
    """Of sums, products and choices of tensors, element by element.

    Those that are as large as the result say where it stands; what is broadcast (positions, gates) does not.
    """
    shape, whole = tuple(shape), [part for part in parts if part.shape == tuple(shape)]
    if not whole:
        try:
            whole = [_stretched(part, shape) for part in parts]
        except ValueError:  # of another shape: it is no such operation
            return None
    whole.sort(key=lambda part: part.other is None)
    first = whole[0]
    if first.other is None and len(whole) > 1:
        own = first.own
        for part in whole[1:]:
            if (own[-1] == 0).any():
                own = np.where(own[-1] == 0, part.own, own)
        return replace(first, own=own)
    return first


def reduced(places: Places, axes: Sequence[int], *, keepdims: bool) -> Places:
    """In the middle of all elements along some axes."""
    rank = len(places.shape)
    chosen = sorted({axis % rank for axis in axes})
    own = _mean(places.own, chosen)
    return Places(own if keepdims else own.squeeze(tuple(1 + axis for axis in chosen)))


def product(
    parts: Sequence[Places | None], labels: Sequence[Sequence[Any]], result: Sequence[Any], lengths: Mapping[Any, int]
) -> Places:
    """Of a product of two tensors that is summed over labelled axes, as in ``einsum``.

    Args:
        parts: places of the factors; None: it has none. At least one has.
        labels: for each factor, the label of each of its axes.
        result: labels of the result.
        lengths: of all labels.
    """
    shape = [lengths[label] for label in result]
    planes: list[Planes | None] = []
    for part, own in zip(parts, labels, strict=True):
        planes.append(None if part is None else _labelled(part.own, own, result, shape))
    pairs = [place for place, part in enumerate(parts) if part is not None and part.other is not None]
    known = [plane for plane in planes if plane is not None]
    if pairs:  # what an attention takes together stands where its queries do
        found = planes[pairs[0]]
        return Places(known[0] if found is None else found)
    if len(known) == 1:
        return Places(known[0], lone=True)
    return Places(known[0], known[1])


def resampled(places: Places, axis: int, positions: npt.NDArray[Any]) -> Places:
    """Between elements of an axis: windows, enlarged maps. Beyond its ends coordinates go on as they did.

    Args:
        places: before.
        axis: of the tensor.
        positions: number of the element in whose middle each result stands, with fractions.
    """
    axis = axis % len(places.shape)
    count = places.shape[axis]
    positions = np.asarray(positions, np.float32)
    if count == 1:
        return Places(np.repeat(places.own, len(positions), axis=1 + axis))
    low = np.clip(np.floor(positions), 0, count - 2).astype(int)
    part = _line((positions - low).astype(np.float32), 1 + axis, places.own.ndim)
    before, behind = places.own.take(low, axis=1 + axis), places.own.take(low + 1, axis=1 + axis)
    own = before + part * (behind - before)
    nearest = places.own.take(np.clip(np.rint(positions), 0, count - 1).astype(int), axis=1 + axis)
    return Places(np.where((before[-1] > 0) & (behind[-1] > 0), own, nearest))


def window(places: Places, axis: int, size: int, *, stride: int, dilation: int, before: int, results: int) -> Places:
    """In the middle of windows, as `rfwidget._measure.spans.window` moves them."""
    starts = np.arange(results) * stride - before
    return resampled(places, axis, starts + dilation * (size - 1) / 2)


def attended(
    places: Places, axis: int, name: str, weights: Callable[[], npt.NDArray[Any]]
) -> tuple[Places, Attention | None]:
    """Behind a softmax: an attention, if it runs along the keys of queries.

    Args:
        places: of what it runs on.
        axis: along which it runs.
        name: of the attention.
        weights: gives the result of the softmax.

    Returns:
        Places of the result, and the attention; None: it is none.
    """
    axis = axis % len(places.shape)
    own, other = places.own, places.other
    if other is None and places.lone and _varies(own, axis):
        own, other = np.zeros_like(own), own
    elif other is None or _varies(own, axis) == _varies(other, axis):
        return replace(places, lone=False), None
    elif _varies(own, axis):
        own, other = other, own
    behind = Places(own, other)
    rank = len(places.shape)
    along = [a for a in range(rank) if a != axis and _varies(own, a) and not _varies(other, a)]
    rest = [a for a in range(rank) if a != axis]
    queries = along[-1] if along else rest[-1] if rest else None
    if queries is None:
        return behind, None
    order = [*(a for a in rest if a != queries), queries, axis]
    moved_ = [0, *(1 + a for a in order)]
    of_queries, of_keys = own.transpose(moved_)[..., 0], other.transpose(moved_)[..., 0, :]
    found = np.ascontiguousarray(np.asarray(weights(), np.float32).transpose(order))
    return behind, Attention(name, found, _centres(of_queries), _centres(of_keys))


def cells(places: Places | None, axes: Sequence[int], grid: Sequence[int]) -> npt.NDArray[np.float32]:
    """Where the cells of a layer stand, ``(*grid, axes)``; NaN where that is unknown.

    Args:
        places: of the layer's output; None: unknown.
        axes: of it that are those of the grid.
        grid: lengths of the grid.
    """
    if places is None:
        return np.full((*grid, len(axes)), np.nan, np.float32)
    others = [axis for axis in range(len(places.shape)) if axis not in axes]
    own = _mean(places.own, others).squeeze(tuple(1 + axis for axis in others))
    order = np.argsort(np.argsort(axes))
    return _centres(own.transpose(0, *(1 + order)))


def prefix_of(places: Places | None, number: int) -> int | None:
    """Which of the tokens without a place one is; None: it has a place, or that is unknown.

    Args:
        places: of all tokens, ``(n, tokens, channels)``.
        number: of the token.
    """
    if places is None:
        return None
    away = places.own[-1, 0, :, 0] == 0
    return int(away[:number].sum()) if away[number] and not away.all() else None


# -- planes ------------------------------------------------------------------------------------------------------------


def _centres(planes: Planes) -> npt.NDArray[np.float32]:
    values = np.moveaxis(planes[:-1], 0, -1)
    return np.where(planes[-1][..., None] > 0, values, np.float32(np.nan))


def _mean(planes: Planes, axes: Sequence[int]) -> Planes:
    """Along axes of the tensor, which stay with length 1; of those that are present."""
    for axis in axes:
        if not _varies(planes, axis):
            planes = planes.take([0], axis=1 + axis)
    long = tuple(1 + axis for axis in axes if planes.shape[1 + axis] > 1)
    if not long:
        return planes
    sums = planes.sum(axis=long, keepdims=True, dtype=np.float64)
    found: Planes = np.where(sums[-1] > 0, sums / np.maximum(sums[-1], 1e-9), 0).astype(np.float32)
    return found


def _varies(planes: Planes, axis: int) -> bool:
    """Whether elements along an axis of the tensor stand at different places."""
    place = 1 + axis
    if planes.shape[place] < 2 or planes.strides[place] == 0:
        return False
    return bool((planes != planes.take([0], axis=place)).any())


def _labelled(planes: Planes, own: Sequence[Any], result: Sequence[Any], shape: Sequence[int]) -> Planes:
    """Summed over the labels that the result has not, and stretched along those that only the result has."""
    gone = [axis for axis, label in enumerate(own) if label not in result]
    kept = [label for label in own if label in result]
    planes = _mean(planes, gone).squeeze(tuple(1 + axis for axis in gone))
    planes = planes.transpose(0, *(1 + kept.index(label) for label in result if label in kept))
    for place, label in enumerate(result):
        if label not in kept:
            planes = np.expand_dims(planes, 1 + place)
    return np.broadcast_to(planes, (len(planes), *shape))


def _stretched(places: Places, shape: Sequence[int]) -> Places:
    def each(planes: Planes) -> Planes:
        missing = len(shape) - (planes.ndim - 1)
        lifted = planes.reshape(len(planes), *(1,) * missing, *planes.shape[1:])
        return np.broadcast_to(lifted, (len(planes), *shape))

    return replace(places, own=each(places.own), other=None if places.other is None else each(places.other))


def _line(values: Any, axis: int, rank: int) -> Any:
    return values.reshape([-1 if other == axis else 1 for other in range(rank)])
