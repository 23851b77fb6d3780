"""From files, names and functions to estimators; what is refused, and what is said."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from rfwidget import KerasReceptiveField, TorchReceptiveField
from rfwidget.errors import ReceptiveFieldError
from rfwidget.loading import estimator_of, imported, load
from tests import nets


@pytest.mark.parametrize(
    ("model", "kind"),
    [
        (nets.keras_net, KerasReceptiveField),
        (nets.torch_net, TorchReceptiveField),
        (nets.Net, TorchReceptiveField),
        (nets.torch_net(), TorchReceptiveField),
        (nets.keras_net((32, 48, 3)), KerasReceptiveField),
        (lambda: nets.keras_net((32, 48, 3)), KerasReceptiveField),
        ("tests.nets:keras_net", KerasReceptiveField),
    ],
)
def test_the_framework_is_that_of_the_model_or_of_what_the_function_builds(model: Any, kind: type) -> None:
    rf = estimator_of(model)
    assert type(rf) is kind
    assert rf.compute().size == (9, 7)
    assert estimator_of(rf) is rf


def test_functions_that_would_download_weights_are_told_not_to() -> None:
    with pytest.warns(UserWarning, match="nothing is downloaded"):
        rf = load("tests.nets:fetching").rf
    assert rf.compute((32, 48, 3)).size == (9, 7)


def test_a_name_is_looked_for_in_the_present_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "only_here.py").write_text("class A:\n    number = 5\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [path for path in os.sys.path if path])  # type: ignore[attr-defined]
    assert imported("only_here:A.number") == 5
    with pytest.raises(ReceptiveFieldError, match="no 'nmber' in 'only_here', did you mean 'number'"):
        imported("only_here:A.nmber")
    with pytest.raises(ReceptiveFieldError, match=r"expected package\.module:function"):
        imported("only_here")


def test_a_file_that_is_broken_is_refused_in_one_line(tmp_path: Path) -> None:
    for name in ("a.keras", "a.pt", "a.pt2", "a.onnx", "a.h5"):
        file = tmp_path / name
        file.write_bytes(b"nonsense")
        with pytest.raises(ReceptiveFieldError, match=str(file)) as caught:
            load(str(file))
        assert "\n" not in str(caught.value)
