"""Answers computed before they are asked for: the neighbours of the selected cell, while nobody waits."""

from __future__ import annotations

import time
from collections.abc import Mapping

from rfwidget.estimator import ReceptiveField
from rfwidget.types import GridPoint, Size
from rfwidget.widget.background import Check
from rfwidget.widget.view import Answer, View, answer
from rfwidget.widget.worker import Cancelled

_UNNOTICED = 1 / 60
"""Seconds by which a click may come later without anybody seeing it: one frame of the screen."""


class Ahead:
    """The answers of a few cells of one view.

    A click that comes while a neighbour is computed waits for that one gradient. So views whose gradients take longer
    than nobody would notice are left alone.

    Args:
        rf: the estimator.
    """

    def __init__(self, rf: ReceptiveField) -> None:
        self._rf = rf
        self._answers: Mapping[GridPoint, Answer] = {}
        self._slow: int | None = None

    def take(self, view: View, cell: GridPoint) -> Answer | None:
        """The answer of a cell, if it is there."""
        known = self._answers.get(cell)
        return known if known is not None and known.view is view else None

    def fill(self, view: View, cell: GridPoint, check: Check) -> None:
        """Compute the neighbours of a cell, until ``check`` ends it. Its errors wait for somebody who asks."""
        if self._slow == view.revision:
            return
        ahead: dict[GridPoint, Answer] = {}
        for neighbour in neighbours(cell, view.grid):
            check()
            begin = time.perf_counter()
            try:
                ahead[neighbour] = self.take(view, neighbour) or answer(self._rf, view, neighbour)
            except Cancelled:
                raise
            except Exception:
                return
            if time.perf_counter() - begin > _UNNOTICED:
                self._slow = view.revision
                return
        self._answers = ahead


def neighbours(cell: GridPoint, grid: Size) -> list[GridPoint]:
    """The cells that the arrow keys lead to.

    >>> neighbours(GridPoint(0, 2), Size(5, 3))
    [GridPoint(x=1, y=2), GridPoint(x=0, y=1)]
    """
    x, y = cell
    around = [GridPoint(x - 1, y), GridPoint(x + 1, y), GridPoint(x, y - 1), GridPoint(x, y + 1)]
    return [point for point in around if 0 <= point.x < grid.w and 0 <= point.y < grid.h]
