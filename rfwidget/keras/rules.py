"""What the probe puts in the place of each layer.

A rule is called as ``rule(probe, layer, *args, **kwargs)`` with the arguments the layer was called with (recorded
calls also pass ``mask=`` or ``training=``) and returns the twin's outputs. A layer that Keras does not define itself,
or that has no rule here, is looked into (`rfwidget.keras.inside`) rather than guessed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import keras
from keras import layers, ops

from rfwidget.keras.graph import is_keras_own
from rfwidget.keras.hints import hints_of
from rfwidget.keras.probe import Probe
from rfwidget.keras.rules_shapes import reshape

Rule = Callable[..., Any]

_TO_LAST, _TO_FIRST = (0, 2, 3, 1), (0, 3, 1, 2)


def rule_for(layer: Any) -> Rule | None:
    """The rule for a layer; None: it must be looked into."""
    if not is_keras_own(layer):
        return None
    for classes, rule in _RULES:
        if isinstance(layer, classes):
            return rule
    return None


def spatial(rule: Rule) -> Rule:
    """A rule written for ``[n, y, x, c]``, for a layer of either data format."""

    def wrapped(probe: Probe, layer: Any, x: Any, *_: Any, **__: Any) -> Any:
        if layer.data_format == "channels_last":
            return rule(probe, layer, x)
        return ops.transpose(rule(probe, layer, ops.transpose(x, _TO_LAST)), _TO_FIRST)

    return wrapped


def pair(value: Any) -> Any:
    """A number for both axes, or one for each."""
    return (value, value) if isinstance(value, int) else tuple(value)


def identity(probe: Probe, layer: Any, x: Any, *_: Any, **__: Any) -> Any:  # noqa: ARG001
    """Nothing that could move or widen a receptive field."""
    return x


def merge(probe: Probe, layer: Any, tensors: Sequence[Any], *_: Any, **__: Any) -> Any:  # noqa: ARG001
    """Sums, products, maxima, ... of branches."""
    return probe.average(list(tensors))


def concatenate(probe: Probe, layer: Any, tensors: Sequence[Any], *_: Any, **__: Any) -> Any:
    """Branches side by side; in a thin probe their average will do, for whoever reads one channel reads them all."""
    rank = len(tensors[0].shape)
    over_channels = layer.axis % rank == probe.channel_axis(rank)
    if over_channels and probe.thin:
        return probe.average(list(tensors))
    if rank == 4 and not over_channels:
        probe.note(exact=False, separable=False)
    return ops.concatenate(list(tensors), axis=layer.axis)


@spatial
def _conv(probe: Probe, layer: Any, x: Any) -> Any:
    x = probe.mix(x, layer.filters, layer.groups)
    return probe.window(x, layer.kernel_size, layer.strides, layer.dilation_rate, layer.padding)


@spatial
def _depthwise(probe: Probe, layer: Any, x: Any) -> Any:
    if not probe.thin:
        x = probe.spread(ops.repeat(x, layer.depth_multiplier, axis=-1))
    return probe.window(x, layer.kernel_size, layer.strides, layer.dilation_rate, layer.padding)


@spatial
def _separable(probe: Probe, layer: Any, x: Any) -> Any:
    x = probe.window(x, layer.kernel_size, layer.strides, layer.dilation_rate, layer.padding)
    return probe.mix(x, layer.filters)


@spatial
def _transposed(probe: Probe, layer: Any, x: Any) -> Any:
    x = probe.mix(x, layer.filters)
    extra = None if layer.output_padding is None else pair(layer.output_padding)
    return probe.transposed(x, layer.kernel_size, layer.strides, layer.dilation_rate, layer.padding, extra)


@spatial
def _pool(probe: Probe, layer: Any, x: Any) -> Any:
    return probe.window(x, layer.pool_size, layer.strides, padding=layer.padding)


def _global_pool(probe: Probe, layer: Any, x: Any, *_: Any, **__: Any) -> Any:
    axes = (1, 2) if layer.data_format == "channels_last" else (2, 3)
    x = probe.everywhere(x, axes)
    probe.note(flat=(True, True))
    return x if layer.keepdims else ops.squeeze(x, axis=axes)


@spatial
def _pad(probe: Probe, layer: Any, x: Any) -> Any:
    return probe.pad(x, layer.padding)


@spatial
def _crop(probe: Probe, layer: Any, x: Any) -> Any:
    return probe.crop(x, layer.cropping)


@spatial
def _enlarge(probe: Probe, layer: Any, x: Any) -> Any:
    return probe.resize(x, tuple(Fraction(factor) for factor in layer.size), layer.interpolation)


@spatial
def _resizing(probe: Probe, layer: Any, x: Any) -> Any:
    if layer.crop_to_aspect_ratio or layer.pad_to_aspect_ratio or layer.antialias:
        raise NotImplementedError(f"{layer.name}: resizing that keeps the aspect ratio, or with antialias")
    return probe.resize_to(x, (layer.height, layer.width), layer.interpolation)


def _dense(probe: Probe, layer: Any, x: Any, *_: Any, **__: Any) -> Any:
    return probe.mix(x, layer.units)


def _flatten(probe: Probe, layer: Any, x: Any, *_: Any, **__: Any) -> Any:  # noqa: ARG001
    if len(x.shape) > 2:
        probe.note(flat=(True, True), context=(not probe.local, not probe.local), separable=False)
    return ops.reshape(x, (x.shape[0], -1))


def _spectral(probe: Probe, layer: Any, x: Any, *_: Any, **__: Any) -> Any:
    rule = rule_for(layer.layer)
    if rule is None:
        raise NotImplementedError(f"SpectralNormalization of {type(layer.layer).__name__}")
    return rule(probe, layer.layer, x)


def _feature_norm(probe: Probe, layer: Any, x: Any, *_: Any, **__: Any) -> Any:
    """Normalisation over some axes: harmless over channels, the whole image otherwise."""
    rank = len(x.shape)
    axes = {axis % rank for axis in keras.tree.flatten(layer.axis)}
    places = tuple(sorted(axes - {probe.channel_axis(rank), 0})) if rank > 2 else ()
    return probe.average([x, probe.everywhere(x, places)]) if places else x


def _group_norm(probe: Probe, layer: Any, x: Any, *_: Any, **__: Any) -> Any:
    rank = len(x.shape)
    places = tuple(axis for axis in range(1, rank) if axis != layer.axis % rank)
    return probe.average([x, probe.everywhere(x, places)])


def attention(probe: Probe, layer: Any, query: Any, *others: Any, **named: Any) -> Any:
    """Every query sees itself and, on the average, every value along the axes of the attention; masks are ignored."""
    flat = [t for t in keras.tree.flatten((query, others, named.get("value"), named.get("key"))) if ops.is_tensor(t)]
    query = flat[0]
    values = [probe.everywhere(t, _attended(layer, len(t.shape))) for t in flat[1:] or [query]]
    if not probe.thin:
        values = [probe.mix(value, query.shape[-1]) for value in values]
    return probe.average([query, *values])


def _attended(layer: Any, rank: int) -> tuple[int, ...]:
    """Axes along which an attention looks: of maps, `Attention` takes the rows one by one."""
    if isinstance(layer, (layers.Attention, layers.AdditiveAttention)):
        return (rank - 2,)
    chosen = getattr(layer, "attention_axes", None)
    return tuple(range(1, rank - 1)) if chosen is None else tuple(axis % rank for axis in chosen)


def _recurrent(probe: Probe, layer: Any, x: Any, initial_state: Any = None, *_: Any, **__: Any) -> Any:
    """Each step sees itself and all before it; what is left of a whole sequence is its last step."""
    if layer.return_state or len(x.shape) != 3 or hints_of(initial_state):
        raise NotImplementedError(f"{layer.name}: a state that is handed on")
    if not layer.return_sequences:
        return probe.mix(ops.squeeze(probe.everywhere(x, (1,)), axis=1), layer.units)
    steps = ops.flip(x, axis=1) if layer.go_backwards else x
    if not probe.local:
        probe.note(context=(True, True), exact=False)
        steps = probe.average([steps, ops.cumsum(steps, axis=1) / float(steps.shape[1])])
    return probe.mix(steps, layer.units)


def _everything(probe: Probe, layer: Any, x: Any, *_: Any, **__: Any) -> Any:  # noqa: ARG001
    """Pixels changed by what all the others are."""
    return probe.average([x, probe.everywhere(x, tuple(axis for axis in (1, 2, 3) if axis != probe.channel_axis(4)))])


def _classes(*names: str) -> tuple[Any, ...]:
    """Classes of layers, as far as this version of Keras has them."""
    return tuple(getattr(layers, name) for name in names if hasattr(layers, name))


_AUGMENTATION = _classes(
    *(name for name in dir(layers) if name.startswith("Random") and name != "RandomCrop"),
    *("AugMix", "CutMix", "Equalization", "MaxNumBoundingBoxes", "MixUp", "RandAugment", "Solarization"),
)
"""Layers that change images in training, and leave them alone afterwards. `RandomCrop` promises a size: it is run."""

_RULES: tuple[tuple[Any, Rule], ...] = (
    ((layers.Conv2DTranspose,), _transposed),
    ((layers.SeparableConv2D,), _separable),
    ((layers.DepthwiseConv2D,), _depthwise),
    ((layers.Conv2D,), _conv),
    ((layers.MaxPooling2D, layers.AveragePooling2D), _pool),
    ((layers.GlobalMaxPooling2D, layers.GlobalAveragePooling2D), _global_pool),
    ((layers.ZeroPadding2D,), _pad),
    ((layers.Cropping2D,), _crop),
    ((layers.UpSampling2D,), _enlarge),
    ((layers.Resizing,), _resizing),
    ((layers.Concatenate,), concatenate),
    ((layers.Add, layers.Subtract, layers.Multiply, layers.Average, layers.Maximum, layers.Minimum), merge),
    ((layers.Dense,), _dense),
    ((layers.Flatten,), _flatten),
    ((layers.LayerNormalization, layers.UnitNormalization, layers.RMSNormalization), _feature_norm),
    ((layers.GroupNormalization,), _group_norm),
    ((layers.Softmax,), _feature_norm),
    ((layers.SpectralNormalization,), _spectral),
    ((layers.Reshape,), reshape),
    ((layers.MultiHeadAttention, layers.GroupQueryAttention, layers.Attention, layers.AdditiveAttention), attention),
    (
        (
            layers.ReLU, layers.LeakyReLU, layers.PReLU, layers.ELU, layers.BatchNormalization, layers.Identity,
            layers.Dropout, layers.SpatialDropout2D, layers.GaussianDropout, layers.GaussianNoise, layers.AlphaDropout,
            layers.ActivityRegularization, layers.Activation, layers.Rescaling, layers.Normalization, layers.Masking,
            *_AUGMENTATION,
        ),
        identity,
    ),
    ((layers.SimpleRNN, layers.LSTM, layers.GRU), _recurrent),
    (_classes("AutoContrast"), _everything),
)  # fmt: skip
