"""`TorchReceptiveField`: the abstract estimator for PyTorch modules."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import nn

from rfwidget import _validation as checks
from rfwidget._aten.interpreter import UnknownError
from rfwidget._measure.memory import article
from rfwidget._measure.rolled import HOW_TO_SAY, check_said, is_candidate
from rfwidget._measure.stretch import shortened
from rfwidget._progress import Progress
from rfwidget.errors import ReceptiveFieldError, in_words, unknown_layer
from rfwidget.estimator import ReceptiveField
from rfwidget.image import as_input_shape, as_model_input, as_picture, check_size, fit_model
from rfwidget.ranks import RANKS, measured
from rfwidget.torch.measured import Layers
from rfwidget.torch.network import Long, RealModule, TorchNetwork
from rfwidget.torch.private import check_initialised
from rfwidget.types import GridShape, ImageShape

_NOT_TO_ITS_END = "The module does not run to its end on this image"

_ORDER = "PyTorch's order is (channels, height, width)"

_DEFAULTS = {1: (1024,), 2: (224, 224), 3: (32, 32, 32)}
"""Lengths where none are given, by the number of axes."""


class _Known(NamedTuple):
    """The layers that were looked at last, and what the module was like then."""

    key: Any
    layers: Layers


class TorchReceptiveField(ReceptiveField):
    """Exact receptive fields of a PyTorch module's layers.

    Args:
        model: a `torch.nn.Module`, scripted and compiled ones included, or a function without arguments that returns
            one. The module is never changed: it is looked at as in ``eval()``, and stays in the mode that it is in.
        init_weights: let gradient maps use constant positive kernels and zero biases instead of the module's weights.
        other_inputs: further arguments of ``forward`` behind the image; maps as large as the image go with it.
        device: where gradients and feature maps are computed, ``"cuda"`` say; None: on the CPU, wherever the module is.
        grid: cells ``(height, width)`` of layers that give tokens, where nothing else tells the shape of their grid.

    Raises:
        ReceptiveFieldError: if ``model`` is neither, not initialised, or the device is not there.

    >>> from torch import nn
    >>> rf = TorchReceptiveField(nn.Conv2d(3, 8, kernel_size=(5, 3), stride=2))
    >>> rf.compute((3, 32, 48))
    ReceptiveFieldDescription(offset=(1.5, 2.5), stride=(2.0, 2.0), size=Size(w=3, h=5))
    """

    _ranks = (1, 2, 3)

    def __init__(
        self,
        model: nn.Module | Callable[[], nn.Module],
        init_weights: bool = False,
        other_inputs: Sequence[Any] = (),
        device: str | torch.device | None = None,
        grid: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        self._module = _as_module(model)
        self._init_weights = checks.flag("init_weights", init_weights)
        self._others = tuple(checks.series("other_inputs", other_inputs, "arguments of forward"))
        self._device = _as_device(device)
        self._grid_said = checks.grid_lengths(grid)
        self._known: _Known | None = None

    def default_input_shape(self) -> tuple[int, ...]:
        """224x224 pixels, with the channels that the module's first convolution takes; 1024 samples where it moves
        along one axis, 32x32x32 voxels where it moves along three.
        """
        first = _first_convolution(self._module)
        return (224, 224, 3) if first is None else (*_DEFAULTS[first.axes], first.channels)

    def read_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        """As `as_torch_shape`, for the axes along which the module's first convolution moves."""
        first = _first_convolution(self._module)
        return as_torch_shape(input_shape, None if first is None else first.axes)

    def model_input(
        self, image: Any, shape: GridShape, preprocess: Callable[[Any], Any] | None = None
    ) -> npt.NDArray[np.float32]:
        """The module's input as ``(height, width, channels)``; 8-bit pictures become 0..1, as ``ToTensor`` does it.

        Args:
            image: a tensor ``(channels, height, width)``, an array ``(height, width, channels)`` or a PIL image.
            shape: of the module's input.
            preprocess: a transform, called with a float32 tensor ``(channels, height, width)``, and where it takes none
                with a PIL image.

        Raises:
            ReceptiveFieldError: if the image, or what comes of it, does not fit.
        """
        values = as_unit(fit_model(image, shape))
        if preprocess is None:
            return as_model_input(values, shape)
        tensor = torch.from_numpy(np.ascontiguousarray(np.moveaxis(values.astype(np.float32), -1, 0)))
        try:
            made = preprocess(tensor)
        except TypeError:  # torchvision's older ToTensor takes pictures only
            if values.ndim != 3:
                raise
            made = preprocess(Image.fromarray(as_picture(image)))
        return as_model_input(made, shape)

    def _pixels(self, image: Any) -> npt.NDArray[Any]:
        return as_unit(super()._pixels(image))

    def _build(
        self,
        input_shape: Sequence[int | None] | None,
        input_layer: str | None,
        output_layer: str | None,
        *,
        ignore_global_context: bool,
        progress: Progress,
    ) -> TorchNetwork:
        if input_layer not in (None, "input"):
            raise ReceptiveFieldError(
                f"no image input {input_layer!r}: the image is the first argument of forward, 'input'; give the others "
                "as TorchReceptiveField(model, other_inputs=(...))"
            )
        own = self.default_input_shape()
        given = own if input_shape is None else as_input_shape(input_shape)
        if len(given) != len(own):  # the module makes a map of what it is given, before its first convolution
            own = (*_DEFAULTS[len(given) - 1], own[-1])
        *lengths, channels = (default if n is None else n for n, default in zip(given, own, strict=True))
        progress(0.0, "running the module")
        asked = tuple(lengths)
        short = asked if self._others else shortened(asked)
        layers = self._layers(short, channels, local=ignore_global_context, progress=progress)
        grids = layers.grids_on(asked) if short != asked else None
        if short != asked and not (grids and self._is_known(layers, output_layer)):
            layers, grids = self._layers(asked, channels, local=ignore_global_context, progress=progress), None
        if output_layer is None:
            if not layers.shown:
                raise self._no_layer(layers)
            output_layer = _last(layers)
            _tell(layers, output_layer)
        elif output_layer not in layers.all:
            raise self._no_such(layers, output_layer)
        real = RealModule(
            self._module, output_layer, layers, self._others, self._device, init_weights=self._init_weights
        )
        long = None if grids is None else Long(asked, grids)
        return TorchNetwork(layers, real, output_layer, long)

    def _is_known(self, layers: Layers, wanted: str | None) -> bool:
        """Whether what is known of a layer holds for a long sequence."""
        name = wanted or (_last(layers) if layers.shown else "")
        return name not in layers.all or layers.is_known_on_long(name)

    def _layers(self, lengths: tuple[int, ...], channels: int, *, local: bool, progress: Progress) -> Layers:
        check_initialised(self._module)
        key = (lengths, channels, local, fingerprint(self._module))
        if self._known is not None and self._known.key == key:
            return self._known.layers

        def ticked() -> None:
            progress(0.5, "running the module")

        layers = Layers(
            self._module,
            lengths,
            channels,
            self._others,
            self._device,
            local=local,
            ticked=ticked,
            said=self._grid_said,
        )
        check_said(self._grid_said, layers.token_grids, layers.no_grids)
        failure = layers.walk.failure
        if failure is not None and not layers.all:
            where = f"{article(GridShape.of(lengths, channels))} of {measured(reversed(lengths))}"
            raise ReceptiveFieldError(
                f"the module does not run on {where} with {channels} channels: {_told(failure)}"
                f"{_other_order(channels, lengths, self.default_input_shape())}"
            ) from failure
        self._known = _Known(key, layers)
        return layers

    def _no_layer(self, layers: Layers) -> ReceptiveFieldError:
        failure = layers.walk.failure
        end = "" if failure is None else f". {_NOT_TO_ITS_END}: {_told(failure)}"
        if not layers.walk.output and failure is None:
            return ReceptiveFieldError(
                "the module returns no tensor that depends on the image: expected a tensor, or a list or dict of some"
            )
        rank = RANKS[len(layers.lengths)]
        return ReceptiveFieldError(
            f"the module has no layer with {rank.grid}: expected some output (1, {rank.channels_first[1:]}{end}"
        )

    def _no_such(self, layers: Layers, wanted: str) -> ReceptiveFieldError:
        failure = layers.walk.failure
        if wanted in layers.walk.made:
            carried = layers.walk.carried[layers.walk.made[wanted]]
            grid = RANKS[len(layers.lengths)].grid.removeprefix("a ")
            more = f". {HOW_TO_SAY}" if is_candidate(carried) else ""
            return ReceptiveFieldError(f"layer {wanted!r} gives {carried.shape}, which is no {grid}{more}")
        if wanted in layers.walk.others:
            return ReceptiveFieldError(f"layer {wanted!r} does not depend on the image")
        error = unknown_layer(wanted, layers.shown)
        if failure is not None:
            return ReceptiveFieldError(f"{error}. {_NOT_TO_ITS_END}: {_told(failure)}")
        return error


