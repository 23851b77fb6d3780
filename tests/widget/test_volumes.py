"""Models of volumes in the widget: the same calls as for images, with three axes in everything that comes back."""

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

import rfwidget
from rfwidget import RFWidget
from rfwidget.errors import ReceptiveFieldError
from rfwidget.geometry import AxisField, FieldGeometry
from rfwidget.network import Patch
from rfwidget.signals import get_default_volume, get_default_volumes
from rfwidget.torch import TorchReceptiveField
from rfwidget.types import GridPoint, GridShape, Rect, Size
from rfwidget.widget.heat import SHARES
from rfwidget.widget.overlay import Query, Request, Setting
from rfwidget.widget.scene import Line, Tag
from rfwidget.widget.section_scene import build_section_scene, section_layout
from rfwidget.widget.sections import cut_levels, cut_through, picture_of, picture_size, sections_of

SHAPE = (10, 16, 24, 1)


def keras_model(depth: int = 10, height: int = 16, width: int = 24, channels: int = 1) -> keras.Model:
    """A kernel of 3 x 3 x 5 behind a pool of 1 x 2 x 2 and one of 3 x 5 x 7, along z, y and x."""
    image = keras.Input((depth, height, width, channels))
    x = layers.Conv3D(2, (3, 5, 7), name="wide")(image)
    x = layers.AveragePooling3D((1, 2, 2))(x)
    return keras.Model(image, layers.Conv3D(3, (3, 3, 5), padding="same", name="grid")(x))


def torch_model() -> nn.Module:
    """The same in PyTorch."""
    return nn.Sequential(
        nn.Conv3d(1, 2, (3, 5, 7)), nn.AvgPool3d((1, 2, 2)), nn.Conv3d(2, 3, (3, 3, 5), padding=(1, 1, 2))
    )


SIZE = Size(w=7 + 1 + 4 * 2, h=5 + 1 + 2 * 2, d=3 + 2)
CASES: list[tuple[Any, tuple[int, ...]]] = [(keras_model, SHAPE), (torch_model, (1, 10, 16, 24))]


def shown(
    build: Any = torch_model, shape: tuple[int, ...] = (1, 10, 16, 24), *, background: bool = False, **view: Any
) -> RFWidget:
    widget = RFWidget(build(), input_shape=shape, **view)
    assert widget.wait(60, background=background)
    assert widget.error is None
    return widget


@pytest.mark.parametrize(("build", "shape"), CASES)
def test_a_model_of_volumes_is_measured_and_answered_with_three_axes(build: Any, shape: tuple[int, ...]) -> None:
    widget = shown(build, shape, background=True)
    assert widget.rf_params is not None
    assert (widget.rf_params.size, widget.rf_params.stride) == (SIZE, (2.0, 2.0, 1.0))
    assert widget.model_input_shape == SHAPE
    assert widget.selected == (4, 3, 4)
    gradient = widget.gradient
    assert gradient is not None
    assert gradient.shape == SHAPE
    places = np.argwhere(gradient.any(axis=-1))
    seen = widget.rf.rect_at(widget.selected, clip=True)
    assert (*reversed(places.min(axis=0)), *reversed(places.max(axis=0) + 1)) == seen
    assert widget.survey is not None
    assert [row.size for row in widget.survey][-1] == SIZE
    told = widget._overlay
    assert (told.axes, told.grid, told.volume["size"]) == (3, [9, 6, 8], [24, 16, 10])
    assert (told.image_size, told.live_cells) == ([int(side) for side in picture_size(Size(24, 16, 10))], 0)
    assert len(told.feature_map["rgba"]) == 4 * 9 * 6 * 8
    widget.close()


