"""Work that would not fit into memory is refused before it begins."""

from __future__ import annotations

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
        (10**5, lambda rf: rf.feature_map(), "The feature map of 'b' needs about"),
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
