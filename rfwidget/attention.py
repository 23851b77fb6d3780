"""What a token attends to: the weights of one attention, and attention rolled out over depth, as maps on the image."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rfwidget._validation import brief, whole
from rfwidget.errors import ReceptiveFieldError, suggest
from rfwidget.network import Attended, Attention
from rfwidget.types import GridPoint, GridShape, Size

Floats = npt.NDArray[np.float32]

_GRAIN = 1 << 8
"""Places less than 1 / so many pixels apart are one."""


class AttentionShape(NamedTuple):
    """What an attention of a model is like.

    Attributes:
        heads: number of heads.
        queries: their grid; that of all windows together.
        keys: theirs, which is coarser where keys were reduced.
        window: of the keys that one query sees; the whole grid where it sees all.
        prefix: queries without a place: class token, registers, padding of windows.
    """

    heads: int
    queries: Size
    keys: Size
    window: Size
    prefix: int


class AttentionMap(NamedTuple):
    """How much of a token comes from each of the tokens that it attends to; all of it together is 1.

    Attributes:
        values: float32, from each key token with a place, ``(h, w)`` of their grid; 0 from those outside the window.
        elsewhere: float32, from each of those without a place: class token, registers, padding, in their order.
        layers: names of the attentions that it is made of, in the order in which they are computed.
        edges: along x, along y, ..., the edges in pixels of the tokens' columns, rows, ...
        image: shape of the image.
    """

    values: Floats
    elsewhere: Floats
    layers: tuple[str, ...]
    edges: tuple[tuple[float, ...], ...]
    image: GridShape

    def on_image(self) -> Floats:
        """On the pixels of the image, ``(height, width)``: each token's share, spread evenly over its place.

        Its sum is that of ``values``.
        """
        spread = self.values.astype(np.float64)
        for axis, (edges, length) in enumerate(zip(reversed(self.edges), self.image.lengths, strict=True)):
            low, high = np.array(edges[:-1]), np.array(edges[1:])
            pixels = np.arange(length)[:, None]
            cover = np.clip(np.minimum(high, pixels + 1) - np.maximum(low, pixels), 0, None)
            total = cover.sum(axis=0)
            spread = np.moveaxis(np.tensordot(cover / np.where(total > 0, total, 1), spread, (1, axis)), 0, axis)
        return spread.astype(np.float32)


def shapes(attended: Attended) -> dict[str, AttentionShape]:
    """What all attentions on the way to a layer are like, by name."""
    found = {}
    for name, attention in named(attended).items():
        queries, keys = _places(attention.queries), _places(attention.keys)
        heads = len(_rows(attention, queries[0])[0]) if len(queries) else math.prod(attention.weights.shape[:-2])
        seen = _rows(attention, queries[0])[1][0] if len(queries) else attention.keys.reshape(-1, keys.shape[-1])
        found[name] = AttentionShape(heads, _size(queries), _size(keys), _size(_placed(seen)), _prefix(attention))
    return found


def named(attended: Attended) -> dict[str, Attention]:
    """Attentions by name; of several of the same name, the later ones are numbered."""
    found: dict[str, Attention] = {}
    for attention in attended.attentions:
        name, count = attention.name, 0
        while name in found:
            count += 1
            name = f"{attention.name}_{count}"
        found[name] = attention
    return found


def attention_map(
    attended: Attended, token: GridPoint | int, layer: str | None, head: int | None, image: GridShape
) -> AttentionMap:
    """The weights of one attention.

    Args:
        attended: what the network has seen.
        token: a cell of the layer; or the number of a token without a place.
        layer: name of the attention; None: the last one.
        head: its number; None: the mean of all.
        image: shape of the image.

    Raises:
        ReceptiveFieldError: if there is no such attention, head or token, or its tokens lie on no grid.
    """
    known, token = _some(attended), _own_token(attended, token)
    name = next(reversed(known)) if layer is None else layer
    if name not in known:
        raise ReceptiveFieldError(
            f"no attention {brief(name)} on the way to this layer{suggest(str(name), known)}; there are "
            f"{', '.join(known)}"
        )
    attention = known[name]
    weights, keys = _rows_of(attended, attention, token)
    row: Floats = weights.mean(axis=0) if head is None else weights[_head(head, len(weights))]
    return _map(row, keys[0], _grid(_places(attention.keys)), (name,), image)


def _head(head: int, count: int) -> int:
    return whole("head", head, low=0, high=count - 1)


def rollout(attended: Attended, token: GridPoint | int, image: GridShape) -> AttentionMap:
    """Attention rolled out over depth (Abnar and Zuidema 2020, https://arxiv.org/abs/2005.00928).

    Every layer passes on half of a token as it is, and the other half by its attention, mean of the heads:
    ``A = 0.5 * A + 0.5 * I``; rows sum to one, and layers are multiplied. Attentions before the last one count as far
    back as their tokens are the same; where tokens are merged, a new stage begins.

    Args:
        attended: what the network has seen.
        token: a cell of the layer; or the number of a token without a place.
        image: shape of the image.

    Raises:
        ReceptiveFieldError: if there is no attention or no such token, or the keys of the last one are no queries.
    """
    known, token = _some(attended), _own_token(attended, token)
    last = known[next(reversed(known))]
    grid = _grid(_places(last.queries))
    count, prefix = math.prod(map(len, grid)), _prefix(last)
    if isinstance(token, int):
        _rows_of(attended, last, token)
        start = count + token
    else:
        start = int(_numbers(_nearest(last, _centre(attended, token))[None], grid)[0])
    row = np.zeros(count + prefix + 1)  # tokens with a place, those without, and padding
    row[start] = 1.0
    used: list[str] = []
    for name in reversed(known):
        after = _step(row, known[name], grid, prefix)
        if after is None:
            break
        row = 0.5 * row + 0.5 * after
        used.insert(0, name)
    if not used:
        raise ReceptiveFieldError(
            f"attention is not rolled out through {name!r}: its keys are other tokens than its queries, "
            "so one layer's tokens are not the next one's. attention_at shows each layer alone"
        )
    lengths = [len(line) for line in grid]
    values = row[:count].reshape(lengths).astype(np.float32)
    elsewhere = row[count : count + prefix + bool(row[-1])].astype(np.float32)
    return AttentionMap(values, elsewhere, tuple(used), _edges(grid, image), image)


def _step(
    row: npt.NDArray[np.float64], attention: Attention, grid: Grid, prefix: int
) -> npt.NDArray[np.float64] | None:
    """Shares of tokens before an attention from those behind it; None: they are not the same tokens."""
    lead = attention.weights.shape[:-2]
    queries = np.broadcast_to(attention.queries, (*lead, *attention.queries.shape[-2:]))
    keys = np.broadcast_to(attention.keys, (*lead, *attention.keys.shape[-2:]))
    windows = len({*map(bytes, np.ascontiguousarray(np.nan_to_num(keys[..., 0, :])).reshape(-1, keys.shape[-1]))}) > 1
    numbers = [_tokens(places, grid, prefix, padded=windows) for places in (queries, keys)]
    if any(found is None for found in numbers):
        return None
    of_queries, of_keys = (found for found in numbers if found is not None)
    times = np.bincount(of_queries.ravel(), minlength=len(row))
    if not times[: len(row) - 1 - prefix].all() or of_keys.shape[-1] == 1:
        return None
    shares = np.where(times > 0, row / np.maximum(times, 1), 0)
    given = np.einsum("...q,...qk->...k", shares[of_queries], attention.weights.astype(np.float64))
    after: npt.NDArray[np.float64] = np.bincount(of_keys.ravel(), given.ravel(), len(row)).astype(np.float64)
    after[times == 0] += row[times == 0]  # what is no query here stays as it is
    return after


def _tokens(places: Floats, grid: Grid, prefix: int, *, padded: bool) -> npt.NDArray[np.int64] | None:
    """Numbers of tokens in a rolled-out row, in the order of the grid; None: some are no tokens of it."""
    numbers = _numbers(places, grid)
    if (numbers == -2).any():
        return None
    away, count = numbers == -1, math.prod(map(len, grid))
    if padded:
        return np.where(away, count + prefix, numbers)
    order = np.cumsum(away, axis=-1) - 1
    if away.any() and order.max() >= prefix:
        return None
    return np.where(away, count + order, numbers)


# -- tokens ------------------------------------------------------------------------------------------------------------

Grid = tuple[npt.NDArray[np.float64], ...]
"""Coordinates of the columns and rows of tokens along each image axis, in the order of arrays."""


def _some(attended: Attended) -> dict[str, Attention]:
    known = named(attended)
    if not known:
        reason = f" ({attended.unseen})" if attended.unseen else ""
        raise ReceptiveFieldError(
            f"there is no attention on the way to this layer{reason}: choose a layer behind one; gradient_at shows "
            "what cells of any layer use"
        )
    return known


def _own_token(attended: Attended, token: GridPoint | int) -> GridPoint | int:
    """Of a layer that is one token without a place, that one for its only cell."""
    return token if isinstance(token, int) or attended.prefix is None else attended.prefix


def _centre(attended: Attended, cell: GridPoint) -> Floats:
    """Where a cell stands."""
    found: Floats = attended.cells[cell.place]
    if np.isnan(found).any():
        raise ReceptiveFieldError(
            f"which token cell {tuple(cell)} is, is not known"
            + (f": {attended.unseen}" if attended.unseen else "")
            + ". Choose a layer that keeps the tokens' places, or a token without a place: prefix=0"
        )
    return found


def _rows_of(attended: Attended, attention: Attention, token: GridPoint | int) -> tuple[Floats, Floats]:
    """A token's weights ``(heads, keys)``, and the places of its keys ``(heads, keys, axes)``."""
    if not isinstance(token, int):
        return _rows(attention, _nearest(attention, _centre(attended, token)))
    count = _prefix(attention)
    if not 0 <= token < count:
        there = f"there are {count}, numbered from 0" if count else "all of its tokens have a place"
        raise ReceptiveFieldError(f"prefix is {token}: {attention.name!r} has no such token; {there}")
    lead = attention.weights.shape[:-2]
    row = int(_away(attention)[token])
    keys = np.broadcast_to(attention.keys, (*lead, *attention.keys.shape[-2:]))
    return (
        attention.weights[..., row, :].reshape(-1, attention.weights.shape[-1]),
        keys.reshape(-1, *keys.shape[-2:]),
    )


def _nearest(attention: Attention, centre: Floats) -> Floats:
    """Place of the query that is nearest to a point of the image."""
    flat = _placed(attention.queries.reshape(-1, attention.queries.shape[-1]))
    if not len(flat):
        raise ReceptiveFieldError(
            f"the queries of {attention.name!r} have no places on the image: choose one by its number, prefix=0"
        )
    place: Floats = flat[((flat - centre) ** 2).sum(axis=-1).argmin()]
    return place


def _rows(attention: Attention, place: Floats) -> tuple[Floats, Floats]:
    """Weights and keys of the query at a place, one for each head."""
    lead = attention.weights.shape[:-2]
    queries = np.broadcast_to(attention.queries, (*lead, *attention.queries.shape[-2:]))
    index = np.nonzero((np.abs(queries - place) < 1 / _GRAIN).all(axis=-1))
    keys = np.broadcast_to(attention.keys, (*lead, *attention.keys.shape[-2:]))
    return attention.weights[index], keys[index[:-1]]


def _prefix(attention: Attention) -> int:
    """How many queries have no place."""
    return len(_away(attention))


def _away(attention: Attention) -> npt.NDArray[np.intp]:
    """Which queries have no place."""
    away: npt.NDArray[np.bool_] = np.isnan(attention.queries[..., 0]).reshape(-1, attention.queries.shape[-2])
    return np.flatnonzero(away.any(axis=0))


def _placed(places: Floats) -> Floats:
    return places[~np.isnan(places).any(axis=-1)]


def _places(places: Floats) -> Floats:
    """All different places of some tokens, ``(n, axes)``."""
    flat = _placed(places.reshape(-1, places.shape[-1]))
    return (np.unique(np.rint(flat * _GRAIN), axis=0) / _GRAIN).astype(np.float32)


def _grid(places: Floats) -> Grid:
    """The grid on which tokens stand.

    Raises:
        ReceptiveFieldError: if they stand on none.
    """
    lines = tuple(np.unique(line).astype(np.float64) for line in places.T)
    if math.prod(map(len, lines)) != len(places):
        raise ReceptiveFieldError(
            f"the {len(places)} tokens of this attention lie on no grid: they cannot be shown as a map"
        )
    return lines


def _size(places: Floats) -> Size:
    return Size(*(len(np.unique(line)) for line in reversed(places.T)))


def _numbers(places: Floats, grid: Grid) -> npt.NDArray[np.int64]:
    """Numbers of tokens in a grid, in the order of C; -1: it has no place; -2: it is no token of the grid."""
    away = np.isnan(places).any(axis=-1)
    found, beside = np.zeros(places.shape[:-1], np.int64), np.zeros(places.shape[:-1], bool)
    for axis, line in enumerate(grid):
        own = np.nan_to_num(places[..., axis]).astype(np.float64)
        near = np.clip(np.searchsorted(line, own - 1 / _GRAIN), 0, len(line) - 1)
        beside |= np.abs(line[near] - own) > 2 / _GRAIN
        found = found * len(line) + near
    return np.where(away, -1, np.where(beside, -2, found))


def _map(row: Floats, keys: Floats, grid: Grid, layers: tuple[str, ...], image: GridShape) -> AttentionMap:
    numbers = _numbers(keys, grid)
    there = numbers >= 0
    lengths = [len(line) for line in grid]
    values = np.bincount(numbers[there], row[there], math.prod(lengths)).reshape(lengths)
    return AttentionMap(values.astype(np.float32), row[~there], layers, _edges(grid, image), image)


def _edges(grid: Grid, image: GridShape) -> tuple[tuple[float, ...], ...]:
    """Edges of the tokens' places along x, y, ...: half way between their middles, and inside the image."""
    found: list[tuple[float, ...]] = []
    for line, length in zip(reversed(grid), reversed(image.lengths), strict=True):
        if len(line) < 2:
            found.append((0.0, float(length)))
            continue
        between = (line[1:] + line[:-1]) / 2
        ends = 2 * line[0] - between[0], 2 * line[-1] - between[-1]
        found.append(tuple(np.clip([ends[0], *between, ends[1]], 0, length).tolist()))
    return tuple(found)
