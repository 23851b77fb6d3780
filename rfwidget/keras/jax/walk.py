"""A jaxpr run over spans."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from jax.extend.core import Literal

from rfwidget._measure import spans
from rfwidget._measure.spans import Carried
from rfwidget.keras.calls import UnknownError
from rfwidget.keras.domains import NeedsFullWidth
from rfwidget.keras.jax import lookups, rules, windows
from rfwidget.keras.jax.draw import LAYER
from rfwidget.keras.jax.masks import mask_of
from rfwidget.keras.jax.table import RULES, Call, name_of
from rfwidget.keras.jax.values import Constant, Flowing, folded

__all__ = ["Walk", "lookups", "rules", "windows"]

_ROUNDS = 10_000
"""A loop whose end is known is followed for so many rounds at most."""

CallLayer = Callable[[Any, Sequence[Any]], Sequence[Any]]
"""Called with a layer's call and the values of what it is given; returns flat outputs."""


class Walk:
    """Runs jaxprs.

    Args:
        name: of what they belong to, for notes on what is unknown.
        call_layer: runs the Keras layers that were called.
        weights: arrays that are weights, by identity, and whether they are trained.

    Attributes:
        pointwise: whether all that has been met so far acts on each element alone.
    """

    def __init__(self, name: str, call_layer: CallLayer, weights: Mapping[int, bool]) -> None:
        self._name, self._call_layer, self._weights = name, call_layer, weights
        self._constants: dict[int, Constant] = {}
        self.pointwise = True

    def closed(self, jaxpr: Any, given: Sequence[Any]) -> list[Any]:
        """Values of what a closed jaxpr gives."""
        return self.run(jaxpr.jaxpr, [self._captured(array) for array in jaxpr.consts], given)

    def _captured(self, array: Any) -> Constant:
        """The value of what code reads from outside: of weights, whatever they are; what is never trained is kept."""
        found = self._constants.get(id(array))
        if found is None:
            found = Constant.of(array)
            trained = self._weights.get(id(array))
            if trained is not None and found.is_real and (trained or not found.numbers.any()):
                found = Constant.weights(found.shape, found.dtype)
            self._constants[id(array)] = found
        return found

    def run(self, jaxpr: Any, captured: Sequence[Any], given: Sequence[Any]) -> list[Any]:
        """Values of what a jaxpr gives.

        Args:
            jaxpr: the equations.
            captured: values of its constants.
            given: values of its inputs.
        """
        values: dict[Any, Any] = dict(zip(jaxpr.constvars, captured, strict=True))
        values.update(zip(jaxpr.invars, given, strict=True))

        def value_of(atom: Any) -> Any:
            return Constant.of(np.asarray(atom.val, atom.aval.dtype)) if isinstance(atom, Literal) else values[atom]

        for equation in _needed(jaxpr):
            made = self._equation(equation, [value_of(atom) for atom in equation.invars])
            values.update(zip(equation.outvars, made, strict=True))
        return [value_of(atom) for atom in jaxpr.outvars]

    # -- one equation --------------------------------------------------------------------------------------------------

    def _equation(self, equation: Any, inputs: list[Any]) -> list[Any]:
        name, parameters = name_of(equation), equation.params
        if equation.primitive is LAYER:
            self.pointwise = False
            return list(self._call_layer(parameters["call"], inputs))
        if name in _LOOPS:
            return {"cond": self._cond, "while": self._while, "scan": self._scan}[name](equation, inputs)
        inner = next((parameters[key] for key in ("jaxpr", "call_jaxpr", "fun_jaxpr") if key in parameters), None)
        if inner is not None and name not in RULES:
            if hasattr(inner, "consts"):
                return self.closed(inner, inputs)
            return self.run(inner, [], inputs)
        if not any(isinstance(value, Flowing) for value in inputs):
            if name.startswith(_RANDOM):
                return [Constant.weights(out.aval.shape, out.aval.dtype) for out in equation.outvars]
            return list(folded(equation, inputs))
        return self._followed(equation, inputs)

    def _followed(self, equation: Any, inputs: list[Any]) -> list[Any]:
        """A primitive on the image, by its rule; without one, everything that it reads."""
        call = Call(equation, inputs)
        rule = RULES.get(call.name)
        self.pointwise = self.pointwise and _is_pointwise(call)
        if any(x.marks.blurred for x in call.all_carried) and not _is_even(call):
            raise NeedsFullWidth
        try:
            if rule is None:
                raise UnknownError(f"the primitive {call.name}")
            found = rule(call)
        except UnknownError as error:
            note = f"{self._name}: {error}"
            found = [spans.everything(call.all_carried, shape, note) for shape in call.shapes]
        results = found if isinstance(found, list) else [found]
        for result, shape in zip(results, call.shapes, strict=True):
            if tuple(result.shape) != shape:
                raise AssertionError(f"the rule of {call.name} gives {tuple(result.shape)}, not {shape}")
        values = [
            Flowing(result, out.aval.dtype) if isinstance(result, Carried) else result
            for result, out in zip(results, equation.outvars, strict=True)
        ]
        if isinstance(values[0], Flowing):
            values[0].mask = mask_of(call)
        return values

    # -- branches and loops --------------------------------------------------------------------------------------------

    def _cond(self, equation: Any, inputs: list[Any]) -> list[Any]:
        which, *rest = inputs
        branches = equation.params["branches"]
        if isinstance(which, Constant):
            return self.closed(branches[min(max(int(which.numbers), 0), len(branches) - 1)], rest)
        return _either([self.closed(branch, rest) for branch in branches], which)

    def _while(self, equation: Any, inputs: list[Any]) -> list[Any]:
        """A loop: round by round while its end is known, else until nothing new is reached."""
        parameters = equation.params
        count, more = parameters["cond_nconsts"], parameters["body_nconsts"]
        condition, body, state = inputs[:count], inputs[count : count + more], inputs[count + more :]
        for _ in range(_ROUNDS):
            (going,) = self.closed(parameters["cond_jaxpr"], [*condition, *state])
            further = None
            if isinstance(going, Constant):
                if not bool(np.any(going.numbers)):
                    return state
                state = self.closed(parameters["body_jaxpr"], [*body, *state])
                continue
            further = self.closed(parameters["body_jaxpr"], [*body, *state])
            new = [_joined([old, one], going) for old, one in zip(state, further, strict=True)]
            if all(map(_same, state, new)):
                return new
            state = new
        raise UnknownError(f"a loop of more than {_ROUNDS} rounds")

    def _scan(self, equation: Any, inputs: list[Any]) -> list[Any]:
        """Round by round: what is carried on, and what is stacked."""
        parameters = equation.params
        fixed, carried, length = parameters["num_consts"], parameters["num_carry"], parameters["length"]
        if length > _ROUNDS:
            raise UnknownError(f"a loop of more than {_ROUNDS} rounds")
        constants, state, rows = inputs[:fixed], inputs[fixed : fixed + carried], inputs[fixed + carried :]
        stacked: list[list[Any]] = []
        order = range(length)[::-1] if parameters["reverse"] else range(length)
        for number in order:
            found = self.closed(parameters["jaxpr"], [*constants, *state, *(_row(x, number) for x in rows)])
            state = found[:carried]
            stacked.append(found[carried:])
        stacked = stacked[::-1] if parameters["reverse"] else stacked
        columns = [_stack([step[place] for step in stacked]) for place in range(len(equation.outvars) - carried)]
        if not stacked:
            return [*state, *(Constant.of(np.zeros(o.aval.shape, o.aval.dtype)) for o in equation.outvars[carried:])]
        return [*state, *columns]


