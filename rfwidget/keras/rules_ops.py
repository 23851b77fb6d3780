"""What the probe puts in the place of each ``keras.ops`` operation.

Functional graphs hold operations that are no layers (``x + y``, ``keras.ops.max_pool(x, 2)``), and so does the code of
custom layers. A rule is called as ``rule(probe, operation, *args, **kwargs)``. Operations are told apart by the name of
their class: Keras publishes the functions only. One that has no rule runs as it is and is named in a warning.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops

from rfwidget.keras.hints import Hint
from rfwidget.keras.probe import Probe
from rfwidget.keras.rules import attention, concatenate, identity, merge, pair, spatial
from rfwidget.keras.rules_shapes import as_it_is, blocks, get_item, moved, pad, reshape, split, transposed_axes

Rule = Callable[..., Any]


def rule_for_operation(operation: Any) -> Rule | None:
    """The rule for an operation of ``keras.ops``; None: it runs as it is."""
    return _RULES.get(type(operation).__name__)


def _from_image(arguments: Any) -> list[Any]:
    """The tensors among the arguments that depend on the image."""
    return [value for value in keras.tree.flatten(arguments) if Hint.of(value) is not None]


def _merge(probe: Probe, operation: Any, *args: Any, **kwargs: Any) -> Any:
    tensors = _from_image((args, kwargs))
    merged = merge(probe, operation, tensors)
    own = (1, *merged.shape[1:])
    shape = own
    for other in keras.tree.flatten((args, kwargs)):
        size = tuple(getattr(other, "shape", ()))
        if size and Hint.of(other) is None:  # a constant does not matter, unless it stretches the map
            shape = _broadcast(shape, (*size[:-1], 1) if probe.thin else size)
    return merged if shape == own else merged + ops.zeros((1, *shape[1:]), merged.dtype)


def _broadcast(one: Sequence[int], other: Sequence[int]) -> tuple[int, ...]:
    """The shape of ``one`` with its single entries stretched to ``other``; a conflict is left to whoever runs it."""
    rank = max(len(one), len(other))
    left, right = (1,) * (rank - len(one)) + tuple(one), (1,) * (rank - len(other)) + tuple(other)
    return tuple(b if a == 1 else a for a, b in zip(left, right, strict=True))


def _reduce(probe: Probe, operation: Any, x: Any, *_: Any, **__: Any) -> Any:
    rank = len(x.shape)
    wanted = operation.axes if hasattr(operation, "axes") else operation.axis
    chosen = range(rank) if wanted is None else keras.tree.flatten(wanted)
    axes = sorted(axis % rank for axis in chosen)
    places = [axis for axis in axes if 0 < axis < rank - 1]
    if places:
        x = probe.everywhere(x, places)
        probe.note(flat=tuple(axis in places for axis in (1, 2)) if rank == 4 else (True, True))
    if rank - 1 in axes:
        x = ops.mean(x, axis=-1, keepdims=True)
    keepdims = getattr(operation, "keepdims", False)
    if not keepdims and not {1, 2} <= set(axes):
        probe.note(separable=False)
    return x if keepdims else ops.squeeze(x, axis=tuple(axis for axis in axes if axis > 0))


def _moments(probe: Probe, operation: Any, x: Any, *_: Any, **__: Any) -> Any:
    return (_reduce(probe, operation, x),) * 2


def _average(probe: Probe, operation: Any, x: Any, weights: Any = None) -> Any:
    """The mean, with weights that may come from the image too."""
    if Hint.of(weights) is not None:
        if tuple(weights.shape) != tuple(x.shape):
            raise NotImplementedError(f"{operation.name}: weights along one axis that come from the image")
        x = probe.average([x, weights])
    return _reduce(probe, operation, x)


def _batch_norm(probe: Probe, operation: Any, x: Any, *others: Any, **named: Any) -> Any:  # noqa: ARG001
    if _from_image((others, named)):
        raise NotImplementedError(f"{operation.name}: statistics that come from the image")
    return x


def _normalise(probe: Probe, operation: Any, x: Any, *_: Any, **__: Any) -> Any:
    rank = len(x.shape)
    axis = getattr(operation, "axis", -1)
    axes = range(1, rank) if axis is None else keras.tree.flatten(axis)
    places = sorted({a % rank for a in axes} - {0, rank - 1})
    return probe.average([x, probe.everywhere(x, places)]) if places else x


def _gated(probe: Probe, operation: Any, x: Any, *_: Any, **__: Any) -> Any:
    """One half of the channels, weighted by the other."""
    rank = len(x.shape)
    if operation.axis % rank != probe.channel_axis(rank):
        raise NotImplementedError(f"{operation.name}: halves along an axis of places")
    return x if probe.thin else probe.average(ops.split(x, 2, axis=operation.axis))


@spatial
def _pool(probe: Probe, operation: Any, x: Any) -> Any:
    size = pair(operation.pool_size)
    return probe.window(x, size, pair(operation.strides or size), padding=operation.padding)


def _with_kernel(rule: Rule) -> Rule:
    """A rule that needs the kernel's shape only."""

    def wrapped(probe: Probe, operation: Any, x: Any, *kernels: Any, **named: Any) -> Any:
        shapes = [tuple(k.shape) for k in (*kernels, *named.values()) if hasattr(k, "shape")]
        if len(x.shape) != 4:
            return _other_rank(probe, operation, x, *kernels, **named)
        return spatial(lambda p, op, image: rule(p, op, image, *shapes))(probe, operation, x)

    return wrapped


