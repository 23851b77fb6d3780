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


def fixed_shape(model: keras.Model, default: tuple[int, int, int]) -> tuple[int, int, int]:
    """Shape of the model's first image input, with ``default`` where the model leaves it open."""
    own = [shape for _, shape in _inputs(model)]
    first = _first_image(own)
    image = (None, None, None) if len(own[first]) != 3 else own[first]
    height, width, channels = (own or other for own, other in zip(image, default, strict=True))
    return height, width, channels


def read_inputs(
    model: keras.Model,
    shape: tuple[int | None, ...] | None,
    input_layer: str | None,
    *,
    first_names: Sequence[str],
    default: tuple[int, int, int],
) -> tuple[list[str], Inputs]:
    """Names of the model's inputs, and how to feed them.

    Args:
        model: the model.
        shape: what is asked for, ``(height, width, channels)``; None: the input's own.
        input_layer: name of the image input; None: the first image.
        first_names: names of the inputs in an earlier build, which stay valid.
        default: shape where neither the caller nor the model gives one.

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
        place = _first_image([taken for _, taken in own])
    if len(own[place][1]) != 3:
        raise ReceptiveFieldError(
            f"input {names[place]!r} takes {own[place][1]}: expected an image (height, width, channels)"
        )
    wanted = tuple(n or d for n, d in zip(own[place][1], default, strict=True)) if shape is None else shape
    image = _fit(own[place][1], wanted, names[place])
    filled = tuple(
        image if i == place else tuple(n or (image[k] if len(taken) == 3 else 1) for k, n in enumerate(taken))
        for i, (_, taken) in enumerate(own)
    )
    return names, Inputs(filled, place, is_channels_first(model), _batch(model, place))


def _inputs(model: keras.Model) -> list[tuple[str, tuple[int | None, ...]]]:
    """Name and shape, without the batch, of every input; a subclassed model names none: it has one, of any shape."""
    if is_graph(model):
        first = is_channels_first(model)
        shapes = [tuple(tensor.shape[1:]) for tensor in model.inputs]
        shapes = [(*shape[1:], shape[0]) if first and len(shape) == 3 else shape for shape in shapes]
        return [(input_name(tensor), shape) for tensor, shape in zip(model.inputs, shapes, strict=True)]
    return [(SUBCLASSED_INPUT, (None, None, None))]


def _first_image(shapes: Sequence[Sequence[int | None]]) -> int:
    """Which input is taken for the image: the first that can be one; boxes and points have few numbers in a row."""
    images = [i for i, shape in enumerate(shapes) if len(shape) == 3]
    wide = [i for i in images if all(n is None or n >= _NARROW for n in shapes[i][:2])]
    return next(iter(wide or images), 0)


def _batch(model: keras.Model, place: int) -> int | None:
    """How many images the model takes at once; None: any number."""
    return model.inputs[place].shape[0] if is_graph(model) else None


def _fit(own: Sequence[int | None], asked: Sequence[int | None], name: str) -> tuple[int, int, int]:
    """The shape asked for, if it is one and the model takes it."""
    whole = len(asked) == 3 and all(isinstance(n, (int, np.integer)) and n > 0 for n in asked)
    if not whole or any(taken not in (None, n) for taken, n in zip(own, asked, strict=True)):
        raise ReceptiveFieldError(
            f"input_shape={tuple(asked)} does not fit the model: its input {name!r} takes (height, width, channels) = "
            f"{tuple(own)}. Ask for that shape, or give a build function instead of a built model"
        )
    height, width, channels = (int(n) for n in asked if n is not None)
    return height, width, channels


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
