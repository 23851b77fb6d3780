"""Random networks of any rank in PyTorch."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch
from torch import nn

from rfwidget.errors import ReceptiveFieldError
from rfwidget.torch import TorchReceptiveField
from tests.any_rank import Run, random_layers, random_lengths


def make(draw: random.Random, rank: int) -> tuple[TorchReceptiveField, Run] | None:
    """A computed estimator of a random network, and the network; None if the network has no cell."""
    lengths = random_lengths(draw, rank)
    torch.manual_seed(draw.randrange(1000))
    parts, channels = [], 2
    for kind, settings in random_layers(draw, rank):
        part, channels = _part(kind, settings, rank, channels)
        parts.append(part)
    module = nn.Sequential(*parts).eval()
    try:
        with torch.no_grad():
            grid = module(torch.zeros(1, 2, *lengths)).shape[2:]
    except RuntimeError:  # too short an input for some window
        return None
    if 0 in grid or np.prod(grid) > 3000:
        return None
    rf = TorchReceptiveField(module)
    try:
        rf.compute((1, 2, *lengths) if rank == 3 else (2, *lengths), output_layer=_last(rf, lengths))
    except ReceptiveFieldError as error:
        if "does not influence" in str(error):
            return None
        raise

    return rf, black_box(module)


def black_box(module: nn.Module) -> Run:
    """A module as the oracle runs it."""

    def run(inputs: Any) -> Any:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # small maps: more would wait for each other
        try:
            with torch.no_grad():
                return np.moveaxis(module(torch.from_numpy(np.moveaxis(inputs, -1, 1).copy())).numpy(), 1, -1)
        finally:
            torch.set_num_threads(threads)

    return run


def _last(rf: TorchReceptiveField, lengths: tuple[int, ...]) -> str:
    """The layer that gives what the module returns."""
    layers = rf._layers(lengths, 2, local=False, progress=lambda *_: None)
    number = layers.walk.output[0]
    return next(name for name, layer in layers.all.items() if layer.number == number)


class Margins(nn.Module):
    """Zeros around a map, or what is cut off."""

    def __init__(self, amounts: tuple[tuple[int, int], ...], sign: int) -> None:
        super().__init__()
        self.amounts = [sign * n for pair in reversed(amounts) for n in pair]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.pad(x, self.amounts)


class Branches(nn.Module):
    """Two convolutions of one map, added."""

    def __init__(self, rank: int, channels: int, kernels: tuple[tuple[int, ...], ...]) -> None:
        super().__init__()
        conv = getattr(nn, f"Conv{rank}d")
        self.paths = nn.ModuleList(conv(channels, 3, kernel, padding="same") for kernel in kernels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.paths[0](x) + self.paths[1](x)


def _part(kind: str, settings: dict[str, Any], rank: int, channels: int) -> tuple[nn.Module, int]:
    def of(name: str) -> Any:
        return getattr(nn, f"{name}{rank}d")

    if kind == "activation":
        return nn.LeakyReLU(0.3), channels
    if kind == "branches":
        return Branches(rank, channels, settings["kernels"]), 3
    if kind in ("pad", "crop"):
        return Margins(settings["amounts"], 1 if kind == "pad" else -1), channels
    if kind == "upsample":
        return nn.Upsample(scale_factor=settings["factor"]), channels
    if kind == "transposed":
        return of("ConvTranspose")(channels, 3, settings["kernel"], settings["strides"]), 3
    if kind == "max":
        return of("MaxPool")(settings["kernel"], settings["strides"]), channels
    if kind == "average":
        return of("AvgPool")(settings["kernel"], settings["strides"]), channels
    kernel, dilation = settings["kernel"], settings["dilation"]
    reaches = [(k - 1) * d for k, d in zip(kernel, dilation, strict=True)]
    before = {"valid": [0] * rank, "same": [r // 2 for r in reaches], "causal": reaches}[settings["padding"]]
    after = {"valid": [0] * rank, "same": [r - r // 2 for r in reaches], "causal": [0] * rank}[settings["padding"]]
    results, groups = (channels, channels) if kind == "depthwise" else (3, 1)
    conv = of("Conv")(channels, results, kernel, settings["strides"], dilation=dilation, groups=groups)
    return nn.Sequential(Margins(tuple(zip(before, after, strict=True)), 1), conv), results
