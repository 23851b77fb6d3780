"""The Keras wing: exact receptive fields of any Keras 3 model."""

from rfwidget.keras.receptive_field import KerasReceptiveField

__all__ = ["KerasReceptiveField"]
