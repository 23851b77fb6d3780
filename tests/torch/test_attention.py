"""Attentions of PyTorch modules, against what is computed by hand; images and patches are not square."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from rfwidget.errors import ReceptiveFieldError
from rfwidget.torch import TorchReceptiveField
from rfwidget.types import Size
from tests.torch.attention_by_hand import COLUMNS, HEIGHT, PLACE, ROWS, WAYS, WIDTH, Transformer
from tests.torch.windowed_attention import ShiftedWindows


def computed(module: nn.Module, layer: str) -> TorchReceptiveField:
    rf = TorchReceptiveField(module.eval())
    rf.compute((3, HEIGHT, WIDTH), output_layer=layer)
    return rf


def an_image(seed: int = 0) -> Tensor:
    return torch.rand(3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(seed))


def test_weights_are_those_computed_by_hand_however_attention_is_written() -> None:
    torch.manual_seed(1)
    module = Transformer(*WAYS)
    rf, image = computed(module, "grid"), an_image()
    names, hand = list(rf.attentions), module.by_hand(image[None])
    assert len(names) == len(WAYS) == len({*names})
    assert names[-1] == "mixers.4.mha"
    for name, weights in zip(names, hand, strict=True):
        for x, y in ((0, 0), (3, 1), (4, 3)):
            token = 1 + y * COLUMNS + x
            found = rf.attention_at((x, y), image, layer=name)
            assert_allclose(found.values.ravel(), weights.mean(0)[token, 1:], rtol=1e-4, atol=1e-7)
            assert_allclose(found.elsewhere, weights.mean(0)[token, :1], rtol=1e-4)
            assert found.values.shape == (ROWS, COLUMNS)
            assert_allclose(found.values.sum() + found.elsewhere.sum(), 1, rtol=1e-5)
            one = rf.attention_at((x, y), image, layer=name, head=2)
            assert_allclose(one.values.ravel(), weights[2][token, 1:], rtol=1e-4, atol=1e-7)
        of_class = rf.attention_at(prefix=0, image=image, layer=name)
        assert_allclose(of_class.values.ravel(), weights.mean(0)[0, 1:], rtol=1e-4, atol=1e-7)


def test_a_token_lies_where_its_patch_is() -> None:
    rf = computed(Transformer("fused"), "grid")
    found = rf.attention_at((1, 2), an_image())
    assert found.edges == ((0.0, 8.0, 16.0, 24.0, 32.0, 40.0), (0.0, 6.0, 12.0, 18.0, 24.0))
    pixels = found.on_image()
    assert_allclose(pixels, np.kron(found.values, np.ones(PLACE[::-1])) / np.prod(PLACE), rtol=1e-5)
    shape = rf.attentions["mixers.0"]
    assert shape == (3, Size(w=5, h=4), Size(w=5, h=4), Size(w=5, h=4), 1)


def test_rollout_is_the_product_of_the_layers_with_the_identity_mixed_in() -> None:
    torch.manual_seed(2)
    module = Transformer("by hand", "fused", "multi-head")
    rf, image = computed(module, "grid"), an_image()
    product = np.eye(1 + ROWS * COLUMNS)
    for weights in module.by_hand(image[None]):
        mixed = 0.5 * weights.mean(0) + 0.5 * np.eye(len(product))
        product = mixed / mixed.sum(axis=1, keepdims=True) @ product
    for x, y in ((0, 0), (3, 1), (4, 3)):
        found = rf.rollout_at((x, y), image)
        assert_allclose(found.values.ravel(), product[1 + y * COLUMNS + x, 1:], rtol=1e-4)
        assert_allclose(found.values.sum() + found.elsewhere.sum(), 1, rtol=1e-5)
    assert_allclose(rf.rollout_at(prefix=0, image=image).elsewhere, product[0, :1], rtol=1e-4)
    assert found.layers == tuple(rf.attentions)


def test_maps_of_several_cells_are_those_of_each_alone_and_look_at_the_weights_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rf, image, cells = computed(Transformer("fused", "by hand"), "grid"), an_image(), [(0, 0), (4, 1), (3, 3)]
    for rolled_out, one_by_one in ((False, rf.attention_at), (True, rf.rollout_at)):
        alone = [one_by_one(cell, image).values for cell in cells]
        looks: list[None] = []
        mark = rf.network.weights_mark
        monkeypatch.setattr(rf.network, "weights_mark", lambda mark=mark, looks=looks: looks.append(None) or mark())
        together = rf.attention_maps(cells, image, rolled_out=rolled_out)
        monkeypatch.undo()
        assert_array_equal([found.values for found in together], alone)
        assert len(looks) == 1
    with pytest.raises(ReceptiveFieldError, match=r"cell|grid"):
        rf.attention_maps([(0, 0), (5, 1)], image)


def test_attention_of_layers_in_between_ends_there() -> None:
    module = Transformer("fused", "fused", "fused")
    rf = computed(module, "grid")
    assert len(rf.attentions) == 3
    rf = computed(Transformer("fused"), "embed")
    with pytest.raises(ReceptiveFieldError, match="no attention on the way to this layer"):
        rf.attention_at((0, 0))


def test_windows_that_are_shifted_are_scattered_to_their_places() -> None:
    torch.manual_seed(3)
    heights, kinds = 12, ("added", "fused", "filled")
    for kind in kinds:
        blocks = nn.Sequential(
            nn.Conv2d(3, 8, (2, 4), (2, 4)),
            ShiftedWindows(8, (3, 5), (0, 0), kind),
            ShiftedWindows(8, (3, 5), (1, 2), kind),
        )
        rf = TorchReceptiveField(blocks.eval())
        rf.compute((3, 2 * heights, 4 * 10), output_layer="2")
        first, second = rf.attentions
        assert rf.attentions[second][1:4] == (Size(w=10, h=12), Size(w=10, h=12), Size(w=5, h=3))
        plain = rf.attention_at((6, 4), layer=first)
        seen = np.zeros((heights, 10), bool)
        seen[3:6, 5:10] = True
        assert ((plain.values > 0) == seen).all()
        assert_allclose(plain.values.sum(), 1, rtol=1e-5)
        moved = rf.attention_at((6, 4), layer=second)  # rows 4..6 and columns 2..6 are one window
        seen[:] = False
        seen[4:7, 2:7] = True
        assert ((moved.values > 1e-20) == seen).all()
        around = rf.attention_at((0, 0), layer=second)  # round the border, but for the mask
        seen[:] = False
        seen[0:1, 0:2] = True
        assert ((around.values > 1e-20) == seen).all()
        rolled = rf.rollout_at((6, 4))
        assert rolled.layers == (first, second)
        assert_allclose(rolled.values.sum(), 1, rtol=1e-5)
        by_hand = np.zeros((heights, 10))  # of the second block, what each token has taken in the first
        for (y, x), share in np.ndenumerate(0.5 * moved.values):
            share += 0.5 * ((y, x) == (4, 6))
            if share > 0:
                by_hand += share * 0.5 * rf.attention_at((x, y), layer=first).values
                by_hand[y, x] += 0.5 * share
        assert_allclose(rolled.values, by_hand, rtol=1e-4, atol=1e-8)


class Unrolled(Transformer):
    """The same, whose last layer gives tokens."""

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.begun(x)
        for norm, mixer in zip(self.norms, self.mixers, strict=True):
            tokens = tokens + mixer(norm(tokens))
        return self.grid(tokens)


def test_layers_of_tokens_and_the_class_token_as_a_layer_attend_as_by_hand() -> None:
    torch.manual_seed(4)
    module = Unrolled("fused", "multi-head")
    rf, image = computed(module, "grid"), an_image()
    weights = module.by_hand(image[None])[-1].mean(0)
    found = rf.attention_at((3, 1), image)
    assert_allclose(found.values.ravel(), weights[1 + COLUMNS + 3, 1:], rtol=1e-4, atol=1e-7)
    (name,) = rf.extra_tokens
    rf.compute((3, HEIGHT, WIDTH), output_layer=name)
    found = rf.attention_at((0, 0), image)
    assert_allclose(found.values.ravel(), weights[0, 1:], rtol=1e-4, atol=1e-7)
    assert_allclose(rf.rollout_at((0, 0), image).values.sum(), rf.rollout_at(prefix=0, image=image).values.sum())


class Reduced(nn.Module):
    """Attention whose keys are means of places, as in SegFormer and PVT."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Conv2d(3, 8, (5, 7), (2, 4), (2, 3))
        self.reduce = nn.Conv2d(8, 8, (3, 2), (3, 2))
        self.grid = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.embed(x)
        q = tokens.flatten(2).transpose(1, 2)
        k = self.reduce(tokens).flatten(2).transpose(1, 2)
        y = F.scaled_dot_product_attention(q[:, None], k[:, None], k[:, None])[:, 0]
        return self.grid(tokens + y.transpose(1, 2).reshape(tokens.shape))


