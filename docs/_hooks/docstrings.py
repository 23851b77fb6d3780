"""Griffe extension: what the reference shows beyond plain docstrings, doctests as code and the help of traits."""

from __future__ import annotations

import ast
import re
from typing import Any

import griffe

_EXAMPLE = re.compile(r"^>>> .*(?:\n(?![ \t]*$).+)*", flags=re.M)


class Docstrings(griffe.Extension):
    """Put a fence around every paragraph that is a doctest, and give each trait its ``help`` as its docstring."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Called for each module, class, function and attribute once it is read."""
        if obj.docstring is not None:
            obj.docstring.value = _EXAMPLE.sub(r"```pycon\n\g<0>\n```", obj.docstring.value)

    def on_attribute_instance(self, *, node: ast.AST | griffe.ObjectNode, attr: griffe.Attribute, **_: Any) -> None:
        """Called for each attribute once it is read, with the assignment that makes it."""
        value = getattr(node, "value", None)
        if attr.docstring is None and isinstance(value, ast.Call):
            for keyword in value.keywords:
                if keyword.arg == "help" and isinstance(keyword.value, ast.Constant):
                    attr.docstring = griffe.Docstring(str(keyword.value.value), parent=attr)
