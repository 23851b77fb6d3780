"""What those who follow a framework's code operation by operation share: constants, calls, and the table of rules.

A constant depends on no pixel. Weights have numbers that are not theirs: any positive ones, so that what is zero after
all was made so by the code, as a mask is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from rfwidget._measure import spans
from rfwidget._measure.spans import Carried

Bools = npt.NDArray[np.bool_]

DRAWS = 3
"""So many sets of numbers stand for weights: what is zero in all of them is so by construction, not by chance."""


class UnknownError(Exception):
    """An operation that cannot be followed."""


class Constant:
    """A value that depends on no pixel; its numbers are worked out when somebody asks.

    Args:
        held: its numbers, as the framework holds them; or, where weights are among what it is made of, a function that
            works them out from the set of numbers of that number.
        shape: of the value.
        dtype: of its numbers.
        dense: whether it holds weights, none of which is zero by construction.
    """

    def __init__(self, held: Any, shape: Sequence[int], dtype: Any, *, dense: bool = False) -> None:
        self._held = None if callable(held) else held
        self._work_out = held if callable(held) else None
        self._nonzero: Bools | None = None
        self.shape, self.dtype, self.dense = tuple(int(n) for n in shape), dtype, dense

    @classmethod
    def weights(cls, shape: Sequence[int], dtype: Any) -> Self:
        """Any positive numbers."""
        shape = tuple(int(n) for n in shape)

        def drawn(number: int) -> Any:
            draw = np.random.default_rng([number, *shape])
            return cls._made(draw.uniform(0.5, 1.5, shape) * (1 + 2 * number), dtype)

        return cls(drawn, shape, dtype, dense=True)

    @staticmethod
    def _made(numbers: npt.NDArray[Any], dtype: Any) -> Any:
        """Numbers as the framework holds them."""
        raise NotImplementedError

    @property
    def is_numeric(self) -> bool:
        """Whether there are numbers: strings and keys of random generators are none."""
        raise NotImplementedError

    @property
    def of_weights(self) -> bool:
        """Whether weights are among what it is made of."""
        return self._work_out is not None

    @property
    def held(self) -> Any:
        """The numbers, as the framework holds them."""
        if self._held is None:
            self._held = self.drawn(0)
        return self._held

    def drawn(self, number: int) -> Any:
        """The numbers from another set of weights."""
        return self._held if self._work_out is None else self._work_out(number)

    @property
    def numbers(self) -> npt.NDArray[Any]:
        """The numbers."""
        return np.asarray(self.held)

    @property
    def nonzero(self) -> Bools | None:
        """Where it is not zero by construction; None: everywhere."""
        if self.dense or not self.is_numeric:
            return None
        if self._nonzero is None:
            self._nonzero = self.numbers != 0
            for number in range(1, DRAWS if self.of_weights else 1):
                if not self._nonzero.all():
                    self._nonzero = self._nonzero | (np.asarray(self.drawn(number)) != 0)
        return None if self._nonzero.all() else self._nonzero


class Call:
    """One operation with its inputs, as rules see it.

    Args:
        name: of the operation.
        inputs: their values; those with an attribute ``carried`` depend on the image.
    """

    def __init__(self, name: str, inputs: Sequence[Any]) -> None:
        self.name, self.inputs = name, list(inputs)

    def shape(self, place: int) -> tuple[int, ...]:
        """Shape of an input."""
        shape: tuple[int, ...] = self.inputs[place].shape
        return shape

    def carried(self, place: int) -> Carried | None:
        """What an input depends on; None: on no pixel."""
        found: Carried | None = getattr(self.inputs[place], "carried", None)
        return found

    @property
    def all_carried(self) -> list[Carried]:
        """All inputs that depend on the image."""
        found = (self.carried(place) for place in range(len(self.inputs)))
        return [carried for carried in found if carried is not None]

    def needed(self, place: int) -> Carried:
        """What an input depends on, which may be nothing."""
        found = self.carried(place)
        return spans.nowhere(self.shape(place), self.all_carried[0]) if found is None else found

    def only(self, place: int) -> Carried:
        """What an input depends on, where no other may depend on the image.

        Raises:
            UnknownError: if another does.
        """
        if any(self.carried(k) is not None for k in range(len(self.inputs)) if k != place):
            raise UnknownError(f"{self.name} with numbers that the image decides")
        return self.needed(place)


class Table(dict[str, Callable[..., Any]]):
    """Rules by the names of operations.

    Attributes:
        even: operations that tell no channel from another, so that it does not matter whether channels are blurred.
    """

    def __init__(self) -> None:
        super().__init__()
        self.even: set[str] = set()

    def rule(self, names: str, *, even: bool = False) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Take a rule into the table under the names of the operations that it serves.

        Args:
            names: with spaces between them.
            even: whether it tells no channel from another.
        """

        def keep(function: Callable[..., Any]) -> Callable[..., Any]:
            for name in names.split():
                self[name] = function
                if even:
                    self.even.add(name)
            return function

        return keep
