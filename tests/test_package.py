"""The package as users get it: light to import, complete when built."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.version import Version

import rfwidget
from rfwidget.extras import brought_by

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("rfwidget", ("tensorflow", "keras", "torch", "matplotlib", "ipywidgets", "PIL")),
        ("rfwidget.widget", ("tensorflow", "keras", "torch")),
    ],
)
def test_importing_the_package_loads_no_framework_and_itself_nothing_heavy(module: str, heavy: tuple[str, ...]) -> None:
    probe = f"import sys, {module}; print([m for m in {heavy} if m in sys.modules])"
    out = subprocess.run([sys.executable, "-W", "error", "-c", probe], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


INSTEAD = ", or let Keras run on jax, which is installed: set KERAS_BACKEND=jax"


@pytest.mark.parametrize(
    ("missing", "backend", "extra", "instead"),
    [
        ("keras", "tensorflow", "tensorflow", ""),
        ("tensorflow", "tensorflow", "tensorflow", INSTEAD),
        ("jax", "jax", "jax", ""),
        ("torch", "torch", "torch", ""),
    ],
)
def test_a_wing_without_its_framework_is_an_error_that_says_what_to_type(
    missing: str, backend: str, extra: str, instead: str
) -> None:
    probe = f"""
import sys
from importlib.machinery import PathFinder
class Without(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] == {missing!r} else super().find_spec(name, path, target)
sys.meta_path = [Without if finder is PathFinder else finder for finder in sys.meta_path]
import rfwidget
for ask in (lambda: rfwidget.KerasReceptiveField, lambda: rfwidget.RFWidget(object())):
    try:
        ask()
    except rfwidget.ReceptiveFieldError as error:
        assert isinstance(error, ImportError)
        print(error.name, error)
"""
    environment = {**os.environ, "KERAS_BACKEND": backend}
    out = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True, env=environment)
    said = (
        f'{missing} no module named {missing!r}: install the framework with `pip install "rfwidget[{extra}]"`{instead}'
    )
    assert out.stdout.splitlines() == [said, said]


def test_another_module_that_is_missing_is_no_missing_framework() -> None:
    with pytest.raises(ModuleNotFoundError, match="No module named 'nonsense'") as caught, brought_by("torch", "torch"):
        import nonsense  # noqa: F401
    assert not isinstance(caught.value, rfwidget.ReceptiveFieldError)


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
    for page in ("how-to/colab.md", "index.md"):
        assert f"rfwidget-{rfwidget.__version__}-py3" in (ROOT / "docs" / page).read_text()


def test_every_python_that_the_package_is_said_to_run_on_is_tested() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    said = [name.rsplit(" ", 1)[1] for name in project["classifiers"] if re.search(r"Python :: 3\.", name)]
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text()
    assert re.findall(r'"(3\.\d+)"', workflow) == said
    assert project["requires-python"] == f">={said[0]}"


def test_every_declared_bound_is_the_lowest_version_that_the_table_says_was_tried() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needs = [Requirement(need) for need in sum(project["optional-dependencies"].values(), project["dependencies"])]
    bounds = {
        need.name: min(Version(part.version) for part in need.specifier if part.operator == ">=") for need in needs
    }
    lines = (ROOT / "docs" / "hosts.md").read_text().partition("<!-- table -->")[2].splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    table = {name: [Version(cell) for cell in cells if cell] for name, *cells in rows if name in bounds}
    assert {name: min(tried) for name, tried in table.items()} == bounds
    (passed,) = (cells for name, *cells in rows if name == "tests passed")
    assert all(int(number) > 0 for number in passed)
    assert not any(name in ("tests failed", "tests error") for name, *_ in rows)


def test_a_release_is_built_once_attested_and_published_without_a_password() -> None:
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "release.yml").read_text())["jobs"]
    used = {
        name: [step["uses"].partition("@")[0] for step in job["steps"] if "uses" in step] for name, job in jobs.items()
    }
    assert "actions/attest-build-provenance" in used["build"]
    assert used["publish"] == ["actions/download-artifact", "pypa/gh-action-pypi-publish"]
    assert jobs["publish"]["permissions"] == {"id-token": "write"}
    assert [name for name, job in jobs.items() if any("build" in step.get("run", "") for step in job["steps"])] == [
        "build"
    ]
    assert {job.get("needs") for job in jobs.values()} == {None, "build", "publish"}
    text = (ROOT / ".github" / "workflows" / "release.yml").read_text()
    assert "secrets." not in text
    assert "password" not in text.replace("without a password", "")


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


def contents_of(wheel: Path) -> dict[str, bytes]:
    return {name: zipfile.ZipFile(wheel).read(name) for name in names_in(wheel)}


def test_the_built_wheel_holds_the_overlay_and_the_type_marker(wheel: Path) -> None:
    scripts = ("overlay.js", "overlay-volumes.js", "standalone.js", "standalone-volumes.js")
    static = {f"rfwidget/widget/static/{name}" for name in (*scripts, "overlay.css")}
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
    assert contents_of(again) == contents_of(wheel)


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


def test_the_wheel_brings_the_command(wheel: Path) -> None:
    points = zipfile.ZipFile(wheel).read(f"rfwidget-{rfwidget.__version__}.dist-info/entry_points.txt").decode()
    assert points.split() == ["[console_scripts]", "rfwidget", "=", "rfwidget.cli:main"]


@pytest.fixture(scope="module")
def bare(wheel: Path, request: pytest.FixtureRequest) -> Callable[[str], str]:
    """Run a script where the wheel and what pip brings with it are all there is: no framework, no Node, no checkout.

    The environment is kept in pytest's cache until the dependencies change, so that only the first run downloads.
    """
    needs = zipfile.ZipFile(wheel).read(f"rfwidget-{rfwidget.__version__}.dist-info/METADATA").split(b"\n\n")[0]
    name = hashlib.sha256(needs + sys.version.encode()).hexdigest()[:16]
    home = request.config.cache.mkdir("environments")  # type: ignore[union-attr]
    environment, installed = home / name, home / name / "wheel.sha256"
    python = environment / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"]
    with (home / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests may run in several processes
        content = hashlib.sha256(wheel.read_bytes()).hexdigest()
        if not installed.exists():
            for old in home.glob("*/"):
                shutil.rmtree(old)
            venv.create(environment, with_pip=False, symlinks=True)
            subprocess.run([*pip, str(wheel)], check=True)
        elif installed.read_text() != content:
            subprocess.run([*pip, "--no-deps", "--no-index", "--force-reinstall", str(wheel)], check=True)
        installed.write_text(content)

    def run(script: str) -> str:
        command = [str(python), "-I", "-W", "error::UserWarning", "-c", script]
        done = subprocess.run(
            command, cwd=environment, env={"PATH": str(python.parent)}, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def test_the_wheel_alone_imports_and_says_which_framework_to_install(bare: Callable[[str], str]) -> None:
    out = bare("""
