"""`TorchReceptiveField` as people of PyTorch expect it."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import rfwidget
from rfwidget.errors import ReceptiveFieldError
from rfwidget.image import get_default_image
from rfwidget.torch import TorchReceptiveField
from rfwidget.types import ImageShape, Size
from tests.torch.known_modules import ResNet50, readme_model


@pytest.mark.parametrize(
    "shape", [(3, 48, 64), (1, 3, 48, 64), [3, 48, 64], torch.Size([3, 48, 64]), ImageShape(64, 48)]
)
def test_shapes_are_those_of_pytorch(shape: object) -> None:
    rf = TorchReceptiveField(readme_model())
    rf.compute(shape)  # type: ignore[arg-type]
    assert rf.input_shape == (None, 64, 48, 3)
    assert rf.output_shape == (None, 8, 4, 1)
    assert rf.channels == 128


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((224, 224, 3), r"PyTorch's order is \(channels, height, width\).*\(3, 224, 224\)"),
        ((2, 3, 32, 32), "one image"),
        ((3, 32), "expected"),
        ("3x32x32", "expected"),
        ((3, 0, 32), "at least 1"),
        ((1, 48, 48), r"does not run.*did you mean \(3, 48, 48\)"),
        ((3, 5, 5), "does not run|no cell|layer"),
    ],
)
def test_wrong_shapes_are_explained(shape: object, words: str) -> None:
    with pytest.raises(ReceptiveFieldError, match=words):
        TorchReceptiveField(readme_model()).compute(shape, output_layer="7")  # type: ignore[arg-type]


def test_images_are_tensors_arrays_or_pictures() -> None:
    rf = TorchReceptiveField(readme_model())
    rf.compute((3, 48, 64))
    pixels = get_default_image((64, 48))
    unit = pixels.astype(np.float32) / 255
    expected = rf.gradient_at((1, 2), unit)
    assert expected.shape == (48, 64, 3)
    tensor = torch.from_numpy(unit).permute(2, 0, 1)
    for image in (pixels, Image.fromarray(pixels), tensor, tensor[None], tensor.clone().requires_grad_()):
        np.testing.assert_allclose(rf.gradient_at((1, 2), image), expected, rtol=1e-5, atol=1e-9)


def test_a_transform_gets_a_tensor() -> None:
    rf = TorchReceptiveField(readme_model())
    rf.compute((3, 48, 64))
    seen = []

    def transform(image: Tensor) -> Tensor:
        seen.append((tuple(image.shape), float(image.max()) <= 1))
        return (image - 0.5) / 0.25

    made = rf.model_input(get_default_image((64, 48)), rf.input_shape, transform)
    assert made.shape == (48, 64, 3)
    assert seen == [((3, 48, 64), True)]
    with pytest.raises(ReceptiveFieldError, match="resize"):
        rf.model_input(get_default_image((64, 48)), rf.input_shape, lambda x: x[:, :7])


def test_the_gradient_is_that_of_autograd() -> None:
    module = ResNet50().eval()
    rf = TorchReceptiveField(module)
    rf.compute((3, 160, 192), output_layer="layer2.3.relu_2")
    image = torch.rand(1, 3, 160, 192)
    got = rf.gradient_at((11, 9), image)
    whole = image.clone().requires_grad_()
    x = module.maxpool(module.relu(module.bn1(module.conv1(whole))))
    module.layer2(module.layer1(x))[0, :, 9, 11].mean().backward()
    assert whole.grad is not None
    expected = whole.grad[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(got, expected, atol=2e-4 * np.abs(expected).max())


def test_questions_about_pixels() -> None:
    rf = TorchReceptiveField(nn.Sequential(nn.Conv2d(1, 1, 3, dilation=2)))
    rf.compute((1, 12, 14))
    seeing = rf.cells_seeing((4, 5))
    assert seeing.shape == (8, 10)
    assert {(x, y) for y, x in np.argwhere(seeing)} == {(x, y) for x in (0, 2, 4) for y in (1, 3, 5)}
    assert rf.rect_at((2, 3), clip=True) == (2, 3, 7, 8)


class Largest(nn.Module):
    """The largest channels of a convolution."""

    def __init__(self, kept: int) -> None:
        super().__init__()
        self.conv, self.last, self.kept = nn.Conv2d(3, 4, (3, 5)), nn.Conv2d(kept, 2, (1, 3)), kept

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.conv(x).topk(self.kept, 1).values)


@pytest.mark.parametrize("kept", [1, 2, 4])
def test_the_largest_of_some_channels_see_what_all_of_them_see(kept: int) -> None:
    assert TorchReceptiveField(Largest(kept)).compute((3, 16, 20), output_layer="last").size == Size(7, 3)


class RaisesBehindALayer(nn.Module):
    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.conv, self.error = nn.Conv2d(3, 4, 3), error

    def forward(self, x: Tensor) -> Tensor:
        self.conv(x)
        raise self.error


@pytest.mark.parametrize(
    ("error", "words"),
    [(ValueError("\x1b[31mtoo\n  small\x1b[0m"), "ValueError: too small"), (RuntimeError(), "RuntimeError")],
)
def test_what_a_module_raises_is_the_end_of_a_sentence(error: Exception, words: str) -> None:
    with pytest.raises(ReceptiveFieldError, match=f"does not run to its end on this image: {words}$"):
        TorchReceptiveField(RaisesBehindALayer(error)).compute((3, 16, 20), output_layer="deconv")


def test_unknown_layers_are_named_with_a_suggestion() -> None:
    with pytest.raises(ReceptiveFieldError, match=r"no layer 'layer4.2.relu_3'.*did you mean 'layer4.2.relu_2'"):
        TorchReceptiveField(ResNet50()).compute((3, 64, 64), output_layer="layer4.2.relu_3")
    with pytest.raises(ReceptiveFieldError, match=r"no two-dimensional grid"):
        TorchReceptiveField(ResNet50()).compute((3, 64, 64), output_layer="fc")


class Raises(nn.Module):
    def forward(self, x: Tensor) -> Tensor:  # noqa: ARG002
        raise KeyError("weights")


class ReturnsText(nn.Module):
    def forward(self, x: Tensor) -> str:  # noqa: ARG002
        return "nothing"


@pytest.mark.parametrize(
    ("model", "words"),
    [(Raises, "does not run.*KeyError"), (ReturnsText, "no tensor"), (lambda: 3, "expected a torch.nn.Module"),
     (lambda: nn.Conv2d(3, 4, 3, device="meta"), "no weights")],
)  # fmt: skip
def test_modules_that_are_none_are_explained(model: object, words: str) -> None:
    with pytest.raises(ReceptiveFieldError, match=words):
        TorchReceptiveField(model).compute((3, 16, 16))  # type: ignore[arg-type]


def test_a_missing_device_is_an_error() -> None:
    with pytest.raises(ReceptiveFieldError, match="device"):
        TorchReceptiveField(readme_model(), device="nowhere")


class TakesTwo(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3)

    def forward(self, x: Tensor, other: Tensor, scale: float) -> Tensor:
        return self.conv(torch.cat([x, other], 1)) * scale


def test_other_inputs_go_with_the_image() -> None:
    rf = TorchReceptiveField(TakesTwo(), other_inputs=(torch.ones(1, 1, 20, 24), 0.5))
    assert rf.compute((3, 20, 24)).size == Size(3, 3)
    assert rf.gradient_at((4, 4)).any()


def test_plain_weights_make_a_positive_gradient() -> None:
    rf = TorchReceptiveField(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 3)), init_weights=True)
    rf.compute((3, 12, 12))
    gradient = rf.gradient_at((3, 3), np.ones((12, 12, 3), np.float32))
    assert (gradient[3:8, 3:8] > 0).all()


def test_ignoring_global_context_measures_the_local_path() -> None:
    class Excites(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.fc = nn.Conv2d(3, 4, 3), nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            x = self.conv(x)
            return x * self.fc(x.mean((2, 3))).sigmoid()[:, :, None, None]

    rf = TorchReceptiveField(Excites())
    assert rf.compute((3, 32, 40)).unbounded == (True, True)
    assert rf.compute((3, 32, 40), ignore_global_context=True).size == Size(3, 3)


@pytest.mark.parametrize("strides", [(7, 11), (14, 5), (3, 13)])
@pytest.mark.parametrize("lengths", [(154, 224), (150, 230)])
def test_cells_that_see_all_stand_as_far_apart_as_those_before_them(
    strides: tuple[int, int], lengths: tuple[int, int]
) -> None:
    class Excites(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.patches, self.last = nn.Conv2d(3, 4, strides, strides), nn.Conv2d(4, 4, 1)

        def forward(self, x: Tensor) -> Tensor:
            x = self.patches(x)
            return self.last(x * x.mean((2, 3), keepdim=True).sigmoid())

    found = TorchReceptiveField(Excites()).compute((3, *lengths))
    assert found.unbounded == (True, True)
    assert found.stride == (strides[1], strides[0])
    assert found.offset == (strides[1] / 2, strides[0] / 2)


def test_a_module_that_takes_one_image_at_a_time_fails_in_words_on_a_batch() -> None:
    class Lonely(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 2, (3, 5))

        def forward(self, x: Tensor) -> Tensor:
            if len(x) > 1:
                raise RuntimeError("one at a time")
            return self.conv(x)

    rf = TorchReceptiveField(Lonely())
    rf.compute((3, 20, 30))
    with pytest.raises(ReceptiveFieldError, match="fails on the way to 'conv': RuntimeError: one at a time"):
        rf.gradients_at([(x, y) for x in range(8) for y in range(8)])
    assert np.count_nonzero(rf.gradient_at((3, 4)).any(axis=-1)) == 15


def test_the_widget_takes_modules() -> None:
    widget = rfwidget.RFWidget(readme_model(), input_shape=(3, 48, 64))
    try:
        assert isinstance(widget.rf, TorchReceptiveField)
        assert widget.model_input_shape == (48, 64, 3)
        assert widget.wait(60)
        assert widget.rf_params.size == Size(34, 34)
        assert widget.output_layer == "7"
    finally:
        widget.close()


def test_neither_framework_is_imported_with_the_package_nor_keras_with_the_wing() -> None:
    code = (
        "import sys, rfwidget; assert not {'torch', 'keras', 'tensorflow'} & set(sys.modules); "
        "from rfwidget import TorchReceptiveField; assert 'torch' in sys.modules; "
        "assert not {'keras', 'tensorflow', 'torch._dynamo'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
