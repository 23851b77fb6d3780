"""Compare gradients on windows with those on the whole image, on many networks.

    python -m benchmarks.windows --networks 100 --seed 0              # random ones
    python -m benchmarks.windows --models Xception,InceptionV3        # of keras.applications, untrained

Prints the largest relative difference for each, and the window in use; ends with status 1 if one is no round-off.
"""

from __future__ import annotations

import argparse
import sys

import keras
import numpy as np

from rfwidget.keras import KerasReceptiveField
from rfwidget.keras.network import KerasNetwork
from tests.blueprint_models import build, randomise
from tests.windows import measured, spacious, worst_difference

TOLERANCE = 1e-3  # a ReLU or a maximum may switch by round-off


def compare(name: str, network: KerasNetwork, most: int) -> bool:
    """Print one line; whether the gradients agree."""
    worst = worst_difference(network, most)
    height, width = network.patches.window.shape
    shape = network.input_shape
    verdict = "" if worst <= TOLERANCE else "  DIFFERS"
    print(f"{name}: window {width}x{height} of {shape.w}x{shape.h}, difference {worst:.1e}{verdict}", flush=True)
    return worst <= TOLERANCE


def compare_model(name: str) -> bool:
    """A model of `keras.applications` on a larger image than usual, up to its last layer with a stride of 8."""
    width, height = 320, 288
    model = getattr(keras.applications, name)(weights=None, include_top=False, input_shape=(height, width, 3))
    rf = KerasReceptiveField(model)
    rf.compute()
    layer = [path for path, grid in rf.layers.items() if grid.w > width / 12][-1]
    return compare(f"{name}, {layer}", measured(model, layer=layer), most=8)


def compare_network(seed: int) -> bool:
    """A random network."""
    blueprint = spacious(seed)
    model = build(blueprint, activation="tanh")
    randomise(model, np.random.default_rng(seed))
    return compare(f"network {seed}", measured(model), most=40)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--models", default="", help="names in keras.applications, comma-separated")
    parser.add_argument("--networks", type=int, default=0, help="number of random networks")
    parser.add_argument("--seed", type=int, default=0, help="number of the first network")
    given = parser.parse_args()
    agree = [compare_model(name) for name in given.models.split(",") if name]
    agree += [compare_network(given.seed + number) for number in range(given.networks)]
    return 0 if all(agree) else 1


if __name__ == "__main__":
    sys.exit(main())
