"""Rules of what acts on each element alone, and of reductions and normalisations."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rfwidget._measure import spans
from rfwidget._measure.masks import masked_reduce
from rfwidget._measure.places import masked
from rfwidget._measure.spans import Carried
from rfwidget.keras.tf.table import Call, rule
from rfwidget.keras.tf.values import Constant

# -- each element alone ------------------------------------------------------------------------------------------------

POINTWISE = """
    Abs Acos Acosh Add AddN AddV2 AccumulateNV2 Angle ApproximateEqual Asin Asinh Atan Atan2 Atanh Betainc BesselI0
    BesselI0e BesselI1 BesselI1e BesselJ0 BesselJ1 BesselK0 BesselK0e BesselK1 BesselK1e BesselY0 BesselY1 Bitcast
    BitwiseOr BitwiseXor Bucketize Cast Ceil CheckNumerics CheckNumericsV2 ClipByValue Complex ComplexAbs Conj Copy
    CopyHost Cos Cosh Dawsn DebugGradientIdentity DeepCopy Digamma Elu EnsureShape Equal Erf Erfc Erfinv Expint
    Expm1 FakeQuantWithMinMaxArgs FakeQuantWithMinMaxVars Floor FloorDiv FloorMod FresnelCos FresnelSin
    Greater GreaterEqual GuaranteeConst Identity Igamma Igammac Imag Inv Invert IsFinite IsInf IsNan LeakyRelu
    LeftShift Less LessEqual Lgamma Log Log1p LogicalNot Maximum Minimum Mod Ndtri Neg NextAfter
    NotEqual PlaceholderWithDefault Polygamma PopulationCount Pow PreventGradient Real Reciprocal Relu
    Relu6 RightShift Rint Round Rsqrt Selu Sigmoid Sign Sin Sinh Snapshot Softplus Softsign Spence Sqrt
    Square SquaredDifference StopGradient Sub Tan Tanh TruncateDiv TruncateMod Xlog1py Xlogy Xdivy Zeta
    EluGrad Relu6Grad ReluGrad SeluGrad SigmoidGrad SoftplusGrad SoftsignGrad TanhGrad RsqrtGrad SqrtGrad InvGrad
    ReciprocalGrad LeakyReluGrad FakeQuantWithMinMaxArgsGradient DataFormatDimMap DebugIdentity
    QuantizeAndDequantizeV4 ToBool
