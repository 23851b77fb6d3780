"""Looks at a Keras model: what the cells of all its layers see, at any size of the image.

The first look, at the size asked for, also tells which layers there are, so that asking for another one costs nothing.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import numpy.typing as npt
from keras import ops

from rfwidget._measure import spans
from rfwidget._measure.looks import Fields, Look, Seen, measure
from rfwidget._measure.rolled import RANK, Tokens, find, is_candidate, named
from rfwidget._measure.spans import Carried
from rfwidget._measure.stretch import STEP, is_known, lengthened, shortened
from rfwidget.errors import SizeRefusedError, in_words
from rfwidget.geometry import AxisField
from rfwidget.keras.domains import NeedsFullWidth, SpanDomain
from rfwidget.keras.flow import Flow
from rfwidget.keras.interpreter import SEPARATOR, is_graph, needs, outputs_of, symbolic_outputs
from rfwidget.keras.trace import Tracer

Tick = Callable[[], None]
"""Called often while the work goes on; what it raises ends it."""


class Inputs(NamedTuple):
    """How the inputs of a model are fed.

    Attributes:
        shapes: shape of every input at the requested size, without the batch; maps have their channels last here.
        image: position of the image among them.
        channels_first: whether the model takes maps with their channels first.
        batch: images that the model takes at once; None: any number.
    """

    shapes: tuple[tuple[int, ...], ...]
    image: int
    channels_first: bool = False
    batch: int | None = None

    @property
    def lengths(self) -> tuple[int, ...]:
        """Lengths of the image along its axes."""
        return self.shapes[self.image][:-1]

    @property
    def shortened(self) -> Inputs:
        """Inputs that stand for these if this is one long sequence; else these."""
        if len(self.shapes) > 1:
            return self
        return self._replace(shapes=((*shortened(self.lengths), self.shapes[0][-1]),))

    @property
    def first_from(self) -> int | None:
        """Tensors of so many axes and more have their channels first; None: none have."""
        return len(self.lengths) + 2 if self.channels_first else None

    def like(self, position: int, lengths: Sequence[int]) -> tuple[int, ...]:
        """Shape of another input that goes with an image of some lengths: maps are enlarged or cut as it is."""
        shape = self.shapes[position]
        if len(shape) != len(self.lengths) + 1:
            return shape
        return (*(n * new // old for n, new, old in zip(shape, lengths, self.lengths, strict=False)), shape[-1])

    def to_model(self, tensor: Any) -> Any:
        """A map with its channels last in the model's own layout."""
        rank = len(tensor.shape)
        return ops.transpose(tensor, (0, rank - 1, *range(1, rank - 1))) if self._turns(rank) else tensor

    def from_model(self, tensor: Any) -> Any:
        """A map in the model's own layout with its channels last."""
        rank = len(tensor.shape)
        return ops.transpose(tensor, (0, *range(2, rank), 1)) if self._turns(rank) else tensor

    def _turns(self, rank: int) -> bool:
        return self.channels_first and rank == len(self.lengths) + 2

    def places(self, rank: int) -> tuple[int, ...] | None:
        """Axes of places of a map in the model's own layout; None: it is no map."""
        if rank != len(self.lengths) + 2:
            return None
        return tuple(range(2, rank)) if self.channels_first else tuple(range(1, rank - 1))

    def channels(self, rank: int) -> int:
        """Axis of the channels of a map in the model's own layout."""
        return 1 if self._turns(rank) else rank - 1


class Entry(NamedTuple):
    """What one layer gives at the size asked for.

    Attributes:
        number: of its map in the look.
        grid: cells along each image axis.
        channels: of the map.
        call: which of the layer's calls it is: the last one that the image reaches.
        output: which of the layer's outputs it is.
        is_layer: False for a bare operation, and for what a model's own code returns.
        offered: whether it counts as a layer: it is one; or the model returns it and it is not what the last layer
            gave; or there is no layer at all.
        tokens: where the grid lies in a tensor of tokens; None: the map itself is a grid.
        layer: path of the layer, where this is one of its tokens.
    """

    number: int
    grid: tuple[int, ...]
    channels: int
    call: int
    output: int
    is_layer: bool
    offered: bool
    tokens: Tokens | None = None
    layer: str = ""


