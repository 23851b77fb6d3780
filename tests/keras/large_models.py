"""Models that need much memory if they are measured carelessly; each is built by a function without arguments."""

from __future__ import annotations

import sys
from typing import Any

import keras
from keras import layers as L  # noqa: N812
from keras import ops


def deeplab() -> keras.Model:
    """Dilated branches and image pooling behind five strides, a decoder in two steps."""
    image = x = keras.Input((512, 1024, 3))
    low: Any = None
    for step, filters in enumerate((16, 32, 64, 128, 512)):
        x = L.Conv2D(filters, 3, strides=2, padding="same", activation="relu")(x)
        low = x if step == 1 else low
    pooled = L.Conv2D(48, 1)(L.GlobalAveragePooling2D(keepdims=True)(x))
    branches = [L.Conv2D(48, 3, dilation_rate=rate, padding="same")(x) for rate in (6, 12, 18)]
    rows, columns = x.shape[1:3]
    x = L.Concatenate()([*branches, L.UpSampling2D((rows, columns), interpolation="bilinear")(pooled)])
    x = L.Concatenate()([L.UpSampling2D(8, interpolation="bilinear")(x), L.Conv2D(12, 1)(low)])
    return keras.Model(image, L.UpSampling2D(4, interpolation="bilinear")(L.Conv2D(21, 3, padding="same")(x)))


def segformer() -> keras.Model:
    """Four stages of attention whose keys are reduced by strides, at 16,384 tokens first."""

    def block(x: Any, ratio: int) -> Any:
        height, width, channels = x.shape[1:]
        y = L.LayerNormalization()(x)
        keys = L.Conv2D(channels, ratio, strides=ratio)(y) if ratio > 1 else y
        query, keys = (L.Reshape((-1, channels))(part) for part in (y, keys))
        y = L.Reshape((height, width, channels))(L.MultiHeadAttention(2, channels // 2)(query, keys))
        x = L.Add()([x, y])
        y = L.DepthwiseConv2D(3, padding="same")(L.Dense(2 * channels)(L.LayerNormalization()(x)))
        return L.Add()([x, L.Dense(channels)(y)])

    image = x = keras.Input((512, 512, 3))
    for filters, ratio, kernel, stride in ((16, 8, 7, 4), (32, 4, 3, 2), (64, 2, 3, 2), (128, 1, 3, 2)):
        x = L.Conv2D(filters, kernel, strides=stride, padding="same")(x)
        x = block(block(x, ratio), ratio)
    return keras.Model(image, x)


def unet() -> keras.Model:
    """Four levels at 2048 x 2048 pixels."""
    image = x = keras.Input((2048, 2048, 3))
    skips = []
    for filters in (16, 32, 64, 128):
        x = L.Conv2D(filters, 3, padding="same", activation="relu")(x)
        skips.append(x)
        x = L.MaxPooling2D(2)(x)
    for filters, skip in zip((128, 64, 32, 16), reversed(skips), strict=True):
        x = L.Concatenate()([L.Conv2DTranspose(filters, 2, strides=2)(x), skip])
        x = L.Conv2D(filters, 3, padding="same", activation="relu")(x)
    return keras.Model(image, L.Conv2D(2, 1)(x))


def inception() -> keras.Model:
    """InceptionResNetV2, 779 layers."""
    return keras.applications.InceptionResNetV2(weights=None)


def wide() -> keras.Model:
    """4096 channels."""
    image = keras.Input((512, 512, 3))
    x = L.DepthwiseConv2D((3, 5), padding="same")(L.Conv2D(4096, 1)(image))
    return keras.Model(image, L.Conv2D(16, 3, strides=2)(L.BatchNormalization()(x)))


def main(name: str) -> None:
    """Measure one of them in a limited address space, and print what it took."""
    import resource

    from rfwidget.keras import KerasReceptiveField
    from tests.memory_peak import peak

    model = globals()[name]()
    before = peak()
    resource.setrlimit(resource.RLIMIT_AS, (12 << 30, 12 << 30))
    rf = KerasReceptiveField(model)
    size = rf.compute().size
    layers = len(rf.survey())
    cell = (rf.output_shape.w // 2, rf.output_shape.h // 3)
    rf.rect_at(cell, clip=True)
    seeing = int(rf.cells_seeing((100, 90)).sum())
    measured = peak()
    moved = bool(ops.convert_to_numpy(rf.gradient_at(cell)).any())
    after = peak()
    print(size.w, layers, seeing, moved, measured - before, after - before)  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1])
