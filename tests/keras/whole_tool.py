"""Everything that rfwidget does with a Keras model, once, on whichever backend Keras runs: `python -m` runs it.

Behind it stands where the widget's page is to be written.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from rfwidget import KerasReceptiveField, RFWidget
from rfwidget.types import Size
from tests.models import readme_model_relu_max

SHAPE = (60, 84, 3)


def main(page: str) -> None:
    """Assert that all of it works, and that the model stays as it was."""
    model = readme_model_relu_max(SHAPE)
    before = [np.array(weight) for weight in model.get_weights()]
    rf = KerasReceptiveField(model)
    assert rf.compute().size == Size(34, 34)
    assert rf.verify().agree
    effective = rf.effective(n=1, points=[(2, 2), (3, 1)])
    assert 0 < effective.size.w <= 34
    plain = KerasReceptiveField(model, init_weights=True)
    plain.compute()
    assert plain.gradient_at((3, 2)).any()

    widget = RFWidget(model)
    assert type(widget.rf) is KerasReceptiveField
    assert widget.wait(120, background=True)
    widget.selected = (3, 2)
    assert widget.wait(120, background=True)
    clicked = widget.gradient
    assert clicked is not None
    assert clicked.shape == SHAPE
    assert clicked.any()
    widget.to_html(page)
    assert Path(page).exists()
    widget.close()

    rf.feature_map()
    weight = model.weights[0]
    map_before = rf.gradient_at((3, 2))
    weight.assign(2 * np.asarray(before[0]))
    assert not np.allclose(rf.gradient_at((3, 2)), map_before)  # weights are read at every call
    weight.assign(before[0])
    np.testing.assert_allclose(rf.gradient_at((3, 2)), map_before, atol=1e-6 * np.abs(map_before).max())
    for own, held in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(own, held)


if __name__ == "__main__":
    main(*sys.argv[1:])
