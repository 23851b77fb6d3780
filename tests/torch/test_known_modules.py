"""Receptive fields that are known from outside, and U-Nets by the oracle."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import nn

from rfwidget.torch import TorchReceptiveField
from rfwidget.types import Size
from tests.torch import known_modules
from tests.torch.test_against_oracle import mismatches


def test_the_readme_model() -> None:
    rf = TorchReceptiveField(known_modules.readme_model())
    assert rf.compute((3, 96, 96)) == ((17.0, 17.0), (4.0, 4.0), (34, 34))
    assert rf.input_shape == (None, 96, 96, 3)
    assert rf.output_shape == (None, 16, 16, 1)


@pytest.mark.parametrize(
    ("build", "layer", "size", "stride"),
    [
        (known_modules.vgg16, "30", 212, 32),
        (known_modules.ResNet50, "layer4.2.relu_2", 427, 32),
        (lambda: known_modules.ResNet50(in_the_3x3=False), "layer4.2.relu_2", 483, 32),
        (known_modules.densenet121, None, 2071, 32),
        (known_modules.mobilenet_v2, None, 491, 32),
        (known_modules.inception_v3, None, 1311, 32),
        (lambda: known_modules.patchgan(1), None, 16, 2),
        (lambda: known_modules.patchgan(3), None, 70, 8),
        (lambda: known_modules.patchgan(5), None, 286, 32),
        (lambda: known_modules.patchgan(6), None, 574, 64),
    ],
)
def test_known_architectures(build: Callable[[], nn.Module], layer: str | None, size: int, stride: int) -> None:
    described = TorchReceptiveField(build()).compute((3, 224, 288), output_layer=layer)
    assert described.size == Size(size, size)
    assert described.stride == (stride, stride)


def test_all_layers_of_a_resnet_have_the_names_of_torchvision() -> None:
    survey = TorchReceptiveField(known_modules.ResNet50()).survey((3, 224, 224))
    names = [row.name for row in survey]
    assert names[:4] == ["conv1", "bn1", "relu", "maxpool"]
    block = ("conv1", "bn1", "relu", "conv2", "bn2", "relu_1", "conv3", "bn3")
    assert names[4:16] == [f"layer1.0.{name}" for name in (*_shortcut("downsample.0", "downsample.1"), *block, "add",
                                                           "relu_2")]  # fmt: skip
    assert survey["layer4.2.relu_2"].size == Size(427, 427)
    assert survey["layer4.2.relu_2"].reads == Size(427, 427)
    assert survey["layer1.0.add"].size == Size(19, 19)
    assert math.isinf(survey["avgpool"].size.w)


def _shortcut(*names: str) -> tuple[str, ...]:
    return names


def test_a_module_that_holds_others_answers_to_its_own_name() -> None:
    rf = TorchReceptiveField(known_modules.ResNet50())
    assert rf.compute((3, 224, 224), output_layer="layer4").size == Size(427, 427)
    assert rf.output_layer == "layer4"
    assert "layer4" not in rf.layers


@pytest.mark.parametrize("transposed", [True, False])
def test_unets_see_what_pixels_show(transposed: bool) -> None:
    torch.manual_seed(1)
    module = known_modules.UNet(transposed=transposed).double().eval()
    for seed in range(3):
        assert mismatches(module, seed, fields=True, size=(44, 52)) == []
