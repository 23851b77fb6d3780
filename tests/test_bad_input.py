"""The catalogue of bad input: what every public function and trait says to it, and that nothing changes by it.

Each entry is a call with one thing wrong. It must raise a `ReceptiveFieldError` that says what was expected, and leave
estimator, model and widget as they were, still working.
"""

# ruff: noqa: ARG005 - all entries of the table take the same two arguments
from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import keras
import matplotlib as mpl
import numpy as np
import pytest

from rfwidget import KerasReceptiveField, RFWidget, get_default_image
from rfwidget.effective import EffectiveField
from rfwidget.errors import NotComputedError, ReceptiveFieldError
from rfwidget.image import as_array, as_model_input, as_picture, default_input
from rfwidget.plotting import compare, side_by_side
from rfwidget.survey import Survey
from rfwidget.types import GridPoint, GridShape
from rfwidget.widget.overlay import Overlay
from tests.box_filter import BoxReceptiveField
from tests.widget.live_page import part_of

mpl.use("agg")

SHAPE = (40, 64, 3)
SMALL = (12, 16, 3)
NAN = math.nan
NOWHERE = "never_written.html"


class Things(NamedTuple):
    """What must survive."""

    rf: BoxReceptiveField
    survey: Survey
    effective: EffectiveField
    model: keras.Model
    keras: KerasReceptiveField
    widget: RFWidget


class Rude:
    """An object that cannot even be printed."""

    def __repr__(self) -> str:
        raise RuntimeError("no words")


def build(input_shape: Sequence[int]) -> keras.Model:
    return keras.Sequential(
        [
            keras.Input(tuple(input_shape), name="image"),
            keras.layers.Conv2D(2, (3, 5), name="conv"),
            keras.layers.Flatten(name="flat"),
            keras.layers.Dense(2, name="dense"),
        ]
    )


@pytest.fixture(scope="module")
def things() -> Iterator[Things]:
    rf = BoxReceptiveField()
    rf.compute(SHAPE)
    model = build(SMALL)
    of_keras = KerasReceptiveField(model)
    of_keras.compute()
    widget = RFWidget(BoxReceptiveField(), input_shape=SHAPE, selected=(7, 9))
    assert widget.wait(20)
    yield Things(rf, rf.survey(SHAPE), rf.effective(n=1), model, of_keras, widget)
    widget.close()


def state(things: Things) -> list[Any]:
    """Everything that a refused call could have changed."""
    widget = things.widget
    return [
        *((rf.rf_params, rf.network, rf.input_shape) for rf in (things.rf, things.keras)),
        [variable.numpy().tobytes() for variable in things.model.variables],
        {name: getattr(widget, name) for name in RFWidget.class_own_traits()},
        (widget.rf.rf_params, part_of(widget, Overlay).get_state(["selected", "revision", "layer", "state", "error"])),
    ]


def still_works(things: Things) -> bool:
    widget = things.widget
    other = GridPoint(1, 2) if widget.selected != (1, 2) else GridPoint(7, 9)
    widget.selected = other
    done = widget.wait(20) and np.array_equal(widget.gradient, things.rf.gradient_at(other))
    return done and things.rf.rect_at((1, 1)) == (4, 2, 16, 8) and things.keras.rect_at((1, 1)) == (1, 1, 6, 4)


Call = Callable[[Things, Any], Any]

