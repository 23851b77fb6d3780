"""The Keras wing: exact receptive fields of any Keras 3 model, whichever backend Keras runs on."""

import importlib
import sys
from importlib.util import find_spec

from rfwidget.errors import MissingFrameworkError, ReceptiveFieldError
from rfwidget.extras import brought_by
from rfwidget.keras.silent_import import held_back

_OLDEST = (3, 9)
"""The oldest Keras that `pyproject.toml` asks for."""


def _check_version(version: str) -> None:
    """Refuse a Keras that is older than those that were tried."""
    if tuple(int(part) for part in version.split(".")[:2]) < _OLDEST:
        oldest = ".".join(map(str, _OLDEST))
        raise ReceptiveFieldError(
            f"keras is {version}, older than {oldest}, the oldest that rfwidget takes: "
            f'`pip install --upgrade "keras>={oldest}"`'
        )


def _instead() -> str:
    """What can be done without TensorFlow, which Keras looks for if it is not told otherwise."""
    found = [name for name in ("jax", "torch") if find_spec(name) is not None]
    return f", or let Keras run on {found[0]}, which is installed: set KERAS_BACKEND={found[0]}" if found else ""


try:
    with (
        brought_by("jax", "jax", "jaxlib"),
        brought_by("torch", "torch"),
        brought_by("tensorflow", "keras", "tensorflow"),
    ):
        if "keras" not in sys.modules:
            with held_back():
                importlib.import_module("keras")
                if "tensorflow" in sys.modules:  # which looks for a GPU at its first operation, and tells at length
                    sys.modules["tensorflow"].config.list_physical_devices()
        _check_version(sys.modules["keras"].__version__)

        from rfwidget.keras.estimator import KerasReceptiveField
except MissingFrameworkError as error:
    if error.name != "tensorflow" or not _instead():
        raise
    raise MissingFrameworkError(f"{error}{_instead()}", name=error.name) from error

__all__ = ["KerasReceptiveField"]