class _Found(NamedTuple):
    """What one call gives in the first look.

    Attributes:
        entry: of a grid; what may be tokens has none yet.
        tensor: what is given.
        path: of the layer.
    """

    entry: Entry
    tensor: Carried
    path: str


class LayersFields(NamedTuple):
    """Receptive fields of some layers.

    Attributes:
        asked: the look at the size asked for that they go with.
        fields: by the numbers of the maps in it.
    """

    asked: Look
    fields: Fields

    def axes(self, path: str) -> tuple[AxisField, ...] | None:
        """Fields of a layer along each image axis; None if the image does not reach it."""
        return self.fields.axes[self.asked.made[path]]

    def margins(self, path: str) -> tuple[tuple[int, int], ...]:
        """Along each image axis, cells at both ends of a layer's grid that meet a border."""
        return self.fields.margins[self.asked.made[path]]

    def partial(self, path: str) -> bool:
        """Whether only the part inside the image is known, along some axis."""
        return self.asked.made[path] in self.fields.partial

    def coupled(self, path: str) -> bool:
        """Whether what cells see along one axis depends on where they stand along another."""
        return self.asked.made[path] in self.fields.coupled

    def reads(self, path: str) -> list[float]:
        """Smallest size along each axis among the maps that a layer reads, those without the image apart; NaN where
        it cannot be told.
        """
        read = [n for n in self.asked.reads.get(path, ()) if not self.asked.maps[n].nowhere]
        along = ([self.fields.sizes[n][axis] for n in read] for axis in range(len(self.asked.lengths)))
        return [math.nan if not sizes or any(map(math.isnan, sizes)) else min(sizes) for sizes in along]


