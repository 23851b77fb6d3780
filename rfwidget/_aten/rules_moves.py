"""Rules of operations that move elements: shapes, parts, order, padding, gathering and putting."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from rfwidget._aten.table import axes_of, each_of, required, rule
from rfwidget._measure import spans
from rfwidget._measure.places import gathered, masked, replaced
from rfwidget._measure.spans import Carried

# -- shapes ------------------------------------------------------------------------------------------------------------


@rule("view", "_unsafe_view", "reshape", "_reshape_alias", "flatten", "unflatten", "_reshape_copy", "view_copy",
      "squeeze", "unsqueeze", "squeeze_copy", "unsqueeze_copy", "ravel")  # fmt: skip
def reshape(call: Any) -> Carried:
    """The same elements in another shape."""
    x: Carried = call.carried("self")
    if not (call.has("dtype") and call["dtype"] is not None) and math.prod(x.shape) == math.prod(call.shape):
        return spans.reshape(x, call.shape)
    return _other_width(x, call)


def _other_width(x: Carried, call: Any) -> Carried:
    """Numbers of another width over the same memory: each depends on what its part of the memory did."""
    if x.shape == call.shape:
        return x
    mixed = spans.reduce(x, [-1], keepdims=True)
    return spans.broadcast(mixed, call.shape) if mixed.shape[:-1] == call.shape[:-1] else spans.everything(
        [x], call.shape, call.name)  # fmt: skip


@rule("permute", "permute_copy")
def permute(call: Any) -> Carried:
    """The axes in another order."""
    return spans.transpose(call.carried("self"), [int(d) for d in call["dims"]])


@rule("transpose", "transpose_copy", "swapaxes", "swapdims", "_transpose")
def transpose(call: Any) -> Carried:
    """Two axes exchanged."""
    x: Carried = call.carried("self")
    if not x.rank:
        return x
    order = list(range(x.rank))
    one, other = x.axis(int(call["dim0"])), x.axis(int(call["dim1"]))
    order[one], order[other] = other, one
    return spans.transpose(x, order)


@rule("t", "t_copy", "numpy_T", "adjoint", "mH", "mT")
def t(call: Any) -> Carried:
    """The last two axes exchanged."""
    x: Carried = call.carried("self")
    return spans.transpose(x, [*range(x.rank - 2), x.rank - 1, x.rank - 2]) if x.rank > 1 else x


@rule("expand", "expand_copy", "broadcast_to", "expand_as")
def expand(call: Any) -> Carried:
    """Stretched along axes of length 1, and to more axes in front."""
    return spans.broadcast(call.carried("self"), call.shape)


@rule("view_as_complex", "view_as_complex_copy")
def view_as_complex(call: Any) -> Carried:
    """The last axis becomes real and imaginary part."""
    return spans.reduce(call.carried("self"), [-1])


@rule("view_as_real")
def view_as_real(call: Any) -> Carried:
    """Real and imaginary part become the last axis."""
    x: Carried = call.carried("self")
    return spans.broadcast(spans.expand(x, x.rank), call.shape)


# -- parts -------------------------------------------------------------------------------------------------------------


@rule("slice", "slice_copy", "narrow", "narrow_copy")
def slice_(call: Any) -> Carried:
    """Elements of an axis."""
    x: Carried = call.carried("self")
    axis = x.axis(int(call["dim"] or 0))
    if call.name.startswith("narrow"):
        start = int(call["start"]) % max(x.shape[axis], 1)
        return spans.cut(x, axis, start, start + int(call["length"]))
    start, stop, step = slice(call["start"], call["end"], call["step"] or 1).indices(x.shape[axis])
    return spans.cut(x, axis, start, max(stop, start), step)


@rule("select", "select_copy")
def select(call: Any) -> Carried:
    """One element of an axis, which goes."""
    x: Carried = call.carried("self")
    axis = x.axis(int(call["dim"]))
    index = int(call["index"]) % x.shape[axis]
    return spans.squeeze(spans.cut(x, axis, index, index + 1), [axis])


@rule("split", "split_with_sizes", "chunk", "unsafe_split", "unsafe_chunk", "unsafe_split_with_sizes", "split_copy",
      "split_with_sizes_copy", "tensor_split")  # fmt: skip
def split(call: Any) -> list[Carried]:
    """Parts of an axis, one behind the other."""
    x: Carried = call.carried("self")
    axis = x.axis(int(call["dim"] or 0))
    parts, start = [], 0
    for shape in call.results:
        parts.append(spans.cut(x, axis, start, start + shape[axis]))
        start += shape[axis]
    return parts


@rule("unbind", "unbind_copy")
def unbind(call: Any) -> list[Carried]:
    """All elements of an axis, each by itself."""
    x: Carried = call.carried("self")
    axis = x.axis(int(call["dim"] or 0))
    return [spans.squeeze(spans.cut(x, axis, k, k + 1), [axis]) for k in range(x.shape[axis])]


@rule("diagonal", "diagonal_copy", "linalg_diagonal")
def diagonal(call: Any) -> Carried:
    """The elements whose places agree along two axes."""
    offset, one, other = int(call["offset"] or 0), int(call["dim1"] or 0), call["dim2"]
    other = 1 if other is None else int(other)
    return spans.rearrange(call.carried("self"), lambda part: np.diagonal(part, offset=offset, axis1=one, axis2=other))


@rule("unfold", "unfold_copy")
def unfold(call: Any) -> Carried:
    """``tensor.unfold``: windows along an axis become a new last axis."""
    x: Carried = call.carried("self")
    axis, size, step = x.axis(int(call["dimension"])), int(call["size"]), int(call["step"])
    count = call.shape[axis]
    places = (np.arange(count)[:, None] * step + np.arange(size)).ravel()
    taken = spans.take(x, axis, places)
    split_ = spans.reshape(taken, (*x.shape[:axis], count, size, *x.shape[axis + 1 :]))
    order = [*range(axis + 1), *range(axis + 2, x.rank + 1), axis + 1]
    return spans.transpose(split_, order)


@rule("as_strided", "as_strided_copy")
def as_strided(call: Any) -> Carried:
    """Elements by their places in memory."""
    tensor = call.tracked("self")
    x: Carried = call.carried("self")
    if tensor is None or not tensor.stand_in.is_contiguous() or tensor.stand_in.storage_offset():
        return spans.everything([x], call.shape, call.name)
    places = np.zeros((1,) * len(call.shape), np.int64) + int(call["storage_offset"] or 0)
    for axis, (length, stride) in enumerate(zip(call.shape, call["stride"], strict=True)):
        line = np.arange(length) * int(stride)
        places = places + line.reshape([-1 if other == axis else 1 for other in range(len(call.shape))])
    return gathered(x, places)


# -- order -------------------------------------------------------------------------------------------------------------


@rule("cat", "concat", "concatenate", "stack", "_cat")
def cat(call: Any) -> Carried:
    """Tensors one behind the other; constants among them depend on nothing."""
    like = call.like()
    parts = []
    rank = len(call.shape)
    stacked = call.name == "stack"
    for tensor in call["tensors"]:
        if not stacked and tuple(tensor.shape) == (0,):
            continue  # an old habit that PyTorch allows
        carried = required(call.of(tensor), like, tensor.shape)
        parts.append(spans.expand(carried, int(call["dim"] or 0) % rank) if stacked else carried)
    axis = int(call["dim"] or 0) % rank
    if call.blur and not stacked and rank == 4 and axis == 1 and len(parts) > 1:
        return spans.blurred(parts, axis)
    return spans.concatenate(parts, axis)


@rule("flip")
def flip(call: Any) -> Carried:
    """Backwards along some axes."""
    x: Carried = call.carried("self")
    for axis in axes_of(call["dims"], x.rank):
        x = spans.take(x, axis, np.arange(x.shape[axis])[::-1].copy())
    return x


@rule("rot90")
def rot90(call: Any) -> Carried:
    """Turned by quarters in a plane."""
    x: Carried = call.carried("self")
    first, second = (x.axis(int(d)) for d in call["dims"])
    quarters = int(call["k"]) % 4
    for axis, backwards in ((first, quarters in (2, 3)), (second, quarters in (1, 2))):
        x = spans.take(x, axis, np.arange(x.shape[axis])[::-1].copy()) if backwards else x
    order = list(range(x.rank))
    if quarters % 2:
        order[first], order[second] = second, first
    return spans.transpose(x, order)


@rule("roll")
def roll(call: Any) -> Carried:
    """Shifted; what leaves at one end comes back at the other."""
    x: Carried = call.carried("self")
    shifts, dims = each_of(call["shifts"], 1), each_of(call["dims"], 1)
    if not dims:
        places = np.roll(np.arange(math.prod(x.shape)), shifts[0]).reshape(x.shape)
        return gathered(x, places)
    for shift, axis in zip(shifts, dims, strict=True):
        x = spans.take(x, axis, np.roll(np.arange(x.shape[x.axis(axis)]), shift))
    return x


@rule("repeat", "tile")
def repeat(call: Any) -> Carried:
    """Copies one behind the other along all axes."""
    x: Carried = call.carried("self")
    counts = each_of(call["repeats"], 1)
    x = spans.reshape(x, (1,) * (len(counts) - x.rank) + x.shape)
    for axis, count in enumerate(counts):
        if count != 1:
            x = spans.take(x, axis, np.tile(np.arange(x.shape[axis]), count))
    return x


@rule("pixel_shuffle")
def pixel_shuffle(call: Any) -> Carried:
    """Channels become places."""
    x, r = call.carried("self"), int(call["upscale_factor"])
    *lead, c, h, w = x.shape
    n = len(lead)
    split_ = spans.reshape(x, (*lead, c // (r * r), r, r, h, w))
    moved = spans.transpose(split_, [*range(n), n, n + 3, n + 1, n + 4, n + 2])
    return spans.reshape(moved, call.shape)


@rule("pixel_unshuffle")
def pixel_unshuffle(call: Any) -> Carried:
    """Places become channels."""
    x, r = call.carried("self"), int(call["downscale_factor"])
    *lead, c, h, w = x.shape
    n = len(lead)
    split_ = spans.reshape(x, (*lead, c, h // r, r, w // r, r))
    moved = spans.transpose(split_, [*range(n), n, n + 2, n + 4, n + 1, n + 3])
    return spans.reshape(moved, call.shape)


@rule("channel_shuffle", "native_channel_shuffle")
def channel_shuffle(call: Any) -> Carried:
    """Channels of all groups in turn."""
    x, groups = call.carried("self"), int(call["groups"])
    order = np.arange(x.shape[1]).reshape(groups, -1).T.ravel()
    return spans.take(x, 1, order)


@rule("tril", "triu")
def triangle(call: Any) -> Carried:
    """Nothing is left on one side of a diagonal."""
    x, k = call.carried("self"), int(call["diagonal"] or 0)
    cut = np.tril if call.name.startswith("tril") else np.triu
    return masked(x, cut(np.ones(x.shape[-2:], bool), k))


# -- padding -----------------------------------------------------------------------------------------------------------


@rule("constant_pad_nd", "pad")
def constant_pad(call: Any) -> Carried:
    """A border of one number."""
    x: Carried = call.carried("self")
    amounts = [int(n) for n in call["pad"]]
    for place in range(len(amounts) // 2):
        x = spans.pad(x, -1 - place, amounts[2 * place], amounts[2 * place + 1])
    return x


@rule("reflection_pad1d", "reflection_pad2d", "reflection_pad3d")
def reflection_pad(call: Any) -> Carried:
    """A border that mirrors the tensor."""
    return _border(call, "reflect")


@rule("replication_pad1d", "replication_pad2d", "replication_pad3d")
def replication_pad(call: Any) -> Carried:
    """A border that repeats the last elements."""
    return _border(call, "edge")


def _border(call: Any, mode: Any) -> Carried:
    x: Carried = call.carried("self")
    amounts = [int(n) for n in call["padding"]]
    for place in range(len(amounts) // 2):
        before, after = amounts[2 * place : 2 * place + 2]
        line = np.arange(x.shape[-1 - place])
        line = line[max(0, -before) : len(line) - max(0, -after)]
        x = spans.take(x, -1 - place, np.pad(line, (max(0, before), max(0, after)), mode=mode))
    return x


# -- gathering ---------------------------------------------------------------------------------------------------------


@rule("index_select", "index_select_copy")
def index_select(call: Any) -> Carried:
    """Elements of an axis by number."""
    x, like = call.carried("self"), call.like()
    x = required(x, like, call.shape_of("self"))
    axis = x.axis(int(call["dim"])) if x.rank else 0
    if call.carried("index") is not None:
        chosen = spans.reduce(x, [axis], keepdims=True)
        line = spans.reshape(call.carried("index"), [-1 if a == axis else 1 for a in range(x.rank)])
        return spans.join([chosen, line], call.shape)
    return spans.take(x, axis, _numbers(call.constant("index"), x.shape[axis]))


@rule("index", "_unsafe_index", "_unsafe_masked_index")
def index(call: Any) -> Carried:
    """``x[i, j]`` with tensors of numbers, or masks."""
    x, like = call.carried("self"), call.like()
    x = required(x, like, call.shape_of("self"))
    given = list(call["indices"])
    tracked = [call.of(one) for one in given if one is not None]
    if any(one is not None for one in tracked):
        if any(one is not None and one.dtype in (torch.bool, torch.uint8) for one in given):
            return spans.everything(call.all_carried(), call.shape, "index")
        return _looked_up(x, given, call)
    arrays: list[Any] = [None if one is None else one.cpu().numpy() for one in given]
    if sum(one is not None for one in arrays) == 1:
        axis = next(a for a, one in enumerate(arrays) if one is not None)
        chosen = arrays[axis]
        if chosen.dtype == bool and chosen.ndim == 1:
            chosen = np.flatnonzero(chosen)
        if chosen.dtype != bool:
            taken = spans.take(x, axis, chosen.ravel() % max(x.shape[axis], 1))
            return spans.reshape(taken, call.shape)
    key = tuple(slice(None) if one is None else one for one in arrays)
    places = np.arange(math.prod(x.shape)).reshape(x.shape)[key]
    return gathered(x, places.reshape(call.shape))


def _looked_up(x: Carried, given: list[Any], call: Any) -> Carried:
    """Elements whose numbers depend on the image: any along the axes that are indexed."""
    axes = [axis for axis, one in enumerate(given) if one is not None]
    if axes != list(range(axes[0], axes[-1] + 1)):
        return spans.everything(call.all_carried(), call.shape)
    mixed = spans.squeeze(spans.reduce(x, axes, keepdims=True), axes)
    numbers = [call.of(one) for one in given if call.of(one) is not None]
    wide = np.broadcast_shapes(*(tuple(given[axis].shape) for axis in axes))
    chosen = spans.broadcast(spans.join(numbers), wide)
    for place in range(len(wide)):
        mixed = spans.expand(mixed, axes[0] + place)
    behind = len(call.shape) - axes[0] - len(wide)
    chosen = spans.reshape(chosen, (*(1,) * axes[0], *wide, *(1,) * behind))
    return spans.join([mixed, chosen], call.shape)


@rule("gather", "take_along_dim")
def gather(call: Any) -> Carried:
    """Elements along an axis, others for each line."""
    x, like = call.carried("self"), call.like()
    x = required(x, like, call.shape_of("self"))
    axis = x.axis(int(call["dim"]))
    if call.carried("index") is not None:
        chosen = spans.reduce(x, [axis], keepdims=True)
        for other, length in enumerate(call.shape):
            if other != axis:
                chosen = spans.cut(chosen, other, 0, length)
        return spans.join([chosen, call.carried("index")], call.shape)
    numbers = call.constant("index").cpu().numpy()
    places = np.indices(numbers.shape, sparse=True)
    key = tuple(numbers if other == axis else places[other] for other in range(x.rank))
    return gathered(x, np.arange(math.prod(x.shape)).reshape(x.shape)[key])


@rule("take")
def take(call: Any) -> Carried:
    """Elements by their numbers in the order of C."""
    x, like = call.carried("self"), call.like()
    if x is None or call.carried("index") is not None:
        return spans.everything(call.all_carried(), call.shape)
    del like
    return gathered(x, call.constant("index").cpu().numpy())


@rule("embedding")
def embedding(call: Any) -> Carried:
    """Rows of a table."""
    table, numbers = call.carried("weight"), call.carried("indices")
    parts = []
    if numbers is not None:
        parts.append(spans.broadcast(spans.expand(numbers, numbers.rank), call.shape))
    if table is not None:
        if numbers is not None:
            parts.append(spans.broadcast(spans.reduce(table, [0], keepdims=True), call.shape))
        else:
            chosen = call.constant("indices").cpu().numpy()
            parts.append(spans.reshape(spans.take(table, 0, chosen.ravel()), call.shape))
    return spans.join(parts)


def _numbers(tensor: torch.Tensor, count: int) -> Any:
    return tensor.cpu().numpy().ravel() % max(count, 1)


# -- putting -----------------------------------------------------------------------------------------------------------


@rule("slice_scatter", "select_scatter", "diagonal_scatter", "as_strided_scatter")
def view_scatter(call: Any) -> Carried:
    """A copy with some elements replaced."""
    like = call.like()
    x = required(call.carried("self"), like, call.shape_of("self"))
    source = required(call.carried("src"), like, call.shape_of("src"))
    numbers = torch.arange(math.prod(x.shape)).reshape(x.shape)
    if call.name == "slice_scatter":
        axis = x.axis(int(call["dim"] or 0))
        chosen = slice(call["start"], call["end"], call["step"] or 1)
        places = numbers.numpy()[(*(slice(None),) * axis, chosen)]
    elif call.name == "select_scatter":
        places = numbers.select(int(call["dim"]), int(call["index"])).numpy()
    elif call.name == "diagonal_scatter":
        places = numbers.diagonal(int(call["offset"] or 0), int(call["dim1"] or 0), int(call["dim2"])).numpy()
    else:
        return spans.everything([x, source], call.shape, call.name)
    return replaced(x, places, source)


@rule("index_put", "_unsafe_index_put", "_index_put_impl")
def index_put(call: Any) -> Carried:
    """``x[i, j] = y``."""
    like = call.like()
    x = required(call.carried("self"), like, call.shape_of("self"))
    given = list(call["indices"])
    if any(call.of(one) is not None for one in given if one is not None):
        return spans.everything(call.all_carried(), call.shape, "index_put")
    key = tuple(slice(None) if one is None else one.cpu().numpy() for one in given)
    places = np.arange(math.prod(x.shape)).reshape(x.shape)[key]
    values = required(call.carried("values"), like, call.shape_of("values"))
    values = spans.broadcast(values, places.shape)
    if call["accumulate"]:
        return spans.join([x, spans.scatter([values], x.shape, places)])
    return replaced(x, places, values)


@rule("scatter", "scatter_add", "scatter_reduce", "_scatter_reduce")
def scatter(call: Any) -> Carried:
    """Elements put along an axis, at other places for each line."""
    like = call.like()
    x = required(call.carried("self"), like, call.shape_of("self"))
    axis, shape = x.axis(int(call["dim"])), call.shape_of("index")
    source = call.carried("src") if call.has("src") else None
    if call.carried("index") is not None:
        parts = [x, *(spans.reduce(c, [axis], keepdims=True) for c in (call.carried("index"), source) if c is not None)]
        same = all(part.shape[a] == n for part in parts for a, n in enumerate(x.shape) if a != axis)
        return spans.join(parts, call.shape) if same else spans.everything(parts, call.shape)
    numbers = call.constant("index").cpu().numpy()
    places = np.indices(numbers.shape, sparse=True)
    key = tuple(numbers if other == axis else places[other] for other in range(x.rank))
    flat = np.arange(math.prod(x.shape)).reshape(x.shape)[key]
    values = spans.nowhere(shape, like)
    if source is not None:
        values = source
        for other, length in enumerate(shape):
            values = spans.cut(values, other, 0, length)
    adds = call.name.startswith(("scatter_add", "scatter_reduce")) or (call.has("reduce") and call["reduce"])
    if adds:
        return spans.join([x, spans.scatter([values], x.shape, flat)])
    return replaced(x, flat, values)


@rule("index_add", "index_copy", "index_fill", "index_reduce")
def index_add(call: Any) -> Carried:
    """Elements put at places of an axis."""
    like = call.like()
    x = required(call.carried("self"), like, call.shape_of("self"))
    axis = x.axis(int(call["dim"])) if x.rank else 0
    source = call.carried("source") if call.has("source") else None
    if call.carried("index") is not None:
        return spans.everything(call.all_carried(), call.shape)
    numbers = call.constant("index").cpu().numpy().ravel()
    order = np.full(x.shape[axis], -1)
    order[numbers] = np.arange(len(numbers))
    put = spans.nowhere(x.shape, like)
    if source is not None:
        put = spans.join([spans.take(source, axis, order)], x.shape)
    if call.name.startswith(("index_add", "index_reduce")):
        if source is not None and len(set(numbers.tolist())) < len(numbers):
            shape = [len(numbers) if a == axis else 1 for a in range(x.rank)]
            flat = np.arange(math.prod(x.shape)).reshape(x.shape).take(numbers, axis)
            del shape
            put = spans.scatter([source], x.shape, flat)
        return spans.join([x, put])
    kept = np.where(order < 0, np.arange(x.shape[axis]), -1)
    return spans.join([spans.take(x, axis, kept), put])


@rule("masked_scatter")
def masked_scatter(call: Any) -> Carried:
    """Elements put one after the other where a mask is set."""
    return spans.everything(call.all_carried(), call.shape, call.name)
