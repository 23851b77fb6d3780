"""Sequences in PyTorch: known values, every kind of layer, one-sided fields, questions, gradients, the black box."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from rfwidget.errors import ReceptiveFieldError
from rfwidget.signals import get_default_signal
from rfwidget.torch import TorchReceptiveField
from rfwidget.torch.estimator import as_torch_shape
from rfwidget.types import GridShape, Rect, Size
from tests.any_rank import verdicts
from tests.known_sequences import TCNS, WAV2VEC, WAVENETS, Tcn, WaveNet
from tests.torch.any_rank import make


class Causal(nn.Module):
    """A convolution padded on both sides, of whose results the last ones are cut off, as in the TCN's own code."""

    def __init__(self, channels: int, results: int, kernel: int, dilation: int) -> None:
        super().__init__()
        self.cut = (kernel - 1) * dilation
        self.conv = nn.Conv1d(channels, results, kernel, dilation=dilation, padding=self.cut)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(x)[:, :, : x.shape[2]]


class Block(nn.Module):
    """Two causal convolutions, and a skip connection."""

    def __init__(self, channels: int, kernel: int, dilation: int) -> None:
        super().__init__()
        self.one, self.other = Causal(channels, 4, kernel, dilation), Causal(4, 4, kernel, dilation)
        self.skip = nn.Conv1d(channels, 4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.skip(x) + torch.relu(self.other(torch.relu(self.one(x))))


class Gated(nn.Module):
    """One layer of a WaveNet."""

    def __init__(self, kernel: int, dilation: int) -> None:
        super().__init__()
        self.gates, self.mix = Causal(4, 8, kernel, dilation), nn.Conv1d(4, 4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        signal, gate = self.gates(x).chunk(2, dim=1)
        return x + self.mix(torch.tanh(signal) * torch.sigmoid(gate))


class Recurrent(nn.Module):
    """A convolution and a recurrence, whose channels come last."""

    def __init__(self, kind: Any, *, both: bool = False) -> None:
        super().__init__()
        self.conv, self.steps = nn.Conv1d(3, 4, 5, stride=2), kind(4, 6, batch_first=True, bidirectional=both)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        steps: torch.Tensor = self.steps(self.conv(x).transpose(1, 2))[0]
        return steps.transpose(1, 2)


class Attended(nn.Module):
    """A convolution and an attention, with a causal mask or without."""

    def __init__(self, *, causal: bool) -> None:
        super().__init__()
        self.conv, self.attention, self.causal = (
            nn.Conv1d(3, 8, 5),
            nn.MultiheadAttention(8, 2, batch_first=True),
            causal,
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.conv(x).transpose(1, 2)
        mask = nn.Transformer.generate_square_subsequent_mask(y.shape[1]) if self.causal else None
        attended: torch.Tensor = self.attention(y, y, y, attn_mask=mask, need_weights=False)[0]
        return attended.transpose(1, 2)


def tcn(known: Tcn) -> nn.Module:
    channels = [3] + [4] * (len(known.dilations) * known.stacks - 1)
    return nn.Sequential(
        *(Block(c, known.kernel, d) for c, d in zip(channels, known.dilations * known.stacks, strict=True))
    )


def wavenet(known: WaveNet) -> nn.Module:
    return nn.Sequential(Causal(1, 4, known.first, 1), *(Gated(known.kernel, dilation) for dilation in known.dilations))


@pytest.mark.parametrize("known", TCNS)
def test_a_tcn_sees_what_its_formula_says(known: Tcn) -> None:
    rf = TorchReceptiveField(tcn(known))
    assert rf.compute((3, 2000)).size == Size(w=known.field)
    assert rf.rect_at(1999) == Rect(left=2000 - known.field, right=2000)


@pytest.mark.parametrize("known", WAVENETS)
def test_a_wavenet_sees_what_its_paper_says(known: WaveNet) -> None:
    assert TorchReceptiveField(wavenet(known)).compute((1, 3000)).size == Size(w=known.field)


def test_the_encoder_of_wav2vec_sees_400_samples_every_320() -> None:
    channels = [1, *[4] * 6]
    rf = TorchReceptiveField(
        nn.Sequential(*(nn.Conv1d(c, 4, kernel, stride) for c, (kernel, stride) in zip(channels, WAV2VEC, strict=True)))
    )
    described = rf.compute((1, 16000))
    assert str(described) == "ReceptiveFieldDescription(offset=(200.0,), stride=(320.0,), size=Size(w=400))"
    assert rf.output_shape == GridShape(n=None, w=49, c=1)


def test_every_kind_of_layer_along_a_sequence() -> None:
    rf = TorchReceptiveField(nn.Sequential(
        nn.Conv1d(3, 6, 5, groups=3), nn.MaxPool1d(2, ceil_mode=True), nn.ConvTranspose1d(6, 4, 4, stride=2),
        nn.Upsample(scale_factor=2, mode="linear"), nn.ReflectionPad1d(3), nn.ReplicationPad1d(2),
        nn.ConstantPad1d(2, 0.0), nn.GroupNorm(1, 4), nn.AvgPool1d(4, 4),
    ))  # fmt: skip
    survey = rf.survey((3, 101))
    assert [row.size.w for row in survey][:2] == [5, 6]
    assert survey["7"].unbounded == (True,)  # its mean is that of all samples
    rf.compute((3, 101), output_layer="8", ignore_global_context=True)
    assert rf.rf_params.stride == (2.0,)


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_recurrences_see_everything_before_them_and_nothing_behind(kind: Any) -> None:
    rf = TorchReceptiveField(Recurrent(kind))
    assert rf.compute((3, 120)).size == Size(w=math.inf)
    assert rf.rect_at(10) == Rect(left=-math.inf, right=25)
    assert rf.rect_at(10, clip=True) == Rect(left=0, right=25)
    assert rf.uniform == (True,)


def test_recurrences_in_both_directions_and_attention_see_everything() -> None:
    for module in (Recurrent(nn.LSTM, both=True), Attended(causal=False)):
        rf = TorchReceptiveField(module)
        rf.compute((3, 90))
        assert rf.rect_at(7) == Rect(left=-math.inf, right=math.inf)


def test_attention_with_a_causal_mask_sees_nothing_behind() -> None:
    rf = TorchReceptiveField(Attended(causal=True))
    rf.compute((3, 90))
    assert rf.rect_at(7) == Rect(left=-math.inf, right=12)


def test_questions_along_a_sequence_are_answered_in_one_number() -> None:
    rf = TorchReceptiveField(nn.Sequential(nn.Conv1d(3, 4, 3, dilation=4), nn.MaxPool1d(2)))
    rf.compute((3, 120))
    assert rf.rect_at(5) == rf.rect_at((5,)) == Rect(left=10, right=20)
    assert rf.cells_seeing(20).nonzero()[0].tolist() == [6, 8, 10]
    assert rf.cells_covering((12.5, 19)).nonzero()[0].tolist() == [5, 6]


def test_gradients_are_arrays_of_length_and_channels_whatever_the_order_of_the_signal() -> None:
    torch.manual_seed(1)
    rf = TorchReceptiveField(nn.Sequential(nn.Conv1d(3, 4, 5), nn.Tanh(), nn.Conv1d(4, 2, 3, stride=2)))
    rf.compute((3, 400))
    signal = get_default_signal((400, 3), "speech")
    gradient = rf.gradient_at(90, signal, channel=1)
    assert gradient.shape == (400, 3)
    assert gradient[180:187].any(axis=1).all()
    assert (gradient != 0).sum() == (gradient[180:187] != 0).sum()
    tensor = torch.from_numpy(signal.T.copy())
    np.testing.assert_allclose(rf.gradient_at(90, tensor, channel=1), gradient, atol=1e-6)
    np.testing.assert_allclose(rf.gradient_at(90, tensor[None], channel=1), gradient, atol=1e-6)


def test_all_ways_of_measuring_agree_along_a_sequence() -> None:
    rf = TorchReceptiveField(nn.Sequential(nn.Conv1d(2, 4, 4, 3), nn.LeakyReLU(), nn.AvgPool1d(2), nn.Conv1d(4, 4, 3)))
    rf.compute((2, 97))
    checks = rf.verify("all")
    assert checks.agree
    assert {check.gradients for check in checks} == {"agrees"}


@pytest.mark.parametrize(
    ("shape", "axes", "read"),
    [
        ((2, 1000), None, (1000, 2)),
        ((2, 1000), 2, (1000, 2)),
        ((1, 2, 1000), 1, (1000, 2)),
        ((1, 2, 1000), 2, (2, 1000, 1)),
        ((1, 2, 1000), None, (2, 1000, 1)),
        ((3, 20, 30), 1, (20, 30, 3)),
        ((1, 3, 20, 30), 2, (20, 30, 3)),
        ((1, 3, 20, 30), None, (20, 30, 3)),
        ((1, 9, 20, 30), 3, (9, 20, 30, 1)),
        ((2, 9, 20, 30), 3, (9, 20, 30, 2)),
        ((1, 2, 9, 20, 30), None, (9, 20, 30, 2)),
    ],
)
def test_which_axes_a_shape_has(shape: tuple[int, ...], axes: int | None, read: tuple[int, ...]) -> None:
    assert as_torch_shape(shape, axes) == read


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((8, 3, 20, 30), r"expected one image, \(1, channels, height, width\); of a volume, \(1, channels, depth"),
        ((8, 3, 9, 20, 30), r"expected one volume, \(1, channels, depth, height, width\)"),
        ((20,), "expected"),
        ((1, 2, 3, 4, 5, 6), "expected"),
    ],
)
def test_shapes_that_are_none_are_refused(shape: tuple[int, ...], words: str) -> None:
    with pytest.raises(ReceptiveFieldError, match=words):
        as_torch_shape(shape, 2)


def test_a_signal_of_the_wrong_kind_is_refused_in_words() -> None:
    with pytest.raises(ReceptiveFieldError, match=r"expected \(channels, height, width\), as the module"):
        TorchReceptiveField(nn.Conv2d(3, 4, 3)).compute((3, 100))
    rf = TorchReceptiveField(nn.Conv1d(3, 4, 3))
    rf.compute((3, 100))
    with pytest.raises(ReceptiveFieldError, match="the sequence is 60 samples, the model input 100"):
        rf.gradient_at(3, np.zeros((60, 3)))
    with pytest.raises(ReceptiveFieldError, match=r"did you mean \(3, 100\)"):
        rf.compute((100, 3))


def test_a_long_sequence_is_measured_on_a_shorter_one_that_looks_the_same() -> None:
    module = nn.Sequential(
        nn.Conv1d(2, 3, 10, 5, padding=3), nn.Conv1d(3, 3, 3, dilation=2, padding=2), nn.MaxPool1d(2)
    )
    length = 131_123
    rf = TorchReceptiveField(module)
    described = rf.compute((2, length))
    with torch.no_grad():
        assert rf.output_shape.w == module(torch.zeros(1, 2, length)).shape[2]
    assert rf.network._layers.lengths == (50_483,)
    assert described == TorchReceptiveField(module).compute((2, length - 80_640))
    last, end = rf.output_shape.w - 1, 26_223 * 5 - 3 + 10  # the last sample lies behind the last stride
    for cell in (0, 1, 3000, 6555, last - 1, last):
        low, high = rf.rect_at(cell).edges[0]
        assert rf.rect_at(cell, clip=True) == Rect(left=max(low, 0), right=min(high, end)), cell
    assert rf.cells_seeing(60_003).nonzero()[0].tolist() == [
        cell for cell in range(5900, 6100) if _sees(module, 60_003, cell)
    ]


def _sees(module: nn.Module, sample: int, cell: int) -> bool:
    """Whether a cell changes with a sample, some way around both."""
    begin = 59_000  # a whole number of periods
    plain = torch.randn(4, 2, 3000, generator=torch.Generator().manual_seed(1))
    other = plain.clone()
    other[:, :, sample - begin] += 1e4
    with torch.no_grad():
        return bool((module(plain) != module(other)).any(dim=1).any(dim=0)[cell - begin // 10])


def test_random_sequences_agree_with_the_black_box() -> None:
    assert verdicts(1, 60, make) == []
