"""Layers measured in independent ways: they agree where all is right, and tell where something is not."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from keras import layers as L  # noqa: N812

from rfwidget.geometry import AxisField, FieldGeometry
from rfwidget.keras import KerasReceptiveField
from rfwidget.network import LayerField
from tests.box_filter import BoxReceptiveField
from tests.models import chain, readme_model_relu_max


def test_all_layers_of_the_readme_model_agree_in_all_ways() -> None:
    rf = KerasReceptiveField(readme_model_relu_max)
    rf.compute((48, 60, 3))
    checks = rf.verify("all")
    assert checks.agree
    assert [check.layer for check in checks] == list(rf.layers)
    assert {(check.gradients, check.pixels) for check in checks} == {("agrees", "agrees")}
    assert str(checks).startswith("8 layers: all ways agree\n")
    assert rf.output_layer == "feature_grid"  # as before


@pytest.mark.parametrize(("axis", "edges"), [(0, (1, 6)), (0, (0, 4)), (1, (0, 4)), (1, (0, 2))])
def test_a_field_that_is_off_by_a_pixel_is_contradicted(monkeypatch: pytest.MonkeyPatch, axis: int, edges: Any) -> None:
    """The right one is 0..5 along x and 0..3 along y."""
    rf = KerasReceptiveField(chain((20, 30, 2), L.Conv2D(3, (3, 5), name="conv")))
    rf.compute()
    right = [AxisField(1, 1, ((0, 5),)), AxisField(1, 1, ((0, 3),))]
    wrong = [field._replace(edges=(edges,)) if a == axis else field for a, field in enumerate(right)]
    said = LayerField(FieldGeometry(*wrong), rf.rf_params.size)
    monkeypatch.setattr(type(rf.network), "fields", lambda self, names, progress: dict.fromkeys(names, said))  # noqa: ARG005
    checks = rf.verify()
    assert not checks.agree
    assert f"along {'xy'[axis]} sees" in checks[0].gradients
    assert "1 contradicted" in str(checks)


def test_pixels_that_are_said_not_to_matter_are_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    rf = KerasReceptiveField(chain((20, 30, 2), L.Conv2D(3, (3, 5), name="conv")))
    rf.compute()
    response = type(rf.network).response

    def blind(self: Any, masks: Any) -> Any:
        seen = response(self, masks)
        seen[..., 14] = 0  # no cell of this column is said to see anything
        return seen

    monkeypatch.setattr(type(rf.network), "response", blind)
    checks = rf.verify()
    assert not checks.agree
    assert checks[0].pixels.startswith("differs: cell (14, ")


def test_code_that_numbers_cannot_follow_is_said_to_be_so() -> None:
    model = chain((20, 30, 2), L.Conv2D(3, (3, 5)), L.Lambda(lambda x: keras.ops.numpy.sign(x)), L.Conv2D(2, 3))
    rf = KerasReceptiveField(model)
    assert rf.compute().size == (7, 5)
    (check,) = rf.verify()
    assert not check.wrong
    assert check.size == (7, 5)


def test_weights_that_hide_pixels_contradict_nothing() -> None:
    model = chain((20, 30, 2), L.Conv2D(3, (3, 5)))
    model.layers[-1].set_weights([np.zeros((3, 5, 2, 3)), np.zeros(3)])
    rf = KerasReceptiveField(model)
    rf.compute()
    (check,) = rf.verify()
    assert (check.gradients, check.pixels, check.wrong) == ("agrees", "none contradicts (weights hide some)", False)


def test_a_framework_without_a_way_of_its_own_is_checked_by_pixels_too() -> None:
    rf = BoxReceptiveField()
    rf.compute((40, 64, 3))
    checks = rf.verify(["wide", "tall"])
    assert [check.size for check in checks] == [(12, 6), (5, 9)]
    assert {check.pixels for check in checks} == {"agrees"}
