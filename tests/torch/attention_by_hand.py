"""A small vision transformer, whose attention is written in many ways and computed by hand; nothing of it is square."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

HEIGHT, WIDTH, ROWS, COLUMNS = 24, 40, 4, 5
PLACE = (WIDTH // COLUMNS, HEIGHT // ROWS)
WAYS = ("fused", "by hand", "einsum", "multi-head", "multi-head with weights")


class Mixer(nn.Module):
    """Self-attention of tokens ``(n, t, c)``, written in one of `WAYS`."""

    def __init__(self, channels: int, heads: int, way: str) -> None:
        super().__init__()
        self.heads, self.way = heads, way
        self.mha = nn.MultiheadAttention(channels, heads, batch_first=True)

    def parts(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        found = F.linear(x, self.mha.in_proj_weight, self.mha.in_proj_bias)
        q, k, v = found.reshape(*x.shape[:2], 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        return q, k, v

    def weights(self, x: Tensor) -> Tensor:
        q, k, _ = self.parts(x)
        return torch.softmax(q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5, dim=-1)

    def forward(self, x: Tensor) -> Tensor:
        if self.way.startswith("multi-head"):
            return self.mha(x, x, x, need_weights="with" in self.way)[0]
        q, k, v = self.parts(x)
        if self.way == "fused":
            y = F.scaled_dot_product_attention(q, k, v)
        elif self.way == "by hand":
            y = self.weights(x) @ v
        else:
            scores = torch.einsum("nhkd,nhqd->nhqk", k, q) / q.shape[-1] ** 0.5
            y = torch.einsum("nhqk,nhkd->nhqd", scores.softmax(-1), v)
        return self.mha.out_proj(y.transpose(1, 2).flatten(2))


class Transformer(nn.Module):
    """A small ViT whose blocks end as maps; with a class token in front."""

    def __init__(self, *ways: str) -> None:
        super().__init__()
        self.embed = nn.Conv2d(3, 12, PLACE[::-1], PLACE[::-1])
        self.token = nn.Parameter(torch.randn(1, 1, 12))
        self.position = nn.Parameter(torch.randn(1, 1 + ROWS * COLUMNS, 12))
        self.norms = nn.ModuleList(nn.LayerNorm(12) for _ in ways)
        self.mixers = nn.ModuleList(Mixer(12, 3, way) for way in ways)
        self.grid = nn.Identity()

    def begun(self, x: Tensor) -> Tensor:
        tokens = self.embed(x).flatten(2).transpose(1, 2)
        return torch.cat([self.token.expand(len(x), -1, -1), tokens], dim=1) + self.position

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.begun(x)
        for norm, mixer in zip(self.norms, self.mixers, strict=True):
            tokens = tokens + mixer(norm(tokens))
        return self.grid(tokens[:, 1:].transpose(1, 2).unflatten(2, (ROWS, COLUMNS)))

    @torch.no_grad()
    def by_hand(self, x: Tensor) -> list[np.ndarray[Any, Any]]:
        """Weights ``(heads, tokens, tokens)`` of every block."""
        found, tokens = [], self.begun(x)
        for norm, mixer in zip(self.norms, self.mixers, strict=True):
            found.append(mixer.weights(norm(tokens))[0].numpy())
            tokens = tokens + mixer(norm(tokens))
        return found
