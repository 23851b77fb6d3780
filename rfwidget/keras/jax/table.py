"""Where the rules are kept: how what values depend on goes through a primitive, by its name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from rfwidget.keras import calls
from rfwidget.keras.jax.values import Constant, Flowing

RULES = calls.Table()
rule = RULES.rule


def name_of(equation: Any) -> str:
    """Name of a primitive, as the table has it."""
    return str(equation.primitive.name).replace("-", "_")


class Call(calls.Call):
    """One primitive with its inputs, as rules see it.

    Attributes:
        name: of the primitive.
        inputs: their values.
        shapes: of the results.
    """

    def __init__(self, equation: Any, inputs: Sequence[Any]) -> None:
        super().__init__(name_of(equation), inputs)
        self.equation = equation
        self.shapes = [tuple(int(n) for n in out.aval.shape) for out in equation.outvars]

    def __getitem__(self, name: str) -> Any:
        """A parameter."""
        return self.equation.params[name]

    @property
    def result(self) -> tuple[int, ...]:
        """Shape of the first result."""
        return self.shapes[0]

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
