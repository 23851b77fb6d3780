from __future__ import annotations

import threading
from typing import Any

import keras

from rfwidget.keras import KerasReceptiveField


def test_the_build_function_runs_under_the_callers_dtype_policy_on_any_thread() -> None:
    seen: list[str] = []

    def build(input_shape: Any) -> keras.Model:
        seen.append(keras.config.dtype_policy().name)
        return keras.Sequential([keras.Input(input_shape), keras.layers.Conv2D(2, (3, 5))])

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float64")
    try:
        rf = KerasReceptiveField(build)
        after: list[str] = []

        def work() -> None:
            own = keras.config.dtype_policy()
            rf.compute((12, 20, 3))
            after.append("kept" if keras.config.dtype_policy() == own else "changed")

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    finally:
        keras.config.set_dtype_policy(before)
    assert seen == ["float64"]
    assert after == ["kept"]
    assert rf.rf_params.size == (5, 3)


def test_boxes_that_come_first_are_not_taken_for_the_image() -> None:
    boxes, image = keras.Input((None, 2, 2), name="boxes"), keras.Input((31, 44, 3), name="images")
    gate = keras.ops.mean(boxes, axis=(1, 2, 3), keepdims=True)
    model = keras.Model([boxes, image], keras.layers.Conv2D(4, (3, 5))(image) * gate)
    rf = KerasReceptiveField(model)
    assert rf.compute().size == (5, 3)
    assert rf.input_layer == "images"
    assert rf.input_shape[1:] == (44, 31, 3)
