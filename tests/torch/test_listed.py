"""Gradients by one list of operations are those of eager autograd, and of the module as it is now."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from rfwidget.torch import TorchReceptiveField
from rfwidget.torch.gradient import EagerGradient

POINT = (3, 2)
REQUESTS = 12
"""More than are done eagerly."""


class Code(nn.Module):
    """A convolution, code of a test's, and another convolution."""

    def __init__(self, code: Callable[[Any, Tensor], Tensor] = lambda _, x: x) -> None:
        super().__init__()
        self.first, self.norm, self.last = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 2, 3)
        self.alpha, self.code, self.seen = nn.Parameter(torch.full((1,), 0.7)), code, torch.zeros(1)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.code(self, self.norm(self.first(x))))


def _estimator(module: nn.Module, requests: int = REQUESTS) -> TorchReceptiveField:
    rf = TorchReceptiveField(module.eval())
    rf.compute((3, 20, 24))
    for _ in range(requests):
        _gradient(rf)
    return rf


def _gradient(rf: TorchReceptiveField) -> npt.NDArray[np.float32]:
    return rf.gradient_at(POINT, image=np.random.default_rng(1).random((20, 24, 3), np.float32))


def _is_listed(rf: TorchReceptiveField) -> bool:
    assert rf._computed is not None
    ready = rf._computed.network.patches._ready  # type: ignore[attr-defined]
    assert isinstance(ready.one, EagerGradient)
    return ready.one.is_listed


def _in_place(_: Any, x: Tensor) -> Tensor:
    F.relu_(x)  # what it returns is left
    y = x * 2
    y[:, :2] += 1
    return y


def _branch(_: Any, x: Tensor) -> Tensor:
    y = torch.cat([x.flip(1), F.max_pool2d(x, 3, 1, 1)], 1).chunk(2, 1)
    return y[0] * torch.sigmoid(y[1])


PLAIN: list[Callable[[Any, Tensor], Tensor]] = [
    lambda _, x: x,
    lambda _, x: F.leaky_relu(x),
    _in_place,
    _branch,
    lambda module, x: x * module.alpha + torch.arange(4.0).view(1, 4, 1, 1),
    lambda _, x: F.conv2d(x, torch.ones(4, 1, 3, 3), groups=4),
    lambda _, x: x if x.shape[1] == 4 else -x,
]


@pytest.mark.parametrize("code", PLAIN)
def test_a_list_gives_what_eager_autograd_gives(code: Callable[[Any, Tensor], Tensor]) -> None:
    torch.manual_seed(3)
    module = Code(code)
    eager, rf = _estimator(module, 1), _estimator(module)
    assert _is_listed(rf)
    assert not _is_listed(eager)
    for point in ((3, 2), (0, 0), (19, 15)):
        if point[0] < rf.output_shape.w and point[1] < rf.output_shape.h:
            found, expected = (one.gradient_at(point, channel=1) for one in (rf, eager))
            assert expected.any()
            np.testing.assert_array_equal(found, expected)


def _writes(module: Any, x: Tensor) -> Tensor:
    module.calls += 1
    return x * module.calls


def _in_numpy(_: Any, x: Tensor) -> Tensor:
    return x + float(np.random.normal())  # noqa: NPY002


UNFIT: list[Callable[[Any, Tensor], Tensor]] = [
    lambda _, x: x if x.mean() > 0 else -x,
    lambda module, x: x * float(module.alpha),
    lambda module, x: x * module.alpha.item(),
    lambda module, x: x * float(module.alpha.detach().numpy()[0]),
    lambda module, x: x * module.alpha.tolist()[0],
    lambda module, x: x if module.alpha > 0 else -x,
    lambda module, x: x if bool(torch.equal(module.alpha, module.alpha * 1)) and module.alpha > 0.5 else -x,
    lambda _, x: F.dropout(x, 0.5, training=True),
    lambda _, x: x * torch.rand(()),
    lambda _, x: x * random.random(),  # noqa: S311
    _in_numpy,
    _writes,
]


