"""Rules of primitives with windows: convolutions, and reductions of parts."""

from __future__ import annotations

import numpy as np

from rfwidget._measure import spans
from rfwidget._measure.places import transposed
from rfwidget._measure.spans import Carried
from rfwidget.keras.calls import UnknownError
from rfwidget.keras.jax.table import Call, rule


@rule("conv_general_dilated")
def convolution(call: Call) -> Carried:
    """Convolutions of all kinds; dilation of the image makes transposed ones."""
    if call["batch_group_count"] != 1:
        raise UnknownError("conv_general_dilated with groups of images")
    dimensions = call["dimension_numbers"]
    parts = []
    if call.carried(0) is not None:
        parts.append(_of_the_image(call, dimensions))
    kernel = call.carried(1)
    if kernel is not None:  # the image makes the kernel: each of its results is read everywhere
        results = spans.reduce(kernel, dimensions.rhs_spec[1:])
        shape = [1] * len(call.result)
        shape[dimensions.out_spec[1]] = results.shape[0]
        parts.append(spans.reshape(results, shape))
    return spans.join(parts, call.result)


def _of_the_image(call: Call, dimensions: object) -> Carried:
    left, right, out = (getattr(dimensions, name) for name in ("lhs_spec", "rhs_spec", "out_spec"))
    x = spans.transpose(call.needed(0), [left[0], *left[2:], left[1]])  # [n, ..., c]
    kernel = tuple(call.shape(1)[axis] for axis in (*right[2:], right[1], right[0]))
    nonzero = call.nonzero(1) if call.carried(1) is None else None
    taps = np.ones((*kernel[:-2], 1, kernel[-1]), bool)
    if nonzero is not None:
        taps = np.broadcast_to(nonzero, call.shape(1)).transpose((*right[2:], right[1], right[0]))
    strides, dilations, spread = call["window_strides"], call["rhs_dilation"], call["lhs_dilation"]
    places, paddings, groups = range(1, x.rank - 1), call["padding"], call["feature_group_count"]
    if all(n == 1 for n in spread):
        x = spans.convolve(
            x, places, x.rank - 1, taps, strides=strides, dilations=dilations, paddings=paddings, groups=groups
        )
    else:
        x = _transposed(x, taps, spread, dilations, paddings, groups)
        for axis, stride in zip(places, strides, strict=True):
            x = spans.cut(x, axis, 0, x.shape[axis], stride)
    order = [out[0], *out[2:], out[1]]
    return spans.transpose(x, [order.index(axis) for axis in range(x.rank)])


def _transposed(
    x: Carried,
    taps: np.ndarray,
    spread: tuple[int, ...],
    dilations: tuple[int, ...],
    paddings: tuple[tuple[int, int], ...],
    groups: int,
) -> Carried:
    """A convolution over elements that stand apart: what reaches which result, as a transposed one says it."""
    sizes = taps.shape[:-2]
    turned = np.flip(taps, axis=tuple(range(len(sizes))))
    starts, lengths = [], []
    for axis, (size, step, dilation, (before, after)) in enumerate(
        zip(sizes, spread, dilations, paddings, strict=True), start=1
    ):
        reach = (size - 1) * dilation
        starts.append(reach - before)
        lengths.append((x.shape[axis] - 1) * step + 1 + before + after - reach)
    missing = [max(-start, 0) for start in starts]  # results before the first that an element reaches
    x = transposed(
        x, range(1, x.rank - 1), x.rank - 1, turned, strides=spread, dilations=dilations,
        starts=[max(start, 0) for start in starts],
        lengths=[length - more for length, more in zip(lengths, missing, strict=True)], groups=groups,
    )  # fmt: skip
    for axis, more in enumerate(missing, start=1):
        x = spans.pad(x, axis, more, 0)
    return x


@rule("reduce_window_sum reduce_window_max reduce_window_min reduce_window")
def pooling(call: Call) -> Carried | list[Carried]:
    """Each result depends on the elements under a window."""
    count = len(call.shapes)
    x = spans.join([call.needed(place) for place in range(count)]) if count > 1 else call.only(0)
    for axis, (size, stride, (before, after), spread, dilation) in enumerate(
        zip(
            call["window_dimensions"], call["window_strides"], call["padding"], call["base_dilation"],
            call["window_dilation"], strict=True,
        )
    ):  # fmt: skip
        if spread > 1:
            x = spans.transposed_window(x, axis, 1, stride=spread, length=(x.shape[axis] - 1) * spread + 1)
        x = spans.window(x, axis, size, stride=stride, dilation=dilation, before=before, after=after)
    return x if count == 1 else [x] * count


@rule("select_and_scatter_add")
def unpooling(call: Call) -> Carried:
    """Each element of a source is put at one place of its window, which the numbers under the window decide."""
    source, operand = call.needed(0), call.needed(1)
    shape = call.result
    under = operand
    for axis, (size, stride, (before, after)) in enumerate(_windows(call)):
        under = spans.window(under, axis, size, stride=stride, before=before, after=after)
    x = spans.join([source, under])
    for axis, (size, stride, (before, _)) in enumerate(_windows(call)):
        x = spans.transposed_window(x, axis, size, stride=stride, start=before, length=shape[axis])
    return x


@rule("select_and_gather_add")
def picked(call: Call) -> Carried:
    """The elements of a tensor that stand where another has its largest or smallest under the window."""
    x = spans.join([call.needed(0), call.needed(1)])
    for axis, (size, stride, (before, after)) in enumerate(_windows(call)):
        x = spans.window(x, axis, size, stride=stride, before=before, after=after)
    return x


def _windows(call: Call) -> list[tuple[int, int, tuple[int, int]]]:
    return list(zip(call["window_dimensions"], call["window_strides"], call["padding"], strict=True))
