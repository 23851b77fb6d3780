"""The package as users get it: light to import, complete when built."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import rfwidget

ROOT = Path(__file__).parents[1]


def test_importing_the_package_loads_neither_tensorflow_nor_matplotlib() -> None:
    probe = (
        "import sys, rfwidget; "
        "print([m for m in ('tensorflow', 'keras', 'matplotlib', 'ipywidgets', 'PIL') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-W", "error", "-c", probe], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_every_public_name_is_there() -> None:
    for name in rfwidget.__all__:
        assert getattr(rfwidget, name) is not None
    assert set(rfwidget.__all__) <= set(dir(rfwidget))
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        rfwidget.nonsense  # noqa: B018


def test_python_and_node_agree_on_the_version() -> None:
    package = json.loads((ROOT / "package.json").read_text())
    assert package["version"] == rfwidget.__version__


def test_the_lock_file_records_no_download_addresses() -> None:
    lock = (ROOT / "package-lock.json").read_text()
    assert '"resolved"' not in lock
    assert "http://" not in lock


def test_the_built_wheel_holds_the_overlay_and_the_type_marker(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {"rfwidget/widget/static/overlay.js", "rfwidget/widget/static/overlay.css", "rfwidget/py.typed"} <= names
    assert not [name for name in names if not name.startswith(("rfwidget/", "rfwidget-"))], "the wheel holds strays"
    overlay = zipfile.ZipFile(wheel).read("rfwidget/widget/static/overlay.js")
    assert b"rfwidget-overlay" in overlay
