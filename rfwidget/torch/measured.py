"""What is known of all layers of a module at one size of the image: looks, and the fields that follow from them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import nn

from rfwidget._measure import looks
from rfwidget._measure.looks import Fields, Look
from rfwidget._measure.rolled import Tokens, find, is_candidate, named
from rfwidget._measure.spans import Carried
from rfwidget._measure.stretch import STEP, is_known, lengthened
from rfwidget.errors import SizeRefusedError
from rfwidget.torch.walk import Walk, Walker, places_of


class Layer(NamedTuple):
    """One layer with a grid.

    Attributes:
        number: of its map.
        places: axes of the map that are its grid, in the order of the image's.
        grid: cells along each image axis.
        channels: of the map.
        whole: whether it is a module that holds others.
        grows: whether the grid grows with the image; None: unknown.
        tokens: where the grid lies in a tensor of tokens; the places are then those of the grid that has been taken
            out of it. None: the map itself is a grid.
    """

    number: int
    places: tuple[int, ...]
    grid: tuple[int, ...]
    channels: int
    whole: bool
    grows: bool | None
    tokens: Tokens | None = None

    @property
    def channel_axis(self) -> int:
        """Axis of the channels."""
        return next(axis for axis in range(1, len(self.places) + 2) if axis not in self.places)

    def map_of(self, carried: Carried) -> Carried:
        """The map with its axes of places, of the tensor at the size asked for."""
        return carried if self.tokens is None else self.tokens.unrolled(carried, self.grid)


class Layers:
    """All layers of a module, on an image of some size.

    Args:
        module: the user's; never changed.
        lengths: of the image, in the order of arrays.
        channels: of the image.
        other_inputs: further arguments of ``forward``.
        device: where it runs.
        local: leave out global context.
        ticked: called often; what it raises ends the work.
        said: cells along each image axis of tokens of which nothing else tells the grid.

    Attributes:
        walk: the run at that size.
        all: every layer with a grid, modules that hold others too, by name, in order; and tokens that stand beside a
            grid, as grids of one cell.
    """

    def __init__(
        self,
        module: nn.Module,
        lengths: tuple[int, ...],
        channels: int,
        other_inputs: Sequence[Any],
        device: torch.device,
        *,
        local: bool,
        ticked: Callable[[], None],
        said: tuple[int, ...] | None = None,
    ) -> None:
        self.lengths, self.channels, self.local = lengths, channels, local
        self._walker = Walker(module, channels, other_inputs, device, lengths, local=local, ticked=ticked)
        self._beside = Walker(module, channels, other_inputs, device, lengths, local=True, ticked=ticked)
        self._walks: dict[tuple[int, ...], Walk] = {}
        self.walk = self._walked(lengths)
        self._places = self._all_places()
        self._tokens = self._all_tokens(said)
        self.all: dict[str, Layer] = {}
        for name, number in sorted(self.walk.made.items(), key=lambda pair: pair[1]):
            for part, tokens in named(name, self._tokens.get(name)):
                layer = self._layer(name, number, tokens)
                if layer is not None:
                    self.all[part] = layer
        self._fields: dict[Any, Fields] = {}

    def _layer(self, name: str, number: int, tokens: Tokens | None) -> Layer | None:
        """What gives a map; None: it is no grid."""
        carried, whole, grows = self.walk.carried[number], name in self.walk.whole, self._grows.get(number)
        if tokens is not None:
            grid = tokens.grid(carried)
            if grid is None:
                return None
            places, channels = tuple(range(1, 1 + len(grid))), carried.shape[tokens.channels]
            return Layer(number, places, grid, channels, whole, grows, tokens)
        places_ = self._places[number]
        if places_ is None:
            return None
        layer = Layer(number, places_, tuple(carried.shape[p] for p in places_), 0, whole, grows)
        return layer._replace(channels=carried.shape[layer.channel_axis])

    def _all_tokens(self, said: tuple[int, ...] | None) -> dict[str, Tokens]:
        """Where grids lie in tensors of tokens, by the layer's name."""
        some = {n: number for n, number in self.walk.made.items() if is_candidate(self.walk.carried[number])}
        if not some:
            return {}
        beside = self.walk if self.local else self._beside.run(self.lengths)
        found: dict[str, Tokens] = {}
        for name, number in some.items():
            local = beside.carried[beside.made[name]] if name in beside.made else None
            tokens = find(self.walk.carried[number], local, said)
            if tokens is not None:
                found[name] = tokens
        return found

    @property
    def writes(self) -> bool:
        """Whether the module's code writes to its own weights."""
        return self._walker.writes

    @property
    def chooses(self) -> bool:
        """Whether the module's code asks for numbers that depend on the image."""
        return self._walker.asks

    @property
    def shown(self) -> dict[str, Layer]:
        """The layers that are offered: modules and operations that do something themselves."""
        grids = {name: layer for name, layer in self.all.items() if layer.tokens is None or layer.tokens.single is None}
        return {name: layer for name, layer in grids.items() if not layer.whole} or grids

    def own_name(self, name: str) -> str:
        """The name of the layer that a token belongs to; of any other layer its own."""
        layer = self.all[name]
        return name if layer.tokens is None or layer.tokens.single is None else name.rpartition("[")[0]

    def grid_on(self, name: str, lengths: tuple[int, ...]) -> tuple[int, ...]:
        """The grid of a layer of tokens on an image of some lengths.

        Raises:
            SizeRefusedError: if it cannot be told.
        """
        layer = self.all[name]
        if layer.tokens is None or lengths == self.lengths:
            return layer.grid
        axes = None if self.unknown(name) else self.fields([name]).axes[layer.number]
        return layer.tokens.grid_on(lengths, self.lengths, layer.grid, axes)

    @property
    def token_grids(self) -> dict[str, tuple[int, ...]]:
        """Grids of the layers that give tokens."""
        return {name: self.all[name].grid for name in self._tokens if name in self.all}

    @property
    def no_grids(self) -> dict[str, tuple[int, ...]]:
        """Shapes of what layers give that may be tokens, but are not known to be the places of a grid."""
        given = {name: self.walk.carried[number] for name, number in self.walk.made.items()}
        return {n: carried.shape for n, carried in given.items() if n not in self.all and is_candidate(carried)}

    def beside(self, name: str) -> tuple[str, ...]:
        """Names of the tokens that stand beside the grid of a layer."""
        tokens = self._tokens.get(name)  # not that of a token itself
        return () if tokens is None else tuple(part for part, one in named(name, tokens) if one is not tokens)

    def grids_on(self, lengths: Sequence[int]) -> dict[str, tuple[int, ...]] | None:
        """Grids of all layers on a long sequence for which this one stands; None: they are not known."""
        longer = self._walker.run((self.lengths[0] + STEP,))
        if self._loose or self.walk.failure is not None or longer.failure is not None:
            return None
        grids = {}
        for name, layer in self.all.items():
            shape = longer.carried[longer.made[name]].shape
            grids[name] = lengthened(layer.grid, [shape[place] for place in layer.places], lengths)
        return grids

    def is_known_on_long(self, name: str) -> bool:
        """Whether the fields of a layer are the same on a long sequence for which this one stands."""
        if self.unknown(name):
            return False
        fields, number = self.fields([name]), self.all[name].number
        axes = fields.axes[number]
        if axes is None or number in fields.partial or not all(fields.resizable):
            return False
        return all(is_known(axis, period) for axis, period in zip(axes, fields.period, strict=True))

    def fields(self, wanted: Sequence[str]) -> Fields:
        """Fields of some layers."""
        numbers = tuple(dict.fromkeys(self.all[name].number for name in wanted))
        rolled = {layer.number: layer.tokens for name in wanted if (layer := self.all[name]).tokens is not None}
        key = numbers, tuple(rolled.items())
        if key not in self._fields:
            asked = self._look(self.lengths, None, rolled)
            needed = looks.needed(asked, numbers)
            self._fields[key] = looks.measure(lambda lengths: self._look(lengths, needed, rolled), asked, numbers)
        return self._fields[key]

    def reads(self, name: str, fields: Fields) -> list[float]:
        """Smallest size along each image axis among the maps that a layer reads; NaN where unknown."""
        sizes = [fields.sizes[number] for number in self.walk.reads.get(name, ()) if number < len(fields.sizes)]
        sizes = [size for size in sizes if any(size)]
        return [min((size[axis] for size in sizes), default=math.nan) for axis in range(len(self.lengths))]

    def unknown(self, name: str) -> tuple[str, ...]:
        """Operations on the way to a layer that cannot be followed."""
        return tuple(sorted(self.walk.carried[self.all[name].number].marks.unknown))

    def touched(self, name: str, masks: Any) -> Any:
        """Whether pixels that are marked reach the cells of a layer, ``(n, *grid)``.

        Args:
            name: of the layer.
            masks: ``(n, *lengths)``.
        """
        walk = self._walker.run(self.lengths, masks)
        layer = self.all[name]
        reached = layer.map_of(walk.carried[walk.made[self.own_name(name)]]).touched
        ordered = reached.transpose(0, 1, 1 + layer.channel_axis, *(1 + place for place in layer.places))
        return ordered.any(axis=(1, 2))

    def numbers(self, name: str) -> tuple[int, int]:
        """Numbers in all maps up to a layer together, and in the largest."""
        sizes = [math.prod(carried.shape) for carried in self.walk.carried[: self.all[name].number + 1]]
        return sum(sizes), max(sizes)

    def _all_places(self) -> dict[int, tuple[int, ...] | None]:
        """Axes of places of every map, from a run on a longer image: the first that `looks.measure` will ask for."""
        self._grows: dict[int, bool] = {}
        work = sum(carried.size for carried in self.walk.carried)
        more = looks.first_step(self.lengths, work)
        together = self._walked(tuple(n + more for n in self.lengths))
        self._loose = together.failure is None is self.walk.failure and len(together.carried) != len(self.walk.carried)
        if self._loose:  # code that loops over the image: maps can be compared where layers of the same name give them
            places = {n: self._own_places(carried, self.lengths) for n, carried in enumerate(self.walk.carried)}
            for name, number in self.walk.made.items():
                if name in together.made:
                    own, other = self.walk.carried[number], together.carried[together.made[name]]
                    places[number] = places_of(own, [other] * len(self.lengths), self.lengths)
                    self._grows[number] = other.shape != own.shape
            return places
        if len(together.carried) >= len(self.walk.carried):
            longer = [together] * len(self.lengths)
        else:  # the module may take longer images along some axes only
            axes = range(len(self.lengths))
            longer = [self._walked(tuple(n + more * (a == axis) for a, n in enumerate(self.lengths))) for axis in axes]
        for number, carried in enumerate(self.walk.carried):
            longest = [_at(walk.carried, number) for walk in longer]
            if all(other is not None for other in longest):
                self._grows[number] = any(other.shape != carried.shape for other in longest if other is not None)
        return {
            number: places_of(carried, [_at(walk.carried, number) for walk in longer], self.lengths)
            for number, carried in enumerate(self.walk.carried)
        }

    def _own_places(self, carried: Carried, lengths: tuple[int, ...]) -> tuple[int, ...] | None:
        """Places of a map that cannot be compared with one of a longer image."""
        return places_of(carried, [None] * len(lengths), lengths)

    def _walked(self, lengths: tuple[int, ...]) -> Walk:
        if lengths not in self._walks:
            self._walks[lengths] = self._walker.run(lengths)
        return self._walks[lengths]

    def _look(
        self, lengths: tuple[int, ...], needed: frozenset[int] | None, rolled: Mapping[int, Tokens | None]
    ) -> Look:
        """A run as the engine room takes it. Of runs on long images, only what a look tells is kept.

        Args:
            lengths: of the image.
            needed: numbers of the maps that are looked into; None: all.
            rolled: how grids lie in tensors of tokens, by number.
        """
        look = Look(lengths, spare=looks.SPARE) if self._loose else Look(lengths, needed)

        def add(number: int, carried: Carried) -> None:
            own = self._loose and lengths != self.lengths
            tokens = None if own else rolled.get(number)
            grid = None if tokens is None else tokens.grid(carried)
            if tokens is not None and grid is not None:
                look.add(tokens.unrolled(carried, grid), range(1, 1 + len(grid)))
                return
            places = self._own_places(carried, lengths) if own else self._places.get(number)
            look.add(carried, places if places is not None and max(places) < carried.rank else None)

        walk = self._walks.get(lengths) or self._walker.run(lengths, sink=add)
        if lengths in self._walks:
            for number, carried in enumerate(walk.carried):
                add(number, carried)
        if self._loose:
            for name in walk.made.keys() & self.walk.made.keys():
                seen, places = look.maps[walk.made[name]], self._places[self.walk.made[name]]
                if places is not None and max(places) < len(seen.shape):
                    seen.place(places)
        if walk.failure is not None and len(walk.carried) <= 1:
            raise SizeRefusedError(str(walk.failure)) from walk.failure
        look.failure, look.made, look.reads = walk.failure, dict(walk.made), dict(walk.reads)
        return look


def _at(maps: Sequence[Carried], number: int) -> Carried | None:
    return maps[number] if number < len(maps) else None
