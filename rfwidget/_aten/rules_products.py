"""Rules of products that are summed: matrices, attention."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from rfwidget._aten.table import required, rule
from rfwidget._measure import spans
from rfwidget._measure.spans import Carried


@rule("mm", "bmm", "matmul", "mv", "dot", "vdot", "inner")
def product(call: Any) -> Carried:
    """Rows times columns."""
    first, second = _factors(call, *(n for n in ("self", "input") if call.has(n)), *_second(call))
    return matrix_product(first, second, call)


def _second(call: Any) -> list[str]:
    return [name for name in ("mat2", "other", "vec", "tensor") if call.has(name)]


class Factor:
    """A factor of a product: what it depends on, or where a constant is not zero."""

    def __init__(self, call: Any, name: str) -> None:
        self.carried: Carried | None = call.carried(name)
        self.shape = call.shape_of(name)
        self._call, self._name = call, name

    @property
    def nonzero(self) -> npt.NDArray[np.bool_] | None:
        """Of a constant; None: everywhere."""
        found: npt.NDArray[np.bool_] | None = self._call.nonzero(self._name)
        return found


def _factors(call: Any, *names: str) -> tuple[Factor, Factor]:
    first, second = (Factor(call, name) for name in names[:2])
    return first, second


def matrix_product(first: Factor, second: Factor, call: Any) -> Carried:
    """``first @ second``, over the last axis of one and the last but one of the other."""
    parts = []
    if first.carried is not None:
        x = first.carried
        mask = second.nonzero if second.carried is None else None
        if mask is not None and mask.ndim == 2:
            parts.append(spans.mix(x, -1, mask))
        elif mask is not None and mask.ndim == 1:
            parts.append(spans.reshape(spans.mix(x, -1, mask[:, None]), call.shape))
        else:
            summed = spans.reduce(x, [-1], keepdims=True)
            parts.append(_stretched(summed, call.shape, vector=len(second.shape) == 1))
    if second.carried is not None:
        x = second.carried
        mask = first.nonzero if first.carried is None else None
        axis = -2 if x.rank > 1 else -1
        if mask is not None and mask.ndim == 2 and x.rank > 1:
            parts.append(spans.mix(x, axis, mask.T))
        elif mask is not None and mask.ndim == 2:
            parts.append(spans.reshape(spans.mix(x, axis, mask.T), call.shape))
        else:
            summed = spans.reduce(x, [axis], keepdims=x.rank > 1)
            parts.append(spans.broadcast(summed if x.rank > 1 else _scalar(summed, call), call.shape))
    return spans.join(parts, call.shape)


def _stretched(summed: Carried, shape: tuple[int, ...], *, vector: bool) -> Carried:
    return spans.broadcast(spans.squeeze(summed, [-1]) if vector else summed, shape)


def _scalar(x: Carried, call: Any) -> Carried:
    return spans.reshape(x, (1,) * len(call.shape))


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
    rows, columns = query.shape[-2], key.shape[-2]
    allowed = np.ones((rows, columns), bool)
    bias = next((n for n in ("attn_mask", "attn_bias") if call.has(n)), None)
    other = call.carried(bias) if bias else None
    given = call[bias] if bias and other is None else None
    if call["is_causal"]:
        allowed &= np.tril(np.ones((rows, columns), bool))
    if given is not None:
        numbers = given.cpu()
        seen = numbers.numpy() if numbers.dtype.is_floating_point is False else (numbers.float() > -np.inf).numpy()
        seen = seen.astype(bool).reshape(-1, *seen.shape[-2:]).any(axis=0)
        allowed = allowed & np.broadcast_to(seen, allowed.shape)
    queries = spans.reduce(query, [-1], keepdims=True)
    keys = spans.join([spans.reduce(key, [-1], keepdims=True), spans.reduce(value, [-1], keepdims=True)])
    parts = [queries, spans.mix(keys, -2, allowed.T)]
    if other is not None:
        parts.append(spans.reduce(other, [-1], keepdims=True))
    seen_ = spans.join(parts)
    return [
        spans.broadcast(seen_, shape) if place == 0 else _statistics(seen_, shape)
        for place, shape in enumerate(call.results)
    ]


def _statistics(x: Carried, shape: tuple[int, ...]) -> Carried:
    flat = spans.squeeze(x, [-1])
    return flat if flat.shape == shape else spans.everything([x], shape)
