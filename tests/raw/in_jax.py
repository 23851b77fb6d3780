"""In JAX."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

Pair = tuple[int, int]


def conv(x: Any, kernel: Any, stride: Pair, padding: str, dilation: Pair) -> Any:
    kernel = jnp.asarray(kernel)
    layout = ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(
        x, kernel, stride, padding.upper(), rhs_dilation=dilation, dimension_numbers=layout
    )


def max_pool(x: Any, size: Pair, stride: Pair, padding: str) -> Any:
    return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, *size, 1), (1, *stride, 1), padding.upper())


def block_means(x: Any, size: Pair) -> Any:
    rows, columns = x.shape[1] // size[0], x.shape[2] // size[1]
    x = x[:, : rows * size[0], : columns * size[1]]
    return x.reshape(x.shape[0], rows, size[0], columns, size[1], x.shape[3]).mean(axis=(2, 4))


def gate(first: Any, others: list[Any]) -> Any:
    return first * (sum(others[1:], start=others[0]) > 0).astype(first.dtype)


def plus_softsign(x: Any) -> Any:
    return x + jax.nn.soft_sign(x)
