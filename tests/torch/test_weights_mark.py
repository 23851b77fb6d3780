"""Whether a module's weights have changed is seen, and only then."""

from __future__ import annotations

import torch
from torch import nn

from rfwidget.torch import TorchReceptiveField


def small(*, init_weights: bool = False) -> tuple[nn.Sequential, TorchReceptiveField]:
    module = nn.Sequential(nn.Conv2d(3, 4, (3, 5)), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 2, (5, 3)))
    rf = TorchReceptiveField(module, init_weights=init_weights)
    rf.compute((3, 20, 28))
    return module, rf


def test_writing_to_a_weight_or_a_buffer_counts_in_whatever_way() -> None:
    module, rf = small()
    before = rf.network.weights_mark()
    assert rf.network.weights_mark() == before
    conv, norm = module[0], module[1]
    with torch.no_grad():
        for write in (
            lambda: conv.weight[0, 0, 0, 0].add_(1),
            lambda: conv.weight.data.mul_(2),
            lambda: norm.running_mean.add_(1),
            lambda: setattr(conv, "bias", nn.Parameter(torch.zeros(4))),
        ):
            write()
            after = rf.network.weights_mark()
            assert after != before
            before = after


def test_training_counts_and_a_gradient_map_does_not() -> None:
    module, rf = small()
    before = rf.network.weights_mark()
    rf.gradient_at((3, 2))
    assert rf.network.weights_mark() == before
    optimizer = torch.optim.SGD(module.parameters(), 0.1)
    module(torch.ones(1, 3, 20, 28)).square().sum().backward()
    optimizer.step()
    assert rf.network.weights_mark() != before


def test_constant_weights_never_change() -> None:
    module, rf = small(init_weights=True)
    before = rf.network.weights_mark()
    with torch.no_grad():
        module[0].weight.add_(1)
    assert rf.network.weights_mark() == before
