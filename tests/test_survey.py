"""Surveys of all layers: equal to measuring them one at a time, and honest where nothing can be told."""

from __future__ import annotations

import json
import math
import random
import re
from functools import cache

import keras
import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from keras import layers

from rfwidget.errors import ReceptiveFieldError
from rfwidget.geometry import FieldGeometry
from rfwidget.keras import KerasReceptiveField
from rfwidget.survey import LayerRow, Survey
from rfwidget.types import GridShape, Rect, Size
from tests.blueprint_models import build
from tests.box_filter import BoxReceptiveField
from tests.models import chain, readme_model
from tests.random_networks import random_blueprint
from tests.test_ground_truth import TABLES, application

mpl.use("agg")


@cache
def surveyed(name: str) -> Survey:
    return KerasReceptiveField(application(name)).survey()


@pytest.mark.parametrize("name", TABLES)
def test_published_rows(name: str) -> None:
    for layer, (size, stride, padding) in TABLES[name].items():
        row = surveyed(name)[layer]
        assert row.size == (size, size)
        assert row.stride == (stride, stride)
        assert row.offset == (size / 2 - padding, size / 2 - padding)
        assert row.uniform == (True, True)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_every_layer_of_a_random_network_is_as_when_measured_alone(seed: int) -> None:
    keras.utils.clear_session(free_memory=False)
    model = build(random_blueprint(random.Random(seed)))  # noqa: S311
    assume(len(model.layers) > 1)  # else it holds bare operations only
    assert_as_alone(KerasReceptiveField(model))


def assert_as_alone(rf: KerasReceptiveField, **options: bool) -> None:
    survey = rf.survey(**options)
    for row in survey:
        if row.note:
            with pytest.raises(ReceptiveFieldError, match=re.escape(row.note)):
                rf.compute(output_layer=row.name, **options)
            continue
        described = rf.compute(output_layer=row.name, **options)
        assert (row.offset, row.stride, row.size) == described
        assert survey.field(row.name) == rf.field
        assert row.grid == (rf.output_shape.w, rf.output_shape.h)
        assert row.uniform == rf.uniform
        assert row.unbounded == described.unbounded


def test_a_survey_does_not_depend_on_what_was_asked_before() -> None:
    shape = (40, 56, 3)
    fresh = [row[1:] for row in KerasReceptiveField(readme_model).survey(shape)]  # Keras counts on in names
    rf = KerasReceptiveField(readme_model)
    rf.compute((65, 64, 3), output_layer="feature_grid", ignore_global_context=True)
    described = rf.compute(shape)
    small, again, twice = (rf.survey(size) for size in ((48, 48, 3), shape, shape))
    assert [row[1:] for row in again] == fresh != [row[1:] for row in small]
    assert list(again) == list(twice)
    assert again.names == small.names
    assert rf.rf_params == described


def squeeze_and_excite(x: keras.KerasTensor) -> keras.KerasTensor:
    channels = x.shape[-1]
    weights = layers.GlobalAveragePooling2D(keepdims=True, name="squeeze")(x)
    return layers.Multiply(name="excite")([x, layers.Conv2D(channels, 1, name="scale")(weights)])


def with_context() -> keras.Model:
    image = keras.Input((48, 64, 3))
    x = layers.Conv2D(4, (3, 5), name="before")(image)
    x = squeeze_and_excite(x)
    return keras.Model(image, layers.Conv2D(4, (5, 3), strides=(1, 2), name="after")(x))


@pytest.mark.parametrize("ignore_global_context", [False, True])
def test_global_context_is_as_when_measured_alone(ignore_global_context: bool) -> None:
    assert_as_alone(KerasReceptiveField(with_context()), ignore_global_context=ignore_global_context)


def test_channels_may_come_first() -> None:
    image = keras.Input((3, 40, 64))
    first = {"data_format": "channels_first"}
    x = layers.Conv2D(4, (3, 5), name="conv", **first)(image)
    x = layers.MaxPooling2D((2, 1), name="pool", **first)(x)
    survey = KerasReceptiveField(keras.Model(image, layers.Conv2D(4, (1, 3), name="last", **first)(x))).survey()
    assert [row.size for row in survey] == [(5, 3), (5, 4), (7, 4)]
    assert [row.stride for row in survey] == [(1, 1), (1, 2), (1, 2)]
    assert [row.reads for row in survey] == [(1, 1), (5, 3), (5, 4)]


