"""Operations inside ScriptModules: gradients begin at them as they do at layers of the module that was scripted."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from rfwidget.errors import ReceptiveFieldError
from rfwidget.torch import TorchReceptiveField
from rfwidget.types import GridPoint


class Branches(nn.Module):
    """A residual branch, then a linear layer over channels."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, (3, 5)), nn.Conv2d(4, 4, 3, padding=1)
        self.norm, self.last = nn.BatchNorm2d(4), nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        y = F.leaky_relu(self.norm(self.first(x)), 0.1)
        y = torch.sigmoid(self.second(y)) * y
        y = F.leaky_relu_(y + 1.0, 0.2)
        return self.last(y.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


PAIRS = {
    "1.convolution": "1.first",
    "1.native_batch_norm": "1.norm",
    "1.leaky_relu": "1.leaky_relu",
    "1.convolution_1": "1.second",
    "1.sigmoid": "1.sigmoid",
    "1.mul": "1.mul",
    "1.add": "1.add",
    "1.leaky_relu_1": "1.leaky_relu_1",
    "1.permute_1": "1.permute_1",
}
"""Names of operations inside the ScriptModule, and of the layers of the module itself."""


def behind_a_convolution(part: nn.Module) -> nn.Module:
    torch.manual_seed(4)
    return nn.Sequential(nn.Conv2d(3, 3, (1, 2)), part).eval()


def branches() -> Branches:
    torch.manual_seed(3)
    return Branches().eval()


@pytest.mark.parametrize("name", PAIRS)
def test_an_operation_inside_a_script_has_the_gradient_of_its_layer(name: str) -> None:
    image, point = np.random.default_rng(1).random((26, 40, 3), np.float32), GridPoint(11, 9)
    gradients = []
    for part, layer in ((torch.jit.script(branches()), name), (branches(), PAIRS[name])):
        rf = TorchReceptiveField(behind_a_convolution(part))
        rf.compute((3, 26, 40), output_layer=layer)
        gradients.append(rf.gradient_at(point, image=image))
    assert np.abs(gradients[1]).max() > 0
    np.testing.assert_allclose(gradients[0], gradients[1], atol=1e-7)


class Otherwise(nn.Module):
    """Does something else where gradients are wanted."""

    def forward(self, x: Tensor) -> Tensor:
        if torch.is_grad_enabled():
            x = x.sigmoid()
        return F.leaky_relu(x, 0.1)


def test_an_operation_that_autograd_does_otherwise_is_refused_by_name() -> None:
    rf = TorchReceptiveField(behind_a_convolution(torch.jit.script(Otherwise())))
    rf.compute((3, 26, 40), output_layer="1.leaky_relu")
    with pytest.raises(ReceptiveFieldError, match=r"'1\.leaky_relu'.*Choose the ScriptModule itself"):
        rf.gradient_at(GridPoint(3, 4), image=np.zeros((26, 40, 3), np.float32))


def test_a_scripted_module_is_as_it_was_after_a_gradient_inside_it() -> None:
    script = torch.jit.script(branches())
    before = {name: tensor.clone() for name, tensor in script.state_dict().items()}
    was = torch._C._get_graph_executor_optimize()
    rf = TorchReceptiveField(script)
    rf.compute((3, 26, 40), output_layer="sigmoid")
    rf.gradient_at(GridPoint(3, 4), image=np.ones((26, 40, 3), np.float32))
    assert torch._C._get_graph_executor_optimize() == was
    assert all(parameter.grad is None for parameter in script.parameters())
    assert all(torch.equal(tensor, before[name]) for name, tensor in script.state_dict().items())


def test_an_operation_of_several_results_gives_its_first() -> None:
    part = torch.jit.trace(nn.Sequential(nn.Conv2d(3, 4, 3), nn.MaxPool2d(2)).eval(), torch.zeros(1, 3, 14, 18))
    rf = TorchReceptiveField(part)
    rf.compute((3, 14, 18))
    assert [name for name in rf.layers if "max_pool" in name] == ["max_pool2d_with_indices"]  # no places of maxima
    assert rf.gradient_at((3, 2)).any()


def test_a_frozen_script_is_measured() -> None:
    rf = TorchReceptiveField(torch.jit.freeze(torch.jit.script(nn.Sequential(nn.Conv2d(3, 4, (3, 5))).eval())))
    assert tuple(rf.compute((3, 14, 18)).size) == (5, 3)
    assert rf.gradient_at((3, 2)).any()
