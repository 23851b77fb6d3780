"""The self-contained page, without a browser."""

from __future__ import annotations

import base64
import hashlib
import io
import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from rfwidget import RFWidget
from rfwidget.errors import ReceptiveFieldError
from rfwidget.image import as_model_input, as_picture, default_input
from rfwidget.types import GridPoint, Size
from rfwidget.widget import engine
from rfwidget.widget import page as page_module
from rfwidget.widget import view as view_module
from rfwidget.widget.heat import HEAT_SCALES, Colouring, bar_ticks, levels_of, lookup_table, palette
from rfwidget.widget.page import choose_cells
from tests.box_filter import BoxReceptiveField
from tests.widget.live_page import LivePage

SHAPE = (40, 64, 3)
EVIL = "</script><b onclick='x'>&amp;\u2028"


class EvilReceptiveField(BoxReceptiveField):
    LAYERS = {EVIL: BoxReceptiveField.LAYERS["wide"]}  # noqa: RUF012


@pytest.fixture(scope="module")
def widget() -> Iterator[RFWidget]:
    made = RFWidget(BoxReceptiveField(), input_shape=SHAPE)
    assert made.wait(60, background=True)
    yield made
    made.close()


def data_of(path: Path) -> dict[str, Any]:
    [data] = re.findall(r'<script type="application/json" class="rfwidget-data">(.*?)</script>', path.read_text())
    parsed: dict[str, Any] = json.loads(data)
    return parsed


def picture(address: str) -> Image.Image:
    head, _, content = address.partition(",")
    assert head == "data:image/png;base64"
    return Image.open(io.BytesIO(base64.b64decode(content)))


