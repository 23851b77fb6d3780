"""Getting a model: calling the user's build function, or taking a built model, and reading its inputs."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np

from rfwidget.errors import ReceptiveFieldError, suggest
from rfwidget.keras.graph import is_graph
from rfwidget.keras.twin import Inputs

DEFAULT_SHAPE = (96, 96, 3)
SUBCLASSED_INPUT = "input"


def build_model(
    source: keras.Model | Callable[[Any], keras.Model], input_shape: Sequence[int | None] | None
) -> keras.Model:
    """The model: as given, or from the build function.

    Raises:
        ReceptiveFieldError: if the function raises or returns something else.
    """
    if isinstance(source, keras.Model):
        if not source.built:
            raise ReceptiveFieldError(
                f"the model {source.name!r} has no weights yet: call it once on an image, or give a function that "
                "builds it"
            )
        return source
    shape = tuple(input_shape or DEFAULT_SHAPE)
    with _random_state_kept():
        try:
            model = source(shape)
            if isinstance(model, keras.Model) and not model.built:
                model(np.zeros((1, *(n or 1 for n in shape)), np.float32))
        except Exception as error:
            raise ReceptiveFieldError(
                f"the build function raised {type(error).__name__} for input_shape={shape}: {error}. "
                "Expected a function of one parameter input_shape that returns a keras.Model"
            ) from error
    if not isinstance(model, keras.Model):
        raise ReceptiveFieldError(
            f"the build function returned {model!r} for input_shape={shape}: expected a keras.Model. "
            "Does the function end with return?"
        )
    return model


def read_inputs(
    model: keras.Model, input_shape: Sequence[int | None] | None, input_layer: str | None
) -> tuple[list[str], Inputs]:
    """Names of the model's inputs, and how to feed them.

    Raises:
        ReceptiveFieldError: if the input is unknown, is no image, or does not take the shape.
    """
    if is_graph(model):
        names = [tensor.name for tensor in model.inputs]
        shapes = [tuple(tensor.shape[1:]) for tensor in model.inputs]
    else:
        # A subclassed model names no inputs: it has one, and its first call said how many channels that takes.
        names, shapes = [input_layer or SUBCLASSED_INPUT], [(None, None, None)]
    if input_layer is not None and input_layer not in names:
        raise ReceptiveFieldError(
            f"no input layer {input_layer!r}; input layers: {', '.join(names)}{suggest(str(input_layer), names)}"
        )
    images = [i for i, shape in enumerate(shapes) if len(shape) == 3]
    image = names.index(input_layer) if input_layer is not None else images[0] if images else 0
    if len(shapes[image]) != 3:
        raise ReceptiveFieldError(
            f"input {names[image]!r} takes {shapes[image]}: expected an image (height, width, channels)"
        )
    chosen = _fit(shapes[image], input_shape, names[image])
    filled = [
        chosen if i == image else tuple(d or (chosen[k] if len(s) == 3 else 1) for k, d in enumerate(s))
        for i, s in enumerate(shapes)
    ]
    return names, Inputs(tuple(filled), image)


def _fit(own: Sequence[int | None], asked: Sequence[int | None] | None, name: str) -> tuple[int, int, int]:
    """The shape of the image: what is asked for, where the model leaves it open."""
    given = tuple(asked) if asked is not None else tuple(d or e for d, e in zip(own, DEFAULT_SHAPE, strict=True))
    whole = len(given) == 3 and all(isinstance(d, (int, np.integer)) and d > 0 for d in given)
    if not whole or any(d not in (None, e) for d, e in zip(own, given, strict=True)):
        raise ReceptiveFieldError(
            f"input_shape={asked} does not fit the model: its input {name!r} takes (height, width, channels) = "
            f"{tuple(own)}. Ask for that shape, or give a build function instead of a built model"
        )
    height, width, channels = (int(d) for d in given if d is not None)
    return height, width, channels


@contextmanager
def _random_state_kept() -> Iterator[None]:
    """Python's and NumPy's random state afterwards as before: initialisers draw from both."""
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002  (the user's state, not ours)
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002
