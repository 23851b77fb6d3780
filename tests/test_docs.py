"""The docs site builds without a warning and fetches nothing; the code in README and docs gives what it says."""

from __future__ import annotations

import ast
import contextlib
import io
import itertools
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import pytest
import yaml

from rfwidget import __version__
from rfwidget.cli import main

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
WITH_CODE = [page for page in PAGES if re.search(r"^```(python|console)", page.read_text(encoding="utf-8"), flags=re.M)]


class Block(NamedTuple):
    """A fenced block of a page: its language, the file that it is said to be, and what stands in it."""

    language: str
    title: str
    text: str


def blocks_of(page: Path) -> list[Block]:
    """The blocks of a page in order; files that it includes are no part of it."""
    fence = r"^```(\w+)(?: title=\"([^\"]+)\")?\n(.*?)^```"
    return [Block(*found) for found in re.findall(fence, page.read_text(encoding="utf-8"), flags=re.M | re.S)]


def run(source: str, names: dict[str, Any] | None = None) -> list[tuple[str, str]]:
    """Run a script; what its expressions gave, and what the comment on the next or the same line says they give."""
    names = {"__name__": "__main__"} if names is None else names
    lines = source.splitlines()
    pairs = []
    for statement in ast.parse(source).body:
        code = ast.unparse(statement)
        end = statement.end_lineno or 0
        following = lines[end] if end < len(lines) else ""
        if isinstance(statement, ast.Try):  # what it prints stands in the comment behind
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed):
                exec(code, names)  # noqa: S102 - our own pages
            said = [line[2:] for line in itertools.takewhile(lambda line: line.startswith("# "), lines[end:])]
            pairs.append((printed.getvalue().rstrip("\n"), "\n".join(said)))
            continue
        if not isinstance(statement, ast.Expr):
            exec(code, names)  # noqa: S102 - our own pages
            continue
        value = eval(code, names)  # noqa: S307 - our own pages
        comment = re.search(r"  # (.+)$", lines[end - 1]) or re.match(r"# (.+)$", following)
        if comment and re.match(r"[A-Z]\w+\(|\d|\(|\[|'|True$", comment[1]):
            shown = names[code[6:-1]] if re.fullmatch(r"print\(\w+\)", code) else value
            pairs.append((repr(shown) if not hasattr(shown, "item") else repr(shown.item()), comment[1]))
    return pairs


def run_console(text: str, environment: dict[str, str]) -> list[tuple[str, str]]:
    """Run commands, those after ``$``; what each printed, and what the lines below say it prints.

    ``rfwidget`` runs in this process; ``python`` in another.
    """
    pairs = []
    status = 0
    for command, said in re.findall(r"^\$ (.+)\n((?:(?!\$ ).*\n)*)", text, flags=re.M):
        if command == "echo $?":
            pairs.append((f"{status}\n", said))
            continue
        words, _, target = command.partition(" > ")
        program, *arguments = shlex.split(words)
        if program == "rfwidget":
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
                status = main(arguments)
            shown = printed.getvalue()
        else:
            assert program == "python", f"no test runs {command!r}"
            done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, env=environment)
            status, shown = done.returncode, done.stdout
            assert status == 0, done.stdout + done.stderr
            shown = "" if "pytest" in arguments else shown
        if target:
            Path(target).write_text(shown, encoding="utf-8")
            shown = ""
        pairs.append((re.sub(r" +$", "", shown, flags=re.M), said))
    return pairs


def test_results_in_comments_are_found() -> None:
    assert run("a = (1, 2)\na\n# (1, 2)\na[0]  # 3\nprint(a)\n# (4,)") == [
        ("(1, 2)", "(1, 2)"),
        ("1", "3"),
        ("(1, 2)", "(4,)"),
    ]


def test_what_commands_print_is_compared() -> None:
    assert run_console("$ rfwidget survey tests.nets:number -q\nsaid\n$ echo $?\n2\n", {})[1] == ("2\n", "2\n")
    assert run_console("$ rfwidget --version\n\n", {}) == [(f"rfwidget, version {__version__}\n", "\n")]
    with pytest.raises(AssertionError, match="no test runs"):
        run_console("$ make\n", {})