POINTS = [
    (None, "None is no cell"),
    (3, "3 is no cell"),
    ("ab", "'ab' is no cell"),
    (b"ab", "is no cell"),
    ({1, 2}, "is no cell"),
    ({"x": 1, "y": 2}, "is no cell"),
    ((), "is no cell"),
    ((1,), "is no cell"),
    ((1, 2, 3), "is no cell"),
    ((1, None), "is no cell"),
    (("1", "2"), "is no cell"),
    ((True, False), "is no cell"),
    ((0.5, 0), "both whole numbers"),
    ((NAN, 0), "both whole numbers"),
    ((math.inf, 0), "both whole numbers"),
    ((1j, 0), "is no cell"),
    (np.zeros((2, 2)), "is no cell"),
    (Rude(), "Rude.* is no cell"),
    ((-1, 0), r"outside the 14x18 grid: expected \(x, y\) with 0 <= x < 14"),
    ((14, 0), "outside the 14x18 grid"),
    ((0, 18), "0 <= y < 18"),
    ((10**30, 0), "outside the 14x18 grid"),
]
IMAGES = [
    ("a text", "type <U6 cannot be used"),
    (object(), "type object cannot be used"),
    ([[1, 2], [3]], "list is no image"),
    (5, r"shape \(\) cannot be used"),
    (np.zeros(4), r"shape \(4,\) cannot be used"),
    (np.zeros((0, 64, 3)), "no side of 0"),
    (np.zeros((1, 40, 64, 3)), "without a batch axis"),
    (np.zeros((40, 64, 3), complex), "complex128 cannot be used"),
    (np.full(SHAPE, NAN), "NaN or infinite"),
    (np.full(SHAPE, np.inf), "NaN or infinite"),
    (keras.KerasTensor((40, 64, 3)), "KerasTensor is no image"),
]
MISFITS = [
    (np.zeros((64, 40, 3)), "the image is 40x64 pixels .width x height., the model input 64x40: resize"),
    (np.zeros((40, 64, 5)), "5 channels, the model input 3: give one with 1 or 3"),
]
CHANNELS = [
    (3, "expected None .mean. or a whole number 0..2"),
    (-1, "channel -1.*: expected"),
    (True, "channel True"),
    (1.0, "channel 1.0"),
    (NAN, "channel nan"),
    ("1", "channel '1'"),
    ([0], "expected None"),
]
SHAPES = [
    ("ab", "expected .height, width, channels."),
    ((), "expected .height, width, channels."),
    (3, "input_shape is 3: expected"),
    ((40, 64), "expected .height, width, channels."),
    ((40, 64, 3, 1), "expected .height, width, channels."),
    ((0, 64, 3), "is 0: expected a whole number of at least 1"),
    ((40, -64, 3), "is -64: expected"),
    ((40.0, 64, 3), "is 40.0: expected"),
    ((True, 64, 3), "is True: expected"),
    ((40, "64", 3), "is '64': expected"),
    ((10**6, 10**6, 3), "1000000x1000000 pixels is too large"),
    ((40, 64, 10**9), "and 1000000000 channels is too large"),
]
FLAGS = [(None, "is None: expected True or False"), ("yes", "expected True or False"), (2, "expected True"), ([], "ex")]
FIGSIZES = [(3, "expected .width, height. in inches"), ((1, -1), "more than 0"), ((NAN, 1), "more than 0")]
FIGSIZES += [("ab", "figsize is 'ab'"), ((1e9, 1), "at most 100")]
AXES = [(3, "expected a matplotlib Axes"), ("ax", "expected a matplotlib Axes"), ([], "expected a matplotlib Axes")]
LAYERS = [
    ("", "is '': expected the name of a layer"),
    (3, "is 3: expected the name of a layer"),
    ([], r"is \[\]: expected"),
    (b"wide", "expected the name"),
]
UNKNOWN = [("tal", "no layer 'tal'; layers with a grid: 'wide', 'tall', did you mean 'tall'")]
CALLABLES = [(3, "is 3: expected a function of"), ("f", "expected a function of")]
SERIES = [(None, "expected a list of"), (3, "expected a list of"), ("ab", "expected a list of")]

