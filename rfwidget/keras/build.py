"""Getting a model from the user's build function, or checking the one given, and reading its inputs."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np

from rfwidget._validation import brief
from rfwidget.errors import ReceptiveFieldError, in_words, suggest
from rfwidget.keras.interpreter import input_name, is_channels_first, is_graph
from rfwidget.keras.looks import Inputs
from rfwidget.ranks import RANKS

SUBCLASSED_INPUT = "input"

_NARROW = 4
"""An input of fewer pixels along an axis is no image, if there is another."""


def check_built(model: keras.Model) -> keras.Model:
    """The model, if it has its weights.

    Raises:
        ReceptiveFieldError: if it was never called.
    """
    if not model.built:
        raise ReceptiveFieldError(
            f"the model {model.name!r} has no weights yet: call it once on an image, or give a function that builds it"
        )
    return model


def build_model(
    build: Callable[[Any], keras.Model], shape: tuple[int | None, ...], policy: keras.DTypePolicy
) -> keras.Model:
    """The model that a build function returns for an image ``(height, width, channels)``.

    Args:
        build: the user's function.
        shape: of the image.
        policy: under which it is called: Keras keeps one for each thread, and this may be another than the user's.

    Raises:
        ReceptiveFieldError: if the function raises or returns something else.
    """
    # The caller says (height, width, channels); the function gets what Keras is set to.
    own = (shape[-1], *shape[:-1]) if keras.config.image_data_format() == "channels_first" else shape
    with _random_state_kept(), _under(policy):
        try:
            model = build(own)
            if isinstance(model, keras.Model) and not model.built:
                model(np.zeros((1, *(n or 1 for n in own)), np.float32))
        except Exception as error:
            raise ReceptiveFieldError(
                f"the build function raised {type(error).__name__} for input_shape={shape}: {in_words(error)}. "
                "Expected a function of one parameter input_shape that returns a keras.Model"
            ) from error
    if not isinstance(model, keras.Model):
        raise ReceptiveFieldError(
            f"the build function returned {brief(model)} for input_shape={shape}: expected a keras.Model. "
            "Does the function end with return?"
        )
    return model


_DEFAULTS = {1: (1024, 1), 2: (96, 96, 3), 3: (32, 32, 32, 1)}
"""Shapes where neither the caller nor the model gives one, by the number of axes."""


def fixed_shape(model: keras.Model) -> tuple[int, ...]:
    """Shape of the model's first image input, with a default where the model leaves it open."""
    own = [shape for _, shape in _inputs(model)]
    shape = own[_first_image(own, None)]
    if shape is None or len(shape) - 1 not in RANKS:
        return _DEFAULTS[2]
    return tuple(n or default for n, default in zip(shape, _DEFAULTS[len(shape) - 1], strict=True))


def read_inputs(
    model: keras.Model,
    shape: tuple[int | None, ...] | None,
    input_layer: str | None,
    *,
    first_names: Sequence[str],
) -> tuple[list[str], Inputs]:
    """Names of the model's inputs, and how to feed them.

    Args:
        model: the model.
        shape: what is asked for, ``(height, width, channels)``, or with fewer or more axes; None: the input's own.
        input_layer: name of the image input; None: the first image.
        first_names: names of the inputs in an earlier build, which stay valid.

    Raises:
        ReceptiveFieldError: if the input is unknown, is no image, or does not take the shape.
    """
    own = _inputs(model)
    names = [name for name, _ in own] if len(first_names) != len(own) else list(first_names)
    if input_layer in [name for name, _ in own]:
        place: int | None = [name for name, _ in own].index(str(input_layer))
    elif input_layer is not None and input_layer not in names:
        raise ReceptiveFieldError(
            f"no input layer {input_layer!r}; input layers: {', '.join(names)}{suggest(str(input_layer), names)}"
        )
    else:
        place = None if input_layer is None else names.index(input_layer)
    if place is None:
        place = _first_image([taken for _, taken in own], None if shape is None else len(shape))
    taken = own[place][1]
    if taken is not None and len(taken) - 1 not in RANKS:
        raise ReceptiveFieldError(
            f"input {names[place]!r} takes {taken}: expected an image (height, width, channels), a sequence "
            f"{RANKS[1].order} or a volume {RANKS[3].order}"
        )
    image = _fit(taken, shape, names[place])
    filled = tuple(image if i == place else _filled(other, image) for i, (_, other) in enumerate(own))
    return names, Inputs(filled, place, is_channels_first(model), _batch(model, place))


