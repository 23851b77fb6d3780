"""What is known of a tensor inside a probe without measuring: how far and how it can depend on the image.

Hints travel on the tensors while a probe is surveyed. They bound the receptive field, and they name the period of
everything inside, so that the measurement knows beforehand how large its images must be. Pairs are ``(y, x)``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import keras

_ATTRIBUTE = "_rfwidget_hint"


class Hint(NamedTuple):
    """How a tensor depends on the image.

    Attributes:
        scale: pixels per cell; None along an axis whose cells all see the whole image.
        period: shift of the image after which the tensor and all before it repeat.
        reach: no cell looks further than this many pixels beyond its own place.
        exact: whether ``period`` and ``reach`` are proven, that is, no unknown code was met.
        context: whether the whole image was mixed in along an axis.
        linear: whether everything so far is linear and positive.
        separable: whether the axes can be measured one at a time.
        resizable: whether images of other sizes can be run.
    """

    scale: tuple[Fraction | None, Fraction | None] = (Fraction(1), Fraction(1))
    period: tuple[int, int] = (1, 1)
    reach: tuple[float, float] = (0, 0)
    exact: bool = True
    context: tuple[bool, bool] = (False, False)
    linear: bool = True
    separable: bool = True
    resizable: bool = True

    @staticmethod
    def of(tensor: Any) -> Hint | None:
        """The hint a tensor carries; None: it does not come from the image."""
        hint = getattr(tensor, _ATTRIBUTE, None)
        return hint if isinstance(hint, Hint) else None

    def put_on(self, tensor: Any) -> None:
        """Label a tensor."""
        setattr(tensor, _ATTRIBUTE, self)


def hints_of(structure: Any) -> list[Hint]:
    """The hints of all labelled tensors in a nested structure."""
    return [hint for leaf in keras.tree.flatten(structure) if (hint := Hint.of(leaf)) is not None]


class Effect(NamedTuple):
    """What one operation does to the hints.

    ``step`` and ``reach`` count cells of its input; ``context`` tells the axes along which the whole image is mixed in,
    ``flat`` those along which nothing else is left.
    """

    step: tuple[Fraction, Fraction] = (Fraction(1), Fraction(1))
    reach: tuple[float, float] = (0, 0)
    context: tuple[bool, bool] = (False, False)
    flat: tuple[bool, bool] = (False, False)
    exact: bool = True
    linear: bool = True
    separable: bool = True
    resizable: bool = True

    def then(self, other: Effect) -> Effect:
        """This effect followed by another."""
        return Effect(
            step=_pair(s * t for s, t in zip(self.step, other.step, strict=True)),
            reach=_pair(r + s * t for r, s, t in zip(self.reach, self.step, other.reach, strict=True)),
            context=_pair(a or b for a, b in zip(self.context, other.context, strict=True)),
            flat=_pair(a or b for a, b in zip(self.flat, other.flat, strict=True)),
            exact=self.exact and other.exact,
            linear=self.linear and other.linear,
            separable=self.separable and other.separable,
            resizable=self.resizable and other.resizable,
        )

    def after(self, inputs: Sequence[Hint | None]) -> Hint | None:
        """Hint of the outputs, from those of the inputs; None if the image is not among them."""
        hints = [hint for hint in inputs if hint is not None]
        if not hints:
            return None
        before = [max((s for hint in hints if (s := hint.scale[i]) is not None), default=None) for i in (0, 1)]
        scale = [None if s is None or self.flat[i] else s * self.step[i] for i, s in enumerate(before)]
        return Hint(
            scale=_pair(scale),
            period=_pair(
                math.lcm(*(hint.period[i] for hint in hints), 1 if s is None else s.numerator)
                for i, s in enumerate(scale)
            ),
            reach=_pair(max(hint.reach[i] for hint in hints) + self.reach[i] * (s or 1) for i, s in enumerate(before)),
            exact=self.exact and all(hint.exact for hint in hints),
            context=_pair(self.context[i] or any(hint.context[i] for hint in hints) for i in (0, 1)),
            linear=self.linear and all(hint.linear for hint in hints),
            separable=self.separable and all(hint.separable for hint in hints),
            resizable=self.resizable and all(hint.resizable for hint in hints),
        )


def _pair(values: Any) -> Any:
    return tuple(values)


NEUTRAL = Effect()
