"""The notebooks run, give what they were saved with, and are saved so that they read well without a kernel."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest

from notebooks.save import FOLDER, NAMES, execute, texts

LIMIT = 600 * 1024  # bytes of a saved notebook


def saved(name: str) -> nbformat.NotebookNode:
    return nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)


def code_cells(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_there_is_a_notebook_for_each_use() -> None:
    assert set(NAMES) == {
        "quickstart",
        "any-model",
        "pytorch",
        "design-a-detector",
        "effective-rf",
        "search-backbones",
        "trained-detector",
        "sequences",
        "transformers",
    }


@pytest.mark.parametrize("name", NAMES)
def test_running_a_notebook_gives_what_it_was_saved_with(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTEST_CURRENT_TEST")  # kernels that find it do not show what native code writes to stderr
    again, before = code_cells(execute(name)), code_cells(saved(name))
    for cell, old in zip(again, before, strict=True):
        assert not [output for output in cell.outputs if output.get("name") == "stderr"], cell.source
        assert [output.output_type for output in cell.outputs] == [output.output_type for output in old.outputs]
        if "varies" not in cell.metadata.get("tags", ()):  # random weights, trained weights: not alike everywhere
            assert texts(cell) == texts(old)


@pytest.mark.parametrize("name", NAMES)
def test_a_saved_notebook_is_complete_and_small(name: str) -> None:
    notebook = saved(name)
    assert [cell.execution_count for cell in code_cells(notebook)] == list(range(1, len(code_cells(notebook)) + 1))
    assert "widgets" not in notebook.metadata
    assert (FOLDER / f"{name}.ipynb").stat().st_size < LIMIT
    nbformat.validate(notebook)


@pytest.mark.parametrize("name", NAMES)
def test_a_saved_widget_leaves_its_picture(name: str) -> None:
    shows = [cell for cell in code_cells(saved(name)) if cell.source.endswith("widget")]
    assert shows
    for cell in shows:
        assert [list(output.data) for output in cell.outputs] == [["image/png", "text/plain"]]


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_begins_with_the_picture(name: str) -> None:
    title, first = saved(name).cells[:2]
    heading, words = title.source.split("\n\n")
    assert heading.startswith("# ")
    assert len(words.split(". ")) <= 3, "two sentences, a third at most"
    assert first.source.endswith("\nwidget")
    imports = [line for line in first.source.splitlines() if line.startswith(("import", "from"))]
    assert len(imports) <= 3
    assert imports[0].startswith("from rfwidget import"), "which keeps the start-up log of TensorFlow out of sight"


@pytest.mark.parametrize("name", NAMES)
def test_a_saved_notebook_tells_nothing_of_the_machine_that_ran_it(name: str) -> None:
    everything = (FOLDER / f"{name}.ipynb").read_text(encoding="utf-8")
    for place in (str(Path.home()), str(FOLDER.parent), "/tmp/", "site-packages"):  # noqa: S108 - looked for
        assert place not in everything
