"""Griffe extension: examples in docstrings, which begin with >>>, are shown as code."""

from __future__ import annotations

import re
from typing import Any

import griffe

_EXAMPLE = re.compile(r"^>>> .*(?:\n(?![ \t]*$).+)*", flags=re.M)


class Doctests(griffe.Extension):
    """Put a fence around every paragraph that is a doctest."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Called for each module, class, function and attribute once it is read."""
        if obj.docstring is not None:
            obj.docstring.value = _EXAMPLE.sub(r"```pycon\n\g<0>\n```", obj.docstring.value)
