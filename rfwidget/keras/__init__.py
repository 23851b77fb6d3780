"""The Keras wing: exact receptive fields of any Keras 3 model."""

import sys

from rfwidget.keras.quiet import held_back

if "keras" not in sys.modules:
    with held_back():
        import keras

from rfwidget.keras.receptive_field import KerasReceptiveField

__all__ = ["KerasReceptiveField"]
