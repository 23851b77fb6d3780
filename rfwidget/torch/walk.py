"""One run of a module on tensors that carry what they depend on, and the look that it gives."""

from __future__ import annotations

import gc
import math
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn

from rfwidget._aten.interpreter import (
    FullWidthNeededError,
    Interpreter,
    NumbersNeededError,
    OwnWeightsNeededError,
    TooLargeError,
    UnknownError,
)
from rfwidget._aten.rules import RULES
from rfwidget._measure import spans
from rfwidget._measure.spans import Carried
from rfwidget.errors import SizeRefusedError
from rfwidget.torch.names import ModuleCall, Names, tensors_in
from rfwidget.torch.private import Private

_MOST = 1 << 22
"""Elements of the largest map whose spans are looked through for its axes."""


@dataclass
class Walk:
    """What one run shows.

    Attributes:
        lengths: of the image, in the order of arrays.
        carried: what every tensor depended on when it was made, or what a sink made of it, in order.
        made: number of the tensor that a layer gives, by path.
        reads: numbers of the tensors that a layer reads.
        whole: paths of modules that hold others.
        others: layers that do not depend on the image.
        calls: calls of modules that gave something, by the layer's name.
        scripted: names of operations inside ScriptModules, in order.
        output: numbers of what the module returned.
        failure: what ended the run before the end of the module.
        notes: what is not followed though it may matter, in words.
    """

    lengths: tuple[int, ...]
    carried: list[Carried] = field(default_factory=list)
    made: dict[str, int] = field(default_factory=dict)
    reads: dict[str, tuple[int, ...]] = field(default_factory=dict)
    whole: set[str] = field(default_factory=set)
    others: set[str] = field(default_factory=set)
    calls: dict[str, ModuleCall] = field(default_factory=dict)
    scripted: tuple[str, ...] = ()
    output: tuple[int, ...] = ()
    failure: Exception | None = None
    notes: tuple[str, ...] = ()


class Walker:
    """Runs a module at any size.

    Args:
        module: the user's; never changed.
        channels: of the image.
        other_inputs: further arguments of ``forward``.
        device: where it runs.
        asked: lengths of the image that other inputs go with.
        local: leave out paths that mix the whole image.
        ticked: called often; what it raises ends the run.

    Attributes:
        writes: whether the module's code writes to its own weights; known after a run.
        asks: whether it asks for numbers that depend on the image; known after a run.
    """

    def __init__(
        self,
        module: nn.Module,
        channels: int,
        other_inputs: Sequence[Any],
        device: torch.device,
        asked: Sequence[int],
        *,
        local: bool,
        ticked: Callable[[], None],
    ) -> None:
        self._asked = tuple(asked)
        self._module, self._channels, self._others = module, channels, tuple(other_inputs)
        self._device, self._local, self._ticked = device, local, ticked
        self.asks = self.writes = False
        self._blur = len(self._asked) == 2

    def run(
        self, lengths: Sequence[int], touched: Any = None, sink: Callable[[int, Carried], Any] | None = None
    ) -> Walk:
        """One run on an image of some lengths.

        Args:
            lengths: of the image.
            touched: marked pixels, ``(k, *lengths)``, that are followed too.
            sink: makes of a tensor's number and what it depends on what is kept of it; None: all is kept.

        Raises:
            whatever ``ticked`` raises.
        """
        with unhurried():
            return self._until_followed(lengths, touched, sink)

    def _until_followed(self, lengths: Sequence[int], touched: Any, sink: Callable[[int, Carried], Any] | None) -> Walk:
        while True:
            try:
                return self._run(tuple(lengths), touched, sink)
            except NumbersNeededError:
                self.asks = True
            except OwnWeightsNeededError:
                if self.writes:
                    return Walk(tuple(lengths), failure=UnknownError("the code writes to tensors outside the module"))
                self.writes = True
            except FullWidthNeededError:
                self._blur = False
            except TooLargeError:
                return Walk(tuple(lengths), failure=SizeRefusedError("the image is too large to be looked at"))

    def _run(self, lengths: tuple[int, ...], touched: Any, sink: Callable[[int, Carried], Any] | None) -> Walk:
        private = Private(self._module, self._device, own_weights=self.writes)
        guarded = dict(private.guarded)
        shape = (1, self._channels, *lengths)
        places = range(2, 2 + len(lengths))
        walk = Walk(lengths)
        mode = Interpreter(RULES, self._device, guarded, numbers=self.asks, blur=self._blur, sink=sink)
        ended: list[BaseException] = []

        def tick() -> None:
            try:
                self._ticked()
            except BaseException as error:
                ended.append(error)
                raise

        names = Names(private.module, mode, tick)
        mode.watch(names.operated)
        with undisturbed(self._device):
            image = mode.image(spans.image(shape, places, touched, local=self._local), dtype_of(private.module))
            others = [fitted(other, self._asked, lengths, self._device) for other in self._others]
            try:
                with mode, names.following():
                    output = private.module(image, *others)
                numbers = (mode.number_of(tensor) for tensor in tensors_in(output))
                walk.output = tuple(number for number in numbers if number is not None)
            except Exception as error:
                if ended:
                    raise ended[0] from None
                walk.failure = error
        if mode.failure is not None:
            raise mode.failure
        walk.carried, walk.made, walk.reads = mode.made, names.made, names.reads
        walk.whole, walk.others, walk.calls = names.whole, names.others, names.calls
        walk.scripted = tuple(names.scripted)
        walk.notes = tuple(sorted(mode.notes))
        return walk


