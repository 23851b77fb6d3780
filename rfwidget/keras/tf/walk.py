"""A graph of TensorFlow's operations run over spans."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from rfwidget._measure import spans
from rfwidget._measure.spans import Carried
from rfwidget.keras.domains import NeedsFullWidth
from rfwidget.keras.tf import lookups, moves, pointwise, products, windows
from rfwidget.keras.tf.graph import LayerCall, layer_calls
from rfwidget.keras.tf.table import EVEN, RULES, Call
from rfwidget.keras.tf.values import Constant, Flowing, Handle, Items, UnknownError, depends, folded, run

__all__ = ["Walk", "lookups", "moves", "pointwise", "products", "windows"]

_ROUNDS = 10_000
"""A loop whose end is known is followed for so many rounds at most."""

CallLayer = Callable[[LayerCall, Callable[[Any], Any]], Sequence[Any]]
"""Called with a layer's call and a function that gives the value of a tensor of the graph; returns flat outputs."""


class _Plan(NamedTuple):
    """A graph as it is walked: operations in order, and the layer calls to be made before each of them."""

    operations: list[tuple[Any, LayerCall | None]]


class Walk:
    """Runs graphs.

    Args:
        name: of what they belong to, for notes on what is unknown.
        call_layer: runs the Keras layers that were called.
        variables: that the graphs read.
    """

    def __init__(self, name: str, call_layer: CallLayer, variables: Sequence[Any]) -> None:
        self._name = name
        self._call_layer = call_layer
        self._handles = {id(variable.handle): Handle(variable) for variable in variables}
        self._weights: dict[int, Constant] = {}
        self._plans: dict[int, _Plan] = {}

    def captured(self, tensor: Any) -> Any:
        """The value of what a graph reads from outside."""
        if tensor.dtype == tf.resource:
            return self._handles.get(id(tensor), Constant(tensor, (), tensor.dtype))
        return Constant(tensor, tensor.shape, tensor.dtype)

    def run(self, graph: Any, given: Sequence[Any], outputs: Sequence[Any]) -> list[Any]:
        """Values of some tensors of a graph.

        Args:
            graph: whose placeholders stand for what is given.
            given: their values.
            outputs: the tensors.
        """
        values: dict[str, Any] = {tensor.name: value for tensor, value in zip(graph.inputs, given, strict=True)}
        for operation, call in self._plan(graph, outputs).operations:
            if call is not None:
                found = self._call_layer(call, lambda tensor: values[tensor.name])
                values.update((name, value) for name, value in zip(call.outputs, found, strict=True) if name)
                continue
            made = self._operation(operation, [values[tensor.name] for tensor in operation.inputs])
            values.update((t.name, value) for t, value in zip(operation.outputs, made, strict=True))
        return [values[tensor.name] for tensor in outputs]

    def _plan(self, graph: Any, outputs: Sequence[Any]) -> _Plan:
        """What must be run for some outputs, and for the layers that were called."""
        known = self._plans.get(id(graph))
        if known is not None:
            return known
        calls = layer_calls(graph)
        made = {name: call for call in calls for name in call.outputs if name}
        given = {tensor.name for tensor in graph.inputs}
        stack = [*outputs, *(leaf for call in calls for leaf in call.tensors)]
        needed: set[str] = set()
        while stack:
            tensor = stack.pop()
            if tensor.name in given or tensor.name in made or tensor.op.name in needed:
                continue
            needed.add(tensor.op.name)
            stack += tensor.op.inputs
        operations: list[tuple[Any, LayerCall | None]] = []
        done: list[LayerCall] = []
        for operation in graph.get_operations():
            call = next((made[t.name] for t in operation.outputs if t.name in made), None)
            if call is not None and not any(call is one for one in done):
                done.append(call)
                operations.append((operation, call))
            elif call is None and operation.name in needed:
                operations.append((operation, None))
        self._plans[id(graph)] = plan = _Plan(operations)
        return plan

    # -- one operation -------------------------------------------------------------------------------------------------

    def _operation(self, operation: Any, inputs: list[Any]) -> list[Any]:
        special = getattr(self, f"_{operation.type.removeprefix('Stateless').removeprefix('Stateful').lower()}", None)
        if special is not None and operation.type in _SPECIAL:
            return list(special(operation, inputs))
        if operation.type.startswith("TensorList") or operation.type == "EmptyTensorList":
            return self._list(operation, inputs)
        if operation.type == "Identity":
            return inputs if isinstance(inputs[0], (Items, Handle, Constant)) else self._followed(operation, inputs)
        if not any(map(depends, inputs)):
            return self._constant(operation, inputs)
        return self._followed(operation, inputs)

    def _constant(self, operation: Any, inputs: list[Any]) -> list[Any]:
        """An operation that the image has no part in."""
        kind = operation.type
        if not operation.outputs:
            return []
        if kind == "Const":
            return [Constant.of(tf.make_ndarray(operation.get_attr("value")))]
        if kind == "Placeholder":
            raise UnknownError("a tensor from outside that nobody gave")
        if kind in ("ReadVariableOp", "VariableShape", "ResourceGather", "ResourceGatherNd") and isinstance(
            inputs[0], Handle
        ):
            return [self._from_variable(operation, inputs)]
        if kind.startswith(_RANDOM):
            return [Constant.weights(tuple(int(n) for n in inputs[0].numbers), operation.outputs[0].dtype)]
        return list(folded(operation, inputs))

    def _from_variable(self, operation: Any, inputs: list[Any]) -> Constant:
        handle: Handle = inputs[0]
        if id(handle) not in self._weights:
            self._weights[id(handle)] = handle.read()
        whole = self._weights[id(handle)]
        if operation.type == "ReadVariableOp":
            return whole
        if operation.type == "VariableShape":
            return Constant.of(np.asarray(whole.shape, operation.outputs[0].dtype.as_numpy_dtype))
        if whole.dense:
            shape = inputs[1].shape
            tail = whole.shape[1:] if operation.type == "ResourceGather" else whole.shape[shape[-1] :]
            lead = shape if operation.type == "ResourceGather" else shape[:-1]
            return Constant.weights((*lead, *tail), whole.dtype)
        gather = tf.gather if operation.type == "ResourceGather" else tf.gather_nd
        return Constant.of(gather(whole.tensor, inputs[1].tensor))

    def _followed(self, operation: Any, inputs: list[Any]) -> list[Any]:
        """An operation on the image, by its rule; without one, everything that it reads."""
        inputs = [self._read(value) for value in inputs]
        call = Call(operation, inputs)
        if any(x.marks.blurred for x in call.all_carried) and not _is_even(call):
            raise NeedsFullWidth
        rule = RULES.get(call.kind)
        try:
            if rule is None:
                raise UnknownError(f"the operation {call.kind}")
            found = rule(call)
        except UnknownError as error:
            found = self._unknown(call, str(error))
        results = found if isinstance(found, list) else [found]
        for result, shape in zip(results, call.static_shapes, strict=True):
            if shape is not None and tuple(result.shape) != shape:
                raise AssertionError(f"the rule of {call.kind} gives {tuple(result.shape)}, not {shape}")
        return [
            Flowing(result, output.dtype, operation, inputs, place) if isinstance(result, Carried) else result
            for place, (result, output) in enumerate(zip(results, operation.outputs, strict=True))
        ]

    def _read(self, value: Any) -> Any:
        """A variable that meets the image is read."""
        if not isinstance(value, Handle):
            return value
        if id(value) not in self._weights:
            self._weights[id(value)] = value.read()
        return self._weights[id(value)]

    def _unknown(self, call: Call, reason: str) -> list[Carried]:
        shapes = call.static_shapes
        if not call.all_carried:
            raise UnknownError(f"{self._name}: {reason}")
        if any(shape is None for shape in shapes):
            tensors = [
                value.tensor if isinstance(value, Constant) else tf.ones(value.shape, value.dtype)
                for value in call.inputs
            ]
            if call.kind in _COUNTED:
                raise UnknownError(f"{self._name}: how many results {call.kind} has is decided by the image")
            shapes = [tuple(result.shape) for result in run(call.operation, tensors)]
        return [
            spans.everything(call.all_carried, shape, f"{self._name}: {reason}")
            for shape in shapes
            if shape is not None
        ]

    # -- functions and branches ----------------------------------------------------------------------------------------

    def _called(self, function: Any, owner: Any, inputs: Sequence[Any]) -> list[Any]:
        graph = _function_graph(owner.graph, function)
        return self.run(graph, list(inputs), graph.outputs)

    def _partitionedcall(self, operation: Any, inputs: list[Any]) -> list[Any]:
        return self._called(operation.get_attr("f"), operation, inputs)

    def _if(self, operation: Any, inputs: list[Any]) -> list[Any]:
        condition, *rest = inputs
        branches = [operation.get_attr("then_branch"), operation.get_attr("else_branch")]
        if not depends(condition):
            return self._called(branches[not bool(np.any(condition.numbers))], operation, rest)
        return self._either([self._called(branch, operation, rest) for branch in branches], condition)

    def _case(self, operation: Any, inputs: list[Any]) -> list[Any]:
        chosen, *rest = inputs
        branches = operation.get_attr("branches")
        if not depends(chosen):
            number = int(chosen.numbers)
            return self._called(branches[number if 0 <= number < len(branches) else -1], operation, rest)
        return self._either([self._called(branch, operation, rest) for branch in branches], chosen)

    def _either(self, ways: Sequence[Sequence[Any]], condition: Flowing) -> list[Any]:
        """Results that come from one branch or another, as a condition says."""
        return [self._joined(list(parts), condition) for parts in zip(*ways, strict=True)]

    def _joined(self, parts: list[Any], condition: Flowing | None) -> Any:
        """What may be one value or another."""
        if any(isinstance(part, Items) for part in parts):
            lists = [part for part in parts if isinstance(part, Items)]
            longest = max(len(one.items) for one in lists)
            padded = [[*one.items, *[None] * (longest - len(one.items))] for one in lists]
            return lists[0].with_items([self._joined(list(items), condition) for items in zip(*padded, strict=True)])
        present = [part for part in parts if part is not None]
        if not present or isinstance(present[0], Handle):
            return present[0] if present else None
        if all(isinstance(part, Constant) for part in parts) and _all_equal(parts):
            return parts[0]
        shapes = {tuple(part.shape) for part in present}
        if len(shapes) > 1:
            raise UnknownError(f"{self._name}: results of another shape in each branch")
        (shape,) = shapes
        flowing = [part.carried for part in present if isinstance(part, Flowing)]
        if condition is not None:
            flowing.append(spans.reshape(spans.reduce(condition.carried), (1,) * len(shape)))
        if not flowing:
            raise UnknownError(f"{self._name}: numbers of which it is not known how they change in a loop")
        return Flowing(spans.broadcast(spans.join(flowing), shape), present[0].dtype)

    def _while(self, operation: Any, inputs: list[Any]) -> list[Any]:
        """A loop: round by round while its end is known, else until nothing new is reached."""
        condition, body = operation.get_attr("cond"), operation.get_attr("body")
        state = list(inputs)
        for _ in range(_ROUNDS):
            (going,) = self._called(condition, operation, state)
            if depends(going):
                return self._until_settled(operation, condition, body, state)
            if not bool(np.any(going.numbers)):
                return state
            state = self._called(body, operation, state)
        raise UnknownError(f"{self._name}: a loop of more than {_ROUNDS} rounds")

    def _until_settled(self, operation: Any, condition: Any, body: Any, state: list[Any]) -> list[Any]:
        """A loop that the image ends: each state is what it was, or what one more round makes of it."""
        for _ in range(_ROUNDS):
            (going,) = self._called(condition, operation, state)
            further = self._called(body, operation, state)
            if not depends(going):
                raise UnknownError(f"{self._name}: a loop that the image ends now and then")
            new = [self._joined([old, one], going) for old, one in zip(state, further, strict=True)]
            if all(map(_same, state, new)):
                return new
            state = new
        raise UnknownError(f"{self._name}: a loop of more than {_ROUNDS} rounds")

    # -- lists ---------------------------------------------------------------------------------------------------------

    def _list(self, operation: Any, inputs: list[Any]) -> list[Any]:
        """Operations on lists of tensors."""
        kind, dtype = operation.type, _element_dtype(operation)
        if kind in ("TensorListReserve", "EmptyTensorList"):
            count = int(inputs[1].numbers) if kind == "TensorListReserve" else 0
            return [Items([None] * count, _told_shape(inputs[0]), dtype)]
        if kind == "TensorListFromTensor":
            return [Items(self._apart(inputs[0]), inputs[0].shape[1:], dtype)]
        if kind in ("TensorListScatterV2", "TensorListScatter"):
            rows, places = self._apart(inputs[0]), [int(n) for n in inputs[1].numbers]
            made = Items([None] * (max(places, default=-1) + 1), inputs[0].shape[1:], dtype)
            for place, row in zip(places, rows, strict=True):
                made = made.with_item(place, row)
            return [made]
        items: Items = inputs[0]
        if kind == "TensorListLength":
            return [Constant.of(np.int32(len(items.items)))]
        if kind == "TensorListElementShape":
            shape = self._shape_of(items)
            return [Constant.of(np.asarray(shape, operation.outputs[0].dtype.as_numpy_dtype))]
        if kind == "TensorListResize":
            count = int(inputs[1].numbers)
            return [items.with_items([*items.items, *[None] * count][:count])]
        if kind == "TensorListPushBack":
            return [items.with_items([*items.items, inputs[1]])]
        if kind == "TensorListPopBack":
            return [items.with_items(items.items[:-1]), self._filled(items, items.items[-1])]
        if kind == "TensorListSetItem":
            if depends(inputs[1]):
                return [items.with_items([self._joined([one, inputs[2]], inputs[1]) for one in items.items])]
            return [items.with_item(int(inputs[1].numbers), inputs[2])]
        if kind == "TensorListGetItem":
            if depends(inputs[1]):
                every = [self._filled(items, one) for one in items.items]
                return [self._joined(every, inputs[1])]
            return [self._filled(items, items.items[int(inputs[1].numbers)])]
        if kind == "TensorListStack":
            return [self._stacked([self._filled(items, one) for one in items.items], items)]
        if kind == "TensorListGather":
            chosen = [items.items[int(n)] for n in inputs[1].numbers]
            return [self._stacked([self._filled(items, one) for one in chosen], items)]
        if kind == "TensorListConcatV2":
            parts = [self._filled(items, one) for one in items.items]
            lengths = Constant.of(np.asarray([part.shape[0] for part in parts], np.int64))
            return [self._stacked(parts, items, behind=True), lengths]
        raise UnknownError(f"{self._name}: {kind}")

    def _apart(self, value: Any) -> list[Any]:
        """All rows of a tensor."""
        if isinstance(value, Constant):
            return [Constant.of(row) for row in tf.unstack(value.tensor)]
        x = value.carried
        rows = (spans.squeeze(spans.cut(x, 0, k, k + 1), [0]) for k in range(x.shape[0]))
        return [Flowing(row, value.dtype) for row in rows]

    def _shape_of(self, items: Items) -> tuple[int, ...]:
        found = next((tuple(one.shape) for one in items.items if one is not None), items.element_shape)
        if found is None or any(n is None or n < 0 for n in found):
            raise UnknownError(f"{self._name}: elements of unknown shape in a list")
        return tuple(int(n) for n in found if n is not None)

    def _filled(self, items: Items, item: Any) -> Any:
        """An item; zeros where nothing has been put."""
        return Constant.of(np.zeros(self._shape_of(items), items.dtype.as_numpy_dtype)) if item is None else item

    def _stacked(self, parts: list[Any], items: Items, *, behind: bool = False) -> Any:
        """Items as one tensor."""
        if not any(map(depends, parts)):
            tensors = [part.tensor for part in parts]
            if not tensors:
                return Constant.of(np.zeros((0, *self._shape_of(items)), items.dtype.as_numpy_dtype))
            return Constant.of(tf.concat(tensors, 0) if behind else tf.stack(tensors))
        like = next(part.carried for part in parts if isinstance(part, Flowing))
        rows = [part.carried if isinstance(part, Flowing) else spans.nowhere(part.shape, like) for part in parts]
        return Flowing(spans.concatenate(rows if behind else [spans.expand(row, 0) for row in rows], 0), items.dtype)


