"""What `ReceptiveField.verify` found: layers measured in independent ways, side by side."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from rfwidget.types import Size

AGREES = "agrees"


class Check(NamedTuple):
    """One layer, measured more than once.

    Attributes:
        layer: its name.
        size: of its receptive field, as `compute` gives it.
        gradients: what backpropagation through a linear copy of the network says of it: ``"agrees"``, how it differs,
            or why there is none.
        pixels: what the real network does where single columns and rows of an image are changed: ``"agrees"``, how it
            differs, or why that was not tried.
        wrong: whether the ways contradict each other.
    """

    layer: str
    size: Size
    gradients: str
    pixels: str
    wrong: bool


def unmeasured(layer: str, axes: int, reason: str) -> Check:
    """The check of a layer that has no receptive field, or none that is known."""
    return Check(layer, Size(*(math.nan,) * axes), f"not known ({reason})", "not tried", wrong=False)


class Verification(Sequence[Check]):
    """The checks of all layers that were looked at, in order; prints as a table.

    >>> print(Verification([Check("conv", Size(3, 3), "agrees", "agrees", False)]))
    1 layer: all ways agree
    conv  3 x 3  gradients: agrees  pixels: agrees
    """

    def __init__(self, checks: Sequence[Check]) -> None:
        self._checks = tuple(checks)

    def __getitem__(self, index):  # type: ignore[no-untyped-def]
        return self._checks[index]

    def __len__(self) -> int:
        return len(self._checks)

    def __iter__(self) -> Iterator[Check]:
        return iter(self._checks)

    @property
    def agree(self) -> bool:
        """Whether no two ways contradict each other."""
        return not any(check.wrong for check in self._checks)

    def __repr__(self) -> str:
        wrong = sum(check.wrong for check in self._checks)
        count = f"{len(self._checks)} layer{'s' * (len(self._checks) != 1)}"
        lines = [f"{count}: {f'{wrong} contradicted' if wrong else 'all ways agree'}"]
        names = max((len(check.layer) for check in self._checks), default=0)
        for check in self._checks:
            size = " x ".join(f"{length}" for length in check.size)
            lines.append(f"{check.layer:{names}}  {size}  gradients: {check.gradients}  pixels: {check.pixels}")
        return "\n".join(lines)
