"""What `pip install rfwidget` leaves out: the frameworks, each an extra of the package."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rfwidget.errors import MissingFrameworkError


@contextmanager
def brought_by(extra: str, *modules: str) -> Iterator[None]:
    """Around the imports of a wing: a framework that is not installed is an error that says which command to type.

    Args:
        extra: the name of the extra, as in ``pip install "rfwidget[extra]"``.
        modules: the top-level modules that the extra brings. That any other module is missing is passed on as it is.

    Raises:
        MissingFrameworkError: one of the modules is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if isinstance(error, MissingFrameworkError) or error.name not in modules:
            raise
        raise MissingFrameworkError(
            f'no module named {error.name!r}: install the framework with `pip install "rfwidget[{extra}]"`',
            name=error.name,
        ) from error
