"""A module from its image input to one layer, as the estimator sees it.

The theoretical side comes from looks (`rfwidget.torch.measured`), the gradient from eager autograd through a private
copy with the module's own weights.
"""

from __future__ import annotations

import math
import threading
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from rfwidget._aten.attending import Attending
from rfwidget._measure import tokens
from rfwidget._measure.forward import coupled_words, partial_words
from rfwidget._measure.looks import Fields
from rfwidget._measure.memory import check_memory
from rfwidget._measure.patches import Patches
from rfwidget._measure.stretch import Stretch
from rfwidget._measure.windows import plan, whole_image
from rfwidget._progress import Progress
from rfwidget.errors import ReceptiveFieldError
from rfwidget.geometry import FieldGeometry
from rfwidget.network import Attended, LayerField, Network, Patch
from rfwidget.ranks import measured
from rfwidget.torch.gradient import Eager, Operations
from rfwidget.torch.listed import listed
from rfwidget.torch.measured import Layers
from rfwidget.torch.names import Until
from rfwidget.torch.private import Private
from rfwidget.torch.walk import dtype_of, fitted, undisturbed
from rfwidget.types import GridPoint, GridShape, Rect, Size

_UNKNOWN = "what {!r} sees is not known on so long a sequence: ask about it alone, or about a shorter one"

_TOO_LONG = "takes more memory than a look may: ask about a shorter one, input_shape=(channels, 100000) say"

_LOOKED_AT = 1 << 14
"""Values of a weight that its checksum looks at, about."""

_SHORT = 100
"""Tensors up to a layer of which a list of operations is made: that takes longer for more of them, and saves less."""

_SMALLER = "ask for a smaller input_shape, or for an earlier layer"


