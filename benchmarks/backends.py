"""Keras on TensorFlow, JAX and PyTorch: what a gradient map, a `compute` and a survey cost on each.

    python -m benchmarks.backends            # prints the table, and puts it into docs/frameworks.md
    python -m benchmarks.backends --rounds 5

Each backend runs in a process of its own; the processes take turns, and figures are the least of all rounds, so that
whatever else the machine does meets all alike.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.machine import describe_machine

BACKENDS = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "PyTorch"}
MODELS = ("README", "MobileNetV2")
PAGE = Path(__file__).parents[1] / "docs" / "frameworks.md"
START, END = "<!-- table -->", "<!-- end of table -->"


def least(function: Callable[[], Any], times: int) -> float:
    """Least seconds of some calls."""
    found = []
    for _ in range(times):
        began = time.perf_counter()
        function()
        found.append(time.perf_counter() - began)
    return min(found)


def measure() -> dict[str, Any]:
    """Seconds for each model, on the backend of this process."""
    import keras
    import numpy as np

    from rfwidget.keras import KerasReceptiveField
    from tests.models import readme_model_relu_max

    found: dict[str, Any] = {}
    for name in MODELS:
        if name == "README":
            model, layer, shape = readme_model_relu_max((96, 96, 3)), None, (96, 96, 3)
        else:
            layer = "block_6_expand"
            shape = (224, 224, 3)
            model = getattr(keras.applications, name)(weights=None, include_top=False, input_shape=shape)
        rf = KerasReceptiveField(model)
        rf.compute(output_layer=layer)
        image = np.random.default_rng(1).random(shape, np.float32)
        began = time.perf_counter()
        rf.gradient_at((3, 5), image)
        first = time.perf_counter() - began
        found[name] = {
            "compute": least(lambda m=model, own=layer: KerasReceptiveField(m).compute(output_layer=own), 3),  # type: ignore[misc]
            "survey": least(lambda m=model: KerasReceptiveField(m).survey(), 2),  # type: ignore[misc]
            "first": first,
            "gradient": least(lambda r=rf, i=image: r.gradient_at((4, 6), i), 30),  # type: ignore[misc]
        }
    packages = {"tensorflow": "tensorflow", "jax": "jax", "torch": "torch"}
    module = __import__(packages[keras.backend.backend()])
    return {"models": found, "versions": [keras.__version__, module.__version__]}


def rounds(count: int) -> dict[str, Any]:
    """The least of what the backends take, in turns."""
    best: dict[str, Any] = {}
    for _ in range(count):
        for backend in BACKENDS:
            environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
            command = [sys.executable, "-m", "benchmarks.backends", "--worker"]
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
            now = json.loads(done.stdout.splitlines()[-1])
            old = best.setdefault(backend, now)
            for name, times in now["models"].items():
                for key, seconds in times.items():
                    old["models"][name][key] = min(old["models"][name][key], seconds)
    return best


def table(best: dict[str, Any], count: int) -> str:
    """The table, and how it was made."""
    lines = [
        "| model | backend | gradient map of a cell (ms) | the first one (s) | `compute` (ms) | survey (ms) |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name in MODELS:
        for backend, words in BACKENDS.items():
            own = best[backend]["models"][name]
            numbers = f"{own['gradient'] * 1e3:.1f} | {own['first']:.1f} | {own['compute'] * 1e3:.0f}"
            lines.append(f"| {name} | {words} | {numbers} | {own['survey'] * 1e3:.0f} |")
    versions = ", ".join(f"{words} {best[backend]['versions'][1]}" for backend, words in BACKENDS.items())
    keras = best["tensorflow"]["versions"][0]
    how = f"Written by `python -m benchmarks.backends --rounds {count}` on {describe_machine()}"
    return "\n".join([*lines, "", f"{how}; Keras {keras}, {versions}."])


def main() -> None:
    """Print the table and put it into its page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        print(json.dumps(measure()))
        return
    made = table(rounds(options.rounds), options.rounds)
    print(made)
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(START)
    PAGE.write_text(f"{before}{START}\n\n{made}\n\n{END}{rest.partition(END)[2]}", encoding="utf-8")


if __name__ == "__main__":
    main()
