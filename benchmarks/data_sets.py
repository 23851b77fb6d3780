"""Effective fields over data sets: memory, and how far area ratios are from those of many more images.

    python -m benchmarks.data_sets --images 500

Prints the memory of this process before and after a long data set, and for growing numbers of images the largest error
of an area ratio, against a field of ``--images``, beside the spread that the field tells of itself.
"""

from __future__ import annotations

import argparse
import resource
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from benchmarks.machine import describe_machine
from rfwidget import TorchReceptiveField
from rfwidget.effective import FRACTIONS, EffectiveField

HEIGHT, WIDTH = 64, 96


def network() -> nn.Module:
    """Six convolutions with ReLU, the third and the fifth with a stride."""
    torch.manual_seed(0)
    steps: list[nn.Module] = []
    for channels, stride in ((3, 1), (16, 1), (16, 2), (16, 1), (16, 2), (16, 1)):
        steps += [nn.Conv2d(channels, 16, 3, stride=stride), nn.ReLU()]
    return nn.Sequential(*steps)


def images(count: int, seed: int) -> Iterator[npt.NDArray[np.float32]]:
    """Noise over blocks of eight pixels, as photographs have detail on areas."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        coarse = rng.normal(size=(HEIGHT // 8, WIDTH // 8, 3)).repeat(8, axis=0).repeat(8, axis=1)
        yield (coarse + 0.5 * rng.normal(size=(HEIGHT, WIDTH, 3))).astype(np.float32)


def error(field: EffectiveField, truth: EffectiveField) -> float:
    """The largest error of an area ratio."""
    return max(abs(field.area_ratios[fraction] - truth.area_ratios[fraction]) for fraction in FRACTIONS)


def peak() -> float:
    """Largest memory of this process so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=500)
    count = parser.parse_args().images
    print(describe_machine())
    rf = TorchReceptiveField(network())
    rf.compute((3, HEIGHT, WIDTH))
    rf.effective(images(20, 1))
    before = peak()
    truth = rf.effective(images(count, 0))
    size = count * HEIGHT * WIDTH * 3 * 4 / 2**20
    print(f"field {rf.rf_params.size}; {count} images ({size:.0f} MiB) raise the peak by {peak() - before:.1f} MiB")
    for some in (8, 16, 32, 64):
        errors, spreads = [], []
        for seed in range(1, 5):
            field = rf.effective(images(some, seed))
            errors.append(error(field, truth))
            spreads.append(max(field.spread.values()) if field.spread else np.nan)
        print(
            f"{some} images: error {np.sqrt(np.mean(np.square(errors))):.2%}, spread {np.mean(spreads):.2%}", flush=True
        )
    for tolerance in (0.01, 0.005, 0.003):
        field = rf.effective(images(10 * count, 2), tolerance=tolerance)
        print(f"tolerance {tolerance:.1%}: {field.images} images, error {error(field, truth):.2%}")


if __name__ == "__main__":
    main()
