"""The house stands as drawn: imports run from the wings to the core, and what is particular is named in one place."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

PACKAGE = Path(__file__).parents[1] / "rfwidget"


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
                    is_module = (PACKAGE.parent / Path(*whole.split("."))).with_suffix(".py").exists()
                    found.append(Import(name, whole if is_module else str(node.module), id(node) in at_once))
    return found


def _at_once(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    for statement in body:
        yield statement
        if isinstance(statement, ast.If) and "TYPE_CHECKING" not in ast.unparse(statement.test):
            yield from _at_once(statement.body)


def wing(module: str) -> str:
    """``keras``, ``widget``, or ``core``."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in ("keras", "widget") else "core"


def within_the_package() -> list[Import]:
    return [line for line in imports() if line.imported.split(".")[0] == "rfwidget"]


def test_the_core_imports_no_wing() -> None:
    upward = [
        line
        for line in within_the_package()
        if wing(line.importer) == "core" and wing(line.imported) != "core" and line.importer != "rfwidget.__init__"
    ]
    assert upward == []


def test_the_package_itself_imports_wings_for_type_checkers_alone() -> None:
    lines = [line for line in within_the_package() if line.importer == "rfwidget.__init__" and line.always]
    assert {wing(line.imported) for line in lines} == {"core"}


def test_the_keras_wing_knows_no_widget() -> None:
    assert not [x for x in within_the_package() if wing(x.importer) == "keras" and wing(x.imported) == "widget"]


def test_the_widget_knows_keras_in_one_line_that_runs_when_it_is_handed_a_model() -> None:
    lines = [x for x in within_the_package() if wing(x.importer) == "widget" and wing(x.imported) == "keras"]
    assert lines == [Import("rfwidget.widget.rf_widget", "rfwidget.keras", always=False)]


def test_frameworks_are_imported_by_their_wing_alone() -> None:
    for line in imports():
        framework = line.imported.split(".")[0]
        if framework == "keras":
            assert wing(line.importer) == "keras", line
        if framework == "tensorflow":
            assert line.importer == "rfwidget.keras.gradient", line
        if framework in ("ipywidgets", "ipycanvas", "anywidget", "IPython"):
            assert wing(line.importer) == "widget", line


def test_no_modules_import_each_other_in_a_circle() -> None:
    needs: dict[str, set[str]] = {}
    for line in within_the_package():
        if line.always:
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
