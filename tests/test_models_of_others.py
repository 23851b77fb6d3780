"""Parts of other people's models, written out: MTCNN, keras-hub's backbones, keras-tcn; `benchmarks/keras_zoo.py` has
the packages themselves.

Every number is worked out by hand from the layers: a kernel of k cells of dilation d widens a field by (k - 1) d times
the stride so far.
"""

from __future__ import annotations

import math
from importlib import import_module
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers as L  # noqa: N812
from keras import ops

from rfwidget.errors import ReceptiveFieldError
from rfwidget.keras import KerasReceptiveField
from rfwidget.keras.looks import Inputs, ModelLooks
from rfwidget.types import Rect

SHAPE = (32, 48, 3)


def measured(outputs: Any, image: Any, **options: Any) -> KerasReceptiveField:
    """The estimator of a functional model, with its default layer measured in all ways."""
    rf = KerasReceptiveField(keras.Model(image, outputs))
    rf.compute(**options)
    assert rf.verify().agree
    return rf


class FaceNet(keras.Model):
    """A net of MTCNN: convolutions, each with a PReLU and some with max pooling, and dense heads or 1x1 ones."""

    def __init__(self, windows: list[tuple[int, int | None, str]], *, dense: bool) -> None:
        super().__init__()
        self.parts: list[Any] = []
        for number, (kernel, pool, padding) in enumerate(windows, 1):
            self.parts.append(L.Conv2D(4, kernel, name=f"conv{number}"))
            self.parts.append(L.PReLU(shared_axes=[1, 2], name=f"prelu{number}"))
            if pool:
                self.parts.append(L.MaxPooling2D(pool, 2, padding, name=f"pool{number}"))
        self.dense = [L.Permute((2, 1, 3), name="permute"), L.Flatten(), L.Dense(8)] if dense else []
        kind = (lambda n: L.Dense(n)) if dense else (lambda n: L.Conv2D(n, 1))
        self.boxes, self.scores = kind(4), kind(2)

    def call(self, images: Any) -> Any:
        x = images
        for part in (*self.parts, *self.dense):
            x = part(x)
        return [self.boxes(x), ops.softmax(self.scores(x))]


P_NET = [(3, 2, "same"), (3, None, ""), (3, None, "")]
R_NET = [(3, 3, "same"), (3, 3, "valid"), (2, None, "")]
O_NET = [(3, 3, "same"), (3, 3, "valid"), (3, 2, "same"), (2, None, "")]


@pytest.mark.parametrize(
    ("windows", "side", "size", "stride"), [(P_NET, 12, 12, 2), (R_NET, 24, 17, 4), (O_NET, 48, 33, 8)]
)
def test_the_nets_of_mtcnn(windows: Any, side: int, size: int, stride: int) -> None:
    model = FaceNet(windows, dense=side > 12)
    model(np.zeros((1, side, side, 3), np.float32))
    rf = KerasReceptiveField(model)
    description = rf.compute((side, side, 3))
    assert description.size == (size, size)
    assert description.stride == (stride, stride)
    assert rf.uniform == (True, True)
    if model.dense:  # small as its grid is: 3x3 cells, turned
        with pytest.raises(ReceptiveFieldError, match="is turned"):
            rf.compute((side, side, 3), output_layer="permute")


@pytest.mark.parametrize(
    ("stage", "shape", "layer", "size", "stride"),
    [("P", (12, 12, 3), None, 12, 2), ("P", (96, 60, 3), None, 12, 2), ("O", (48, 48, 3), "conv4", 33, 8)],
)
def test_the_nets_of_mtcnn_as_trained(stage: str, shape: Any, layer: str | None, size: int, stride: int) -> None:
    """12 pixels and a stride of 2 for P-Net are published: Zhang et al., 2016, doi.org/10.1109/LSP.2016.2603342."""
    model = getattr(import_module("mtcnn.stages"), f"Stage{stage}Net")().model
    description = KerasReceptiveField(model).compute(shape, output_layer=layer)
    assert description.size == (size, size)
    assert description.stride == (stride, stride)
    assert description.offset == (size / 2, size / 2)


def test_a_csp_stage_of_darknet() -> None:
    image = keras.Input(SHAPE)
    x = L.Conv2D(4, 3, 2, padding="same")(L.Conv2D(4, 3, padding="same")(image))
    kept, x = L.Conv2D(4, 1)(x), L.Conv2D(4, 1)(x)
    for _ in range(2):
        y = L.LeakyReLU()(L.BatchNormalization()(L.Conv2D(4, 3, padding="same")(L.Conv2D(2, 1)(x))))
        x = L.Add()([x, y])
    rf = measured(L.Conv2D(8, 1)(L.Concatenate()([kept, x])), image)
    assert rf.rf_params.size == (3 + 2 + 2 * 4, 3 + 2 + 2 * 4)
    assert rf.rf_params.stride == (2, 2)


