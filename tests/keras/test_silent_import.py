from __future__ import annotations

import os
import subprocess
import sys

import pytest

from rfwidget.keras.silent_import import held_back


@pytest.mark.parametrize("then", ["", "; import keras; keras.ops.zeros(3)"])
def test_neither_importing_the_estimator_first_nor_the_first_operation_prints_anything(then: str) -> None:
    settings = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    code = f"from rfwidget import KerasReceptiveField{then}"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=settings)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")


def test_what_was_held_back_is_shown_if_the_block_fails(capfd: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        with held_back():
            os.write(2, b"the reason")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert "the reason" in capfd.readouterr().err


def test_afterwards_standard_error_is_as_before(capfd: pytest.CaptureFixture[str]) -> None:
    with held_back():
        os.write(2, b"held")
    os.write(2, b"shown")
    assert capfd.readouterr().err == "shown"
