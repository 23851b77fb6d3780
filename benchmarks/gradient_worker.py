"""One tool on one model and image size; does and times one thing for each line it reads.

Started by `benchmarks.gradients`, never by hand. It runs in the environment of the original library too, so it imports
nothing of this project at the top.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import time
from functools import partial


def readme(keras, shape):
    layers = keras.layers
    image = x = keras.Input(shape, name="input_image")
    for filters, kernel, pool in ((32, 5, False), (32, 3, True), (64, 3, False), (64, 3, True), (128, 3, False)):
        x = layers.Conv2D(filters, kernel, activation="linear")(x)
        x = layers.AveragePooling2D(2)(x) if pool else x
    return keras.Model(image, layers.Conv2D(128, 3, activation="linear", name="feature_grid")(x))


def application(name, keras, shape):
    image = keras.Input(shape, name="input_image")
    return getattr(keras.applications, name)(weights=None, include_top=False, input_tensor=image)


def build_function(keras, name):
    make = readme if name == "README" else partial(application, name)
    return lambda shape: make(keras, tuple(shape))


def points(w, h):
    """Cells around the centre, again and again."""
    k = 0
    while True:
        yield max(0, w // 2 - k % 5), max(0, h // 2 - k // 5 % 5)
        k += 1


class Ours:
    """This library; ``window=False`` lets it backpropagate through the whole image."""

    def __init__(self, name, size, layer, window=True):
        import keras
        import numpy as np

        from rfwidget.keras import KerasReceptiveField

        self._make = lambda: KerasReceptiveField(build_function(keras, name))
        self._shape, self._layer = (size, size, 3), layer
        self._image = np.random.default_rng(0).random(self._shape, np.float32)
        self._rf = None
        self._window = window

    def compute(self):
        self._rf = self._make()
        self._rf.compute(self._shape, "input_image", self._layer)
        if not self._window:
            vars(self._rf.network)["_fields"] = None  # a network that knows no field cannot plan a window
        self._points = points(*self._rf.output_shape[1:3])

    def prepare(self):
        self._rf.prepare(self._image)

    def gradient(self):
        self._rf.gradient_at(next(self._points), self._image)

    def batch(self):
        """Gradients of 64 cells; the time of each counts."""
        for _ in self._rf.gradient_patches([next(self._points) for _ in range(64)], self._image):
            pass

    def facts(self):
        height, width = self._rf.network.patches.window.shape
        return {"window": f"{width}x{height}"}


class Original:
    """The library that this one follows."""

    def __init__(self, name, size, layer):
        from receptivefield.keras import KerasReceptiveField
        from receptivefield.types import GridPoint
        from tensorflow import keras

        self._point = GridPoint
        self._make = lambda: KerasReceptiveField(build_function(keras, name))
        self._shape, self._layer = (size, size, 3), layer
        self._rf = None

    def compute(self):
        self._rf = self._make()
        self._rf.compute(self._shape, "input_image", [self._layer])
        grid = self._rf.output_shapes[0]
        self._points = points(grid.w, grid.h)

    def prepare(self):
        self.gradient()

    def gradient(self):
        self._rf._get_gradient_from_grid_points([self._point(*next(self._points))])[0].numpy()

    def facts(self):
        return {}


def timed(action):
    begin = time.perf_counter()
    action()
    return time.perf_counter() - begin


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tool", choices=["ours", "whole", "original"])
    parser.add_argument("model")
    parser.add_argument("size", type=int)
    parser.add_argument("layer")
    given = parser.parse_args()
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever the libraries print goes elsewhere
    case = given.model, given.size, given.layer
    tool = Original(*case) if given.tool == "original" else Ours(*case, window=given.tool == "ours")
    for line in sys.stdin:
        action, *times = line.split()
        if action == "facts":
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
            answer = {**tool.facts(), "peak": peak}
        else:
            answer = {"seconds": [timed(getattr(tool, action)) for _ in range(int(*times or "1"))]}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
