"""Work that would not fit into memory is refused before it begins."""

from __future__ import annotations

import subprocess
import sys

import keras
import numpy as np
import pytest

from rfwidget._measure import memory as limits
from rfwidget._measure.memory import Footprint
from rfwidget.errors import ReceptiveFieldError
from rfwidget.keras import KerasReceptiveField
from tests.models import chain

SHAPE = (40, 56, 3)


def wide(input_shape: tuple[int, ...]) -> keras.Model:
    return chain(input_shape, keras.layers.Conv2D(64, (3, 5), name="a"), keras.layers.Conv2D(8, 3, name="b"))


def test_a_footprint_counts_the_maps_up_to_the_layer() -> None:
    rf = KerasReceptiveField(wide)
    for layer, maps in {"a": [40 * 56 * 3, 38 * 52 * 64], "b": [40 * 56 * 3, 38 * 52 * 64, 36 * 50 * 8]}.items():
        rf.compute(SHAPE, output_layer=layer)
        footprint = rf.network._footprint
        assert isinstance(footprint, Footprint)
        assert footprint.image == 40 * 56
        assert (footprint.full, footprint.largest) == (sum(maps), max(maps))
    assert footprint.thin == 40 * 56 + 38 * 52 + 36 * 50


@pytest.mark.parametrize(
    ("free", "ask", "words"),
    [
        (10**4, lambda rf: rf.gradient_at((0, 0)), "Backpropagating from 'b' on"),
        (10**4, lambda rf: rf.feature_map(), "The feature map of 'b' needs about"),
        (10**4, lambda rf: rf.cells_seeing((3, 3)), "Following pixels to 'b' needs"),
    ],
)
def test_what_does_not_fit_is_refused_and_works_once_it_fits(monkeypatch, free: int, ask, words: str) -> None:
    rf = KerasReceptiveField(wide)
    before = rf.compute(SHAPE)
    with monkeypatch.context() as small:
        small.setattr(limits, "free_memory", lambda: free)
        with pytest.raises(ReceptiveFieldError, match=words):
            ask(rf)
    assert rf.rf_params == before
    ask(rf)
    assert np.isfinite(rf.rf_params.size).all()


def test_measuring_needs_next_to_nothing(monkeypatch) -> None:
    monkeypatch.setattr(limits, "free_memory", lambda: 10**4)
    rf = KerasReceptiveField(wide)
    assert rf.compute((800, 560, 3)).size == (7, 5)
    assert rf.rect_at((0, 0), clip=True) == (0, 0, 7, 5)


@pytest.mark.parametrize(
    ("model", "size", "layers"),
    [
        ("deeplab", "inf", 17),
        ("segformer", "inf", 98),
        ("unet", "91", 21),
        ("inception", "3039", 779),
        ("wide", "7", 4),
    ],
)
def test_large_models_are_measured_in_less_than_three_gibibytes(model: str, size: str, layers: int) -> None:
    """In a process of its own with an address space of 12 GiB, of which TensorFlow itself takes some."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.keras.large_models", model],
        capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    *found, measured, differentiated = done.stdout.split()
    assert found[:2] == [size, str(layers)]
    assert int(found[2]) > 0
    assert found[3] == "True"
    assert float(measured) < 1
    assert float(differentiated) < 3