_LOOPS = frozenset({"cond", "while", "scan"})

_RANDOM = ("random_bits", "random_gamma", "rng_uniform", "rng_bit_generator")


def _needed(jaxpr: Any) -> list[Any]:
    """The equations that some output needs."""
    wanted = {id(atom) for atom in jaxpr.outvars}
    kept = []
    for equation in reversed(jaxpr.eqns):
        if any(id(out) in wanted for out in equation.outvars) or equation.primitive is LAYER:
            kept.append(equation)
            wanted.update(id(atom) for atom in equation.invars)
    return kept[::-1]


def _row(value: Any, number: int) -> Any:
    if isinstance(value, Flowing):
        return Flowing(spans.squeeze(spans.cut(value.carried, 0, number, number + 1), [0]), value.dtype)
    if value.dense:
        return Constant.weights(value.shape[1:], value.dtype)
    if value.of_weights:
        return Constant(lambda draw: np.asarray(value.drawn(draw))[number], value.shape[1:], value.dtype)
    return Constant.of(value.held[number])


def _stack(values: Sequence[Any]) -> Any:
    flowing = [value for value in values if isinstance(value, Flowing)]
    if not flowing:
        if any(value.of_weights for value in values):
            shape = (len(values), *values[0].shape)
            return Constant(lambda draw: np.stack([value.drawn(draw) for value in values]), shape, values[0].dtype)
        return Constant.of(np.stack([value.numbers for value in values]))
    like = flowing[0].carried
    parts = [value.carried if isinstance(value, Flowing) else spans.nowhere(value.shape, like) for value in values]
    return Flowing(spans.concatenate([spans.expand(part, 0) for part in parts], 0), flowing[0].dtype)


