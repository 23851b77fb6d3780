"""The one exception family. A message says what was received, what was expected, and what to do next."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class ReceptiveFieldError(ValueError):
    """Something the caller gave cannot be used; the estimator, the model and the widget are as they were before."""


class NotComputedError(ReceptiveFieldError):
    """A question was asked before ``compute`` had run."""


class SizeRefusedError(ReceptiveFieldError):
    """The network does not run on an image of that size."""


class NoInfluenceError(ReceptiveFieldError):
    """The image does not influence the layer, so its cells see nothing."""


class MissingFrameworkError(ModuleNotFoundError, ReceptiveFieldError):
    """A wing was asked for whose framework is not installed.

    It is a `ReceptiveFieldError` like every other, and an `ImportError` too: an import is where it is met, and code
    that can do without a wing catches that.
    """


class UntrustedFileError(ReceptiveFieldError):
    """A file would run code when it is loaded, and nobody has said that it may."""


def untrusted(path: object, what: str) -> UntrustedFileError:
    """The error for a file that would run code.

    Args:
        path: of the file.
        what: the code that it holds, in words.
    """
    return UntrustedFileError(
        f"{path} is not loaded: it holds {what}. If you trust whoever made it, say so with --trust (trust=True)"
    )


def suggest(name: object, known: Iterable[str]) -> str:
    """The end of an "unknown name" message: ``", did you mean 'feature_grid'?"`` or nothing."""
    close = difflib.get_close_matches(name[:200], list(known), n=1, cutoff=0.5) if isinstance(name, str) else []
    return f", did you mean {close[0]!r}?" if close else ""


def unknown_layer(name: str, with_grid: Iterable[str]) -> ReceptiveFieldError:
    """The error for a layer that is not there, naming those that could be meant."""
    known = list(with_grid)
    shown = ", ".join(map(repr, known if len(known) <= 12 else [*known[:6], *known[-6:]]))
    some = "" if len(known) <= 12 else f" ({len(known)} in all, the first and last six here)"
    return ReceptiveFieldError(f"no layer {name!r}; layers with a grid: {shown}{some}{suggest(name, known)}")
