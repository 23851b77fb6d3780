"""Large images and wide layers are measured in little memory, each in a process with a limited address space."""

from __future__ import annotations

import subprocess
import sys

import pytest

_PROGRAM = """
import resource
resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))
import torch
from torch import nn
from rfwidget.torch import TorchReceptiveField
from tests.memory_peak import peak
{build}
rf = TorchReceptiveField(module)
print(rf.compute({shape}).size)
print(len(rf.survey({shape})))
if {gradient}:
    print(bool(rf.gradient_at((7, 9)).any()))
print(peak())
"""

_DEEPLAB = "from tests.torch.test_kinds import DeepLab\nmodule = DeepLab()"
_UNET = "from tests.torch.known_modules import UNet\nmodule = UNet(transposed=True)"
_WIDE = """
module = nn.Sequential(
    nn.Conv2d(3, 4096, 3, padding=1), nn.ReLU(), nn.Conv2d(4096, 4096, 3, padding=1, groups=4096), nn.BatchNorm2d(4096),
    nn.Conv2d(4096, 4096, 1, groups=64), nn.Conv2d(4096, 16, 3, 2),
)
"""


@pytest.mark.parametrize(
    ("build", "shape", "size", "gradient"),
    [
        (_DEEPLAB, (3, 1024, 2048), "Size(w=inf, h=inf)", False),
        (_UNET, (2, 2048, 2048), None, True),
        (_WIDE, (3, 1024, 1024), "Size(w=7, h=7)", True),
    ],
)
def test_peaks_stay_below_three_gibibytes(
    build: str, shape: tuple[int, int, int], size: str | None, gradient: bool
) -> None:
    program = _PROGRAM.format(build=build, shape=shape, gradient=gradient)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    lines = done.stdout.splitlines()
    assert size is None or lines[0] == size
    assert int(lines[1]) > 3
    assert not gradient or lines[2] == "True"
    assert float(lines[-1]) < 3
