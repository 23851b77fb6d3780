"""Rules of operations with windows: convolutions, pooling, resizing, sampling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from rfwidget._aten.table import each_of, required, rule
from rfwidget._measure import spans
from rfwidget._measure.places import transposed
from rfwidget._measure.spans import Carried

# -- convolutions ------------------------------------------------------------------------------------------------------


@rule("convolution", "_convolution", "convolution_overrideable", "mkldnn_convolution", "cudnn_convolution",
      "cudnn_convolution_transpose", "_slow_conv2d_forward", "_conv_depthwise2d", "conv_depthwise3d",
      "slow_conv_transpose2d", "slow_conv3d_forward")  # fmt: skip
def convolution(call: Any) -> Carried:
    """With the taps that the kernel has: those where it is zero by construction are left out."""
    like = call.like()
    source = "input" if call.has("input") else "self"
    x = required(call.carried(source), like, call.shape_of(source))
    kernel = call.shape_of("weight")
    count = len(kernel) - 2
    batched = x.rank == count + 2
    x = x if batched else spans.expand(x, 0)
    shape = call.shape if batched else (1, *call.shape)
    strides = each_of(call["stride"], count) or [1] * count
    paddings = each_of(call["padding"], count) or [0] * count
    dilations = (each_of(call["dilation"], count) if call.has("dilation") else []) or [1] * count
    groups = int(call["groups"]) if call.has("groups") else 1
    nonzero = None if call.carried("weight") is not None else call.nonzero("weight")
    if call.has("transposed") and call["transposed"]:
        result = _transposed(x, shape, kernel, nonzero, strides, paddings, dilations, groups)
    else:
        if nonzero is None:
            taps: npt.NDArray[np.bool_] = np.ones((*kernel[2:], 1, kernel[0]), bool)
        else:
            taps = np.moveaxis(nonzero, (0, 1), (-1, -2))
        result = spans.convolve(
            x,
            range(2, 2 + count),
            1,
            taps,
            strides=strides,
            dilations=dilations,
            paddings=[(p, p) for p in paddings],
            groups=groups,
        )
    if groups == 1:
        result = spans.sharp(result)
    for name, axes in (("weight", None), ("bias", None)):
        other = call.carried(name) if call.has(name) else None
        if other is not None:  # a kernel that is made from the image
            axes = [] if name == "bias" else range(1, other.rank)
            per_channel = spans.reduce(other, axes) if len(axes) else other
            if name == "weight" and call.has("transposed") and call["transposed"]:
                per_channel = spans.reshape(spans.reduce(other), (1,))
            result = spans.join([result, spans.reshape(per_channel, (1, -1, *(1,) * count))])
    return result if batched else spans.squeeze(result, [0])


def _transposed(
    x: Carried,
    shape: Sequence[int],
    kernel: Sequence[int],
    nonzero: npt.NDArray[np.bool_] | None,
    strides: Sequence[int],
    paddings: Sequence[int],
    dilations: Sequence[int],
    groups: int,
) -> Carried:
    count = len(kernel) - 2
    if nonzero is None:
        taps = np.ones((*kernel[2:], 1, shape[1]), bool)
    else:
        # (channels in, channels out of a group, ...) -> (..., channels in of a group, channels out)
        grouped = nonzero.reshape(groups, kernel[0] // groups, *kernel[1:])
        taps = np.moveaxis(grouped, (1, 0, 2), (-3, -2, -1)).reshape(*kernel[2:], kernel[0] // groups, -1)
    return transposed(
        x,
        range(2, 2 + count),
        1,
        taps,
        strides=strides,
        dilations=dilations,
        starts=paddings,
        lengths=shape[2:],
        groups=groups,
    )


# -- pooling -----------------------------------------------------------------------------------------------------------


class Pooling(NamedTuple):
    """The windows of a pooling, for what undoes it."""

    sizes: list[int]
    strides: list[int]
    paddings: list[int]
    dilations: list[int]


@rule("max_pool2d_with_indices", "max_pool3d_with_indices", "max_pool1d", "max_pool2d", "max_pool3d",
      "max_pool1d_with_indices", "mkldnn_max_pool2d", "mkldnn_max_pool3d", "avg_pool1d", "avg_pool2d", "avg_pool3d",
      "quantized_max_pool2d")  # fmt: skip
def pool(call: Any) -> list[Carried]:
    """Windows over the last axes."""
    x: Carried = call.carried("self")
    count = int(next(letter for letter in call.name if letter.isdigit()))
    sizes = each_of(call["kernel_size"], count)
    strides = each_of(call["stride"], count) or sizes
    paddings = each_of(call["padding"], count) or [0] * count
    dilations = (each_of(call["dilation"], count) if call.has("dilation") else []) or [1] * count
    for place in range(count):
        axis = x.rank - count + place
        length, results = x.shape[axis], call.shape[axis]
        reach = (results - 1) * strides[place] + (sizes[place] - 1) * dilations[place] + 1
        after = max(paddings[place], reach - length - paddings[place])
        x = spans.window(
            x,
            axis,
            sizes[place],
            stride=strides[place],
            dilation=dilations[place],
            before=paddings[place],
            after=after,
        )
        x = spans.cut(x, axis, 0, results)
    call.remember(Pooling(sizes, strides, paddings, dilations))
    return [x] * len(call.results)


@rule("max_unpool2d", "max_unpool3d")
def unpool(call: Any) -> Carried:
    """Where the largest were is known only to lie in the windows of the pooling that gave the indices."""
    like = call.like()
    indices = call.tracked("indices")
    x = required(call.carried("self"), like, call.shape_of("self"))
    count = int(call.name[-2])
    places = range(x.rank - count, x.rank)
    if indices is None or indices.pooling is None:
        parts = call.all_carried()
        mixed = [spans.reduce(part, places, keepdims=True) for part in parts]
        return spans.join(mixed, call.shape)
    x = spans.join([x, indices.carried])
    pooling = indices.pooling
    for place in range(count):
        x = spans.transposed_window(
            x,
            places[place],
            pooling.sizes[place],
            stride=pooling.strides[place],
            dilation=pooling.dilations[place],
            start=pooling.paddings[place],
            length=call.shape[places[place]],
        )
    return x


@rule("_adaptive_avg_pool2d", "_adaptive_avg_pool3d", "adaptive_avg_pool1d", "adaptive_avg_pool2d",
      "adaptive_avg_pool3d", "adaptive_max_pool1d", "adaptive_max_pool2d", "adaptive_max_pool3d",
      "mkldnn_adaptive_avg_pool2d")  # fmt: skip
def adaptive_pool(call: Any) -> list[Carried]:
    """As many windows as asked for, of whatever size that takes."""
    x: Carried = call.carried("self")
    count = int(call.name[-2])
    for place in range(x.rank - count, x.rank):
        length, results = x.shape[place], call.shape[place]
        if results == 1:
            x = spans.reduce(x, [place], keepdims=True)
            continue
        starts = np.arange(results) * length // max(results, 1)
        ends = -(-(np.arange(results) + 1) * length // max(results, 1))
        widest = int((ends - starts).max(initial=0))
        reads = [np.minimum(starts + k, ends - 1) for k in range(widest)]
        x = spans.read(x, place, reads) if reads else spans.cut(x, place, 0, 0)
    return [x] * len(call.results)


@rule("fractional_max_pool2d", "fractional_max_pool3d")
def fractional_pool(call: Any) -> list[Carried]:
    """Windows at random places."""
    return [spans.everything(call.all_carried(), shape, call.name) for shape in call.results]


# -- patches -----------------------------------------------------------------------------------------------------------


@rule("im2col")
def im2col(call: Any) -> Carried:
    """``F.unfold``: windows become columns."""
    x: Carried = call.carried("self")
    batched = x.rank == 4
    x = x if batched else spans.expand(x, 0)
    sizes, dilations = each_of(call["kernel_size"], 2), each_of(call["dilation"], 2)
    paddings, strides = each_of(call["padding"], 2), each_of(call["stride"], 2)
    n, c = x.shape[:2]
    lengths = []
    for place in (0, 1):
        x = spans.pad(x, 2 + 2 * place, paddings[place], paddings[place])
        axis = 2 + 2 * place
        span = (sizes[place] - 1) * dilations[place] + 1
        count = (x.shape[axis] - span) // strides[place] + 1
        taps = np.arange(sizes[place])[:, None] * dilations[place] + np.arange(count) * strides[place]
        taken = spans.take(x, axis, taps.ravel())
        x = spans.reshape(taken, (*x.shape[:axis], sizes[place], count, *x.shape[axis + 1 :]))
        lengths.append(count)
    moved = spans.transpose(x, [0, 1, 2, 4, 3, 5])  # n, c, ky, kx, y, x
    columns = spans.reshape(moved, (n, c * sizes[0] * sizes[1], lengths[0] * lengths[1]))
    return columns if batched else spans.squeeze(columns, [0])


@rule("col2im")
def col2im(call: Any) -> Carried:
    """``F.fold``: columns become windows, and are added where these overlap."""
    x: Carried = call.carried("self")
    batched = x.rank == 3
    x = x if batched else spans.expand(x, 0)
    output, sizes = each_of(call["output_size"], 2), each_of(call["kernel_size"], 2)
    dilations, paddings = each_of(call["dilation"], 2), each_of(call["padding"], 2)
    strides = each_of(call["stride"], 2)
    n, channels = x.shape[0], x.shape[1] // (sizes[0] * sizes[1])
    counts = [(output[i] + 2 * paddings[i] - (sizes[i] - 1) * dilations[i] - 1) // strides[i] + 1 for i in (0, 1)]
    x = spans.reshape(x, (n, channels, sizes[0], sizes[1], counts[0], counts[1]))
    parts = []
    for ky in range(sizes[0]):
        for kx in range(sizes[1]):
            part = x
            for axis, tap in ((2, ky), (3, kx)):
                part = spans.cut(part, axis, tap, tap + 1)
            part = spans.reshape(part, (n, channels, *counts))
            for i, tap in ((0, ky), (1, kx)):
                start = paddings[i] - tap * dilations[i]
                part = _spread(part, 2 + i, strides[i], start, output[i])
            parts.append(part)
    result = spans.join(parts)
    return result if batched else spans.squeeze(result, [0])


def _spread(x: Carried, axis: int, stride: int, start: int, length: int) -> Carried:
    """Elements ``stride`` apart on a line, the first at ``-start``."""
    order = np.full(length, -1)
    where = np.arange(x.shape[axis]) * stride - start
    inside = (where >= 0) & (where < length)
    order[where[inside]] = np.flatnonzero(inside)
    return spans.take(x, axis, order)


# -- resizing ----------------------------------------------------------------------------------------------------------

_EXACT = 1e-5
"""Weights up to here are rounding errors of zero."""


@rule(*(f"{name}{count}d{end}" for name in ("upsample_nearest", "_upsample_nearest_exact") for count in (1, 2, 3)
        for end in ("", "_vec")))  # fmt: skip
def nearest(call: Any) -> Carried:
    """Copies of the nearest element."""
    x: Carried = call.carried("self") if call.has("self") else call.carried("input")
    count = int(call.name.rpartition("d")[0][-1])
    half = 0.5 if "exact" in call.name else 0.0
    for place in range(count):
        axis = x.rank - count + place
        length, results = x.shape[axis], call.shape[axis]
        scale = _scale(call, place, count, length, results)
        index = np.floor((np.arange(results) + half) * scale + _EXACT * (not half)).astype(int)
        x = spans.take(x, axis, np.minimum(index, length - 1))
    return x


@rule("upsample_linear1d", "upsample_bilinear2d", "upsample_trilinear3d", "upsample_bicubic2d")
def interpolated(call: Any) -> Carried:
    """Weighted means of two or four neighbours along each axis; those whose weight is zero are not read."""
    x: Carried = call.carried("self") if call.has("self") else call.carried("input")
    count = int(call.name[-2])
    cubic = "cubic" in call.name
    for place in range(count):
        axis = x.rank - count + place
        x = _resampled(x, axis, call.shape[axis], call, place, count, cubic=cubic)
    return x


def _resampled(x: Carried, axis: int, results: int, call: Any, place: int, count: int, *, cubic: bool) -> Carried:
    length = x.shape[axis]
    if length == results and not cubic:
        given = _scale(call, place, count, length, results)
        if abs(given - 1) < _EXACT:
            return x
    cells = np.arange(results, dtype=np.float64)
    if call["align_corners"]:
        where = cells * ((length - 1) / (results - 1) if results > 1 else 0.0)
    else:
        where = (cells + 0.5) * _scale(call, place, count, length, results) - 0.5
        if not cubic:
            where = np.maximum(where, 0)
    near = np.rint(where)
    where = np.where(np.abs(where - near) < _EXACT, near, where)
    first = np.floor(where).astype(int)
    on = where == first
    reads = []
    for tap in (-1, 0, 1, 2) if cubic else (0, 1):
        index = np.clip(first + tap, 0, length - 1)
        reads.append(index if tap == 0 else np.where(on, np.clip(first, 0, length - 1), index))
    return spans.read(x, axis, reads)


def _scale(call: Any, place: int, count: int, length: int, results: int) -> float:
    """Elements read per result, as PyTorch takes it: from the factor if one was given."""
    names = ["scales_d", "scales_h", "scales_w"][3 - count :] if count > 1 else ["scales"]
    name = names[place]
    given: Any = None
    if call.has(name):
        given = call[name]
    elif call.has("scale_factors") and call["scale_factors"] is not None:
        given = call["scale_factors"][place]
    return 1 / float(given) if given else length / max(results, 1)


@rule("_upsample_bilinear2d_aa", "_upsample_bicubic2d_aa")
def smoothed(call: Any) -> Carried:
    """Resizing with anti-aliasing: the windows grow when the image is made smaller."""
    x: Carried = call.carried("self") if call.has("self") else call.carried("input")
    support = 2.0 if "cubic" in call.name else 1.0
    for place in range(2):
        axis = x.rank - 2 + place
        length, results = x.shape[axis], call.shape[axis]
        if call["align_corners"]:
            scale = (length - 1) / (results - 1) if results > 1 else 0.0
        else:
            scale = _scale(call, place, 2, length, results)
        reach = support * max(scale, 1.0)
        centre = scale * (np.arange(results) + 0.5)
        low = np.maximum(np.floor(centre - reach + 0.5 + _EXACT).astype(int), 0)
        high = np.minimum(np.floor(centre + reach + 0.5 - _EXACT).astype(int), length)
        # At its very ends the filter is zero.
        invscale = 1 / max(scale, 1.0)
        widest = int((high - low).max(initial=1))
        reads = []
        for tap in range(widest):
            index = np.minimum(low + tap, high - 1)
            distance = np.abs((index + 0.5 - centre) * invscale)
            zero = (distance > support - _EXACT) | ((support == 2.0) & (np.abs(distance - 1) < _EXACT))
            reads.append(np.where(zero, -1, index))
        x = spans.read(x, axis, reads)
    return x


# -- sampling ----------------------------------------------------------------------------------------------------------


@rule("grid_sampler_2d", "grid_sampler_3d", "grid_sampler", "_grid_sampler_2d_cpu_fallback", "cudnn_grid_sampler")
def grid_sampler(call: Any) -> Carried:
    """Elements at given places. Places that depend on the image may be anywhere in it."""
    like = call.like()
    x = required(call.carried("input"), like, call.shape_of("input"))
    grid = call.carried("grid")
    places = range(2, x.rank)
    if grid is not None:
        mixed = spans.reduce(x, places, keepdims=True)
        where = spans.expand(spans.reduce(grid, [-1]), 1)
        return spans.join([mixed, where], call.shape)
    if x.rank != 4 or call["padding_mode"] == 2 or call["interpolation_mode"] == 2:
        return spans.everything([x], call.shape, call.name)
    return _sampled(x, call)


def _sampled(x: Carried, call: Any) -> Carried:
    height, width = x.shape[2:]
    grid = call.constant("grid").cpu().double().numpy()
    at = []
    for axis, length in ((1, height), (0, width)):
        where = grid[..., axis]
        where = (where + 1) / 2 * (length - 1) if call["align_corners"] else ((where + 1) * length - 1) / 2
        if call["padding_mode"] == 1:
            where = np.clip(where, 0, length - 1)
        near = np.rint(where)
        at.append(np.where(np.abs(where - near) < 1e-4, near, where))
    parts = []
    taps = ((0, 0),) if call["interpolation_mode"] == 1 else ((0, 0), (0, 1), (1, 0), (1, 1))
    flat = spans.reshape(x, (x.shape[0], x.shape[1], height * width))
    for down, right in taps:
        index = []
        for where, more in zip(at, (down, right), strict=True):
            base = np.rint(where) if len(taps) == 1 else np.floor(where)
            index.append(np.where(where == base, base, base + more).astype(int))
        inside = (index[0] >= 0) & (index[0] < height) & (index[1] >= 0) & (index[1] < width)
        number = np.where(inside, index[0] * width + index[1], -1)
        images = [
            spans.reshape(spans.take(spans.cut(flat, 0, k, k + 1), 2, number[k].ravel()), (1, *call.shape[1:]))
            for k in range(call.shape[0])
        ]
        parts.append(spans.concatenate(images, 0))
    return spans.join(parts)


@rule("affine_grid_generator")
def affine_grid(call: Any) -> Carried:
    """Places from a matrix."""
    return spans.broadcast(spans.reshape(spans.reduce(call.carried("theta"), [1, 2]), (-1, 1, 1, 1)), call.shape)


@rule("_fft_r2c", "_fft_c2c", "_fft_c2r", "fft_fft", "_fft_r2c_copy")
def fourier(call: Any) -> Carried:
    """Every frequency depends on all elements along the axes."""
    x: Carried = call.carried("self")
    mixed = spans.reduce(x, [int(d) for d in call["dim"]], keepdims=True)
    return spans.broadcast(mixed, call.shape)
