"""Running a module's own code on tensors that carry what they depend on.

A dispatch mode sees every `aten` operation, also inside ScriptModules. Tensors that depend on the image are `Tracked`:
shapes come from an inner tensor without numbers (on the device "meta"), dependencies from the rules of
`rfwidget._aten.rules`. What depends on no pixel is computed as it is. Writes in place reach all views of a tensor.

Where the code asks for numbers (``if x.mean() > 0``), the run ends with `NumbersNeededError` and begins again with real
numbers inside.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from rfwidget._aten.masks import Flags, is_lost, mask_of
from rfwidget._aten.rules_recurrent import layers
from rfwidget._aten.shapes import shaped
from rfwidget._measure import spans
from rfwidget._measure.masks import Mask, told_apart
from rfwidget._measure.spans import Carried


class NumbersNeededError(BaseException):  # not an Exception: the module's own code must not catch it
    """The code asks for numbers of tensors that were only looked at."""


class OwnWeightsNeededError(BaseException):
    """The code writes to a tensor of the user's."""


class TooLargeError(BaseException):  # not an Exception: the module's own code must not catch it
    """What the tensors depend on does not fit into the memory that a look may take."""


class FullWidthNeededError(BaseException):  # not an Exception: the module's own code must not catch it
    """The code tells channels apart that were blurred (`rfwidget._measure.spans.blurred`)."""


class UnknownError(RuntimeError):
    """The code does what cannot be followed, such as leaving PyTorch."""


class Store:
    """The elements that some tensors share: a tensor and its views.

    Attributes:
        carried: what the elements of the whole tensor depend on.
        geometry: of the whole tensor, in its storage.
        version: counts the writes.
        flags: which elements masks have made minus infinity, or zero.
    """

    def __init__(self, carried: Carried, inner: torch.Tensor) -> None:
        self.carried = carried
        self.geometry = Geometry.of(inner)
        self.version = 0
        self.flags = Flags()
        self.numbers: dict[tuple[Any, ...], int] = {}
        self.keep = inner  # its storage must not be freed while its address stands for it


