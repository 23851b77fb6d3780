"""Models of `keras.applications` against the arithmetic of their layers; `benchmarks/applications.py` does them all."""

from __future__ import annotations

import math

import keras
import pytest

from rfwidget.keras import KerasReceptiveField
from tests.formulas import line


def assert_exact(name: str, shape: tuple[int, int, int], ignore_global_context: bool = False) -> None:
    model = getattr(keras.applications, name)(weights=None, include_top=False, input_shape=shape)
    rf = KerasReceptiveField(model)
    description = rf.compute(ignore_global_context=ignore_global_context)
    for axis, requested in enumerate((rf.input_shape.w, rf.input_shape.h)):
        expected = line(model, rf.output_layer, axis, requested, ignore_global_context)
        assert description.size[axis] == expected.size
        if math.isfinite(expected.size):
            assert (description.stride[axis], description.offset[axis]) == (expected.stride, expected.offset)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("MobileNet", (96, 160, 3)),
        ("MobileNet", (101, 75, 3)),
        ("MobileNetV2", (96, 161, 3)),
        ("DenseNet121", (64, 97, 3)),
        ("Xception", (71, 96, 3)),
    ],
)
def test_finite_fields_are_exact(name, shape):
    assert_exact(name, shape)


@pytest.mark.parametrize("name", ["EfficientNetB0", "MobileNetV3Small"])
def test_squeeze_and_excitation_is_unbounded_and_its_local_path_exact(name):
    assert_exact(name, (64, 97, 3))
    assert_exact(name, (64, 97, 3), ignore_global_context=True)
