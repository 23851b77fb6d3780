"""In PyTorch, whose convolutions have their channels first."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional

Pair = tuple[int, int]


def _same(lengths: Any, size: Pair, stride: Pair, dilation: Pair) -> list[int]:
    """Padding as the other frameworks do it, in the order of `torch.nn.functional.pad`."""
    amounts: list[int] = []
    for n, k, s, d in zip(lengths, size, stride, dilation, strict=True):
        total = max((-(-n // s) - 1) * s + (k - 1) * d + 1 - n, 0)
        amounts = [total // 2, total - total // 2, *amounts]
    return amounts


def conv(x: Any, kernel: Any, stride: Pair, padding: str, dilation: Pair) -> Any:
    kernel, x = kernel.value.permute(3, 2, 0, 1), x.permute(0, 3, 1, 2)
    if padding == "same":
        x = functional.pad(x, _same(x.shape[2:], kernel.shape[2:], stride, dilation))
    return functional.conv2d(x, kernel, stride=stride, dilation=dilation).permute(0, 2, 3, 1)


def max_pool(x: Any, size: Pair, stride: Pair, padding: str) -> Any:
    x = x.permute(0, 3, 1, 2)
    if padding.lower() == "same":
        x = functional.pad(x, _same(x.shape[2:], size, stride, (1, 1)), value=-torch.inf)
    return functional.max_pool2d(x, size, stride).permute(0, 2, 3, 1)


def block_means(x: Any, size: Pair) -> Any:
    rows, columns = x.shape[1] // size[0], x.shape[2] // size[1]
    x = x[:, : rows * size[0], : columns * size[1]]
    return x.reshape(x.shape[0], rows, size[0], columns, size[1], x.shape[3]).mean(dim=(2, 4))


def gate(first: Any, others: list[Any]) -> Any:
    return first * (sum(others[1:], start=others[0]) > 0).to(first.dtype)


def plus_softsign(x: Any) -> Any:
    return x + functional.softsign(x)
