"""The command line: what it prints where, and its exit status, for good input and for bad."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import click
import pytest
from PIL import Image

from rfwidget.cli import cli, main
from rfwidget.effective import EffectiveField
from rfwidget.image import get_default_image

ROOT = Path(__file__).parents[1]

KERAS, TORCH, BOX = "tests.nets:keras_net", "tests.nets:torch_net", "tests.nets:box"
VOLUME, SEQUENCE = "tests.nets:keras_volume", "tests.nets:torch_sequence"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder with three pictures of one size and a file that is none."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("rings", "text", "gradient"):
        get_default_image((48, 32), name=name, as_image=True).save(folder / f"{name}.png")
    (folder / "notes.txt").write_text("no picture")
    return folder


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    status = main([str(argument) for argument in arguments])
    out = capsys.readouterr()
    return status, out.out, out.err


def test_a_survey_is_a_table_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(capsys, "survey", KERAS, "--input-shape", 32, 48, 3)
    assert (status, err) == (0, "")
    assert out.splitlines() == [
        "2 layers on 'image', 48 x 32 pixels",
        "",
        "layer    size  stride    offset     grid  remarks",
        "first   5 x 3       2  2.5, 1.5  22 x 15",
        "second  9 x 7       2  4.5, 3.5  20 x 13",
    ]


def test_a_survey_is_json_csv_and_a_page_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    _, text, _ = run(capsys, "survey", TORCH, "--input-shape", 3, 32, 48, "--format", "json")
    found = json.loads(text)
    assert found["image"] == {"layer": "input", "w": 48, "h": 32, "c": 3}
    assert [(layer["size_w"], layer["size_h"]) for layer in found["layers"]] == [(5, 3), (5, 3), (9, 7)]
    _, text, _ = run(capsys, "survey", TORCH, "--format", "csv", "--layers", "2")
    (row,) = csv.DictReader(io.StringIO(text))
    assert (row["layer"], row["size_w"], row["stride_x"]) == ("2", "9", "2.0")
    _, text, _ = run(capsys, "survey", BOX, "--format", "html")
    assert text.startswith("<!doctype html>")
    assert "tall" in text


def test_a_shape_has_as_many_numbers_as_the_input_has_axes_and_one(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    shape = ("--input-shape", 20, 31, 48, 1)
    status, out, _ = run(capsys, "survey", *shape, VOLUME)
    assert status == 0
    assert out.splitlines()[0].endswith("48 x 31 x 20 voxels")
    assert out.splitlines()[-1].split("  ") == ["thick", "9 x 7 x 5", "3 x 2 x 1", "4.5, 3.5, 2.5", "14 x 13 x 16"]
    status, out, _ = run(capsys, "check", VOLUME, *shape, "--size", "9x7x5", "--max-stride", 3, "--covers", "7x6x5")
    assert (status, out[:3]) == (0, "ok:"), out
    status, out, _ = run(capsys, "check", SEQUENCE, "--input-shape=2", 101, "--size", 7, "--stride", 2, "-q")
    assert (status, out) == (0, "ok: layer '1' on 101 samples: size: 7 (expected 7); stride: 2 (expected 2)\n")
    for model, asked, cell in (VOLUME, shape, (5, 4, 3)), (SEQUENCE, ("--input-shape", 2, 101), (20,)):
        picture = tmp_path / f"{len(cell)}.png"
        status, _, err = run(
            capsys, "plot", model, *asked, "--kind", "gradient", "--cell", *cell, "-o", picture, "--local"
        )
        assert (status, err.split(":")[0]) == (0, str(picture))


def test_two_models_stand_side_by_side(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    picture = tmp_path / "both.png"
    status, out, err = run(capsys, "compare", BOX, TORCH, "--layer", "wide", "--layer", "2", "-o", picture)
    assert status == 0
    assert out.splitlines()[:4] == [
        "model     tests.nets:box  tests.nets:torch_net",
        "image     96 x 96         224 x 224",
        "layer     wide            2",
        "size      12 x 6          9 x 7",
    ]
    assert "both.png" in err
    assert Image.open(picture).width > 100
    _, out, _ = run(capsys, "compare", BOX, BOX, "--format", "json")
    assert [entry["layer"] for entry in json.loads(out)] == ["wide", "wide"]
    _, out, _ = run(capsys, "compare", BOX, BOX, "--layer", "tall", "--format", "csv")
    assert [row["layer"] for row in csv.DictReader(io.StringIO(out))] == ["tall", "tall"]


def test_a_check_that_holds_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    asked = ("--min-size", "9x7", "--max-stride", 2, "--size", "9x7", "--stride", "2", "--covers", "8x6")
    status, out, err = run(capsys, "check", KERAS, "--layer", "second", "--input-shape", 33, 49, 3, *asked)
    assert (status, err) == (0, "")
    assert out.startswith("ok: layer 'second' on 49x33 pixels: size: 9 x 7 (expected 9 x 7); ")
    assert out.count("\n") == 1


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        (("--min-size", "10"), "size: 12 x 6 (expected at least 10 x 10)"),
        (("--max-stride", "3x2"), "stride: 4 x 2 (expected at most 3 x 2)"),
        (("--size", "12x7"), "size: 12 x 6 (expected 12 x 7)"),
        (("--covers", "10x5"), "object: not seen whole at x 3 to 13 (expected 10 x 5 anywhere)"),
        (("--covers", "8x6"), "object: not seen whole at y 1 to 7 (expected 8 x 6 anywhere)"),
    ],
)
def test_a_check_that_does_not_hold_is_status_1_and_one_line_that_says_why(
    capsys: pytest.CaptureFixture[str], asked: tuple[str, ...], why: str
) -> None:
    status, out, err = run(capsys, "check", BOX, "--layer", "wide", *asked)
    assert (status, err) == (1, "")
    assert out == f"failed: layer 'wide' on 96x96 pixels: {why}\n"


def test_a_page_is_written(capsys: pytest.CaptureFixture[str], tmp_path: Path, photos: Path) -> None:
    page = tmp_path / "page.html"
    asked = ("--layer", "second", "--layer", "first", "--cells", 4, "--image", photos / "rings.png", "-o", page)
    status, out, err = run(capsys, "show", KERAS, *asked)
    assert (status, out) == (0, "")
    assert "48x32 pixels scaled and cropped to 96x96" in err
    text = page.read_text(encoding="utf-8")
    assert "second" in text
    assert "first" in text


@pytest.mark.parametrize(
    ("kind", "suffix"), [("survey", ".svg"), ("grid", ".png"), ("gradient", ".pdf"), ("effective", ".png")]
)
def test_pictures_are_drawn(capsys: pytest.CaptureFixture[str], tmp_path: Path, kind: str, suffix: str) -> None:
    file = tmp_path / f"drawn{suffix}"
    status, out, _ = run(capsys, "plot", BOX, "--kind", kind, "--quiet", "-o", file)
    assert (status, out) == (0, "")
    assert file.read_bytes()[:5] in (b"<?xml", b"%PDF-", b"\x89PNG\r")


def test_an_effective_field_is_measured_on_a_folder(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, photos: Path
) -> None:
    kept, picture = tmp_path / "field.npz", tmp_path / "field.png"
    asked = ("--layer", "wide", "--input-shape", 32, 48, 3, "--save", kept, "-o", picture)
    status, out, _ = run(capsys, "effective", BOX, photos, *asked)
    assert status == 0
    assert out.startswith("wide: 3 images, 9 cells, field 12 x 6\n")
    assert EffectiveField.load(kept).images == 3
    assert picture.exists()
    _, out, _ = run(capsys, "effective", BOX, photos, "--fit", "--quiet", "--format", "json")
    assert json.loads(out)["images"] == 3


def test_quiet_leaves_results_alone(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    status, out, err = run(capsys, "plot", "tests.nets:fetching", "-q", "-o", tmp_path / "a.png")
    assert (status, out, err) == (0, "", "")
    status, _, err = run(capsys, "plot", "tests.nets:fetching", "-o", tmp_path / "a.png")
    assert status == 0
    assert err.startswith("note: fetching is called with weights=None")


BAD = {
    "no such file": (["survey", "nowhere.keras"], "no such file: 'nowhere.keras'"),
    "unknown format": (["survey", "pyproject.toml"], "unknown format '.toml'"),
    "a folder": (["survey", "tests"], "without saved_model.pb"),
    "no module": (["survey", "tests.nowhere:net"], "No module named 'tests.nowhere'"),
    "no function": (["survey", "tests.nets:torch_nt"], "did you mean 'torch_net'?"),
    "no model": (["survey", "tests.nets:number"], "the model is 5"),
    "a function that fails": (["survey", "tests.nets:broken"], "RuntimeError: no weights"),
    "a function without return": (["survey", "tests.nets:nothing"], "returned None"),
    "a function that ends the program": (["survey", "tests.nets:leaving"], "ended the program"),
    "no layer": (["check", BOX, "--layer", "wiide", "--min-size", "3"], "did you mean 'wide'?"),
    "no layers": (["survey", BOX, "--layers", "x*"], "no layer 'x*'; layers with a grid: 'wide', 'tall'"),
    "another order": (["survey", TORCH, "--input-shape", "32", "48", "3"], "Write (3, 32, 48)"),
    "no numbers": (["survey", KERAS, "--input-shape", "small"], "'small': expected whole numbers of at least 1"),
    "no shape at all": (["survey", "--input-shape", "--", KERAS], "expected whole numbers of at least 1"),
    "a side of nothing": (["survey", KERAS, "--input-shape", "0", "48", "3"], "'0 48 3': expected whole numbers"),
    "a shape of channels alone": (["survey", TORCH, "--input-shape", "3"], "(3,)"),
    "lengths of other axes": (["check", BOX, "--min-size", "3x3x3"], "one for each axis (x, y)"),
    "a cell of other axes": (["plot", BOX, "--kind", "gradient", "--cell", "3", "-o", "a.png"], "x, y"),
    "nothing to check": (["check", BOX], "nothing is expected"),
    "no length": (["check", BOX, "--min-size", "big"], "expected 96, or 120x80"),
    "an object that is too large": (["check", BOX, "--covers", "97x3"], "the image has 96 x 96 pixels only"),
    "no model at all": (["survey"], "Missing argument 'MODEL'. (see rfwidget survey --help)"),
    "no command": (["surwey"], "No such command 'surwey'"),
    "no picture format": (["plot", BOX, "-o", "a.txt"], "expected one that ends in .png, .svg, .pdf"),
    "no folder to write to": (["plot", BOX, "-o", "nowhere/a.png"], "nowhere/a.png: No such file"),
    "no photo": (["plot", BOX, "--kind", "grid", "--image", "no.png", "-o", "a.png"], "no such file: 'no.png'"),
    "no image": (["plot", BOX, "--kind", "grid", "--image", "README.md", "-o", "a.png"], "no picture that can be read"),
    "an empty data set": (["effective", BOX, "rfwidget/_measure"], "no images in rfwidget/_measure"),
    "no data set": (["effective", BOX, "nowhere"], "no such file: 'nowhere'"),
    "three layers": (["compare", BOX, BOX, *["--layer", "wide"] * 3], "more than twice"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_status_2_and_one_line(capsys: pytest.CaptureFixture[str], name: str) -> None:
    arguments, words = BAD[name]
    status, out, err = run(capsys, *arguments)
    assert (status, out) == (2, "")
    assert err.startswith("rfwidget: ")
    assert err.count("\n") == 1
    assert words in err


def test_images_of_different_sizes_are_refused(capsys: pytest.CaptureFixture[str], photos: Path) -> None:
    get_default_image((40, 32), as_image=True).save(photos / "zebra.png")
    status, _, err = run(capsys, "effective", BOX, photos, "--input-shape", 32, 48, 3)
    assert status == 2
    assert "zebra.png is 40x32 pixels, the model's input 48x32: give images of one size" in err
    assert err.count("\n") == 1


def test_a_mistake_of_ours_is_no_failed_check(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rfwidget.testing.expectations", lambda *_, **__: 1 / 0)
    status, _, err = run(capsys, "check", BOX, "--min-size", 3)
    assert status == 70
    assert "ZeroDivisionError" in err


def test_every_command_has_help_that_names_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    for name, command in cli.commands.items():
        status, out, _ = run(capsys, name, "--help")
        assert status == 0
        for parameter in command.params:
            assert isinstance(parameter, click.Argument) or parameter.help
            assert not parameter.opts[0].startswith("-") or parameter.opts[0] in out
        assert "MODEL" in out


def test_the_module_runs_and_loads_no_framework_for_help() -> None:
    probe = "import sys; from rfwidget.cli import main; main(['--help']); print([m for m in HEAVY if m in sys.modules])"
    probe = f"HEAVY = ('keras', 'tensorflow', 'torch', 'matplotlib', 'numpy'); {probe}"
    out = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True).stdout
    assert out.splitlines()[-1] == "[]"
    version = subprocess.run(
        [sys.executable, "-m", "rfwidget", "--version"], capture_output=True, text=True, check=True
    )
    assert version.stdout.startswith("rfwidget, version ")


def test_a_name_is_looked_for_in_the_present_folder(tmp_path: Path) -> None:
    """As `python -m` has it; the script that pip makes starts elsewhere."""
    (tmp_path / "only_here.py").write_text("from torch import nn\nnet = nn.Conv2d(3, 4, 5)\n", encoding="utf-8")
    probe = "import sys; sys.path.remove(''); from rfwidget.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", probe, "check", "only_here:net", "--size", "5"]
    done = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_reader_who_has_seen_enough_is_no_trouble() -> None:
    command = f"{sys.executable} -m rfwidget survey {BOX} | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_colours_are_for_terminals_alone() -> None:
    command = [sys.executable, "-m", "rfwidget", "check", BOX, "--layer", "wide", "--min-size", "99"]
    plain = subprocess.run(command, capture_output=True, text=True)
    assert (plain.returncode, plain.stdout[:7]) == (1, "failed:")
    for environment, coloured in ({}, True), ({"NO_COLOR": "1"}, False):
        ours, theirs = pty.openpty()
        done = subprocess.run(command, stdout=theirs, env={**os.environ, "TERM": "xterm", **environment})
        os.close(theirs)
        shown = os.read(ours, 4096)
        os.close(ours)
        assert done.returncode == 1
        assert shown.startswith(b"\x1b[31mfailed:" if coloured else b"failed:")
