"""What a second try hides: nothing."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.browser.jupyter import ROOT
from tests.browser.second_try import AT_MOST

CONFTEST = "from tests.browser.second_try import pytest_configure, pytest_itemcollected, pytest_terminal_summary\n"
ONCE = """
tried = []
def test_at_times():
    print("what it said")
    tried.append(1)
    assert len(tried) == 2, "the first time"
"""
INSIDE = f"""{ONCE}
def test_always():
    pass
def test_never():
    assert False, "every time"
"""
MANY = f"""
import pytest
@pytest.mark.parametrize("k", range({AT_MOST + 3}))
def test_never(k):
    assert False, "every time"
"""


def run(folder: Path, inside: str) -> str:
    """What pytest says of tests in a folder with second tries and of one beside it."""
    (folder / "tries").mkdir()
    (folder / "tries" / "conftest.py").write_text(CONFTEST)
    (folder / "tries" / "test_inside.py").write_text(inside)
    (folder / "test_outside.py").write_text(ONCE)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--color=no", f"--rootdir={folder}", folder]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout


def test_first_failures_are_told_in_full_and_what_fails_twice_has_failed(tmp_path: Path) -> None:
    told = run(tmp_path, INSIDE)
    assert "2 failed, 2 passed, 2 rerun" in told.splitlines()[-1]
    assert set(re.findall(r"^FAILED \S*(test_\w+\.py::\w+)", told, re.MULTILINE)) == {
        "test_inside.py::test_never",
        "test_outside.py::test_at_times",
    }
    _, _, first = told.partition("FIRST TRIES THAT FAILED")
    assert "AssertionError: the first time" in first
    assert "what it said" in first
    assert re.search(r"^passed at the second try: \S*test_inside\.py::test_at_times$", told, re.MULTILINE)
    assert re.search(r"^failed at the second try, too: \S*test_inside\.py::test_never$", told, re.MULTILINE)


def test_of_many_failures_only_the_first_few_get_a_second_try(tmp_path: Path) -> None:
    told = run(tmp_path, MANY)
    # With the one beside them, which has none.
    assert f"{AT_MOST + 3 + 1} failed, {AT_MOST} rerun" in told.splitlines()[-1]