import importlib.util
import shutil
import rfwidget
import rfwidget.widget
assert not any(importlib.util.find_spec(name) for name in ("keras", "tensorflow", "torch", "pytest"))
assert shutil.which("node") is None
from rfwidget import *
assert "KerasReceptiveField" not in dir(rfwidget)
try:
    rfwidget.KerasReceptiveField
except rfwidget.ReceptiveFieldError as error:
    print(error)
try:
    from rfwidget.keras import KerasReceptiveField
except ImportError as error:
    print(error)
""")
    said = "no module named 'keras': install the framework with `pip install \"rfwidget[tensorflow]\"`"
    assert out.splitlines() == [said, said]


def test_a_framework_of_the_users_own_needs_no_other(bare: Callable[[str], str], tmp_path: Path) -> None:
    (tmp_path / "box_filter.py").write_bytes((ROOT / "tests" / "box_filter.py").read_bytes())
    out = bare(f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
import rfwidget
from box_filter import BoxReceptiveField
rf = BoxReceptiveField()
print(rf.compute(input_shape=(40, 60, 3), output_layer="wide"))
rf.survey()
rf.effective()
rf.plot_rf_grid()
rf.plot_gradient_at((1, 2))
widget = rfwidget.RFWidget(rf, selected=(1, 2), show_erf=True)
assert widget.wait(background=True)
widget.save_png({str(tmp_path / "widget.png")!r})
widget.to_html({str(tmp_path / "page.html")!r})
widget.close()
from rfwidget.cli import main
assert main(["check", "box_filter:BoxReceptiveField", "--layer", "wide", "--size", "12x6"]) == 0
""")
    out, said = out.splitlines(keepends=True)
    assert said.startswith("ok: layer 'wide'")
    assert out == "ReceptiveFieldDescription(offset=(6.0, 3.0), stride=(4.0, 2.0), size=Size(w=12, h=6))\n"
    assert (tmp_path / "widget.png").stat().st_size
    assert (tmp_path / "page.html").stat().st_size