_SPECIAL = {"PartitionedCall", "StatefulPartitionedCall", "If", "StatelessIf", "Case", "StatelessCase", "While",
            "StatelessWhile"}  # fmt: skip

_RANDOM = ("Random", "StatelessRandomUniform", "StatelessRandomNormal", "StatelessTruncated", "TruncatedNormal",
           "ParameterizedTruncated", "StatelessRandomGamma", "StatelessRandomPoisson")  # fmt: skip

_COUNTED = {
    "StridedSlice",
    "Slice",
    "Reshape",
    "Where",
    "Unique",
    "UniqueV2",
    "UniqueWithCounts",
    "NonMaxSuppressionV3",
    "NonMaxSuppressionV5",
    "ListDiff",
}
"""Operations the shape of whose results is decided by numbers."""


def _is_even(call: Call) -> bool:
    """Whether it tells no channel from another."""
    if call.kind in EVEN:
        return all(value.dense or value.nonzero is None for value in call.inputs if isinstance(value, Constant))
    return (
        call.kind == "Conv2D"
        and call.carried(1) is None
        and call.nonzero(1) is None
        and (call.shape(1)[-2] == call.shape(0)[-1] and call.attr("data_format") == "NHWC")
    )


def _all_equal(parts: Sequence[Constant]) -> bool:
    first = parts[0]
    return all(
        one is first or (one.shape == first.shape and one.worked_out and np.array_equal(one.numbers, first.numbers))
        for one in parts
    )


def _same(old: Any, new: Any) -> bool:
    """Whether a state of a loop has settled."""
    if isinstance(old, Flowing) and isinstance(new, Flowing):
        pairs = zip(old.carried.planes, new.carried.planes, strict=True)
        return old.carried.marks == new.carried.marks and all(
            bool((spans.joined(a) == spans.joined(b)).all()) for a, b in pairs
        )
    if isinstance(old, Items) and isinstance(new, Items):
        return len(old.items) == len(new.items) and all(map(_same, old.items, new.items))
    return old is new


def _function_graph(graph: Any, function: Any) -> Any:
    """The graph of a function that another graph calls."""
    found = graph._get_function(function.name)
    if found is None:
        raise UnknownError(f"the function {function.name}, which is not there")
    return found.graph


def _element_dtype(operation: Any) -> Any:
    for name in ("element_dtype", "dtype"):
        if name in operation.node_def.attr:
            return operation.get_attr(name)
    return tf.float32


def _told_shape(value: Any) -> tuple[int, ...] | None:
    numbers = value.numbers
    return None if numbers.ndim == 0 and numbers < 0 else tuple(int(n) for n in np.atleast_1d(numbers))
