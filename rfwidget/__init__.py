"""See what a convolutional network sees.

``RFWidget(model)`` shows receptive fields live in a notebook; ``KerasReceptiveField(model)`` measures size, stride and
offset of any Keras model, ``TorchReceptiveField(model)`` of any PyTorch module. The framework comes with an extra,
``pip install "rfwidget[tensorflow]"``, ``"rfwidget[jax]"`` or ``"rfwidget[torch]"``; it and matplotlib load when they
are first needed.
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import TYPE_CHECKING, Any

from rfwidget._version import __version__
from rfwidget.errors import ReceptiveFieldError
from rfwidget.types import GridPoint, GridShape, ImageShape, ReceptiveFieldDescription, Rect, Size

if TYPE_CHECKING:
    from rfwidget.estimator import ReceptiveField
    from rfwidget.image import get_default_image, get_default_images
    from rfwidget.keras import KerasReceptiveField
    from rfwidget.many import survey_many
    from rfwidget.torch import TorchReceptiveField
    from rfwidget.widget import RFWidget, link

__all__ = [
    "GridPoint",
    "GridShape",
    "ImageShape",
    "KerasReceptiveField",
    "RFWidget",
    "ReceptiveField",
    "ReceptiveFieldDescription",
    "ReceptiveFieldError",
    "Rect",
    "Size",
    "TorchReceptiveField",
    "__version__",
    "get_default_image",
    "get_default_images",
    "link",
    "survey_many",
]

_LAZY = {
    "KerasReceptiveField": "rfwidget.keras",
    "RFWidget": "rfwidget.widget",
    "ReceptiveField": "rfwidget.estimator",
    "TorchReceptiveField": "rfwidget.torch",
    "get_default_image": "rfwidget.image",
    "get_default_images": "rfwidget.image",
    "link": "rfwidget.widget",
    "survey_many": "rfwidget.many",
}

_FRAMEWORKS = {"KerasReceptiveField": "keras", "TorchReceptiveField": "torch"}

if not TYPE_CHECKING:
    # ``from rfwidget import *`` and ``help(rfwidget)`` ask for all that is listed: no wing that is bound to fail.
    __all__ = [name for name in __all__ if name not in _FRAMEWORKS or importlib.util.find_spec(_FRAMEWORKS[name])]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return __all__
