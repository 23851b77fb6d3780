"""Models of sequences in the widget: the same calls as for images, with one axis in everything that comes back."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers
from PIL import Image
from torch import nn

from rfwidget import KerasReceptiveField, RFWidget
from rfwidget.errors import ReceptiveFieldError
from rfwidget.geometry import AxisField, FieldGeometry
from rfwidget.signals import get_default_signal, get_default_signals
from rfwidget.types import GridPoint, GridShape, Rect, Size
from rfwidget.widget.overlay import Query, Request, Setting
from rfwidget.widget.scene import CORNERS, Line, Tag, build_scene
from rfwidget.widget.signal_picture import HEIGHT, WIDTH, draw_signal


def keras_model(length: int = 200, channels: int = 2) -> keras.Model:
    """Causal convolutions of 3 with dilations 1 and 2, and a pool of 4: 1 + 2 * 3 + 3 = 10 samples, 4 apart."""
    image = keras.Input((length, channels))
    x = layers.Conv1D(3, 3, padding="causal")(image)
    x = layers.Conv1D(3, 3, dilation_rate=2, padding="causal", name="wide")(x)
    return keras.Model(image, layers.AveragePooling1D(4, name="pool")(x))


def torch_model() -> nn.Module:
    """5 + (3 - 1) * 2 = 9 samples, 2 apart."""
    return nn.Sequential(nn.Conv1d(2, 3, 5, stride=2, padding=2), nn.Conv1d(3, 4, 3, padding=1))


CASES: list[tuple[Any, tuple[int, ...], Size, tuple[float, ...]]] = [
    (keras_model, (200, 2), Size(10), (4.0,)),
    (torch_model, (2, 200), Size(9), (2.0,)),
]


def shown(build: Any, shape: tuple[int, ...], **view: Any) -> RFWidget:
    widget = RFWidget(build(), input_shape=shape, **view)
    assert widget.wait(60, background=True)
    assert widget.error is None
    return widget


@pytest.mark.parametrize(("build", "shape", "size", "stride"), CASES)
def test_a_model_of_sequences_is_measured_and_answered_with_one_axis(
    build: Any, shape: tuple[int, ...], size: Size, stride: tuple[float, ...]
) -> None:
    widget = shown(build, shape)
    assert widget.rf_params is not None
    assert (widget.rf_params.size, widget.rf_params.stride) == (size, stride)
    assert widget.model_input_shape == (200, 2)
    assert widget.selected == GridPoint(int(200 // stride[0]) // 2)
    assert widget.gradient is not None
    np.testing.assert_allclose(
        widget.gradient, widget.rf.gradient_at(widget.selected, get_default_signal((200, 2))), atol=1e-7
    )
    seen = np.flatnonzero(widget.gradient.any(axis=1))
    rect = widget.rf.rect_at(widget.selected)
    assert (rect.left, rect.right) == (seen[0], seen[-1] + 1)
    assert widget.survey is not None
    assert widget.survey[-1].size == size
    assert len(widget.survey[-1].grid) == 1
    widget.close()


@pytest.mark.parametrize(("build", "shape", "size", "stride"), CASES)
def test_a_page_asks_for_a_cell_and_hears_of_its_gradient(
    build: Any, shape: tuple[int, ...], size: Size, stride: tuple[float, ...]
) -> None:
    widget = shown(build, shape)
    sent: list[Any] = []
    widget._overlay.send = lambda content, buffers=None: sent.append((content, buffers))
    widget._on_request(Request("a", 1, widget._overlay.revision, GridPoint(7, 0)))
    assert widget.wait()
    content, (values,) = next((content, buffers) for content, buffers in sent if content["kind"] == "answer")
    assert widget.selected == GridPoint(7)
    assert content["cell"] == [7, 0]
    left, top, right, bottom = content["box"]
    assert (top, bottom, right - left) == (0, 1, size.w)
    assert len(values) == size.w
    assert content["rect"][2] - content["rect"][0] == size.w
    assert stride == widget.rf_params.stride  # type: ignore[union-attr]
    widget.close()


def test_samples_and_intervals_are_asked_about_from_python_and_from_pages() -> None:
    widget = shown(keras_model, (200, 2))
    widget.query = 17
    assert widget.query == GridPoint(17)
    assert widget._overlay.query == [17, 0, 18, 1]
    widget.query = (20, 31)
    assert widget.query == Rect(20, 31)
    assert widget._overlay.query == [20, 0, 31, 1]
    widget._on_page_query(Query((5, 0, 9, 1)))
    assert widget.query == Rect(5, 9)
    widget._on_page_query(Query((5, 0, 6, 1)))
    assert widget.query == GridPoint(5)
    with pytest.raises(ReceptiveFieldError, match="expected a sample or"):
        widget.query = (1, 2, 3)
    assert widget.query == GridPoint(5)
    widget.close()


def test_all_sample_signals_are_offered_and_arrays_are_taken() -> None:
    widget = shown(keras_model, (200, 2))
    assert widget._overlay.controls["images"] == get_default_signals()
    widget._on_page_setting(Setting("image", "ecg"))
    assert widget.wait()
    assert widget.view is not None
    np.testing.assert_array_equal(widget.view.image[0], get_default_signal((200, 2), "ecg"))
    mine = np.linspace(-3, 5, 400, dtype=np.float32).reshape(200, 2)
    widget.image = mine
    assert widget.wait()
    np.testing.assert_array_equal(widget.view.image[0], mine)
    assert widget.view.said.startswith("your signal, 200 samples, 2 channels")
    with pytest.raises(ReceptiveFieldError, match=r"no sample signal 'ecq'.*did you mean 'ecg'"):
        widget.image = "ecq"
    with pytest.raises(ReceptiveFieldError, match="150 samples"):
        widget.image = mine[:150]
    np.testing.assert_array_equal(widget.image, mine)
    widget.close()


def test_a_model_of_any_length_takes_that_of_the_signal() -> None:
    model = keras.Sequential([keras.Input((None, 2)), layers.Conv1D(3, 5)])
    widget = RFWidget(model, image=np.ones((321, 2), np.float32))
    assert widget.wait(60)
    assert widget.model_input_shape == (321, 2)
    widget.image = np.ones((123, 2), np.float32)
    assert widget.wait(60)
    assert widget.view is not None
    assert widget.view.grid == Size(119, 1)
    widget.close()


def test_the_code_and_the_preprocessing_have_one_axis() -> None:
    came: list[tuple[int, ...]] = []

    def preprocess(signal: Any) -> Any:
        came.append(signal.shape)
        return 2 * signal

    widget = shown(keras_model, (200, 2), selected=3, preprocess=preprocess, query=(4, 9))
    assert set(came) == {(200, 2)}
    assert "selected=(3,)" in widget.code()
    assert "query=(4, 9)" in widget.code()
    widget.close()


def test_a_recurrence_is_drawn_to_the_border_and_told_as_endless() -> None:
    image = keras.Input((60, 2))
    widget = RFWidget(keras.Model(image, layers.LSTM(3, return_sequences=True)(image)))
    assert widget.wait(60)
    assert widget.rf.rect_at((20,)) == Rect(-np.inf, 21)
    assert widget._overlay.field["x"]["edges"] == [[None, 1]]
    tags = [mark.text for mark in widget._scene().marks if isinstance(mark, Tag)]
    assert all(text.endswith("\u2190 all") for text in tags)
    widget.close()


def test_intervals_begin_below_each_other_and_ticks_stand_below_the_signal() -> None:
    field = FieldGeometry(AxisField(1, 4, ((-9, 31),)), AxisField(1, 1, ((0, 1),)))
    scene = build_scene(
        np.zeros((4, 8, 3), np.uint8), GridShape(None, 200, 1, 2), field, Size(50, 1), height=400, signal=True
    )
    layout = scene.layout
    across, down = layout.scales
    assert down > 50 * across
    outlines = [mark for mark in scene.marks if isinstance(mark, Line) and mark.look in CORNERS.values()]
    tops = [min(y for _, y in mark.paths[0]) for mark in outlines]
    assert np.diff(tops).min() >= 16
    lefts = [min(x for x, _ in mark.paths[0]) - 1 for mark in outlines]
    np.testing.assert_allclose(
        lefts, [layout.margin.left + at * across for at in (-9, 25 * 4 - 9, 49 * 4 - 9)], atol=1e-9
    )
    ticks = next(mark for mark in scene.marks if isinstance(mark, Line) and mark.look not in CORNERS.values())
    bottom = layout.margin.top + down
    assert all(bottom < low < high <= layout.size.h for (_, low), (_, high) in ticks.paths)
    first = ticks.paths[0][0][0]
    assert (first - layout.margin.left) / across % 4 == pytest.approx(11 % 4)


def test_few_channels_are_lines_and_many_an_image() -> None:
    line = draw_signal(np.array([[0.0], [1.0]]).repeat(50, 0))
    assert line.shape == (HEIGHT, WIDTH, 3)
    dark = line.min(axis=2) < 100
    left, right = np.flatnonzero(dark[:, WIDTH // 4]), np.flatnonzero(dark[:, 3 * WIDTH // 4])
    assert left.min() > right.max()  # low values stand below high ones
    spike = np.zeros((100_000, 1))
    spike[70_000] = 1
    peak = (draw_signal(spike).min(axis=2) < 100)[: HEIGHT // 4].any(axis=0)
    assert abs(np.flatnonzero(peak).mean() - 0.7 * WIDTH) < 2
    many = draw_signal(np.linspace(0, 1, 9)[None].repeat(30, 0))
    assert len(np.unique(many[: HEIGHT // 2, 5], axis=0)) >= 4


def test_pictures_and_pages_have_the_signal_and_its_gradient_maps(tmp_path: Path) -> None:
    widget = shown(keras_model, (200, 2), selected=20)
    widget.save_png(tmp_path / "rf.png")
    assert Image.open(tmp_path / "rf.png").width > 1000
    widget.to_html(tmp_path / "rf.html", layers=["pool", "wide"], progress=False)
    text = (tmp_path / "rf.html").read_text(encoding="utf-8")
    page = json.loads(re.findall(r'class="rfwidget-data">(.*?)</script>', text, re.DOTALL)[0])
    assert [layer["axes"] for layer in page["shown"]] == [1, 1]
    assert [layer["grid"] for layer in page["shown"]] == [[50, 1], [200, 1]]
    assert page["layers"][-1]["size"] == [10]
    assert "Move over the signal to see receptive fields and gradient maps; click to keep the nearest cell" in text
    assert widget.rf.output_layer == "pool"  # other layers are measured beside
    widget.show_erf = True
    assert widget.wait(60, background=True)
    assert widget._overlay.contours is not None
    widget.close()


def test_an_estimator_is_shown_as_its_model_is() -> None:
    rf = KerasReceptiveField(keras_model())
    widget = RFWidget(rf)
    assert widget.wait(60)
    assert widget.rf is rf
    assert widget.rf_params == rf.rf_params
    widget.close()