def _either(ways: Sequence[Sequence[Any]], condition: Flowing) -> list[Any]:
    """Results that come from one branch or another, as a condition says."""
    return [_joined(list(parts), condition) for parts in zip(*ways, strict=True)]


def _joined(parts: list[Any], condition: Flowing) -> Any:
    """What may be one value or another."""
    if all(isinstance(part, Constant) for part in parts) and _all_equal(parts):
        return parts[0]
    shape = tuple(parts[0].shape)
    flowing = [part.carried for part in parts if isinstance(part, Flowing)]
    flowing.append(spans.reshape(spans.reduce(condition.carried), (1,) * len(shape)))
    return Flowing(spans.broadcast(spans.join(flowing), shape), parts[0].dtype)


def _all_equal(parts: Sequence[Constant]) -> bool:
    first = parts[0]
    return all(one is first or (not one.of_weights and np.array_equal(one.numbers, first.numbers)) for one in parts)


def _same(old: Any, new: Any) -> bool:
    """Whether a state of a loop has settled."""
    if isinstance(old, Flowing) and isinstance(new, Flowing):
        pairs = zip(old.carried.planes, new.carried.planes, strict=True)
        return old.carried.marks == new.carried.marks and all(
            bool((spans.joined(a) == spans.joined(b)).all()) for a, b in pairs
        )
    return old is new


def _is_pointwise(call: Call) -> bool:
    """Whether it acts on each element alone, whatever shape it is given."""
    alone = (rules.pointwise, rules.product, rules.exponential, rules.each_its_own)
    constants = [value for value in call.inputs if isinstance(value, Constant)]
    whole = all(not value.shape and (call.name != "mul" or value.nonzero is None) for value in constants)
    return whole and RULES.get(call.name) in alone


def _is_even(call: Call) -> bool:
    """Whether it tells no channel from another."""
    if call.name in RULES.even:
        return call.name not in ("mul", "and", "or") or all(call.nonzero(place) is None for place in (0, 1))
    if call.name == "conv_general_dilated":
        last = call["dimension_numbers"].lhs_spec[1] == len(call.shape(0)) - 1
        return last and call.carried(1) is None and call.nonzero(1) is None and call["feature_group_count"] == 1
    return False
