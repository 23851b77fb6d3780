"""Rules of products that are summed: matrices, attention."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from rfwidget._aten.table import required, rule
from rfwidget._measure import spans
from rfwidget._measure.masks import LOW, masked_reduce, told_apart, weighted_sum
from rfwidget._measure.places import masked
from rfwidget._measure.spans import Carried, Marks


@rule("mm", "bmm", "matmul", "mv", "dot", "vdot", "inner")
def product(call: Any) -> Carried:
    """Rows times columns."""
    first, second = _factors(call, *(n for n in ("self", "input") if call.has(n)), *_second(call))
    return matrix_product(first, second, call)


def _second(call: Any) -> list[str]:
    return [name for name in ("mat2", "other", "vec", "tensor") if call.has(name)]


class Factor:
    """A factor of a product.

    Attributes:
        carried: what it depends on; None: on no pixel.
        shape: of it.
        nonzero: where it is not zero by construction; None: everywhere.
    """

    def __init__(self, call: Any, name: str) -> None:
        self.carried: Carried | None = call.carried(name)
        self.shape = call.shape_of(name)
        self.nonzero: npt.NDArray[np.bool_] | None = call.nonzero(name)


def _factors(call: Any, *names: str) -> tuple[Factor, Factor]:
    first, second = (Factor(call, name) for name in names[:2])
    return first, second


def matrix_product(first: Factor, second: Factor, call: Any) -> Carried:
    """``first @ second``, over the last axis of one and the last but one of the other."""
    parts = []
    if first.carried is not None:
        x, vector = first.carried, len(second.shape) == 1
        weights = second.nonzero if second.nonzero is None or not vector else second.nonzero[:, None]
        rows = spans.expand(x, 0) if x.rank == 1 else x
        own = first.nonzero if first.nonzero is None or x.rank > 1 else first.nonzero[None]
        product_ = _times(rows, own, weights)
        product_ = spans.squeeze(product_, [-1]) if vector else product_
        parts.append(spans.squeeze(product_, [-2 if not vector else -1]) if x.rank == 1 else product_)
    if second.carried is not None:
        x, vector = second.carried, len(first.shape) == 1
        weights = first.nonzero if first.nonzero is None or not vector else first.nonzero[None]
        columns = spans.expand(x, 1) if x.rank == 1 else x
        own = second.nonzero if second.nonzero is None or x.rank > 1 else second.nonzero[:, None]
        product_ = _turned(_times(_turned(columns), _flipped(own), _flipped(weights)))
        product_ = spans.squeeze(product_, [-2]) if vector else product_
        parts.append(spans.squeeze(product_, [-1]) if x.rank == 1 else product_)
    product_ = spans.join(parts, call.shape)
    return _paired(product_) if len(parts) == 2 else product_


def _paired(x: Carried) -> Carried:
    """A product of two tensors that depend on the image has an element for every pair of rows and columns, but where
    one of them is such a product already.
    """
    if x.marks.pairs or x.rank < 2:
        return _unpaired(x)
    return spans.marked(x, Marks(pairs=frozenset({(x.shape[-2], x.shape[-1])})))


def _unpaired(x: Carried) -> Carried:
    return replace(x, marks=replace(x.marks, pairs=frozenset())) if x.marks.pairs else x


def _times(rows: Carried, own: npt.NDArray[np.bool_] | None, weights: npt.NDArray[np.bool_] | None) -> Carried:
    """Rows ``(*lead, m, k)`` times weights ``(*lead, k, n)``; both may be zero by construction in places.

    Returns:
        ``(*lead, m, n)``; n is 1 where all results of a row agree.
    """
    if weights is None:
        return spans.reduce(rows, [-1], keepdims=True) if own is None else masked_reduce(rows, -1, own)
    rows = masked(rows, own)
    if weights.ndim == 2:
        return spans.mix(rows, -1, weights)
    return _turned(weighted_sum(_turned(rows), weights.swapaxes(-1, -2)))


def _turned(x: Carried) -> Carried:
    """With its last two axes exchanged."""
    return spans.transpose(x, [*range(x.rank - 2), x.rank - 1, x.rank - 2])


def _flipped(mask: npt.NDArray[np.bool_] | None) -> npt.NDArray[np.bool_] | None:
    return None if mask is None else mask.swapaxes(-1, -2)


@rule("addmm", "baddbmm", "addmv", "addbmm", "addr")
def added(call: Any) -> Carried:
    """A product, added to something."""
    names = {"addmm": ("mat1", "mat2"), "baddbmm": ("batch1", "batch2"), "addmv": ("mat", "vec")}
    key = call.name.rstrip("_")
    if key not in names:
        return spans.everything(call.all_carried(), call.shape)
    parts = []
    one, two = names[key]
    if call.carried(one) is not None or call.carried(two) is not None:
        parts.append(matrix_product(Factor(call, one), Factor(call, two), call))
    if call.carried("self") is not None and call["beta"] != 0:
        parts.append(spans.broadcast(call.carried("self"), call.shape))
    return spans.join(parts) if parts else spans.nowhere(call.shape, call.like())


@rule("linear", "mkldnn_linear")
def linear(call: Any) -> Carried:
    """Along the last axis; rows of the matrix are the results."""
    x, weight, bias = call.carried("input"), call.carried("weight"), call.carried("bias")
    parts = []
    if x is not None:
        mask = call.nonzero("weight") if weight is None else None
        if mask is not None:
            parts.append(spans.mix(x, -1, mask.T))
        else:
            parts.append(spans.broadcast(spans.reduce(x, [-1], keepdims=True), call.shape))
    if weight is not None:
        parts.append(spans.broadcast(spans.reduce(weight, [-1]), call.shape))
    if bias is not None:
        parts.append(spans.broadcast(bias, call.shape))
    return spans.join(parts)


@rule("ger", "outer")
def outer(call: Any) -> Carried:
    """Every pair."""
    parts = []
    for name, axis in (("self", 1), ("vec2", 0)):
        x = call.carried(name)
        if x is not None:
            parts.append(spans.broadcast(spans.expand(x, axis), call.shape))
    return spans.join(parts)


@rule("_cdist_forward", "cdist", "_euclidean_dist")
def distances(call: Any) -> Carried:
    """Of every point of one list to every point of another."""
    parts = []
    for name, axis in (("x1", -1), ("x2", -2)):
        x = call.carried(name)
        if x is not None:
            parts.append(spans.broadcast(spans.expand(spans.reduce(x, [-1]), axis % (x.rank)), call.shape))
    return spans.join(parts)


@rule("_trilinear")
def trilinear(call: Any) -> Carried:
    """The product behind `nn.Bilinear`."""
    return spans.everything(call.all_carried(), call.shape, call.name)


@rule("scaled_dot_product_attention", "_scaled_dot_product_flash_attention_for_cpu",
      "_scaled_dot_product_flash_attention", "_scaled_dot_product_efficient_attention",
      "_scaled_dot_product_attention_math", "_scaled_dot_product_cudnn_attention",
      "_scaled_dot_product_fused_attention_overrideable")  # fmt: skip
def attention(call: Any) -> list[Carried]:
    """Each query sees itself, all keys and all values; none of those that a constant mask forbids."""
    like = call.like()
    query, key, value = (required(call.carried(n), like, call.shape_of(n)) for n in ("query", "key", "value"))
    count = query.shape[-2], key.shape[-2]
    on = np.tril(np.ones(count, bool)) if call["is_causal"] else None
    bias = next((n for n in ("attn_mask", "attn_bias") if call.has(n)), None)
    other = call.carried(bias) if bias else None
    seen = None if bias is None else _seen(call, bias)
    if seen is not None:
        on = seen if on is None else on & seen
    keys = spans.join([spans.reduce(key, [-1], keepdims=True), spans.reduce(value, [-1], keepdims=True)])
    parts = [spans.reduce(query, [-1], keepdims=True)]
    parts.append(spans.reduce(keys, [-2], keepdims=True) if on is None else weighted_sum(keys, on))
    if other is not None:
        parts.append(spans.reduce(other, [-1], keepdims=True) if on is None else masked_reduce(other, -1, on))
    mixed = _unpaired(spans.join(parts))
    return [
        spans.broadcast(mixed, shape) if place == 0 else _statistics(mixed, shape)
        for place, shape in enumerate(call.results)
    ]


def _seen(call: Any, bias: str) -> npt.NDArray[np.bool_] | None:
    """The keys that each query sees, as an argument tells; None: all."""
    given = call[bias]
    if given is None:
        return None
    if call.carried(bias) is not None:
        on: npt.NDArray[np.bool_] | None = call.on(bias, -1)
        return on
    if given.dtype == torch.bool:
        return told_apart(~given.cpu().numpy(), -1)
    return told_apart(call.numbers(bias) <= LOW, -1)


def _statistics(x: Carried, shape: tuple[int, ...]) -> Carried:
    flat = spans.squeeze(x, [-1])
    return flat if flat.shape == shape else spans.everything([x], shape)