"""


@rule(POINTWISE, even=True)
def pointwise(call: Call) -> Carried:
    """Each element depends on the elements of its place; constants stretch it at most."""
    shapes = [value.shape for value in call.inputs if isinstance(value, Constant)]
    joined = spans.join(call.all_carried)
    return spans.broadcast(joined, np.broadcast_shapes(joined.shape, *shapes)) if shapes else joined


@rule("IdentityN DebugIdentityV2 DebugIdentityV3")
def each_its_own(call: Call) -> list[Any]:
    """Every input is a result."""
    return list(call.inputs)


@rule("Mul MulNoNan LogicalAnd BitwiseAnd Div DivNoNan RealDiv", even=True)
def product(call: Call) -> Carried:
    """As `pointwise`, but nothing is left where a factor is zero by construction: a mask."""
    result: Carried = pointwise(call)
    for place in range(len(call.inputs)):
        divides = place == 1 and call.name in ("Div", "DivNoNan", "RealDiv")
        if not divides or call.name == "DivNoNan":
            result = masked(result, call.nonzero(place))
    return result


@rule("LogicalOr", even=True)
def either(call: Call) -> Carried:
    """Nothing is left where a constant is True."""
    result: Carried = pointwise(call)
    for place in (0, 1):
        value = call.inputs[place]
        if isinstance(value, Constant) and value.numbers.any():
            result = masked(result, ~value.numbers)
    return result


@rule("FakeQuantWithMinMaxVarsPerChannel QuantizeAndDequantize QuantizeAndDequantizeV2 QuantizeAndDequantizeV3")
def quantised(call: Call) -> Carried:
    """Each element by itself; limits that are taken from the numbers themselves come from all of them."""
    x = call.only(0)
    if call.has("range_given") and not call.attr("range_given"):
        return spans.join([x, spans.reduce(x, keepdims=True)])
    return x


@rule("BiasAdd BiasAddV1", even=True)
def bias(call: Call) -> Carried:
    """A number for each channel."""
    x, extra = call.needed(0), call.carried(1)
    if extra is None:
        return x
    first = call.has("data_format") and call.attr("data_format") == "NCHW"
    return spans.join([x, spans.reshape(extra, (1, -1, *(1,) * (x.rank - 2))) if first else extra])


@rule("Select SelectV2")
def select(call: Call) -> Carried:
    """A constant condition tells for each element which of the two it is."""
    shape = np.broadcast_shapes(*(call.shape(place) for place in (1, 2)))
    condition = call.inputs[0]
    wide = (1,) * (len(shape) - 1)
    along_first = call.name == "Select" and len(condition.shape) == 1 and len(shape) > 1
    decides = call.carried(0)
    if decides is not None:
        decides = spans.reshape(decides, (-1, *wide)) if along_first else decides
        whole = np.broadcast_shapes(shape, decides.shape)
        return spans.broadcast(spans.join([decides, *call_carried(call, 1, 2)]), whole)
    chosen = call.numbers(0).astype(bool)
    chosen = chosen.reshape(-1, *wide) if along_first else chosen
    whole = np.broadcast_shapes(shape, chosen.shape)
    parts = [
        masked(spans.broadcast(part, whole), kept)
        for part, kept in ((call.carried(1), chosen), (call.carried(2), ~chosen))
        if part is not None
    ]
    return spans.join(parts)


def call_carried(call: Call, *places: int) -> list[Carried]:
    """Those of some inputs that depend on the image."""
    return [x for x in map(call.carried, places) if x is not None]


@rule("OneHot")
def one_hot(call: Call) -> Carried:
    """An element becomes an axis."""
    x, depth = call.needed(0), int(call.numbers(1))
    axis = call.attr("axis")
    axis = x.rank if axis == -1 else axis
    wide = spans.expand(x, axis)
    wide = spans.broadcast(wide, (*x.shape[:axis], depth, *x.shape[axis:]))
    return spans.join([wide, *(spans.reshape(v, (1,) * wide.rank) for v in call_carried(call, 2, 3))])


@rule("UnravelIndex")
def unravelled(call: Call) -> Carried:
    """A number becomes several, along a new first axis."""
    x = call.only(0)
    return spans.broadcast(spans.expand(x, 0), (call.shape(1)[0], *x.shape))


@rule("InTopK InTopKV2")
def among_the_best(call: Call) -> Carried:
    """Row by row."""
    rows = spans.reduce(call.needed(0), [1])
    return spans.join([rows, *(spans.reshape(x, (-1,)) for x in call_carried(call, 1, 2))], rows.shape)


@rule("Fill")
def fill(call: Call) -> Carried:
    """Copies of one number."""
    shape = tuple(int(n) for n in call.numbers(0))
    return spans.broadcast(spans.reshape(call.needed(1), (1,) * len(shape)), shape)


@rule("Shape ShapeN Size Rank ZerosLike OnesLike TensorListElementShape")
def of_the_shape(call: Call) -> list[Constant]:
    """What depends on the shape of a tensor alone."""
    shape = call.shape(0)
    if call.name == "Size":
        return [Constant.of(np.asarray(math.prod(shape), call.operation.outputs[0].dtype.as_numpy_dtype))]
    if call.name == "Rank":
        return [Constant.of(np.asarray(len(shape), np.int32))]
    dtype = call.operation.outputs[0].dtype.as_numpy_dtype
    if call.name in ("Shape", "ShapeN"):
        return [Constant.of(np.asarray(call.shape(place), dtype)) for place in range(len(call.inputs))]
    made = np.zeros if call.name == "ZerosLike" else np.ones
    return [Constant.of(made(shape, dtype))]


# -- reductions --------------------------------------------------------------------------------------------------------


@rule("Sum Mean Max Min Prod All Any EuclideanNorm", even=True)
def reduction(call: Call) -> Carried:
    """Results depend on all elements along some axes."""
    x, on = call.only(0), call.on(0)
    axes, keepdims = call.axes(1, x.rank), bool(call.attr("keep_dims"))
    if on is not None and call.name == "Max" and len(axes) == 1:
        found = masked_reduce(x, axes[0], on)
        return found if keepdims else spans.squeeze(found, axes)
    return spans.reduce(x, axes, keepdims=keepdims)


@rule("Exp", even=True)
def exponential(call: Call) -> Carried:
    """Each element by itself; nothing is left of those that are as good as minus infinity."""
    return masked(call.needed(0), call.on(0))


@rule("ArgMax ArgMin", even=True)
def place_of_extreme(call: Call) -> Carried:
    """A number out of an axis depends on all of it."""
    x = call.only(0)
    return spans.reduce(x, call.axes(1, x.rank))


@rule("Cumsum Cumprod CumulativeLogsumexp")
def cumulative(call: Call) -> Carried:
    """Results depend on all elements up to their place."""
    x = call.only(0)
    (axis,) = call.axes(1, x.rank)
    turned = np.arange(x.shape[axis])[::-1]
    x = spans.take(x, axis, turned) if call.attr("reverse") else x
    x = spans.cumulate(x, axis)
    if call.attr("exclusive"):
        x = spans.take(x, axis, np.arange(x.shape[axis]) - 1)
    return spans.take(x, axis, turned) if call.attr("reverse") else x


@rule("Softmax LogSoftmax")
def softmax(call: Call) -> Carried:
    """Every result depends on all of the last axis."""
    x, on = call.only(0), call.on(0)
    if on is None:
        return spans.broadcast(spans.reduce(x, [-1], keepdims=True), x.shape)
    found = spans.broadcast(masked_reduce(x, x.rank - 1, on), x.shape)
    return masked(found, on) if call.name == "Softmax" else spans.join([found, x])


@rule("TopKV2 TopK ApproxTopK NthElement")
def best(call: Call) -> list[Carried]:
    """The largest of the last axis, and their places, depend on all of it."""
    x = call.only(0)
    mixed = spans.reduce(x, [-1], keepdims=True)
    if call.name == "NthElement":
        return [spans.squeeze(mixed, [-1])]
    if call.name == "ApproxTopK":
        axis = int(call.attr("reduction_dimension"))
        return [spans.broadcast(spans.reduce(x, [axis], keepdims=True), call.static_shape)] * 2
    count = int(call.attr("k") if call.name == "TopK" else call.numbers(1))
    return [spans.broadcast(mixed, (*x.shape[:-1], count))] * 2


@rule("SegmentSum SegmentMean SegmentMax SegmentMin SegmentProd UnsortedSegmentSum UnsortedSegmentMax"
      " UnsortedSegmentMin UnsortedSegmentProd SegmentSumV2 SegmentMaxV2 SegmentMinV2 SegmentProdV2")  # fmt: skip
def segments(call: Call) -> Carried:
    """Rows with the same number are brought together."""
    x = call.only(0)
    numbers = call.numbers(1)
    x = spans.reshape(x, (numbers.size, *x.shape[numbers.ndim :]))
    flat = numbers.ravel()
    count = int(call.numbers(2)) if len(call.inputs) > 2 else int(flat.max(initial=-1)) + 1
    return spans.mix(x, 0, flat[:, None] == np.arange(count))


@rule("SparseSegmentSum SparseSegmentMean SparseSegmentSqrtN SparseSegmentSumWithNumSegments"
      " SparseSegmentMeanWithNumSegments SparseSegmentSqrtNWithNumSegments")  # fmt: skip
def picked_segments(call: Call) -> Carried:
    """The same with rows that are picked by number."""
    x = spans.take(call.only(0), 0, call.numbers(1))
    flat = call.numbers(2)
    count = int(call.numbers(3)) if len(call.inputs) > 3 else int(flat.max(initial=-1)) + 1
    return spans.mix(x, 0, flat[:, None] == np.arange(count))


@rule("SoftmaxCrossEntropyWithLogits")
def cross_entropy(call: Call) -> list[Carried]:
    """Of rows."""
    rows = spans.reduce(spans.join(call.all_carried), [1], keepdims=True)
    return [spans.squeeze(rows, [1]), spans.broadcast(rows, call.static_shapes[1] or rows.shape)]


@rule("StatelessMultinomial Multinomial")
def drawn(call: Call) -> Carried:
    """Numbers drawn by the weights of a row."""
    return spans.broadcast(spans.reduce(call.only(0), [1], keepdims=True), call.static_shape)


@rule("BiasAddGrad")
def channel_sums(call: Call) -> Carried:
    """The sum of each channel."""
    x = call.only(0)
    channels = 1 if call.attr("data_format") == "NCHW" else x.rank - 1
    return spans.reduce(x, [axis for axis in range(x.rank) if axis != channels])


@rule("L2Loss")
def loss(call: Call) -> Carried:
    """Of everything."""
    return spans.reduce(call.only(0))


# -- normalisations ----------------------------------------------------------------------------------------------------


@rule("FusedBatchNorm FusedBatchNormV2 FusedBatchNormV3", even=True)
def batch_norm(call: Call) -> list[Any]:
    """With statistics of its own it is pointwise; with those of the batch it sees whole maps."""
    x = call.needed(0)
    first = call.attr("data_format") in ("NCHW", "NCDHW")
    channels = 1 if first else x.rank - 1
    others = [axis for axis in range(x.rank) if axis != channels]
    if call.attr("is_training"):
        x = spans.join([x, spans.reduce(x, others, keepdims=True)])
    for extra in call_carried(call, 1, 2, 3, 4):
        x = spans.join([x, spans.reshape(extra, (1, -1, *(1,) * (x.rank - 2))) if first else extra])
    statistics = spans.reduce(x, others)
    return [x, *[statistics] * (call.count - 1)]


@rule("LRN")
def local_response(call: Call) -> Carried:
    """Some channels on either side."""
    x, radius = call.only(0), int(call.attr("depth_radius"))
    return spans.window(x, -1, 2 * radius + 1, before=radius, after=radius)


@rule("AdjustContrastv2")
def contrast(call: Call) -> Carried:
    """Each element, and the mean of its channel."""
    x = call.only(0)
    return spans.join([x, spans.reduce(x, [-3, -2], keepdims=True)])


@rule("AdjustHue AdjustSaturation RGBToHSV HSVToRGB Cross")
def colours(call: Call) -> Carried:
    """All channels of a place."""
    joined = spans.join(call.all_carried)
    return spans.broadcast(spans.reduce(joined, [-1], keepdims=True), joined.shape)
