"""A TCN on a million samples, and a 3-D U-Net on 128 x 128 x 128 voxels: ``python -m benchmarks.long_and_deep``.

The sequence: seconds of ``compute``, and milliseconds of a click at several lengths. The volume: the peak of memory of
a process of its own, whose address space is limited.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import time
from typing import Any

import numpy as np

LIMIT = 3 << 30
"""Bytes that measuring the volume may add to what the process had before."""


def tcn() -> Any:
    """Three stacks of dilations 1 to 8, kernel 8: 631 samples."""
    import keras
    from keras import layers

    image = x = keras.Input((None, 2))
    for dilation in (1, 2, 4, 8) * 3:
        y = x
        for _ in range(2):
            y = layers.Conv1D(16, 8, dilation_rate=dilation, padding="causal", activation="relu")(y)
        x = layers.Add()([y, layers.Conv1D(16, 1)(x)])
    return keras.Model(image, x)


def unet() -> Any:
    """Four levels of two convolutions each."""
    import keras
    from keras import layers

    def twice(x: Any, filters: int) -> Any:
        for _ in range(2):
            x = layers.Conv3D(filters, 3, padding="same", activation="relu")(x)
        return x

    image = x = keras.Input((128, 128, 128, 1))
    levels = []
    for filters in (16, 32, 64):
        levels.append(twice(x, filters))
        x = layers.MaxPooling3D(2)(levels[-1])
    x = twice(x, 128)
    for level, filters in zip(reversed(levels), (64, 32, 16), strict=True):
        x = twice(layers.Concatenate()([layers.UpSampling3D(2)(x), level]), filters)
    return keras.Model(image, x)


def sequence() -> None:
    """Print the times of the TCN."""
    from rfwidget.keras import KerasReceptiveField

    model = tcn()
    for length in (10_000, 100_000, 1_000_000):
        rf = KerasReceptiveField(model)
        begun = time.perf_counter()
        rf.compute((length, 2))
        measured = time.perf_counter() - begun
        signal = np.random.default_rng(1).normal(size=(length, 2)).astype(np.float32)
        rf.prepare(signal)
        clicks = []
        for click in range(30):
            begun = time.perf_counter()
            rf.gradient_patch(length // 2 + click, signal)
            clicks.append(time.perf_counter() - begun)
        print(f"{length:9,} samples: compute {measured:.2f} s, click {1e3 * statistics.median(clicks):.1f} ms")


def volume() -> None:
    """Measure the U-Net within the limit, and print what that took."""
    from rfwidget.keras import KerasReceptiveField

    rf = KerasReceptiveField(unet())
    pages = int(open("/proc/self/statm").read().split()[0])  # noqa: SIM115
    limit = pages * resource.getpagesize() + LIMIT
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    begun = time.perf_counter()
    described = rf.compute()
    seconds = time.perf_counter() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"3-D U-Net at 128: {described.size}, {seconds:.1f} s, peak of the process {peak:.2f} GiB")


if __name__ == "__main__":
    if sys.argv[1:] == ["volume"]:
        volume()
    else:
        sequence()
        subprocess.run([sys.executable, "-m", "benchmarks.long_and_deep", "volume"], check=True)