def _told(error: BaseException) -> str:
    """What somebody else's code raised, as the end of a sentence."""
    if isinstance(error, UnknownError):
        return in_words(error)
    return f"{type(error).__name__}: {in_words(error)}".removesuffix(": ")


def as_unit(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Values of an 8-bit picture as 0..1; any others as they are."""
    return values.astype(np.float32) / np.float32(255) if values.dtype == np.uint8 else values


def as_torch_shape(shape: Any, axes: int | None = None) -> tuple[int | None, ...]:
    """The argument ``input_shape`` in PyTorch's order as ``(height, width, channels)``.

    ``(channels, length)`` is a sequence, ``(channels, height, width)`` an image, ``(channels, depth, height, width)`` a
    volume, and ``(1, channels, depth, height, width)`` a volume with its batch. Three and four numbers could also be a
    sequence or an image with a batch of one in front. A module whose first convolution moves along one axis takes three
    numbers that begin with 1 as such a sequence; four numbers are a volume where it moves along three axes, and else an
    image with its batch.

    Args:
        shape: the argument.
        axes: along how many axes the module's first convolution moves; None: it has none.

    Raises:
        ReceptiveFieldError: if it is none, or looks like ``(height, width, channels)``.

    >>> as_torch_shape((3, 224, 160)), as_torch_shape((2, 1000)), as_torch_shape((1, 2, 1000), axes=1)
    ((224, 160, 3), (1000, 2), (1000, 2))
    """
    if isinstance(shape, (ImageShape, GridShape)):
        return as_input_shape(shape)
    if isinstance(shape, (str, bytes)) or not isinstance(shape, Sequence) or len(shape) not in (2, 3, 4, 5):
        raise ReceptiveFieldError(
            f"input_shape is {checks.brief(shape)}: expected (channels, height, width) or (1, channels, height, width)"
            f"; {RANKS[1].channels_first} for sequences, {RANKS[3].channels_first} for volumes"
        )
    sides = [None if n is None else checks.whole("each entry of input_shape", n, low=1) for n in shape]
    batched = len(sides) == 5 or (len(sides) == 4 and axes != 3) or (len(sides) == 3 and axes == 1 and sides[0] == 1)
    if batched:
        rank = RANKS[len(sides) - 2]
        if sides[0] not in (None, 1):
            more = "; of a volume, (1, channels, depth, height, width)" if len(sides) == 4 else ""
            raise ReceptiveFieldError(
                f"input_shape is {checks.brief(shape)}: expected one {rank.thing}, (1, {rank.channels_first[1:]}{more}"
            )
        sides = sides[1:]
    channels, *lengths = sides
    if len(lengths) == 2:
        height, width = lengths
        if width is not None and width <= 4 and (channels or 0) > 4 and (height or 0) > 4:
            raise ReceptiveFieldError(
                f"input_shape is {checks.brief(shape)}: {_ORDER}, so this would be {channels} channels of "
                f"{height}x{width} pixels. Write ({width}, {channels}, {height})"
            )
    check_size([length or 1 for length in lengths], channels or 1)
    return (*lengths, channels)


def fingerprint(module: nn.Module) -> Any:
    """What tells whether a module's structure is still the same: its parts, their settings, shapes of weights."""
    found = []
    for name, part_ in module.named_modules():
        settings = tuple(
            (key, value) for key, value in vars(part_).items() if isinstance(value, (bool, int, float, str, tuple))
        )
        shapes = tuple(tuple(p.shape) for p in getattr(part_, "_parameters", {}).values() if p is not None)
        found.append((name, id(part_), _hashable(settings), shapes))
    return tuple(found)


def _hashable(value: Any) -> Any:
    return repr(value)


def _last(layers: Layers, *, followed: bool = True) -> str:
    """The last layer with more than a number for the whole image, whose grid grows with the image if that is known.

    Args:
        layers: of the module; some are shown.
        followed: leave out layers of which it is unknown what they see, if there are others.
    """
    shown = layers.shown
    some = [name for name in shown if not (followed and layers.unknown(name))] or list(shown)
    several = [name for name in some if math.prod(shown[name].grid) > 1]
    growing = [name for name in several if shown[name].grows is not False]
    return (growing or several or some)[-1]


def _tell(layers: Layers, chosen: str) -> None:
    """Warn where the layer chosen is not the one that it would be, for a reason that is no choice."""
    wanted, failure = _last(layers, followed=False), layers.walk.failure
    if failure is not None:
        reason = f"the module does not run to its end on this image: {_told(failure)}"
    elif wanted != chosen:
        reason = f"what {wanted!r} sees is unknown: {', '.join(layers.unknown(wanted))} cannot be followed"
    else:
        return
    warnings.warn(f"{reason}. {chosen!r}, a layer before that, is measured instead", stacklevel=4)


def _as_module(model: Any) -> nn.Module:
    if checks.framework_of(model) == "keras":
        raise ReceptiveFieldError(f"model is a Keras {type(model).__name__}: KerasReceptiveField(model) measures it")
    if not isinstance(model, nn.Module):
        if not callable(model):
            raise ReceptiveFieldError(
                f"model is {checks.brief(model)}: expected a torch.nn.Module, or a function without arguments that "
                "returns one"
            )
        try:
            made = model()
        except Exception as error:
            raise ReceptiveFieldError(f"the function that builds the module failed: {_told(error)}") from error
        if not isinstance(made, nn.Module):
            raise ReceptiveFieldError(
                f"the function that builds the module returned {checks.brief(made)}: expected a torch.nn.Module"
            )
        model = made
    check_initialised(model)
    module: nn.Module = model
    return module


def _as_device(device: Any) -> torch.device:
    if device is None:
        return torch.device("cpu")
    try:
        found = torch.device(device)
        torch.empty(0, device=found)
    except (RuntimeError, AssertionError, TypeError) as error:
        raise ReceptiveFieldError(
            f"device is {checks.brief(device)}: it is not there. Leave it out for the CPU, or give 'cuda' where "
            f"PyTorch finds a GPU ({in_words(error)})"
        ) from error
    if found.type == "meta":
        raise ReceptiveFieldError("device is 'meta': there are no numbers there, give 'cpu' or 'cuda'")
    return found


class _Convolution(NamedTuple):
    """What a convolution reads.

    Attributes:
        axes: along how many it moves.
        channels: that it takes.
    """

    axes: int
    channels: int


def _first_convolution(module: nn.Module) -> _Convolution | None:
    """The first convolution of a module, if it has any."""
    for part_ in module.modules():
        for axes, kinds in _CONVOLUTIONS.items():
            if isinstance(part_, kinds):
                return _Convolution(axes, int(part_.in_channels))
    return None


_CONVOLUTIONS: dict[int, tuple[Any, Any]] = {
    1: (nn.Conv1d, nn.ConvTranspose1d),
    2: (nn.Conv2d, nn.ConvTranspose2d),
    3: (nn.Conv3d, nn.ConvTranspose3d),
}


def _other_order(channels: int, lengths: Sequence[int], own: Sequence[int]) -> str:
    """The end of a message, where a shape may have been written in another order, or for another kind of input."""
    if len(own) != len(lengths) + 1:
        return f": expected {RANKS[len(own) - 1].channels_first}, as the module's first convolution takes it"
    if channels == own[-1]:
        return ""
    right = (own[-1], channels, *lengths[:-1]) if lengths[-1] == own[-1] else (own[-1], *lengths)
    return f". PyTorch's order is {RANKS[len(lengths)].channels_first}: did you mean {right}?"
