"""Every primitive against a black box: the same operation on Boolean dependencies, written with explicit loops.

A black box holds for each element of a tensor a mask of all pixels that it depends on. From it follow the spans and
whether a set of pixels is touched; `Carried` must tell the same.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from rfwidget._measure import spans
from rfwidget._measure.spans import Carried

HEIGHT, WIDTH, CHANNELS = 5, 7, 2
Box = npt.NDArray[Any]  # (*shape, HEIGHT, WIDTH), bool


def start(seed: int) -> tuple[Carried, Box, npt.NDArray[np.bool_]]:
    """An image (1, c, h, w) as both see it, and three marked sets; its channels have been made to differ."""
    draw = np.random.default_rng(seed)
    touched = draw.random((3, HEIGHT, WIDTH)) < 0.2
    x = spans.image((1, CHANNELS, HEIGHT, WIDTH), (2, 3), touched)
    box = np.zeros((1, CHANNELS, HEIGHT, WIDTH, HEIGHT, WIDTH), bool)
    for c, i, j in np.ndindex(CHANNELS, HEIGHT, WIDTH):
        box[0, c, i, j, i, j] = True
    order = draw.permutation(HEIGHT)
    x = spans.concatenate([spans.cut(x, 1, 0, 1), spans.take(spans.cut(x, 1, 1, 2), 2, order)], 1)
    box = np.concatenate([box[:, :1], box[:, 1:][:, :, order]], axis=1)
    return x, box, touched


def agree(x: Carried, box: Box, touched: npt.NDArray[np.bool_]) -> None:
    assert x.shape == box.shape[:-2]
    for axis, other in ((0, -1), (1, -2)):
        line = box.any(axis=other)
        seen = line.any(axis=-1)
        first = np.where(seen, line.argmax(axis=-1), 0)
        end = np.where(seen, line.shape[-1] - line[..., ::-1].argmax(axis=-1), 0)
        for got, expected in zip(x.spans(axis), (first, end), strict=True):
            np.testing.assert_array_equal(np.broadcast_to(got, x.shape), expected)
    reached = np.stack([(box & mask).any(axis=(-2, -1)) for mask in touched])
    np.testing.assert_array_equal(x.touched, reached)


def nothing(shape: Sequence[int]) -> Box:
    return np.zeros((*shape, HEIGHT, WIDTH), bool)


def windowed(box: Box, axis: int, size: int, stride: int, dilation: int, before: int, after: int) -> Box:
    length = box.shape[axis]
    results = max(0, (length + before + after - (size - 1) * dilation - 1) // stride + 1)
    made = nothing((*box.shape[:axis], results, *box.shape[axis + 1 : -2]))
    for k, tap in itertools.product(range(results), range(size)):
        place = k * stride - before + tap * dilation
        if 0 <= place < length:
            made[(*(slice(None),) * axis, k)] |= box.take(place, axis)
    return made


@pytest.mark.parametrize("seed", range(12))
def test_window(seed: int) -> None:
    x, box, touched = start(seed)
    draw = np.random.default_rng(seed)
    for axis in (2, 3, 1):
        size, stride, dilation = int(draw.integers(1, 4)), int(draw.integers(1, 3)), int(draw.integers(1, 3))
        before, after = int(draw.integers(-1, 3)), int(draw.integers(0, 3))
        x = spans.window(x, axis, size, stride=stride, dilation=dilation, before=before, after=after)
        shift = max(0, -before)
        cut = box.take(range(shift, box.shape[axis]), axis)
        box = windowed(cut, axis, size, stride, dilation, max(before, 0), after)
        agree(x, box, touched)


@pytest.mark.parametrize("seed", range(12))
def test_transposed_window(seed: int) -> None:
    x, box, touched = start(seed)
    draw = np.random.default_rng(seed)
    for axis in (2, 3):
        size, stride, dilation = int(draw.integers(1, 5)), int(draw.integers(1, 4)), int(draw.integers(1, 3))
        first, length = int(draw.integers(0, 3)), int(draw.integers(1, 20))
        x = spans.transposed_window(x, axis, size, stride=stride, dilation=dilation, start=first, length=length)
        made = nothing((*box.shape[:axis], length, *box.shape[axis + 1 : -2]))
        for k, tap in itertools.product(range(box.shape[axis]), range(size)):
            place = k * stride + tap * dilation - first
            if 0 <= place < length:
                made[(*(slice(None),) * axis, place)] |= box.take(k, axis)
        box = made
        agree(x, box, touched)


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("seed", range(8))
def test_convolve_with_holes(seed: int, groups: int) -> None:
    x, box, touched = start(seed)
    draw = np.random.default_rng(seed)
    sizes, results = (int(draw.integers(1, 4)), int(draw.integers(1, 4))), 4
    taps = draw.random((*sizes, CHANNELS // groups, results)) < (0.5 if seed % 2 else 2)
    strides, dilations = (int(draw.integers(1, 3)), 1), (1, int(draw.integers(1, 3)))
    paddings = [(1, 0), (int(draw.integers(0, 2)), 2)]
    made = spans.convolve(x, (2, 3), 1, taps, strides=strides, dilations=dilations, paddings=paddings, groups=groups)
    lengths = [
        (n + sum(p) - (k - 1) * d - 1) // s + 1
        for n, p, k, d, s in zip((HEIGHT, WIDTH), paddings, sizes, dilations, strides, strict=True)
    ]
    expected = nothing((1, results, *lengths))
    for out, i, j in np.ndindex(results, *lengths):
        for a, b, c in np.ndindex(*sizes, CHANNELS // groups):
            y = i * strides[0] - paddings[0][0] + a * dilations[0]
            z = j * strides[1] - paddings[1][0] + b * dilations[1]
            if taps[a, b, c, out] and 0 <= y < HEIGHT and 0 <= z < WIDTH:
                group = out // (results // groups)
                expected[0, out, i, j] |= box[0, group * (CHANNELS // groups) + c, y, z]
    agree(made, expected, touched)


MOVES: list[tuple[str, Callable[[Carried], Carried], Callable[[Box], Box]]] = [
    ("reduce", lambda x: spans.reduce(x, [1, 3]), lambda b: b.any(axis=(1, 3))),
    ("reduce, kept", lambda x: spans.reduce(x, [2], keepdims=True), lambda b: b.any(axis=2, keepdims=True)),
    ("transpose", lambda x: spans.transpose(x, [3, 0, 2, 1]), lambda b: b.transpose(3, 0, 2, 1, 4, 5)),
    ("squeeze", lambda x: spans.squeeze(x, [0]), lambda b: b[0]),
    ("expand", lambda x: spans.expand(x, 2), lambda b: b[:, :, None]),
    ("flatten", lambda x: spans.reshape(x, (1, -1)), lambda b: b.reshape(1, -1, HEIGHT, WIDTH)),
    ("apart", lambda x: spans.reshape(x, (HEIGHT, 2, WIDTH)), lambda b: b.reshape(HEIGHT, 2, WIDTH, HEIGHT, WIDTH)),
    ("cut", lambda x: spans.cut(x, 3, 1, 6, 2), lambda b: b[:, :, :, 1:6:2]),
    ("backwards", lambda x: spans.cut(x, 3, 5, 0, -2), lambda b: b[:, :, :, 5:0:-2]),
    ("take", lambda x: spans.take(x, 2, np.array([3, 3, 0])), lambda b: b[:, :, [3, 3, 0]]),
    ("read", lambda x: spans.read(x, 3, [np.array([0, 2]), np.array([1, -1])]),
     lambda b: np.stack([b[:, :, :, 0] | b[:, :, :, 1], b[:, :, :, 2]], axis=3)),
    ("pad", lambda x: spans.pad(x, 2, 1, 2), lambda b: np.pad(b, [(0, 0), (0, 0), (1, 2), *[(0, 0)] * 3])),
    ("negative pad", lambda x: spans.pad(x, 3, -2, -1), lambda b: b[:, :, :, 2:-1]),
    ("rearrange", lambda x: spans.rearrange(x, lambda p: np.rot90(p, axes=(2, 3))),
     lambda b: np.rot90(b, axes=(2, 3))),
    ("join", lambda x: spans.join([x, spans.cut(x, 1, 0, 1)]), lambda b: b | b[:, :1]),
    ("broadcast", lambda x: spans.broadcast(spans.cut(x, 2, 0, 1), (3, 2, 4, WIDTH)),
     lambda b: np.broadcast_to(b[:, :, :1], (3, 2, 4, WIDTH, HEIGHT, WIDTH))),
    ("cumulate", lambda x: spans.cumulate(x, 3), lambda b: np.logical_or.accumulate(b, axis=3)),
    ("contract", lambda x: spans.contract([x, x], ["ncij", "ncik"], "njk"),
     lambda b: b.any(axis=(1, 2))[:, :, None] | b.any(axis=(1, 2))[:, None, :]),
    ("diagonal", lambda x: spans.contract([spans.cut(x, 3, 0, HEIGHT)], ["ncii"], "nci"),
     lambda b: np.stack([b[:, :, k, k] for k in range(HEIGHT)], axis=2)),
    ("everything", lambda x: spans.everything([x], (2, 3)),
     lambda b: np.broadcast_to(b.any(axis=(0, 1, 2, 3)), (2, 3, HEIGHT, WIDTH))),
]  # fmt: skip


@pytest.mark.parametrize(("name", "carried", "boxed"), MOVES, ids=[name for name, _, _ in MOVES])
@pytest.mark.parametrize("seed", range(4))
def test_movements_reductions_and_products(
    seed: int, name: str, carried: Callable[[Carried], Carried], boxed: Callable[[Box], Box]
) -> None:
    x, box, touched = start(seed)
    agree(carried(x), boxed(box), touched)
    assert name


@pytest.mark.parametrize("seed", range(6))
def test_mix_and_scatter(seed: int) -> None:
    x, box, touched = start(seed)
    draw = np.random.default_rng(seed)
    mask = draw.random((WIDTH, 4)) < 0.4
    expected = nothing((1, CHANNELS, HEIGHT, 4))
    for k, j in np.argwhere(mask):
        expected[:, :, :, j] |= box[:, :, :, k]
    agree(spans.mix(x, 3, mask), expected, touched)
    index = draw.integers(-1, 12, x.shape)
    expected = nothing((3, 4))
    for place in np.ndindex(*x.shape):
        if index[place] >= 0:
            expected[np.unravel_index(index[place], (3, 4))] |= box[place]
    agree(spans.scatter([x], (3, 4), index), expected, touched)


@pytest.mark.parametrize("seed", range(20))
def test_chains_of_primitives(seed: int) -> None:
    x, box, touched = start(seed)
    draw = np.random.default_rng(seed)
    chosen = [move for move in MOVES if move[0] in ("join", "reduce, kept", "pad", "cumulate")]
    for _ in range(4):
        _, carried, boxed = chosen[draw.integers(len(chosen))]
        x, box = carried(x), boxed(box)
        size = int(draw.integers(1, 3))
        x, box = spans.window(x, 3, size, before=1, after=1), windowed(box, 3, size, 1, 1, 1, 1)
        agree(x, box, touched)
        other = spans.concatenate([x, spans.cut(x, 1, 0, 1)], 1)
        agree(other, np.concatenate([box, box[:, :1]], axis=1), touched)


def test_columns_at_a_border_that_see_fewer_rows_do_not_make_borders_of_rows_there() -> None:
    x = spans.image((1, 1, 12, 16), (2, 3))
    shifted = spans.cut(spans.pad(spans.pad(x, 3, 0, 1), 2, 0, 1), 3, 1, 17)
    shifted = spans.cut(shifted, 2, 1, 13)  # its last column depends on nothing
    both = spans.join([x, shifted])
    assert not np.array_equal(both.spans(0)[1][0, 0, :, -1], both.spans(0)[1][0, 0, :, 0])
    windowed_ = spans.window(spans.window(both, 3, 5, before=2, after=2), 3, 5, before=2, after=2)
    assert not windowed_.bordered(0)[0, 0, :-1].any()
    assert windowed_.bordered(1)[0, 0, :-1].all(axis=0).nonzero()[0].tolist() == [0, 1, 2, 3, 11, 12, 13, 14, 15]