class RealModule:
    """The module up to a layer, with its own weights.

    Args:
        module: the user's; its weights are read at every run.
        target: name of the layer.
        layers: what is known of it.
        other_inputs: further arguments of ``forward``.
        device: where it runs.
        init_weights: use constant positive kernels and zero biases instead of the module's weights.
    """

    def __init__(
        self,
        module: nn.Module,
        target: str,
        layers: Layers,
        other_inputs: Sequence[Any],
        device: torch.device,
        *,
        init_weights: bool,
    ) -> None:
        self._module, self._own, self._plain = module, init_weights or layers.writes, init_weights
        self._target, self._layer = layers.own_name(target), layers.all[target]
        self._call, self._scripted = layers.walk.calls.get(self._target), layers.walk.scripted
        self._grid_on = partial(layers.grid_on, target)
        self._others, self._asked, self._device = tuple(other_inputs), layers.lengths, device
        self._lock = threading.Lock()
        unfit = self._others or layers.chooses or layers.writes or layers.unknown(target)
        scripts = any(isinstance(part, torch.jit.ScriptModule) for part in module.modules())
        self._listable = not (unfit or scripts) and self._layer.number <= _SHORT
        self.backend = Eager(self.run, device, dtype_of(module), self.operations)

    @cached_property
    def _private(self) -> Private:
        private = Private(self._module, self._device, own_weights=self._own)
        if self._plain:
            make_plain(private.module)
        return private

    def generic(self) -> Callable[[torch.Tensor], torch.Tensor]:
        """As `run`, on the CPU, with random positive weights in float64."""
        private = Private(self._module, torch.device("cpu"), own_weights=True)
        make_generic(private.module, torch.Generator().manual_seed(5))
        until = Until(private.module, self._target, self._call, self._scripted)

        def run(images: torch.Tensor) -> torch.Tensor:
            others = [fitted(other, self._asked, images.shape[2:], torch.device("cpu")) for other in self._others]
            return self._as_grid(until.run(images, *others), images.shape[2:])

        return run

    def _as_grid(self, output: torch.Tensor, lengths: Sequence[int]) -> torch.Tensor:
        """What the layer gives for images of some lengths, as ``[n, channels, *grid]``."""
        tokens = self._layer.tokens
        if tokens is not None:
            grid = self._grid_on(tuple(lengths))
            output = output.permute(tokens.moved)
            first = tokens.before if tokens.single is None else tokens.single % output.shape[1]
            output = output[:, first : first + math.prod(grid)]
            output = output.reshape(len(output), *(grid[axis] for axis in tokens.order), output.shape[-1])
            output = output.permute(0, *(1 + tokens.order.index(axis) for axis in range(len(grid))), -1)
        return output.permute(0, self._layer.channel_axis, *self._layer.places)

    def mark(self) -> int:
        """A checksum of the module's weights and buffers: of how often they were written to, and of some of them.

        Code that writes to a tensor's ``data`` is not counted as writing, so some of the values are looked at as well.
        """
        mark = 1
        for tensor in () if self._plain else self._module.state_dict(keep_vars=True).values():
            if isinstance(tensor, torch.Tensor) and tensor.layout == torch.strided and not tensor.is_meta:
                flat = tensor.detach().reshape(-1)
                some = flat[:: max(1, flat.numel() // _LOOKED_AT)].contiguous().view(torch.uint8).cpu().numpy()
                written = f"{0 if tensor.is_inference() else tensor._version} {tensor.data_ptr()}"
                mark = zlib.adler32(some.data, zlib.adler32(written.encode(), mark))
        return mark

    @cached_property
    def _until(self) -> Until:
        return Until(self._private.module, self._target, self._call, self._scripted)

    def release(self) -> None:
        """Forget the private copy; the next run makes another."""
        with self._lock:
            self._forget()

    def _forget(self) -> None:
        for made in ("_private", "_until"):
            self.__dict__.pop(made, None)

    def _take_over(self) -> None:
        """Have the private copy be as the user's module is now."""
        if not self._plain:
            if not self._private.current:
                self._forget()
            self._private.refresh()

    def run(self, images: torch.Tensor) -> torch.Tensor:
        """Output ``[n, channels, *grid]`` for images ``[n, c, *lengths]`` of any size that the module takes."""
        with self._lock:
            self._take_over()
            others = [fitted(other, self._asked, images.shape[2:], self._device) for other in self._others]
            return self._as_grid(self._until.run(images, *others), images.shape[2:])

    def operations(self, images: torch.Tensor, start: torch.Tensor) -> Operations | None:
        """Forward and backward pass as one list of operations, of modules that are called for longer than they compute.

        Args:
            images: as large as all that will be given.
            start: gradient of the output.

        Returns:
            What gives the gradient of images, or None where the user's module has other weights by now; None where the
            module does not do the same operations every time, and outside the main thread: PyTorch says to the whole
            process that it lists operations, and refuses to run compiled modules of the user's meanwhile.
        """
        if not self._listable or threading.current_thread() is not threading.main_thread():
            return None
        with self._lock:
            private, until = self._private, self._until
            moved = private.moved
            found = listed(lambda x: self._as_grid(until.run(x), x.shape[2:]), images, start)
        if found is None:
            return None

        def run(images: torch.Tensor, start: torch.Tensor) -> torch.Tensor | None:
            with self._lock:
                self._take_over()
                if self._private is not private or private.moved != moved:
                    return None
                return found(images, start)

        return run

    def attended(self, image: npt.NDArray[Any], check: Callable[[int], None]) -> Attended:
        """The attentions on the way to the layer, for one image ``(*lengths, c)``.

        Args:
            image: the image.
            check: called with how many numbers all weights together have; what it raises ends the run.
        """
        with self._lock, undisturbed(self._device), torch.inference_mode():
            self._take_over()
            until = Until(self._private.module, self._target, None, self._scripted)
            mode = Attending(lambda: until.path, check)
            images = self.backend.tensor(image[None])
            others = [fitted(other, self._asked, images.shape[2:], self._device) for other in self._others]
            mode.image(images, range(2, images.dim()))
            with mode:
                given = until.run(images, *others)
                output = self._as_grid(given, images.shape[2:])
            cells = tokens.cells(mode.places(output), range(2, output.dim()), output.shape[2:])
            prefix, own = None, self._layer.tokens
            if own is not None and own.single is not None:
                with mode:
                    given = given.permute(own.moved)
                prefix = tokens.prefix_of(mode.places(given), own.single % given.shape[1])
        unseen = f"tokens are not followed through {', '.join(sorted(mode.lost))}" if mode.lost else ""
        return Attended(cells, tuple(mode.attentions), prefix, unseen)


def make_generic(module: nn.Module, draw: torch.Generator) -> None:
    """Random positive kernels and zero biases in float64, such that nothing cancels and a layer conserves mass."""
    module.double()
    make_plain(module)
    with torch.no_grad():
        for tensor in module.parameters():
            if tensor.dim() >= 2:
                tensor.mul_(torch.rand(tensor.shape, generator=draw, dtype=torch.float64) + 0.5)


def make_plain(module: nn.Module) -> None:
    """Constant positive kernels and zero biases, such that a layer conserves mass."""
    with torch.no_grad():
        for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
            last = name.rpartition(".")[2]
            if not tensor.dtype.is_floating_point:
                continue
            if last in ("bias", "running_mean"):
                tensor.zero_()
            elif last in ("weight", "running_var") and tensor.dim() < 2:
                tensor.fill_(1.0)
            elif tensor.dim() >= 2 and isinstance(tensor, nn.Parameter):
                tensor.fill_(1 / max(math.prod(tensor.shape[1:]), 1))


class Long(NamedTuple):
    """A long sequence that a shorter one stands for.

    Attributes:
        lengths: of the sequence.
        grids: of all layers on it.
    """

    lengths: tuple[int, ...]
    grids: Mapping[str, tuple[int, ...]]


class TorchNetwork(Network):
    """One layer of a module.

    Args:
        layers: all layers.
        real: the module up to the layer, with its weights.
        output_layer: name of the layer.
        long: what is known of a long sequence, if the layers are looked at on a shorter one.
    """

    def __init__(self, layers: Layers, real: RealModule, output_layer: str, long: Long | None = None) -> None:
        self._layers, self._real = layers, real
        self._layer = layers.all[output_layer]
        self.input_layer, self.output_layer = "input", output_layer
        self._long = long
        grids = long.grids if long else {name: layer.grid for name, layer in layers.all.items()}
        self.input_shape = GridShape.of(long.lengths if long else layers.lengths, layers.channels)
        self.output_shape = GridShape.of(grids[output_layer], self._layer.channels)
        self.layers = {name: Size(*reversed(grids[name])) for name in layers.shown}
        self.extra_tokens = layers.beside(output_layer)
        self.global_context = bool(layers.walk.carried[self._layer.number].marks.context)
        self._notes = layers.walk.notes

    @cached_property
    def _fields(self) -> Fields | None:
        """What is known of the layer; None: its field is unknown."""
        return None if self._layers.unknown(self.output_layer) else self._layers.fields([self.output_layer])

    @property
    def _field(self) -> FieldGeometry | None:
        axes = None if self._fields is None else self._fields.axes[self._layer.number]
        return None if axes is None else FieldGeometry(*reversed(axes))

    @property
    def _margins(self) -> list[tuple[int, int]]:
        """Along x, y, ..., cells at both ends of a grid that meet a border."""
        return [] if self._fields is None else list(reversed(self._fields.margins[self._layer.number]))

    @property
    def resizable(self) -> bool:  # type: ignore[override]
        """Whether the module does the same on images of other sizes."""
        return self._fields is not None and all(self._fields.resizable)

    @property
    def period(self) -> Size:  # type: ignore[override]
        """The least common multiple of all inner strides."""
        return Size(*(1,) * len(self._layers.lengths) if self._fields is None else reversed(self._fields.period))

    def _words(self, layer: str, unknown: Sequence[str]) -> str:
        return (
            f"what {layer!r} sees is unknown: {', '.join(unknown)} on the way there cannot be followed. "
            f"Choose a layer before it; those with a grid are {_some(list(self._layers.shown))}"
        )

    def grid_size(self, image: Size) -> Size:
        """Known at the requested size; of layers behind what cannot be followed nothing else is.

        Raises:
            ReceptiveFieldError: at any other size.
        """
        if image == self.input_shape.size:
            return self.output_shape.size
        raise ReceptiveFieldError(
            self._words(self.output_layer, self._layers.unknown(self.output_layer) or ("something",))
        )

    @cached_property
    def _stretch(self) -> Stretch | None:
        if self._long is None:
            return None
        (short,), cells = self._layers.lengths, self._layer.grid[0]
        return Stretch(self.input_shape.w, short, self.output_shape.w, cells, int(self.period.w))

    def visible(self, point: GridPoint) -> Rect:
        """From the spans of all cells at the size asked for."""
        if self._stretch is None:
            return self._visible(point)
        if self._field is None or self._field.x.unbounded:
            raise ReceptiveFieldError(f"what {self.output_layer!r} sees inside so long a sequence {_TOO_LONG}")
        return self._stretch.visible(point.x, self._field, self._visible)

    def _visible(self, point: GridPoint) -> Rect:
        return Rect.of(reversed(self._edges(point)))

    def _edges(self, point: GridPoint) -> list[tuple[int, int]]:
        """First pixel, and last pixel + 1, that a cell sees along each axis, in the order of arrays."""
        layer = self._layer
        carried = layer.map_of(self._layers.walk.carried[layer.number])
        cell: list[Any] = [0, *(slice(None),) * (carried.rank - 1)]
        for place, number in zip(layer.places, point.place, strict=True):
            cell[place] = number
        edges = []
        for image_axis in range(len(layer.places)):
            first, end = (np.broadcast_to(e, carried.shape) for e in carried.spans(image_axis))
            low, high = first[tuple(cell)], end[tuple(cell)]
            seen = high > low
            edges.append((int(low[seen].min()), int(high[seen].max())) if seen.any() else (0, 0))
        return edges

    def sensitivity(self, image: Size, points: Sequence[GridPoint]) -> npt.NDArray[np.float64]:  # noqa: ARG002
        """One where a pixel lies between the first and the last that a cell sees."""
        result = np.zeros((len(points), *self.input_shape.lengths))
        for map_, point in zip(result, points, strict=True):
            seen = self._edges(point) if self._stretch is None else reversed(self.visible(point).edges)
            map_[tuple(slice(int(first), int(end)) for first, end in seen)] = 1
        return result

    def response(self, masks: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
        """One where a cell sees some marked pixel, holes of dilation and strides included."""

        def touched(some: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
            return np.asarray(self._layers.touched(self.output_layer, some), np.float64)

        if self._stretch is None:
            return touched(masks)
        size = math.inf if self._field is None else self._field.x.size
        found = [self._stretch.response(mask, size, lambda part: touched(part[None])[0]) for mask in masks]
        known = [cells for cells in found if cells is not None]
        if len(known) < len(found):
            raise ReceptiveFieldError(f"which cells of {self.output_layer!r} see so much of a sequence {_TOO_LONG}")
        return np.stack(known)

    def observed(self, points: Sequence[GridPoint], trials: int = 4) -> npt.NDArray[np.bool_]:
        """Pixels that cells were seen to depend on: another way, that knows nothing of looks and spans.

        Plain autograd through a private copy with random positive weights in float64, on random images. What a
        maximum, a comparison or an argmax hides in all trials is missed; nothing is ever invented. So the rectangle
        of what is seen lies inside that of `sensitivity`, and is equal to it where the module does not select.

        Args:
            points: cells.
            trials: images for each.

        Returns:
            ``(n, h, w)``.
        """
        self._check(self.input_shape.lengths)
        seen = np.zeros((len(points), *self.input_shape.lengths), np.bool_)
        run, draw = self._real.generic(), torch.Generator().manual_seed(5)
        with undisturbed(torch.device("cpu")), torch.enable_grad():
            for _ in range(trials):
                image = torch.rand((1, self.input_shape.c, *seen.shape[1:]), generator=draw, dtype=torch.float64) + 0.5
                output = run(image.requires_grad_()).sum(dim=1)[0]
                for found, point in zip(seen, points, strict=True):
                    (gradient,) = torch.autograd.grad(output[point.place], image, retain_graph=True, allow_unused=True)
                    if gradient is not None:
                        found |= (gradient[0] != 0).any(dim=0).numpy()
        return seen

    def fields(self, layers: Sequence[str], progress: Progress) -> Mapping[str, LayerField]:
        """Of all layers, from the same looks."""
        progress(0.0, "measuring")
        followed = [name for name in layers if not self._layers.unknown(name)]
        fields = self._layers.fields(followed) if followed else None
        found = {}
        for name in layers:
            if fields is None or name not in followed:
                reason = self._words(name, self._layers.unknown(name))
                found[name] = LayerField(None, Size(*(math.nan,) * len(self._layers.lengths)), reason)
                continue
            number = self._layers.all[name].number
            if self._long is not None and not self._layers.is_known_on_long(name):
                found[name] = LayerField(None, Size(*(math.nan,) * len(self._layers.lengths)), _UNKNOWN.format(name))
                continue
            axes, reads = fields.axes[number], self._layers.reads(name, fields)
            geometry = None if axes is None else FieldGeometry(*reversed(axes))
            warning = " ".join(
                [
                    *self._notes,
                    *([coupled_words(name)] if number in fields.coupled else []),
                    *([partial_words(name, fields)] if number in fields.partial else []),
                ]
            )
            found[name] = LayerField(geometry, Size(*reversed(reads)), warning=warning)
        progress(1.0, "measured")
        return found

    # -- gradients ----------------------------------------------------------------------------------------------------

    def gradient(self, image: npt.NDArray[Any], point: GridPoint, channel: int | None) -> Patch:
        """On a window around the receptive field wherever that gives the same."""
        with self._explained():
            return self.patches.at(image, point, channel)

    def gradients(
        self, image: npt.NDArray[Any], points: Sequence[GridPoint], channel: int | None, at_once: int | None = None
    ) -> Iterator[Patch]:
        """Windows by the batch."""
        with self._explained():
            yield from self.patches.many(image, points, channel, at_once)

    def weights_mark(self) -> int:
        """Of the module's own weights."""
        return self._real.mark()

    def prepare(self, image: npt.NDArray[Any]) -> None:
        """See whether windows will do."""
        with self._explained():
            self.patches.prepare(image)

    def release(self) -> None:
        """Forget the private copy of the module."""
        self._real.release()

    def feature_map(self, image: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """The module as it is."""
        _, largest = self._numbers()
        check_memory(f"The feature map of {self.output_layer!r}", 12.0 * largest, _SMALLER)
        with self._explained():
            result: npt.NDArray[np.float32] = self._real.backend.evaluate(image[None])[0]
            return result

    def attended(self, image: npt.NDArray[Any]) -> Attended:
        """Seen in one run of the module as it is."""

        def check(weights: int) -> None:
            check_memory(f"The attentions up to {self.output_layer!r}", 4.0 * weights, _SMALLER)

        with self._explained():
            return self._real.attended(image, check)

    @cached_property
    def patches(self) -> Patches:
        """Gradient maps with the module's own weights."""
        image, grid = self.input_shape, self.output_shape
        field = None if self.global_context or not self.resizable else self._field
        window = whole_image(image, grid) if field is None else plan(field, image, grid, self.period, self._margins)
        return Patches(self._real.backend, image, grid, window, self._check)

    def _numbers(self) -> tuple[float, float]:
        """Numbers in all maps up to the layer together, and in the largest."""
        every, largest = self._layers.numbers(self.output_layer)
        times = math.prod(self.input_shape.lengths) / math.prod(self._layers.lengths)
        return every * times, largest * times

    def _check(self, sizes: Sequence[int]) -> None:
        every, _ = self._numbers()
        needed = 8.0 * every * math.prod(sizes) / math.prod(self.input_shape.lengths)
        where = measured(reversed(sizes))
        check_memory(f"Backpropagating from {self.output_layer!r} on {where}", needed, _SMALLER)

    def _explained(self) -> Any:
        return explained(self.output_layer)


class explained:  # noqa: N801 - reads as a statement
    """Turns what a module raises into a sentence."""

    def __init__(self, layer: str) -> None:
        self._layer = layer

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, Exception) and not isinstance(error, ReceptiveFieldError):
            raise ReceptiveFieldError(
                f"the module fails on the way to {self._layer!r}: {type(error).__name__}: {error}"
            ) from error


def _some(names: list[str]) -> str:
    return ", ".join(map(repr, names if len(names) <= 8 else [*names[:4], *names[-4:]]))