def test_the_stem_of_hgnet_and_a_block() -> None:
    image = keras.Input(SHAPE)
    x = L.Conv2D(4, 3, 2, padding="same")(image)
    pad = L.ZeroPadding2D(((0, 1), (0, 1)))
    long = L.Conv2D(4, 2)(pad(L.Conv2D(2, 2)(pad(x))))
    x = L.Concatenate()([L.MaxPooling2D(2, 1)(pad(x)), long])
    x = L.Conv2D(4, 3, 2, padding="same")(x)
    stages = [x]
    for _ in range(3):
        stages.append(L.Conv2D(4, 3, padding="same")(stages[-1]))
    rf = measured(L.Conv2D(4, 1)(L.Concatenate()(stages)), image)
    size = 3 + 2 * 2 + 2 * 2 + 3 * 2 * 4
    assert rf.rf_params.size == (size, size)
    assert rf.rf_params.stride == (4, 4)


def test_a_separable_block_of_xception_with_its_shortcut() -> None:
    image = keras.Input(SHAPE)
    x = image
    for _ in range(2):
        x = L.BatchNormalization()(L.SeparableConv2D(4, 3, padding="same")(L.ReLU()(x)))
    x = L.MaxPooling2D(3, 2, padding="same")(x)
    rf = measured(L.Add()([x, L.Conv2D(4, 1, 2)(image)]), image)
    assert rf.rf_params == ((1.5, 1.5), (2, 2), (7, 7))


def test_a_residual_unit_before_activation_with_a_pooled_shortcut() -> None:
    image = keras.Input(SHAPE)
    stem = L.Conv2D(4, 7, 2)(L.ZeroPadding2D(3)(image))
    x = L.ReLU()(L.BatchNormalization()(stem))
    x = L.Conv2D(2, 3, 2)(L.ZeroPadding2D(1)(L.Conv2D(2, 1)(x)))
    rf = measured(L.Add()([L.Conv2D(4, 1)(x), L.MaxPooling2D(1, 2)(stem)]), image)
    assert rf.rf_params == ((0.5, 0.5), (4, 4), (11, 11))


def test_an_inverted_residual_with_squeeze_and_excitation() -> None:
    image = keras.Input(SHAPE)
    x = L.Conv2D(4, 3, 2, padding="same")(image)
    y = L.DepthwiseConv2D(5, padding="same")(L.Conv2D(8, 1, activation="hard_swish")(x))
    gate = ops.mean(y, axis=(1, 2), keepdims=True)
    y = y * L.Conv2D(8, 1, activation="hard_sigmoid")(L.Conv2D(2, 1, activation="relu")(gate))
    rf = measured(L.Add()([x, L.Conv2D(4, 1)(y)]), image)
    assert rf.rf_params.size == (math.inf, math.inf)
    assert rf.compute(ignore_global_context=True).size == (11, 11)


def test_atrous_pyramid_pooling_of_deeplab() -> None:
    image = keras.Input(SHAPE)
    x = L.Conv2D(4, 3, 2, padding="same")(image)
    branches = [L.Conv2D(2, 1)(x)]
    branches += [L.Conv2D(2, 3, padding="same", dilation_rate=rate)(x) for rate in (1, 2, 3)]
    pooled = L.Conv2D(2, 1)(L.GlobalAveragePooling2D(keepdims=True)(x))
    branches.append(L.Resizing(16, 24)(pooled))
    rf = measured(L.Conv2D(4, 1)(L.Concatenate()(branches)), image)
    assert rf.rf_params.size == (math.inf, math.inf)
    local = rf.compute(ignore_global_context=True)
    assert (local.size, local.stride) == ((15, 15), (2, 2))


def test_a_feature_pyramid_of_retinanet() -> None:
    image = keras.Input(SHAPE)
    fine = L.Conv2D(4, 3, 2, padding="same")(image)
    coarse = L.Conv2D(4, 3, 2, padding="same")(fine)
    merged = L.Add()([L.Conv2D(2, 1)(fine), L.UpSampling2D(2)(L.Conv2D(2, 1)(coarse))])
    rf = measured(merged, image)
    # Two neighbours share a coarse cell of 7 pixels: the box that moves by 2 holds both.
    assert rf.rf_params.size == (9, 9)
    assert rf.rf_params.stride == (2, 2)
    assert rf.uniform == (False, False)
    assert rf.rect_at((4, 2)) == rf.rect_at((5, 3)) == Rect(8, 4, 15, 11)


