"""From what people have, a file, the name of a function, a model, to an estimator of it.

This stands at the entrance, above the wings, and names no framework: each wing knows its own files. A file from a
stranger must not run code, so what would is refused unless it is trusted; a function that the user names is trusted.
"""

from __future__ import annotations

import importlib
import inspect
import re
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from rfwidget import _validation
from rfwidget.errors import ReceptiveFieldError, suggest
from rfwidget.estimator import ReceptiveField
from rfwidget.types import ImageShape

FORMATS = (
    "a .keras file, a folder with a SavedModel, a TorchScript or torch.export file (.pt, .pth, .pt2, .ts), an .onnx "
    "file, or package.module:function"
)
"""What a model can be given as, in words."""

_KERAS = (".keras", ".h5", ".hdf5")
_TORCH = (".pt", ".pth", ".pt2", ".ts", ".torchscript", ".jit", ".ep")

_NAME = re.compile(r"[^\W\d][\w.]*:[^\W\d][\w.]*")


class Loaded(NamedTuple):
    """A model that was found.

    Attributes:
        rf: an estimator of it; nothing is computed yet.
        shape: the image that the model was saved for; None: any, or what the estimator takes by default.
    """

    rf: ReceptiveField
    shape: ImageShape | None


def load(model: str, *, trust: bool = False) -> Loaded:
    """An estimator of the model in a file, or of what a function builds.

    Args:
        model: path of a file or folder, or ``"package.module:name"`` of a function or a model.
        trust: load a file even if that runs code of the file.

    Raises:
        UntrustedFileError: if it would, and is not trusted.
        ReceptiveFieldError: if there is no such file or function, the format is unknown, or it cannot be loaded.
    """
    path = Path(model)
    if not path.exists() and _NAME.fullmatch(model):
        return Loaded(estimator_of(_named(model)), None)
    if not path.exists():
        raise ReceptiveFieldError(f"no such file: {model!r}; expected {FORMATS}")
    try:
        return _from_file(path, trust=_validation.flag("trust", trust))
    except ReceptiveFieldError:
        raise
    except Exception as error:  # whatever a framework raises for a file that it cannot read
        raise ReceptiveFieldError(f"{model} cannot be loaded: {type(error).__name__}: {_first_line(error)}") from error


def estimator_of(model: Any) -> ReceptiveField:
    """An estimator of a model of any framework.

    Args:
        model: an estimator, given back as it is; a model; a function that builds one, of ``input_shape`` (Keras) or
            without arguments; or text as for `load`.

    Raises:
        ReceptiveFieldError: if it is none of these, or the function fails.
    """
    if isinstance(model, ReceptiveField):
        return model
    if isinstance(model, (str, Path)):
        return load(str(model)).rf
    framework = _validation.framework_of(model)
    if framework == "torch":
        from rfwidget.torch import TorchReceptiveField

        return TorchReceptiveField(model)
    if framework == "keras" or (callable(model) and _takes_a_shape(model)):
        return _keras(model if framework == "keras" else _builder(model))
    if not callable(model):
        raise ReceptiveFieldError(
            f"the model is {_validation.brief(model)}: expected a model, a function, or {FORMATS}"
        )
    try:
        made = model()
    except Exception as error:
        raise ReceptiveFieldError(
            f"the function that builds the model failed: {type(error).__name__}: {_first_line(error)}"
        ) from error
    if not isinstance(made, ReceptiveField) and _validation.framework_of(made) is None:
        raise ReceptiveFieldError(f"the function returned {_validation.brief(made)}: expected a model")
    return estimator_of(made)


def imported(name: str) -> Any:
    """The thing called ``package.module:name``.

    Raises:
        ReceptiveFieldError: if there is none.
    """
    if not _NAME.fullmatch(name):
        raise ReceptiveFieldError(f"{name!r} is no name of a function: expected package.module:function")
    return _named(name)


def _named(name: str) -> Any:
    module_name, _, attribute = name.partition(":")
    try:
        found: Any = importlib.import_module(module_name)
    except Exception as error:  # code of the user's own
        raise ReceptiveFieldError(
            f"module {module_name!r} cannot be imported: {type(error).__name__}: {_first_line(error)}"
        ) from error
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise ReceptiveFieldError(f"no {part!r} in {module_name!r}{suggest(part, dir(found))}")
        found = getattr(found, part)
    return found


def _from_file(path: Path, *, trust: bool) -> Loaded:
    suffix = path.suffix.lower()
    if path.is_dir() and not (path / "saved_model.pb").exists():
        raise ReceptiveFieldError(f"{path} is a folder without saved_model.pb: expected {FORMATS}")
    if path.is_dir() or suffix in _KERAS:
        from rfwidget.keras import KerasReceptiveField
        from rfwidget.keras.files import load_keras_file, load_saved_model

        held = (load_saved_model if path.is_dir() else load_keras_file)(path, trust=trust)
        return Loaded(KerasReceptiveField(held.model), _image(held.shape))
    if suffix in _TORCH or suffix == ".onnx":
        from rfwidget.torch import TorchReceptiveField
        from rfwidget.torch.files import load_onnx_file, load_torch_file

        file = load_onnx_file(path) if suffix == ".onnx" else load_torch_file(path, trust=trust)
        return Loaded(TorchReceptiveField(file.module), _image(file.shape))
    raise ReceptiveFieldError(f"{path} has the unknown format {suffix or 'without a suffix'!r}: expected {FORMATS}")


def _keras(model: Any) -> ReceptiveField:
    from rfwidget.keras import KerasReceptiveField

    return KerasReceptiveField(model)


def _image(shape: tuple[int | None, int | None, int | None]) -> ImageShape | None:
    height, width, channels = shape
    return None if height is None or width is None or channels is None else ImageShape(width, height, channels)


def _takes_a_shape(function: Callable[..., Any]) -> bool:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # a class of an extension, say
        return False
    return "input_shape" in {parameter.name for parameter in parameters} or any(
        parameter.default is parameter.empty and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        for parameter in parameters
    )


def _builder(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function as the Keras wing takes it: of ``input_shape`` alone, and one that downloads nothing.

    The functions of ``keras.applications`` fetch trained weights unless they are told not to; fields need none.
    """
    parameters = inspect.signature(function).parameters
    if "weights" in parameters and parameters["weights"].default is not None:
        warnings.warn(
            f"{getattr(function, '__name__', 'the function')} is called with weights=None: nothing is downloaded, and "
            "gradients are those of random weights. For trained ones, give a function of your own",
            stacklevel=3,
        )
        function = partial(function, weights=None)
    return partial(_by_name, function) if "input_shape" in parameters else function


def _by_name(function: Callable[..., Any], input_shape: Any) -> Any:
    return function(input_shape=input_shape)


def _first_line(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), "no further words")[:300]
