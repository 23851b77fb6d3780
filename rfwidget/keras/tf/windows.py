"""Rules of operations with windows: convolutions, pooling, patches, resizing."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from rfwidget._measure import spans
from rfwidget._measure.places import gathered, mixed, transposed
from rfwidget._measure.spans import Carried
from rfwidget.keras.calls import UnknownError
from rfwidget.keras.domains import same_padding
from rfwidget.keras.tf.pointwise import call_carried
from rfwidget.keras.tf.table import Call, rule
from rfwidget.keras.tf.values import Constant, run

# -- how windows stand -------------------------------------------------------------------------------------------------


def _layout(call: Call, rank: int) -> tuple[list[int], int]:
    """Axes of places, and the axis of channels."""
    first = call.has("data_format") and call.attr("data_format") in ("NCHW", "NCDHW", "NCW")
    return (list(range(2, rank)), 1) if first else (list(range(1, rank - 1)), rank - 1)


def _paddings(call: Call, wanted: Sequence[tuple[int, int, int, int]], places: Sequence[int]) -> list[Any]:
    """Elements before and behind, one pair for each place; ``wanted``: length, size, stride, dilation of each."""
    padding = call.attr("padding")
    if padding == "SAME":
        return [same_padding(*each) for each in wanted]
    if padding == "EXPLICIT":
        told = [int(n) for n in call.attr("explicit_paddings")]
        return [(told[2 * place], told[2 * place + 1]) for place in places]
    return [(0, 0)] * len(places)


def _taps(call: Call, place: int, thin: Sequence[int]) -> npt.NDArray[np.bool_]:
    """Where a kernel is not zero by construction; of the shape ``thin`` where it is so nowhere."""
    nonzero = call.nonzero(place)
    return np.ones(thin, bool) if nonzero is None else nonzero


# -- convolutions ------------------------------------------------------------------------------------------------------


@rule("Conv2D Conv3D Conv DepthwiseConv2dNative")
def convolution(call: Call) -> Carried:
    """With the taps that the kernel has: those where it is zero by construction are left out."""
    x, kernel = call.needed(0), call.shape(1)
    places, channels = _layout(call, x.rank)
    sizes = kernel[: len(places)]
    strides = [int(call.attr("strides")[place]) for place in places]
    told = call.attr("dilations") if call.has("dilations") else []
    dilations = [int(told[place]) for place in places] if len(told) == x.rank else [1] * len(places)
    wanted = list(zip((x.shape[place] for place in places), sizes, strides, dilations, strict=True))
    paddings = _paddings(call, wanted, places)
    if call.name == "DepthwiseConv2dNative":
        groups, results = x.shape[channels], kernel[-2] * kernel[-1]
        taps = _taps(call, 1, (*sizes, 1, results)).reshape(*sizes, 1, results)
    else:
        groups, results = x.shape[channels] // max(kernel[-2], 1), kernel[-1]
        taps = _taps(call, 1, (*sizes, 1, results))
    found = spans.convolve(
        x, places, channels, taps, strides=strides, dilations=dilations, paddings=paddings, groups=groups
    )
    found = spans.sharp(found) if groups == 1 else found
    return _with_kernel(call, found, channels, results)


def _with_kernel(call: Call, found: Carried, channels: int, results: int) -> Carried:
    """A kernel that is made from the image counts, too."""
    kernel = call.carried(1)
    if kernel is None:
        return found
    transposes = call.name.endswith("BackpropInput") or call.name.endswith("BackpropInputV2")
    if transposes or call.name == "DepthwiseConv2dNative":
        return spans.join([found, spans.reshape(spans.reduce(kernel), (1,) * found.rank)])
    each = spans.reduce(kernel, range(kernel.rank - 1))
    shape = [results if axis == channels else 1 for axis in range(found.rank)]
    return spans.join([found, spans.reshape(each, shape)])


@rule("Conv2DBackpropInput Conv2DBackpropInputV2 Conv3DBackpropInput Conv3DBackpropInputV2"
      " DepthwiseConv2dNativeBackpropInput")  # fmt: skip
def transposed_convolution(call: Call) -> Carried:
    """What a convolution's gradient is made of: the elements apart, and the kernel turned round."""
    x, kernel = call.needed(2), call.shape(1)
    places, channels = _layout(call, x.rank)
    if call.name.endswith("V2") and not call.name.startswith("Conv3D"):
        shape = call.static_shape
    else:
        shape = call.shape(0) if call.name == "Conv3DBackpropInput" else tuple(int(n) for n in call.numbers(0))
    if len(shape) == len(places):  # sizes of places alone
        shape = call.static_shape
    sizes = kernel[: len(places)]
    strides = [int(call.attr("strides")[place]) for place in places]
    told = call.attr("dilations") if call.has("dilations") else []
    dilations = [int(told[place]) for place in places] if len(told) == x.rank else [1] * len(places)
    lengths = [shape[place] for place in places]
    wanted = list(zip(lengths, sizes, strides, dilations, strict=True))
    starts = [before for before, _ in _paddings(call, wanted, places)]
    results = shape[channels]
    if call.name.startswith("Depthwise"):
        if call.nonzero(1) is not None or kernel[-1] != 1:
            raise UnknownError(f"{call.name} with several results, or a mask, for each channel")
        for place, size, stride, dilation, start, length in zip(
            places, sizes, strides, dilations, starts, lengths, strict=True
        ):
            x = spans.transposed_window(x, place, size, stride=stride, dilation=dilation, start=start, length=length)
        return _with_kernel(call, x, channels, results)
    taps = np.moveaxis(_taps(call, 1, (*sizes, results, 1)), -2, -1)
    found = transposed(x, places, channels, taps, strides=strides, dilations=dilations, starts=starts, lengths=lengths)
    return _with_kernel(call, spans.sharp(found), channels, results)