def _filled(taken: Sequence[int | None] | None, image: Sequence[int]) -> tuple[int, ...]:
    """Shape of another input that goes with an image."""
    alike = taken is not None and len(taken) == len(image)
    return tuple(n or (image[k] if alike else 1) for k, n in enumerate(taken or ()))


def _inputs(model: keras.Model) -> list[tuple[str, tuple[int | None, ...] | None]]:
    """Name and shape, without the batch, of every input; a subclassed model names none: it has one, of any shape."""
    if is_graph(model):
        first = is_channels_first(model)
        shapes = [tuple(tensor.shape[1:]) for tensor in model.inputs]
        most = max((len(shape) for shape in shapes if len(shape) - 1 in RANKS), default=0)
        shapes = [(*shape[1:], shape[0]) if first and len(shape) == most else shape for shape in shapes]
        return [(input_name(tensor), shape) for tensor, shape in zip(model.inputs, shapes, strict=True)]
    return [(SUBCLASSED_INPUT, None)]


def _first_image(shapes: Sequence[Sequence[int | None] | None], entries: int | None) -> int:
    """Which input is taken for the image: the first of as many entries as the shape that is asked for; else the first
    image, volume or sequence, in this order. Boxes and points have few numbers in a row.
    """
    for wanted in (3, 4, 2) if entries is None else (entries, 3, 4, 2):
        fitting = [i for i, shape in enumerate(shapes) if shape is None or len(shape) == wanted]
        wide = [i for i in fitting if all(n is None or n >= _NARROW for n in (shapes[i] or ())[:-1])]
        if fitting:
            return next(iter(wide or fitting))
    return 0


def _batch(model: keras.Model, place: int) -> int | None:
    """How many images the model takes at once; None: any number."""
    return model.inputs[place].shape[0] if is_graph(model) else None


def _fit(own: Sequence[int | None] | None, asked: Sequence[int | None] | None, name: str) -> tuple[int, ...]:
    """The shape asked for, if it is one and the model takes it; what neither of them says is a default."""
    if asked is None:
        rank = 2 if own is None else len(own) - 1
        asked = tuple(n or default for n, default in zip(own or (None,) * 3, _DEFAULTS[rank], strict=True))
    own = own or (None,) * len(asked)
    order = RANKS[len(own) - 1].order
    if len(own) != len(asked):
        raise ReceptiveFieldError(
            f"input_shape={tuple(asked)} is that of a {RANKS[len(asked) - 1].thing} and does not fit: expected {order}"
            f" = {tuple(own)}, which the model's input {name!r} takes"
        )
    whole = all(isinstance(n, (int, np.integer)) and n > 0 for n in asked)
    if not whole or any(n not in (None, m) for n, m in zip(own, asked, strict=True)):
        raise ReceptiveFieldError(
            f"input_shape={tuple(asked)} does not fit the model: its input {name!r} takes {order} = {tuple(own)}. Ask "
            "for that shape, or give a build function instead of a built model"
        )
    return tuple(int(n) for n in asked if n is not None)


@contextmanager
def _under(policy: keras.DTypePolicy) -> Iterator[None]:
    """This thread's dtype policy set to another one for a while."""
    own = keras.config.dtype_policy()
    if own == policy:
        yield
        return
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(own)


@contextmanager
def _random_state_kept() -> Iterator[None]:
    """Python's and NumPy's random state afterwards as before: initialisers draw from both."""
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002  (the user's state, not ours)
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002
