"""Attention within windows that are shifted round the border, as Swin has it, with masks put on in many ways."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

KINDS = ("added", "added in place", "filled", "chosen", "fused", "fused, of truths", "by hand", "multiplied", "baddbmm")


class ShiftedWindows(nn.Module):
    """Attention within windows.

    Args:
        channels: of its maps ``(n, channels, h, w)``.
        windows: rows and columns of a window.
        shift: rows and columns by which windows are shifted.
        kind: how the mask is put on.
        value: what stands for minus infinity.
    """

    def __init__(
        self, channels: int, windows: tuple[int, int], shift: tuple[int, int], kind: str, value: float = -100.0
    ) -> None:
        super().__init__()
        self.windows, self.shift, self.kind, self.value = windows, shift, kind, value
        self.qkv = nn.Linear(channels, 3 * channels)

    def forward(self, x: Tensor) -> Tensor:
        n, c, height, width = x.shape
        rows, columns = self.windows
        y = F.pad(x.permute(0, 2, 3, 1), (0, 0, 0, -width % columns, 0, -height % rows))
        y = torch.roll(y, (-self.shift[0], -self.shift[1]), (1, 2))
        tokens = self._parted(y)
        q, k, v = self.qkv(tokens).reshape(len(tokens), rows * columns, 3, 1, c).permute(2, 0, 3, 1, 4).unbind(0)
        part = self._parted(self._parts(y.shape[1], y.shape[2])[None, :, :, None])[..., 0]
        mixed = self._attended(q, k, v, (part[:, None] != part[:, :, None])[:, None].repeat(n, 1, 1, 1))
        across = y.shape[2] // columns
        mixed = mixed.transpose(1, 2).reshape(n, -1, across, rows, columns, c).permute(0, 1, 3, 2, 4, 5).flatten(3, 4)
        mixed = torch.roll(mixed.flatten(1, 2), self.shift, (1, 2))[:, :height, :width]
        return mixed.permute(0, 3, 1, 2) + x

    def _parted(self, x: Tensor) -> Tensor:
        n, height, width, c = x.shape
        rows, columns = self.windows
        parted = x.view(n, height // rows, rows, width // columns, columns, c).permute(0, 1, 3, 2, 4, 5)
        return parted.reshape(-1, rows * columns, c)

    def _parts(self, height: int, width: int) -> Tensor:
        """Numbers of the parts of the map that may see each other."""
        found = torch.zeros(height, width)
        for axis, (window, shift) in enumerate(zip(self.windows, self.shift, strict=True)):
            line = torch.zeros(found.shape[axis])
            if shift:
                line[-window:], line[-shift:] = 1, 2
            found += line[:, None] * 3 if axis == 0 else line
        return found

    def _attended(self, q: Tensor, k: Tensor, v: Tensor, hidden: Tensor) -> Tensor:
        mask = torch.zeros(hidden.shape, dtype=q.dtype).masked_fill(hidden, self.value)
        if self.kind.startswith("fused"):
            return F.scaled_dot_product_attention(q, k, v, attn_mask=~hidden if "truths" in self.kind else mask)
        if self.kind == "baddbmm":
            scores = torch.baddbmm(mask.flatten(0, 1), q.flatten(0, 1), k.flatten(0, 1).transpose(1, 2))
            return torch.bmm(scores.softmax(dim=-1), v.flatten(0, 1)).unflatten(0, (-1, 1))
        scores = q @ k.transpose(-1, -2) * 0.3
        if self.kind == "added":
            scores = scores + mask
        elif self.kind == "added in place":
            scores.view(-1, *scores.shape[-2:]).add_(mask[:, 0])
        elif self.kind == "filled":
            scores = scores.masked_fill(hidden, self.value)
        elif self.kind == "chosen":
            scores = torch.where(hidden, self.value, scores)
            return torch.einsum("bhnm,bhmd->bhnd", scores.softmax(dim=-1), v)
        elif self.kind == "by hand":
            scores = scores + mask
            weights = (scores - scores.amax(dim=-1, keepdim=True)).exp()
            return weights / weights.sum(dim=-1, keepdim=True) @ v
        elif self.kind == "multiplied":
            weights = scores.exp() * (~hidden).to(q.dtype)
            return weights / weights.sum(dim=-1, keepdim=True) @ v
        return scores.softmax(dim=-1) @ v