@contextmanager
def unhurried() -> Iterator[None]:
    """While no garbage is collected: it takes longer than a run, among the many objects of PyTorch."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


@contextmanager
def undisturbed(device: torch.device) -> Iterator[None]:
    """Neither the caller's modes matter to what runs here, nor does what runs here to the caller's random state."""
    states = torch.random.get_rng_state(), np.random.get_state(), random.getstate()  # noqa: NPY002
    default = torch.get_default_dtype()
    with modes_off(device):
        try:
            yield
        finally:
            torch.random.set_rng_state(states[0])
            np.random.set_state(states[1])  # noqa: NPY002
            random.setstate(states[2])
            torch.set_default_dtype(default)


@contextmanager
def modes_off(device: torch.device) -> Iterator[None]:
    """The caller's modes do not matter to what runs here; gradients are not recorded."""
    with ExitStack() as modes:
        if torch.is_inference_mode_enabled():  # a click enters this too: modes that are not on cost nothing
            modes.enter_context(torch.inference_mode(False))
        modes.enter_context(torch.no_grad())
        for kind in {"cpu", device.type} - {"meta"}:
            if torch.is_autocast_enabled(kind):
                modes.enter_context(torch.autocast(kind, enabled=False))
        yield


def dtype_of(module: nn.Module) -> torch.dtype:
    """Type of the numbers that a module takes: that of its first parameter or buffer with real numbers."""
    for tensor in [*module.parameters(), *module.buffers()]:
        if tensor.dtype.is_floating_point:
            return tensor.dtype
    return torch.get_default_dtype()


def fitted(value: Any, asked: Sequence[int], lengths: Sequence[int], device: torch.device) -> Any:
    """Another input for an image of some lengths: maps as large as the image are enlarged or cut as it is.

    Args:
        value: as the user gave it; it is copied.
        asked: lengths of the image that it goes with.
        lengths: of the image.
        device: where it is needed.
    """
    if not isinstance(value, torch.Tensor):
        return value
    made = value.detach().clone().to(device)
    count = len(lengths)
    if made.dim() > count and tuple(made.shape[-count:]) == tuple(asked):
        for axis, (old, new) in enumerate(zip(asked, lengths, strict=True)):
            if old != new:
                made = made.index_select(made.dim() - count + axis, torch.arange(new, device=device) % old)
    return made


def places_of(carried: Carried, grown: Sequence[Carried | None], lengths: Sequence[int]) -> tuple[int, ...] | None:
    """Which axes of a map are its places: those that go along the image, and grow with it if any does.

    Args:
        carried: the map.
        grown: the same map where the image is longer along each image axis, and maybe along others too; None if it
            could not be run there.
        lengths: of the image.

    Returns:
        One axis of the tensor for each image axis; None if it is no grid.
    """
    if carried.rank != len(lengths) + 2:
        return None
    if carried.shape[0] > 1 and any(0 in carried.along(axis) for axis in range(len(lengths))):
        return None  # parts of the image one behind the other, such as windows
    places: list[int] = []
    usual = _usual(carried.shape, lengths)
    for image_axis in range(len(lengths)):
        other = grown[image_axis]
        other = carried if other is None or other.rank != carried.rank else other
        growing = [a for a in range(carried.rank) if other.shape[a] != carried.shape[a]]
        along = other.along(image_axis)
        found = [a for a in along if a in growing] or along or growing
        if len(found) == 1:
            places.append(found[0])
        elif found == growing and len(found) == len(lengths):
            places.append(found[image_axis])
        elif usual is not None and (not found or usual + image_axis in found):
            places.append(usual + image_axis)
        elif (axis := _followed(carried, image_axis, found)) is not None:
            places.append(axis)
        else:
            return None
    grid = tuple(carried.shape[place] for place in places)
    if grid in carried.marks.pairs or grid[::-1] in carried.marks.pairs:
        return None
    return tuple(places) if len(set(places)) == len(lengths) else None


def _followed(carried: Carried, image_axis: int, among: Sequence[int]) -> int | None:
    """The axis that goes along the image; along others, what is seen there may change a little too (holes of several
    branches, say). None: that does not show.
    """
    if math.prod(carried.shape) > _MOST:
        return None
    first, end = carried.spans(image_axis)
    centres = np.where(end > first, (first + end) / 2.0, np.nan)
    moved: list[tuple[float, int]] = []
    for axis in among:
        lines = np.moveaxis(centres, axis, 0).reshape(centres.shape[axis], -1)
        line = lines[~np.isnan(lines).all(axis=1)]
        if len(line) > 1:
            moved.append((float(np.ptp(np.nanmean(line, axis=1))), axis))
    moved.sort(reverse=True)
    if not moved or (len(moved) > 1 and moved[0][0] < 2 * moved[1][0]):
        return None
    return moved[0][1]


def _usual(shape: Sequence[int], lengths: Sequence[int]) -> int | None:
    """The first axis of places if nothing tells: ``(N, C, H, W)``, or ``(N, H, W, C)``; None: of neither.

    It is called for where all cells see everything, say. Grids are about as wide for their height as images are.
    """
    for first in (2, 1):
        places = shape[first : first + len(lengths)]
        shares = [place / length for place, length in zip(places, lengths, strict=True)]
        if set(places) == {1} or 0 < max(shares) < 1.5 * min(shares):
            return first
    return None
