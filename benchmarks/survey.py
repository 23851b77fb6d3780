"""Time a survey of all layers against building the model.

    python -m benchmarks.survey                       # ResNet50 and some others
    python -m benchmarks.survey --models DenseNet121

``build`` is the time that Keras takes to build the model, ``survey`` that of `KerasReceptiveField(model).survey()`` on
it; each is the best of three, after a tiny network has warmed the process up. ``ratio`` must not exceed 1.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from typing import Any

MODELS = "VGG16,ResNet50,MobileNetV2,InceptionV3,EfficientNetB0,DenseNet121"
RUNS = 3


def fastest(function: Callable[[], Any]) -> tuple[float, Any]:
    """Least time of some runs in seconds, and the last result."""
    times = []
    for _ in range(RUNS):
        began = time.perf_counter()
        result = function()
        times.append(time.perf_counter() - began)
    return min(times), result


def main() -> int:
    """Measure and print one line per model."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", default=MODELS, help="names in keras.applications, separated by commas")
    names = parser.parse_args().models.split(",")

    import keras

    from rfwidget.keras import KerasReceptiveField

    warm = keras.Sequential([keras.Input((32, 48, 3)), keras.layers.Conv2D(2, 3), keras.layers.BatchNormalization()])
    KerasReceptiveField(warm).survey()
    slow = False
    print(f"{'model':<20}{'layers':>8}{'build (s)':>12}{'survey (s)':>12}{'ratio':>8}")
    for name in names:
        keras.backend.clear_session()
        function = getattr(keras.applications, name)
        built, model = fastest(lambda function=function: function(weights=None))
        took, survey = fastest(lambda model=model: KerasReceptiveField(model).survey())
        slow |= took > built
        print(f"{name:<20}{len(survey):>8}{built:>12.2f}{took:>12.2f}{took / built:>8.2f}", flush=True)
    return int(slow)


if __name__ == "__main__":
    sys.exit(main())