def test_of_a_huge_grid_the_feature_map_stays_behind(
    widget: RFWidget, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    widget.to_html(tmp_path / "page.html", cells=1)
    assert data_of(tmp_path / "page.html")["shown"][0]["features"].startswith("data:image/png")
    monkeypatch.setattr(view_module, "MAX_SHOWN_CELLS", 14 * 18 - 1)
    widget.to_html(tmp_path / "page.html", cells=1)
    assert data_of(tmp_path / "page.html")["shown"][0]["features"] == ""


def test_every_map_is_that_of_its_cell(widget: RFWidget, tmp_path: Path) -> None:
    cells = [(0, 0), (5, 3), (13, 17)]
    size = widget.to_html(tmp_path / "page.html", cells=cells)
    assert size == (tmp_path / "page.html").stat().st_size
    page = data_of(tmp_path / "page.html")
    [layer] = page["shown"]
    photo = default_input(widget.rf.input_shape)
    [sheet] = layer["sheets"]
    assert [tuple(map_["cell"]) for map_ in sheet["maps"]] == cells
    bytes_, top = np.asarray(picture(sheet["picture"])), 0
    assert list(bytes_.shape[::-1]) == sheet["size"]
    for cell, map_ in zip(cells, sheet["maps"], strict=True):
        patch = widget.rf.gradient_patch(GridPoint(*cell), as_model_input(photo, widget.rf.input_shape))
        levels = levels_of(patch, mass=True)
        assert tuple(map_["box"]) == levels.box
        assert (map_["full"], map_["weight"]) == (levels.full, levels.weight)
        assert map_["mass"] == [[share, list(box)] for share, box in levels.mass]
        h, w = levels.values.shape
        np.testing.assert_array_equal(bytes_[top : top + h, :w], levels.values)
        top += h
    np.testing.assert_array_equal(np.asarray(picture(page["pixels"])), as_picture(photo))
    assert page["photo"].startswith("data:image/jpeg;base64,")
    assert picture(layer["features"]).size == (14, 18)
    assert [row["name"] for row in page["layers"]] == ["wide", "tall"]


def test_the_colours_of_a_page_are_those_of_the_widget_on_every_scale_with_and_without_signs(
    widget: RFWidget, tmp_path: Path
) -> None:
    widget.to_html(tmp_path / "page.html", cells=1)
    page = data_of(tmp_path / "page.html")
    palettes, names = page["palettes"], page["controls"]["colormaps"]

    def table(text: str, *shape: int) -> npt.NDArray[np.uint8]:
        return np.frombuffer(base64.b64decode(text), np.uint8).reshape(shape)

    assert (names[0], palettes["automatic"]) == ("automatic", ["magma", "coolwarm"])
    assert sorted(palettes["tables"]) == sorted(names[1:])
    assert sorted(palettes["scales"]) == sorted(HEAT_SCALES)
    for name, scale, signed in itertools.product(names[1:], HEAT_SCALES, (False, True)):
        ramp, colouring = palettes["scales"][scale][signed], Colouring(name, signed, scale)
        colours = table(palettes["tables"][name], 256, 3)[table(ramp["index"], 256)]
        expected = palette(colouring)
        np.testing.assert_array_equal(colours[1:], expected[1:, :3])
        np.testing.assert_array_equal(table(ramp["opacity"], 256), expected[:, 3])
        assert ramp["ranked"] == (scale == "percentile")
        assert ramp["ticks"] == [list(tick) for tick in bar_ticks(colouring)]


def test_a_page_has_the_colour_map_of_its_widget_among_those_to_choose_from(tmp_path: Path) -> None:
    widget = RFWidget(BoxReceptiveField(), input_shape=SHAPE, colormap="twilight", signed=True, heat_scale="log")
    widget.to_html(tmp_path / "page.html", cells=1)
    widget.close()
    page = data_of(tmp_path / "page.html")
    controls = page["controls"]
    assert (controls["colormap"], controls["signed"], controls["heat_scale"]) == ("twilight", True, "log")
    assert "twilight" in controls["colormaps"]
    assert base64.b64decode(page["palettes"]["tables"]["twilight"]) == lookup_table("twilight")[:, :3].tobytes()


def test_other_layers_are_measured_without_a_change_to_the_widget(widget: RFWidget, tmp_path: Path) -> None:
    widget.to_html(tmp_path / "page.html", layers=["tall", "wide"], cells=4)
    tall, wide = data_of(tmp_path / "page.html")["shown"]
    assert (tall["layer"], tall["grid"], tall["field"]["x"]["pixels"]) == ("tall", [60, 11], 1)
    assert (wide["layer"], wide["selected"]) == ("wide", list(widget.selected))
    assert widget.rf.output_layer == "wide"


def test_progress_grows_to_the_end_over_all_layers(widget: RFWidget, tmp_path: Path) -> None:
    told: list[float] = []
    widget.to_html(tmp_path / "page.html", ["wide", "tall"], 3, progress=lambda fraction, _: told.append(fraction))
    assert told == sorted(told)
    assert (told[0], told[-1]) == (0.0, 1.0)


@pytest.fixture
def asking() -> Iterator[RFWidget]:
    """A widget that asks everything; nobody has waited for it."""
    made = RFWidget(
        BoxReceptiveField(),
        input_shape=SHAPE,
        preprocess=lambda image: image / 2,
        query=(3, 4, 9, 8),
        compare_layer="tall",
        show_erf=True,
    )
    yield made
    made.close()


def test_the_page_asks_what_the_widget_asks(asking: RFWidget, tmp_path: Path) -> None:
    asking.to_html(tmp_path / "page.html", ["wide", "tall"], cells=2)
    page = data_of(tmp_path / "page.html")
    assert (page["query"], page["compare"]) == ([3, 4, 9, 8], "tall")
    assert "tall" in [row["name"] for row in page["layers"]]
    assert asking.wait(60, background=True)
    wide, tall = page["shown"]
    assert wide["contours"] == LivePage(asking).state.contours
    assert tall["contours"]["y"]["stride"] == 3
    assert [level["share"] for level in tall["contours"]["levels"]] == [0.5, 0.95]


def test_effective_fields_come_from_the_images_that_the_widget_takes(
    asking: RFWidget, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert asking.wait(60, background=True)
    taken: list[Any] = []
    measure = asking.rf.effective

    def effective(images: list[Any], **others: Any) -> Any:
        taken.append(images)
        return measure(images, **others)

    monkeypatch.setattr(asking.rf, "effective", effective)
    asking.show_erf = False
    asking.show_erf = True
    assert asking.wait(60, background=True)
    asking.to_html(tmp_path / "page.html", cells=2)
    live, embedded = taken
    np.testing.assert_array_equal(live, embedded)
    assert np.max(live[1]) <= 127.5  # preprocessed


def test_a_page_of_a_widget_that_asks_nothing_asks_nothing(widget: RFWidget, tmp_path: Path) -> None:
    widget.to_html(tmp_path / "page.html", cells=1)
    page = data_of(tmp_path / "page.html")
    assert (page["query"], page["compare"], page["shown"][0]["contours"]) == (None, "", None)


def test_progress_tells_of_effective_fields_and_grows_all_the_same(asking: RFWidget, tmp_path: Path) -> None:
    told: list[tuple[float, str]] = []
    asking.to_html(tmp_path / "page.html", ["wide", "tall"], 3, progress=lambda *report: told.append(report))
    fractions = [fraction for fraction, _ in told]
    assert fractions == sorted(fractions)
    assert (fractions[0], fractions[-1]) == (0.0, 1.0)
    assert any(words.startswith("effective receptive field of tall: image 1, gradient 2 of") for _, words in told)


def test_effective_fields_count_against_the_limit_and_their_failure_leaves_no_file(
    asking: RFWidget, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "contours_to_json", lambda *_: {"levels": [0] * 100_000})
    with pytest.raises(ReceptiveFieldError, match="the effective receptive field of wide already takes"):
        asking.to_html(tmp_path / "page.html", cells=1, max_bytes=400_000)

    def fail(*_: Any, **__: Any) -> None:
        raise ReceptiveFieldError("the gradient is zero")

    monkeypatch.undo()
    monkeypatch.setattr(asking.rf, "effective", fail)
    with pytest.raises(ReceptiveFieldError, match="the gradient is zero"):
        asking.to_html(tmp_path / "page.html", cells=1)
    assert not list(tmp_path.iterdir())


def test_policy_allows_exactly_the_script_and_the_style_of_the_page(widget: RFWidget, tmp_path: Path) -> None:
    widget.to_html(tmp_path / "page.html", cells=1)
    text = (tmp_path / "page.html").read_text()
    [policy] = re.findall(r'http-equiv="Content-Security-Policy" content="(.*?)"', text)
    for kind, content in (
        ("script", re.findall(r"<script>(.*?)</script>", text, re.DOTALL)[0]),
        ("style", re.findall(r"<style>(.*?)</style>", text, re.DOTALL)[0]),
    ):
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert not re.search(r"""(src|href)=["']?https?:""", text)


def test_a_page_whose_script_stands_beside_it_has_nothing_inline(widget: RFWidget, tmp_path: Path) -> None:
    sizes = [widget.to_html(tmp_path / name, cells=1, inline=False) for name in ("one.html", "two.html")]
    beside = sorted((path.name for path in tmp_path.iterdir() if path.suffix != ".html"), key=lambda name: name[-3:])
    assert [re.sub("-[0-9a-f]{12}", "", name) for name in beside] == ["rfwidget.js", "rfwidget.css"]  # both share them
    lengths = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    assert sizes == [lengths[name] + sum(lengths[other] for other in beside) for name in ("one.html", "two.html")]
    text = (tmp_path / "one.html").read_text()
    assert re.findall(r'(?:<script src|<link rel="stylesheet" href)="(.*?)"', text) == beside[::-1]
    assert re.findall(r"<script(?! src)(.*?)>", text) == [' type="application/json" class="rfwidget-data"']
    assert not re.search(r"<style|style=|\son\w+=", text)
    [policy] = re.findall(r'http-equiv="Content-Security-Policy" content="(.*?)"', text)
    assert "script-src 'self'; style-src 'self';" in policy


def test_files_beside_a_page_count_against_the_limit_and_are_not_left_behind(widget: RFWidget, tmp_path: Path) -> None:
    size = widget.to_html(tmp_path / "page.html", cells=1, inline=False)
    for path in tmp_path.iterdir():
        path.unlink()
    with pytest.raises(ReceptiveFieldError, match="all of it together"):
        widget.to_html(tmp_path / "page.html", cells=1, inline=False, max_bytes=size - 1)
    assert not list(tmp_path.iterdir())


def test_title_and_note_are_text_above_the_picture(widget: RFWidget, tmp_path: Path) -> None:
    widget.to_html(tmp_path / "page.html", cells=1, title="A <b>net</b>", note="Weights & <i>all</i>.")
    text = (tmp_path / "page.html").read_text()
    assert "<title>A &lt;b&gt;net&lt;/b&gt;</title>" in text
    assert "<h1>A &lt;b&gt;net&lt;/b&gt;</h1>\n<p>Weights &amp; &lt;i&gt;all&lt;/i&gt;.</p>\n<p>Move over" in text


def test_names_are_text_wherever_they_stand(tmp_path: Path) -> None:
    widget = RFWidget(EvilReceptiveField(), input_shape=SHAPE)
    widget.to_html(tmp_path / "page.html", cells=1)
    widget.close()
    text = (tmp_path / "page.html").read_text()
    assert data_of(tmp_path / "page.html")["shown"][0]["layer"] == EVIL
    assert "<b onclick" not in text
    assert text.count("</script>") == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"max_bytes": 1000}, "larger than 1000 bytes: the image already"),
        ({"max_bytes": 200_000, "cells": 200}, r"gradient map \d+ of \d+ of layer 'wide' already takes.*cells=25"),
        ({"layers": ["tal"]}, "did you mean 'tall'"),
        ({"layers": []}, "name at least one"),
        ({"cells": 0}, "at least 1"),
        ({"cells": True}, "at least 1"),
        ({"cells": []}, "at least one cell"),
        ({"cells": [(14, 0)]}, "outside the 14x18 grid"),
    ],
)
def test_what_cannot_be_written_is_refused_and_leaves_no_file(
    widget: RFWidget, tmp_path: Path, arguments: dict[str, Any], words: str
) -> None:
    with pytest.raises(ReceptiveFieldError, match=words):
        widget.to_html(tmp_path / "page.html", **arguments)
    assert not (tmp_path / "page.html").exists()