def test_the_page_asks_for_cells_and_boxes_of_three_axes() -> None:
    widget = shown()
    widget._on_request(Request("page", 1, widget._revision, GridPoint(2, 1, 5)))
    assert widget.wait(60)
    assert widget.selected == GridPoint(2, 1, 5)
    for cell in (GridPoint(2, 1, 8), GridPoint(2, 1)):
        widget._on_request(Request("page", 2, widget._revision, cell))
    assert widget.selected == GridPoint(2, 1, 5)
    widget._on_page_query(Query((3, 4, 5, 4, 5, 6)))
    assert widget.query == GridPoint(3, 4, 5)
    widget._on_page_query(Query((3, 4, 5, 8, 9, 7)))
    assert widget.query == Rect(3, 4, 5, 8, 9, 7)
    widget._on_page_query(Query((3, 4, 5, 8, 9, 11)))  # beyond the volume
    assert widget.query == Rect(3, 4, 5, 8, 9, 7)
    widget._on_page_setting(Setting("image", "video"))
    assert widget.wait(60)
    assert "video" in widget._overlay.input
    widget.close()


def test_what_does_not_fit_is_refused_in_words_and_changes_nothing() -> None:
    widget = shown()
    for name, value, words in (
        ("query", (3, 4), r"query is \(3, 4\): expected a voxel \(x, y, z\) or a box"),
        ("query", (3, 4, 10), "inside"),
        ("selected", (3, 4), "cell"),
        ("image", "phantm", "no sample volume 'phantm'.*did you mean 'phantom'"),
        ("image", np.zeros((8, 9, 10)), "the volume is 10x9x8 voxels"),
        ("bands", (0, 1, 2), "a volume has none to choose from"),
        ("show_erf", True, "effective field of a volume"),
    ):
        before = getattr(widget, name)
        with pytest.raises(ReceptiveFieldError, match=f"(?s){words}"):
            setattr(widget, name, value)
        assert getattr(widget, name) is before
    widget.close()


def test_arrays_without_channels_and_tensors_are_volumes() -> None:
    volume = get_default_volume((10, 16, 24), "video")
    for image in (volume, volume[..., 0], np.moveaxis(volume, -1, 0)):
        widget = shown(image=image)
        assert widget._view is not None
        np.testing.assert_allclose(widget._view.image, volume)
        widget.close()


def test_two_layers_of_volumes_follow_each_other_by_the_place() -> None:
    one, other = shown(), shown(output_layer="1")
    link = rfwidget.link(one, other)
    one.selected = (1, 2, 6)
    at = [axis.centre_at(cell) for axis, cell in zip(one.rf.field, one.selected, strict=True)]
    there = [axis.centre_at(cell) for axis, cell in zip(other.rf.field, other.selected, strict=True)]
    assert np.abs(np.subtract(at, there)).max() <= 0.5
    link.unlink()
    one.close()
    other.close()


# Sections


def test_each_section_shows_the_voxels_of_its_plane() -> None:
    depth, height, width = 5, 10, 20
    volume = np.arange(depth * height * width).reshape(depth, height, width, 1)
    picture = picture_of(volume, (7, 4, 2), -1)[:, :, 0]
    assert picture.shape == tuple(reversed(picture_size(Size(width, height, depth))))
    assert picture[3, 6] == volume[2, 3, 6, 0]
    assert picture[3, 23 + 1] == volume[1, 3, 7, 0]
    assert picture[13 + 4, 6] == volume[4, 4, 6, 0]
    assert (picture == -1).sum() == picture.size - (width * height + depth * height + width * depth)


def test_sections_cut_through_the_centre_of_the_field_and_stay_in_the_volume() -> None:
    axis = AxisField(1, 2, ((-7, 2),))
    field = FieldGeometry(axis, axis, AxisField(1, 2, ((0, 6),)))
    assert cut_through(field, GridPoint(0, 3, 1), Size(20, 10, 5)) == (0, 3, 4)


def test_a_gradient_map_is_cut_where_the_sections_are_and_its_mass_is_counted_in_space() -> None:
    shape = GridShape(None, 20, 10, 5, 1)
    values = np.zeros((3, 4, 5, 1), np.float32)
    values[1, 2, 3] = 100.0  # z 2, y 4, x 9
    values[0, 2, 3] = 1.0
    patch = Patch(values, 6, 2, 1)
    levels = cut_levels(patch, (9, 4, 2), shape, mass=True)
    full = np.zeros((10 + 3 + 5, 20 + 3 + 5), np.uint8)
    left, top, right, bottom = levels.box
    full[top:bottom, left:right] = levels.values
    assert {(int(x), int(y)) for y, x in np.argwhere(full)} == {
        *[(9, 4)],
        *[(23 + 1, 4), (23 + 2, 4)],
        *[(9, 13 + 1), (9, 13 + 2)],
    }
    assert levels.mass == tuple((share, (9, 4, 2, 10, 5, 3)) for share in SHARES)
    assert not cut_levels(patch, (0, 0, 0), shape).values.size  # cut where there is none


