"""Gradients on processors for which TensorFlow has not all operations."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import keras, numpy as np, tensorflow as tf
from rfwidget import KerasReceptiveField

def kernel(*shape):
    return tf.reshape(tf.range(1.0, np.prod(shape) + 1), shape)

class Raw(keras.layers.Layer):
    def call(self, x):
        return {call}

image = keras.Input({shape})
rf = KerasReceptiveField(keras.Model(image, Raw(name="raw")(image)))
print(rf.compute().size)
for _ in range(2):
    gradient = rf.gradient_at({cell}, np.ones({shape}, "float32"), channel=0)
    print(gradient[gradient != 0].astype(int).tolist(), *[sorted(set(at.tolist())) for at in np.nonzero(gradient)])
print(rf.verify())
"""

CALLS = {
    "dilated": ("tf.nn.conv2d(x, kernel(3, 2, 1, 1), 1, 'VALID', dilations=(2, 3))", (17, 21, 1), (4, 6)),
    "grouped": ("tf.nn.conv2d(x, kernel(3, 2, 1, 2), 1, 'VALID')", (17, 21, 2), (4, 6)),
    "depthwise": (
        "tf.nn.depthwise_conv2d(x, kernel(3, 2, 1, 1), [1, 1, 2, 1], 'VALID')[:, :, ::2]",
        (17, 21, 1),
        (4, 6),
    ),
    # Of unequal dilations along rows and columns TensorFlow 2.21 tells a shape that is not the result's.
    "volumes": (
        "tf.nn.conv3d(x, kernel(3, 1, 2, 1, 1), [1] * 5, 'VALID', dilations=[1, 2, 3, 3, 1])",
        (9, 7, 11, 1),
        (4, 3, 2),
    ),
}
EXPECTED = {
    "depthwise": ["Size(w=2, h=3)", "[1, 2, 3, 4, 5, 6] [6, 7, 8] [16, 17] [0]"],
    "dilated": ["Size(w=4, h=5)", "[1, 2, 3, 4, 5, 6] [6, 8, 10] [4, 7] [0]"],
    "grouped": ["Size(w=2, h=3)", "[1, 3, 5, 7, 9, 11] [6, 7, 8] [4, 5] [0]"],
    "volumes": ["Size(w=4, h=1, d=5)", "[1, 2, 3, 4, 5, 6] [2, 4, 6] [3] [4, 7] [0]"],
}


@pytest.mark.parametrize("name", CALLS)
def test_convolutions_of_tensorflows_own_have_gradients_where_only_onednn_has_them(name: str) -> None:
    call, shape, cell = CALLS[name]
    environment = {**os.environ, "TF_ENABLE_ONEDNN_OPTS": "0", "PYTHONPATH": str(Path(__file__).parents[2])}
    program = PROGRAM.format(call=call, shape=shape, cell=cell)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    size, first, second, *verified = done.stdout.splitlines()
    assert [size, first] == EXPECTED[name]
    assert second == first
    assert verified[0] == "1 layer: all ways agree"