class Geometry:
    """How a tensor lies in its storage."""

    def __init__(self, shape: Sequence[int], strides: Sequence[int], offset: int, width: int) -> None:
        self.shape, self.strides, self.offset, self.width = tuple(shape), tuple(strides), offset, width

    @classmethod
    def of(cls, tensor: torch.Tensor) -> Geometry:
        """That of a tensor."""
        return cls(tensor.shape, tensor.stride(), int(tensor.storage_offset()), tensor.element_size())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Geometry) and vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment]

    def slices_of(self, whole: Geometry) -> tuple[list[slice], list[int | None]] | None:
        """This tensor as slices of another in the same storage.

        Returns:
            One slice for each axis of ``whole``, and for each axis of this one the axis of ``whole`` that it goes
            along (None: an axis of length 1); None if it is no such part.
        """
        if self.width != whole.width:
            return None
        order = sorted((a for a in range(len(whole.shape)) if whole.shape[a] > 1), key=lambda a: -whole.strides[a])
        rest = self.offset - whole.offset
        if rest < 0:
            return None
        chosen = [slice(0, 1)] * len(whole.shape)
        for axis in order:
            start = min(rest // whole.strides[axis], whole.shape[axis] - 1) if whole.strides[axis] else 0
            chosen[axis] = slice(start, start + 1, 1)
            rest -= start * whole.strides[axis]
        if rest:
            return None
        along: list[int | None] = []
        for length, stride in zip(self.shape, self.strides, strict=True):
            if length == 1:
                along.append(None)
                continue
            for axis in order:
                step, uneven = divmod(stride, whole.strides[axis]) if whole.strides[axis] else (0, 1)
                start = chosen[axis].start
                if not uneven and step and axis not in along and start + (length - 1) * step < whole.shape[axis]:
                    chosen[axis] = slice(start, start + (length - 1) * step + 1, step)
                    along.append(axis)
                    break
            else:
                return None
        return chosen, along

    def numbers(self) -> npt.NDArray[np.int64]:
        """Place in the storage of every element."""
        places = np.full((1,) * len(self.shape), self.offset, np.int64)
        for axis, (length, stride) in enumerate(zip(self.shape, self.strides, strict=True)):
            line = np.arange(length, dtype=np.int64) * stride
            places = places + line.reshape([-1 if other == axis else 1 for other in range(len(self.shape))])
        return places


def part_of(store: Store, part: Geometry) -> Carried:
    """What the elements of a view depend on."""
    whole = store.geometry
    if part == whole:
        return store.carried
    cut = part.slices_of(whole)
    if cut is None:
        return _gathered(store.carried, whole, part)
    slices, along = cut
    x = store.carried
    for axis, piece in enumerate(slices):
        x = spans.cut(x, axis, piece.start, piece.stop, piece.step or 1)
    kept = [axis for axis in along if axis is not None]
    x = spans.transpose(spans.squeeze(x, [a for a in range(x.rank) if a not in kept]), _ranks(kept))
    return spans.reshape(x, part.shape)


def with_part(store: Store, part: Geometry, new: Carried) -> Carried:
    """What the elements of the whole depend on, after a view of it was written to."""
    whole, old = store.geometry, store.carried
    if part == whole:
        return new
    cut = part.slices_of(whole)
    if cut is None:
        return _scattered(old, whole, part, new)
    slices, along = cut
    kept = [axis for axis in along if axis is not None]
    new = spans.transpose(spans.reshape(new, [whole_length(slices[a]) for a in kept]), np.argsort(kept).tolist())
    for axis in range(len(whole.shape)):
        if axis not in kept:
            new = spans.expand(new, axis)
    return _laid(old, slices, new, 0)


def _laid(old: Carried, slices: list[slice], new: Carried, axis: int) -> Carried:
    """A tensor with some slices replaced, axis by axis."""
    if axis == len(slices):
        return new
    piece = slices[axis]
    count = whole_length(piece)
    if count != old.shape[axis]:
        step = piece.step or 1
        inner = _laid(spans.cut(old, axis, piece.start, piece.stop, step), slices, new, axis + 1)
        order = np.arange(old.shape[axis])
        order[piece] = old.shape[axis] + np.arange(count)
        return spans.take(spans.concatenate([old, inner], axis), axis, order)
    return _laid(old, slices, new, axis + 1)


def whole_length(piece: slice) -> int:
    """Elements of a slice with known ends."""
    return len(range(piece.start, piece.stop, piece.step or 1))


def _ranks(axes: Sequence[int]) -> list[int]:
    """Place of each axis among those kept."""
    order = sorted(axes)
    return [order.index(axis) for axis in axes]


def _places(whole: Geometry, part: Geometry) -> npt.NDArray[np.int64] | None:
    """Number, in the order of C, of the whole's element that each element of a part is."""
    if whole.width != part.width:
        return None
    where, wanted = whole.numbers().ravel(), part.numbers()
    order = np.argsort(where, kind="stable")
    found = order[np.minimum(np.searchsorted(where, wanted, sorter=order), len(order) - 1)]
    return found if np.array_equal(where[found], wanted) else None


def _gathered(x: Carried, whole: Geometry, part: Geometry) -> Carried:
    places = _places(whole, part)
    if places is None:
        return spans.everything([x], part.shape, "a view of other numbers")
    return spans.reshape(spans.take(spans.reshape(x, (-1,)), 0, places.ravel()), part.shape)


def _scattered(old: Carried, whole: Geometry, part: Geometry, new: Carried) -> Carried:
    places = _places(whole, part)
    if places is None:
        return spans.everything([old, new], whole.shape, "a view of other numbers")
    order = np.arange(math.prod(whole.shape))
    order[places.ravel()] = len(order) + np.arange(places.size)
    both = spans.concatenate([spans.reshape(old, (-1,)), spans.reshape(new, (-1,))], 0)
    return spans.reshape(spans.take(both, 0, order), whole.shape)


class Tracked(torch.Tensor):
    """A tensor that depends on the image.

    Attributes:
        stand_in: the same tensor without numbers, or with real ones.
        number: of the map that it is, counted in the order in which they were made.
    """

    stand_in: torch.Tensor
    number: int
    store: Store
    _carried: Carried
    _version_seen: int
    pooling: Any

    @staticmethod
    def __new__(cls, inner: torch.Tensor, device: torch.device, carried: Carried, store: Store | None) -> Tracked:
        """A tensor that stands for another one."""
        made: Tracked = torch.Tensor._make_wrapper_subclass(
            cls,
            inner.shape,
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            device=device,
        )
        made.stand_in = inner
        made.number = -1
        made.store = store or Store(carried, inner)
        made._carried = carried
        made._version_seen = made.store.version
        made.pooling = None
        return made

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # type: ignore[override]
        raise UnknownError(f"{func} was called on a tensor of a run that is over")

    @property
    def carried(self) -> Carried:
        """What every element depends on, now."""
        if self._version_seen != self.store.version:
            self._carried = part_of(self.store, Geometry.of(self.stand_in))
            self._version_seen = self.store.version
        return self._carried

    def write(self, new: Carried) -> None:
        """Replace what every element depends on, here and in all tensors that share the elements."""
        store = self.store
        store.carried = with_part(store, Geometry.of(self.stand_in), new)
        store.version += 1
        self._carried, self._version_seen = new, store.version

    def __repr__(self, *, tensor_contents: Any = None) -> str:  # type: ignore[override]
        return f"Tracked(shape={tuple(self.shape)}, dtype={self.dtype})"

    def _leave(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ARG002
        raise UnknownError("the code leaves PyTorch (numpy(), tolist(), data_ptr()), what lies behind is unknown")

    numpy = tolist = data_ptr = __array__ = __dlpack__ = untyped_storage = storage = _leave


Rule = Callable[["Call"], Any]


class Plan:
    """What is to be known of an operation, whatever it is called with.

    Attributes:
        name: such as ``"add"``; writes in place and results in given tensors have the same.
        rule: how dependencies go through; None: unknown.
        writes: arguments that are written to, by name.
        pointwise: whether each element depends on those of its place.
        metadata: whether what is written is the shape.
        is_view: whether results share the elements of an argument.
    """

    def __init__(self, func: Any, rules: dict[str, Rule]) -> None:
        schema = func._schema
        self.arguments = [argument.name for argument in schema.arguments]
        self.defaults = {a.name: a.default_value for a in schema.arguments if a.has_default_value()}
        self.writes = [
            argument.name
            for argument in schema.arguments
            if argument.alias_info is not None and argument.alias_info.is_write
        ]
        namespace, _, name = schema.name.partition("::")
        base = name[:-1] if self.writes and name.endswith("_") and not name.endswith("__") else name
        base = "copy_into" if name == "copy_" else base
        self.rule = rules.get(base if namespace == "aten" else schema.name)
        self.name = base if namespace == "aten" else schema.name
        if self.rule is None and torch.Tag.pointwise in func.tags:
            self.rule = rules["pointwise"]
        self.pointwise = self.rule is not None and self.rule in (rules["pointwise"], rules["mul"])
        self.metadata = torch.Tag.inplace_view in func.tags
        self.is_view = not self.writes and any(result.alias_info is not None for result in schema.returns)


class Call:
    """One call of an operation, as rules see it.

    Attributes:
        name: of the operation.
        results: shapes of the results, in order.
    """

    def __init__(
        self, run: Interpreter, plan: Plan, arguments: dict[str, Any], results: Sequence[torch.Tensor]
    ) -> None:
        self._run, self._plan, self._arguments, self._results = run, plan, arguments, results
        self.name = plan.name
        self.results = [tuple(result.shape) for result in results]

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the first result."""
        return self.results[0]

    def __getitem__(self, name: str) -> Any:
        """An argument, or its default."""
        return self._arguments[name] if name in self._arguments else self._plan.defaults.get(name)

    def has(self, name: str) -> bool:
        """Whether the operation has an argument of that name."""
        return name in self._plan.arguments

    def carried(self, name: str) -> Carried | None:
        """What a tensor argument depends on; None if it does not depend on the image, or is none."""
        return self._run.carried_of(self[name])

    def of(self, tensor: Any) -> Carried | None:
        """What one of several tensors of an argument depends on."""
        return self._run.carried_of(tensor)

    def all_carried(self) -> list[Carried]:
        """Of all tensors among the arguments that depend on the image."""
        found = (self._run.carried_of(leaf) for leaf in leaves(self._read()))
        return [carried for carried in found if carried is not None]

    def _read(self) -> list[Any]:
        return [v for k, v in self._arguments.items() if k not in self._plan.writes or not self._overwrites]

    @property
    def _overwrites(self) -> bool:
        """Whether what is written to is not read before: ``out=`` arguments."""
        return self._plan.writes == ["out"] or (len(self._plan.writes) > 1)

    def like(self) -> Carried:
        """Any tensor that depends on the image."""
        return next(c for c in map(self._run.carried_of, leaves(self._arguments)) if c is not None)

    def constant(self, name: str) -> torch.Tensor:
        """A tensor argument that does not depend on the image, with its numbers."""
        value: torch.Tensor = self[name]
        return value

    def nonzero(self, name: str) -> npt.NDArray[np.bool_] | None:
        """Where a tensor is not zero by construction; None: everywhere.

        Parameters stand for numbers that are not zero; what is computed from them keeps the zeros of masks.
        """
        if self.carried(name) is None:
            return self._run.nonzero(self[name])
        known = self.mask(name)
        return None if known is None or known.zero is None else ~known.zero

    def numbers(self, name: str) -> npt.NDArray[Any] | None:
        """Numbers of a constant, or a number itself; those that stand for parameters are none that masks are made of.

        Returns:
            None where it is no such constant.
        """
        return self._run.numbers(self[name])

    def mask(self, name: str) -> Mask | None:
        """What is known of the elements of an argument besides what they depend on."""
        value = self[name]
        return value.store.flags.of(value.stand_in) if isinstance(value, Tracked) else None

    def on(self, name: str, axis: int) -> npt.NDArray[np.bool_] | None:
        """Where an argument is not as good as minus infinity beside others along an axis; None: everywhere."""
        known = self.mask(name)
        return None if known is None else told_apart(known.off, axis)

    def shape_of(self, name: str) -> tuple[int, ...]:
        """Of a tensor argument."""
        return tuple(self[name].shape)

    def tracked(self, name: str) -> Tracked | None:
        """A tensor argument itself, if it depends on the image."""
        value = self[name]
        return value if isinstance(value, Tracked) else None

    def remember(self, pooling: Any) -> None:
        """Leave a word for `MaxUnpool` on the second result."""
        self._run.pooling = pooling

    @property
    def blur(self) -> bool:
        """Whether channels of concatenated maps need not be told apart."""
        return self._run.blur

    def numbers_needed(self) -> None:
        """Begin again with real numbers."""
        self._run.need_numbers()


class Interpreter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """The dispatch mode of one run.

    Args:
        rules: how dependencies go through operations, by name.
        device: where constants are.
        guarded: storages of the user's tensors; none is written to.
        numbers: compute with real numbers as well.
        blur: let each channel of concatenated maps depend on what any of them does: much less work.
        sink: makes of a tensor's number and what it depends on what is kept of it; None: all is kept.

    Attributes:
        made: what is kept of every tensor that depends on the image as it was when it was made, in order.
        failure: what must be done differently: an exception to be raised whatever the module's code made of it.
        notes: what is not followed though it may matter, in words.
    """

    def __init__(
        self,
        rules: dict[str, Rule],
        device: torch.device,
        guarded: dict[int, torch.Tensor],
        *,
        numbers: bool = False,
        blur: bool = False,
        sink: Callable[[int, Carried], Any] | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._rules, self._device, self._guarded, self._numbers = rules, device, guarded, numbers
        self.made: list[Any] = []
        self._sink = sink
        self.blur = blur
        self.failure: BaseException | None = None
        self.notes: set[str] = set()
        self.pooling: Any = None
        self._held = 0
        self._tainted: dict[int, Store] = {}
        self._observers: list[Callable[[str, Tracked], None]] = []

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # else the first operation would load the whole compiler

    def watch(self, observer: Callable[[str, Tracked], None]) -> None:
        """Call a function with the name and the result of every operation on the image; of several, with the first."""
        self._observers.append(observer)

    def image(self, carried: Carried, dtype: torch.dtype) -> Tracked:
        """The image, as the module gets it."""
        if self._numbers:
            draw = torch.Generator().manual_seed(5)
            inner = torch.rand(carried.shape, generator=draw).to(self._device, dtype)
        else:
            inner = torch.empty(carried.shape, dtype=dtype, device="meta")
        return self._tracked(inner, carried, None)

    def number_of(self, tensor: torch.Tensor) -> int | None:
        """Number of the map that a tensor is; None if it does not depend on the image."""
        if isinstance(tensor, Tracked):
            return tensor.number
        carried = self.carried_of(tensor)
        if carried is None:
            return None
        store = self._tainted[_address(tensor)]
        place = (*tensor.shape, *tensor.stride(), tensor.storage_offset(), store.version)
        if place not in store.numbers:
            store.numbers[place] = self._take(carried)
        return store.numbers[place]

    def need_numbers(self) -> None:
        """End this run; the next one has real numbers."""
        if not self._numbers:
            self.failure = NumbersNeededError()
            raise self.failure

    # -- what tensors depend on ---------------------------------------------------------------------------------------

    def carried_of(self, value: Any) -> Carried | None:
        """What a tensor depends on; None: on no pixel."""
        if isinstance(value, Tracked):
            return value.carried
        if self._tainted and isinstance(value, torch.Tensor):
            store = self._tainted.get(_address(value))
            if store is not None:
                return part_of(store, Geometry.of(value))
        return None

    def nonzero(self, tensor: torch.Tensor) -> npt.NDArray[np.bool_] | None:
        """As `Call.nonzero`."""
        if _is_dense(tensor) or self._owner(tensor) is not None:
            return None
        generic = getattr(tensor, "_rfwidget_generic", tensor)
        found: npt.NDArray[np.bool_] = (generic != 0).cpu().numpy()
        return None if found.all() else found

    def numbers(self, value: Any) -> npt.NDArray[Any] | None:
        """As `Call.numbers`."""
        if isinstance(value, (int, float)):
            return np.asarray(value)
        if not isinstance(value, torch.Tensor) or value.is_complex() or isinstance(value, Tracked):
            return None
        if self._owner(value) is not None or _is_dense(value):
            return np.where(value.isneginf().cpu().numpy(), -np.inf, 1.0)
        numbers: npt.NDArray[Any] = self._generic(value).detach().double().cpu().numpy()
        return numbers

    def _owner(self, tensor: torch.Tensor) -> torch.nn.Parameter | None:
        """The parameter that a tensor is, or is a view of."""
        owner = self._guarded.get(_address(tensor))
        return owner if isinstance(owner, torch.nn.Parameter) else None

    def _generic(self, value: Any) -> Any:
        """A constant with numbers in place of parameters that are not zero."""
        if not isinstance(value, torch.Tensor):
            return value
        if self._owner(value) is not None or _is_dense(value):
            draw = torch.Generator().manual_seed(value.numel())
            made = torch.rand(value.shape, generator=draw) + 0.5
            return made.to(value.device, value.dtype) if value.dtype.is_floating_point else value
        return getattr(value, "_rfwidget_generic", value)

    def _tracked(self, inner: torch.Tensor, carried: Carried, store: Store | None) -> Tracked:
        made = Tracked(inner, self._device, carried, store)
        self._number(made, carried)
        return made

    def _number(self, tensor: Tracked, carried: Carried) -> None:
        tensor.number = self._take(carried)

    def _take(self, carried: Carried) -> int:
        """Take down a map."""
        size = sum(factor.size for plane in carried.planes for factor in plane)
        self._held = self._held + size if self._sink is None else size
        if self._held > _MOST:
            self.failure = TooLargeError()
            raise self.failure
        self.made.append(carried if self._sink is None else self._sink(len(self.made), carried))
        return len(self.made) - 1

    def recurrent(self, arguments: Sequence[Any]) -> tuple[Tracked, Tracked] | None:
        """A recurrent layer as a whole, instead of step by step.

        Args:
            arguments: input, state, weights, whether there are biases, number of layers, dropout, training, whether
                both directions, whether the batch comes first.

        Returns:
            Output and state; None where it must be run.
        """
        if self._numbers or len(arguments) != 9 or not isinstance(arguments[0], Tracked):
            return None
        x, state, _, _, count, _, _, both, batch_first = arguments
        states = [c for c in [self.carried_of(state)] if c is not None]
        axis, width = int(bool(batch_first) and x.dim() == 3), int(state.shape[-1])
        given, last = layers(x.carried, states, count=count, width=width, axis=axis, both=both)
        last = spans.reshape(last, (1,) * (state.dim() - 2) + (-1, 1)) if x.dim() == 3 else spans.reshape(last, (1, 1))
        made = [(given, given.shape), (spans.broadcast(last, state.shape), tuple(state.shape))]
        outputs = [self._tracked(torch.empty(s, dtype=x.dtype, device="meta"), c, None) for c, s in made]
        return outputs[0], outputs[1]

    # -- the mode -----------------------------------------------------------------------------------------------------

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run one operation."""
        kwargs = kwargs or {}
        plan = plan_of(func, self._rules)
        arguments = {**dict(zip(plan.arguments, args, strict=False)), **kwargs}
        tensors = [leaf for leaf in leaves(arguments) if isinstance(leaf, torch.Tensor)]
        if not any(self._depends(tensor) for tensor in tensors):
            return self._constant(func, plan, args, kwargs, arguments, tensors)
        if plan.rule is None and not plan.writes:
            with self:
                whole = func.decompose(*args, **kwargs)
            if whole is not NotImplemented:
                return whole
        return self._followed(func, plan, args, kwargs, arguments)

    def _depends(self, tensor: torch.Tensor) -> bool:
        return isinstance(tensor, Tracked) or (bool(self._tainted) and _address(tensor) in self._tainted)

    def _constant(
        self, func: Any, plan: Plan, args: Any, kwargs: Any, arguments: dict[str, Any], tensors: list[torch.Tensor]
    ) -> Any:
        """An operation without the image: it runs as it is."""
        for name in plan.writes:
            self._check_guard(arguments.get(name))
        result = func(*args, **kwargs)
        if not tensors or not isinstance(result, torch.Tensor) or not result.dtype.is_floating_point:
            return result
        special = [t for t in tensors if self._owner(t) is not None or _is_marked(t)]
        if special and self._owner(result) is None:
            kept = plan.name in _KEEP and len(special) == len(tensors)
            if kept and (self._owner(special[0]) is not None or _is_dense(special[0])):
                result._rfwidget_dense = True  # type: ignore[attr-defined]
                return result
            if not plan.writes:
                generic = func(*mapped(args, self._generic), **mapped(kwargs, self._generic))
                result._rfwidget_generic = generic  # type: ignore[attr-defined]
        return result

    def _check_guard(self, target: Any) -> None:
        for leaf in leaves(target):
            if isinstance(leaf, torch.Tensor) and _address(leaf) in self._guarded:
                self.failure = OwnWeightsNeededError()
                raise self.failure

    def _followed(self, func: Any, plan: Plan, args: Any, kwargs: Any, arguments: dict[str, Any]) -> Any:
        """An operation on the image."""
        if plan.is_view and not any(isinstance(leaf, Tracked) for leaf in leaves(arguments)):
            return func(*args, **kwargs)  # a view of what was a constant, and still looks like one
        if plan.name in CONSTANTS:
            return func(*mapped(args, self._empty), **mapped(kwargs, self._empty))
        if plan.name in ("_local_scalar_dense", "is_nonzero", "equal", "item"):
            return self._number_read(func, args, kwargs)
        if any(arguments.get(name) is not None for name in plan.writes) and not self._numbers:
            for name in plan.writes:
                if not isinstance(arguments.get(name), Tracked):
                    self._check_guard(arguments.get(name))
        inner = self._results(func, plan, args, kwargs, arguments)
        results = [leaf for leaf in leaves(inner) if isinstance(leaf, torch.Tensor)]
        call = Call(self, plan, arguments, results)
        self.pooling = None
        if self.blur and not _keeps_channels(plan, call) and any(c.marks.blurred for c in call.all_carried()):
            self.failure = FullWidthNeededError()
            raise self.failure
        carried = plan.rule(call) if plan.rule is not None else self._unknown(call)
        each = carried if isinstance(carried, list) else [carried] * len(results)
        mask = None if plan.is_view else mask_of(call)
        if mask is None and not plan.is_view and is_lost(call):
            self.notes.add(
                f"a mask of attention is not followed through {call.name!r}: cells may see less than is said"
            )
        if plan.writes:
            return self._written(func, plan, args, kwargs, arguments, each, inner, mask)
        queue = iter(each)
        made = self._wrapped(plan, inner, queue, arguments)
        if mask is not None and isinstance(made, Tracked):
            made.store.flags.note(made.stand_in, mask)
        return made

    def _results(self, func: Any, plan: Plan, args: Any, kwargs: Any, arguments: dict[str, Any]) -> Any:
        """What an operation gives, without numbers if they are not needed."""
        if not self._numbers:
            inner = shaped(plan.name, arguments)
            if inner is not None:
                return self._inner(arguments["self"]) if plan.writes else inner
        try:
            return func(*mapped(args, self._inner), **mapped(kwargs, self._inner))
        except Exception as error:
            if not self._numbers and (isinstance(error, NotImplementedError) or _has_no_meta(error)):
                self.need_numbers()
            raise

    def _wrapped(self, plan: Plan, inner: Any, queue: Any, arguments: dict[str, Any], *, told: bool = True) -> Any:
        if isinstance(inner, torch.Tensor):
            carried = next(queue)
            if carried is None:  # a constant, such as zeros_like(x)
                raise AssertionError(plan.name)
            if tuple(carried.shape) != tuple(inner.shape):
                raise AssertionError(f"the rule of {plan.name} gives {carried.shape}, not {tuple(inner.shape)}")
            made = self._tracked(inner, carried, self._shared(inner, arguments))
            made.pooling = self.pooling
            for observer in self._observers if told else ():
                observer(plan.name, made)
            return made
        if isinstance(inner, (list, tuple)):
            return type(inner)(
                self._wrapped(plan, part, queue, arguments, told=told and place == 0)
                for place, part in enumerate(inner)
            )
        return inner

    def _shared(self, inner: torch.Tensor, arguments: dict[str, Any]) -> Store | None:
        """The store of the argument that a result is a view of."""
        address = _address(inner)
        for leaf in leaves(arguments):
            if isinstance(leaf, Tracked) and _address(leaf.stand_in) == address:
                return leaf.store
        return None

    def _written(
        self,
        func: Any,
        plan: Plan,
        args: Any,
        kwargs: Any,
        arguments: dict[str, Any],
        each: list[Carried],
        inner: Any,
        mask: Mask | None,
    ) -> Any:
        """An operation that writes to some arguments: they are what it returns."""
        targets = [leaf for name in plan.writes for leaf in leaves(arguments.get(name))]
        targets = [target for target in targets if isinstance(target, torch.Tensor)]
        for target, new in zip(targets, each, strict=False):
            if isinstance(target, Tracked):
                if plan.metadata:
                    self._reshaped(func, target, args, kwargs, new)
                    continue
                target.write(new)
                target.store.flags.note(target.stand_in, mask)
                self._number(target, new)
                for observer in self._observers:
                    observer(plan.name, target)
            else:
                self._taint(target, new)
        if isinstance(inner, torch.Tensor):
            return targets[0]
        return inner if inner is None else type(inner)(targets)

    def _reshaped(self, func: Any, target: Tracked, args: Any, kwargs: Any, new: Carried) -> None:
        """``x.unsqueeze_(0)`` and the like change the shape of a tensor that stays what it is."""
        with torch._C._DisableTorchDispatch():
            func(*args, **kwargs)
        target._carried = new
        self._number(target, new)

    def _taint(self, target: torch.Tensor, new: Carried) -> None:
        """Something of the image is written to a tensor that was a constant."""
        address = _address(target)
        store = self._tainted.get(address)
        if store is None:
            whole = target._base if target._base is not None else target
            flat = torch.as_strided(whole, (whole.untyped_storage().nbytes() // whole.element_size(),), (1,), 0)
            base = whole if _is_compact(whole) else flat
            store = self._tainted[address] = Store(spans.nowhere(base.shape, new), base)
        store.carried = with_part(store, Geometry.of(target), new)
        store.version += 1

    def _inner(self, value: Any) -> Any:
        if isinstance(value, Tracked):
            return value.stand_in
        if isinstance(value, torch.Tensor) and not self._numbers and not value.is_meta:
            return torch.empty_strided(value.shape, value.stride(), dtype=value.dtype, device="meta")
        if isinstance(value, torch.device) and not self._numbers:
            return torch.device("meta")
        return value

    def _empty(self, value: Any) -> Any:
        """A tensor of that shape, without meaning."""
        if isinstance(value, Tracked):
            return torch.empty_strided(value.shape, value.stride(), dtype=value.dtype, device=self._device)
        return value

    def _number_read(self, func: Any, args: Any, kwargs: Any) -> Any:
        self.need_numbers()
        result = func(*mapped(args, self._inner), **mapped(kwargs, self._inner))
        if not isinstance(result, bool):
            self.notes.add(_READS_NUMBERS)
        return result

    def _unknown(self, call: Call) -> Any:
        reads = call.all_carried() or [call.like()]
        return [spans.everything(reads, shape, call.name) for shape in call.results]


# Operations that give the numbers of a parameter in another form.
_KEEP = {"clone", "_to_copy", "contiguous", "detach", "lift_fresh", "view", "_unsafe_view", "permute", "t", "transpose"}
_KEEP |= {"expand", "slice", "select", "unsqueeze", "squeeze", "split", "cat", "stack", "alias", "neg"}

# Operations that take only the shape of a tensor.
CONSTANTS = {f"{name}_like" for name in ("zeros", "ones", "empty", "full", "rand", "randn", "randint")}
CONSTANTS |= {f"new_{name}" for name in ("zeros", "ones", "empty", "full", "empty_strided")}

# Operations that tell no channel from another.
_EVEN = {
    "cat",
    "copy_into",
    "clone",
    "_to_copy",
    "detach",
    "alias",
    "native_batch_norm",
    "mean",
    "sum",
    "amax",
    "max",
    "min",
}
_EVEN |= {"max_pool2d_with_indices", "avg_pool2d", "_adaptive_avg_pool2d", "adaptive_max_pool2d", "constant_pad_nd"}
_EVEN |= {"upsample_nearest2d", "upsample_bilinear2d", "upsample_bicubic2d", "reflection_pad2d", "replication_pad2d"}
_EVEN |= {"addmm", "mm", "t", "native_dropout", "_native_batch_norm_legit_no_training"}


def _keeps_channels(plan: Plan, call: Call) -> bool:
    """Whether an operation treats all channels of a map alike, so that it does not matter if they are blurred."""
    if plan.name in ("convolution", "_convolution"):
        return call.carried("weight") is None and call.nonzero("weight") is None
    if plan.name in ("slice", "select", "narrow"):
        return len(call.shape_of("self")) == 4 and int(call["dim"] or 0) % 4 != 1
    if plan.name in ("view", "_unsafe_view", "squeeze", "unsqueeze"):
        return len(call.shape) <= 2 or sum(n > 1 for n in call.shape_of("self")) <= 1
    return plan.name in _EVEN or plan.pointwise


_READS_NUMBERS = "the module's code reads numbers of the image (item()): what it does with them is not followed"

_MOST = 1 << 26
"""Numbers that tell what all tensors of a run depend on that are kept."""

_PLANS: dict[Any, Plan] = {}


def plan_of(func: Any, rules: dict[str, Rule]) -> Plan:
    """What is to be known of an operation."""
    plan = _PLANS.get(func)
    if plan is None:
        plan = _PLANS[func] = Plan(func, rules)
    return plan


def leaves(value: Any) -> list[Any]:
    """What nested arguments hold."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return [leaf for part in value for leaf in leaves(part)]
    return [value]


def mapped(value: Any, function: Callable[[Any], Any]) -> Any:
    """Nested arguments, each of their leaves replaced."""
    if isinstance(value, dict):
        return {key: mapped(part, function) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(mapped(part, function) for part in value)
    return function(value)


def _address(tensor: torch.Tensor) -> int:
    if tensor.layout is not torch.strided or isinstance(tensor, Tracked):
        return 0
    return tensor.untyped_storage()._cdata  # type: ignore[no-any-return]


def _is_dense(tensor: torch.Tensor) -> bool:
    return getattr(tensor, "_rfwidget_dense", False)


def _is_marked(tensor: torch.Tensor) -> bool:
    return _is_dense(tensor) or getattr(tensor, "_rfwidget_generic", None) is not None


def _is_compact(tensor: torch.Tensor) -> bool:
    """Whether a tensor fills its storage without holes or repetitions."""
    return tensor.numel() * tensor.element_size() == tensor.untyped_storage().nbytes() and tensor.is_contiguous()


def _has_no_meta(error: Exception) -> bool:
    words = str(error).lower()
    return "meta" in words or "data-dependent" in words or "dynamic" in words