def test_boxes_that_a_section_meets_are_told_from_those_that_it_does_not() -> None:
    axis = AxisField(1, 2, ((0, 4),))
    size, grid = Size(20, 10, 8), Size(9, 4, 3)
    field, volume = FieldGeometry(axis, axis, axis), np.zeros((8, 10, 20, 3), np.uint8)
    scene = build_section_scene(volume, GridShape(None, *size, 3), field, grid, GridPoint(0, 0, 1), dots=False)
    assert scene.cut == (2, 2, 4)
    boxes = [mark for mark in scene.marks if isinstance(mark, Line)]
    assert len(boxes) == 3 * 3
    # First: 0..4 along each axis; central: x 8..12, y 4..8, z 2..6; last: x 16..20, y 6..10, z 4..8.
    faint = [[box.is_faint(scene.cut) for box in boxes[3 * k : 3 * k + 3]] for k in range(3)]
    assert faint == [[True, False, False], [False, True, True], [False, True, True]]
    assert [mark.text.split()[0] for mark in scene.marks if isinstance(mark, Tag)] == ["first", "central", "last"]
    for section in sections_of(size):
        own = section_layout(scene.layout, section, size)
        np.testing.assert_allclose(own.size, scene.layout.size)
        assert own.scale == scene.layout.scale


def test_the_saved_picture_shows_the_sections_and_the_page_holds_the_volume(tmp_path: Path) -> None:
    volume = get_default_volume((10, 16, 24))
    widget = shown(keras_model, SHAPE, background=True, image=volume, query=(3, 4, 5), compare_layer="wide")
    widget.save_png(tmp_path / "volume.png")
    with Image.open(tmp_path / "volume.png") as picture:
        colours = np.asarray(picture.convert("RGB")).reshape(-1, 3)
    for colour in ((0x2B, 0x4C, 0xFF), (0xFF, 0xE1, 0x4D)):  # the central box, the question
        assert (colours == colour).all(axis=1).any()
    widget.to_html(tmp_path / "volume.html", cells=5, progress=False)
    text = (tmp_path / "volume.html").read_text()
    data = json.loads(re.search(r'class="rfwidget-data">(.*?)</script>', text, re.DOTALL)[1])  # type: ignore[index]
    (layer,) = data["shown"]
    assert (layer["volume"]["size"], layer["grid"], data["query"]) == ([24, 16, 10], [9, 6, 8], [3, 4, 5, 4, 5, 6])
    maps = [map_ for sheet in layer["sheets"] for map_ in sheet["maps"]]
    assert 1 <= len(maps) <= 6
    assert "to see receptive fields; click to see the gradient map of the nearest cell" in text
    assert all(len(map_["cell"]) == 3 and all(len(box) == 6 for _, box in map_["mass"]) for map_ in maps)
    widget.close()


def test_sample_volumes_are_offered_and_move() -> None:
    assert get_default_volumes() == ["phantom", "video"]
    video = get_default_volume((8, 20, 30), "video")[..., 0]
    assert 0 <= video.min() < video.max() <= 1
    bright = [np.unravel_index(frame.argmax(), frame.shape) for frame in video]
    assert len(set(bright)) == len(bright)
    with pytest.raises(ReceptiveFieldError, match=r"no sample volume 'vido'.*'video'"):
        get_default_volume((8, 20, 30), "vido")


def test_an_estimator_of_volumes_is_shown_as_it_is() -> None:
    rf = TorchReceptiveField(torch_model())
    widget = RFWidget(rf, input_shape=(1, 10, 16, 24), selected=(0, 0, 0))
    assert widget.wait(60)
    assert widget.rf is rf
    assert widget.selected == (0, 0, 0)
    assert "selected=(0, 0, 0)" in widget.code()
    widget.close()