def _other_rank(probe: Probe, operation: Any, x: Any, *args: Any, **kwargs: Any) -> Any:
    """Convolutions over sequences and volumes: themselves, with positive kernels."""
    probe.need_full_width()
    probe.note(exact=False, separable=False)
    return as_it_is(
        operation, (x, *(probe.positive(a) for a in args)), {k: probe.positive(v) for k, v in kwargs.items()}
    )


@spatial
def _colours(probe: Probe, operation: Any, x: Any) -> Any:
    return probe.mix(x, 1 if type(operation).__name__ == "RGBToGrayscale" else 3)


@_with_kernel
def _conv(probe: Probe, operation: Any, x: Any, kernel: Any) -> Any:
    groups = 1 if probe.thin else x.shape[-1] // kernel[-2]
    x = probe.mix(x, kernel[-1], groups)
    return probe.window(x, kernel[:2], pair(operation.strides), pair(operation.dilation_rate), operation.padding)


@_with_kernel
def _depthwise(probe: Probe, operation: Any, x: Any, kernel: Any, pointwise: Any = None) -> Any:
    if not probe.thin:
        x = probe.spread(ops.repeat(x, kernel[-1], axis=-1))
    x = probe.window(x, kernel[:2], pair(operation.strides), pair(operation.dilation_rate), operation.padding)
    return x if pointwise is None else probe.mix(x, pointwise[-1])


@_with_kernel
def _transposed(probe: Probe, operation: Any, x: Any, kernel: Any) -> Any:
    extra = None if operation.output_padding is None else pair(operation.output_padding)
    x = probe.mix(x, kernel[-2])
    dilation = pair(operation.dilation_rate)
    return probe.transposed(x, kernel[:2], pair(operation.strides), dilation, operation.padding, extra)


def _resize(probe: Probe, operation: Any, x: Any, *_: Any, **__: Any) -> Any:
    if len(x.shape) != 4 or operation.antialias or operation.crop_to_aspect_ratio or operation.pad_to_aspect_ratio:
        raise NotImplementedError(f"{operation.name}: resizing that keeps the aspect ratio, or with antialias")

    def rule(probe: Probe, operation: Any, image: Any) -> Any:
        return probe.resize_to(image, pair(operation.size), operation.interpolation)

    return spatial(rule)(probe, operation, x)


