"""Variables of TensorFlow that a user's layer holds beside those of Keras."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import tensorflow as tf


@contextmanager
def kept(layer: Any) -> Iterator[None]:
    """While code of the layer runs that may write to its variables: afterwards they are what they were.

    Keras' own variables have a scope for that (`keras.StatelessScope`); these have none.
    """
    own = {id(getattr(variable, "_value", None)) for variable in layer.weights}
    found = [part for part in tf.train.TrackableView(layer).descendants() if isinstance(part, tf.Variable)]
    before = [(variable, variable.read_value()) for variable in found if id(variable) not in own]
    try:
        yield
    finally:
        for variable, value in before:
            if not np.array_equal(variable.numpy(), value.numpy()):
                variable.assign(value)
