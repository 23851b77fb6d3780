"""Measure every model of `keras.applications` at its default size, and write the table `docs/models.md`.

    python -m benchmarks.applications                               # all of them
    python -m benchmarks.applications --models VGG16,NASNetMobile   # some, printed only

Each model runs in a process of its own with untrained weights. Times are of one build and one measurement, after a tiny
network of its own has warmed the process up; the peak is that of the whole process, the user's model included.
"""

from __future__ import annotations

import argparse
import inspect
import json
import math
import os
import platform
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

TABLE = Path(__file__).resolve().parent.parent / "docs" / "models.md"
TIME_LIMIT = 1800  # seconds for one model
HEADINGS = (
    "model",
    "input",
    "layer",
    "size",
    "stride",
    "offset",
    "local size",
    "exact",
    "build (s)",
    "compute (s)",
    "ratio",
    "peak (GiB)",
)


def measure(name: str) -> dict[str, Any]:
    """Build and measure one model in this process."""
    import keras

    from rfwidget.keras import KerasReceptiveField

    warm = keras.Sequential([keras.Input((32, 48, 3)), keras.layers.Conv2D(2, 3), keras.layers.BatchNormalization()])
    KerasReceptiveField(warm).compute()

    began = time.perf_counter()
    model = getattr(keras.applications, name)(weights=None)
    built = time.perf_counter()
    own_peak = _peak()
    rf = KerasReceptiveField(model)
    description = rf.compute()
    computed = time.perf_counter()
    peak = _peak()
    exact = _by_arithmetic(model, rf)
    local = None
    if any(description.unbounded):
        local = rf.compute(ignore_global_context=True).size
        exact = exact and _by_arithmetic(model, rf, ignore_global_context=True)
    return {
        "model": name,
        "input": [rf.input_shape.w, rf.input_shape.h],
        "layer": rf.output_layer,
        "size": list(description.size),
        "stride": list(description.stride),
        "offset": list(description.offset),
        "uniform": list(rf.uniform),
        "exact": exact,
        "local": None if local is None else list(local),
        "build": built - began,
        "compute": computed - built,
        "peak": peak,
        "own peak": own_peak,
    }


def _by_arithmetic(model: Any, rf: Any, ignore_global_context: bool = False) -> bool:
    """Whether the arithmetic of the model's layers gives the same numbers."""
    from tests.formulas import line

    size, stride, offset = rf.rf_params.size, rf.rf_params.stride, rf.rf_params.offset
    for axis, requested in enumerate((rf.input_shape.w, rf.input_shape.h)):
        expected = line(model, rf.output_layer, axis, requested, ignore_global_context)
        if size[axis] != expected.size:
            return False
        if math.isfinite(expected.size) and (stride[axis], offset[axis]) != expected[1:]:
            return False
    return True


def model_names() -> list[str]:
    """All model functions of `keras.applications`."""
    import keras

    return [name for name, value in vars(keras.applications).items() if inspect.isfunction(value)]


def _peak() -> float:
    """Largest resident memory of this process so far, in GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def in_a_process(module: str, name: str, seconds: float, memory: int = resource.RLIM_INFINITY) -> dict[str, Any]:
    """What a benchmark's module measures of one model, in a process of its own with at most so many bytes."""
    command = [sys.executable, "-m", f"benchmarks.{module}", "--only", name]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=seconds,
            env=environment,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (memory, memory)),
        )
        return json.loads(done.stdout.strip().splitlines()[-1])
    except subprocess.TimeoutExpired:
        return {"model": name, "error": f"not finished within {seconds} s"}
    except (IndexError, json.JSONDecodeError):
        return {"model": name, "error": (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]}


def _pair(values: list[float] | None, join: str = " x ") -> str:
    """One number where both axes agree."""
    if values is None:
        return ""
    words = ["unbounded" if value == float("inf") else f"{value:g}" for value in values]
    return words[0] if words[0] == words[1] else join.join(words)


def _row(result: dict[str, Any]) -> tuple[str, ...]:
    if "error" in result:
        return (result["model"], f"failed: {result['error']}", *[""] * (len(HEADINGS) - 2))
    return (
        result["model"],
        _pair(result["input"]),
        f"`{result['layer']}`",
        _pair(result["size"]) + ("" if all(result["uniform"]) else " (not uniform)"),
        _pair(result["stride"]),
        _pair(result["offset"], ", "),
        _pair(result["local"]),
        "yes" if result["exact"] else "**no**",
        f"{result['build']:.1f}",
        f"{result['compute']:.1f}",
        f"{result['compute'] / result['build']:.2f}",
        f"{result['peak']:.2f}",
    )


def _machine() -> str:
    import keras
    import tensorflow

    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{os.cpu_count()} cores ({platform.machine()}), {memory:.0f} GiB of memory, no GPU; Python "
        f"{platform.python_version()}, TensorFlow {tensorflow.__version__}, Keras {keras.__version__}"
    )


def page(results: list[dict[str, Any]]) -> str:
    """The Markdown page of the table."""
    lines = [
        "# Receptive fields of `keras.applications`",
        "",
        "Every model at its default input size and without a named layer, that is, at its last layer with a 2-D grid.",
        "Size, stride and offset are in pixels and alike on both axes unless two numbers are given. *Unbounded*: the",
        "field grows with the image, because the network mixes all of it on the way (squeeze-and-excitation).",
        "The local size is then that of `compute(ignore_global_context=True)`.",
        "",
        "*Exact*: interval arithmetic over the model's layers, which shares no code with the estimator, gives the same",
        "size, stride and offset (of the local path too).",
        "",
        "`build` is the time that Keras takes to build the model, `compute` the time of one measurement, without that",
        "build; `peak` is the largest resident memory of the process, TensorFlow and the user's model included.",
        "",
        "Backbones of keras-hub, MTCNN and keras-tcn stand on [a page of their own](models-of-others.md).",
        "",
        f"Written by `python -m benchmarks.applications` on {_machine()}. Times are of one run and noisy.",
        "",
        "| " + " | ".join(HEADINGS) + " |",
        "| " + " | ".join("---" for _ in HEADINGS) + " |",
        *("| " + " | ".join(_row(result)) + " |" for result in results),
    ]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Measure, print as results come, and write the page when all models were asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", help="names, separated by commas; without it, all, and the page is written")
    parser.add_argument("--only", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.only:
        print(json.dumps(measure(arguments.only)))
        return 0
    results = []
    for name in arguments.models.split(",") if arguments.models else model_names():
        results.append(in_a_process("applications", name, TIME_LIMIT))
        print(*_row(results[-1]), sep="  ", flush=True)
    if not arguments.models:
        TABLE.parent.mkdir(exist_ok=True)
        TABLE.write_text(page(results), encoding="utf-8")
    return 0 if all(result.get("exact") for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