def _product(probe: Probe, operation: Any, *args: Any, **kwargs: Any) -> Any:
    """Matrix products: with a constant, a positive mixture; of two images, whatever it may be."""
    tensors = _from_image((args, kwargs))
    constants = [a for a in args if Hint.of(a) is None and hasattr(a, "shape")]
    is_dense = type(operation).__name__ == "Matmul" and constants and len(constants[0].shape) == 2
    if is_dense and len(tensors) == 1 and tensors[0] is args[0]:
        return probe.mix(args[0], constants[0].shape[-1])
    probe.need_full_width()
    probe.note(separable=False, exact=False)
    if len(tensors) > 1:
        probe.note(linear=False, context=(not probe.local, not probe.local))
    return as_it_is(operation, tuple(probe.positive(a) for a in args), kwargs)


def _adaptive(probe: Probe, operation: Any, x: Any, *_: Any, **__: Any) -> Any:
    def rule(probe: Probe, operation: Any, image: Any) -> Any:
        if pair(operation.output_size) == (1, 1):
            probe.note(flat=(True, True))
            return probe.everywhere(image, (1, 2))
        probe.note(resizable=False, separable=False, exact=False)
        return ops.adaptive_average_pool(image, operation.output_size, data_format="channels_last")

    return spatial(rule)(probe, operation, x)


def _table() -> dict[str, Rule]:
    """Names of operation classes by rule."""
    names: dict[Rule, str] = {
        identity: """
            Relu ReLU Relu6 Mish Sigmoid SparseSigmoid Softplus Softsign SoftShrink SparsePlus Silu Squareplus
            LogSigmoid LeakyRelu HardSigmoid HardSilu Elu Selu Gelu Celu TanhShrink HardTanh HardShrink
            Threshold Absolute Abs Fabs Arccos Arccosh Arcsin Arcsinh Arctan Arctanh Cbrt Ceil Clip Copy Cos
            Cosh Erf Erfc Erfinv Exp Exp2 Expm1 Floor Log Log10 Log1p Log2 LogicalNot Isfinite Isinf Isnan
            NanToNum Negative Reciprocal Round Rsqrt Sign Signbit Sin Sinc Sinh Sqrt Square Tan Tanh Trunc
            StopGradient Cast SaturateCast ConvertToTensor Deg2rad Rad2deg Array""",
        _merge: """
            Add Subtract Multiply Divide DivideNoNan TrueDivide FloorDivide Power Maximum Minimum Fmax Fmin Mod Fmod
            Arctan2 Hypot Logaddexp Logaddexp2 LogicalAnd LogicalOr LogicalXor Greater GreaterEqual Less LessEqual Equal
            NotEqual Where Heaviside""",
        _reduce: """
            Mean Sum Max Min Amax Amin Var Std Prod Median Logsumexp Norm Any All CountNonzero Nanmax Nanmean
            Nanmin Nansum Ptp Quantile""",
        _moments: "Moments",
        _average: "Average",
        _batch_norm: "BatchNorm",
        _normalise: "Softmax LogSoftmax Sparsemax Normalize LayerNorm RMSNorm",
        concatenate: "Concatenate",
        _gated: "Glu",
        _pool: "MaxPool AveragePool",
        _colours: "RGBToGrayscale RGBToHSV HSVToRGB",
        _conv: "Conv",
        _depthwise: "DepthwiseConv SeparableConv",
        _transposed: "ConvTranspose",
        _resize: "Resize",
        pad: "Pad",
        get_item: "GetItem",
        transposed_axes: "Transpose",
        reshape: "Reshape",
        moved: """
            ExpandDims Squeeze Stack Moveaxis Swapaxes Repeat Tile Flip Roll BroadcastTo Rot90 Take Ravel
            Unstack Hstack Vstack ExtractPatches Slice""",
        split: "Split",
        blocks: "DepthToSpace SpaceToDepth",
        _product: "Matmul Dot Tensordot Einsum Inner",
        attention: "DotProductAttention",
        _adaptive: "AdaptiveAveragePool AdaptiveMaxPool",
    }  # fmt: skip
    return {name: rule for rule, words in names.items() for name in words.split()}


_RULES = _table()
