"""An environment with Keras, JAX and PyTorch, and without TensorFlow: made once, and kept between runs of the tests."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]

_KEPT = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rfwidget-tests"


def python_without_tensorflow() -> Path:
    """Its Python; other processes that want it wait until it is there. What it lacks is this package itself."""
    wanted = _requirements()
    key = hashlib.sha256("\n".join([sys.version, *wanted]).encode()).hexdigest()[:16]
    place = _KEPT / f"without-tensorflow-{key}"
    _KEPT.mkdir(parents=True, exist_ok=True)
    with (_KEPT / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (place / "complete").exists():
            for old in _KEPT.glob("without-tensorflow-*"):  # of other requirements: it takes 1.7 GB
                shutil.rmtree(old)
            venv.create(place, with_pip=True)
            install = [str(place / "bin/python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            subprocess.run([*install, *wanted], check=True)
            (place / "complete").touch()
    return place / "bin/python"


def _requirements() -> list[str]:
    """What rfwidget with ``jax`` and ``torch`` needs, and the models of its tests: as `pyproject.toml` says."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    extras, test = project["project"]["optional-dependencies"], project["dependency-groups"]["test"]
    wanted = [line for line in test if isinstance(line, str) and line.startswith(("torch==", "hypothesis"))]
    return [*project["project"]["dependencies"], *extras["jax"], *wanted]