# -- pooling -----------------------------------------------------------------------------------------------------------


@rule("MaxPool MaxPoolV2 MaxPool3D AvgPool AvgPool3D MaxPoolWithArgmax", even=True)
def pool(call: Call) -> list[Carried]:
    """Windows, along whatever axes they have a length."""
    x = call.only(0)
    sizes = call.attr("ksize") if call.has("ksize") else call.numbers(1)
    strides = call.attr("strides") if call.has("strides") else call.numbers(2)
    axes = list(range(x.rank))
    wanted = [(x.shape[axis], int(sizes[axis]), int(strides[axis]), 1) for axis in axes]
    for axis, (_, size, stride, _), (before, after) in zip(axes, wanted, _paddings(call, wanted, axes), strict=True):
        x = spans.window(x, axis, size, stride=stride, before=before, after=after)
    return [x] * call.count


@rule("MaxPoolGrad MaxPool3DGrad AvgPoolGrad AvgPool3DGrad MaxPoolGradWithArgmax")
def unpooled(call: Call) -> Carried:
    """The gradient of a pooling, which also serves to undo it: elements go back to somewhere in their windows."""
    mean = call.name.startswith("Avg")
    shape = tuple(int(n) for n in call.numbers(0)) if mean else call.shape(0)
    axes = list(range(len(shape)))
    sizes, strides = ([int(n) for n in call.attr(name)] for name in ("ksize", "strides"))
    wanted = [(shape[axis], sizes[axis], strides[axis], 1) for axis in axes]
    paddings = _paddings(call, wanted, axes)
    parts = call_carried(call, *range(1, len(call.inputs)))
    if not mean and call.carried(0) is not None:  # the places are those of the largest in each window
        pooled = call.needed(0)
        for axis, (_, size, stride, _), (before, after) in zip(axes, wanted, paddings, strict=True):
            pooled = spans.window(pooled, axis, size, stride=stride, before=before, after=after)
        parts.append(pooled)
    x = spans.join(parts)
    for axis, (length, size, stride, _), (before, _) in zip(axes, wanted, paddings, strict=True):
        x = spans.transposed_window(x, axis, size, stride=stride, start=before, length=length)
    return x


@rule("Dilation2D")
def dilation(call: Call) -> Carried:
    """A maximum over a window, with weights that are added; what is out of the window's shape is minus infinity."""
    x, kernel = call.needed(0), call.shape(1)
    strides, rates = ([int(n) for n in call.attr(name)[1:3]] for name in ("strides", "rates"))
    wanted = list(zip(x.shape[1:3], kernel[:2], strides, rates, strict=True))
    paddings = _paddings(call, wanted, (1, 2))
    taps = np.ones((*kernel[:2], 1, kernel[2]), bool)
    weights = call.inputs[1]
    if isinstance(weights, Constant) and not weights.dense:
        taps = (weights.numbers > _LOWEST)[:, :, None]
    found = spans.convolve(x, (1, 2), 3, taps, strides=strides, dilations=rates, paddings=paddings, groups=kernel[2])
    other = call.carried(1)
    return found if other is None else spans.join([found, spans.reduce(other, [0, 1])])