CATALOGUE: dict[str, tuple[Call, list[tuple[Any, str]]]] = {
    "rect_at": (lambda t, v: t.rf.rect_at(v), POINTS),
    "rect_at clip": (lambda t, v: t.rf.rect_at((0, 0), clip=v), FLAGS),
    "attention_at": (lambda t, v: t.rf.attention_at(v), POINTS[1:]),
    "attention_at image": (lambda t, v: t.rf.attention_at((0, 0), v), IMAGES + MISFITS),
    "attention_at layer": (lambda t, v: t.rf.attention_at((0, 0), layer=v), LAYERS[1:]),
    "attention_at head": (lambda t, v: t.keras.attention_at((0, 0), head=v), [(0, "no attention on the way")]),
    "attention_at prefix": (
        lambda t, v: t.rf.attention_at((0, 0), prefix=v),
        [(0, "one of the two"), (True, "or the number")],
    ),
    "rollout_at": (lambda t, v: t.rf.rollout_at(v), POINTS[1:]),
    "attention_maps": (lambda t, v: t.rf.attention_maps([v]), POINTS),
    "gradient_at": (lambda t, v: t.rf.gradient_at(v), POINTS),
    "gradient_at image": (lambda t, v: t.rf.gradient_at((0, 0), v), IMAGES + MISFITS),
    "gradient_at channel": (lambda t, v: t.rf.gradient_at((0, 0), channel=v), CHANNELS),
    "gradient_patch": (lambda t, v: t.rf.gradient_patch(v), POINTS[:3]),
    "gradients_at": (lambda t, v: t.rf.gradients_at(v), [*SERIES, ([(0, 0), (99, 0)], "outside the 14x18 grid")]),
    "gradient_patches": (lambda t, v: list(t.rf.gradient_patches(v)), SERIES),
    "feature_map image": (lambda t, v: t.rf.feature_map(v), IMAGES[:3] + MISFITS),
    "feature_map channel": (lambda t, v: t.rf.feature_map(channel=v), CHANNELS[:3]),
    "prepare": (lambda t, v: t.rf.prepare(v), MISFITS),
    "cells_seeing": (
        lambda t, v: t.rf.cells_seeing(v),
        [
            (None, "None is no pixel of the 64x40 image"),
            ((64, 0), "no pixel of the 64x40 image: expected whole numbers"),
            ((0.5, 0), "no pixel"),
            ((0, -1), "no pixel"),
        ],
    ),
    "cells_covering": (
        lambda t, v: t.rf.cells_covering(v),
        [
            (None, "None is no box: expected Rect"),
            ("abcd", "is no box"),
            ({1, 2, 3, 4}, "is no box"),
            ((1, 2, 3), "is no box"),
            ((5, 5, 5, 9), "not inside the 64x40 image"),
            ((0, 0, 65, 4), "not inside"),
            ((0, 0, NAN, 4), "not inside"),
        ],
    ),
    "verify": (
        lambda t, v: t.rf.verify(v),
        [
            ("nosuch", "no layer 'nosuch'"),
            (["wide", "nosuch"], "no layer 'nosuch'"),
            (5, "layers is 5: expected a list of names of layers"),
        ],
    ),
    "read_shape": (lambda t, v: t.rf.read_shape(v), SHAPES[:3]),
    "compute shape": (lambda t, v: t.rf.compute(v), SHAPES),
    "compute small": (
        lambda t, v: t.rf.compute(v),
        [((2, 3, 3), "no cell on an image of 3x2 pixels: ask for a larger")],
    ),
    "compute layer": (lambda t, v: t.rf.compute(SHAPE, output_layer=v), LAYERS + UNKNOWN),
    "compute input": (lambda t, v: t.rf.compute(SHAPE, input_layer=v), LAYERS),
    "compute local": (lambda t, v: t.rf.compute(SHAPE, ignore_global_context=v), FLAGS),
    "compute progress": (lambda t, v: t.rf.compute(SHAPE, progress=v), CALLABLES),
    "survey": (lambda t, v: t.rf.survey(v), SHAPES[:4]),
    "survey input": (lambda t, v: t.rf.survey(SHAPE, input_layer=v), LAYERS),
    "survey local": (lambda t, v: t.rf.survey(SHAPE, ignore_global_context=v), FLAGS),
    "survey progress": (lambda t, v: t.rf.survey(SHAPE, progress=v), [(3, "expected True or False"), ("", "ex")]),
    "survey[]": (
        lambda t, v: t.survey[v],
        [
            ("tal", "did you mean 'tall'"),
            (1.5, "expected the name of a layer or a number"),
            (None, "expected the name"),
        ],
    ),
    "survey.field": (lambda t, v: t.survey.field(v), [("tal", "did you mean 'tall'"), (None, "expected the name")]),
    "survey.seeing": (lambda t, v: t.survey.seeing(v), [((64, 0), "no pixel of the 64x40 image"), (None, "no pixel")]),
    "survey.covering": (lambda t, v: t.survey.covering(v), [((9, 0, 1, 1), "not inside the 64x40 image")]),
    "survey.plot": (lambda t, v: t.survey.plot(figsize=v), FIGSIZES),
    "effective images": (
        lambda t, v: t.rf.effective(v),
        [(3, "expected an array"), ([], "images is empty"), ([np.zeros((4, 4, 3))], "4x4 pixels"), ("ab", "cannot be")],
    ),
    "effective n": (
        lambda t, v: t.rf.effective(n=v),
        [(0, "is 0: expected a whole number of at least 1"), (-1, "is -1"), (1.5, "is 1.5"), (True, "is True")],
    ),
    "effective points": (
        lambda t, v: t.rf.effective(n=1, points=v),
        [(3, "expected a list of cells"), ([], "points is empty"), ([(99, 0)], "outside the 14x18 grid")],
    ),
    "effective channel": (lambda t, v: t.rf.effective(n=1, channel=v), CHANNELS[:3]),
    "area_ratio": (
        lambda t, v: t.effective.area_ratio(v),
        [(0, "more than 0 and at most 1"), (1.5, "at most 1"), (NAN, "is nan"), ("1", "is '1'")],
    ),
    "plot_gradient_at": (lambda t, v: t.rf.plot_gradient_at(v), POINTS[:3]),
    "plot_gradient_at figsize": (lambda t, v: t.rf.plot_gradient_at((0, 0), figsize=v), FIGSIZES),
    "plot_gradient_at ax": (lambda t, v: t.rf.plot_gradient_at((0, 0), ax=v), AXES),
    "plot_rf_grid": (lambda t, v: t.rf.plot_rf_grid(v), IMAGES + MISFITS),
    "plot_rf_grid naive": (lambda t, v: t.rf.plot_rf_grid(plot_naive_rf=v), FLAGS),
    "plot_rf_grid ax": (lambda t, v: t.rf.plot_rf_grid(ax=v), AXES),
    "plot_rf_grid figsize": (lambda t, v: t.rf.plot_rf_grid(figsize=v), FIGSIZES),
    "plot_rf_grids": (
        lambda t, v: t.rf.plot_rf_grids(v),
        [
            (None, "expected a list of names"),
            ("wide", "expected a list of names"),
            (["tal"], "mean 'tall'"),
            ([], "no"),
        ],
    ),
    "plot_effective ax": (lambda t, v: t.rf.plot_effective(t.effective, ax=v), AXES),
    "compare": (
        lambda t, v: compare(*v),
        [((), "expected at least two of one kind"), ((1, 2), "int.*expected at least two"), (("a",), "at least two")],
    ),
    "compare labels": (
        lambda t, v: compare(t.survey, t.survey, labels=v),
        [(["a"], "1 labels for 2 things"), (3, "expected a list of titles")],
    ),
    "side_by_side": (lambda t, v: side_by_side(2, v), [([None], "1 axes for 2 panels"), ([1, 2], "matplotlib Axes")]),
    "get_default_image": (
        lambda t, v: get_default_image(v),
        [
            ("ab", "expected .width, height. or .width, height, channels."),
            ((8,), "expected .width, height."),
            ((8, 8, 4), "asks for 4 channels: expected 3 .RGB. or 1"),
            ((8, 0), "is 0: expected a whole number of at least 1"),
            ((8.5, 8), "is 8.5"),
            ((NAN, 8), "is nan"),
            ((10**5, 10**5), "100000x100000 pixels is too large"),
            (None, "shape is None"),
        ],
    ),
    "get_default_image tiles": (
        lambda t, v: get_default_image((8, 6), tile_factor=v),
        [(-1, "tile_factor is -1"), (0.5, "tile_factor is 0.5"), (None, "is None"), (10**6, "too large")],
    ),
    "get_default_image shade": (lambda t, v: get_default_image((8, 6), shade=v), FLAGS),
    "get_default_image as_image": (lambda t, v: get_default_image((8, 6), as_image=v), FLAGS),
    "get_default_image name": (
        lambda t, v: get_default_image((8, 6), name=v),
        [
            ("ringz", "there are 'grace_hopper'.*did you mean 'rings'"),
            (3, "no sample image 3"),
            ([], "no sample image"),
        ],
    ),
    "as_array": (lambda t, v: as_array(v), IMAGES),
    "as_picture": (lambda t, v: as_picture(v), IMAGES),
    "as_model_input": (lambda t, v: as_model_input(v, GridShape(None, 64, 40, 3)), IMAGES + MISFITS),
    "default_input": (lambda t, v: default_input(GridShape(None, 8, 6, 3), v), [("x" * 999, "no sample image 'xx")]),
    "estimator": (
        lambda t, v: KerasReceptiveField(v),
        [(None, "expected a function of one parameter input_shape"), (3, "model is 3"), ("model", "built keras.Model")],
    ),
    "estimator weights": (lambda t, v: KerasReceptiveField(build, init_weights=v), FLAGS),
    "build function": (
        lambda t, v: KerasReceptiveField(v).compute(SMALL),
        [
            (lambda: build(SMALL), "build function raised TypeError"),
            (lambda _: None, r"returned None for input_shape=\(12, 16, 3\): expected a keras.Model"),
            (lambda _: 1 / 0, "raised ZeroDivisionError"),
            (lambda _: np.zeros(10**6), "returned array"),
            (int, "raised TypeError"),
        ],
    ),
    "unbuilt model": (
        lambda t, v: KerasReceptiveField(v).compute(SMALL),
        [(keras.Sequential([keras.layers.Conv2D(1, 3)]), "has no weights yet")],
    ),
    "model without image": (
        lambda t, v: KerasReceptiveField(v).compute(),
        [(keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]), "expected an image .height, width, channels.")],
    ),
    "model without grid": (
        lambda t, v: KerasReceptiveField(v).compute(),
        [(keras.Sequential([keras.Input(SMALL), keras.layers.Flatten()]), "no layer with a two-dimensional grid")],
    ),
    "layer of a model": (
        lambda t, v: t.keras.compute(output_layer=v),
        [
            ("dense", "layer 'dense' gives .*no two-dimensional grid; layers with a grid: conv"),
            ("conf", "no layer 'conf'; layers with a grid: conv, did you mean 'conv'"),
            *LAYERS,
        ],
    ),
    "input of a model": (
        lambda t, v: t.keras.compute(input_layer=v),
        [("imag", "no input layer 'imag'; input layers: image, did you mean 'image'"), *LAYERS],
    ),
    "shape of a model": (
        lambda t, v: t.keras.compute(v),
        [((1, 1, 3), "does not fit the model: its input 'image' takes"), *SHAPES[:4]],
    ),
    "gradient of a model": (lambda t, v: t.keras.gradient_at((0, 0), v), [(np.full(SMALL, NAN), "NaN"), *IMAGES[:6]]),
    "before compute": (
        lambda t, v: v(BoxReceptiveField()),
        [
            (lambda rf: rf.rect_at((0, 0)), "call compute"),
            (lambda rf: rf.gradient_at((0, 0)), "call compute"),
            (lambda rf: rf.effective(), "call compute"),
            (lambda rf: rf.output_shape, "call compute"),
            (lambda rf: rf.plot_rf_grid(), "call compute"),
        ],
    ),
    "RFWidget": (lambda t, v: RFWidget(v), [(3, "model is 3: expected a function"), (None, "model is None")]),
    "RFWidget shape": (lambda t, v: RFWidget(t.rf, input_shape=v), SHAPES),
    "RFWidget input": (lambda t, v: RFWidget(t.rf, input_layer=v), LAYERS),
    "RFWidget weights": (lambda t, v: RFWidget(build, init_weights=v), FLAGS),
    "RFWidget preprocess": (lambda t, v: RFWidget(t.rf, preprocess=v), CALLABLES),
    "RFWidget image": (lambda t, v: RFWidget(t.rf, image=v), IMAGES[1:]),
    "RFWidget anything": (lambda t, v: RFWidget(t.rf, **v), [({"show_dot": True}, "did you mean 'show_dots'")]),
    "wait": (lambda t, v: t.widget.wait(v), [(None, "number of seconds"), ("1", "is '1'"), (NAN, "is nan")]),
    "save_png": (
        lambda t, v: t.widget.save_png(v),
        [(None, "name of a file"), (3, "path is 3"), ("", "name of a file")],
    ),
    "to_html": (lambda t, v: t.widget.to_html(v), [(None, "name of a file"), (3, "path is 3"), ("", "name of a file")]),
    "to_html layers": (
        lambda t, v: t.widget.to_html(NOWHERE, layers=v),
        [
            (3, "list of names of layers"),
            ("wide", "list of names"),
            ([], "layers is empty"),
            (["tal"], "no layer"),
            ([3], "3"),
        ],
    ),
    "to_html cells": (
        lambda t, v: t.widget.to_html(NOWHERE, cells=v),
        [
            (0, "at least 1"),
            (1.5, "cells is 1.5"),
            ("ab", "'ab'"),
            ([], "is empty"),
            ([(99, 0)], "outside the 14x18 grid"),
        ],
    ),
    "to_html size": (
        lambda t, v: t.widget.to_html(NOWHERE, max_bytes=v),
        [(0, "max_bytes is 0"), (9, "larger than 9 bytes"), (None, "max_bytes is None"), (NAN, "max_bytes is nan")],
    ),
    "to_html title": (
        lambda t, v: t.widget.to_html(NOWHERE, title=v),
        [(None, "title is None: expected text"), (3, "is 3")],
    ),
    "to_html note": (lambda t, v: t.widget.to_html(NOWHERE, note=v), [(b"x", "note is b'x': expected text")]),
    "to_html inline": (lambda t, v: t.widget.to_html(NOWHERE, inline=v), FLAGS),
    "widget.selected": (lambda t, v: setattr(t.widget, "selected", v), POINTS[1:]),
    "widget.output_layer": (lambda t, v: setattr(t.widget, "output_layer", v), LAYERS + UNKNOWN),
    "widget.image": (lambda t, v: setattr(t.widget, "image", v), IMAGES[1:] + MISFITS + [("lena", "no sample image")]),
    "widget.channel": (lambda t, v: setattr(t.widget, "channel", v), CHANNELS),
    "widget.heat_opacity": (
        lambda t, v: setattr(t.widget, "heat_opacity", v),
        [(NAN, "is nan: expected a number 0..1"), (-0.1, "0..1"), (1.1, "0..1"), ("1", "is '1'"), (None, "is None")],
    ),
    "widget.colormap": (
        lambda t, v: setattr(t.widget, "colormap", v),
        [("coolwarn", "did you mean 'coolwarm'"), ("", "no colour map ''"), ([], "no colour map"), (3, "map 3")],
    ),
    "widget.heat_scale": (
        lambda t, v: setattr(t.widget, "heat_scale", v),
        [("squrt", "did you mean 'sqrt'"), (None, "heat_scale is None"), ([], "expected one of linear"), (3, "is 3")],
    ),
    "widget.heat_map": (
        lambda t, v: setattr(t.widget, "heat_map", v),
        [("atention", "did you mean 'attention'"), (None, "heat_map is None"), ([], "expected one of"), (3, "is 3")],
    ),
    "widget.bands": (
        lambda t, v: setattr(t.widget, "bands", v),
        [
            ((0, 1), "expected three channels"),
            ((0, 1, 3), "0..2"),
            (3, "bands"),
            ("abc", "bands"),
            ((0, 1, 0.5), "0.5"),
        ],
    ),
    "widget.height": (
        lambda t, v: setattr(t.widget, "height", v),
        [(10, "120..4000"), (None, "height is None"), (NAN, "height is nan"), ("480", "height is '480'")],
    ),
    "widget.live_budget": (
        lambda t, v: setattr(t.widget, "live_budget", v),
        [(-1, "live_budget is -1"), (None, "live_budget is None"), (NAN, "is nan"), ("64", "live_budget is '64'")],
    ),
    "widget.query": (
        lambda t, v: setattr(t.widget, "query", v),
        [
            (3, "expected a pixel"),
            ((1, 2, 3), "expected a pixel"),
            ((-1, 2), "no pixel"),
            ((10_000, 2), "no pixel"),
            ((0.5, 2), "no pixel"),
            ((5, 5, 2, 9), "box"),
            ((0, 0, 10_000, 9), "box"),
            ((NAN, 0, 4, 4), "box"),
        ],
    ),
    "widget.compare_layer": (lambda t, v: setattr(t.widget, "compare_layer", v), LAYERS[1:] + UNKNOWN),
    **{
        f"widget.{name}": (lambda t, v, name=name: setattr(t.widget, name, v), FLAGS)  # type: ignore[misc]
        for name in (
            *("show_heat", "show_dots", "show_rectangles", "show_first", "show_central", "show_last", "show_naive"),
            *("show_pixels", "spotlight", "show_erf", "asking", "signed", "live"),
        )
    },
}

