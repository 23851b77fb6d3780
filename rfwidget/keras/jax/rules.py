"""Rules of what acts on each element alone, of reductions, and of what moves elements without looking at numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from rfwidget._measure import spans
from rfwidget._measure.masks import masked_reduce
from rfwidget._measure.places import masked
from rfwidget._measure.products import Factor, summed
from rfwidget._measure.spans import Carried
from rfwidget.keras.calls import UnknownError
from rfwidget.keras.jax.table import Call, rule

# -- each element alone ------------------------------------------------------------------------------------------------

POINTWISE = """
    abs acos acosh add add_any add_jaxvals asin asinh atan atan2 atanh bessel_i0e bessel_i1e cbrt ceil clamp clz
    complex conj convert_element_type copy copy_p cos cosh digamma eq eq_to erf erf_inv erfc exp2 expm1 floor ge gt
    igamma igamma_grad_a igammac imag integer_pow is_finite le le_to lgamma log log1p logistic lt lt_to max min name ne
    neg nextafter not polygamma population_count pow real reduce_precision regularized_incomplete_beta rem round rsqrt
    sharding_constraint shift_left shift_right_arithmetic shift_right_logical sign sin sinh sqrt square stop_gradient
    sub tan tanh xor zeta
"""


@rule(POINTWISE, even=True)
def pointwise(call: Call) -> Carried:
    """Each element depends on the elements of its place."""
    return spans.broadcast(spans.join(call.all_carried), call.result)


@rule("mul and div", even=True)
def product(call: Call) -> Carried:
    """As `pointwise`, but nothing is left where a factor is zero by construction: a mask."""
    found: Carried = pointwise(call)
    for place in (0, 1) if call.name != "div" else (0,):
        found = masked(found, call.nonzero(place))
    return found


@rule("or", even=True)
def either(call: Call) -> Carried:
    """Nothing is left where a constant is True."""
    found: Carried = pointwise(call)
    for place in (0, 1):
        numbers = call.numbers(place)
        if numbers is not None and numbers.dtype == bool and numbers.any():
            found = masked(found, ~numbers)
    return found


@rule("exp", even=True)
def exponential(call: Call) -> Carried:
    """Each element by itself; nothing is left of those that are as good as minus infinity."""
    return masked(call.needed(0), call.on(0))


@rule("select_n")
def select(call: Call) -> Carried:
    """A constant tells for each element which of several it is."""
    which = call.numbers(0)
    if which is None:
        return spans.broadcast(spans.join(call.all_carried), call.result)
    parts = [
        masked(spans.broadcast(case, call.result), np.broadcast_to(which.astype(np.int64) == number, call.result))
        for number, case in enumerate(map(call.carried, range(1, len(call.inputs))))
        if case is not None
    ]
    return spans.join(parts)


@rule("optimization_barrier device_put")
def each_its_own(call: Call) -> list[Any]:
    """Every input is a result."""
    return list(call.inputs)


# -- reductions --------------------------------------------------------------------------------------------------------


@rule("reduce_sum reduce_max reduce_min reduce_prod reduce_and reduce_or reduce_xor argmax argmin", even=True)
def reduction(call: Call) -> Carried:
    """Results depend on all elements along some axes; not on those that are known to be zero, or far below."""
    x, axes = call.only(0), list(call["axes"])
    kept = {"reduce_max": call.on(0), "reduce_sum": call.nonzero(0)}.get(call.name)
    if kept is not None and len(axes) == 1:
        return spans.squeeze(masked_reduce(x, axes[0], kept), axes)
    return spans.reduce(x, axes)


@rule("reduce")
def reduce(call: Call) -> list[Carried]:
    """The same of several values at once."""
    whole = spans.join([spans.reduce(x, call["dimensions"]) for x in call.all_carried if x.rank])
    return [spans.broadcast(whole, shape) for shape in call.shapes]


@rule("cumsum cumprod cummax cummin cumlogsumexp")
def cumulative(call: Call) -> Carried:
    """Results depend on all elements up to their place."""
    x, axis = call.only(0), call["axis"]
    turned = np.arange(x.shape[axis])[::-1]
    x = spans.take(x, axis, turned) if call["reverse"] else x
    x = spans.cumulate(x, axis)
    return spans.take(x, axis, turned) if call["reverse"] else x


@rule("sort")
def sort(call: Call) -> list[Carried]:
    """Each result depends on all keys along the axis, and on all of its own."""
    axis = call["dimension"]
    lines = [spans.reduce(call.needed(place), [axis], keepdims=True) for place in range(len(call.inputs))]
    keys = lines[: call["num_keys"]]
    return [spans.broadcast(spans.join([*keys, line]), call.result) for line in lines]


@rule("top_k approx_top_k")
def best(call: Call) -> list[Carried]:
    """The largest of an axis, and their places, depend on all of it."""
    axis = -1 if call.name == "top_k" else call["reduction_dimension"]
    if call.name == "top_k" and "axis" in call.equation.params:
        axis = call["axis"]
    line = spans.reduce(call.only(0), [axis], keepdims=True)
    return [spans.broadcast(line, shape) for shape in call.shapes]


# -- products and transforms -------------------------------------------------------------------------------------------


@rule("dot_general")
def dot(call: Call) -> Carried:
    """A product summed over some axes."""
    (left_summed, right_summed), (left_batch, right_batch) = call["dimension_numbers"]
    labels: list[list[Any]] = [
        [("l", a) for a in range(len(call.shape(0)))],
        [("r", a) for a in range(len(call.shape(1)))],
    ]
    for number, (left, right) in enumerate(zip(left_batch, right_batch, strict=True)):
        labels[0][left] = labels[1][right] = ("b", number)
    for number, (left, right) in enumerate(zip(left_summed, right_summed, strict=True)):
        labels[0][left] = labels[1][right] = ("s", number)
    batch = [("b", number) for number in range(len(left_batch))]
    free = [label for own in labels for label in own if label[0] in "lr"]
    factors = [Factor(call.carried(place), call.shape(place), call.nonzero(place)) for place in (0, 1)]
    return summed(factors, labels, [*batch, *free])


@rule("fft")
def fourier(call: Call) -> Carried:
    """Every frequency depends on all elements along the last axes, of each only so many as are asked for."""
    x, lengths = call.only(0), [int(n) for n in call["fft_lengths"]]
    axes = range(x.rank - len(lengths), x.rank)
    if "IRFFT" in str(call["fft_type"]):
        x = spans.cut(x, x.rank - 1, 0, lengths[-1] // 2 + 1)
    return spans.broadcast(spans.reduce(x, axes, keepdims=True), call.result)


@rule("cholesky lu qr eigh eig svd schur triangular_solve tridiagonal_solve hessenberg householder_product tridiagonal")
def of_whole_matrices(call: Call) -> list[Carried]:
    """Every result depends on all of the matrices that it is made of."""
    lead = min(len(shape) for shape in map(call.shape, range(len(call.inputs)))) - 2
    seen = []
    for x in call.all_carried:
        whole = spans.reduce(x, range(max(lead, 0), x.rank))
        seen.append(whole)
    joined = spans.join(seen)
    return [
        spans.broadcast(spans.reshape(joined, (*joined.shape, *(1,) * (len(shape) - joined.rank))), shape)
        for shape in call.shapes
    ]


# -- moving elements ---------------------------------------------------------------------------------------------------


@rule("reshape")
def reshape(call: Call) -> Carried:
    """The same elements in another shape."""
    x = call.only(0)
    order = call["dimensions"]
    return spans.reshape(x if order is None else spans.transpose(x, order), call.result)


@rule("squeeze")
def squeeze(call: Call) -> Carried:
    """Without axes of length 1."""
    return spans.squeeze(call.only(0), call["dimensions"])


@rule("bitcast_convert_type")
def bits(call: Call) -> Carried:
    """The bits of each element, read as others."""
    x = call.only(0)
    if len(call.result) < x.rank:
        x = spans.reduce(x, [-1])
    elif len(call.result) > x.rank:
        x = spans.expand(x, x.rank)
    return spans.broadcast(x, call.result)


@rule("broadcast_in_dim")
def broadcast(call: Call) -> Carried:
    """Stretched along axes of length 1, with more axes between."""
    x = call.only(0)
    lengths = [1] * len(call.result)
    for n, axis in zip(x.shape, call["broadcast_dimensions"], strict=True):
        lengths[axis] = n
    return spans.broadcast(spans.reshape(x, lengths), call.result)


@rule("transpose")
def transpose(call: Call) -> Carried:
    """The axes in another order."""
    return spans.transpose(call.only(0), call["permutation"])


@rule("concatenate")
def concatenate(call: Call) -> Carried:
    """One behind the other; constants depend on nothing."""
    return spans.concatenate([call.needed(place) for place in range(len(call.inputs))], call["dimension"])


@rule("slice")
def cut(call: Call) -> Carried:
    """Parts of axes."""
    x = call.only(0)
    steps = call["strides"] or (1,) * x.rank
    for axis, (start, stop, step) in enumerate(zip(call["start_indices"], call["limit_indices"], steps, strict=True)):
        x = spans.cut(x, axis, start, stop, step)
    return x


@rule("split")
def split(call: Call) -> list[Carried]:
    """One part behind the other."""
    ends = np.cumsum(call["sizes"]).tolist()
    return [
        spans.cut(call.only(0), call["axis"], end - size, end) for end, size in zip(ends, call["sizes"], strict=True)
    ]


@rule("rev")
def reverse(call: Call) -> Carried:
    """Axes turned round."""
    x = call.only(0)
    for axis in call["dimensions"]:
        x = spans.take(x, axis, np.arange(x.shape[axis])[::-1])
    return x


@rule("pad")
def pad(call: Call) -> Carried:
    """Elements before, behind and between; negative numbers cut off."""
    if call.carried(1) is not None:
        raise UnknownError("pad with a number that the image decides")
    x = call.needed(0)
    for axis, (before, after, between) in enumerate(call["padding_config"]):
        if between and x.shape[axis] > 1:
            x = spans.transposed_window(x, axis, 1, stride=between + 1, length=(x.shape[axis] - 1) * (between + 1) + 1)
        x = spans.pad(x, axis, before, after)
    return x
