"""Measure other people's Keras models, and write the table `docs/models-of-others.md`.

    pip install --target ../hub --no-deps keras-hub regex tokenizers sentencepiece mtcnn==1.0.0 joblib lz4 keras-tcn
    RFWIDGET_HUB=../hub python -m benchmarks.keras_zoo                       # all of them
    RFWIDGET_HUB=../hub python -m benchmarks.keras_zoo --models ResNet18,BASNet   # some, printed only

Each model runs in a process of its own, with a limit of its address space, after a tiny network has warmed that process
up. The models are made in `benchmarks.keras_zoo_models`; what is expected of them stands there.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import time
import warnings
from pathlib import Path
from typing import Any

from benchmarks.applications import _machine, _pair, _peak, in_a_process

TABLE = Path(__file__).resolve().parent.parent / "docs" / "models-of-others.md"
MEMORY = 14 << 30  # bytes of address space for one model
TIME_LIMIT = 300  # seconds for one model
_INSIDE = " (inside the image)"
HEADINGS = (
    "model",
    "image",
    "layer",
    "size",
    "stride",
    "local size",
    "uniform",
    "build (s)",
    "compute (s)",
    "survey (s)",
    "layers",
    "peak (GiB)",
    "expected",
)


def measure(name: str) -> dict[str, Any]:
    """Make and measure one model in this process."""
    import keras

    from benchmarks.keras_zoo_models import RECIPES
    from rfwidget.errors import ReceptiveFieldError
    from rfwidget.keras import KerasReceptiveField

    recipe = RECIPES[name]
    warm = keras.Sequential([keras.Input((32, 48, 3)), keras.layers.Conv2D(2, 3), keras.layers.BatchNormalization()])
    KerasReceptiveField(warm).survey()

    began = time.perf_counter()
    model = recipe.make()
    built = time.perf_counter() - began
    asked = {"input_shape": recipe.shape, "input_layer": recipe.image}
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        rf = KerasReceptiveField(model)
        began = time.perf_counter()
        description = rf.compute(**asked, output_layer=recipe.layer)
        computed = time.perf_counter() - began
    result = {
        "model": name,
        "image": [rf.input_shape.w, rf.input_shape.h],
        "layer": rf.output_layer,
        "size": list(description.size),
        "stride": list(description.stride),
        "uniform": list(rf.uniform),
        "inside": any("requested size" in str(warning.message) for warning in told),
        "local": None,
        "build": built,
        "compute": computed,
    }
    began = time.perf_counter()
    result["layers"] = len(KerasReceptiveField(model).survey(**asked))
    result["survey"] = time.perf_counter() - began
    result["peak"] = _peak()
    good = recipe.size is None or set(description.size) == {recipe.size}
    if any(description.unbounded):
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            try:
                local = rf.compute(**asked, output_layer=rf.output_layer, ignore_global_context=True).size
            except ReceptiveFieldError:  # nothing but global context
                local = None
        result["local inside"] = any("requested size" in str(warning.message) for warning in told)
        result["local"] = None if local is None else list(local)
        good = good and (recipe.local is None or set(local or ()) == {recipe.local})
    number = recipe.local if recipe.size == math.inf else recipe.size
    worth = "" if number is None else f"{number:g}, "
    result["source"] = f"{worth}{recipe.source}" if recipe.source else _verified(rf, description)
    result["good"] = good and "contradicted" not in result["source"]
    return result


def _verified(rf: Any, description: Any) -> str:
    """What the other ways of measuring say, where no number was known beforehand."""
    if rf.rf_params != description:
        return ""
    (check,) = rf.verify()
    if check.wrong:
        return f"contradicted: gradients {check.gradients}, pixels {check.pixels}"
    ways = [way for way, said in (("gradients", check.gradients), ("pixels", check.pixels)) if said == "agrees"]
    return f"oracle: {' and '.join(ways)} agree" if ways else ""


def measure_sequence(name: str) -> dict[str, Any]:
    """Make and measure one model of sequences in this process."""
    from benchmarks.keras_zoo_models import SEQUENCES
    from rfwidget.keras.looks import Inputs, ModelLooks

    recipe = SEQUENCES[name]
    began = time.perf_counter()
    model = recipe.make()
    built = time.perf_counter() - began
    began = time.perf_counter()
    looks = ModelLooks(model, Inputs((tuple(model.inputs[0].shape[1:]),), 0), local=False)
    path = list(looks.layers)[-1]
    (axis,) = looks.fields([path], lambda: None).axes(path) or ()
    computed = time.perf_counter() - began
    size = max(high for _, high in axis.edges) - min(low for low, _ in axis.edges)
    began = time.perf_counter()
    looks.fields(list(looks.layers), lambda: None)
    return {
        "model": name,
        "image": [looks.asked.lengths[0]],
        "layer": path,
        "size": [size],
        "stride": [axis.pixels / axis.cells],
        "uniform": [True],
        "inside": False,
        "local": None,
        "build": built,
        "compute": computed,
        "survey": time.perf_counter() - began,
        "layers": len(looks.layers),
        "peak": _peak(),
        "source": f"{recipe.size:g}, {recipe.source}",
        "good": size == recipe.size,
    }


def _numbers(values: list[float]) -> str:
    return _pair([values[0], values[-1]])


def _row(result: dict[str, Any]) -> tuple[str, ...]:
    if "error" in result:
        return (result["model"], f"failed: {result['error']}", *[""] * (len(HEADINGS) - 2))
    return (
        result["model"],
        _numbers(result["image"]),
        f"`{result['layer']}`",
        _numbers(result["size"]) + _INSIDE * result["inside"],
        _numbers(result["stride"]),
        "" if result["local"] is None else _numbers(result["local"]) + _INSIDE * result.get("local inside", False),
        "yes" if all(result["uniform"]) else "no",
        f"{result['build']:.1f}",
        f"{result['compute']:.1f}",
        f"{result['survey']:.1f}",
        str(result["layers"]),
        f"{result['peak']:.2f}",
        result["source"] if result["good"] else f"**{result['source']}**",
    )


def page(results: list[dict[str, Any]]) -> str:
    """The Markdown page of the table."""
    lines = [
        "# Receptive fields of other people's models",
        "",
        "Backbones of keras-hub, the nets of MTCNN with their trained weights, and keras-tcn, as their packages make",
        "them; the transformers and the larger decoders with fewer or narrower layers than their presets. Size and",
        "stride are in pixels and alike on both axes unless two are given. *Unbounded*: it grows with the image.",
        "The local size is then that of `compute(ignore_global_context=True)`. *Inside the image*: the model runs on",
        "images of this size only, or larger ones cost too much, and what its cells see is cut by the borders; a",
        "warning says so then.",
        "",
        "*Expected* says where else the number comes from: published, worked out by hand from the layers, or from the",
        "other ways of `verify()`: gradients through a linear copy, and changed pixels of the real network. A bold",
        "entry differs. Unbounded fields are so by what is named there.",
        "",
        "`build` is the time that Keras takes to build the model, `compute` that of one measurement, `survey` that of",
        "all its layers; `peak` is the largest resident memory of the process, TensorFlow and the model included.",
        "Each model had a process of its own, with 14 GiB of address space.",
        "",
        f"Written by `python -m benchmarks.keras_zoo` on {_machine()}. Times are of one run, while the machine did",
        "other work as well.",
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
    if folder := os.environ.get("RFWIDGET_HUB"):
        sys.path.append(folder)
    from benchmarks.keras_zoo_models import RECIPES, SEQUENCES

    if arguments.only:
        print(json.dumps((measure if arguments.only in RECIPES else measure_sequence)(arguments.only)))
        return 0
    results = []
    for name in arguments.models.split(",") if arguments.models else [*RECIPES, *SEQUENCES]:
        results.append(in_a_process("keras_zoo", name, TIME_LIMIT, MEMORY))
        print(*_row(results[-1]), sep="  ", flush=True)
    if not arguments.models:
        TABLE.write_text(page(results), encoding="utf-8")
    return 0 if all(result.get("good") for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
