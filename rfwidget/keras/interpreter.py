"""Running a Keras model operation by operation, without touching it.

An `Interpreter` runs a model with an operation table of the caller's choice: a domain's rules replace every operation,
the gradient runs them as they are. Nested models are entered, so that layers inside them have paths
(``"backbone/block3_conv1"``), and the run stops as soon as the wanted layer has its output. Nothing here knows what
an operation does, and nothing is ever added to the user's layers: Keras' own sub-models and clones would do that.

Code that Keras does not describe (the ``call`` of subclassed models and custom layers) runs on `Proxy` objects. Keras
takes them for symbolic tensors, so every layer and every ``keras.ops`` function in the code asks to be recorded, and
`intercepted` hands that request to a function of ours instead. Only the thread that asked is intercepted; Keras is put
back as it was as soon as nobody looks inside any more.
"""

from __future__ import annotations

import inspect
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import keras
import numpy as np
from keras import ops

from rfwidget.errors import ReceptiveFieldError

SEPARATOR = "/"

Apply = Callable[[Any, str, tuple[Any, ...], dict[str, Any]], Any]
Observe = Callable[[Any, str, Any], None]


class Reached(BaseException):
    """Ends a walk at the wanted layer."""

    def __init__(self, outputs: Any) -> None:
        super().__init__("the wanted layer was reached")
        self.outputs = outputs


def owner(operation: Any) -> type:
    """The class that defines what ``operation`` computes: a subclass that overrides ``call`` is code of its own."""
    return next(cls for cls in type(operation).__mro__ if "call" in vars(cls))


def is_keras_own(operation: Any) -> bool:
    """Whether Keras itself defines what the operation computes, down to the methods that its ``call`` calls."""
    return owner(operation).__module__.startswith("keras.") and not _is_overridden(operation.__class__)


_BESIDE = frozenset(
    {"__init__", "build", "get_config", "from_config", "compute_output_shape", "compute_output_spec", "compute_mask"}
)
"""Methods that say nothing about what a layer computes."""


@cache
def _is_overridden(kind: type) -> bool:
    """Whether a class of a user changes a part that a layer of Keras is made of, such as ``convolution_op``."""
    bases = kind.__mro__[: kind.__mro__.index(keras.Operation)]
    general = {name for base in (keras.Layer, keras.Operation, keras.Model) for name in dir(base)}
    foreign: set[str] = set()
    for base in bases:
        if not base.__module__.startswith("keras."):
            foreign |= set(vars(base))
        elif foreign & (set(vars(base)) - general - _BESIDE):
            return True
    return False


def is_graph(operation: Any) -> bool:
    """Whether the operation is a model whose graph can be interpreted: functional, or Sequential once it is built."""
    if not isinstance(operation, keras.Model) or owner(operation).__name__ not in {"Functional", "Sequential"}:
        return False
    return is_keras_own(operation) and bool(_tensors(operation, "inputs")) and bool(_tensors(operation, "outputs"))


def _tensors(model: Any, which: str) -> list[Any]:
    try:
        return list(getattr(model, which) or ())
    except (AttributeError, ValueError):  # a Sequential that is not built, a subclassed model
        return []


def _node(tensor: Any) -> Any:
    """The call that made a symbolic tensor. Keras keeps it in private attributes only."""
    history = tensor._keras_history
    return history.operation._inbound_nodes[history.node_index]


def nodes_before(outputs: Sequence[Any], inputs: Sequence[Any]) -> list[Any]:
    """The calls that ``outputs`` need, in an order in which they can run; ``inputs`` are given."""
    given = {id(tensor) for tensor in inputs}
    order: list[Any] = []
    done: set[int] = set()
    stack = [(tensor, False) for tensor in reversed(outputs)]
    while stack:
        tensor, expanded = stack.pop()
        node = _node(tensor)
        if id(tensor) in given or id(node) in done or node.is_input:
            continue
        if expanded:
            done.add(id(node))
            order.append(node)
        else:
            stack.append((tensor, True))
            stack.extend((argument, False) for argument in reversed(node.input_tensors))
    return order


def all_nodes(model: Any) -> list[Any]:
    """All calls of a graph model, in an order in which they can run."""
    return nodes_before(model.outputs, model.inputs)


def symbolic_outputs(model: Any, prefix: str = "") -> dict[str, Any]:
    """Symbolic output of every operation's last call, by path; nothing for what is inside models without a graph."""
    outputs: dict[str, Any] = {}
    for node in all_nodes(model) if is_graph(model) else ():
        path = prefix + node.operation.name
        outputs[path] = node.outputs[0]
        outputs.update(symbolic_outputs(node.operation, path + SEPARATOR))
    return outputs


