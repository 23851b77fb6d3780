"""Too much is refused before any memory is asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from rfwidget._measure import memory as limits
from rfwidget.errors import ReceptiveFieldError
from rfwidget.types import GridShape
from tests.box_filter import BoxReceptiveField

IMAGE = GridShape(None, 64, 40, 3)


def test_the_free_memory_is_known_here_and_some() -> None:
    free = limits.free_memory()
    assert free is not None
    assert 2**20 < free < 2**50


def test_the_limit_of_a_container_counts_without_cached_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, text in {
        "memory.max": f"{8 * 2**20}\n",
        "memory.current": f"{7 * 2**20}\n",
        "memory.stat": f"anon 5\ninactive_file {2**20}\nactive_file {2**20}\n",
    }.items():
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(limits, "_CONTROL_GROUP", tmp_path)
    assert limits.free_memory() == 3 * 2**20
    (tmp_path / "memory.max").write_text("max\n")
    assert (limits.free_memory() or 0) > 3 * 2**20


def test_work_that_does_not_fit_is_refused_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "free_memory", lambda: 2**30)
    limits.check_memory("Baking", 0.8 * 2**30, "bake less")
    with pytest.raises(ReceptiveFieldError, match="Baking needs about 2 GiB, and 1 GiB are free: bake less"):
        limits.check_memory("Baking", 2 * 2**30, "bake less")
    monkeypatch.setattr(limits, "free_memory", lambda: None)
    limits.check_memory("Baking", 2**60, "nobody can know")


@pytest.mark.parametrize(
    ("grid", "words"),
    [
        (GridShape(None, 0, 7, 1), "no cell on an image of 64x40 pixels: ask for a larger"),
        (GridShape(None, 2**14, 2**13, 1), "16384x8192 cells .* at most 67,108,864"),
    ],
)
def test_a_grid_without_cells_or_with_too_many_is_refused(grid: GridShape, words: str) -> None:
    with pytest.raises(ReceptiveFieldError, match=words):
        limits.check_grid(grid, "layer", IMAGE)


def test_gradient_maps_that_do_not_fit_are_refused_before_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    rf = BoxReceptiveField()
    rf.compute((40, 64, 3))
    monkeypatch.setattr(limits, "free_memory", lambda: 10**6)
    assert rf.gradients_at([(0, 0)] * 20).shape == (20, 40, 64, 3)
    monkeypatch.setattr(rf.network, "gradients", lambda *_: pytest.fail("it has begun"))
    with pytest.raises(ReceptiveFieldError, match=r"An array of 99 gradient maps .* take gradient_patches"):
        rf.gradients_at([(0, 0)] * 99)
