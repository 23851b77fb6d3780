"""Trait types whose refusals are `ReceptiveFieldError` and say what to do, as everywhere in the package.

Those of traitlets raise a TraitError of their own, let NaN pass as a number, and ask no validator about None.
"""

from __future__ import annotations

from typing import Any

import traitlets

from rfwidget import _validation
from rfwidget.errors import ReceptiveFieldError


class Checked(traitlets.TraitType[Any, Any]):
    """Any value that the class's validator accepts; it is asked about None as well."""

    info_text = "a value that fits"


class Flag(traitlets.TraitType[bool, Any]):
    """True or False."""

    default_value = False

    def validate(self, obj: Any, value: Any) -> bool:  # noqa: ARG002 - traitlets' signature
        """The value as a bool."""
        return _validation.flag(str(self.name), value)


class Fraction(traitlets.TraitType[float, Any]):
    """A number 0..1."""

    default_value = 0.0

    def validate(self, obj: Any, value: Any) -> float:  # noqa: ARG002 - traitlets' signature
        """The value as a float."""
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError):
            number = -1.0
        if isinstance(value, (str, bytes)) or not 0 <= number <= 1:
            raise ReceptiveFieldError(f"{self.name} is {_validation.brief(value)}: expected a number 0..1")
        return number
