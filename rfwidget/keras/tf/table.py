"""Where the rules are kept: how what tensors depend on goes through an operation of TensorFlow, by its name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from rfwidget._measure.masks import told_apart
from rfwidget._measure.spans import Carried
from rfwidget.keras import calls
from rfwidget.keras.calls import UnknownError
from rfwidget.keras.tf.values import Constant, Flowing, attribute

RULES = calls.Table()
"""Rules by the types of operations. A rule gives one result or a list of them, each a `Carried` or a `Constant`."""

rule = RULES.rule


class Call(calls.Call):
    """One call of an operation, as rules see it.

    Attributes:
        operation: of the graph.
        name: its type.
        inputs: what it is called with.
    """

    def __init__(self, operation: Any, inputs: Sequence[Any]) -> None:
        super().__init__(str(operation.type), inputs)
        self.operation = operation

    @property
    def count(self) -> int:
        """Number of results."""
        return len(self.operation.outputs)

    def attr(self, name: str) -> Any:
        """An attribute."""
        return attribute(self.operation, name)

    def has(self, name: str) -> bool:
        """Whether there is such an attribute."""
        return name in self.operation.node_def.attr

    @property
    def like(self) -> Carried:
        """Any input that depends on the image."""
        return self.all_carried[0]

    def numbers(self, place: int) -> npt.NDArray[Any]:
        """Numbers of an input.

        Raises:
            UnknownError: if it depends on the image.
        """
        value = self.inputs[place]
        if not isinstance(value, Constant):
            raise UnknownError(f"{self.name} with sizes or places that the image decides")
        return value.numbers

    def axes(self, place: int, rank: int) -> list[int]:
        """Axes that an input names, counted from the front."""
        return sorted({int(axis) % max(rank, 1) for axis in np.atleast_1d(self.numbers(place))})

    def nonzero(self, place: int) -> npt.NDArray[np.bool_] | None:
        """Where an input is not zero by construction; it broadcasts to its shape. None: everywhere."""
        value = self.inputs[place]
        if isinstance(value, Constant):
            return value.nonzero
        zero = value.mask.zero if isinstance(value, Flowing) and value.mask is not None else None
        return None if zero is None else ~zero

    def on(self, place: int, axis: int = -1) -> npt.NDArray[np.bool_] | None:
        """Where an input is not as good as minus infinity beside others along an axis.

        Returns:
            A mask that broadcasts to its shape; None: everywhere.
        """
        value = self.inputs[place]
        return told_apart(value.mask.off, axis) if isinstance(value, Flowing) and value.mask is not None else None

    @property
    def static_shapes(self) -> list[tuple[int, ...] | None]:
        """Shapes of the results as the graph has them; None: not known."""
        shapes = [output.shape for output in self.operation.outputs]
        return [tuple(shape.as_list()) if shape.is_fully_defined() else None for shape in shapes]

    @property
    def static_shape(self) -> tuple[int, ...]:
        """Shape of the first result.

        Raises:
            UnknownError: if the graph does not know it.
        """
        shape = self.static_shapes[0]
        if shape is None:
            raise UnknownError(f"{self.name} with a result of unknown shape")
        return shape
