"""Keras models from files: what each kind of file may do when it is loaded, and the model that it holds.

A file from a stranger must not run code. A ``.keras`` file is looked through before Keras sees it, for Keras imports
what such a file names, and what it checks itself differs from version to version.
"""

from __future__ import annotations

import importlib
import json
import zipfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import keras

from rfwidget.errors import ReceptiveFieldError, untrusted

_CODE = {
    "Lambda": "a Lambda layer, which is Python code",
    "__lambda__": "a lambda, which is Python code",
    "TorchModuleWrapper": "a pickled PyTorch module, and pickles run code when they are opened",
    "TFSMLayer": "a SavedModel that lies elsewhere",
}
"""Classes in the configuration of a model that are, or bring, code of the file's own."""

_FILE_OPS = (
    "ReadFile",
    "WriteFile",
    "PyFunc",
    "PyFuncStateless",
    "EagerPyFunc",
    "MatchingFiles",
    "Save",
    "DebugIdentityV3",
)
"""Operations of a TensorFlow graph that reach out of it; no exported network needs them."""


_NO_PART_OF_MODELS = ("keras.utils", "keras.saving", "keras.src.utils", "keras.src.saving")
"""Modules of Keras whose functions load, fetch or unpack files: nothing of theirs is a layer of a network."""


class KerasFile(NamedTuple):
    """A model as a file gives it.

    Attributes:
        model: a built model, or a function of ``input_shape`` that builds it.
        shape: ``(height, width, channels)`` of its image, None where any will do.
    """

    model: keras.Model | Callable[[Any], keras.Model]
    shape: tuple[int | None, int | None, int | None]


def load_keras_file(path: Path, *, trust: bool) -> KerasFile:
    """The model in a ``.keras`` file, or in the older HDF5 format.

    Args:
        path: of the file.
        trust: load it even if that runs code of the file.

    Raises:
        UntrustedFileError: if it would run code, and is not trusted.
        ReceptiveFieldError: if it is no such file, or Keras cannot load it.
    """
    if not zipfile.is_zipfile(path):
        if not trust:
            raise untrusted(path, "the older HDF5 format, in which Keras does not look for code")
    elif (own := list(_own_code(path))) and not trust:
        raise untrusted(path, own[0])
    else:
        for module in _foreign_modules(path):
            importlib.import_module(module)
    model = keras.saving.load_model(path, compile=False, safe_mode=not trust)
    if not isinstance(model, keras.Model):
        raise ReceptiveFieldError(f"{path} holds {type(model).__name__}: expected a keras.Model")
    return KerasFile(model, (None, None, None))


def load_saved_model(path: Path, *, trust: bool) -> KerasFile:
    """The network in a folder with a SavedModel, seen as one layer from its first input to its first grid.

    Args:
        path: of the folder.
        trust: load it even if its graph reads or writes files.

    Raises:
        UntrustedFileError: if it does, and is not trusted.
        ReceptiveFieldError: if it has no endpoint that an image goes into.
    """
    graph = (path / "saved_model.pb").read_bytes()
    # An operation's name stands in the graph as field 2 of its node, a string: tag, length, text.
    found = [name for name in _FILE_OPS if b"\x12" + bytes([len(name)]) + name.encode() in graph]
    if found and not trust:
        raise untrusted(path, f"the operation {found[0]}, which reaches files or code outside of the graph")
    return KerasFile(partial(_around, path), _image_of(_layer(path)))


class SavedModelLayer(keras.layers.TFSMLayer):  # type: ignore[misc]
    """An endpoint of a SavedModel that gives one tensor, whatever the endpoint wraps it in."""

    def call(self, inputs: Any, training: bool = False) -> Any:
        """The first grid among the outputs, or the first output if there is no grid."""
        outputs = super().call(inputs, training=training)
        if isinstance(outputs, dict):
            outputs = list(outputs.values())
        if isinstance(outputs, (list, tuple)):
            return next((output for output in outputs if len(output.shape) == 4), outputs[0])
        return outputs

    @property
    def input_shape_of_image(self) -> tuple[int | None, ...] | None:
        """Shape of what goes in, without the batch; None if it cannot be told."""
        for signature in self._reloaded_obj.signatures.values():
            inputs = list(signature.structured_input_signature[1].values())
            if len(inputs) == 1 and inputs[0].shape.rank == 4:
                return tuple(inputs[0].shape[1:])
        return None


def _layer(path: Path) -> SavedModelLayer:
    failure: Exception | None = None
    for endpoint in ("serve", "serving_default"):  # what Keras writes, and what everybody else does
        try:
            return SavedModelLayer(str(path), call_endpoint=endpoint, name="saved_model")
        except ValueError as error:
            failure = error
    raise ReceptiveFieldError(f"{path} has no endpoint 'serve' or 'serving_default': {failure}") from failure


def _image_of(layer: SavedModelLayer) -> tuple[int | None, int | None, int | None]:
    height, width, channels = layer.input_shape_of_image or (None, None, None)
    return height, width, channels


def _around(path: Path, input_shape: Sequence[int]) -> keras.Model:
    """A model of that one layer."""
    image = keras.Input(tuple(input_shape))
    return keras.Model(image, _layer(path)(image))


def _own_code(path: Path) -> Iterator[str]:
    """What code a file would run, in words."""
    for part in _parts(path):
        name, module = part.get("class_name"), part.get("module")
        if name in _CODE:
            yield _CODE[name]
        elif isinstance(name, str) and _is_foreign(module):
            what = part.get("config") if name == "function" else name
            yield f"{module}.{what}, which is no part of a network of Keras"


def _foreign_modules(path: Path) -> list[str]:
    return sorted({part["module"] for part in _parts(path) if "class_name" in part and _is_foreign(part.get("module"))})


def _is_foreign(module: Any) -> bool:
    if not isinstance(module, str):
        return False
    return module.partition(".")[0] not in ("keras", "builtins") or module.startswith(_NO_PART_OF_MODELS)


def _parts(path: Path) -> Iterator[dict[str, Any]]:
    """All dictionaries of a model's configuration, nested ones too."""
    try:
        with zipfile.ZipFile(path) as archive:
            waiting = [json.loads(archive.read("config.json"))]
    except (KeyError, ValueError, zipfile.BadZipFile) as error:
        raise ReceptiveFieldError(f"{path} is no .keras file: it has no configuration of a model") from error
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            yield part
            waiting.extend(part.values())
        elif isinstance(part, list):
            waiting.extend(part)