def test_a_path_that_is_none_is_refused(widget: RFWidget) -> None:
    with pytest.raises(ReceptiveFieldError, match=r"expected the name of a file, 'rf\.html' say"):
        widget.to_html("")


def test_a_widget_that_could_not_measure_writes_nothing(tmp_path: Path) -> None:
    widget = RFWidget(BoxReceptiveField(), output_layer="tal")
    with pytest.raises(ReceptiveFieldError, match="no layer has been measured"):
        widget.to_html(tmp_path / "page.html")
    widget.close()


def test_a_closed_widget_writes_nothing(tmp_path: Path) -> None:
    widget = RFWidget(BoxReceptiveField())
    assert widget.wait(20)
    widget.close()
    with pytest.raises(ReceptiveFieldError, match="closed"):
        widget.to_html(tmp_path / "page.html")


@given(st.integers(1, 300), st.integers(1, 300), st.integers(1, 200))
def test_chosen_cells_are_different_inside_the_grid_and_not_too_many(w: int, h: int, most: int) -> None:
    cells = choose_cells(Size(w, h), most)
    assert 1 <= len(cells) == len(set(cells)) <= most
    assert all(0 <= x < w and 0 <= y < h for x, y in cells)
    if most >= w * h:
        assert len(cells) == w * h


