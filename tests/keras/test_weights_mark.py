"""Whether a model's weights have changed is seen, and only then."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from rfwidget import KerasReceptiveField
from rfwidget.keras import weighted


def small(init_weights: bool = False) -> tuple[keras.Model, KerasReceptiveField]:
    x = image = keras.Input((20, 28, 3))
    for name, size in (("first", (3, 5)), ("second", (5, 3)), ("third", 3)):
        x = keras.layers.Conv2D(4, size, activation="relu", name=name)(x)
    x = keras.layers.BatchNormalization(name="norm")(x)
    model = keras.Model(image, x)
    rf = KerasReceptiveField(model, init_weights=init_weights)
    rf.compute((20, 28, 3), output_layer="second")
    return model, rf


def test_any_weight_counts() -> None:
    model, rf = small()
    before = rf.network.weights_mark()
    assert rf.network.weights_mark() == before
    for name in ("first", "second"):
        for variable in model.get_layer(name).weights:
            values = variable.numpy()
            values.flat[-1] += 1e-3
            variable.assign(values)
            after = rf.network.weights_mark()
            assert after != before, variable.path
            before = after


def test_of_a_large_model_some_values_of_each_weight_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weighted, "_LARGE", 10)
    monkeypatch.setattr(weighted, "_LOOKED_AT", 4)
    model, rf = small()
    before = rf.network.weights_mark()
    for variable in model.weights:
        variable.assign(np.asarray(variable) + 1)
        after = rf.network.weights_mark()
        assert after != before, variable.path
        before = after


def test_constant_weights_never_change() -> None:
    model, rf = small(init_weights=True)
    before = rf.network.weights_mark()
    model.set_weights([values + 1 for values in model.get_weights()])
    assert rf.network.weights_mark() == before


def test_training_counts() -> None:
    model, rf = small()
    before = rf.network.weights_mark()
    model.compile("sgd", "mse")
    rng = np.random.default_rng(0)
    model.fit(rng.normal(size=(2, 20, 28, 3)), rng.normal(size=(2, *model.output_shape[1:])), verbose=0)
    assert rf.network.weights_mark() != before


@pytest.mark.parametrize("at_once", [1, 2, 3, 16, None])
def test_maps_are_the_same_however_many_are_made_at_once(at_once: int | None) -> None:
    _, rf = small()
    cells = [(x, y) for y in range(3) for x in range(3)]
    expected = [rf.gradient_at(cell) for cell in cells]
    for _ in range(2):
        for cell, patch, whole in zip(cells, rf.gradient_patches(cells, at_once=at_once), expected, strict=True):
            found = np.zeros_like(whole)
            found[patch.rows, patch.columns] = patch.values
            np.testing.assert_allclose(found, whole, atol=1e-4 * np.abs(whole).max(), err_msg=str(cell))
