"""The house stands as drawn: imports run down from the wings to the values, and each particular is named in one place.

All imports count, also those in functions and for type checkers alone: a module that must know one above it is in the
wrong place, whenever it finds out.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

PACKAGE = Path(__file__).parents[1] / "rfwidget"

WINGS = ("keras", "torch", "widget")

ROOMS = {
    "values": (
        0,
        {
            "_version",
            "verification",
            "errors",
            "extras",
            "types",
            "ranks",
            "_validation",
            "_progress",
            "signals",
            "image",
        },
    ),
    "geometry": (1, {"geometry"}),
    "contract": (2, {"network"}),
    "engine room": (3, {"_measure"}),
    "aten": (4, {"_aten"}),
    "results": (
        3,
        {
            "marks",
            "plotting",
            "plotting_lines",
            "plotting_sections",
            "survey",
            "effective",
            "attention",
            "mass",
            "datasets",
            "clusters",
        },
    ),
    "estimator": (4, {"estimator", "base"}),
    **{wing: (5, {wing}) for wing in WINGS},
    "entrance": (6, {"__init__", "__main__", "cli", "loading", "many", "testing"}),
}
"""The storey of each room, and what stands in it: modules and folders of the package."""


BACKENDS = {"tensorflow": "tf", "jax": "jax", "torch": "aten"}
"""What Keras may run on, and the folder of the Keras wing that follows its code."""

ROOMS_OF_BACKENDS = tuple(f"rfwidget.keras.{name}" for name in BACKENDS.values())


class Import(NamedTuple):
    """One import; ``always``: it runs when the module is imported, not in a function or for type checkers alone."""

    importer: str
    imported: str
    always: bool


def imports() -> list[Import]:
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        name = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
        tree = ast.parse(path.read_text(encoding="utf-8"))
        at_once = {id(node) for node in _at_once(tree.body)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                found += [Import(name, alias.name, id(node) in at_once) for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{name}: imports are absolute"
                for alias in node.names:
                    whole = f"{node.module}.{alias.name}"
                    place = PACKAGE.parent / Path(*whole.split("."))
                    is_module = place.with_suffix(".py").exists() or (place / "__init__.py").exists()
                    found.append(Import(name, whole if is_module else str(node.module), id(node) in at_once))
    return found


def _at_once(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    for statement in body:
        yield statement
        if isinstance(statement, ast.If) and "TYPE_CHECKING" not in ast.unparse(statement.test):
            yield from _at_once(statement.body)


def within_the_package() -> list[Import]:
    return [line for line in imports() if line.imported.split(".")[0] == "rfwidget"]


def room(module: str) -> str:
    """The room in which a module stands."""
    part = [*module.split("."), "__init__"][1]
    found = [name for name, (_, parts) in ROOMS.items() if part in parts]
    assert len(found) == 1, f"{module} stands in {found or 'no room'}"
    return found[0]


def wing(module: str) -> str:
    """A wing's name, or ``core``."""
    return room(module) if room(module) in WINGS else "core"


def test_every_module_stands_in_a_room() -> None:
    for path in PACKAGE.rglob("*.py"):
        room(".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts))


def test_imports_stay_in_their_room_or_go_to_a_lower_storey() -> None:
    upward = [
        line
        for line in within_the_package()
        if room(line.importer) != room(line.imported) and ROOMS[room(line.importer)][0] <= ROOMS[room(line.imported)][0]
    ]
    # Where the widget turns a model into an estimator, one line for each framework, when it is handed a model.
    turning = [Import("rfwidget.widget.rf_widget", f"rfwidget.{name}", always=False) for name in ("keras", "torch")]
    assert sorted(upward) == turning


def test_the_package_itself_imports_wings_for_type_checkers_alone() -> None:
    lines = [line for line in within_the_package() if line.importer == "rfwidget.__init__" and line.always]
    assert {room(line.imported) for line in lines} == {"values"}


def test_frameworks_are_imported_by_their_wing_alone() -> None:
    for line in imports():
        framework = line.imported.split(".")[0]
        if framework == "keras":
            assert wing(line.importer) == "keras", line
        if framework in BACKENDS:
            speaks = (f"rfwidget.keras.backends.{framework}", f"rfwidget.keras.{BACKENDS[framework]}.")
            # Two wings may run on PyTorch: what it makes of code is followed in one place, below both.
            of_torch = framework == "torch" and room(line.importer) in ("torch", "aten")
            assert of_torch or line.importer.startswith(speaks), line
        if framework in ("ipywidgets", "ipycanvas", "anywidget", "IPython"):
            assert wing(line.importer) == "widget", line
        if framework == "matplotlib" and wing(line.importer) == "core":
            assert line.importer in ("rfwidget.plotting", "rfwidget.image") or not line.always, line


def test_nothing_else_in_the_keras_wing_knows_what_keras_runs_on() -> None:
    own = ("backends", *BACKENDS.values())
    for path in (PACKAGE / "keras").rglob("*.py"):
        part = path.relative_to(PACKAGE / "keras").parts[0]
        if part in own or part == "__init__.py":  # the entrance tells which packages are missing
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            assert not (isinstance(node, ast.Constant) and node.value in BACKENDS), (path, node.value)
            assert not (isinstance(node, ast.ImportFrom) and str(node.module).startswith(ROOMS_OF_BACKENDS)), path


def test_no_modules_import_each_other_in_a_circle() -> None:
    needs: dict[str, set[str]] = {}
    for line in within_the_package():
        needs.setdefault(line.importer.removesuffix(".__init__"), set()).add(line.imported)
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " -> ".join((*path, module))
        if module not in done:
            for needed in needs.get(module, ()):
                visit(needed, (*path, module))
            done.add(module)

    for module in needs:
        visit(module, ())
