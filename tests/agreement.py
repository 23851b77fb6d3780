"""What the estimator says about a blueprint, held against the black-box oracle.

The estimator gets the model as users build it (float32, ReLU, fixed size); the oracle runs a twin in float64 with leaky
activations, since a dead ReLU hides pixels from it.
"""

from __future__ import annotations

import keras
import numpy as np
import numpy.typing as npt

from rfwidget._measure.checks import by_gradients
from rfwidget.keras import KerasReceptiveField
from rfwidget.verification import AGREES
from tests.blueprint_models import build
from tests.blueprints import Blueprint
from tests.oracle import AxisTruth, Oracle

MORE_TRIALS = 20  # how often an oracle that saw less than the estimator says gets another chance


def disagreements(blueprint: Blueprint) -> list[str]:
    """Where estimator and oracle differ; no entry if they agree.

    An oracle that saw too little is given many more trials before anything is called a difference.
    """
    rf = KerasReceptiveField(build(blueprint))
    rf.compute(input_shape=blueprint.image_shape)
    oracle = Oracle(blueprint)
    found: list[str] = []
    for _ in range(MORE_TRIALS):
        oracle.look(3 if blueprint.selects else 1)
        found = _compare(rf, blueprint, oracle)
        if not found:
            break
    keras.backend.clear_session(free_memory=False)
    return found


def simplest(blueprint: Blueprint) -> Blueprint:
    """A disagreeing blueprint with as few layers as leave it disagreeing."""
    for index in range(len(blueprint.layers)):
        smaller = blueprint.without(index)
        if smaller is not None and _fails(smaller):
            return simplest(smaller)
    return blueprint


def _fails(blueprint: Blueprint) -> bool:
    try:
        return bool(disagreements(blueprint))
    except Exception:
        return True


def _compare(rf: KerasReceptiveField, blueprint: Blueprint, oracle: Oracle) -> list[str]:
    grid = (oracle.columns.shape[2], oracle.columns.shape[1])
    if (rf.output_shape.w, rf.output_shape.h) != grid:
        return [f"grid {rf.output_shape} instead of {grid}"]
    x, y = oracle.truth("x"), oracle.truth("y")
    return [
        *_description(rf, x, y),
        *_theoretical(rf, grid, x, y),
        *_visible(rf, oracle.rects),
        *_seeing(rf, blueprint, oracle),
        *_gradients(rf),
    ]


def _description(rf: KerasReceptiveField, x: AxisTruth, y: AxisTruth) -> list[str]:
    boxes = x.box, y.box
    expected = {
        "uniform": (x.uniform, y.uniform),
        "stride": (x.stride, y.stride),
        "size": tuple(high - low for low, high in boxes),
        "offset": tuple((low + high) / 2 for low, high in boxes),
    }
    said = {"uniform": rf.uniform, **rf.rf_params._asdict()}
    return [
        f"{name} {said[name]} instead of {value}"
        for name, value in expected.items()
        if not np.allclose(said[name], value, rtol=0, atol=1e-9)
    ]


def _theoretical(rf: KerasReceptiveField, grid: tuple[int, int], x: AxisTruth, y: AxisTruth) -> list[str]:
    found = []
    for j, i in np.ndindex(grid[1], grid[0]):
        (left, right), (top, bottom) = x.edges_at(i), y.edges_at(j)
        if rf.rect_at((i, j)) != (left, top, right, bottom):
            found.append(f"rect_at(({i}, {j})) is {rf.rect_at((i, j))} instead of {(left, top, right, bottom)}")
    return found[:3]


def _visible(rf: KerasReceptiveField, rects: npt.NDArray[np.int64]) -> list[str]:
    found = []
    for j, i in _some_cells(*rects.shape[:2]):
        said, truth = rf.rect_at((i, j), clip=True), tuple(rects[j, i].tolist())
        if said != truth:
            found.append(f"rect_at(({i}, {j}), clip=True) is {said} instead of {truth}")
    return found[:3]


def _seeing(rf: KerasReceptiveField, blueprint: Blueprint, oracle: Oracle) -> list[str]:
    """Exactly the cells that change with a pixel are said to see it, holes of dilation and strides included."""
    width, height = blueprint.width, blueprint.height
    found = []
    for x, y in sorted({(0, 0), (width // 2, height // 3), (width - 1, height - 1), (width // 3, height - 1)}):
        said, truth = rf.cells_seeing((x, y)), oracle.seeing(x, y)
        if said.shape != truth.shape or said.dtype != bool:
            found.append(f"cells_seeing(({x}, {y})) is {said.dtype} {said.shape} instead of bool {truth.shape}")
            continue
        found += [f"cells_seeing(({x}, {y})) lacks (x, y) = ({i}, {j})" for j, i in np.argwhere(truth & ~said)[:2]]
        found += [
            f"cells_seeing(({x}, {y})) has (x, y) = ({i}, {j}) too many" for j, i in np.argwhere(said & ~truth)[:2]
        ]
    return found


def _gradients(rf: KerasReceptiveField) -> list[str]:
    """Backpropagation through the linear copy gives the same fields as spans do, where there is such a copy."""
    said, _ = by_gradients(rf.network, rf.field)
    return [] if said == AGREES or "there are no gradients" in said else [f"gradients: {said}"]


def _some_cells(height: int, width: int) -> list[tuple[int, int]]:
    """Cells at, beside and away from the borders of both axes."""
    lines = [sorted({0, 1, n // 2, n - 1} & set(range(n))) for n in (height, width)]
    return [(j, i) for j in lines[0] for i in lines[1]]