CASES = [
    pytest.param(call, value, words, id=f"{name}-{place}")
    for name, (call, entries) in CATALOGUE.items()
    for place, (value, words) in enumerate(entries)
]


@pytest.mark.parametrize(("call", "value", "words"), CASES)
def test_bad_input_is_refused_in_words_and_changes_nothing(things: Things, call: Call, value: Any, words: str) -> None:
    before = state(things)
    with pytest.raises(ReceptiveFieldError) as refusal:
        call(things, value)
    message = str(refusal.value)
    assert re.search(words, message), message
    assert len(message) < 700
    assert state(things) == before
    assert still_works(things)
    assert not Path(NOWHERE).exists()


def test_the_catalogue_holds_at_least_150_calls_of_everything_public() -> None:
    assert len(CASES) >= 150
    touched = " ".join(CATALOGUE)
    bases = [base for base in BoxReceptiveField.__mro__ if base.__module__.startswith("rfwidget.")]
    methods = {name for base in bases for name in vars(base) if not name.startswith("_")}
    takes_nothing = {
        *("network", "field", "rf_params", "input_layer", "output_layer", "input_shape", "output_shape", "channels"),
        *("layers", "extra_tokens", "uniform", "default_input_shape", "release", "attentions"),
    }
    assert {name for name in methods - takes_nothing if name not in touched} == set()
    assert {name for name in RFWidget.class_own_traits() if f"widget.{name}" not in CATALOGUE} == set()


def test_a_question_before_computing_has_an_error_class_of_its_own() -> None:
    with pytest.raises(NotComputedError):
        BoxReceptiveField().rect_at((0, 0))
