"""PyTorch modules from files: they give what the module gives, and run no code unless they are trusted."""

from __future__ import annotations

import json
import pickle
import re
import sys
import types
import zipfile
from pathlib import Path

import pytest
import torch
from torch import nn

from rfwidget.errors import MissingFrameworkError, ReceptiveFieldError, UntrustedFileError
from rfwidget.loading import load
from tests.nets import torch_net

IMAGE = torch.zeros(1, 3, 32, 48)


class Evil:
    """Something that runs code when its pickle is opened."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, ...]:
        return open, (str(self.mark), "w")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_torchscript_is_known_by_its_content(tmp_path: Path) -> None:
    file = tmp_path / "net.pt"
    torch.jit.script(torch_net().eval()).save(file)
    assert load(str(file)).rf.compute((3, 32, 48)).size == (9, 7)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("spelled", ["torch.from_file(", "torch . from_file  (", "ops.aten.from_file("])
@pytest.mark.parametrize("suffix", [".py", ".PY"])
def test_torchscript_that_reads_files_is_loaded_only_if_trusted(tmp_path: Path, spelled: str, suffix: str) -> None:
    class Reading(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + torch.from_file("/etc/hostname", size=1)

    plain, file = tmp_path / "plain.pt", tmp_path / "net.pt"
    torch.jit.script(Reading()).save(plain)
    with zipfile.ZipFile(plain) as old, zipfile.ZipFile(file, "w") as new:
        for name in old.namelist():
            part = old.read(name).replace(b"torch.from_file(", spelled.encode())
            new.writestr(name.removesuffix(".py") + suffix if name.endswith(".py") else name, part)
    with pytest.raises(UntrustedFileError, match="TorchScript that reads or writes files"):
        load(str(file))


@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning", "ignore::DeprecationWarning")
def test_torchscript_with_a_part_twice_is_loaded_only_if_trusted(tmp_path: Path) -> None:
    file = tmp_path / "net.pt"
    torch.jit.script(torch_net().eval()).save(file)
    with zipfile.ZipFile(file, "a") as archive:
        name = next(name for name in archive.namelist() if name.endswith(".py"))
        archive.writestr(name, archive.read(name))
    with pytest.raises(UntrustedFileError, match="two parts of one name"):
        load(str(file))


@pytest.mark.parametrize("fixed", [True, False])
def test_an_exported_program_tells_its_image(tmp_path: Path, fixed: bool) -> None:
    file = tmp_path / "net.pt2"
    sizes = None if fixed else ({2: torch.export.Dim.AUTO, 3: torch.export.Dim.AUTO},)
    torch.export.save(torch.export.export(torch_net().eval(), (IMAGE,), dynamic_shapes=sizes), file)
    found = load(str(file), trust=True)
    assert found.shape == (48, 32, 3)
    assert found.rf.compute(found.shape).size == (9, 7)


def test_an_exported_program_is_opened_only_if_trusted(tmp_path: Path) -> None:
    """Whatever lies in it, a pickle or a size that is code: PyTorch would run it."""
    file, mark = tmp_path / "net.pt2", tmp_path / "ran"
    sizes = ({2: torch.export.Dim.AUTO, 3: torch.export.Dim.AUTO},)
    torch.export.save(torch.export.export(torch_net().eval(), (IMAGE,), dynamic_shapes=sizes), file)
    code = json.dumps(f"open({str(mark)!r}, 'w')").encode()
    evil, planted = tmp_path / "evil.pt2", set()
    for content in (b"", pickle.dumps(Evil(mark)) + b"tail", pickle.dumps(Evil(mark), protocol=0)):
        with zipfile.ZipFile(file) as old, zipfile.ZipFile(evil, "w") as new:
            for name in old.namelist():
                part = old.read(name)
                if name.endswith("json") and not content:
                    part, count = re.subn(rb'(?<="expr_str": )"[^"]*"', lambda _: code, part)
                    planted |= {"code"} if count else set()
                elif name.endswith(".pt") and content:
                    part = content
                    planted.add(content)
                new.writestr(name, part)
        for path in (file, evil):
            with pytest.raises(UntrustedFileError, match="an exported program, and PyTorch runs Python"):
                load(str(path))
        assert not mark.exists()
    assert len(planted) == 3


def test_a_pickled_module_is_opened_only_if_trusted(tmp_path: Path) -> None:
    file, evil = tmp_path / "net.pth", tmp_path / "evil.pth"
    torch.save(torch_net(), file)
    torch.save(Evil(tmp_path / "ran"), evil)
    for path in (file, evil):
        with pytest.raises(UntrustedFileError, match="a pickle, and pickles run code"):
            load(str(path))
    evil.write_bytes(pickle.dumps(Evil(tmp_path / "ran")))
    with pytest.raises(UntrustedFileError, match="a pickle, and pickles run code"):
        load(str(evil))
    assert not (tmp_path / "ran").exists()
    assert load(str(file), trust=True).rf.compute((3, 32, 48)).size == (9, 7)


def test_weights_alone_are_no_model(tmp_path: Path) -> None:
    file = tmp_path / "weights.pt"
    torch.save(torch_net().state_dict(), file)
    with pytest.raises(ReceptiveFieldError, match="holds weights alone"):
        load(str(file))


def test_onnx_needs_onnx2torch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "net.onnx"
    file.write_bytes(b"\x08\x07")
    monkeypatch.setitem(sys.modules, "onnx2torch", None)
    with pytest.raises(MissingFrameworkError, match="pip install onnx2torch"):
        load(str(file))
    stand_in = types.ModuleType("onnx2torch")
    stand_in.convert = lambda path: torch_net() if path == str(file) else None  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "onnx2torch", stand_in)
    assert load(str(file)).rf.compute((3, 32, 48)).size == (9, 7)
