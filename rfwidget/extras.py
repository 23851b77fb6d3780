"""What `pip install rfwidget` leaves out: frameworks, and what few need, each an extra of the package."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rfwidget.errors import MissingFrameworkError


@contextmanager
def brought_by(extra: str, *modules: str, what: str = "the framework") -> Iterator[None]:
    """Around the imports of a wing, or of another extra: what is not installed is an error that says what to type.

    Args:
        extra: the name of the extra, as in ``pip install "rfwidget[extra]"``.
        modules: the top-level modules that the extra brings. That any other module is missing is passed on as it is.
        what: what the reader is to install, in words.

    Raises:
        MissingFrameworkError: one of the modules is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if isinstance(error, MissingFrameworkError) or error.name not in modules:
            raise
        raise MissingFrameworkError(
            f'no module named {error.name!r}: install {what} with `pip install "rfwidget[{extra}]"`',
            name=error.name,
        ) from error
