"""Keras on TensorFlow, JAX and PyTorch: the same numbers on all of them.

Each backend runs in a process of its own (`tests.keras.same_everywhere`), JAX and PyTorch where no other framework is
installed; TensorFlow's numbers, which all other tests are about, are what theirs are compared with.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from tests.keras.only_with import python_with

PARTS = ("cases", "applications", "0:40")
OTHERS = ("jax", "torch")


class Said(NamedTuple):
    """What a backend says of all models.

    Attributes:
        facts: by the name of the model.
        maps: gradient maps, by the name of the model.
    """

    facts: dict[str, dict[str, Any]]
    maps: dict[str, np.ndarray]


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Said]:
    """What a backend says of all models; it is measured once."""
    known: dict[str, Said] = {}

    def measure(backend: str) -> Said:
        if backend not in known:
            out = tmp_path_factory.mktemp("said") / "said.npz"
            run(backend, "-m", "tests.keras.same_everywhere", str(out), *PARTS, python=python_for(backend))
            known[backend] = read(out)
        return known[backend]

    return measure


def read(out: Path) -> Said:
    """What `tests.keras.same_everywhere` wrote."""
    with np.load(out) as held:
        maps = {name: held[name] for name in held.files if name != "facts"}
        return Said(json.loads(str(held["facts"])), maps)


def python_for(backend: str) -> str:
    """The others run where TensorFlow is not installed, nor any framework but their own."""
    return sys.executable if backend == "tensorflow" else str(python_with(backend))


def run(backend: str, *arguments: str, python: str = sys.executable) -> str:
    """Standard output of a Python process in which Keras runs on a backend."""
    environment = {
        **os.environ,
        "KERAS_BACKEND": backend,
        "XLA_FLAGS": "--xla_backend_optimization_level=0",  # compiling is most of the work here
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    done = subprocess.run([python, *arguments], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.mark.parametrize("backend", OTHERS)
def test_all_backends_say_the_same_of_the_same_models(said: Callable[[str], Said], backend: str) -> None:
    expected, found = said("tensorflow"), said(backend)
    assert not [name for name, facts in expected.facts.items() if "error" in facts]
    for name, facts in expected.facts.items():
        assert found.facts[name] == facts, name
    most = {name: float(np.abs(values).max()) for name, values in expected.maps.items()}
    assert sum(largest > 0 for largest in most.values()) > 0.7 * len(most), "too few gradients say anything"
    for name, values in expected.maps.items():
        np.testing.assert_allclose(found.maps[name], values, atol=2e-5 * most[name], rtol=0, err_msg=name)


@pytest.mark.parametrize("backend", OTHERS)
def test_code_of_the_backend_is_as_exact_as_that_of_keras(backend: str) -> None:
    """Every cell of every layer, against a black box; see `tests.keras.raw_cases`."""
    said = run(backend, "-m", "tests.keras.raw_cases", python=python_for(backend))
    assert re.fullmatch(r"\d\d compared\n", said), said


def test_gradients_on_pytorch_are_those_of_autograd_whatever_the_code_asks_of_the_image() -> None:
    assert run("torch", "-m", "tests.keras.torch_gradients", python=python_for("torch")) == "as autograd\n"


@pytest.mark.parametrize("backend", ["tensorflow", *OTHERS])
def test_the_widget_and_everything_beside_it_run_on_each_backend(backend: str, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    run(backend, "-m", "tests.keras.whole_tool", str(page), python=python_for(backend))
    assert "rfwidget-data" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("backend", "code", "words"),
    [
        (
            "jax",
            "import keras; keras.__version__ = '3.3.1'; import rfwidget.keras",
            "keras is 3.3.1, older than 3.9, the oldest that rfwidget takes",
        ),
        ("numpy", "import rfwidget.keras", "Keras runs on 'numpy', which does not backpropagate: set KERAS_BACKEND"),
        (
            "torch",
            "import keras; model = keras.Sequential(); from rfwidget import KerasReceptiveField as RF\n"
            "import warnings; warnings.simplefilter('ignore'); keras.config.set_backend('jax'); import keras\n"
            "RF(keras.Sequential())",
            "model is a Sequential of another Keras than the one that rfwidget uses, which runs on torch",
        ),
        (
            "torch",
            "import keras, rfwidget; rfwidget.TorchReceptiveField(keras.Sequential())",
            "model is a Keras Sequential: KerasReceptiveField(model) measures it",
        ),
    ],
)
def test_what_keras_cannot_run_on_is_told_in_a_sentence(backend: str, code: str, words: str) -> None:
    program = (
        f"import rfwidget\ntry:\n    exec({code!r})\nexcept rfwidget.ReceptiveFieldError as error:\n    print(error)"
    )
    assert words in run(backend, "-c", program)


@pytest.mark.parametrize("backend", OTHERS)
def test_where_the_others_run_no_framework_but_theirs_is_installed(backend: str) -> None:
    program = (
        "from importlib.util import find_spec\n"
        "print([name for name in ('tensorflow', 'jax', 'torch') if find_spec(name) is not None])"
    )
    assert run(backend, "-c", program, python=python_for(backend)).strip() == f"[{backend!r}]"


INSTALL = """no module named {0!r}: install the framework with `pip install "rfwidget[{0}]"`"""
INSTEAD = ", or let Keras run on {0}, which is installed: set KERAS_BACKEND={0}"


@pytest.mark.parametrize(
    ("backend", "installed", "words"),
    [
        ("torch", "jax", INSTALL.format("torch")),
        ("jax", "torch", INSTALL.format("jax")),
        ("tensorflow", "jax", INSTALL.format("tensorflow") + INSTEAD.format("jax")),
        ("tensorflow", "torch", INSTALL.format("tensorflow") + INSTEAD.format("torch")),
    ],
)
def test_where_the_package_of_a_backend_is_not_installed_a_sentence_says_so(
    backend: str, installed: str, words: str
) -> None:
    program = (
        "import rfwidget\n"
        "for ask in (lambda: rfwidget.KerasReceptiveField, lambda: rfwidget.RFWidget(object())):\n"
        "    try:\n        ask()\n"
        "    except rfwidget.ReceptiveFieldError as error:\n        print(error)"
    )
    assert run(backend, "-c", program, python=str(python_with(installed))).splitlines() == [words, words]


@pytest.mark.parametrize("backend", OTHERS)
def test_no_backend_loads_another(backend: str) -> None:
    """What Keras itself loads aside: it may look into packages that happen to be there."""
    probe = (
        "import sys, keras; before = set(sys.modules)\n"
        "from tests.models import readme_model; from rfwidget import KerasReceptiveField as RF\n"
        "rf = RF(readme_model); rf.compute((96, 96, 3)); rf.gradient_at((3, 3))\n"
        "new = {name.partition('.')[0] for name in set(sys.modules) - before}\n"
        "print(sorted(new & {'tensorflow', 'jax', 'torch'}))"
    )
    assert run(backend, "-c", probe).strip() in ("[]", f"[{backend!r}]")