def test_automatic_names_stay_those_of_the_first_build() -> None:
    def builder(input_shape: tuple[int, int, int]) -> keras.Model:
        return chain(input_shape, layers.Conv2D(1, (3, 5)), layers.Conv2D(1, (5, 3)))

    rf = KerasReceptiveField(builder)
    first, second = rf.survey((40, 64, 3)), rf.survey((48, 80, 3))
    assert first.names == second.names
    assert [row.size for row in first] == [row.size for row in second] == [(5, 3), (7, 7)]
    assert second.input_shape == (None, 80, 48, 3)


class Fan(keras.Model):
    """A subclassed model with a nested one, a branch in code, and a channel split that needs full width."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = chain((None, None, 3), layers.Conv2D(4, (3, 5), strides=2, name="one"), layers.MaxPooling2D(2))
        self.left = layers.Conv2D(2, (1, 3), padding="same", name="left")
        self.right = layers.Conv2D(2, (5, 1), padding="same", name="right")
        self.last = layers.Conv2D(3, 2, name="last")

    def call(self, x: keras.KerasTensor) -> keras.KerasTensor:
        first, second = keras.ops.split(self.stem(x), 2, axis=-1)
        return self.last(self.left(first) + self.right(second))


def test_a_subclassed_model_is_as_when_measured_alone() -> None:
    model = Fan()
    model(np.zeros((1, 40, 64, 3), np.float32))
    rf = KerasReceptiveField(model)
    assert_as_alone(rf)


def test_what_a_nested_model_reads_comes_from_outside() -> None:
    image = keras.Input((40, 64, 3))
    block = chain((None, None, 4), layers.Conv2D(4, (3, 5), name="a"), layers.Conv2D(4, (3, 5), name="b"))
    x = layers.Conv2D(4, (5, 3), name="stem")(image)
    survey = KerasReceptiveField(keras.Model(image, block(x))).survey()
    assert survey[block.name].reads == survey[f"{block.name}/a"].reads == survey["stem"].size == (3, 5)
    assert survey[f"{block.name}/b"].reads == survey[f"{block.name}/a"].size == (7, 7)
    assert survey[block.name].size == survey[f"{block.name}/b"].size == (11, 9)


def test_a_survey_does_not_touch_what_was_computed() -> None:
    rf = KerasReceptiveField(readme_model((64, 96, 3)))
    described = rf.compute()
    assert rf.survey()["feature_grid"].size == described.size
    assert rf.output_layer == "feature_grid"
    assert rf.rf_params == described


def test_a_framework_that_offers_nothing_is_measured_layer_by_layer() -> None:
    told: list[float] = []
    survey = BoxReceptiveField().survey((40, 64, 3), progress=lambda fraction, _: told.append(fraction))
    assert survey.names == ["wide", "tall"]
    assert survey["wide"].size == (12, 6)
    assert survey["tall"].stride == (1, 3)
    assert [row.reads for row in survey] == [(1, 1), (12, 6)]
    assert told == sorted(told)
    assert told[-1] == 1


class Enough(Exception):  # noqa: N818 - it ends a survey, as Ctrl-C does
    """Raised by a caller that does not want the survey any more."""


def test_a_survey_can_be_ended_before_every_operation() -> None:
    rf, told = KerasReceptiveField(readme_model), []

    def progress(_: float, words: str) -> None:
        told.append(words)
        if told.count("looking at larger images") == 4:
            raise Enough

    with pytest.raises(Enough):
        rf.survey(progress=progress)
    assert told[-1] == "looking at larger images"


def test_a_progress_bar_is_shown_on_request(capsys: pytest.CaptureFixture[str]) -> None:
    BoxReceptiveField().survey((40, 64, 3), progress=True)
    assert "survey: 100%" in capsys.readouterr().err


# -- the sequence -----------------------------------------------------------------------------------------------------


def box_survey() -> Survey:
    return BoxReceptiveField().survey((40, 64, 3))


def test_a_row_is_found_by_number_and_by_name() -> None:
    survey = box_survey()
    assert len(survey) == 2
    assert survey[0] is survey["wide"]
    assert survey[-1] is survey["tall"]
    assert list(survey[1:]) == [survey["tall"]]
    assert survey["tall"] in survey
    assert isinstance(survey[0], LayerRow)


def test_an_unknown_layer_is_named_with_its_likeness() -> None:
    with pytest.raises(ReceptiveFieldError, match=r"no layer 'wild'.*did you mean 'wide'"):
        box_survey()["wild"]


def test_columns_are_plain_and_pandas_takes_them() -> None:
    survey = box_survey()
    columns = survey.to_dict()
    assert columns["size_w"] == [12, 5]
    assert columns["offset_y"] == [3.0, 4.5]
    json.dumps(columns)
    frame = pd.DataFrame(columns).set_index("layer")
    assert frame.loc["tall", "size_h"] == 9
    rows = pd.DataFrame(survey)
    assert list(rows.columns) == list(LayerRow._fields)
    assert rows["size"][0] == (12, 6)


def test_a_table_for_pandas_has_a_row_for_each_layer() -> None:
    survey = box_survey()
    pd.testing.assert_frame_equal(survey.to_dataframe(), pd.DataFrame(survey.to_dict()))
    assert len(survey.to_dataframe()) == len(survey)


def test_csv_reads_back(tmp_path) -> None:
    survey = box_survey()
    text = survey.to_csv(tmp_path / "survey.csv")
    assert text == survey.to_csv()
    pd.testing.assert_frame_equal(
        pd.read_csv(tmp_path / "survey.csv", keep_default_na=False), pd.DataFrame(survey.to_dict())
    )


def test_text_and_html_show_every_layer_and_escape_names() -> None:
    payload = '<img src=x onerror="alert(1)">'
    row = box_survey()["wide"]._replace(name=payload, note="<b>no</b>")
    survey = Survey([row], {}, GridShape(None, 64, 40, 3), payload)
    page = survey._repr_html_()
    assert "<img" not in page
    assert "<b>" not in page
    assert "&lt;img" in page
    assert payload in repr(survey)


def test_the_table_names_what_is_remarkable() -> None:
    rf = KerasReceptiveField(with_context())
    text = repr(rf.survey()).splitlines()
    after = next(line for line in text if line.startswith("after"))
    assert "\N{INFINITY}" in after
    assert "unbounded; unproductive" in after


# -- sizes of images --------------------------------------------------------------------------------------------------


def test_layers_are_unproductive_from_the_size_on_at_which_their_input_sees_everything() -> None:
    # Four 3x5 convolutions see 3, 5, 7, 9 rows and 5, 9, 13, 17 columns.
    model = chain((7, 12, 1), *(layers.Conv2D(1, (3, 5), padding="same", name=f"c{i}") for i in range(4)))
    survey = KerasReceptiveField(model).survey()
    assert [row.reads for row in survey] == [(1, 1), (5, 3), (9, 5), (13, 7)]
    assert [row.unproductive for row in survey] == [(False, False)] * 3 + [(True, True)]
    assert [row.exceeds_input for row in survey] == [(False, False), (False, False), (True, False), (True, True)]
    assert survey.unproductive() == ["c3"]
    assert survey.resolution_range() == ((14, 8), (17, 9))


def test_within_the_range_and_only_there_all_widening_layers_are_productive() -> None:
    rf = KerasReceptiveField(stack_with_padding)
    smallest, largest = rf.survey((96, 96, 3)).resolution_range()
    assert largest == rf.survey((96, 96, 3))[-1].size
    for w, h in ((smallest.w, smallest.h), (smallest.w - 1, smallest.h), (smallest.w, smallest.h - 1)):
        survey = rf.survey((h, w, 3))
        idle = [any(u and wide for u, wide in zip(row.unproductive, row.widens, strict=True)) for row in survey]
        assert any(idle) == ((w, h) != smallest)


def stack_with_padding(input_shape):
    return chain(
        input_shape,
        layers.Conv2D(2, (5, 3), padding="same"),
        layers.ReLU(),
        layers.MaxPooling2D(2, padding="same"),
        layers.Conv2D(2, (3, 7), padding="same"),
        layers.ReLU(),
    )


def test_vgg16_and_resnet50_ranges_follow_from_their_tables() -> None:
    assert surveyed("VGG16").resolution_range() == ((197, 197), (212, 212))
    # The last 3x3 convolution of ResNet50 reads a field of 483 - 2 * 32 pixels.
    assert surveyed("ResNet50").resolution_range() == ((420, 420), (483, 483))


def test_there_is_no_range_behind_global_context_and_the_error_says_what_to_do() -> None:
    rf = KerasReceptiveField(with_context())
    with pytest.raises(ReceptiveFieldError, match="ignore_global_context=True"):
        rf.survey().resolution_range()
    assert rf.survey(ignore_global_context=True)["after"].size == (7, 7)


def test_a_layer_that_the_image_does_not_reach_sees_nothing_and_stands_in_nobodys_way() -> None:
    survey = KerasReceptiveField(with_context()).survey(ignore_global_context=True)
    row = survey["squeeze"]
    assert row.size == (0, 0)
    assert "does not influence" in row.note
    assert "sees nothing" in repr(survey)
    assert "squeeze" not in survey.covering((5, 5, 6, 6)).counts
    with pytest.raises(ReceptiveFieldError, match="does not influence"):
        survey.field("squeeze")
    assert [survey[name].reads for name in ("excite", "after")] == [(5, 3), (5, 3)]
    assert survey.resolution_range() == ((6, 4), (7, 7))


class Unfinished(BoxReceptiveField):
    """One of its layers cannot be built."""

    def _build(self, input_shape, input_layer, output_layer, **options):
        if output_layer == "tall":
            raise ReceptiveFieldError("no <tall> layer today")
        return super()._build(input_shape, input_layer, output_layer, **options)


def test_a_layer_that_cannot_be_measured_has_a_row_that_says_why() -> None:
    survey = Unfinished().survey((40, 64, 3))
    row = survey["tall"]
    assert math.isnan(row.size.w)
    assert row.note == "no <tall> layer today"
    assert not any((*row.exceeds_input, *row.unproductive, *row.unbounded))
    assert "not measured: no &lt;tall&gt; layer today" in survey._repr_html_()
    assert survey["wide"].size == (12, 6)
    with pytest.raises(ReceptiveFieldError, match="could not be measured: no <tall>"):
        survey.field("tall")
    with pytest.raises(ReceptiveFieldError, match="known of tall"):
        survey.resolution_range()


def test_squeezed_vectors_have_seen_the_whole_image() -> None:
    image = keras.Input((48, 64, 3))
    x = layers.Conv2D(4, (3, 5), name="conv")(image)
    vector = layers.GlobalAveragePooling2D()(x)
    x = layers.Multiply(name="excite")([x, layers.Reshape((1, 1, 4), name="cell")(vector)])
    survey = KerasReceptiveField(keras.Model(image, x)).survey()
    assert survey["cell"].reads == (math.inf, math.inf)
    assert survey["excite"].reads == (5, 3)
    assert survey["excite"].unbounded == (True, True)


# -- which cells see this ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layer", ["conv2d", "average_pooling2d", "feature_grid"])
def test_counts_are_those_of_the_grids(layer: str) -> None:
    keras.utils.clear_session(free_memory=False)
    rf = KerasReceptiveField(readme_model((64, 96, 3)))
    survey = rf.survey()
    name = next(name for name in survey.names if name.startswith(layer))
    rf.compute(output_layer=name)
    box = Rect(40, 20, 47, 26)
    assert survey.seeing((50, 31)).counts[name] == rf.cells_seeing((50, 31)).sum() > 0
    covering = rf.cells_covering(box)
    assert survey.covering(box).counts[name] == covering.sum()
    for y, x in np.ndindex(rf.output_shape.h, rf.output_shape.w):
        left, top, right, bottom = rf.rect_at((x, y))
        covers = left <= 40 and top <= 20 and right >= 47 and bottom >= 26
        assert covering[y, x] == covers


def test_the_first_layer_that_sees_an_object_is_the_first_as_large_as_it() -> None:
    survey = surveyed("VGG16")
    assert survey.covering((70, 42, 110, 82)).first == "block3_conv3"  # 40 pixels; block3_conv2 sees 32
    assert survey.seeing((80, 48)).first == "block1_conv1"
    assert survey.covering((0, 0, 160, 96)).counts["block1_conv1"] == 0


@pytest.mark.parametrize("box", [(0, 0, 65, 10), (5, 5, 5, 9), (1, 2, 3), "box", None, (math.nan, 0, 1, 1)])
def test_a_box_outside_the_image_is_refused(box: object) -> None:
    rf = BoxReceptiveField()
    rf.compute((40, 64, 3))
    with pytest.raises(ReceptiveFieldError, match="expected Rect"):
        rf.cells_covering(box)
    with pytest.raises(ReceptiveFieldError, match="expected Rect"):
        box_survey().covering(box)


def test_a_pixel_outside_the_image_is_refused() -> None:
    with pytest.raises(ReceptiveFieldError, match="no pixel of the 64x40 image"):
        box_survey().seeing((64, 0))


def test_an_unbounded_layer_sees_every_box_from_every_cell() -> None:
    survey = KerasReceptiveField(with_context()).survey()
    whole = survey.covering((0, 0, 64, 48))
    assert whole.first == "squeeze"
    assert whole.counts["excite"] == np.prod(survey["excite"].grid)


def test_a_field_may_be_asked_for_by_name() -> None:
    assert isinstance(box_survey().field("wide"), FieldGeometry)
    assert box_survey()["wide"].grid == Size(14, 18)
