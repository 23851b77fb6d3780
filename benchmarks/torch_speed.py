"""PyTorch modules: what a survey, a `compute` and a click cost, against the module itself.

    RFWIDGET_ZOO=../zoo python -m benchmarks.torch_speed                # see benchmarks/torch_zoo.py
    RFWIDGET_ZOO=../zoo python -m benchmarks.torch_speed --threads 1    # where the machine has other things to do

Everything is a ratio of two things that take turns in one process, so that whatever else the machine does meets them
alike; figures are the least of some rounds, the forward pass is that of a photograph of 224x224 without gradients.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.machine import describe_machine
from benchmarks.torch_zoo import torchvision_models
from rfwidget.torch import TorchReceptiveField
from rfwidget.types import GridPoint
from tests.torch.known_modules import readme_model

SURVEYS = {"resnet50": 8, "densenet121": 15, "mobilenet_v2": 15, "vgg16": 8}
"""Models, and how many forward passes a survey of all their layers may take."""

CLICKS = (("README", None), ("resnet50", "layer2"), ("vgg16", "features.23"))
SIZES = (96, 224, 1024)
ROUNDS = 7


def in_turns(*functions: Callable[[], Any], rounds: int = ROUNDS) -> list[float]:
    """Least seconds of some functions that take turns; a first round does not count."""
    times: list[list[float]] = [[] for _ in functions]
    for turn in range(rounds + 1):
        for function, own in zip(functions, times, strict=True):
            began = time.perf_counter()
            function()
            if turn:
                own.append(time.perf_counter() - began)
    return [min(own) for own in times]


def surveys() -> bool:
    """Print a table of surveys; whether all are within their limits."""
    models, good = torchvision_models(), True
    print("| module | layers | forward (ms) | survey (ms) | forward passes | at most |\n|---|---|---|---|---|---|")
    for name, most in SURVEYS.items():
        module = getattr(models, name)(weights=None).eval()
        image = torch.rand(1, 3, 224, 224)
        rows: list[int] = []

        def forward(module: nn.Module = module, image: torch.Tensor = image) -> None:
            with torch.no_grad():
                module(image)

        def survey(module: nn.Module = module, rows: list[int] = rows) -> None:
            rows.append(len(TorchReceptiveField(module).survey()))

        one, other = in_turns(forward, survey)
        good &= other <= most * one
        print(f"| {name} | {rows[-1]} | {one * 1e3:.0f} | {other * 1e3:.0f} | {other / one:.1f} | {most} |", flush=True)
    return good


def compute() -> bool:
    """Print what `compute` takes for the README model; whether it is a tenth of a second at most."""
    module = readme_model()
    (seconds,) = in_turns(lambda: TorchReceptiveField(module).compute((3, 96, 96)))
    print(f"\nREADME model: compute {seconds * 1e3:.0f} ms")
    return seconds <= 0.1


def bare(part: nn.Module, window: np.ndarray[Any, Any], place: Sequence[int]) -> Callable[[], Any]:
    """What a click is by itself: autograd from one cell to the pixels of a window."""
    image = torch.from_numpy(np.ascontiguousarray(window.transpose(2, 0, 1)[None]))

    def backward() -> None:
        leaf = image.clone().requires_grad_()
        output = part(leaf)
        output[0, :, place[0], place[1]].mean().backward(inputs=[leaf])

    return backward


def feature_part(module: nn.Module, layer: str) -> nn.Module:
    """A chain of modules up to one, ``"layer2"`` or ``"features.23"``."""
    first, _, number = layer.partition(".")
    parts: list[nn.Module] = []
    for name, child in module.named_children():
        if name == first:
            return nn.Sequential(*parts, *(list(child)[: int(number) + 1] if number else [child]))  # type: ignore[call-overload]
        parts.append(child)
    raise LookupError(layer)


def clicks() -> bool:
    """Print a table of clicks; whether they cost what autograd on the same window does, at all sizes alike."""
    models, good = torchvision_models(), True
    print("\n| module, layer | image | window | click (ms) | autograd on the window | whole image | whole / click |")
    print("|---|---|---|---|---|---|---|")
    for name, layer in CLICKS:
        module = readme_model() if name == "README" else getattr(models, name)(weights=None)
        module = module.eval()
        for size in SIZES:
            rf = TorchReceptiveField(module)
            rf.compute((3, size, size), output_layer=layer)
            network = rf._computed.network  # type: ignore[union-attr]
            image = np.random.default_rng(1).random((size, size, 3), np.float32)
            point = GridPoint(rf.output_shape.w // 2, rf.output_shape.h // 2)
            rf.gradient_at(point, image=image)
            window = network.patches.window  # type: ignore[attr-defined]
            y, x = window.corner(point)
            height, width = window.shape
            part = module if layer is None else feature_part(module, layer)
            cut = image[y : y + height, x : x + width]
            on_window = bare(part, cut, window.place(point))
            click, autograd = in_turns(partial(network.gradient, image, point, None), on_window, rounds=25)
            (full,) = in_turns(bare(part, image, (point.y, point.x)), rounds=2)
            good &= click <= 1.1 * autograd
            times = f"{click * 1e3:.1f} | {autograd * 1e3:.1f}, {click / autograd:.2f} times | {full * 1e3:.0f}"
            print(f"| {name} {layer or ''} | {size} | {width}x{height} | {times} | {full / click:.1f} |", flush=True)
    return good


def main() -> int:
    """All tables; status 1 if something is slower than it may be."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="of PyTorch")
    torch.set_num_threads(parser.parse_args().threads)
    print(describe_machine())
    print(f"PyTorch {torch.__version__}, {torch.get_num_threads()} threads\n")
    good = [surveys(), compute(), clicks()]
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
