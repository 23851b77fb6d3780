"""Effective fields on one worker and on two: how much faster, and the same to the last bit.

    python -m benchmarks.clusters --images 96 --repeat 3

Each worker has one thread and computes with one, as a worker with one core does. The model is loaded before the clock
starts, for that is paid once. Needs two cores that nobody else uses.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np
import torch
from dask import delayed
from distributed import Client, LocalCluster
from torch import nn

from benchmarks.machine import describe_machine
from rfwidget import TorchReceptiveField
from rfwidget.effective import EffectiveField

SIDE = 128
PARTS = 12


def vgg_like() -> nn.Module:
    """Ten convolutions and three poolings."""
    torch.manual_seed(0)
    steps: list[nn.Module] = []
    channels = 3
    for width, count in ((32, 2), (64, 2), (128, 3), (128, 3)):
        for _ in range(count):
            steps += [nn.Conv2d(channels, width, 3), nn.ReLU()]
            channels = width
        steps.append(nn.MaxPool2d(2))
    return nn.Sequential(*steps[:-1])


def images(seed: int, count: int) -> list[np.ndarray]:
    """Images that a worker makes for itself, as it would read them from a disk of its own."""
    rng = np.random.default_rng(seed)
    return list(rng.random((count, SIDE, SIDE, 3), dtype=np.float32))


def timed(rf: TorchReceptiveField, workers: int, count: int, repeat: int) -> tuple[list[float], EffectiveField]:
    """Seconds of each run, and the field."""
    each = count // PARTS
    with (
        LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        client.run(torch.set_num_threads, 1)
        took = []
        for run in range(repeat + 1):  # the first loads frameworks and model
            start = time.perf_counter()
            parts = [delayed(images)(seed, each) for seed in range(PARTS)]
            field = rf.effective(parts, client=client)
            if run:
                took.append(time.perf_counter() - start)
    return took, field


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=96)
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    rf = TorchReceptiveField(vgg_like())
    rf.compute((3, SIDE, SIDE))
    print(describe_machine())
    print(f"field {rf.rf_params.size}, {options.images} images of {SIDE}x{SIDE} pixels, 9 cells each")
    torch.set_num_threads(1)
    serial = rf.effective([image for seed in range(PARTS) for image in images(seed, options.images // PARTS)])
    medians = {}
    for workers in (1, 2):
        took, field = timed(rf, workers, options.images, options.repeat)
        medians[workers] = statistics.median(took)
        same = np.array_equal(field.map, serial.map)
        print(f"{workers} worker(s): {', '.join(f'{t:.2f}' for t in took)} s; equal to the serial field: {same}")
    print(f"two workers are {medians[1] / medians[2]:.2f} times as fast as one")


if __name__ == "__main__":
    main()
