"""Effective fields on one worker and on two: how much faster, and how far apart the two fields are.

    python -m benchmarks.clusters --images 96 --repeat 3

Each worker has one thread and computes with one, as a worker with one core does. The model is loaded before the clock
starts, for that is paid once. By the clock it needs two cores that nobody else uses; the processor time of the busiest
worker, which is what two free cores would wait for, can be read on a busy machine too.

The fields are added exactly, whoever adds them. A gradient itself is rounded, and the first requests of a process are
rounded in another way than later ones (they run other operations): the difference which is printed comes from there.
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import NamedTuple

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


class Timed(NamedTuple):
    """What some workers took in each run, by the clock and as processor time of the busiest, and what they found."""

    clock: list[float]
    busiest: list[float]
    field: EffectiveField


def timed(rf: TorchReceptiveField, workers: int, count: int, repeat: int) -> Timed:
    """Measure the field several times."""
    each = count // PARTS
    with (
        LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        client.run(torch.set_num_threads, 1)
        clock, busiest = [], []
        for run in range(repeat + 1):  # the first loads frameworks and model
            start, before = time.perf_counter(), client.run(time.process_time)
            parts = [delayed(images)(seed, each) for seed in range(PARTS)]
            field = rf.effective(parts, client=client)
            if run:
                clock.append(time.perf_counter() - start)
                busiest.append(max(after - before[worker] for worker, after in client.run(time.process_time).items()))
    return Timed(clock, busiest, field)


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
    clock, busiest = {}, {}
    for workers in (1, 2):
        found = timed(rf, workers, options.images, options.repeat)
        clock[workers], busiest[workers] = statistics.median(found.clock), statistics.median(found.busiest)
        apart = np.abs(found.field.map - serial.map).max() / serial.map.max()
        print(
            f"{workers} worker(s): {', '.join(f'{t:.2f}' for t in found.clock)} s; the busiest computed "
            f"{', '.join(f'{t:.2f}' for t in found.busiest)} s; {apart:.0e} of the largest value from the serial field",
            flush=True,
        )
    print(f"two workers are {clock[1] / clock[2]:.2f} times as fast as one by the clock,")
    print(f"{busiest[1] / busiest[2]:.2f} times by the processor time of the busiest")


if __name__ == "__main__":
    main()
