"""A graph of TensorFlow's operations run over spans."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from rfwidget._measure import spans
from rfwidget._measure.spans import Carried
from rfwidget.keras.calls import UnknownError
from rfwidget.keras.domains import NeedsFullWidth
from rfwidget.keras.tf import lookups, moves, pointwise, products, windows
from rfwidget.keras.tf.branches import either, joined, same
from rfwidget.keras.tf.graph import LayerCall, layer_calls
from rfwidget.keras.tf.lists import on_list
from rfwidget.keras.tf.masks import mask_of
from rfwidget.keras.tf.table import RULES, Call
from rfwidget.keras.tf.values import Constant, Flowing, Handle, depends, folded, run

__all__ = ["Walk", "lookups", "moves", "pointwise", "products", "windows"]

_ROUNDS = 10_000
"""A loop whose end is known is followed for so many rounds at most."""

CallLayer = Callable[[LayerCall, Callable[[Any], Any]], Sequence[Any]]
"""Called with a layer's call and a function that gives the value of a tensor of the graph; returns flat outputs."""


class _Step(NamedTuple):
    """One step of a walk: an operation of the graph, or the call of the layer that it ends."""

    operation: Any
    call: LayerCall | None


class Walk:
    """Runs graphs.

    Args:
        name: of what they belong to, for notes on what is unknown.
        call_layer: runs the Keras layers that were called.
        variables: that the graphs read.

    Attributes:
        pointwise: whether all that has been met so far acts on each element alone.
    """

    def __init__(self, name: str, call_layer: CallLayer, variables: Sequence[Any]) -> None:
        self._name = name
        self._call_layer = call_layer
        self._handles = {id(variable.handle): Handle(variable) for variable in variables}
        self._weights: dict[int, Constant] = {}
        self._plans: dict[int, list[_Step]] = {}
        self._constants: dict[tuple[int, str], Constant] = {}
        self.pointwise = True

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
        for operation, call in self._plan(graph, outputs):
            if call is not None:
                found = self._call_layer(call, lambda tensor: values[tensor.name])
                values.update((name, value) for name, value in zip(call.outputs, found, strict=True) if name)
                continue
            made = self._operation(operation, [values[tensor.name] for tensor in operation.inputs])
            values.update((t.name, value) for t, value in zip(operation.outputs, made, strict=True))
        return [values[tensor.name] for tensor in outputs]

    def _plan(self, graph: Any, outputs: Sequence[Any]) -> list[_Step]:
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
        steps: list[_Step] = []
        done: list[LayerCall] = []
        for operation in graph.get_operations():
            call = next((made[t.name] for t in operation.outputs if t.name in made), None)
            if call is not None and not any(call is one for one in done):
                done.append(call)
                steps.append(_Step(operation, call))
            elif call is None and operation.name in needed:
                steps.append(_Step(operation, None))
        self._plans[id(graph)] = steps
        return steps

    # -- one operation -------------------------------------------------------------------------------------------------

    def _operation(self, operation: Any, inputs: list[Any]) -> list[Any]:
        kind = str(operation.type)
        if kind in CALLS:
            calls = {"If": self._if, "Case": self._case, "While": self._while}
            return calls.get(kind.removeprefix("Stateless"), self._function)(operation, inputs)
        if kind.startswith("TensorList") or kind == "EmptyTensorList":
            return on_list(operation, inputs)
        if kind == "Identity" and not isinstance(inputs[0], Flowing):
            return inputs
        if not any(map(depends, inputs)):
            return self._constant(operation, inputs)
        return self._followed(operation, inputs)

    def _constant(self, operation: Any, inputs: list[Any]) -> list[Any]:
        """An operation that the image has no part in."""
        kind = operation.type
        if not operation.outputs:
            return []
        if kind == "Const":
            key = id(operation.graph), operation.name
            if key not in self._constants:
                self._constants[key] = Constant.of(tf.make_ndarray(operation.get_attr("value")))
            return [self._constants[key]]
        if kind == "Placeholder":
            raise UnknownError("a tensor from outside that nobody gave")
        if isinstance(inputs[0] if inputs else None, Handle):
            return [self._from_variable(operation, inputs)]
        if kind.startswith(_RANDOM):
            return [Constant.weights(tuple(int(n) for n in inputs[0].numbers), operation.outputs[0].dtype)]
        return list(folded(operation, inputs))

    def _from_variable(self, operation: Any, inputs: list[Any]) -> Constant:
        whole: Constant = self._read(inputs[0])
        kind = operation.type
        if kind == "ReadVariableOp":
            return whole
        if kind == "VariableShape":
            return Constant.of(np.asarray(whole.shape, operation.outputs[0].dtype.as_numpy_dtype))
        if kind not in ("ResourceGather", "ResourceGatherNd"):
            raise UnknownError(f"the operation {kind}")
        if whole.dense:
            shape = inputs[1].shape
            rows = (*shape, *whole.shape[1:]) if kind == "ResourceGather" else (*shape[:-1], *whole.shape[shape[-1] :])
            return Constant.weights(rows, whole.dtype)
        gather = tf.gather if kind == "ResourceGather" else tf.gather_nd
        return Constant.of(gather(whole.held, inputs[1].held))

    def _followed(self, operation: Any, inputs: list[Any]) -> list[Any]:
        """An operation on the image, by its rule; without one, everything that it reads."""
        inputs = [self._read(value) for value in inputs]
        call = Call(operation, inputs)
        self.pointwise = self.pointwise and _is_pointwise(call)
        if any(x.marks.blurred for x in call.all_carried) and not _is_even(call):
            raise NeedsFullWidth
        rule = RULES.get(call.name)
        try:
            if rule is None:
                raise UnknownError(f"the operation {call.name}")
            found = rule(call)
        except UnknownError as error:
            found = self._unknown(call, str(error))
        results = found if isinstance(found, list) else [found]
        for result, shape in zip(results, call.static_shapes, strict=True):
            if shape is not None and tuple(result.shape) != shape:
                raise AssertionError(f"the rule of {call.name} gives {tuple(result.shape)}, not {shape}")
        values = [
            Flowing(result, output.dtype, operation, inputs, place) if isinstance(result, Carried) else result
            for place, (result, output) in enumerate(zip(results, operation.outputs, strict=True))
        ]
        if isinstance(values[0], Flowing):
            values[0].mask = mask_of(call)
        return values

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
            raise UnknownError(reason)
        if any(shape is None for shape in shapes):
            tensors = [
                value.held if isinstance(value, Constant) else tf.ones(value.shape, value.dtype)
                for value in call.inputs
            ]
            if call.name in _COUNTED:
                raise UnknownError(f"how many results {call.name} has is decided by the image")
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

    def _function(self, operation: Any, inputs: list[Any]) -> list[Any]:
        return self._called(operation.get_attr("f"), operation, inputs)

    def _if(self, operation: Any, inputs: list[Any]) -> list[Any]:
        condition, *rest = inputs
        branches = [operation.get_attr("then_branch"), operation.get_attr("else_branch")]
        if not depends(condition):
            return self._called(branches[not bool(np.any(condition.numbers))], operation, rest)
        return either([self._called(branch, operation, rest) for branch in branches], condition)

    def _case(self, operation: Any, inputs: list[Any]) -> list[Any]:
        chosen, *rest = inputs
        branches = operation.get_attr("branches")
        if not depends(chosen):
            number = int(chosen.numbers)
            return self._called(branches[number if 0 <= number < len(branches) else -1], operation, rest)
        return either([self._called(branch, operation, rest) for branch in branches], chosen)

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
        raise UnknownError(f"a loop of more than {_ROUNDS} rounds")

    def _until_settled(self, operation: Any, condition: Any, body: Any, state: list[Any]) -> list[Any]:
        """A loop that the image ends: each state is what it was, or what one more round makes of it."""
        for _ in range(_ROUNDS):
            (going,) = self._called(condition, operation, state)
            further = self._called(body, operation, state)
            if not depends(going):
                raise UnknownError("a loop that the image ends now and then")
            new = [joined([old, one], going) for old, one in zip(state, further, strict=True)]
            if all(map(same, state, new)):
                return new
            state = new
        raise UnknownError(f"a loop of more than {_ROUNDS} rounds")