def test_the_selected_cell_is_always_among_the_chosen() -> None:
    assert GridPoint(1, 1) in choose_cells(Size(40, 30), 9, GridPoint(1, 1))


def test_all_cells_are_embedded_unless_somebody_says_how_many(widget: RFWidget, tmp_path: Path) -> None:
    widget.to_html(tmp_path / "page.html", layers=["wide", "tall"])
    wide, tall = (
        [tuple(map_["cell"]) for sheet in layer["sheets"] for map_ in sheet["maps"]]
        for layer in data_of(tmp_path / "page.html")["shown"]
    )
    assert sorted(wide) == [(x, y) for x in range(14) for y in range(18)]
    assert wide[0] == widget.selected
    assert len(tall) == 100
    assert {(x, y) for x in range(27, 34) for y in range(2, 9)} <= set(tall)  # around the central cell, (30, 5)


@pytest.mark.parametrize("together", [4, 64])  # maps in a picture: many of them fit, or not even one
def test_where_not_all_cells_fit_those_around_the_selected_one_are_embedded(
    widget: RFWidget, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, together: int
) -> None:
    widget.to_html(tmp_path / "page.html", cells=1)
    bare = (tmp_path / "page.html").stat().st_size
    monkeypatch.setattr(page_module, "_TOGETHER", together)
    size = widget.to_html(tmp_path / "page.html", max_bytes=bare + 30_000)
    assert size <= bare + 30_000
    [layer] = data_of(tmp_path / "page.html")["shown"]
    cells = [tuple(map_["cell"]) for sheet in layer["sheets"] for map_ in sheet["maps"]]
    assert 4 <= len(cells) < 14 * 18
    x, y = widget.selected
    assert cells == sorted(cells, key=lambda cell: (cell[0] - x) ** 2 + (cell[1] - y) ** 2)


def test_the_layers_behind_the_first_have_maps_in_what_room_is_left(widget: RFWidget, tmp_path: Path) -> None:
    widget.to_html(tmp_path / "page.html", layers=["wide", "tall"], cells=1)
    bare = (tmp_path / "page.html").stat().st_size
    size = widget.to_html(tmp_path / "page.html", layers=["wide", "tall"], max_bytes=bare + 20_000)
    assert bare + 10_000 < size <= bare + 20_000
    held = [sum(len(sheet["maps"]) for sheet in layer["sheets"]) for layer in data_of(tmp_path / "page.html")["shown"]]
    assert held[0] > held[1] > 1
