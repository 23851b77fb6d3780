"""Sequences in Keras: known values, every kind of layer, one-sided fields, questions, gradients, and the black box."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from rfwidget.errors import ReceptiveFieldError
from rfwidget.keras import KerasReceptiveField
from rfwidget.signals import get_default_signal
from rfwidget.types import GridPoint, GridShape, Rect, Size
from tests.any_rank import verdicts
from tests.keras.any_rank import make
from tests.known_sequences import TCNS, WAV2VEC, WAVENETS, Tcn, WaveNet


def tcn(known: Tcn, length: int | None = None) -> keras.Model:
    image = x = keras.Input((length, 3))
    for dilation in known.dilations * known.stacks:
        y = x
        for _ in range(2):
            y = layers.Conv1D(4, known.kernel, dilation_rate=dilation, padding="causal", activation="relu")(y)
        x = layers.Add()([y, x if x.shape[-1] == 4 else layers.Conv1D(4, 1)(x)])
    return keras.Model(image, x)


def wavenet(known: WaveNet) -> keras.Model:
    image = keras.Input((None, 1))
    x = layers.Conv1D(4, known.first, padding="causal")(image)
    for dilation in known.dilations:
        gates = [
            layers.Conv1D(4, known.kernel, dilation_rate=dilation, padding="causal", activation=name)(x)
            for name in ("tanh", "sigmoid")
        ]
        x = layers.Add()([x, layers.Conv1D(4, 1)(layers.Multiply()(gates))])
    return keras.Model(image, x)


def sequential(*parts: Any, shape: tuple[int | None, ...] = (120, 3)) -> KerasReceptiveField:
    return KerasReceptiveField(keras.Sequential([keras.Input(shape), *parts]))


@pytest.mark.parametrize("known", TCNS)
def test_a_tcn_sees_what_its_formula_says(known: Tcn) -> None:
    rf = KerasReceptiveField(tcn(known))
    assert rf.compute((2000, 3)).size == Size(w=known.field)
    assert rf.rect_at(1999) == Rect(left=2000 - known.field, right=2000)


@pytest.mark.parametrize("known", WAVENETS)
def test_a_wavenet_sees_what_its_paper_says(known: WaveNet) -> None:
    assert KerasReceptiveField(wavenet(known)).compute((3000, 1)).size == Size(w=known.field)


def test_the_encoder_of_wav2vec_sees_400_samples_every_320() -> None:
    rf = sequential(*(layers.Conv1D(4, kernel, stride) for kernel, stride in WAV2VEC), shape=(16000, 1))
    described = rf.compute()
    assert str(described) == "ReceptiveFieldDescription(offset=(200.0,), stride=(320.0,), size=Size(w=400))"
    assert rf.output_shape == GridShape(n=None, w=49, c=1)
    assert rf.rect_at((48,)) == Rect(left=48 * 320, right=48 * 320 + 400)


def test_every_kind_of_layer_along_a_sequence() -> None:
    rf = sequential(
        layers.SeparableConv1D(4, 5),
        layers.DepthwiseConv1D(3, dilation_rate=2),
        layers.Conv1DTranspose(3, 4, strides=2),
        layers.UpSampling1D(2),
        layers.ZeroPadding1D((3, 1)),
        layers.Cropping1D((1, 2)),
        layers.MaxPooling1D(4, strides=4),
        layers.AveragePooling1D(2),
    )
    survey = rf.survey()
    assert [row.size.w for row in survey][:2] == [5, 9]
    rf.compute()
    assert rf.uniform == (True,)
    assert rf.rf_params.stride == (2.0,)


def test_recurrences_see_everything_before_them_and_nothing_behind() -> None:
    for recurrent in (layers.LSTM, layers.GRU, layers.SimpleRNN):
        rf = sequential(layers.Conv1D(4, 5, strides=2), recurrent(4, return_sequences=True))
        assert rf.compute().size == Size(w=math.inf)
        assert rf.rect_at(10) == Rect(left=-math.inf, right=25)
        assert rf.rect_at(10, clip=True) == Rect(left=0, right=25)
        assert rf.uniform == (True,)


def test_a_recurrence_that_goes_backwards_sees_everything_behind_it() -> None:
    rf = sequential(layers.LSTM(4, return_sequences=True, go_backwards=True))
    rf.compute()
    assert rf.rect_at(0) == Rect(left=119, right=math.inf)  # it gives its last step first
    assert rf.rect_at(100) == Rect(left=19, right=math.inf)


def test_recurrences_in_both_directions_and_attention_see_everything() -> None:
    image = keras.Input((60, 4))
    attended = layers.MultiHeadAttention(2, 4)(image, image)
    both = sequential(layers.Bidirectional(layers.LSTM(4, return_sequences=True)))
    for rf in (KerasReceptiveField(keras.Model(image, attended)), both):
        rf.compute()
        assert rf.rect_at(7) == Rect(left=-math.inf, right=math.inf)


def test_attention_with_a_causal_mask_sees_nothing_behind() -> None:
    image = keras.Input((60, 4))
    for attended in (
        layers.MultiHeadAttention(2, 4)(image, image, use_causal_mask=True),
        layers.Attention()([image, image], use_causal_mask=True),
    ):
        rf = KerasReceptiveField(keras.Model(image, layers.Conv1D(3, 3, padding="valid")(attended)))
        rf.compute()
        assert rf.rect_at(7) == Rect(left=-math.inf, right=10)
        assert rf.cells_seeing(30).nonzero()[0].tolist() == list(range(28, 58))


def test_global_pooling_along_a_sequence_leaves_no_grid() -> None:
    rf = sequential(layers.Conv1D(4, 5, name="before"), layers.GlobalAveragePooling1D(), layers.Dense(2))
    rf.compute()
    assert rf.output_layer == "before"


def test_squeeze_and_excitation_is_unbounded_unless_it_is_ignored() -> None:
    image = keras.Input((100, 3))
    x = layers.Conv1D(4, 7)(image)
    pooled = layers.GlobalAveragePooling1D(keepdims=True)(x)
    rf = KerasReceptiveField(keras.Model(image, layers.Multiply()([x, layers.Dense(4)(pooled)])))
    assert rf.compute().size == Size(w=math.inf)
    assert rf.compute(ignore_global_context=True).size == Size(w=7)


def test_questions_along_a_sequence_are_answered_in_one_number() -> None:
    rf = sequential(layers.Conv1D(4, 3, dilation_rate=4), layers.MaxPooling1D(2))
    rf.compute()
    assert rf.output_shape.size == Size(w=56)
    assert rf.rect_at(5) == rf.rect_at((5,)) == rf.rect_at(GridPoint(5)) == Rect(left=10, right=20)
    seeing = rf.cells_seeing(20)
    assert seeing.shape == (56,)
    assert seeing.nonzero()[0].tolist() == [6, 8, 10]  # between them, it lies in holes of the kernel
    covering = rf.cells_covering((12.5, 19))
    assert covering.nonzero()[0].tolist() == [5, 6]
    assert list(rf.survey().seeing(20).counts.values()) == [9, 5]  # whose rectangles hold it, holes or not


def test_gradients_are_arrays_of_length_and_channels_and_zero_outside_the_field() -> None:
    keras.utils.set_random_seed(1)
    rf = sequential(layers.Conv1D(4, 5, activation="tanh"), layers.Conv1D(2, 3, strides=2), shape=(400, 3))
    rf.compute()
    signal = get_default_signal((400, 3), "speech") + 0.1
    gradient = rf.gradient_at(90, signal, channel=1)
    assert gradient.shape == (400, 3)
    rect = rf.rect_at(90)
    assert gradient[int(rect.left) : int(rect.right)].any(axis=1).all()
    assert not gradient[: int(rect.left)].any()
    assert not gradient[int(rect.right) :].any()
    changed = signal.copy()
    changed[185, 0] += 1e-2
    slope = (rf.feature_map(changed, 1)[90] - rf.feature_map(signal, 1)[90]) / 1e-2
    np.testing.assert_allclose(slope, gradient[185, 0], rtol=2e-2)
    several = rf.gradients_at([90, 0, 196], signal, channel=1)
    np.testing.assert_allclose(several[0], gradient, atol=1e-6)


def test_an_effective_field_along_a_sequence_has_a_length(tmp_path: Any) -> None:
    keras.utils.set_random_seed(1)
    rf = sequential(layers.Conv1D(4, 9), layers.Conv1D(4, 9), shape=(200, 2))
    rf.compute()
    field = rf.effective(np.stack([get_default_signal((200, 2), name) for name in ("chirp", "ecg")]))
    assert field.map.shape == (17,)
    assert (field.images, field.size) == (2, Size(w=17))
    assert field.area_ratio(1.0) == 1.0
    assert field.mask(0.5).sum() < 17
    assert len(field.fit_gaussian().sigma) == 1
    field.save(tmp_path / "field.npz")
    assert type(field).load(tmp_path / "field.npz").frames == field.frames
    with pytest.raises(ReceptiveFieldError, match="field of a sequence: mask"):
        field.contour(0.5)


def test_all_ways_of_measuring_agree_along_a_sequence() -> None:
    rf = sequential(
        layers.Conv1D(4, 4, strides=3, padding="same", activation="relu"), layers.MaxPooling1D(2), layers.Conv1D(4, 3),
        shape=(97, 2),
    )  # fmt: skip
    rf.compute()
    checks = rf.verify("all")
    assert checks.agree
    assert [check.gradients for check in checks] == ["agrees"] * 3
    assert "agrees" in {check.pixels for check in checks}


def test_a_build_function_and_a_model_of_code_take_sequences_too() -> None:
    built = KerasReceptiveField(lambda input_shape: keras.Sequential([keras.Input(input_shape), layers.Conv1D(3, 9)]))
    assert built.compute((64, 2)).size == Size(w=9)

    class Code(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.conv = layers.Conv1D(4, 7, strides=2)

        def call(self, x: Any) -> Any:
            return keras.ops.relu(self.conv(x))

    model = Code()
    model(np.zeros((1, 100, 3), np.float32))
    assert KerasReceptiveField(model).compute((100, 3)).size == Size(w=7)


def test_the_rank_of_the_shape_says_what_a_model_is_asked_about() -> None:
    image = sequential(layers.Conv1D(3, 5))
    with pytest.raises(ReceptiveFieldError, match=r"expected \(length, channels\)"):
        image.compute((32, 32, 3))
    image.compute()
    with pytest.raises(ReceptiveFieldError, match=r"expected .x,. with 0 <= x < 116, a whole number"):
        image.rect_at((1, 2))
    with pytest.raises(ReceptiveFieldError, match="is no sample of the 120 sequence"):
        image.cells_seeing(120)
    with pytest.raises(ReceptiveFieldError, match=r"expected Rect\(left, right\) with 0 <= left < right <= 120"):
        image.cells_covering((3, 2))
    with pytest.raises(ReceptiveFieldError, match="the sequence is 60 samples, the model input 120"):
        image.gradient_at(3, np.zeros((60, 3)))
    with pytest.raises(ReceptiveFieldError, match=r"no one-dimensional grid"):
        sequential(layers.Conv1D(3, 5), layers.Flatten(name="flat")).compute(output_layer="flat")


def test_a_long_sequence_is_measured_on_a_shorter_one_that_looks_the_same() -> None:
    model = keras.Sequential([
        keras.Input((None, 2)),
        layers.Conv1D(3, 10, strides=5, padding="same"),
        layers.Conv1D(3, 3, dilation_rate=2, padding="same"),
        layers.MaxPooling1D(2),
    ])  # fmt: skip
    length = 131_123
    rf = KerasReceptiveField(model)
    described = rf.compute((length, 2))
    network = rf.network
    assert network._looks.asked.lengths == (50_483,)
    whole = network._whole_looks  # the sequence itself
    carried = whole.carried(rf.output_layer)
    assert rf.output_shape.w == carried.shape[1] == 13_112
    first, end = (np.broadcast_to(part, carried.shape).ravel() for part in carried.spans(0))
    for cell in (0, 1, 2, 3000, 6555, 9000, 13_109, 13_110, 13_111):
        assert rf.rect_at(cell, clip=True) == Rect(left=first[cell], right=end[cell]), cell
    assert described == KerasReceptiveField(model).compute((length - 40320 * 2, 2))
    for sample in (0, 17, 60_003, length - 1):
        mask = np.zeros((1, length), bool)
        mask[0, sample] = True
        expected = whole.carried(rf.output_layer, mask).touched[0, 0, :, 0]
        np.testing.assert_array_equal(rf.cells_seeing(sample), expected)
    np.testing.assert_array_equal(
        rf.cells_covering((60_003, 60_008)),
        [low <= 60_003 and high >= 60_008 for low, high in zip(first, end, strict=True)],
    )
    patch = rf.gradient_patch(13_000, get_default_signal((length, 2)))
    assert patch.values.shape[0] < 100
    assert {row.grid.w for row in rf.survey((length, 2))} == {26_225, 13_112}


def test_random_sequences_agree_with_the_black_box() -> None:
    assert verdicts(1, 60, make) == []