class EfficientAttention(L.Layer):
    """The attention of SegFormer: keys and values from a coarser grid; the tokens are those of a square image."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.query, self.key, self.value = (L.Dense(4, name=name) for name in ("query", "key", "value"))
        self.reduction = L.Conv2D(4, 2, 2, name="reduction")

    def call(self, x: Any) -> Any:
        count = x.shape[1]
        side = math.isqrt(count)
        coarse = ops.reshape(self.reduction(ops.reshape(x, (-1, side, side, 4))), (-1, count // 4, 4))
        scores = ops.softmax(self.query(x) @ ops.transpose(self.key(coarse), (0, 2, 1)))
        return scores @ self.value(coarse)


def test_a_stage_of_segformer() -> None:
    image = keras.Input((64, 64, 3))
    x = L.Conv2D(4, 7, 4)(L.ZeroPadding2D(3)(image))
    tokens = ops.reshape(x, (-1, 256, 4))
    tokens = tokens + EfficientAttention(name="attention")(L.LayerNormalization()(tokens))
    mixed = L.DepthwiseConv2D(3, padding="same")(ops.reshape(L.Dense(8)(tokens), (-1, 16, 16, 8)))
    tokens = tokens + L.Dense(4)(ops.gelu(ops.reshape(mixed, (-1, 256, 8))))
    rf = measured(L.Reshape((16, 16, 4))(tokens), image)
    assert rf.rf_params.size == (math.inf, math.inf)
    local = rf.compute(ignore_global_context=True)
    assert (local.size, local.stride) == ((7 + 2 * 4, 7 + 2 * 4), (4, 4))


class WindowAttention(L.Layer):
    """Attention inside windows of 2x2 tokens, as in ViTDet and Swin."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.attention = L.MultiHeadAttention(2, 2, name="attention")

    def call(self, x: Any) -> Any:
        _, height, width, channels = x.shape
        windows = ops.reshape(x, (-1, height // 2, 2, width // 2, 2, channels))
        windows = ops.reshape(ops.transpose(windows, (0, 1, 3, 2, 4, 5)), (-1, 4, channels))
        mixed = ops.reshape(self.attention(windows, windows), (-1, height // 2, width // 2, 2, 2, channels))
        return x + ops.reshape(ops.transpose(mixed, (0, 1, 3, 2, 4, 5)), (-1, height, width, channels))


def test_windows_of_attention() -> None:
    image = keras.Input(SHAPE)
    patches = L.Conv2D(4, 4, 4)(image)
    rf = measured(WindowAttention(name="windows")(patches), image)
    assert rf.rf_params.size == (12, 12)
    assert rf.rf_params.stride == (4, 4)
    assert rf.uniform == (False, False)
    assert rf.rect_at((4, 2)) == rf.rect_at((5, 3)) == Rect(16, 8, 24, 16)


def test_tokens_of_a_vision_transformer_put_back_into_their_places() -> None:
    image = keras.Input(SHAPE)
    tokens = ops.reshape(L.Conv2D(4, 4, 4)(image), (-1, 96, 4))
    tokens = tokens + L.MultiHeadAttention(2, 2)(tokens, tokens)
    rf = measured(L.Reshape((8, 12, 4))(tokens), image)
    assert rf.rf_params.size == (math.inf, math.inf)
    assert rf.rf_params.stride == (4, 4)
    assert rf.compute(ignore_global_context=True).size == (4, 4)


@pytest.mark.parametrize("padding", ["causal", "same"])
def test_a_temporal_convolutional_network(padding: str) -> None:
    signal = keras.Input((256, 2))
    x = L.Conv1D(4, 1)(signal)
    skipped = []
    for dilation in (1, 2, 4):
        y = x
        for _ in range(2):
            y = L.ReLU()(L.Conv1D(4, 3, padding=padding, dilation_rate=dilation)(y))
        skipped.append(y)
        x = L.ReLU()(L.Add()([x, y]))
    model = keras.Model(signal, L.Add(name="sum")(skipped))
    looks = ModelLooks(model, Inputs(((256, 2),), 0), local=False)
    (axis,) = looks.fields(["sum"], lambda: None).axes("sum") or ()
    size = 1 + 2 * (3 - 1) * (1 + 2 + 4)
    low = 1 - size if padding == "causal" else -(size // 2)
    assert (axis.cells, axis.pixels) == (1, 1)
    assert axis.edges_at(100) == (100 + low, 100 + low + size)


class Gated(L.Layer):
    """A branch that does nothing before it is trained: its weights start at zero, and code makes something of them."""

    def __init__(self, product: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.product, self.conv = product, L.Conv2D(4, 3, padding="same", name="conv")

    def build(self, shape: Any) -> None:
        self.gate = self.add_weight(shape=(shape[-1],), initializer="zeros", name="gate")
        self.built = True

    def call(self, x: Any) -> Any:
        return x + self.product(self.conv(x), self.gate)


@pytest.mark.parametrize(
    "product",
    [
        lambda x, gate: ops.einsum("nyxc,c->nyxc", x, ops.reshape(gate, (4,))),
        lambda x, gate: ops.matmul(x, ops.expand_dims(gate, 1)),
        lambda x, gate: ops.conv(x, ops.reshape(gate, (1, 1, 4, 1))),
        lambda x, gate: x * ops.reshape(gate, (1, 1, 1, 4)),
    ],
    ids=["einsum", "matmul", "conv", "multiply"],
)
def test_weights_that_start_at_zero_are_no_mask(product: Any) -> None:
    image = keras.Input((32, 48, 4))
    rf = measured(Gated(product, name="gated")(image), image)
    assert rf.rf_params.size == (3, 3)