def needs(model: Any, path: str, other: str) -> bool:
    """Whether a layer's output needs another operation of the model; in code, all that stands before may be needed.

    Args:
        model: holds both.
        path: of the layer.
        other: path of the operation.
    """
    head, _, rest = path.partition(SEPARATOR)
    other_head, _, other_rest = other.partition(SEPARATOR)
    nodes = [node for node in all_nodes(model) if node.operation.name == head] if is_graph(model) else []
    if not nodes:
        return True
    if head == other_head:
        return not rest or not other_rest or needs(nodes[-1].operation, rest, other_rest)
    before = nodes_before([tensor for node in nodes for tensor in node.outputs], model.inputs)
    return any(node.operation.name == other_head for node in before)


def outputs_of(model: Any, whole: str | None) -> list[str]:
    """Paths of what a model returns, in its own order; ``whole`` is that of a model without a graph."""
    if is_graph(model):
        return [str(_node(tensor).operation.name) for tensor in model.outputs]
    return [] if whole is None else [whole]


def input_name(tensor: Any) -> str:
    """Name of the input layer that made a model's symbolic input."""
    return str(_node(tensor).operation.name)


def is_channels_first(model: Any) -> bool:
    """Whether the maps of a graph model are ``[n, c, y, x]``: so say its layers, else Keras' own setting."""
    for node in all_nodes(model) if is_graph(model) else ():
        if is_graph(node.operation):
            return is_channels_first(node.operation)
        if (data_format := getattr(node.operation, "data_format", None)) is not None:
            return bool(data_format == "channels_first")
    return bool(keras.config.image_data_format() == "channels_first")


