"""Models of volumes: the widget says at once that it shows images and sequences."""

from __future__ import annotations

from typing import Any

import keras
import pytest
from keras import layers
from torch import nn

from rfwidget import RFWidget
from rfwidget.errors import ReceptiveFieldError


@pytest.mark.parametrize(
    ("model", "word"),
    [
        (keras.Sequential([keras.Input((8, 9, 10, 2)), layers.Conv3D(3, 3)]), "volume"),
        (nn.Conv3d(2, 3, 5), "volume"),
    ],
)
def test_other_models_are_refused_in_a_sentence(model: Any, word: str) -> None:
    with pytest.raises(ReceptiveFieldError, match=f"RFWidget shows images and sequences so far, and this is a {word}"):
        RFWidget(model)


def test_other_shapes_are_refused_in_a_sentence() -> None:
    with pytest.raises(ReceptiveFieldError, match="RFWidget shows images and sequences so far, and this is a volume"):
        RFWidget(lambda input_shape: keras.Sequential([keras.Input(input_shape)]), input_shape=(8, 9, 10, 2))