class ModelLooks:
    """Looks at one model.

    Args:
        model: the user's model, only read.
        inputs: how it is fed.
        local: leave out global context.
        said: cells along each image axis of tokens of which nothing else tells the grid.

    Attributes:
        entries: what has a grid, by path, in the order of the last calls; and tokens that stand beside a grid, as grids
            of one cell.
        whole: path of what the model's own code returns, the name of the model; None: it has a graph, or no such grid.
        asked: the look at the size asked for.
        no_grids: shapes of what layers give that may be tokens, but are not known to be the places of a grid, by path.
        symbols: symbolic outputs of the model's operations, by path.
    """

    def __init__(self, model: Any, inputs: Inputs, *, local: bool, said: tuple[int, ...] | None = None) -> None:
        self._model = model
        self._inputs = inputs
        self._local, self._said = local, said
        self.symbols = symbolic_outputs(model)
        self.whole: str | None = None
        self._returned = set(outputs_of(model, None))
        self._fields: dict[tuple[str, ...], LayersFields] = {}
        self._followed: set[str] = set()  # names of code that could be followed
        self._failed: set[str] = set()  # paths of operations that do not run at some other size
        self.entries: dict[str, Entry] = {}
        self.no_grids: dict[str, tuple[int, ...]] = {}
        self._whole: set[tuple[int, int]] = set()
        self._blur = True
        try:
            self.asked = self._first_look()
        except NeedsFullWidth:
            self._blur = False
            self.asked = self._first_look()

    @property
    def axes(self) -> int:
        """Number of axes of the image."""
        return len(self._inputs.lengths)

    @property
    def layers(self) -> dict[str, Entry]:
        """The entries that count as layers."""
        return {path: entry for path, entry in self.entries.items() if entry.offered}

    @property
    def others(self) -> list[str]:
        """Paths of what is no layer but may count as one, if not on this image then on another."""
        found = {path: entry for path, entry in self.entries.items() if not entry.is_layer}
        return [path for path, entry in found.items() if entry.offered or self._is_returned(path)]

    def seen(self, path: str) -> Seen:
        """The map of a layer at the size asked for."""
        return self.asked.maps[self.entries[path].number]

    def is_measurable(self, path: str) -> bool:
        """Whether something can be said of a layer's cells: it can be followed, and the image reaches it."""
        seen = self.seen(path)
        return seen.marks.derived and not seen.marks.unknown and not any(line.turned for line in seen.lines)

    def is_number(self, path: str) -> bool:
        """Whether a layer is one cell for the whole image, whatever its size."""
        if math.prod(self.seen(path).grid or ()) != 1:
            return False
        return not all(self.fields([path], lambda: None).fields.resizable)

    def fields(self, paths: Sequence[str], tick: Tick) -> LayersFields:
        """Receptive fields of some layers at the size asked for, along all image axes.

        Of one layer alone, only what it needs is run.
        """
        key = tuple(paths)
        if key not in self._fields:
            target = paths[0] if len(paths) == 1 else None
            asked = self.asked if target is None else self.look(self._inputs.lengths, target, tick)
            if target is not None and target not in asked.made and asked.failure is not None:
                raise SizeRefusedError(
                    f"the network up to {target!r} does not run on this image: {in_words(asked.failure)}"
                ) from asked.failure
            numbers = [asked.made[path] for path in paths]
            fields = measure(lambda lengths: self.look(lengths, target, tick), asked, numbers)
            self._fields[key] = LayersFields(asked, fields)
        return self._fields[key]

    def grids_on(self, lengths: Sequence[int]) -> dict[str, tuple[int, ...]] | None:
        """Grids of all entries on a long sequence for which this one stands; None: they are not known."""
        try:
            longer = self.look((self._inputs.lengths[0] + STEP,), None, lambda: None)
        except SizeRefusedError:
            return None
        if (
            self.asked.failure is not None
            or longer.failure is not None
            or not longer.made.keys() >= self.entries.keys()
        ):
            return None
        grids = {path: longer.maps[longer.made[path]].grid or () for path in self.entries}
        return {path: lengthened(entry.grid, grids[path], lengths) for path, entry in self.entries.items()}

    def is_known_on_long(self, path: str) -> bool:
        """Whether the fields of a layer are the same on a long sequence for which this one stands."""
        if self.seen(path).marks.unknown:
            return False
        together = self.fields([path], lambda: None)
        axes = together.axes(path)
        if axes is None or together.partial(path) or not all(together.fields.resizable):
            return False
        return all(is_known(axis, period) for axis, period in zip(axes, together.fields.period, strict=True))

    def is_better_alone(self, path: str) -> bool:
        """Whether more may be known of a layer if no other is run: what failed at other sizes is none of its own."""
        path = self.entries[path].layer or path
        return bool(self._failed) and not any(needs(self._model, path, failed) for failed in self._failed)

    def look(self, lengths: tuple[int, ...], target: str | None, tick: Tick) -> Look:
        """A look at an image of some lengths, as far as a layer (None: to the end)."""
        look = Look(lengths)
        recorder = _Recorder(look, self._inputs, tick)
        try:
            self._run(recorder, lengths, target=target)
        except _Ended as ended:
            raise ended.error from None
        except NeedsFullWidth as error:  # not so at the size asked for: code goes another way at this one
            raise SizeRefusedError("the model's code does not treat all sizes alike") from error
        except Exception as error:
            look.failure = error
            self._failed.add(recorder.latest)
            if not look.maps:
                words = f"the network does not run on an image of {lengths}: {in_words(error)}"
                raise SizeRefusedError(words) from error
        return look

    def carried(self, path: str, touched: npt.NDArray[np.bool_] | None = None) -> Carried:
        """What every cell of a layer depends on at the size asked for, its channels joined.

        Args:
            path: of the layer.
            touched: marked sets of pixels, ``(k, *lengths)``.

        Returns:
            ``(1, *grid, 1)``.
        """
        outputs = self._run(None, self._inputs.lengths, target=path, touched=touched)
        found = [leaf for leaf in keras.tree.flatten(outputs) if isinstance(leaf, Carried)]
        entry = self.entries[path]
        tensor = self._as_grid(found[min(entry.output, len(found) - 1)], entry)
        joined = spans.reduce(tensor, [self._inputs.channels(tensor.rank)], keepdims=True)
        joined = joined if joined.shape[0] == 1 else spans.take(joined, 0, np.array([0]))
        return self._inputs_last(joined)

    def _inputs_last(self, tensor: Carried) -> Carried:
        rank = tensor.rank
        return spans.transpose(tensor, (0, *range(2, rank), 1)) if self._inputs.channels(rank) == 1 else tensor

    def _as_grid(self, tensor: Carried, entry: Entry) -> Carried:
        """What a layer gives as a map in the model's own layout; as it is, if its tokens are no grid here."""
        grid = None if entry.tokens is None else entry.tokens.grid(tensor)
        if entry.tokens is None or grid is None:
            return tensor
        unrolled = entry.tokens.unrolled(tensor, grid)
        rank = unrolled.rank
        return (
            spans.transpose(unrolled, (0, rank - 1, *range(1, rank - 1))) if self._inputs.channels_first else unrolled
        )

    @property
    def token_grids(self) -> dict[str, tuple[int, ...]]:
        """Grids of the layers that give tokens, by path."""
        return {p: entry.grid for p, entry in self.entries.items() if entry.tokens is not None and not entry.layer}

    def beside(self, path: str) -> tuple[str, ...]:
        """Paths of the tokens that stand beside the grid of a layer."""
        return tuple(other for other, entry in self.entries.items() if entry.layer == path)

    def interpreted(self, target: str | None) -> str | None:
        """What a run to a layer must look for; None: it goes to the end of the model."""
        if target in self.entries:
            target = self.entries[target].layer or target
        return None if target == self.whole else target

    @property
    def _domain(self) -> SpanDomain:
        return SpanDomain(
            blur=self._blur,
            first_from=self._inputs.first_from,
            whole=self._whole,
            learning=not self.entries,
        )

    def _is_returned(self, path: str) -> bool:
        """Whether it is what the model returns."""
        return path in self._returned or path == self.whole

    def _run(
        self,
        recorder: _Recorder | None,
        lengths: tuple[int, ...],
        target: str | None = None,
        touched: npt.NDArray[np.bool_] | None = None,
    ) -> Any:
        def made(operation: Any, path: str, outputs: Any) -> None:  # noqa: ARG001 - the observer's signature
            if recorder is not None:
                entry = self.entries.get(path)
                leaves = keras.tree.flatten(outputs)
                is_meant = entry is not None and (path == self.whole or flow.calls(path) == entry.call)
                meant = leaves[entry.output] if entry is not None and is_meant else None
                if entry is None or entry.tokens is None or not isinstance(meant, Carried):
                    recorder.made(path, outputs, meant)
                    return
                for part in (path, *self.beside(path)):
                    recorder.made(part, outputs, self._as_grid(meant, self.entries[part]), path)

        flow = Flow(self._domain, made, None if recorder is None else recorder.before, Tracer(self._followed))
        call = 1 if target is None else self.entries[target].call
        outputs = flow.run(self._model, self._feed(lengths, touched), self.interpreted(target), call)
        if self.whole is not None and self.interpreted(target) is None:
            made(None, self.whole, outputs)
        return outputs

    def _feed(
        self, lengths: tuple[int, ...], touched: npt.NDArray[np.bool_] | None, *, local: bool = False
    ) -> list[Carried]:
        """All inputs of the model: the image, and others that depend on no pixel."""
        batch, first = self._inputs.batch or 1, self._inputs.channels_first
        feeds: list[Carried] = []
        shape = (batch, *lengths, self._inputs.shapes[self._inputs.image][-1])
        image = spans.image(shape, range(1, len(shape) - 1), touched, local=local or self._local)
        for position in range(len(self._inputs.shapes)):
            if position == self._inputs.image:
                tensor = image
            else:
                tensor = spans.nowhere((batch, *self._inputs.like(position, lengths)), image)
            turned = first and tensor.rank == len(lengths) + 2
            order = (0, tensor.rank - 1, *range(1, tensor.rank - 1))
            feeds.append(spans.transpose(tensor, order) if turned else tensor)
        return feeds

    def _first_look(self) -> Look:
        look = Look(self._inputs.lengths)
        found: dict[str, _Found] = {}
        recorder = _Recorder(look, self._inputs, lambda: None)
        returned = _returned_places(self._model)

        def made(operation: Any, path: str, outputs: Any) -> None:
            is_layer = isinstance(operation, keras.Layer)
            # Operations in code get a new name at every call; those of a graph can be found again.
            lasting = is_layer or path in self.symbols or path == self.whole
            place, tensor = self._grid_among(outputs, returned.get(path)) if lasting else (0, None)
            if tensor is not None and path in found and not tensor.marks.derived:
                tensor = None  # an earlier call is meant, which the image reaches
            if not is_layer:
                recorder.follow_alone(path, outputs)
            recorder.made(path, outputs, tensor)
            if tensor is None:
                return
            number = recorder.number(tensor)
            found.pop(path, None)  # of a layer called several times, the last call counts
            channels = tensor.shape[self._inputs.channels(tensor.rank)]
            grid = look.maps[number].grid or ()
            entry = Entry(number, grid, channels, max(flow.calls(path), 1), place, is_layer, offered=True)
            found[path] = _Found(entry, tensor, path)

        flow = Flow(self._domain, made, recorder.before, Tracer(self._followed))
        try:
            outputs = flow.run(self._model, self._feed(self._inputs.lengths, None))
            if not is_graph(self._model) and str(self._model.name) not in look.made:
                self.whole = str(self._model.name)
                made(None, self.whole, outputs)
        except Exception as error:
            # What lies behind (a head for another size, say) need not run; the layers before it can be measured.
            look.failure = error
        self.entries = self._entries(self._with_tokens(found), recorder)
        self.whole = self.whole if self.whole in self.entries else None
        if any(entry.tokens is not None for entry in self.entries.values()):
            look = self.look(self._inputs.lengths, None, lambda: None)  # once more, with grids in place of tokens
            self.entries = {
                path: entry._replace(number=look.made[path])
                for path, entry in self.entries.items()
                if path in look.made
            }
        return look

    def _entries(self, found: Sequence[_Found], recorder: _Recorder) -> dict[str, Entry]:
        """What was found, and which of it counts as a layer."""
        entries: dict[str, Entry] = {}
        latest: Carried | None = None
        for entry, tensor, path in found:
            alone = latest is not None and recorder.is_made_of(tensor, latest) and _same(tensor, latest)
            offered = entry.is_layer or (self._is_returned(path) and not alone)
            entries[path] = entry._replace(offered=offered)
            latest = tensor if entry.is_layer else latest
        bare = not any(entry.is_layer for entry in entries.values())
        result = {}
        for path, entry in entries.items():
            for part, tokens in named(path, entry.tokens):
                if part == path:
                    result[path] = entry._replace(offered=bare or entry.offered)
                elif tokens is not None:
                    cell = (1,) * self.axes
                    result[part] = entry._replace(grid=cell, tokens=tokens, layer=path, offered=False)
        return result

    def _with_tokens(self, found: dict[str, _Found]) -> list[_Found]:
        """What has a grid; of tensors of tokens, those whose tokens are the places of one."""
        some = {path for path, one in found.items() if one.tensor.rank == RANK and self.axes > 1}
        if not some:
            return list(found.values())
        local = {} if self._local else self._local_tensors({path: found[path].entry for path in some})
        result = []
        for path, one in found.items():
            if path not in some:
                result.append(one)
                continue
            tokens = find(one.tensor, local.get(path), self._said)
            grid = None if tokens is None else tokens.grid(one.tensor)
            if tokens is not None and grid is not None:
                channels = one.tensor.shape[tokens.channels]
                result.append(one._replace(entry=one.entry._replace(grid=grid, channels=channels, tokens=tokens)))
            else:
                self.no_grids[path] = one.tensor.shape
        return result

    def _local_tensors(self, wanted: dict[str, Entry]) -> dict[str, Carried]:
        """What some layers give on local paths alone."""
        tensors: dict[str, Carried] = {}

        def made(operation: Any, path: str, outputs: Any) -> None:  # noqa: ARG001 - the observer's signature
            entry = wanted.get(path)
            if entry is not None and (path == self.whole or flow.calls(path) in (0, entry.call)):
                leaf = keras.tree.flatten(outputs)[entry.output]
                if isinstance(leaf, Carried):
                    tensors[path] = leaf

        flow = Flow(self._domain, made, None, Tracer(self._followed))
        try:
            outputs = flow.run(self._model, self._feed(self._inputs.lengths, None, local=True))
            if self.whole is not None:
                made(None, self.whole, outputs)
        except Exception:  # as in the first look: what lies before it is known
            return tensors
        return tensors

    def _grid_among(self, outputs: Any, preferred: int | None) -> tuple[int, Carried | None]:
        """The output that counts, of a layer with several: the one that the model returns, else the first grid; where
        there is none, the first that may be one of tokens.
        """
        leaves = [pair for pair in enumerate(keras.tree.flatten(outputs)) if isinstance(pair[1], Carried)]
        grids = [(place, leaf) for place, leaf in leaves if self._inputs.places(leaf.rank) is not None]
        grids = grids or [(place, leaf) for place, leaf in leaves if is_candidate(leaf)]
        return next((pair for pair in grids if pair[0] == preferred), grids[0] if grids else (0, None))


