"""`KerasReceptiveField`: the abstract estimator for Keras models."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import keras

from rfwidget import _validation
from rfwidget._measure.rolled import HOW_TO_SAY, check_said
from rfwidget._progress import Progress
from rfwidget.errors import ReceptiveFieldError, in_words, suggest
from rfwidget.estimator import ReceptiveField
from rfwidget.keras.build import build_model, check_built, fixed_shape, read_inputs
from rfwidget.keras.interpreter import outputs_of
from rfwidget.keras.linear import LinearModel
from rfwidget.keras.looks import Inputs, ModelLooks
from rfwidget.keras.network import KerasNetwork, Long
from rfwidget.keras.weighted import WeightedNetwork
from rfwidget.ranks import RANKS
from rfwidget.types import GridShape


class _Built(NamedTuple):
    """One model, as given (no shape) or as built for one shape of the image."""

    model: keras.Model
    shape: tuple[int | None, ...] | None
    looks: dict[tuple[Inputs, bool], ModelLooks]


class KerasReceptiveField(ReceptiveField):
    """Exact receptive fields of a Keras model's layers.

    Args:
        model: a function of one parameter ``input_shape`` that builds the model, or a built `keras.Model`. The model
            is never changed. The function is called again only for another shape.
        init_weights: let gradient maps use constant positive kernels and zero biases instead of the model's weights.
        grid: cells ``(height, width)`` of layers that give tokens, where nothing else tells the shape of their grid.

    Raises:
        ReceptiveFieldError: if ``model`` is neither.

    >>> import keras
    >>> model = keras.Sequential([keras.Input((32, 48, 3)), keras.layers.Conv2D(8, (3, 5), strides=2)])
    >>> rf = KerasReceptiveField(model)
    >>> rf.compute()
    ReceptiveFieldDescription(offset=(2.5, 1.5), stride=(2.0, 2.0), size=Size(w=5, h=3))
    """

    _ranks = (1, 2, 3)

    def __init__(
        self,
        model: keras.Model | Callable[[Any], keras.Model],
        init_weights: bool = False,
        grid: Sequence[int] | None = None,
    ) -> None:
        if not isinstance(model, keras.Model) and _is_of_another_keras(model):
            raise ReceptiveFieldError(
                f"model is a {type(model).__name__} of another Keras than the one that rfwidget uses, which runs on "
                f"{keras.backend.backend()}: build it anew in a process that uses one backend from the start "
                "(KERAS_BACKEND), and keras rather than tf_keras"
            )
        if not callable(model):
            raise ReceptiveFieldError(
                f"model is {_validation.brief(model)}: expected a function of one parameter input_shape that returns a "
                "keras.Model, or a built keras.Model"
            )
        super().__init__()
        self._model = model
        self._init_weights = _validation.flag("init_weights", init_weights)
        self._grid_said = _validation.grid_lengths(grid)
        self._policy = keras.config.dtype_policy()
        self._built: _Built | None = None
        # Automatic names change from build to build; those of the first one stay valid, by position.
        self._input_names: list[str] = []
        self._first_names: tuple[list[str], list[str]] | None = None

    def default_input_shape(self) -> tuple[int, ...]:
        """The model's own image shape, with 96x96x3 where it leaves it open (1024x1 of a sequence, 32x32x32x1 of a
        volume).
        """
        return fixed_shape(self._model) if isinstance(self._model, keras.Model) else super().default_input_shape()

    def _build(
        self,
        input_shape: Sequence[int | None] | None,
        input_layer: str | None,
        output_layer: str | None,
        *,
        ignore_global_context: bool,
        progress: Progress,
    ) -> KerasNetwork:
        shape = None if input_shape is None else tuple(input_shape)
        progress(0.0, "building the model")
        built = self._model_for(shape)
        names, inputs = read_inputs(built.model, shape, input_layer, first_names=self._input_names)
        progress(0.3, "reading the model")
        looks, grids = self._looks(built, inputs.shortened, local=ignore_global_context), None
        if inputs.shortened != inputs:
            grids = looks.grids_on(inputs.lengths)
            target = _choose(built.model, looks, output_layer, self._labels(looks)) if grids else ""
            if grids is None or not looks.is_known_on_long(target):
                looks, grids = self._looks(built, inputs, local=ignore_global_context), None
        labels = self._labels(looks)
        target = _choose(built.model, looks, output_layer, labels)
        progress(0.8, "reading the layer")
        entry = looks.entries[target]
        reached = looks.interpreted(target), entry.call, entry.output
        weighted = WeightedNetwork(built.model, inputs, *reached, init_weights=self._init_weights)
        linear = LinearModel(built.model, inputs, *reached, local=ignore_global_context)
        *lengths, channels = inputs.shapes[inputs.image]
        network = KerasNetwork(
            looks,
            weighted,
            linear,
            names[inputs.image],
            target,
            GridShape.of(lengths, channels),
            labels,
            None if grids is None else Long(grids, partial(self._looks, built, inputs, local=ignore_global_context)),
        )
        self._built, self._input_names = built, self._input_names or names
        self._first_names = self._first_names or self._names(looks)
        return network

    def _looks(self, built: _Built, inputs: Inputs, *, local: bool) -> ModelLooks:
        """Looks at a model; made once."""
        if (inputs, local) not in built.looks:
            looks = ModelLooks(built.model, inputs, local=local, said=self._grid_said)
            check_said(self._grid_said, looks.token_grids, looks.no_grids)
            built.looks[inputs, local] = looks
        return built.looks[inputs, local]

    def _names(self, looks: ModelLooks) -> tuple[list[str], list[str]]:
        return [path for path, entry in looks.entries.items() if entry.is_layer], looks.others

    def _labels(self, looks: ModelLooks) -> dict[str, str]:
        """Public names of the layers, by path: those of the first build."""
        current = self._names(looks)
        first = self._first_names or current
        return {**_by_position(current[0], first[0]), **_by_position(current[1], first[1])}

    def _model_for(self, shape: tuple[int | None, ...] | None) -> _Built:
        """The model; a build function runs again only for another shape."""
        if isinstance(self._model, keras.Model):
            return self._built or _Built(check_built(self._model), None, {})
        shape = shape or self.default_input_shape()
        if self._built is not None and self._built.shape == shape:
            return self._built
        return _Built(build_model(self._model, shape, self._policy), shape, {})


def _is_of_another_keras(model: object) -> bool:
    """Whether it is a model, but of modules of Keras that are not those imported here."""
    kinds = [kind for kind in type(model).__mro__ if kind.__module__.partition(".")[0] in ("keras", "tf_keras")]
    return any(kind.__name__ == "Model" for kind in kinds)


def _by_position(current: Sequence[str], first: Sequence[str]) -> dict[str, str]:
    """For each name the one it had in the first build, if that had as many."""
    return dict(zip(current, first if len(first) == len(current) else current, strict=True))


def _choose(model: Any, looks: ModelLooks, wanted: str | None, labels: Mapping[str, str]) -> str:
    """Path of the layer to measure."""
    if wanted is None:
        return _default(model, looks, labels)
    paths = {label: path for path, label in labels.items()}
    if wanted in paths or wanted in looks.entries:
        return paths.get(wanted, wanted)
    output = looks.symbols.get(str(wanted))
    axes = looks.axes
    if output is not None and len(output.shape) != axes + 2:
        problem = f"layer {wanted!r} gives {tuple(output.shape)}, which is no {RANKS[axes].grid.removeprefix('a ')}"
        problem += f" ({HOW_TO_SAY})" if wanted in looks.no_grids else ""
    elif output is not None:
        problem = f"layer {wanted!r} gives no grid on this image, or does not depend on it"
    else:
        problem = f"no layer {wanted!r}"
    known = [labels[path] for path in looks.layers]
    some = known if len(known) <= 30 else [*known[:10], "...", *known[-10:]]
    grids = f"layers with a grid: {', '.join(some)}" if known else "no layer of the model has one"
    raise ReceptiveFieldError(
        f"{problem}; {grids}{suggest(str(wanted), known)}{_stuck(looks)}"
    ) from looks.asked.failure


def _default(model: Any, looks: ModelLooks, labels: Mapping[str, str]) -> str:
    """What the model returns, if that is a grid; else the last layer with one. It must be possible to measure it."""
    layers = [path for path in looks.layers if looks.is_measurable(path)]
    returned = [path for path in outputs_of(model, looks.whole) if path in layers]
    # Of grids that only hold numbers for the whole image (a classifier's 1x1) nobody asks what they see.
    for some in (returned, layers[::-1]):
        for path in some:
            if not looks.is_number(path):
                return _told(model, looks, path, labels)
    if layers:
        return layers[-1]
    if looks.layers:
        return list(looks.layers)[-1]
    raise ReceptiveFieldError(
        f"the model has no layer with {RANKS[looks.axes].grid}: expected some output (batch, "
        f"{RANKS[looks.axes].order[1:]}{_stuck(looks)}"
    ) from looks.asked.failure


def _told(model: Any, looks: ModelLooks, chosen: str, labels: Mapping[str, str]) -> str:
    """The layer chosen, with a warning where it is not the model's own output for a reason that is no choice."""
    returned = [path for path in outputs_of(model, looks.whole) if path in looks.layers]
    unknown = next((path for path in returned if looks.seen(path).marks.unknown), None)
    reason = ""
    if looks.asked.failure is not None:
        reason = f"the model does not run to its end on this image: {in_words(looks.asked.failure)}"
    elif unknown is not None:
        followed = ", ".join(sorted(looks.seen(unknown).marks.unknown))
        reason = f"what the model's output {labels[unknown]!r} sees is unknown: {followed} cannot be followed"
    if reason:
        warnings.warn(f"{reason}. {labels[chosen]!r}, a layer before that, is measured instead", stacklevel=6)
    return chosen


def _stuck(looks: ModelLooks) -> str:
    failure = looks.asked.failure
    return "" if failure is None else f". The model does not run to its end on this image: {in_words(failure)}"
