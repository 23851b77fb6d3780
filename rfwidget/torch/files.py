"""PyTorch modules from files: TorchScript, ``torch.export``, ONNX by onnx2torch, and pickles that are trusted.

A file from a stranger must not run code. TorchScript is a language of its own that cannot reach Python, so all that it
could do is to read and write files. An exported program is opened only if it is trusted: PyTorch evaluates sizes and
guards in it as Python, opens pickles in it, and links compiled parts, and warns of files from strangers itself
(`torch.export.load`).
"""

from __future__ import annotations

import importlib
import re
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from rfwidget.errors import MissingFrameworkError, ReceptiveFieldError, untrusted

_PICKLED = "a pickle, and pickles run code when they are opened"

_EXPORTED = "an exported program, and PyTorch runs Python that it finds in one when it opens it"

_REACHING_OUT = re.compile(rb"\b(save|from_file)\b")
"""Names of what reads or writes files in TorchScript, where blanks may stand around any word."""


class TorchFile(NamedTuple):
    """A module as a file gives it.

    Attributes:
        module: the module.
        shape: ``(height, width, channels)`` of the image that it was exported for, None where any will do.
    """

    module: nn.Module
    shape: tuple[int | None, int | None, int | None] = (None, None, None)


def load_torch_file(path: Path, *, trust: bool) -> TorchFile:
    """The module in a file of PyTorch's: what it is shows in the file itself, not in its name.

    Args:
        path: of the file.
        trust: open pickles and exported programs.

    Raises:
        UntrustedFileError: if it is a pickle of more than tensors, an exported program, or TorchScript that reads or
            writes files, and is not trusted.
        ReceptiveFieldError: if it holds no module.
    """
    names = zipfile.ZipFile(path).namelist() if zipfile.is_zipfile(path) else []
    ends = {name.partition("/")[2] for name in names}
    if any(end.startswith("models/") for end in ends) or "serialized_exported_program.json" in names:
        return _exported(path, trust=trust)
    if "constants.pkl" in ends and any(end.startswith("code/") for end in ends):
        return _scripted(path, trust=trust)
    return _pickled(path, trust=trust)


def load_onnx_file(path: Path) -> TorchFile:
    """The network of an ONNX file as a module, by onnx2torch.

    Raises:
        MissingFrameworkError: if that is not installed.
    """
    try:
        convert = importlib.import_module("onnx2torch").convert
    except ModuleNotFoundError as error:
        raise MissingFrameworkError(
            f"{path} is an ONNX file, which needs onnx2torch, and no module {error.name!r} was found: install it with "
            "`pip install onnx2torch`",
            name=error.name,
        ) from error
    return TorchFile(convert(str(path)).eval())


def _scripted(path: Path, *, trust: bool) -> TorchFile:
    if not trust:
        with zipfile.ZipFile(path) as archive:
            # PyTorch finds a part by its name in small or capital letters, and of two with one name not the one we do
            names = [name.lower() for name in archive.namelist()]
            if len(names) != len(set(names)):
                raise untrusted(path, "two parts of one name")
            if any(_REACHING_OUT.search(archive.read(n)) for n in archive.namelist() if n.lower().endswith(".py")):
                raise untrusted(path, "TorchScript that reads or writes files")
    return TorchFile(torch.jit.load(str(path), map_location="cpu").eval())  # type: ignore[no-untyped-call]


def _exported(path: Path, *, trust: bool) -> TorchFile:
    if not trust:
        raise untrusted(path, _EXPORTED)
    program = torch.export.load(path)
    return TorchFile(program.module(), _image_of(program))


def _image_of(program: Any) -> tuple[int | None, int | None, int | None]:
    """The image that a program was exported with, if it starts with one."""
    inputs = program.example_inputs[0] if program.example_inputs else ()
    if not inputs or getattr(inputs[0], "ndim", 0) != 4:
        return (None, None, None)
    _, channels, height, width = inputs[0].shape
    return int(height), int(width), int(channels)


def _pickled(path: Path, *, trust: bool) -> TorchFile:
    if not trust and (not zipfile.is_zipfile(path) or torch.serialization.get_unsafe_globals_in_checkpoint(path)):
        raise untrusted(path, _PICKLED)
    held = torch.load(path, map_location="cpu", weights_only=not trust)
    if isinstance(held, nn.Module):
        return TorchFile(held)
    if isinstance(held, dict):
        raise ReceptiveFieldError(
            f"{path} holds weights alone, which say nothing of the layers: give the function that builds the module, "
            "'package.module:function'"
        )
    raise ReceptiveFieldError(f"{path} holds {type(held).__name__}: expected a torch.nn.Module")