def _returned_places(model: Any) -> dict[str, int]:
    """Which output of an operation a graph model returns, by the operation's name."""
    if not is_graph(model):
        return {}
    places: dict[str, int] = {}
    for tensor in model.outputs:
        history = tensor._keras_history
        places.setdefault(str(history.operation.name), int(history.tensor_index))
    return places


def _same(tensor: Carried, latest: Carried | None) -> bool:
    """Whether a map is what the last layer gave, as far as the image is concerned: a pointwise end."""
    if latest is None or tensor.shape != latest.shape:
        return False
    pairs = zip(tensor.planes, latest.planes, strict=True)
    return tensor is latest or all(np.array_equal(spans.joined(a), spans.joined(b)) for a, b in pairs)


class _Ended(BaseException):
    """A look that its listener has ended."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error


class _Recorder:
    """Takes down all maps of one run.

    Args:
        look: takes the notes.
        inputs: say which maps are grids.
        tick: called before every operation; what it raises ends the run.

    Attributes:
        latest: path of the operation that was begun last.
    """

    def __init__(self, look: Look, inputs: Inputs, tick: Tick) -> None:
        self._look, self._inputs, self._tick = look, inputs, tick
        self.latest = ""
        # Facts about tensors live beside them, for as long as they live.
        self._numbers: dict[int, tuple[weakref.ref[Carried], int, str]] = {}
        self._reads: dict[str, set[int]] = {}
        self._finished: set[str] = set()
        self._origins: dict[int, int] = {}

    def follow_alone(self, path: str, outputs: Any) -> None:
        """Take down which map a bare operation is made of, if it is one alone, by way of other such operations."""
        origins = {self._origins.get(number, number) for number in self._reads.get(path, ())}
        for tensor in _carried(outputs) if origins else ():
            number = self._known(tensor, path)[0]
            self._origins.setdefault(number, *(origins if len(origins) == 1 else (number,)))

    def is_made_of(self, tensor: Carried, other: Carried) -> bool:
        """Whether a map is another, or made of it alone by bare operations; also where that is not known."""
        number, given = self.number(tensor), self.number(other)
        return self._origins.get(number, given) == given

    def number(self, tensor: Carried) -> int:
        """Number of a map; taken down when it is met first."""
        return self._known(tensor, "")[0]

    def before(self, path: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Take down what an operation reads, and the nested models it is in."""
        self.latest = path
        try:
            self._tick()
        except BaseException as error:
            raise _Ended(error) from None
        for reader in self._finished.intersection(_containers(path)):
            self._reads.pop(reader, None)  # called once more: the last call counts
            self._finished.remove(reader)
        for tensor in _carried((args, kwargs)):
            number, maker = self._known(tensor, "")
            for reader in _containers(path):
                # What comes from inside a nested model is not read by it.
                if not maker.startswith(reader + SEPARATOR):
                    self._reads.setdefault(reader, set()).add(number)

    def made(self, path: str, outputs: Any, meant: Any, reader: str = "") -> None:
        """Take down what an operation gives.

        Args:
            path: of the operation.
            outputs: all that it gives.
            meant: what the path stands for, if this is the call that is meant.
            reader: path of what read for it, if it is another.
        """
        for tensor in _carried(outputs):
            self._known(tensor, path)
        if isinstance(meant, Carried):
            self._look.made[path] = self.number(meant)
            self._look.reads[path] = tuple(sorted(self._reads.get(reader or path, ())))
        self._finished.add(reader or path)

    def _known(self, tensor: Carried, maker: str) -> tuple[int, str]:
        known = self._numbers.get(id(tensor))
        if known is None or known[0]() is not tensor:
            number = self._look.add(tensor, self._inputs.places(tensor.rank))
            known = (weakref.ref(tensor), number, maker)
            self._numbers[id(tensor)] = known
        return known[1], known[2]


def _carried(structure: Any) -> list[Carried]:
    return [leaf for leaf in keras.tree.flatten(structure) if isinstance(leaf, Carried)]


def _containers(path: str) -> list[str]:
    """A layer, and the nested models it is in.

    >>> _containers("backbone/conv1")
    ['backbone', 'backbone/conv1']
    """
    names = path.split(SEPARATOR)
    return [SEPARATOR.join(names[: i + 1]) for i in range(len(names))]