def test_reduced_keys_lie_on_their_own_grid_and_are_not_rolled_out() -> None:
    rf = computed(Reduced(), "grid")
    assert rf.attentions["reduced"][1:3] == (Size(w=10, h=12), Size(w=5, h=4))
    found = rf.attention_at((7, 3), an_image())
    assert found.values.shape == (4, 5)
    # Tokens stand at 0.5 + 2 * row and 0.5 + 4 * column; three rows and two columns are one key.
    assert_allclose(found.edges[1][1:-1], [5.5, 11.5, 17.5])
    assert_allclose(found.edges[0][1:-1], [6.5, 14.5, 22.5, 30.5])
    assert_allclose(found.on_image().sum(), found.values.sum(), rtol=1e-5)
    with pytest.raises(ReceptiveFieldError, match="its keys are other tokens than its queries"):
        rf.rollout_at((7, 3))


def test_the_module_is_as_before() -> None:
    module = Transformer("fused", "multi-head").train()
    state = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    rf = TorchReceptiveField(module)
    rf.compute((3, HEIGHT, WIDTH), output_layer="grid")
    drawn = torch.random.get_rng_state()
    rf.rollout_at((1, 1))
    assert module.training
    assert torch.equal(drawn, torch.random.get_rng_state())
    assert all(torch.equal(tensor, state[name]) for name, tensor in module.state_dict().items())
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in module.modules())


def test_weights_that_change_change_the_attention() -> None:
    module = Transformer("fused")
    rf = computed(module, "grid")
    before = rf.attention_at((1, 1)).values
    assert_allclose(rf.attention_at((1, 1)).values, before)
    with torch.no_grad():
        module.mixers[0].mha.in_proj_weight.mul_(3)
    assert not np.allclose(rf.attention_at((1, 1)).values, before)


def test_what_does_not_fit_is_said() -> None:
    rf = computed(Transformer("fused"), "grid")
    for arguments, words in (
        ({"point": (0, 0), "head": 3}, "head is 3: expected a whole number 0..2"),
        ({"point": (0, 0), "layer": "mixer.0"}, "did you mean 'mixers.0'"),
        ({"prefix": 1}, "there are 1, numbered from 0"),
        ({}, "expected one of the two"),
        ({"point": (5, 0)}, r"\(5, 0\)"),
    ):
        with pytest.raises(ReceptiveFieldError, match=words):
            rf.attention_at(**arguments)
