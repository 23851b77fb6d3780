"""What each layer and each operation does to what flows through it, in the primitives of a domain.

A rule is called as ``rule(domain, operation, *args, **kwargs)`` with the arguments the operation was called with
(recorded calls also pass ``mask=`` or ``training=``) and returns its outputs. A rule that does not cover a case raises
NotImplementedError. What Keras does not define itself, or has no rule here, is looked into rather than guessed.

Functional graphs also hold operations that are no layers (``x + y``, ``keras.ops.max_pool(x, 2)``), and so does the
code of custom layers. These are told apart by the name of their class: Keras publishes the functions only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import layers

from rfwidget.keras.domains import Domain, LinearDomain, same_padding
from rfwidget.keras.interpreter import is_keras_own

Rule = Callable[..., Any]

_TAPS = {"nearest": 0, "bilinear": 1, "bicubic": 2, "lanczos3": 3, "lanczos5": 5}


def rule_for(operation: Any) -> Rule | None:
    """The rule for a layer or an operation; None: it must be looked into."""
    if not isinstance(operation, keras.Layer):
        return _OPERATIONS.get(type(operation).__name__)
    if not is_keras_own(operation):
        return None
    return next((rule for classes, rule in _LAYERS if isinstance(operation, classes)), None)


# -- where a tensor has what -------------------------------------------------------------------------------------------


def _places(operation: Any, rank: int) -> list[int]:
    """Axes of places of a map."""
    first = getattr(operation, "data_format", None) == "channels_first"
    return list(range(2, rank)) if first else list(range(1, rank - 1))


def _channels(operation: Any, rank: int) -> int:
    """Axis of channels of a map."""
    return 1 if getattr(operation, "data_format", None) == "channels_first" else rank - 1


def _each(value: Any, count: int) -> tuple[int, ...]:
    """A number for all axes, or one for each."""
    return (int(value),) * count if isinstance(value, (int, np.integer)) else tuple(int(n) for n in value)


def _values(domain: Domain, arguments: Any) -> list[Any]:
    """Everything among the arguments that flows."""
    return [leaf for leaf in keras.tree.flatten(arguments) if domain.is_value(leaf)]


def _only(domain: Domain, operation: Any, *others: Any) -> None:
    """Leave it to code where something besides the first argument comes from the image."""
    if _values(domain, others):
        raise NotImplementedError(f"{operation.name}: more than one argument comes from the image")


# -- pointwise ---------------------------------------------------------------------------------------------------------


def _identity(domain: Domain, operation: Any, x: Any, *others: Any, **named: Any) -> Any:  # noqa: ARG001
    """Nothing that could move or widen a receptive field."""
    return domain.join(_values(domain, (x, others, named)))


def _layer_identity(domain: Domain, layer: Any, x: Any, *_: Any, **__: Any) -> Any:  # noqa: ARG001
    return x


def _merge(domain: Domain, operation: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ARG001
    """Sums, products, maxima, ... of branches; a constant does not matter, unless it stretches the map."""
    leaves = keras.tree.flatten((args, kwargs))
    shapes = [tuple(leaf.shape) for leaf in leaves if not domain.is_value(leaf) and getattr(leaf, "shape", None)]
    shape = np.broadcast_shapes(*shapes) if shapes else None
    values = _values(domain, leaves)
    if shape is not None:
        rank = max(len(shape), *(len(value.shape) for value in values))
        shape = (1,) * (rank - len(shape)) + tuple(shape)
    return domain.join(values, shape)


def _batch_norm(domain: Domain, operation: Any, x: Any, *others: Any, **named: Any) -> Any:
    _only(domain, operation, others, named)
    return x


def _gated(domain: Domain, operation: Any, x: Any, *_: Any, **__: Any) -> Any:
    """One half of an axis, weighted by the other."""
    axis = operation.axis % len(x.shape)
    if domain.thin and axis == len(x.shape) - 1:
        return x
    half = x.shape[axis] // 2
    index = np.arange(x.shape[axis])
    return domain.join([domain.take(x, axis, index[:half]), domain.take(x, axis, index[half:])])


# -- reduction ---------------------------------------------------------------------------------------------------------


def _reduce(domain: Domain, operation: Any, x: Any, *others: Any, **named: Any) -> Any:
    _only(domain, operation, others, named)
    wanted = operation.axes if hasattr(operation, "axes") else operation.axis
    axes = range(len(x.shape)) if wanted is None else keras.tree.flatten(wanted)
    return domain.reduce(x, [axis % len(x.shape) for axis in axes], keepdims=getattr(operation, "keepdims", False))


def _moments(domain: Domain, operation: Any, x: Any, *_: Any, **__: Any) -> Any:
    return (_reduce(domain, operation, x),) * 2


def _average(domain: Domain, operation: Any, x: Any, weights: Any = None) -> Any:
    """The mean, with weights that may come from the image too."""
    if weights is not None and domain.is_value(weights):
        if tuple(weights.shape) != tuple(x.shape):
            raise NotImplementedError(f"{operation.name}: weights along one axis that come from the image")
        x = domain.join([x, weights])
    return _reduce(domain, operation, x)


def _normalise(domain: Domain, operation: Any, x: Any, *others: Any, **named: Any) -> Any:
    """Each element, and all along the axes of the normalisation."""
    axis = getattr(operation, "axis", -1)
    axes = range(1, len(x.shape)) if axis is None else keras.tree.flatten(axis)
    joined = domain.everywhere(x, [a % len(x.shape) for a in axes])
    more = _values(domain, (others, named))
    return domain.join([joined, *more]) if more else joined


def _layer_normalise(domain: Domain, layer: Any, x: Any, *_: Any, **__: Any) -> Any:
    return domain.everywhere(x, [axis % len(x.shape) for axis in keras.tree.flatten(layer.axis)])


def _group_norm(domain: Domain, layer: Any, x: Any, *_: Any, **__: Any) -> Any:
    rank = len(x.shape)
    axis = layer.axis % rank
    places = [a for a in range(1, rank) if a != axis]
    groups = x.shape[axis] if layer.groups == -1 else layer.groups
    mixed = domain.mix(domain.reduce(x, places, keepdims=True), axis, x.shape[axis], groups)
    return domain.join([domain.mix(x, axis, x.shape[axis], groups), mixed])


def _global_pool(domain: Domain, layer: Any, x: Any, *_: Any, **__: Any) -> Any:
    return domain.reduce(x, _places(layer, len(x.shape)), keepdims=layer.keepdims)


def _flatten(domain: Domain, layer: Any, x: Any, *_: Any, **__: Any) -> Any:
    rank = len(x.shape)
    if getattr(layer, "data_format", None) == "channels_first" and rank > 2:
        x = domain.transpose(x, (0, *range(2, rank), 1))
    return domain.reshape(x, (x.shape[0], math.prod(x.shape[1:])))


def _auto_contrast(domain: Domain, layer: Any, x: Any, *_: Any, **__: Any) -> Any:
    return domain.everywhere(x, _places(layer, len(x.shape)))


# -- windows -----------------------------------------------------------------------------------------------------------


def _conv(domain: Domain, layer: Any, x: Any, *_: Any, **__: Any) -> Any:
    rank = len(x.shape)
    x = domain.mix(x, _channels(layer, rank), layer.filters, layer.groups)
    places = _places(layer, rank)
    return domain.window(x, places, layer.kernel_size, layer.strides, layer.dilation_rate, layer.padding)


def _depthwise(domain: Domain, layer: Any, x: Any, *_: Any, **__: Any) -> Any:
    rank = len(x.shape)
    x = domain.repeat(x, _channels(layer, rank), layer.depth_multiplier)
    places = _places(layer, rank)
    return domain.window(x, places, layer.kernel_size, layer.strides, layer.dilation_rate, layer.padding)


def _separable(domain: Domain, layer: Any, x: Any, *_: Any, **__: Any) -> Any:
    rank = len(x.shape)
    x = domain.window(x, _places(layer, rank), layer.kernel_size, layer.strides, layer.dilation_rate, layer.padding)
    return domain.mix(x, _channels(layer, rank), layer.filters)


def _transposed(domain: Domain, layer: Any, x: Any, *_: Any, **__: Any) -> Any:
    rank = len(x.shape)
    places = _places(layer, rank)
    mixed = domain.mix(x, _channels(layer, rank), layer.filters)
    return _transposed_window(
        domain, mixed, places, layer.kernel_size, layer.strides, layer.dilation_rate, layer.padding,
        layer.output_padding,
    )  # fmt: skip


def _transposed_window(
    domain: Domain,
    x: Any,
    places: Sequence[int],
    sizes: Any,
    strides: Any,
    dilations: Any,
    padding: str,
    output_padding: Any,
) -> Any:
    """As Keras says how long the result is, and TensorFlow where it begins: the gradient of a convolution."""
    count = len(places)
    sizes, strides, dilations = _each(sizes, count), _each(strides, count), _each(dilations, count)
    extras = (None,) * count if output_padding is None else _each(output_padding, count)
    starts, lengths = [], []
    for place, size, stride, dilation, extra in zip(places, sizes, strides, dilations, extras, strict=True):
        reach, cells = (size - 1) * dilation + 1, x.shape[place]
        if extra is None:
            length = cells * stride + (max(reach - stride, 0) if padding == "valid" else 0)
        else:
            length = (cells - 1) * stride + reach + extra - (2 * (reach // 2) if padding == "same" else 0)
        start = same_padding(length, size, stride, dilation)[0] if padding == "same" else 0
        starts.append(start)
        lengths.append(length)
    return domain.transposed(x, places, sizes, strides, dilations, starts, lengths)


_WHOLE = 4
"""Elements of the shortest axis that one pooling window covers on purpose: a map of two by two may just be small."""


def _pool(domain: Domain, layer: Any, x: Any, *_: Any, **__: Any) -> Any:
    places = _places(layer, len(x.shape))
    size = _each(layer.pool_size, len(places))
    strides = size if layer.strides is None else _each(layer.strides, len(places))
    for axis, window, stride in zip(places, size, strides, strict=True):
        covers = window == x.shape[axis] >= _WHOLE and (layer.padding == "valid" or stride >= window)
        if domain.is_whole(layer, axis, covers=covers):
            x = domain.reduce(x, [axis], keepdims=True)  # global pooling, written for this size of image
        else:
            x = domain.window(x, [axis], [window], [stride], [1], layer.padding)
    return x


_KERNELS = ("kernel", "depthwise_kernel", "pointwise_kernel")


def _with_kernel(rule: Rule) -> Rule:
    """A rule for a convolution by operation; it is handed the shape of the kernel. Masked kernels are for code."""

    def wrapped(domain: Domain, operation: Any, x: Any, *kernels: Any, **named: Any) -> Any:
        given = [*kernels, *(named[name] for name in _KERNELS if name in named)]
        _only(domain, operation, given)
        if not domain.is_value(x) or any(not _is_dense(kernel) for kernel in given):
            raise NotImplementedError(f"{operation.name}: a kernel with zeros by construction")
        places = _places(operation, len(x.shape))
        return rule(domain, operation, x, places, _channels(operation, len(x.shape)), *(k.shape for k in given))

    return wrapped


def _is_dense(kernel: Any) -> bool:
    """Whether a kernel is a weight, or a constant without zeros."""
    return isinstance(kernel, keras.Variable) or bool(np.all(np.asarray(keras.ops.convert_to_numpy(kernel))))


@_with_kernel
def _conv_operation(domain: Domain, operation: Any, x: Any, places: Any, channels: int, kernel: Any) -> Any:
    count = len(places)
    x = domain.mix(x, channels, kernel[-1], 1 if domain.thin else x.shape[channels] // kernel[-2])
    strides, dilations = _each(operation.strides, count), _each(operation.dilation_rate, count)
    return domain.window(x, places, kernel[:count], strides, dilations, operation.padding)


@_with_kernel
def _depthwise_operation(
    domain: Domain, operation: Any, x: Any, places: Any, channels: int, kernel: Any, pointwise: Any = None
) -> Any:
    count = len(places)
    x = domain.repeat(x, channels, kernel[-1])
    strides, dilations = _each(operation.strides, count), _each(operation.dilation_rate, count)
    x = domain.window(x, places, kernel[:count], strides, dilations, operation.padding)
    return x if pointwise is None else domain.mix(x, channels, pointwise[-1])


@_with_kernel
def _transposed_operation(domain: Domain, operation: Any, x: Any, places: Any, channels: int, kernel: Any) -> Any:
    x = domain.mix(x, channels, kernel[-2])
    return _transposed_window(
        domain, x, places, kernel[: len(places)], operation.strides, operation.dilation_rate, operation.padding,
        operation.output_padding,
    )  # fmt: skip


def _adaptive(domain: Domain, operation: Any, x: Any, *_: Any, **__: Any) -> Any:
    """Each result reads its share of an axis, rounded outwards."""
    for axis, results in zip(
        _places(operation, len(x.shape)), _each(operation.output_size, len(x.shape) - 2), strict=True
    ):
        length = x.shape[axis]
        starts = np.arange(results) * length // results
        ends = -(-(np.arange(results) + 1) * length // results)
        if results == 1:
            x = domain.reduce(x, [axis], keepdims=True)
            continue
        reads = [np.where(starts + tap < ends, starts + tap, -1) for tap in range(int((ends - starts).max()))]
        x = domain.read(x, axis, reads)
    return x


# -- sizes -------------------------------------------------------------------------------------------------------------


def _pad_layer(domain: Domain, layer: Any, x: Any, *_: Any, **__: Any) -> Any:
    for axis, (before, after) in zip(_places(layer, len(x.shape)), _pairs(layer.padding), strict=True):
        x = domain.pad(x, axis, before, after)
    return x


def _crop_layer(domain: Domain, layer: Any, x: Any, *_: Any, **__: Any) -> Any:
    for axis, (before, after) in zip(_places(layer, len(x.shape)), _pairs(layer.cropping), strict=True):
        x = domain.pad(x, axis, -before, -after)
    return x


def _pairs(amounts: Any) -> list[tuple[int, int]]:
    """Amounts before and behind, one pair for each axis; along one axis Keras leaves out the outer brackets."""
    if all(isinstance(amount, int) for amount in amounts):
        return [tuple(amounts)]
    return [tuple(pair) for pair in amounts]


def _enlarge(domain: Domain, layer: Any, x: Any, *_: Any, **__: Any) -> Any:
    interpolation = getattr(layer, "interpolation", "nearest")
    places = _places(layer, len(x.shape))
    for axis, factor in zip(places, _each(layer.size, len(places)), strict=True):
        x = _resampled(domain, x, axis, x.shape[axis] * factor, interpolation)
    return x


def _resizing(domain: Domain, layer: Any, x: Any, *_: Any, **__: Any) -> Any:
    if len(x.shape) != 4 or layer.crop_to_aspect_ratio or layer.pad_to_aspect_ratio or layer.antialias:
        raise NotImplementedError(f"{layer.name}: resizing that keeps the aspect ratio, or with antialias")
    for axis, length in zip(_places(layer, 4), (layer.height, layer.width), strict=True):
        x = _resampled(domain, x, axis, _known(length), layer.interpolation)
    return x


def _resize(domain: Domain, operation: Any, x: Any, *_: Any, **__: Any) -> Any:
    if len(x.shape) != 4 or operation.antialias or operation.crop_to_aspect_ratio or operation.pad_to_aspect_ratio:
        raise NotImplementedError(f"{operation.name}: resizing that keeps the aspect ratio, or with antialias")
    for axis, length in zip(_places(operation, 4), operation.size, strict=True):
        x = _resampled(domain, x, axis, _known(length), operation.interpolation)
    return x


def _known(length: Any) -> int:
    if isinstance(length, (int, np.integer)):
        return int(length)
    raise NotImplementedError("a size that the model computes")


def _resampled(domain: Domain, x: Any, axis: int, length: int, interpolation: str) -> Any:
    """One axis read at half-pixel centres; every tap that an interpolation of that radius reads counts."""
    taps, old = _TAPS.get(interpolation), int(x.shape[axis])
    if taps is None:
        raise NotImplementedError(f"interpolation {interpolation!r}")
    if length == old:
        return x
    if taps == 0:
        return domain.take(x, axis, (2 * np.arange(length) + 1) * old // (2 * length))
    # Exact in integers: centre * 2 * length = (2 i + 1) * old - length. At a cell's own centre no other cell is read.
    floor, rest = np.divmod((2 * np.arange(length) + 1) * old - length, 2 * length)
    reads = [
        np.where((rest == 0) & (tap != 0), -1, np.clip(floor + tap, 0, old - 1)) for tap in range(1 - taps, taps + 1)
    ]
    return domain.read(x, axis, reads)


# -- movement ----------------------------------------------------------------------------------------------------------


def _concatenate(domain: Domain, operation: Any, tensors: Any, *_: Any, **__: Any) -> Any:
    return _joined_along(domain, list(tensors), operation.axis)


def _joined_along(domain: Domain, tensors: Sequence[Any], axis: int) -> Any:
    flowing = _values(domain, tensors)
    parts = [t if domain.is_value(t) else domain.nowhere(tuple(t.shape), flowing[0]) for t in tensors]
    return domain.concatenate(parts, axis % len(parts[0].shape))


def _stack(domain: Domain, operation: Any, tensors: Any) -> Any:
    axis = operation.axis % (len(tensors[0].shape) + 1)
    wide = [_expanded(domain, t, [axis]) if domain.is_value(t) else keras.ops.expand_dims(t, axis) for t in tensors]
    return _joined_along(domain, wide, axis)


def _side_by_side(axis: int) -> Rule:
    def rule(domain: Domain, operation: Any, tensors: Any) -> Any:  # noqa: ARG001
        return _joined_along(domain, list(tensors), axis)

    return rule


def _expanded(domain: Domain, x: Any, axes: Sequence[int]) -> Any:
    shape = list(x.shape)
    for axis in axes:
        shape.insert(axis, 1)
    return domain.reshape(x, shape)


def _expand_dims(domain: Domain, operation: Any, x: Any, *_: Any, **__: Any) -> Any:
    axes = keras.tree.flatten(operation.axis)
    rank = len(x.shape) + len(axes)
    return _expanded(domain, x, sorted(axis % rank for axis in axes))


def _squeeze(domain: Domain, operation: Any, x: Any, *_: Any, **__: Any) -> Any:
    rank = len(x.shape)
    gone = (
        {axis for axis, n in enumerate(x.shape) if n == 1}
        if operation.axis is None
        else {axis % rank for axis in keras.tree.flatten(operation.axis)}
    )
    return domain.reshape(x, [n for axis, n in enumerate(x.shape) if axis not in gone])


def _reshape(domain: Domain, operation: Any, x: Any, *_: Any, **__: Any) -> Any:
    """Another shape. Regrouping channels is harmless, whatever image size the shape was written for."""
    if hasattr(operation, "target_shape"):
        shape = [x.shape[0], *operation.target_shape]
    else:
        shape = [-1 if n is None else n for n in operation.newshape]
    written_for = _written_for(operation)
    if len(shape) >= 4 and written_for and tuple(shape[1:3]) == written_for:
        shape[1:3] = x.shape[1:3]
    known = math.prod(n for n in shape if n != -1)
    total = math.prod(x.shape)
    if (-1 in shape and (not known or total % known)) or (-1 not in shape and known != total):
        if domain.thin and isinstance(domain, LinearDomain):
            return domain.reshape(x, shape)
        raise ValueError(f"{operation.name}: {tuple(x.shape)} cannot become {tuple(shape)}")
    return domain.reshape(x, [total // known if n == -1 else n for n in shape])


def _written_for(operation: Any) -> tuple[Any, ...] | None:
    """Rows and columns of the map the operation was given when the model was built."""
    try:
        return tuple(operation.input.shape[1:3])
    except (AttributeError, ValueError):  # called several times, or outside any graph
        return None


def _permute(domain: Domain, layer: Any, x: Any, *_: Any, **__: Any) -> Any:
    return domain.transpose(x, (0, *layer.dims))


def _transpose(domain: Domain, operation: Any, x: Any, *_: Any, **__: Any) -> Any:
    axes = getattr(operation, "axes", None)
    return domain.transpose(x, tuple(reversed(range(len(x.shape)))) if axes is None else tuple(axes))


def _moveaxis(domain: Domain, operation: Any, x: Any) -> Any:
    rank = len(x.shape)
    sources = [axis % rank for axis in keras.tree.flatten(operation.source)]
    targets = [axis % rank for axis in keras.tree.flatten(operation.destination)]
    rest = [axis for axis in range(rank) if axis not in sources]
    for target, source in sorted(zip(targets, sources, strict=True)):
        rest.insert(target, source)
    return domain.transpose(x, rest)


def _swapaxes(domain: Domain, operation: Any, x: Any) -> Any:
    order = list(range(len(x.shape)))
    first, second = operation.axis1 % len(order), operation.axis2 % len(order)
    order[first], order[second] = order[second], order[first]
    return domain.transpose(x, order)


def _get_item(domain: Domain, operation: Any, x: Any, key: Any) -> Any:
    """Slices, whole numbers, new axes and lists of numbers."""
    keys = list(key) if isinstance(key, (tuple, list)) else [key]
    if not domain.is_value(x) or _values(domain, keys):
        raise NotImplementedError(f"{operation.name}: places that the image chooses")
    taken = sum(k is not None and k is not Ellipsis for k in keys)
    rest = [slice(None)] * (len(x.shape) - taken)
    place = next((i for i, k in enumerate(keys) if k is Ellipsis), None)
    keys = [*keys, *rest] if place is None else [*keys[:place], *rest, *keys[place + 1 :]]
    axis, shape, lists = 0, [], 0
    for one in keys:
        if one is None:
            shape.append(1)
            continue
        length = x.shape[axis]
        if isinstance(one, slice):
            index = np.arange(length)[one]
            shape.append(len(index))
        elif isinstance(one, (int, np.integer)):
            index = np.arange(length)[[int(one)]]
        elif (array := np.asarray(one)).ndim == 1 and array.dtype.kind in "iu" and not lists:
            index, lists = np.arange(length)[array], 1
            shape.append(len(index))
        else:
            raise NotImplementedError(f"{operation.name}: {one!r}")
        if len(index) != length or (index != np.arange(length)).any():
            x = domain.take(x, axis, index) if len(index) else domain.pad(x, axis, 0, -length)
        axis += 1
    return x if shape == list(x.shape) else domain.reshape(x, shape)


def _pad(domain: Domain, operation: Any, x: Any, *_: Any, **__: Any) -> Any:
    """Padding of all kinds."""
    for axis, (before, after) in enumerate(operation.pad_width):
        if before == after == 0:
            continue
        if operation.mode == "constant":
            x = domain.pad(x, axis, before, after)
        else:
            index = np.pad(np.arange(x.shape[axis]), (before, after), mode=operation.mode)
            x = domain.take(x, axis, index)
    return x


def _chosen(operation: Any, rank: int) -> list[int]:
    return list(range(rank)) if operation.axis is None else [a % rank for a in keras.tree.flatten(operation.axis)]


def _flip(domain: Domain, operation: Any, x: Any) -> Any:
    for axis in _chosen(operation, len(x.shape)):
        x = domain.take(x, axis, np.arange(x.shape[axis])[::-1])
    return x


def _roll(domain: Domain, operation: Any, x: Any) -> Any:
    if operation.axis is None:
        raise NotImplementedError(f"{operation.name}: a roll of all numbers")
    axes = _chosen(operation, len(x.shape))
    for axis, shift in zip(axes, _each(operation.shift, len(axes)), strict=True):
        x = domain.take(x, axis, np.roll(np.arange(x.shape[axis]), shift))
    return x


def _repeat(domain: Domain, operation: Any, x: Any) -> Any:
    if operation.axis is None:
        x = domain.reshape(x, (math.prod(x.shape),))
    axis = (operation.axis or 0) % len(x.shape)
    return domain.take(x, axis, np.repeat(np.arange(x.shape[axis]), np.asarray(operation.repeats)))


def _tile(domain: Domain, operation: Any, x: Any) -> Any:
    times = _each(operation.repeats, 1)
    missing = len(x.shape) - len(times)
    if missing < 0:
        x = domain.reshape(x, (*(1,) * -missing, *x.shape))
    for axis, count in enumerate(times, start=max(missing, 0)):
        if count != 1:
            x = domain.take(x, axis, np.tile(np.arange(x.shape[axis]), count))
    return x


def _take(domain: Domain, operation: Any, x: Any, indices: Any, axis: Any = None) -> Any:
    _only(domain, operation, indices)
    axis = getattr(operation, "axis", axis)
    numbers = np.asarray(keras.ops.convert_to_numpy(indices))
    if axis is None or numbers.ndim > 1 or not domain.is_value(x):
        raise NotImplementedError(f"{operation.name}: elements of the whole tensor")
    axis %= len(x.shape)
    taken = domain.take(x, axis, np.arange(x.shape[axis])[np.atleast_1d(numbers)])
    return taken if numbers.ndim else domain.reshape(taken, (*x.shape[:axis], *x.shape[axis + 1 :]))


def _broadcast_to(domain: Domain, operation: Any, x: Any) -> Any:
    return domain.join([x], tuple(operation.shape))


def _rot90(domain: Domain, operation: Any, x: Any) -> Any:
    small = np.arange(6.0).reshape(2, 3)
    turned = keras.ops.convert_to_numpy(keras.ops.rot90(small, operation.k))
    if not np.array_equal(turned, np.rot90(small, operation.k)):
        raise NotImplementedError(f"{operation.name}: this backend turns otherwise")  # Keras 3.15 with TensorFlow
    first, second = (axis % len(x.shape) for axis in operation.axes)
    order = list(range(len(x.shape)))
    order[first], order[second] = second, first
    for _ in range(operation.k % 4):
        x = domain.transpose(domain.take(x, second, np.arange(x.shape[second])[::-1]), order)
    return x


def _ravel(domain: Domain, operation: Any, x: Any) -> Any:  # noqa: ARG001
    return domain.reshape(x, (math.prod(x.shape),))


def _split(domain: Domain, operation: Any, x: Any, *_: Any, **__: Any) -> Any:
    axis = operation.axis % len(x.shape)
    sections = operation.indices_or_sections
    parts = np.split(np.arange(x.shape[axis]), sections if isinstance(sections, int) else list(sections))
    return [domain.take(x, axis, part) for part in parts]


def _unstack(domain: Domain, operation: Any, x: Any) -> Any:
    axis = operation.axis % len(x.shape)
    rest = (*x.shape[:axis], *x.shape[axis + 1 :])
    return [domain.reshape(domain.take(x, axis, [k]), rest) for k in range(x.shape[axis])]


def _slice(domain: Domain, operation: Any, x: Any, start_indices: Any, shape: Any = None) -> Any:
    _only(domain, operation, start_indices)
    lengths = getattr(operation, "shape", shape)
    for axis, (start, length) in enumerate(zip(start_indices, lengths, strict=True)):
        x = domain.take(x, axis, np.arange(x.shape[axis])[int(start) : int(start) + int(length)])
    return x


def _to_blocks(domain: Domain, operation: Any, x: Any) -> Any:
    """Depth to space."""
    block, (n, *rest) = operation.block_size, x.shape
    if getattr(operation, "data_format", "channels_last") == "channels_first":
        c, h, w = rest
        x = domain.reshape(x, (n, block, block, c // block**2, h, w))
        return domain.reshape(domain.transpose(x, (0, 3, 4, 1, 5, 2)), (n, c // block**2, h * block, w * block))
    h, w, c = rest
    x = domain.reshape(x, (n, h, w, block, block, c // block**2))
    return domain.reshape(domain.transpose(x, (0, 1, 3, 2, 4, 5)), (n, h * block, w * block, c // block**2))


def _from_blocks(domain: Domain, operation: Any, x: Any) -> Any:
    """Space to depth."""
    block, (n, *rest) = operation.block_size, x.shape
    if getattr(operation, "data_format", "channels_last") == "channels_first":
        c, h, w = rest
        x = domain.reshape(x, (n, c, h // block, block, w // block, block))
        return domain.reshape(domain.transpose(x, (0, 3, 5, 1, 2, 4)), (n, c * block**2, h // block, w // block))
    h, w, c = rest
    x = domain.reshape(x, (n, h // block, block, w // block, block, c))
    return domain.reshape(domain.transpose(x, (0, 1, 3, 2, 4, 5)), (n, h // block, w // block, c * block**2))


# -- contraction -------------------------------------------------------------------------------------------------------


def _dense(domain: Domain, layer: Any, x: Any, *_: Any, **__: Any) -> Any:
    return domain.mix(x, len(x.shape) - 1, layer.units)


def _matmul(domain: Domain, operation: Any, left: Any, right: Any) -> Any:
    """A product with a weight is a mixture of channels; everything else is for code."""
    if domain.is_value(right) or len(right.shape) != 2 or not _is_dense(right):
        raise NotImplementedError(f"{operation.name}: a product of two maps")
    return domain.mix(left, len(left.shape) - 1, int(right.shape[-1]))


def _colours(domain: Domain, operation: Any, x: Any, *_: Any, **__: Any) -> Any:
    return domain.mix(x, _channels(operation, len(x.shape)), 1 if type(operation).__name__ == "RGBToGrayscale" else 3)


def _attention(domain: Domain, layer: Any, query: Any, *others: Any, **named: Any) -> Any:
    """Every query sees itself and every value along the axes of the attention, or with a causal mask those before it;
    other masks are ignored.
    """
    first, *more = _values(domain, (query, others, named.get("value"), named.get("key")))
    own = isinstance(layer, (layers.Attention, layers.AdditiveAttention))
    results = (more or [first])[0].shape[-1] if own else first.shape[-1]
    channels = len(first.shape) - 1
    values = [_attended_to(domain, layer, t, first, causal=bool(named.get("use_causal_mask"))) for t in more or [first]]
    return domain.join([domain.mix(t, channels, results) for t in (first, *values)])


def _attended_to(domain: Domain, layer: Any, value: Any, query: Any, *, causal: bool) -> Any:
    """What each query gets of a value."""
    axes = _attended(layer, len(value.shape))
    if not causal or len(axes) != 1 or value.shape[axes[0]] != query.shape[axes[0]]:
        return domain.reduce(value, axes, keepdims=True)
    return domain.cumulate(value, axes[0])


def _attended(layer: Any, rank: int) -> tuple[int, ...]:
    """Axes along which an attention looks: of maps, `Attention` takes the rows one by one."""
    if isinstance(layer, (layers.Attention, layers.AdditiveAttention)):
        return (rank - 2,)
    chosen = getattr(layer, "attention_axes", None) or getattr(layer, "_attention_axes", None)
    return tuple(range(1, rank - 1)) if chosen is None else tuple(axis % rank for axis in chosen)


def _dot_product_attention(domain: Domain, operation: Any, query: Any, *others: Any, **named: Any) -> Any:
    """``(batch, tokens, heads, channels)``: along the tokens, head by head."""
    first, *more = _values(domain, (query, others[:2], named.get("value"), named.get("key")))
    if _values(domain, (others[2:], named.get("bias"), named.get("mask"))) or not more:
        raise NotImplementedError(f"{operation.name}: a mask that comes from the image")
    results = more[-1].shape[-1]
    return domain.join([domain.mix(first, 3, results), *(domain.mix(domain.reduce(t, [1], keepdims=True), 3, results)
                                                         for t in more)])  # fmt: skip


def _recurrent(domain: Domain, layer: Any, x: Any, initial_state: Any = None, *_: Any, **__: Any) -> Any:
    """Each step sees itself and all before it; what is left of a whole sequence is its last step."""
    if layer.return_state or len(x.shape) != 3 or _values(domain, initial_state):
        raise NotImplementedError(f"{layer.name}: a state that is handed on")
    if not layer.return_sequences:
        return domain.mix(domain.reduce(x, [1]), 1, layer.units)
    steps = domain.take(x, 1, np.arange(x.shape[1])[::-1]) if layer.go_backwards else x
    return domain.mix(domain.cumulate(steps, 1), 2, layer.units)


def _conv_recurrent(domain: Domain, layer: Any, x: Any, initial_state: Any = None, *_: Any, **__: Any) -> Any:
    """Each frame sees itself and what the frame before it has seen, through one more window."""
    if layer.return_state or _values(domain, initial_state):
        raise NotImplementedError(f"{layer.name}: a state that is handed on")
    cell = layer.cell
    channels = 2 if cell.data_format == "channels_first" else len(x.shape) - 1
    places = [axis for axis in range(2, len(x.shape)) if axis != channels]
    x = domain.mix(x, channels, cell.filters)
    x = domain.window(x, places, cell.kernel_size, cell.strides, cell.dilation_rate, cell.padding)
    ones = (1,) * len(places)
    frames = [domain.take(x, 1, [number]) for number in range(x.shape[1])]
    frames = frames[::-1] if layer.go_backwards else frames
    for number in range(1, len(frames)):
        before = domain.mix(frames[number - 1], channels, cell.filters)
        before = domain.window(before, places, cell.kernel_size, ones, ones, "same")
        frames[number] = domain.join([frames[number], before])
    if layer.return_sequences:
        return domain.stepwise(domain.concatenate(frames, 1))
    return domain.reshape(frames[-1], (x.shape[0], *x.shape[2:]))


def _spectral(domain: Domain, layer: Any, x: Any, *_: Any, **__: Any) -> Any:
    rule = rule_for(layer.layer)
    if rule is None:
        raise NotImplementedError(f"SpectralNormalization of {type(layer.layer).__name__}")
    return rule(domain, layer.layer, x)


# -- the tables --------------------------------------------------------------------------------------------------------


def _classes(*names: str) -> tuple[Any, ...]:
    """Classes of layers, as far as this version of Keras has them."""
    return tuple(getattr(layers, name) for name in names if hasattr(layers, name))


_AUGMENTATION = _classes(
    *(name for name in dir(layers) if name.startswith("Random") and name != "RandomCrop"),
    *("AugMix", "CutMix", "Equalization", "MaxNumBoundingBoxes", "MixUp", "RandAugment", "Solarization"),
)
"""Layers that change images in training, and leave them alone afterwards. `RandomCrop` promises a size: it is run."""

_LAYERS: tuple[tuple[Any, Rule], ...] = (
    (_classes("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose"), _transposed),
    (_classes("SeparableConv1D", "SeparableConv2D"), _separable),
    (_classes("DepthwiseConv1D", "DepthwiseConv2D"), _depthwise),
    (_classes("Conv1D", "Conv2D", "Conv3D"), _conv),
    (_classes(*(f"{kind}Pooling{n}D" for kind in ("Max", "Average") for n in (1, 2, 3))), _pool),
    (_classes(*(f"Global{kind}Pooling{n}D" for kind in ("Max", "Average") for n in (1, 2, 3))), _global_pool),
    (_classes("ZeroPadding1D", "ZeroPadding2D", "ZeroPadding3D"), _pad_layer),
    (_classes("Cropping1D", "Cropping2D", "Cropping3D"), _crop_layer),
    (_classes("UpSampling1D", "UpSampling2D", "UpSampling3D"), _enlarge),
    ((layers.Resizing,), _resizing),
    (
        _classes("AdaptiveAveragePooling1D", "AdaptiveAveragePooling2D", "AdaptiveAveragePooling3D",
                 "AdaptiveMaxPooling1D", "AdaptiveMaxPooling2D", "AdaptiveMaxPooling3D"),
        _adaptive,
    ),
    ((layers.Concatenate,), _concatenate),
    ((layers.Add, layers.Subtract, layers.Multiply, layers.Average, layers.Maximum, layers.Minimum), _merge),
    ((layers.Dense,), _dense),
    ((layers.Flatten,), _flatten),
    ((layers.LayerNormalization, layers.UnitNormalization, layers.RMSNormalization, layers.Softmax), _layer_normalise),
    ((layers.GroupNormalization,), _group_norm),
    ((layers.SpectralNormalization,), _spectral),
    ((layers.Reshape,), _reshape),
    ((layers.Permute,), _permute),
    ((layers.MultiHeadAttention, layers.GroupQueryAttention, layers.Attention, layers.AdditiveAttention), _attention),
    (
        (
            layers.ReLU, layers.LeakyReLU, layers.PReLU, layers.ELU, layers.BatchNormalization, layers.Identity,
            layers.Dropout, layers.SpatialDropout1D, layers.SpatialDropout2D, layers.SpatialDropout3D,
            layers.GaussianDropout, layers.GaussianNoise, layers.AlphaDropout, layers.ActivityRegularization,
            layers.Activation, layers.Rescaling, layers.Normalization, layers.Masking, *_AUGMENTATION,
        ),
        _layer_identity,
    ),
    ((layers.SimpleRNN, layers.LSTM, layers.GRU), _recurrent),
    ((layers.ConvLSTM1D, layers.ConvLSTM2D, layers.ConvLSTM3D), _conv_recurrent),
    (_classes("AutoContrast"), _auto_contrast),
)  # fmt: skip


def _table() -> dict[str, Rule]:
    """Rules of operations by the names of their classes."""
    names: dict[Rule, str] = {
        _identity: """
            Relu ReLU Relu6 Mish Sigmoid SparseSigmoid Softplus Softsign SoftShrink SparsePlus Silu Squareplus
            LogSigmoid LeakyRelu HardSigmoid HardSilu Elu Selu Gelu Celu TanhShrink HardTanh HardShrink
            Threshold Absolute Abs Fabs Arccos Arccosh Arcsin Arcsinh Arctan Arctanh Cbrt Ceil Clip Copy Cos
            Cosh Erf Erfc Erfinv Exp Exp2 Expm1 Floor Log Log10 Log1p Log2 LogicalNot Isfinite Isinf Isnan
            NanToNum Negative Reciprocal Round Rsqrt Sign Signbit Sin Sinc Sinh Sqrt Square Tan Tanh Trunc
            StopGradient Cast SaturateCast ConvertToTensor Deg2rad Rad2deg Array Angle Conj Conjugate Real""",
        _merge: """
            Add Subtract Divide DivideNoNan TrueDivide FloorDivide Power Maximum Minimum Fmax Fmin Mod Fmod
            Arctan2 Hypot Logaddexp Logaddexp2 LogicalAnd LogicalOr LogicalXor Greater GreaterEqual Less LessEqual Equal
            NotEqual Where Heaviside Multiply""",
        _reduce: """
            Mean Sum Max Min Amax Amin Var Std Prod Median Logsumexp Norm Any All CountNonzero Nanmax Nanmean
            Nanmin Nansum Ptp Quantile""",
        _moments: "Moments",
        _average: "Average",
        _batch_norm: "BatchNorm",
        _normalise: "Softmax LogSoftmax Sparsemax Normalize LayerNorm RMSNorm",
        _concatenate: "Concatenate",
        _gated: "Glu",
        _pool: "MaxPool AveragePool",
        _colours: "RGBToGrayscale RGBToHSV HSVToRGB",
        _conv_operation: "Conv",
        _depthwise_operation: "DepthwiseConv SeparableConv",
        _transposed_operation: "ConvTranspose",
        _resize: "Resize",
        _pad: "Pad",
        _get_item: "GetItem",
        _transpose: "Transpose",
        _reshape: "Reshape",
        _expand_dims: "ExpandDims",
        _squeeze: "Squeeze",
        _stack: "Stack",
        _side_by_side(0): "Vstack",
        _side_by_side(1): "Hstack",
        _moveaxis: "Moveaxis",
        _swapaxes: "Swapaxes",
        _repeat: "Repeat",
        _tile: "Tile",
        _flip: "Flip",
        _roll: "Roll",
        _rot90: "Rot90",
        _broadcast_to: "BroadcastTo",
        _take: "Take",
        _ravel: "Ravel",
        _unstack: "Unstack",
        _slice: "Slice",
        _split: "Split",
        _to_blocks: "DepthToSpace",
        _from_blocks: "SpaceToDepth",
        _matmul: "Matmul",
        _dot_product_attention: "DotProductAttention",
        _adaptive: "AdaptiveAveragePool AdaptiveMaxPool",
    }  # fmt: skip
    return {name: rule for rule, words in names.items() for name in words.split()}


_OPERATIONS = _table()