_LOWEST = -1e20
"""What is added below this never becomes a maximum."""


# -- patches -----------------------------------------------------------------------------------------------------------


@rule("ExtractImagePatches ExtractVolumePatches")
def patches(call: Call) -> Carried:
    """Windows become channels."""
    x = call.only(0)
    count = x.rank - 2
    sizes, strides = ([int(n) for n in call.attr(name)[1:-1]] for name in ("ksizes", "strides"))
    rates = [int(n) for n in call.attr("rates")[1:-1]] if call.has("rates") else [1] * count
    wanted = list(zip(x.shape[1:-1], sizes, strides, rates, strict=True))
    batch, channels = x.shape[0], x.shape[-1]
    for place, ((length, size, stride, rate), (before, after)) in enumerate(
        zip(wanted, _paddings(call, wanted, range(1, 1 + count)), strict=True)
    ):
        axis = 1 + 2 * place
        results = (length + before + after - (size - 1) * rate - 1) // stride + 1
        taps = np.arange(size)[:, None] * rate + np.arange(results) * stride
        x = spans.take(spans.pad(x, axis, before, after), axis, taps.ravel())
        x = spans.reshape(x, (*x.shape[:axis], size, results, *x.shape[axis + 1 :]))
    order = [0, *range(2, 2 + 2 * count, 2), *range(1, 1 + 2 * count, 2), x.rank - 1]
    x = spans.transpose(x, order)
    return spans.reshape(x, (batch, *x.shape[1 : 1 + count], math.prod(sizes) * channels))


