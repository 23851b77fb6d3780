"""The fields of all layers of a Keras model, from one run of its probe along each axis.

Every operation is watched: what reaches its inputs and its outputs. Layers behind code that the probe cannot see
through are left to the measurement of one layer at a time.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import keras
import numpy as np
from keras import ops

from rfwidget._progress import Progress
from rfwidget.geometry import AxisField, FieldGeometry
from rfwidget.impulses import Hull, Impulses, plan
from rfwidget.keras.dispatch import Dispatch
from rfwidget.keras.graph import SEPARATOR
from rfwidget.keras.hints import Hint
from rfwidget.keras.probe import DTYPE, Probe
from rfwidget.keras.twin import Entry, Twin
from rfwidget.network import LayerField
from rfwidget.types import Size

# All maps of one run together hold at most this many numbers, so that memory stays small.
_NUMBERS = 1 << 26

# No network is worth more runs than this; its layers are measured one at a time.
_RUNS = 64

_TAG = "_rfwidget_map"

Tick = Callable[[], None]
"""Called often while the work goes on; what it raises ends it."""


def all_fields(twin: Twin, size: tuple[int, int], progress: Progress) -> dict[str, LayerField]:
    """Fields of the layers that impulses can tell.

    Args:
        twin: the surveyed probe.
        size: rows and columns of the requested image.
        progress: called with a fraction 0..1 and a few words.
    """
    entries = {path: entry for path, entry in twin.entries.items() if _is_plain(entry.hint)}
    if not entries:
        return {}
    watches = []
    for axis, name in enumerate("yx"):
        tick = partial(progress, axis / 2, f"measuring all layers along {name}")
        watches.append(_watch_axis(twin, entries, axis, size[axis], tick))
    y, x = watches
    fields = {}
    for path in entries:
        along_x, along_y, reads = x.field(path), y.field(path), Size(x.reads(path), y.reads(path))
        if along_x is not None and along_y is not None:
            fields[path] = LayerField(FieldGeometry(along_x, along_y), reads)
        elif x.is_dark(path) and y.is_dark(path):
            fields[path] = LayerField(None, reads)
    progress(1.0, "measured all layers")
    return fields


class _Watch:
    """What a run tells about every map along one axis; maps are numbered in the order in which they appear."""

    def __init__(self, axis: int, requested: int) -> None:
        self.axis, self.requested = axis, requested
        self.hulls: list[tuple[Hull, bool] | None] = []
        self.mixed: set[int] = set()
        self.made: dict[str, int] = {}
        self.read: dict[str, set[int]] = {}

    def field(self, path: str) -> AxisField | None:
        """Field of a layer; None if it cannot be told."""
        return self._field(self.made[path]) if path in self.made else None

    def is_dark(self, path: str) -> bool:
        """Whether the image does not reach a layer."""
        return path in self.made and self._is_dark(self.made[path])

    def reads(self, path: str) -> float:
        """Smallest size among the maps that a layer reads, dark ones apart; NaN if it cannot be told."""
        sizes = [self._size(number) for number in self.read.get(path, ()) if not self._is_dark(number)]
        return math.nan if not sizes or any(map(math.isnan, sizes)) else min(sizes)

    def _size(self, number: int) -> float:
        if number in self.mixed:
            return math.inf
        field = self._field(number)
        return math.nan if field is None else field.size

    def _is_dark(self, number: int) -> bool:
        known = self.hulls[number]
        return known is not None and known[0].empty

    def _field(self, number: int) -> AxisField | None:
        known = self.hulls[number]
        return known and known[0].field(self.requested, known[1])


def _watch_axis(twin: Twin, entries: dict[str, Entry], axis: int, requested: int, tick: Tick) -> _Watch:
    period = math.lcm(*(entry.hint.period[axis] for entry in entries.values()))
    reach = max(entry.hint.reach[axis] for entry in entries.values())
    impulses = plan(requested, period, reach)
    watch = _Watch(axis, requested)
    channels = 1 if twin.thin else max(entry.channels or 1 for entry in entries.values())
    batch = max(1, _NUMBERS // (impulses.length * channels * len(twin.entries)))
    if impulses.columns > batch * _RUNS:
        return watch
    for start in range(0, impulses.columns, batch):
        _run(twin, watch, impulses, range(start, min(start + batch, impulses.columns)), tick)
    return watch


def _run(twin: Twin, watch: _Watch, impulses: Impulses, columns: range, tick: Tick) -> None:
    """One run of the whole probe, one image per column."""
    first = impulses.first + columns.start
    images = np.zeros((len(columns), impulses.length, twin.channels()), DTYPE)
    images[np.arange(len(columns)), first + np.arange(len(columns))] = 1
    tensor = ops.convert_to_tensor(np.expand_dims(images, 2 - watch.axis))
    recorder = _Recorder(twin.probe(watch.axis), watch, first, tick, twin.notes)
    try:
        twin.run(recorder, tensor, watch.axis)
    except Exception:
        if recorder.ended:
            raise
        # A head for another size, say: the layers before it are known, those behind it are measured alone. So are
        # those that would have been called once more.
        for path in watch.made.keys() - {path for path, calls in twin.met.items() if recorder.met[path] == calls}:
            del watch.made[path]


class _Recorder(Dispatch):
    """A dispatch that notes which columns reach every map.

    Args:
        probe: the building blocks.
        watch: takes the notes.
        first: the column of the first image.
        tick: called before every operation; what it raises ends the run.
        known: what could not be seen through before; anything else ends the run, for then this size does not suit.

    Attributes:
        ended: whether ``tick`` ended the run.
        met: how often each path was met.
    """

    def __init__(self, probe: Probe, watch: _Watch, first: int, tick: Tick, known: Sequence[str]) -> None:
        super().__init__(probe, self._made)
        self._watch, self._first, self._tick, self._known = watch, first, tick, known
        self.ended = False
        self.met: Counter[str] = Counter()
        self._count = 0
        self._finished: set[str] = set()

    def _apply(self, operation: Any, path: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        try:
            self._tick()
        except Exception:
            self.ended = True
            raise
        for reader in self._finished.intersection(_containers(path)):
            self._watch.read.pop(reader, None)  # called once more: the last call counts
            self._finished.remove(reader)
        for tensor in _maps((args, kwargs)):
            number, maker = self._tag(tensor, "")
            for reader in _containers(path):
                # What comes from inside a nested model is not read by it.
                if not maker.startswith(reader + SEPARATOR):
                    self._watch.read.setdefault(reader, set()).add(number)
        return super()._apply(operation, path, args, kwargs)

    def _tell(self, note: str) -> None:
        if note not in self._known:
            raise RuntimeError(note)

    def _made(self, operation: Any, path: str, outputs: Any) -> None:  # noqa: ARG002  (the observer's signature)
        self.met[path] += 1
        maps = _maps(outputs)
        for tensor in maps:
            number, _ = self._tag(tensor, path)
            if len(maps) == 1:
                self._watch.made[path] = number
        self._finished.add(path)

    def _tag(self, tensor: Any, maker: str) -> tuple[int, str]:
        """Number and maker of a map; taken note of when it is met first."""
        tag: tuple[int, str] | None = getattr(tensor, _TAG, None)
        if tag is None:
            tag = self._count, maker
            self._count += 1
            setattr(tensor, _TAG, tag)
            self._note(tag[0], tensor)
        return tag

    def _note(self, number: int, tensor: Any) -> None:
        hint, axis, watch = Hint.of(tensor), self._watch.axis, self._watch
        if number == len(watch.hulls):
            hull = None
            if hint is not None and _is_plain(hint) and len(tensor.shape) == 2:
                if hint.context[axis]:
                    watch.mixed.add(number)  # a vector of the whole image
                elif not np.asarray(tensor).any():
                    hull = Hull(0, 1), False
            elif hint is not None and _is_plain(hint) and len(tensor.shape) == 4:
                scale, period = hint.scale[axis], hint.period[axis]
                hull = Hull(0 if scale is None else int(period / scale), period), hint.context[axis]
            watch.hulls.append(hull)
        known = watch.hulls[number]
        if known is not None and len(tensor.shape) == 4:
            values = np.asarray(tensor)
            if self._probe.channels_first:
                values = np.moveaxis(values, 1, -1)
            values = np.moveaxis(values, 1 + axis, 1)
            if np.isfinite(values).all():
                known[0].add((values != 0).any(axis=(2, 3)), self._first)
            else:
                watch.hulls[number] = None


def _is_plain(hint: Hint) -> bool:
    """Whether impulses tell the truth: everything so far is known, linear, and the same at any size."""
    return hint.exact and hint.linear and hint.separable and hint.resizable


def _maps(structure: Any) -> Sequence[Any]:
    """The tensors of a nested structure that come from the image."""
    return [leaf for leaf in keras.tree.flatten(structure) if ops.is_tensor(leaf) and Hint.of(leaf) is not None]


def _containers(path: str) -> list[str]:
    """A layer, and the nested models it is in.

    >>> _containers("backbone/conv1")
    ['backbone', 'backbone/conv1']
    """
    names = path.split(SEPARATOR)
    return [SEPARATOR.join(names[: i + 1]) for i in range(len(names))]