class Interpreter:
    """Runs a model one operation at a time.

    Args:
        apply: called as ``apply(operation, path, args, kwargs)`` for every operation that is no graph model; returns
            its outputs.
        target: path of the layer at which to stop; None: run the whole model. Only what it needs is run.
        call: at which of its calls to stop, counted from 1.
        observe: called as ``observe(operation, path, outputs)`` after every operation and nested model.
    """

    def __init__(
        self, apply: Apply, *, target: str | None = None, call: int = 1, observe: Observe | None = None
    ) -> None:
        self._apply = apply
        self._target, self._call = target, call
        self._observe = observe
        self._prefix: tuple[str, ...] = ()
        self._counts: Counter[str] = Counter()

    def calls(self, path: str) -> int:
        """How often a layer has been called so far."""
        return self._counts[path]

    def run(self, model: Any, inputs: Sequence[Any]) -> Any:
        """Output of the wanted layer (of the model, if none) for the flat list of the model's inputs."""
        try:
            outputs = self._graph(model, inputs) if is_graph(model) else self._apply(model, "", tuple(inputs), {})
        except Reached as reached:
            return reached.outputs
        if self._target is not None:
            raise self._never_called()
        return outputs

    def _never_called(self) -> Exception:
        return ReceptiveFieldError(
            f"the model ran without the call of {self._target!r} that is meant. Code that makes a layer anew at every "
            "call, or calls it a different number of times, cannot be followed: choose a layer outside that code"
        )

    def apply(self, operation: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Outputs of one operation inside the model that is being interpreted."""
        path = SEPARATOR.join((*self._prefix, operation.name))
        if is_graph(operation):
            with self._entered(path):
                outputs = self._graph(operation, _graph_inputs(operation, args, kwargs))
        else:
            outputs = self._apply(operation, path, args, kwargs)
        self._counts[path] += 1
        if self._observe is not None:
            self._observe(operation, path, outputs)
        if path == self._target and self._counts[path] == self._call:
            raise Reached(outputs)
        return outputs

    @contextmanager
    def in_code(self, path: str) -> Iterator[None]:
        """While the code of the layer at ``path`` runs: the layers it calls are inside it.

        If the code fails, its calls do not count: it may be run in another way then.
        """
        before = self._counts.copy()
        try:
            with self._entered(path):
                yield
        except Exception:
            self._counts = before
            raise

    @contextmanager
    def _entered(self, path: str) -> Iterator[None]:
        """While what is inside the layer at ``path`` runs."""
        outer, self._prefix = self._prefix, tuple(path.split(SEPARATOR)) if path else ()
        try:
            yield
        finally:
            self._prefix = outer

    def _graph(self, model: Any, inputs: Sequence[Any]) -> Any:
        values: dict[int, Any] = {id(tensor): value for tensor, value in zip(model.inputs, inputs, strict=True)}
        nodes = self._needed(model)
        done = _last_uses(nodes, model.outputs)
        for number, node in enumerate(nodes):
            args, kwargs = node.arguments.fill_in(values)
            # What was recorded when the graph was drawn does not count: whoever runs it says whether to train.
            kwargs = {name: value for name, value in kwargs.items() if name != "training"}
            outputs = self.apply(node.operation, args, kwargs)
            values.update((id(t), v) for t, v in zip(node.outputs, keras.tree.flatten(outputs), strict=False))
            for tensor in done.get(number, ()):
                values.pop(tensor, None)
        if not all(id(tensor) in values for tensor in model.outputs):
            raise self._never_called()  # only what the target needs has been run
        outputs = [values[id(tensor)] for tensor in model.outputs]
        structure = getattr(model, "_outputs_struct", None)
        if structure is None:
            return outputs[0] if len(outputs) == 1 else outputs
        return keras.tree.pack_sequence_as(structure, outputs)

    def _needed(self, model: Any) -> list[Any]:
        """The calls of a graph on the way to the target; all of them if it is elsewhere, or called once more later."""
        nodes = all_nodes(model)
        prefix = "".join(name + SEPARATOR for name in self._prefix)
        if self._target is None or not self._target.startswith(prefix) or self._counts[self._target] != self._call - 1:
            return nodes
        wanted = self._target[len(prefix) :].split(SEPARATOR)[0]
        meant = [node for node in nodes if node.operation.name == wanted]
        return nodes_before(meant[0].outputs, model.inputs) if len(meant) == 1 else nodes


def _last_uses(nodes: Sequence[Any], outputs: Sequence[Any]) -> dict[int, list[int]]:
    """Tensors that are not needed after a call: maps of long networks do not all fit into memory at once."""
    last = {id(tensor): number for number, node in enumerate(nodes) for tensor in (*node.outputs, *node.input_tensors)}
    kept = {id(tensor) for tensor in outputs}
    done: dict[int, list[int]] = {}
    for tensor, number in last.items():
        if tensor not in kept:
            done.setdefault(number, []).append(tensor)
    return done


def _graph_inputs(model: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> list[Any]:
    """The flat inputs of a nested model from the arguments it is called with."""
    given = args[0] if args else kwargs["inputs"]
    names = [tensor.name for tensor in model.inputs]
    if isinstance(given, dict) and set(names) <= set(given):
        return [given[name] for name in names]
    return list(keras.tree.flatten(given))


# -- looking into code -------------------------------------------------------------------------------------------------

Handler = Callable[[Any, tuple[Any, ...], dict[str, Any]], Any]


class Proxy(keras.KerasTensor):  # type: ignore[misc]  # Keras has no types
    """A tensor that looks symbolic to Keras.

    Args:
        value: what it stands for.
        refuse: called when the code asks for the shape; raises where it is not that of the model's tensor.
        dtype: of the tensor that the code expects.
    """

    __array_ufunc__ = None  # with a NumPy array on the left, the operator of the right side counts

    def __init__(self, value: Any, refuse: Callable[[], None], dtype: str = "float32") -> None:
        super().__init__(tuple(value.shape), dtype, name="proxy")
        self.value = value
        self._refuse = refuse

    # Of Keras' symbolic tensors these two compare identities; in code that runs on numbers they are comparisons.

    def __eq__(self, other: object) -> Any:
        return ops.equal(self, other) if _has_numbers(other) else NotImplemented

    def __ne__(self, other: object) -> Any:
        return ops.not_equal(self, other) if _has_numbers(other) else NotImplemented

    __hash__ = keras.KerasTensor.__hash__

    @property
    def shape(self) -> Any:
        """Shape of the tensor, if it may be known."""
        self._refuse()
        return super().shape


def _has_numbers(other: object) -> bool:
    return isinstance(other, (bool, int, float, np.ndarray, np.generic, Proxy)) or bool(ops.is_tensor(other))


class _Scope(keras.StatelessScope):  # type: ignore[misc]
    """A scope that tells of the weights that are read in it."""

    noted: Callable[[Any, Any], None] | None = None

    def get_current_value(self, variable: Any) -> Any:
        """What was assigned to a weight; None: nothing."""
        value = super().get_current_value(variable)
        if self.noted is not None:
            self.noted(variable, variable._value if value is None else value)
        return value


class _Local(threading.local):
    handler: Handler | None = None
    scope: Any = None


_local = _Local()
_lock = threading.Lock()
_users = 0
_layer_call = keras.Layer.__call__
_symbolic_call = keras.Operation.symbolic_call
# A variable on the left of an operator takes numbers only: Keras does not expect a symbolic tensor there.
_OPERATORS = {
    "__add__": ops.add, "__sub__": ops.subtract, "__mul__": ops.multiply, "__truediv__": ops.true_divide,
    "__floordiv__": ops.floor_divide, "__mod__": ops.mod, "__pow__": ops.power, "__matmul__": ops.matmul,
    "__lt__": ops.less, "__le__": ops.less_equal, "__gt__": ops.greater, "__ge__": ops.greater_equal,
}  # fmt: skip
_own_operators = {name: getattr(keras.Variable, name) for name in _OPERATORS}
_variable = next(cls for cls in keras.Variable.__mro__ if "__mul__" in vars(cls))  # the class that defines them


def for_inference(operation: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
    """The keyword arguments of a call, in inference mode unless they say otherwise; some layers train by default.

    Code may say ``training=`` to any layer: as Keras does, it is kept from those that do not ask for it.
    """
    if not isinstance(operation, keras.Layer):
        return kwargs
    if "training" not in _parameters(type(operation).call):
        return {name: value for name, value in kwargs.items() if name != "training"}
    return {**kwargs, "training": False} if kwargs.get("training") is None else kwargs


@cache
def _parameters(call: Any) -> frozenset[str]:
    """Names of the parameters of a layer class's ``call``."""
    return frozenset(inspect.signature(call).parameters)


def call_as_keras_does(operation: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call an operation past the interception."""
    if isinstance(operation, keras.Layer):
        return _layer_call(operation, *args, **kwargs)
    return operation(*args, **kwargs)


@contextmanager
def untouched() -> Iterator[None]:
    """While code runs that may assign to weights: the user's model keeps those that it has."""
    outer = _local.scope
    with _Scope() as scope:
        _local.scope = scope
        try:
            yield
        finally:
            _local.scope = outer


@contextmanager
def forgotten() -> Iterator[None]:
    """While code runs that may assign to weights what is worth nothing afterwards, such as tensors of its graph."""
    assigned = None if _local.scope is None else _local.scope.state_mapping
    before = dict(assigned or {})
    try:
        yield
    finally:
        if assigned is not None:
            assigned.clear()
            assigned.update(before)


@contextmanager
def weights_read(noted: Callable[[Any, Any], None]) -> Iterator[None]:
    """While code runs `untouched`: ``noted`` is called with every variable that it reads, and with its value."""
    scope = _local.scope
    outer, scope.noted = scope.noted, noted
    try:
        yield
    finally:
        scope.noted = outer


def assigned(variable: Any) -> Any:
    """What code has assigned to a weight since it runs `untouched`; None: nothing."""
    return None if not _local.scope or not _local.scope.state_mapping else _local.scope.get_current_value(variable)


@contextmanager
def intercepted(handler: Handler) -> Iterator[None]:
    """Hand every layer call and every symbolic operation of this thread to ``handler(operation, args, kwargs)``."""
    outer = _local.handler
    _install()
    _local.handler = handler
    try:
        yield
    finally:
        _local.handler = outer
        _uninstall()


def _install() -> None:
    global _users
    with _lock:
        _users += 1
        keras.Layer.__call__ = _layer_hook
        keras.Operation.symbolic_call = _operation_hook
        for name, operator in _OPERATORS.items():
            setattr(_variable, name, _operator_hook(operator, _own_operators[name]))


def _uninstall() -> None:
    global _users
    with _lock:
        _users -= 1
        if _users == 0:
            keras.Layer.__call__ = _layer_call
            keras.Operation.symbolic_call = _symbolic_call
            for name, own in _own_operators.items():
                setattr(_variable, name, own)


def _layer_hook(layer: Any, *args: Any, **kwargs: Any) -> Any:
    if _local.handler is None:
        return _layer_call(layer, *args, **kwargs)
    return _local.handler(layer, args, kwargs)


def _operation_hook(operation: Any, *args: Any, **kwargs: Any) -> Any:
    if _local.handler is None:
        return _symbolic_call(operation, *args, **kwargs)
    return _local.handler(operation, args, kwargs)


def _operator_hook(operator: Any, own: Any) -> Any:
    def hook(variable: Any, other: Any) -> Any:
        return operator(variable, other) if isinstance(other, Proxy) else own(variable, other)

    return hook