@rule("SpaceToBatchND SpaceToBatch")
def space_to_batch(call: Call) -> Carried:
    """Places that are so many apart go to images of their own."""
    x = call.only(0)
    block, pads = _blocks(call)
    for place, (before, after) in enumerate(pads):
        x = spans.pad(x, 1 + place, int(before), int(after))
    count, rest = len(block), x.shape[1 + len(block) :]
    split = [n for length, b in zip(x.shape[1:], block, strict=False) for n in (length // b, b)]
    wide = spans.reshape(x, (x.shape[0], *split, *rest))
    order = [*range(2, 2 + 2 * count, 2), 0, *range(1, 1 + 2 * count, 2), *range(1 + 2 * count, wide.rank)]
    moved = spans.transpose(wide, order)
    lengths = [length // b for length, b in zip(x.shape[1:], block, strict=False)]
    return spans.reshape(moved, (x.shape[0] * math.prod(block), *lengths, *rest))


@rule("BatchToSpaceND BatchToSpace")
def batch_to_space(call: Call) -> Carried:
    """And back."""
    x = call.only(0)
    block, crops = _blocks(call)
    count, rest = len(block), x.shape[1 + len(block) :]
    batch = x.shape[0] // math.prod(block)
    wide = spans.reshape(x, (*block, batch, *x.shape[1:]))
    places = [axis for place in range(count) for axis in (count + 1 + place, place)]
    moved = spans.transpose(wide, [count, *places, *range(2 * count + 1, wide.rank)])
    lengths = [length * b for length, b in zip(x.shape[1:], block, strict=False)]
    x = spans.reshape(moved, (batch, *lengths, *rest))
    for place, (before, after) in enumerate(crops):
        x = spans.pad(x, 1 + place, -int(before), -int(after))
    return x


def _blocks(call: Call) -> tuple[list[int], Any]:
    if call.name.endswith("ND"):
        return [int(n) for n in call.numbers(1)], call.numbers(2)
    return [int(call.attr("block_size"))] * 2, call.numbers(1)


@rule("DepthToSpace SpaceToDepth")
def depth_and_space(call: Call) -> Carried:
    """Channels become places, or places channels."""
    x, block = call.only(0), int(call.attr("block_size"))
    if call.attr("data_format") == "NCHW_VECT_C":
        raise UnknownError("DepthToSpace in the layout NCHW_VECT_C")
    first = call.attr("data_format") == "NCHW"
    x = spans.transpose(x, (0, 2, 3, 1)) if first else x
    n, h, w, c = x.shape
    if call.name == "DepthToSpace":
        x = spans.reshape(x, (n, h, w, block, block, c // block**2))
        x = spans.reshape(spans.transpose(x, (0, 1, 3, 2, 4, 5)), (n, h * block, w * block, c // block**2))
    else:
        x = spans.reshape(x, (n, h // block, block, w // block, block, c))
        x = spans.reshape(spans.transpose(x, (0, 1, 3, 2, 4, 5)), (n, h // block, w // block, c * block**2))
    return spans.transpose(x, (0, 3, 1, 2)) if first else x


# -- resizing ----------------------------------------------------------------------------------------------------------

_EXACT = 1e-5
"""Weights up to here are rounding errors of zero."""

_CHUNK = 512


def _by_impulses(length: int, results: int, resized: Callable[[Any], Any]) -> npt.NDArray[np.bool_]:
    """Which elements of a line each result reads: found by giving a line with a single one in it.

    Args:
        length: of the line.
        results: their number.
        resized: a function of ``(1, length, 1, channels)``.

    Returns:
        ``(length, results)``.
    """
    mask = np.zeros((length, results), bool)
    for start in range(0, length, _CHUNK):
        stop = min(start + _CHUNK, length)
        lines = np.zeros((1, length, 1, stop - start), np.float32)
        lines[0, np.arange(start, stop), 0, np.arange(stop - start)] = 1
        mask[start:stop] = np.abs(np.asarray(resized(lines), np.float64))[0, :, 0].T > _EXACT
    return mask


@rule("ResizeBilinear ResizeNearestNeighbor ResizeBicubic ResizeArea", even=True)
def resize(call: Call) -> Carried:
    """Axis by axis: what each result reads shows when it is run."""
    x = call.only(0)
    function = getattr(tf.raw_ops, call.name)
    corners, half = bool(call.attr("align_corners")), call.has("half_pixel_centers")
    named = {"align_corners": corners, **({"half_pixel_centers": call.attr("half_pixel_centers")} if half else {})}
    for axis, results in zip((1, 2), call.numbers(1), strict=True):

        def resized(lines: Any, results: int = int(results)) -> Any:
            return function(images=lines, size=[results, 1], **named)

        x = mixed(x, axis, _by_impulses(x.shape[axis], int(results), resized))
    return x


@rule("ResizeBilinearGrad ResizeBicubicGrad ResizeNearestNeighborGrad")
def resize_turned_round(call: Call) -> Carried:
    """The gradient of a resizing: each result takes from where it would be read."""
    x = call.only(0)
    function = getattr(tf.raw_ops, call.name.removesuffix("Grad"))
    named = {name: call.attr(name) for name in ("align_corners", "half_pixel_centers")}
    small = call.numbers(1) if call.name.startswith("ResizeNearest") else np.asarray(call.shape(1)[1:3])
    for axis, results in zip((1, 2), small.tolist(), strict=True):

        def resized(lines: Any, length: int = x.shape[axis]) -> Any:
            return function(images=lines, size=[length, 1], **named)

        x = mixed(x, axis, _by_impulses(results, x.shape[axis], resized).T)
    return x


@rule("ScaleAndTranslate", even=True)
def scale_and_translate(call: Call) -> Carried:
    """The same, with any scale."""
    x = call.only(0)
    sizes, scales, shifts = (call.numbers(place) for place in (1, 2, 3))
    for place, axis in enumerate((1, 2)):

        def resized(lines: Any, place: int = place) -> Any:
            return tf.raw_ops.ScaleAndTranslate(
                images=lines, size=[int(sizes[place]), 1], scale=[float(scales[place]), 1.0],
                translation=[float(shifts[place]), 0.0], kernel_type=call.attr("kernel_type"),
                antialias=call.attr("antialias"),
            )  # fmt: skip

        x = mixed(x, axis, _by_impulses(x.shape[axis], int(sizes[place]), resized))
    return x


@rule("CropAndResize")
def crop_and_resize(call: Call) -> Carried:
    """Parts of images. Where the image itself says which, they may lie anywhere."""
    x = call.needed(0)
    boxes, chosen = call.inputs[1], call.inputs[2]
    height, width = (int(n) for n in call.numbers(3))
    if not isinstance(boxes, Constant) or not isinstance(chosen, Constant):
        shape = (boxes.shape[0], height, width, x.shape[-1])
        whole = spans.reduce(x, [0, 1, 2], keepdims=True)
        own = [spans.reshape(spans.reduce(b, range(1, b.rank)), (-1, 1, 1, 1)) for b in call_carried(call, 1, 2)]
        return spans.join([whole, *own], shape)
    parts = []
    for (top, left, bottom, right), image in zip(boxes.numbers, chosen.numbers, strict=True):
        part = spans.cut(x, 0, int(image), int(image) + 1)
        for axis, results, low, high in ((1, height, top, bottom), (2, width, left, right)):

            def cropped(lines: Any, low: Any = low, high: Any = high, results: int = results) -> Any:
                return tf.raw_ops.CropAndResize(
                    image=lines, boxes=[[low, 0.0, high, 0.0]], box_ind=[0], crop_size=[results, 1],
                    method=call.attr("method"), extrapolation_value=0.0,
                )  # fmt: skip

            part = mixed(part, axis, _by_impulses(x.shape[axis], results, cropped))
        parts.append(part)
    return spans.concatenate(parts, 0)


@rule("ImageProjectiveTransformV2 ImageProjectiveTransformV3")
def projective(call: Call) -> Carried:
    """Elements read at places that a matrix gives."""
    x = call.needed(0)
    if not isinstance(call.inputs[1], Constant):
        whole = spans.reduce(x, [1, 2], keepdims=True)
        matrices = spans.reshape(spans.reduce(call.needed(1), [1]), (-1, 1, 1, 1))
        height, width = (int(n) for n in call.numbers(2))
        return spans.join([whole, matrices], (x.shape[0], height, width, x.shape[3]))
    if call.attr("interpolation") != "NEAREST":
        return _interpolated(call, x)
    if math.prod(x.shape[1:3]) >= 1 << 24:
        raise UnknownError(f"{call.name} of a large image")
    n, h, w, c = x.shape
    numbers = np.broadcast_to(np.arange(1, h * w + 1, dtype=np.float32).reshape(1, h, w, 1), (n, h, w, 1))
    found = run(call.operation, [tf.constant(numbers), *(value.held for value in call.inputs[1:])])[0].numpy()
    places = np.rint(found[..., 0]).astype(np.int64)
    places = np.where(places > 0, places - 1 + np.arange(n)[:, None, None] * h * w, -1)
    wide = np.where(places[..., None] < 0, -1, places[..., None] * c + np.arange(c))
    return gathered(x, wide)


def _interpolated(call: Call, x: Carried) -> Carried:
    """The four neighbours of each place."""
    mode = call.attr("fill_mode") if call.has("fill_mode") else "CONSTANT"
    if mode not in ("CONSTANT", "NEAREST"):
        raise UnknownError(f"{call.name} that interpolates behind a border of the kind {mode}")
    n, h, w, c = x.shape
    rows, columns = (int(length) for length in call.numbers(2))
    matrices = np.broadcast_to(call.numbers(1).astype(np.float64), (n, 8))[:, :, None, None]
    down, right = np.mgrid[0:rows, 0:columns]
    scale = matrices[:, 6] * right + matrices[:, 7] * down + 1
    where = [(matrices[:, k + 1] * down + matrices[:, k] * right + matrices[:, k + 2]) / scale for k in (3, 0)]
    if mode == "NEAREST":
        where = [np.clip(place, 0, length - 1) for place, length in zip(where, (h, w), strict=True)]
    near = [np.rint(place) for place in where]
    where = [np.where(np.abs(a - b) < _EXACT, b, a) for a, b in zip(where, near, strict=True)]
    first = np.arange(n)[:, None, None]
    parts = []
    for lower, later in ((0, 0), (0, 1), (1, 0), (1, 1)):
        y, z = (np.where(a == np.floor(a), a, np.floor(a) + k) for a, k in zip(where, (lower, later), strict=True))
        inside = (y >= 0) & (y < h) & (z >= 0) & (z < w)
        places = np.where(inside, (first * h + y) * w + z, -1).astype(np.int64)
        parts.append(gathered(x, np.where(places[..., None] < 0, -1, places[..., None] * c + np.arange(c))))
    return spans.join(parts)
