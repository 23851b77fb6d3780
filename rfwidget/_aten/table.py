"""Where the rules are kept: how what tensors depend on goes through an operation, by its name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from rfwidget._measure import spans
from rfwidget._measure.spans import Carried

Rule = Callable[[Any], Any]

RULES: dict[str, Rule] = {}


def rule(*names: str) -> Callable[[Rule], Rule]:
    """Take a rule into the table under the names of the operations that it serves."""

    def keep(function: Rule) -> Rule:
        for name in names:
            RULES[name] = function
        return function

    return keep


def axes_of(value: Any, rank: int) -> list[int]:
    """The axes that an argument ``dim`` names; all of them for None or an empty list."""
    if value is None or (isinstance(value, Sequence) and not value):
        return list(range(rank))
    chosen = value if isinstance(value, Sequence) else [value]
    return sorted({int(axis) % max(rank, 1) for axis in chosen})


def each_of(value: Any, count: int) -> list[int]:
    """An argument such as ``stride``: one number for each place, or one for all."""
    if value is None:
        return []
    numbers = [int(n) for n in value] if isinstance(value, Sequence) else [int(value)]
    return numbers * count if len(numbers) == 1 else numbers


def required(carried: Carried | None, like: Carried, shape: Sequence[int]) -> Carried:
    """What a tensor depends on, where it may be a constant."""
    return spans.nowhere(shape, like) if carried is None else carried
