"""The models of torchvision and timm, beside a PyTorch without CUDA.

Install them where nothing else is disturbed, and name that folder in the environment:

    pip install --target ../zoo --no-deps torchvision==0.28.0 timm==1.0.31 huggingface_hub safetensors pyyaml tqdm
    RFWIDGET_ZOO=../zoo python -m benchmarks.torch_models

torchvision is built for a PyTorch with CUDA; without its own library it can only be imported if somebody else declares
two operations that detection models would need.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import torch

_DECLARED: list[Any] = []


def torchvision_models() -> Any:
    """The module ``torchvision.models``.

    Raises:
        SystemExit: if it is not installed.
    """
    _find()
    if not _DECLARED:
        library = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _DECLARED.append(library)
    try:
        from torchvision import models
    except ImportError as error:
        raise SystemExit(f"torchvision is not installed; {__doc__}") from error
    return models


def timm() -> Any:
    """The package ``timm``.

    Raises:
        SystemExit: if it is not installed.
    """
    torchvision_models()  # timm imports it
    try:
        import timm as package
    except ImportError as error:
        raise SystemExit(f"timm is not installed; {__doc__}") from error
    return package


def _find() -> None:
    folder = os.environ.get("RFWIDGET_ZOO")
    if folder and folder not in sys.path:
        sys.path.append(folder)
