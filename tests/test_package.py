"""The package as users get it: light to import, complete when built."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
import tarfile
import venv
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


def test_all_agree_on_the_version() -> None:
    package = json.loads((ROOT / "package.json").read_text())
    assert package["version"] == rfwidget.__version__
    assert f"\nversion: {rfwidget.__version__}\n" in (ROOT / "CITATION.cff").read_text()
    assert f"rfwidget-{rfwidget.__version__}-py3" in (ROOT / "docs" / "how-to" / "colab.md").read_text()


def test_the_lock_file_records_no_download_addresses() -> None:
    lock = (ROOT / "package-lock.json").read_text()
    assert '"resolved"' not in lock
    assert "http://" not in lock


def build(what: str, source: Path, out: Path) -> Path:
    """A wheel or an sdist, built with the tools of this environment."""
    command = [sys.executable, "-m", "build", f"--{what}", "--no-isolation", "--outdir", str(out), str(source)]
    subprocess.run(command, check=True, capture_output=True)
    (built,) = out.glob("*.whl" if what == "wheel" else "*.tar.gz")
    return built


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("wheel", ROOT, tmp_path_factory.mktemp("wheel"))


def names_in(wheel: Path) -> set[str]:
    return set(zipfile.ZipFile(wheel).namelist())


def test_the_built_wheel_holds_the_overlay_and_the_type_marker(wheel: Path) -> None:
    static = {f"rfwidget/widget/static/{name}" for name in ("overlay.js", "overlay.css", "standalone.js")}
    assert static | {"rfwidget/py.typed"} <= names_in(wheel)
    strays = [name for name in names_in(wheel) if not name.startswith(("rfwidget/", "rfwidget-"))]
    assert not strays, "the wheel holds strays"
    assert b"rfwidget-overlay" in zipfile.ZipFile(wheel).read("rfwidget/widget/static/overlay.js")


def test_an_sdist_builds_the_same_wheel_without_node(
    wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sdist = build("sdist", ROOT, tmp_path)
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    monkeypatch.setenv("PATH", str(tmp_path))
    again = build("wheel", tmp_path / sdist.name.removesuffix(".tar.gz"), tmp_path)
    assert names_in(again) == names_in(wheel)


def test_the_wheel_works_where_nothing_else_of_ours_is(wheel: Path, tmp_path: Path) -> None:
    """Installed into a new environment that borrows the dependencies of this one, and nothing of the checkout."""
    environment = tmp_path / "environment"
    venv.create(environment, with_pip=False, symlinks=True)
    python = environment / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*install, str(wheel)], check=True, capture_output=True)
    (site,) = environment.glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text(f"{sysconfig.get_path('purelib')}\n{sysconfig.get_path('platlib')}\n")
    script = """
import rfwidget
import keras
model = keras.Sequential([keras.Input((12, 20, 3)), keras.layers.Conv2D(2, (3, 5))])
widget = rfwidget.RFWidget(model)
assert widget.wait()
print(rfwidget.__file__, rfwidget.__version__, tuple(widget.rf_params.size))
widget.close()
"""
    run = subprocess.run([python, "-I", "-c", script], cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert run.stdout.split(maxsplit=2) == [
        str(site / "rfwidget" / "__init__.py"),
        rfwidget.__version__,
        "(5, 3)\n",
    ]
