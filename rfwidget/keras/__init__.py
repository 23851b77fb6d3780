"""The Keras wing: exact receptive fields of any Keras 3 model."""

import importlib
import sys

from rfwidget.extras import brought_by
from rfwidget.keras.silent_import import held_back

with brought_by("tensorflow", "keras", "tensorflow"):
    if "keras" not in sys.modules:
        with held_back():
            importlib.import_module("keras")

    from rfwidget.keras.estimator import KerasReceptiveField

__all__ = ["KerasReceptiveField"]
