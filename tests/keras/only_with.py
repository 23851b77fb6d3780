"""Environments in which Keras finds the frameworks asked for and no others: links to what is installed here."""

from __future__ import annotations

import tempfile
import tomllib
import venv
from collections import Counter
from collections.abc import Iterator
from functools import cache
from importlib.metadata import Distribution, distribution, distributions
from pathlib import Path, PurePath

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]

_FOLDERS: list[tempfile.TemporaryDirectory[str]] = []  # they go with the process


@cache
def python_with(*extras: str) -> Path:
    """The Python of an environment with Keras, hypothesis (it draws our random networks), what `pyproject.toml` asks
    for with these extras, and what all that needs in turn, but not this package itself.
    """
    _FOLDERS.append(tempfile.TemporaryDirectory(prefix="_".join(("only", *extras, ""))))
    place = Path(_FOLDERS[-1].name)
    venv.create(place, symlinks=True)
    (packages,) = place.glob("lib/python3*/site-packages")
    owners = Counter(top for one in distributions() for top in {path.parts[0] for path in _installed(one)})
    for one in _with_what_they_need(_requirements(extras)):
        for path in _installed(one):
            # A folder as a whole where nothing of others lies in it, such as of a namespace package.
            part = PurePath(path.parts[0]) if owners[path.parts[0]] == 1 else path
            link = packages / part
            if not link.is_symlink():
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to(Path(str(one.locate_file(part))).absolute())
    return place / "bin" / "python"


def _requirements(extras: tuple[str, ...]) -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    chosen = [line for extra in extras for line in project["optional-dependencies"][extra]]
    return [Requirement(line) for line in (*project["dependencies"], *chosen, "keras", "hypothesis")]


def _with_what_they_need(wanted: list[Requirement]) -> Iterator[Distribution]:
    known: set[str] = set()
    waiting = list(wanted)
    while waiting:
        asked = waiting.pop()
        new = {f"{asked.name}[{extra}]" for extra in ("", *asked.extras)} - known
        if not new:
            continue
        known |= new
        found = distribution(asked.name)
        yield found
        for line in found.requires or ():
            needed = Requirement(line)
            if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in ("", *asked.extras)):
                waiting.append(needed)


def _installed(one: Distribution) -> Iterator[PurePath]:
    """Its files beside other packages; not its programs."""
    return (path for path in one.files or () if path.parts[0] != ".." and "__pycache__" not in path.parts)
