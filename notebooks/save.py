"""Execute the notebooks and save them as they should read where no kernel runs: on GitHub, in the docs, in a printout.

    python -m notebooks.save                         # all of them
    python -m notebooks.save quickstart any-model

What depends on the run alone is left out: times, versions, and the live views of widgets (their pictures stay).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).parent
NAMES = tuple(sorted(path.stem for path in FOLDER.glob("*.ipynb")))

_VIEW = "application/vnd.jupyter.widget-view+json"
_LET_PICTURES_COME = """
import asyncio
from rfwidget import RFWidget

for _value in list(globals().values()):
    if isinstance(_value, RFWidget):
        assert _value.wait()
        _value.show_dots ^= True  # a picture that came between two cells is lost: ask for another
        _value.show_dots ^= True
await asyncio.sleep(4)  # a widget renews its picture one second after the last change
"""


def execute(name: str) -> nbformat.NotebookNode:
    """Run a notebook in a kernel of its own, in its own folder.

    Raises:
        nbclient.exceptions.CellExecutionError: if a cell fails.
    """
    notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    notebook.cells.append(nbformat.v4.new_code_cell(_LET_PICTURES_COME))
    client = NotebookClient(
        notebook,
        timeout=600,
        record_timing=False,
        store_widget_state=False,
        resources={"metadata": {"path": str(FOLDER)}},
    )
    client.execute()
    notebook.cells.pop()
    return _tidy(notebook)


def texts(cell: nbformat.NotebookNode) -> list[str]:
    """What a cell has printed and shown as plain text, output by output."""
    found = [output.get("text") or output.get("data", {}).get("text/plain", "") for output in cell.get("outputs", ())]
    return [text for text in found if text]


def _tidy(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for cell in notebook.cells:
        cell.metadata = {"tags": cell.metadata["tags"]} if cell.metadata.get("tags") else {}
        if cell.cell_type == "code":
            cell.outputs = _joined(output for output in cell.outputs if not _is_live(output))
    return notebook


def _joined(outputs: Iterable[Any]) -> list[Any]:
    """The outputs, what was printed in pieces made one: where it breaks depends on the speed of the machine."""
    joined: list[Any] = []
    for output in outputs:
        if joined and output.output_type == "stream" and output.get("name") == joined[-1].get("name"):
            joined[-1].text += output.text
        else:
            joined.append(output)
    return joined


def _is_live(output: Any) -> bool:
    """Whether an output is the view of a widget, which means nothing without its kernel."""
    return _VIEW in output.get("data", {})


def main() -> None:
    """Execute and save."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", default=NAMES, help="notebooks, without .ipynb; none: all")
    for name in parser.parse_args().names:
        notebook = execute(name)
        nbformat.write(notebook, FOLDER / f"{name}.ipynb")
        print(f"{name}: {(FOLDER / f'{name}.ipynb').stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
