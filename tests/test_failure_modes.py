"""The page of failure modes names tests that there are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "explanation" / "failure-modes.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| (.+?) \| (`(?:tests|js)/.+) \|$", PAGE, re.MULTILINE)
NAMED = [(path, name) for _, tests in ROWS for path, name in re.findall(r"`([^`:]+)::([^`]+)`", tests)]


def test_every_row_has_a_test() -> None:
    section = PAGE.split("## Where each is tested")[1]
    assert len(ROWS) == len(re.findall(r"^\| ", section, re.MULTILINE)) - 2
    assert len(ROWS) >= 20
    assert all("::" in tests for _, tests in ROWS)


@pytest.mark.parametrize(("path", "name"), NAMED)
def test_named_test_exists(path: str, name: str) -> None:
    text = (ROOT / path).read_text(encoding="utf-8")
    if path.endswith(".py"):
        assert re.search(rf"^def {re.escape(name)}\(", text, re.MULTILINE)
    else:
        assert f'it("{name}"' in text