@pytest.mark.parametrize("code", UNFIT)
def test_code_that_may_do_something_else_next_time_stays_eager(code: Callable[[Any, Tensor], Tensor]) -> None:
    torch.manual_seed(3)
    module = Code(code)
    rf = _estimator(module)
    assert not _is_listed(rf)
    with torch.no_grad():
        module.alpha.neg_()
    np.testing.assert_array_equal(_gradient(rf), _gradient(_estimator(module, 0)))


def _through_data(module: Code) -> None:
    module.first.weight.data.mul_(-2)


def _in_a_buffers_data(module: Code) -> None:
    assert module.norm.running_var is not None
    module.norm.running_var.data.mul_(9)  # its version does not count this


def _other_storage(module: Code) -> None:
    module.last.weight.data = module.last.weight.detach() * 3


def _other_parameter(module: Code) -> None:
    module.last.weight = nn.Parameter(module.last.weight.detach() * 4)


def _other_buffer(module: Code) -> None:
    module.norm.running_var = torch.full((4,), 5.0)


def _other_part(module: Code) -> None:
    module.last = nn.Conv2d(4, 2, 3)


def _state(module: Code) -> None:
    module.load_state_dict({name: value * 2 for name, value in module.state_dict().items()})


def _a_step(module: Code) -> None:
    optimiser = torch.optim.SGD(module.parameters(), 1.0)
    module(torch.rand(1, 3, 20, 24)).square().mean().backward()
    optimiser.step()


CHANGES = [
    _through_data,
    _in_a_buffers_data,
    _other_storage,
    _other_parameter,
    _other_buffer,
    _other_part,
    _state,
    _a_step,
]


@pytest.mark.parametrize("requests", [1, REQUESTS])
@pytest.mark.parametrize("change", CHANGES)
def test_the_next_gradient_is_that_of_the_weights_as_they_are_now(
    change: Callable[[Code], None], requests: int
) -> None:
    torch.manual_seed(3)
    module = Code()
    rf = _estimator(module, requests)
    assert _is_listed(rf) == (requests == REQUESTS)
    before = _gradient(rf)
    change(module)
    found, expected = _gradient(rf), _gradient(_estimator(module, 0))
    assert not np.allclose(found, before, rtol=1e-3, atol=0)
    np.testing.assert_array_equal(found, expected)
    for _ in range(REQUESTS):
        np.testing.assert_array_equal(_gradient(rf), expected)
    assert _is_listed(rf)


def test_neither_the_callers_modes_nor_random_state_matter_to_a_list() -> None:
    torch.manual_seed(3)
    rf = _estimator(Code())
    expected = _gradient(rf)
    before = torch.random.get_rng_state(), repr(random.getstate()), repr(np.random.get_state())  # noqa: NPY002
    for mode in (torch.no_grad(), torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16)):
        with mode:
            np.testing.assert_array_equal(_gradient(rf), expected)
    assert torch.equal(torch.random.get_rng_state(), before[0])
    assert (repr(random.getstate()), repr(np.random.get_state())) == before[1:]  # noqa: NPY002


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
def test_scripts_stay_eager() -> None:
    script = torch.jit.script(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()))
    rf = _estimator(nn.Sequential(script, nn.Conv2d(4, 2, 3)))
    assert not _is_listed(rf)


def test_other_threads_stay_eager() -> None:
    made: list[TorchReceptiveField] = []
    thread = threading.Thread(target=lambda: made.append(_estimator(Code())))
    thread.start()
    thread.join()
    assert not _is_listed(made[0])


def test_long_modules_stay_eager() -> None:
    module = nn.Sequential(*(nn.Conv2d(3, 3, 1) for _ in range(101)))
    rf = TorchReceptiveField(module)
    rf.compute((3, 4, 5))
    for _ in range(REQUESTS):
        rf.gradient_at((1, 1))
    assert not _is_listed(rf)
