"""Small networks whose receptive fields are known in closed form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import layers


def readme_model(
    input_shape: Sequence[int], activation: str = "linear", pooling: Any = layers.AveragePooling2D
) -> keras.Model:
    """The README model: size 34, stride 4, offset 17."""

    def conv(filters: int, kernel: int, name: str | None = None) -> Any:
        return layers.Conv2D(filters, kernel, activation=activation, name=name)

    return keras.Sequential(
        [
            keras.Input(tuple(input_shape), name="input_image"),
            *(conv(32, 5), conv(32, 3), pooling(2)),
            *(conv(64, 3), conv(64, 3), pooling(2)),
            *(conv(128, 3), conv(128, 3, name="feature_grid")),
        ]
    )


def readme_model_relu_max(input_shape: Sequence[int]) -> keras.Model:
    """The same with the layers everybody uses."""
    return readme_model(input_shape, "relu", layers.MaxPooling2D)


def chain(input_shape: Sequence[int | None], *stack: Any) -> keras.Model:
    """Layers one after the other."""
    return keras.Sequential([keras.Input(tuple(input_shape)), *stack])
