"""Gradients on processors for which TensorFlow has not all operations."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import keras, numpy as np, tensorflow as tf
from rfwidget import KerasReceptiveField

class Raw(keras.layers.Layer):
    def call(self, x):
        kernel = tf.reshape(tf.range(1.0, 7.0), (3, 2, 1, 1))
        return tf.nn.conv2d(x, kernel, 1, "VALID", dilations=(2, 3))

image = keras.Input((17, 21, 1))
rf = KerasReceptiveField(keras.Model(image, Raw(name="raw")(image)))
print(rf.compute().size)
for _ in range(2):
    gradient = rf.gradient_at((4, 6), np.ones((17, 21, 1), "float32"))[..., 0]
    rows, columns = np.nonzero(gradient)
    print(sorted(set(rows.tolist())), sorted(set(columns.tolist())), gradient[gradient != 0])
print(rf.verify())
"""


def test_a_dilated_convolution_of_tensorflows_own_has_gradients_where_only_onednn_has_them() -> None:
    environment = {**os.environ, "TF_ENABLE_ONEDNN_OPTS": "0", "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    size, first, second, *verified = done.stdout.splitlines()
    assert size == "Size(w=4, h=5)"
    assert first == second == "[6, 8, 10] [4, 7] [1. 2. 3. 4. 5. 6.]"
    assert verified[0] == "1 layer: all ways agree"
