"""The user's module stays as it is, whatever its code does."""

from __future__ import annotations

import math
import random
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from rfwidget.errors import ReceptiveFieldError
from rfwidget.torch import TorchReceptiveField
from rfwidget.types import Size


class Counts(nn.Module):
    """Counts its calls in a buffer and an attribute, and keeps what it saw."""

    calls: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.register_buffer("calls", torch.zeros(()))
        self.times, self.history = 0, [torch.zeros(1)]

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        self.times += 1
        y = self.conv(x)
        self.history.append(y)
        return y


class ClampsItsWeights(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        self.conv.weight.data.clamp_(-0.01, 0.01)
        return self.conv(x)


class SetsEverything(nn.Module):
    """Random numbers, default type, modes, flags: all are changed."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        torch.manual_seed(0)
        np.random.seed(0)  # noqa: NPY002
        random.seed(0)
        torch.set_default_dtype(torch.float64)
        self.train()
        self.conv.requires_grad_(False)
        return self.conv(x) + torch.rand(1, dtype=x.dtype)


class HoldsALock(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.lock = nn.Conv2d(3, 4, 3), threading.Lock()
        self.cache = torch.ones(3, requires_grad=True) * 2  # no leaf: it cannot be deep-copied

    def forward(self, x: Tensor) -> Tensor:
        with self.lock:
            return self.conv(x)


class TrainsItself(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)

    def forward(self, x: Tensor) -> Tensor:
        return F.batch_norm(self.conv(x), self.norm.running_mean, self.norm.running_var, training=True)


def _hooked() -> nn.Module:
    module = nn.Sequential(nn.Conv2d(3, 4, 3))
    module.seen = []  # type: ignore[assignment]
    module.register_forward_hook(lambda *_: module.seen.append(1))  # type: ignore[operator]
    module[0].register_forward_pre_hook(lambda *_: module.seen.append(2))  # type: ignore[operator]
    return module


def _inference() -> nn.Module:
    with torch.inference_mode():
        return nn.Conv2d(3, 4, 3)


HOSTILE: list[Callable[[], nn.Module]] = [
    Counts, ClampsItsWeights, SetsEverything, HoldsALock, TrainsItself, _hooked, _inference,
    lambda: nn.Conv2d(3, 4, 3).half(), lambda: nn.Conv2d(3, 4, 3).bfloat16(),
    lambda: torch.jit.script(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())),
    lambda: torch.jit.trace(nn.Conv2d(3, 4, 3), torch.zeros(1, 3, 8, 8)),
    lambda: nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 4, 3)),
    lambda: nn.DataParallel(nn.Conv2d(3, 4, 3)),
]  # fmt: skip


def _state(module: nn.Module) -> list[Any]:
    tensors = [*module.named_parameters(), *module.named_buffers()]
    found: list[Any] = [(name, t.detach().clone(), t.requires_grad, t.grad, t.data_ptr()) for name, t in tensors]
    if not isinstance(module, torch.jit.ScriptModule):  # whose tensors are other objects each time
        found += [id(tensor) for _, tensor in tensors]
    found += [(name, part.training, len(part._forward_hooks)) for name, part in module.named_modules()]
    found += [getattr(module, name, None) for name in ("times", "seen")]
    found += [len(getattr(module, "history", []))]
    found += [torch.random.get_rng_state(), random.getstate(), np.random.get_state()[1]]  # noqa: NPY002
    return [*found, torch.get_default_dtype(), torch.is_grad_enabled()]


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, Tensor):
        return torch.equal(a, b)
    if isinstance(a, np.ndarray):
        return bool((a == b).all())
    if isinstance(a, (tuple, list)):
        return len(a) == len(b) and all(map(_same, a, b))
    return bool(a == b)


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
@pytest.mark.parametrize("build", HOSTILE)
@pytest.mark.parametrize("training", [True, False])
def test_nothing_of_the_users_changes(build: Callable[[], nn.Module], training: bool) -> None:
    torch.manual_seed(1)  # behind a ReLU the gradient of a cell may be zero, by the weights
    module = build()
    if not isinstance(module, torch.jit.ScriptModule):
        module.train(training)
    before = _state(module)
    rf = TorchReceptiveField(module)
    size = rf.compute((3, 16, 20)).size
    assert size == (Size(math.inf, math.inf) if build is TrainsItself else Size(3, 3))
    assert rf.gradient_at((2, 5)).any()
    rf.feature_map()
    rf.survey((3, 16, 20))
    rf.cells_seeing((3, 3))
    assert _same(before, _state(module))


def test_the_callers_modes_do_not_matter() -> None:
    rf = TorchReceptiveField(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 3)))
    rf.compute((3, 16, 20))
    plain = rf.gradient_at((4, 4))
    for mode in (torch.no_grad(), torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16)):
        with mode:
            assert rf.compute((3, 16, 20)).size == Size(5, 5)
            np.testing.assert_array_equal(rf.gradient_at((4, 4)), plain)


def test_gradients_use_the_weights_as_they_are_now() -> None:
    module = nn.Conv2d(3, 1, 3, bias=False)
    rf = TorchReceptiveField(module)
    rf.compute((3, 8, 8))
    first = rf.gradient_at((2, 2))
    with torch.no_grad():
        module.weight.mul_(2)
    np.testing.assert_allclose(rf.gradient_at((2, 2)), 2 * first, rtol=1e-6)
    module.weight = nn.Parameter(module.weight.detach() * 2)
    rf.compute((3, 8, 8))
    np.testing.assert_allclose(rf.gradient_at((2, 2)), 4 * first, rtol=1e-6)


class Decides(nn.Module):
    """Control flow by numbers of the image."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        if x.mean() > 1e9:
            raise ValueError("too bright")
        return self.conv(x)


def test_control_flow_by_numbers_of_the_image_works() -> None:
    assert TorchReceptiveField(Decides()).compute((3, 16, 20)).size == Size(3, 3)


class LeavesPyTorch(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv1(x)
        return self.conv2(torch.from_numpy(y.numpy() * 2))


def test_what_lies_behind_numpy_is_unknown_and_what_lies_before_is_known() -> None:
    rf = TorchReceptiveField(LeavesPyTorch())
    with pytest.warns(UserWarning, match="the code leaves PyTorch.* 'conv1', a layer before that, is measured instead"):
        assert rf.compute((3, 16, 20)).size == Size(3, 3)
    assert list(rf.layers) == ["conv1"]
    with pytest.raises(ReceptiveFieldError, match="leaves PyTorch"):
        rf.compute((3, 16, 20), output_layer="conv2")


class FindsPlaces(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(3, 1, 3), nn.Conv2d(1, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv1(x)
        places = (y > 0).nonzero().sum().to(y.dtype)
        return self.conv2(y * places)


def test_operations_of_unknown_results_are_named() -> None:
    rf = TorchReceptiveField(FindsPlaces())
    with pytest.warns(UserWarning, match="'conv2' sees is unknown: nonzero cannot be followed.* 'gt', a layer before"):
        rf.compute((3, 16, 20))
    assert rf.output_layer == "gt"
    with pytest.raises(ReceptiveFieldError, match="nonzero"):
        rf.compute((3, 16, 20), output_layer="conv2")
    survey = rf.survey((3, 16, 20))
    assert survey["conv1"].size == Size(3, 3)
    assert "nonzero" in survey["conv2"].note


def test_lazy_modules_are_refused_before_anything_runs() -> None:
    with pytest.raises(ReceptiveFieldError, match="not initialised"):
        TorchReceptiveField(nn.LazyConv2d(4, 3))