CALLS = {"PartitionedCall", "StatefulPartitionedCall", "If", "StatelessIf", "Case", "StatelessCase", "While",
         "StatelessWhile"}  # fmt: skip
"""Operations that call other graphs."""

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


def _is_pointwise(call: Call) -> bool:
    """Whether it acts on each element alone, whatever shape it is given."""
    alone = (pointwise.pointwise, pointwise.product, pointwise.exponential, pointwise.each_its_own)
    constants = [value for value in call.inputs if isinstance(value, Constant)]
    whole = all(not value.shape and (call.name != "Mul" or value.nonzero is None) for value in constants)
    return whole and RULES.get(call.name) in alone


def _is_even(call: Call) -> bool:
    """Whether it tells no channel from another."""
    if call.name in RULES.even:
        products = "Mul" in call.name or "And" in call.name or "Or" in call.name
        return not products or all(call.nonzero(place) is None for place in range(len(call.inputs)))
    if call.name == "Conv2D":
        whole = call.carried(1) is None and call.nonzero(1) is None
        return whole and call.attr("data_format") == "NHWC" and call.shape(1)[-2] == call.shape(0)[-1]
    return False


def _function_graph(graph: Any, function: Any) -> Any:
    """The graph of a function that another graph calls."""
    found = graph._get_function(function.name)
    if found is None:
        raise UnknownError(f"the function {function.name}, which is not there")
    return found.graph
