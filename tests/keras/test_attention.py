"""Attentions of Keras models (`tests.keras.attention_by_hand`), and what is said where they cannot be followed."""

from __future__ import annotations

from typing import Any

import keras
import pytest
import tensorflow as tf
from keras import layers

from rfwidget.errors import ReceptiveFieldError
from rfwidget.keras import KerasReceptiveField
from tests.keras import attention_by_hand
from tests.keras.test_backends import run


def test_weights_and_their_rollout_are_those_computed_by_hand_however_attention_is_written() -> None:
    attention_by_hand.check_weights_and_rollout()


@pytest.mark.filterwarnings("ignore:'second' can only be run")
def test_windows_are_scattered_to_their_places_also_round_the_border() -> None:
    attention_by_hand.check_windows()


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_other_backends_say_the_same(backend: str) -> None:
    run(backend, "-m", "tests.keras.attention_by_hand")


class Foreign(layers.Layer):
    """Attention that does not speak to Keras."""

    def call(self, x: Any) -> Any:
        tokens = tf.reshape(x, (-1, 20, x.shape[-1]))
        weights = tf.nn.softmax(tf.matmul(tokens, tokens, transpose_b=True))
        return tf.reshape(tf.matmul(weights, tokens), tf.shape(x))


def test_attention_in_code_that_does_not_speak_to_keras_is_said_to_be_unseen() -> None:
    image = keras.Input((24, 40, 3))
    x = layers.Conv2D(8, (6, 8), (6, 8))(image)
    rf = KerasReceptiveField(keras.Model(image, layers.Add(name="grid")([x, Foreign(name="foreign")(x)])))
    rf.compute(output_layer="grid")
    assert not rf.attentions
    with pytest.raises(ReceptiveFieldError, match="tokens are not followed through foreign"):
        rf.attention_at((1, 1))
