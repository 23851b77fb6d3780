"""The rules of all operations that are followed: `RULES`. Others depend on everything that they read, and say so.

Here are pointwise operations, reductions and normalisations; the rest is in `rules_moves`, `rules_windows`,
`rules_products` and `rules_recurrent`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from rfwidget._aten import rules_moves, rules_products, rules_recurrent, rules_windows
from rfwidget._aten.table import RULES, axes_of, rule
from rfwidget._measure import spans
from rfwidget._measure.masks import masked_reduce
from rfwidget._measure.places import masked
from rfwidget._measure.spans import Carried

__all__ = ["RULES", "rules_moves", "rules_products", "rules_recurrent", "rules_windows"]

# -- pointwise ---------------------------------------------------------------------------------------------------------


@rule(
    "pointwise", "_to_copy", "alias", "clone", "contiguous", "copy", "detach", "lift", "lift_fresh", "lift_fresh_copy",
    "add", "sub", "rsub", "div", "neg", "relu", "gelu", "silu", "mish", "elu", "celu", "selu", "leaky_relu", "rrelu",
    "rrelu_with_noise", "rrelu_with_noise_functional", "hardtanh", "hardsigmoid", "hardswish", "softplus", "threshold",
    "prelu", "_prelu_kernel", "log_sigmoid_forward", "clamp", "clamp_min", "clamp_max", "lerp", "pow", "float_power",
    "addcmul", "addcdiv", "maximum", "minimum", "fmax", "fmin", "atan2", "hypot", "nan_to_num", "native_dropout",
    "dropout", "bernoulli", "fake_quantize_per_tensor_affine", "bucketize", "complex", "polar", "view_as_real_copy",
    "softshrink", "hardshrink", "logit", "isnan", "isinf", "isfinite", "isclose", "normal", "poisson", "to_dtype",
    "_conj", "_neg_view", "resolve_conj", "resolve_neg", "conj_physical", "real", "imag", "frexp", "ldexp",
    "floor_divide", "fmod", "remainder", "bitwise_and", "bitwise_or", "bitwise_xor", "logical_and", "logical_or",
    "logical_xor",
    "logical_not", "exponential", "gcd", "lcm", "heaviside", "xlogy", "special_xlog1py",
)  # fmt: skip
def pointwise(call: Any) -> list[Carried]:
    """Each element of a result depends on the elements of its place."""
    joined = spans.join(call.all_carried())
    return [spans.broadcast(joined, shape) for shape in call.results]


@rule("mul", "__and__", "logical_and", "bitwise_and")
def product(call: Any) -> Carried:
    """As `pointwise`, but nothing is left where a constant is zero: a mask."""
    result: Carried = pointwise(call)[0]
    for name in ("self", "other"):
        other = call[name]
        if call.carried(name) is None and hasattr(other, "dtype"):
            result = masked(result, call.nonzero(name))
    return result


@rule("where")
def where(call: Any) -> Carried:
    """A constant condition tells for each element which of the two it is."""
    condition, one, other = call.carried("condition"), call.carried("self"), call.carried("other")
    if condition is not None:
        return spans.broadcast(spans.join(call.all_carried()), call.shape)
    chosen = call.constant("condition").cpu().numpy().astype(bool)
    like = call.like()
    parts = []
    for carried, kept in ((one, chosen), (other, ~chosen)):
        if carried is not None:
            parts.append(masked(spans.broadcast(carried, call.shape), kept))
    return spans.join(parts) if parts else spans.nowhere(call.shape, like)


@rule("masked_fill")
def masked_fill(call: Any) -> Carried:
    """What is filled depends on what it is filled with."""
    x, mask, value = call.carried("self"), call.carried("mask"), call.carried("value")
    like = call.like()
    if mask is not None:
        return spans.broadcast(spans.join([c for c in (x, mask, value) if c is not None]), call.shape)
    filled = call.constant("mask").cpu().numpy().astype(bool)
    parts = []
    if x is not None:
        parts.append(masked(spans.broadcast(x, call.shape), ~filled))
    if value is not None:
        parts.append(masked(spans.broadcast(value, call.shape), filled))
    return spans.join(parts) if parts else spans.nowhere(call.shape, like)


@rule("fill", "zero", "uniform", "random", "log_normal", "cauchy", "geometric")
def filled(call: Any) -> Carried:
    """Nothing of what was there is left."""
    value = call.carried("value") if call.has("value") else None
    return spans.nowhere(call.shape, call.like()) if value is None else spans.broadcast(value, call.shape)


@rule("copy_into")
def copied(call: Any) -> Carried:
    """``x.copy_(y)``: what was there is gone."""
    source = call.carried("src")
    return spans.nowhere(call.shape, call.like()) if source is None else spans.broadcast(source, call.shape)


# -- reductions --------------------------------------------------------------------------------------------------------


@rule(
    "sum", "nansum", "mean", "prod", "amax", "amin", "aminmax", "max", "min", "argmax", "argmin", "all", "any",
    "logsumexp", "norm", "linalg_vector_norm", "std", "var", "std_mean", "var_mean", "median", "nanmedian", "mode",
    "kthvalue", "count_nonzero", "_logcumsumexp", "special_logsumexp", "nanmean",
)  # fmt: skip
def reduction(call: Any) -> Any:
    """Results depend on all elements along some axes."""
    if call.has("other"):
        return pointwise(call)  # maximum of two tensors
    x = call.carried("self")
    axes = axes_of(call["dim"] if call.has("dim") else None, x.rank)
    on = call.on("self", axes[0] - x.rank) if call.name in ("amax", "max", "logsumexp") and len(axes) == 1 else None
    reduced = spans.reduce(x, axes, keepdims=True) if on is None else masked_reduce(x, axes[0], on)
    return [spans.reshape(reduced, shape) for shape in call.results]


@rule("_softmax", "_log_softmax", "_safe_softmax", "softmax", "log_softmax")
def softmax(call: Any) -> Carried:
    """Every result depends on all elements along an axis, but for those that a mask makes nothing of."""
    x, axis = call.carried("self"), int(call["dim"])
    on = call.on("self", axis) if x.rank else None
    if on is None:
        return around(x, [axis]) if x.rank else x
    mixed = spans.broadcast(masked_reduce(x, axis, on), x.shape)
    return spans.join([x, mixed]) if x.local or "log" in call.name else mixed


@rule(
    "sort", "argsort", "topk", "msort", "renorm",
    "cosine_similarity",
)  # fmt: skip
def along_axis(call: Any) -> list[Carried]:
    """Every result depends on all elements along an axis; ``topk`` keeps fewer, which have no places of their own."""
    x = call.carried("self")
    axis = call["dim"] if call.has("dim") else (0 if call.name == "msort" else -1)
    if x.rank and any(tuple(shape) != tuple(x.shape) for shape in call.results):
        mixed = spans.reduce(x, [axis], keepdims=True)
    else:
        mixed = around(x, [axis]) if x.rank else x
    return [spans.broadcast(mixed, shape) for shape in call.results]


def around(x: Carried, axes: Sequence[int]) -> Carried:
    """Each element depends on itself, and on all others along some axes."""
    mixed = spans.reduce(x, axes, keepdims=True)
    return spans.join([x, mixed]) if x.local else spans.broadcast(mixed, x.shape)


@rule("cumsum", "cumprod", "logcumsumexp", "cummax", "cummin", "_cummax_helper", "_cummin_helper")
def cumulative(call: Any) -> list[Carried]:
    """Every result depends on all elements up to its place."""
    return [spans.cumulate(call.carried("self"), call["dim"])] * len(call.results)


# -- normalisations ----------------------------------------------------------------------------------------------------


@rule(
    "native_batch_norm", "_native_batch_norm_legit", "_native_batch_norm_legit_functional",
    "_native_batch_norm_legit_no_training", "cudnn_batch_norm", "miopen_batch_norm", "batch_norm",
    "_batch_norm_with_update", "_batch_norm_no_update", "_batch_norm_impl_index",
)  # fmt: skip
def batch_norm(call: Any) -> list[Carried]:
    """With statistics of its own it is pointwise; with those of the batch it sees whole maps."""
    x = call.carried("input")
    own = call["training"] if call.has("training") else call.name.endswith("with_update")
    if own or (call.has("running_mean") and call["running_mean"] is None):
        x = around(x, [a for a in range(x.rank) if a != 1])
    others = [c for c in map(call.carried, ("weight", "bias", "running_mean", "running_var")) if call and c is not None]
    for other in others:
        x = spans.join([x, spans.reshape(other, (1, -1, *(1,) * (x.rank - 2)))])
    like = spans.reduce(x, [a for a in range(x.rank) if a != 1])
    return [x, *(_sized(like, shape) for shape in call.results[1:])]


@rule("native_layer_norm", "layer_norm", "rms_norm", "_fused_rms_norm")
def layer_norm(call: Any) -> list[Carried]:
    """Statistics along the last axes."""
    x = call.carried("input")
    count = len(call["normalized_shape"])
    mixed = spans.reduce(x, range(x.rank - count, x.rank), keepdims=True)
    return [around(x, range(x.rank - count, x.rank)), *(_sized(mixed, shape) for shape in call.results[1:])]


@rule("native_group_norm", "group_norm")
def group_norm(call: Any) -> list[Carried]:
    """Statistics over whole maps of each group of channels."""
    x = call.carried("input")
    groups = int(call["group"] if call.has("group") else call["num_groups"])
    split = spans.reshape(x, (x.shape[0], groups, -1))
    mixed = spans.reduce(split, [2], keepdims=True)
    whole = spans.reshape(around(split, [2]), x.shape)
    return [whole, *(_sized(mixed, shape) for shape in call.results[1:])]


def _sized(x: Carried, shape: Sequence[int]) -> Carried:
    """Statistics in the shape that they come in, which may be empty."""
    return spans.reshape(x, shape) if math.prod(shape) == math.prod(x.shape) else spans.nowhere(shape, x)


# -- others ------------------------------------------------------------------------------------------------------------


@rule("nonzero", "masked_select", "_unique2", "unique_dim", "unique_consecutive", "nonzero_static")
def of_unknown_shape(call: Any) -> list[Carried]:
    """How many results there are is decided by numbers: each may depend on everything, and nothing more is known."""
    return [spans.everything(call.all_carried(), shape, call.name) for shape in call.results]


@rule("multinomial", "histc", "bincount", "linalg_qr", "linalg_svd", "_linalg_svd", "_linalg_det", "linalg_inv_ex",
      "linalg_cholesky_ex", "_linalg_eigh", "_linalg_solve_ex", "dist")  # fmt: skip
def everything(call: Any) -> list[Carried]:
    """Each result depends on all that is read, as the mathematics has it."""
    return [spans.everything(call.all_carried(), shape) for shape in call.results]
