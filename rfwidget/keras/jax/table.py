"""Where the rules are kept: how what values depend on goes through a primitive, by its name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from rfwidget._measure import spans
from rfwidget._measure.spans import Carried
from rfwidget.keras.jax.values import Constant, Flowing, UnknownError

Rule = Callable[["Call"], Any]

RULES: dict[str, Rule] = {}

EVEN: set[str] = set()
"""Primitives that tell no channel from another."""


def rule(names: str, *, even: bool = False) -> Callable[[Rule], Rule]:
    """Take a rule into the table under the names of the primitives that it serves.

    Args:
        names: with spaces between them.
        even: whether it tells no channel from another.
    """

    def keep(function: Rule) -> Rule:
        for name in names.split():
            RULES[name] = function
            if even:
                EVEN.add(name)
        return function

    return keep


def name_of(equation: Any) -> str:
    """Name of a primitive, as the table has it."""
    return str(equation.primitive.name).replace("-", "_")


class Call:
    """One primitive with its inputs, as rules see it.

    Attributes:
        name: of the primitive.
        inputs: their values.
        shapes: of the results.
    """

    def __init__(self, equation: Any, inputs: Sequence[Any]) -> None:
        self.name = name_of(equation)
        self.inputs = list(inputs)
        self.equation = equation
        self.shapes = [tuple(int(n) for n in out.aval.shape) for out in equation.outvars]

    def __getitem__(self, name: str) -> Any:
        """A parameter."""
        return self.equation.params[name]

    @property
    def result(self) -> tuple[int, ...]:
        """Shape of the first result."""
        return self.shapes[0]

    def shape(self, place: int) -> tuple[int, ...]:
        """Shape of an input."""
        shape: tuple[int, ...] = self.inputs[place].shape
        return shape

    def carried(self, place: int) -> Carried | None:
        """What an input depends on; None: on no pixel."""
        value = self.inputs[place]
        return value.carried if isinstance(value, Flowing) else None

    @property
    def all_carried(self) -> list[Carried]:
        """All inputs that depend on the image."""
        return [value.carried for value in self.inputs if isinstance(value, Flowing)]

    def needed(self, place: int) -> Carried:
        """What an input depends on, which may be nothing."""
        found = self.carried(place)
        return spans.nowhere(self.shape(place), self.all_carried[0]) if found is None else found

    def only(self, place: int) -> Carried:
        """What an input depends on, where no other may depend on the image.

        Raises:
            UnknownError: if another does.
        """
        if any(isinstance(value, Flowing) for k, value in enumerate(self.inputs) if k != place):
            raise UnknownError(f"{self.name} with numbers that the image decides")
        return self.needed(place)

    def numbers(self, place: int) -> npt.NDArray[Any] | None:
        """Numbers of an input; None: it depends on the image."""
        value = self.inputs[place]
        return value.numbers if isinstance(value, Constant) else None

    def nonzero(self, place: int) -> npt.NDArray[np.bool_] | None:
        """Where an input is not zero by construction; it broadcasts to its shape. None: everywhere."""
        value = self.inputs[place]
        if isinstance(value, Constant):
            return value.nonzero
        return None if value.mask.zero is None else ~value.mask.zero

    def on(self, place: int) -> npt.NDArray[np.bool_] | None:
        """Where an input is not as good as minus infinity; it broadcasts to its shape. None: everywhere."""
        value = self.inputs[place]
        return ~value.mask.off if isinstance(value, Flowing) and value.mask.off is not None else None
