"""Networks of one and three axes against a black box: change lines of random inputs and see which cells change.

The black box knows neither gradients nor the formulas of layers, and shares no code with the package. It can only miss
a dependency, never invent one: more trials only add.
"""

from __future__ import annotations

import itertools
import random
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from rfwidget.estimator import ReceptiveField
from rfwidget.types import GridPoint, Rect

Run = Callable[[npt.NDArray[np.float32]], npt.NDArray[Any]]
"""A network, from inputs ``[n, *lengths, c]`` to outputs ``[n, *grid, c]``."""

_TRIALS = (3, 9, 60)
_SCALES = (1.0, 1e2, 1e4)  # changes much larger than the input survive small weights and win maxima
_CLEAR = 2
"""Periods from a border on which no padding or cropping inside the network has a part in what a cell sees."""


class Oracle:
    """First and last pixel that each cell of a network's output sees, as far as trials have shown."""

    def __init__(self, run: Run, lengths: Sequence[int], channels: int, seed: int) -> None:
        self._run, self._shape = run, (*lengths, channels)
        self._draw = np.random.default_rng(seed)
        self._changed: list[Any] = [False] * len(lengths)
        self._trials = 0

    def more(self, trials: int) -> dict[GridPoint, Rect]:
        """Some trials more; what every cell sees."""
        for _ in range(trials):
            for axis in range(len(self._changed)):
                self._changed[axis] = self._trial(axis) | self._changed[axis]
            self._trials += 1
        found = {}
        for place in np.ndindex(*self._changed[0].shape[1:]):
            lines = [np.flatnonzero(changed[(slice(None), *place)]) for changed in self._changed]
            edges = [(int(line[0]), int(line[-1]) + 1) if line.size else (0, 0) for line in lines]
            found[GridPoint(*reversed(place))] = Rect.of(reversed(edges))
        return found

    def _trial(self, axis: int) -> npt.NDArray[np.bool_]:
        """Which cells change with each line of pixels across an axis."""
        scale = _SCALES[self._trials % len(_SCALES)]
        plain = np.repeat(self._draw.standard_normal(self._shape)[None], self._shape[axis], axis=0).astype(np.float32)
        other = plain.copy()
        for k in range(self._shape[axis]):
            line = other[(k, *(slice(None),) * axis, k)]
            line += self._draw.standard_normal(line.shape).astype(np.float32) * np.float32(scale)
        # At the same place of an equally large batch: elsewhere rounding may differ.
        changed: npt.NDArray[np.bool_] = (self._run(plain) != self._run(other)).any(axis=-1)
        return changed


def mismatches(rf: ReceptiveField, run: Run, seed: int) -> list[str]:
    """Cells of a computed estimator of which something else is said than the black box shows."""
    shape = rf.input_shape
    cells = [GridPoint(*reversed(place)) for place in np.ndindex(*rf.output_shape.lengths)]
    said = {cell: rf.rect_at(cell, clip=True) for cell in cells}
    fields = {cell: rf.rect_at(cell) for cell in cells}
    oracle, found = Oracle(run, shape.lengths, shape.c, seed), ["not compared"]
    for trials in _TRIALS:
        truth = oracle.more(trials)
        found = [f"cells {sorted(truth)[-1]} instead of {sorted(said)[-1]}"] if truth.keys() != said.keys() else []
        found += [f"{c}: {said[c]} but pixels show {truth[c]}" for c in cells if said[c] != truth.get(c)]
        found += [
            f"{c}: field {fields[c]}, pixels show {truth[c]}" for c in cells if not _fits(fields[c], truth[c], rf)
        ]
        if not found:
            return []
    return found[:4]


def _fits(field: Rect, truth: Rect, rf: ReceptiveField) -> bool:
    """Whether a receptive field holds what pixels show, and is just that where no border is near."""
    if truth.is_empty:
        return True
    axes = list(zip(field.edges, truth.edges, rf.input_shape.size, strict=True))
    margins = [1 + _CLEAR * period for period in rf.network.period]
    limits = zip(field.edges, rf.input_shape.size, margins, strict=True)
    clear = all(low >= margin and high <= length - margin for (low, high), length, margin in limits)
    return field == truth if clear else all(low <= a and b <= high for (low, high), (a, b), _ in axes)


# Random networks, as data ---------------------------------------------------------------------------------------------


def random_layers(draw: random.Random, rank: int) -> list[tuple[str, dict[str, Any]]]:
    """One to six layers, by name and settings; every setting has one number for each axis."""
    small = rank == 3

    def each(*choices: int) -> tuple[int, ...]:
        return tuple(draw.choice(choices) for _ in range(rank))

    def conv() -> tuple[str, dict[str, Any]]:
        dilated = draw.random() < 0.4
        kernel = each(1, 2, 3) if small else each(1, 2, 3, 4, 5, 7)
        strides = (1,) * rank if dilated else (each(1, 1, 2) if small else each(1, 1, 2, 3))
        padding = draw.choice(("valid", "same", "causal") if rank == 1 else ("valid", "same"))
        kind = draw.choice(("conv", "conv", "depthwise", "separable") if rank == 1 else ("conv",))
        if padding == "causal" or max(strides) != min(strides):
            kind = "conv"
        dilation = (draw.choice((1, 2) if small else (1, 2, 3, 4)),) * rank if dilated else (1,) * rank
        return kind, {"kernel": kernel, "strides": strides, "dilation": dilation, "padding": padding}

    def pool() -> tuple[str, dict[str, Any]]:
        kernel = each(1, 2, 3)
        strides = each(1, 2) if small else each(1, 2, 3)
        return draw.choice(("max", "average")), {"kernel": kernel, "strides": strides, "padding": "valid"}

    makers: list[Callable[[], tuple[str, dict[str, Any]]]] = [
        conv, conv, conv, pool,
        lambda: ("transposed", {"kernel": each(1, 2, 3, 4), "strides": each(1, 2)}),
        lambda: ("upsample", {"factor": each(1, 2)}),
        lambda: ("pad", {"amounts": tuple(zip(each(0, 1, 2), each(0, 1, 2), strict=True))}),
        lambda: ("crop", {"amounts": tuple(zip(each(0, 1), each(0, 1, 2), strict=True))}),
        lambda: ("activation", {}),
        lambda: ("branches", {"kernels": (each(1, 3, 5) if not small else each(1, 3), each(1, 3))}),
    ]  # fmt: skip
    layers = [draw.choice(makers)() for _ in range(draw.randint(1, 4 if small else 6))]
    return [conv(), *layers] if not any("kernel" in settings for _, settings in layers) else layers


def random_lengths(draw: random.Random, rank: int) -> tuple[int, ...]:
    """Lengths of an input, not all alike."""
    low, high = (24, 70) if rank == 1 else (7, 13)
    return tuple(draw.randint(low, high) for _ in range(rank))


def verdicts(rank: int, count: int, make: Callable[[random.Random, int], tuple[Any, Run] | None]) -> list[str]:
    """What is wrong with so many random networks.

    Args:
        rank: number of axes.
        count: of networks that have some cell.
        make: makes a computed estimator and the network itself; None: it has no cell.
    """
    wrong: list[str] = []
    done = 0
    for seed in itertools.count():
        if done == count:
            return wrong
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that some cells are not clear of borders on small inputs
            made = make(random.Random(seed), rank)  # noqa: S311
            if made is None:
                continue
            done += 1
            wrong += [f"rank {rank}, seed {seed}: {line}" for line in mismatches(*made, seed)]
    return wrong
