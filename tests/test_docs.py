"""The docs site builds without a warning and fetches nothing; the code in README and docs gives what it says."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
WITH_CODE = [page for page in PAGES if "```python" in page.read_text(encoding="utf-8")]


def code_of(page: Path) -> str:
    """All Python of a page as one script; files that it includes are no part of that."""
    return "\n".join(re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), flags=re.M | re.S))


def run(source: str) -> list[tuple[str, str]]:
    """Run a script; what its expressions gave, and what the comment on the next or the same line says they give."""
    names: dict[str, Any] = {"__name__": "__main__"}
    lines = source.splitlines()
    pairs = []
    for statement in ast.parse(source).body:
        code = ast.unparse(statement)
        if not isinstance(statement, ast.Expr):
            exec(code, names)  # noqa: S102 - our own pages
            continue
        value = eval(code, names)  # noqa: S307 - our own pages
        end = statement.end_lineno or 0
        following = lines[end] if end < len(lines) else ""
        comment = re.search(r"  # (.+)$", lines[end - 1]) or re.match(r"# (.+)$", following)
        if comment and re.match(r"[A-Z]\w+\(|\d|\(|'", comment[1]):
            shown = names[code[6:-1]] if re.fullmatch(r"print\(\w+\)", code) else value
            pairs.append((repr(shown) if not hasattr(shown, "item") else repr(shown.item()), comment[1]))
    return pairs


def test_results_in_comments_are_found() -> None:
    assert run("a = (1, 2)\na\n# (1, 2)\na[0]  # 3\nprint(a)\n# (4,)") == [
        ("(1, 2)", "(1, 2)"),
        ("1", "3"),
        ("(1, 2)", "(4,)"),
    ]


@pytest.mark.parametrize("page", WITH_CODE, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_code_of_a_page_runs_and_gives_what_it_says(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    try:
        for given, said in run(code_of(page)):
            assert given == said
    finally:
        plt.close("all")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_the_site_fetches_nothing(site: Path) -> None:
    fetching = re.compile(r"<(?:script|img|iframe|link)\b[^>]*?\b(?:src|href)=[\"']?(?:https?:)?//([^\"'>\s]+)")
    for page in site.rglob("*.html"):
        found = fetching.findall(page.read_text(encoding="utf-8"))
        assert found == [], page.relative_to(site)
    for sheet in site.rglob("*.css"):
        assert not re.search(r"url\([\"']?https?:|@import [\"']?https?:", sheet.read_text(encoding="utf-8")), sheet.name


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