@pytest.mark.parametrize("page", WITH_CODE, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_code_of_a_page_runs_and_gives_what_it_says(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(tmp_path)])}
    monkeypatch.setenv("PYTHONPATH", environment["PYTHONPATH"])  # of processes that a page starts
    before = set(sys.modules)
    names: dict[str, Any] = {"__name__": "__main__"}
    try:
        for language, title, text in blocks_of(page):
            if title:
                (tmp_path / title).parent.mkdir(parents=True, exist_ok=True)
                (tmp_path / title).write_text(text, encoding="utf-8")
            elif language in ("python", "console"):
                found = run(text, names) if language == "python" else run_console(text, environment)
                for given, said in found:
                    assert given == said
    finally:
        plt.close("all")
        for name in set(sys.modules) - before:  # files of this page, which another may have too
            if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
                del sys.modules[name]


def test_the_workflow_to_copy_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    files = [block for block in blocks_of(ROOT / "docs" / "how-to" / "continuous-integration.md") if block.title]
    for block in files:
        if block.language == "python":
            (tmp_path / block.title).write_text(block.text, encoding="utf-8")
    (workflow,) = (yaml.safe_load(block.text) for block in files if block.language == "yaml")
    commands = [step["run"] for step in workflow["jobs"]["check"]["steps"] if "run" in step]
    assert [command.split()[0] for command in commands] == ["pip", "rfwidget", "python", "rfwidget"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    for command in commands[1:]:
        run_console(f"$ {command}\n", environment)
        assert run_console("$ rfwidget --version\n", environment)
    assert (tmp_path / "fields.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    sys.modules.pop("detector", None)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    environment = {**os.environ, "RFWIDGET_GALLERY": "readme"}  # one live page of all
    done = subprocess.run(build, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_the_site_fetches_nothing(site: Path) -> None:
    fetching = re.compile(r"<(?:script|img|iframe|link)\b[^>]*?\b(?:src|href)=[\"']?(?:https?:)?//([^\"'>\s]+)")
    for page in site.rglob("*.html"):
        found = fetching.findall(page.read_text(encoding="utf-8"))
        assert found == [], page.relative_to(site)
    for sheet in site.rglob("*.css"):
        assert not re.search(r"url\([\"']?https?:|@import [\"']?https?:", sheet.read_text(encoding="utf-8")), sheet.name


def test_the_front_page_and_the_gallery_hold_live_pages_and_say_how_large_they_are(site: Path) -> None:
    size = f"{(site / 'gallery' / 'readme.html').stat().st_size / 1e3:.0f} kB"
    for page, address in (
        (site / "index.html", "gallery/readme.html"),
        (site / "gallery" / "index.html", "readme.html"),
    ):
        text = page.read_text(encoding="utf-8")
        assert re.findall(r'<iframe class="rfwidget-live"[^>]* src="(.*?)"', text) == [address]
        assert f'<a href="{address}" target="_blank">Open it alone</a> ({size})' in text
    assert "<code>feature_grid</code>: size 34 x 34, stride 4 x 4, offset 17 x 17 pixels" in text
    assert f"<td>{size}</td>\n<td>1.0 MB</td>" in text


def test_the_worked_example_is_the_file_that_the_tests_use(site: Path) -> None:
    page = (site / "how-to" / "frameworks" / "index.html").read_text(encoding="utf-8")
    assert "BoxNetwork" in page
    assert "--8" not in page


def test_every_trait_of_the_widget_is_in_the_reference(site: Path) -> None:
    from rfwidget import RFWidget

    page = (site / "reference" / "widget" / "index.html").read_text(encoding="utf-8")
    traits = [name for name, trait in RFWidget.class_traits().items() if trait.this_class.__module__[:8] == "rfwidget"]
    assert {"selected", "query"} <= set(traits)
    for name in traits:
        assert re.search(rf'id="rfwidget\.[\w.]*\.{name}"', page), f"{name} is not in the reference"


def test_every_public_name_is_in_the_reference(site: Path) -> None:
    import rfwidget

    reference = "".join(page.read_text(encoding="utf-8") for page in (site / "reference").rglob("*.html"))
    for name in rfwidget.__all__:
        if name != "__version__":
            assert re.search(rf'id="rfwidget\.[\w.]*{name}"', reference), f"{name} is not in the reference"
