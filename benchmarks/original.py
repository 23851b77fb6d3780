"""The original library, in an environment of its own: it needs TensorFlow 2.15, NumPy before 2, Pillow before 10."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

_PACKAGES = ("tensorflow-cpu==2.15.1", "keras==2.15.0", "numpy<2", "pillow<10", "matplotlib")


def original_python(torch: str | None = None) -> str:
    """The interpreter of that environment, made in the user's cache folder at the first call.

    Args:
        torch: version of PyTorch that is wanted there too.

    Raises:
        RuntimeError: if there is no Python 3.11.
    """
    folder = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "rfwidget" / "original-0.5.0"
    python, complete = folder / "bin" / "python", folder / "complete"
    if complete.exists():
        return _with_torch(python, torch)
    base = sys.executable if sys.version_info[:2] == (3, 11) else shutil.which("python3.11")
    if base is None:
        raise RuntimeError("the original library needs Python 3.11: install it, or use --without-original")
    print("Setting up the original library (two minutes, once) ...", flush=True)
    subprocess.run([base, "-m", "venv", "--clear", str(folder)], check=True)
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*install, "pip<24"], check=True)  # later ones refuse the original's list of requirements
    subprocess.run([*install, *_PACKAGES], check=True)
    subprocess.run([*install, "--no-deps", "receptivefield==0.5.0"], check=True)
    complete.touch()
    return _with_torch(python, torch)


def _with_torch(python: Path, version: str | None) -> str:
    marker = python.parents[1] / f"torch-{version}"
    if version is not None and not marker.exists():
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", f"torch=={version}"], check=True)
        marker.touch()
    return str(python)
