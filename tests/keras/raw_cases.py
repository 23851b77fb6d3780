"""Layers of JAX's and PyTorch's own code against a black box that changes pixels: `python -m` with KERAS_BACKEND set.

It prints a line for each layer whose spans are not those of the black box, and how many were compared.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

import keras
import numpy as np

from rfwidget.keras.looks import Inputs, ModelLooks
from tests.keras.foreign_code import SHAPE, Case, changes, extents

HEIGHT, WIDTH, CHANNELS = SHAPE
KERNEL = {"w": (3, 5, 2, 2)}

MASK = np.ones((3, 5, 1, 1), "float32")
MASK[2:] = 0
MASK[1, 3:] = 0
CAUSAL = np.tril(np.ones((WIDTH, WIDTH), bool))


class WithLayers(keras.layers.Layer):
    """Code of the framework around layers of Keras."""

    def __init__(self, before: Callable[[Any], Any], after: Callable[[Any], Any], **named: Any) -> None:
        super().__init__(**named)
        self.before, self.after = before, after
        self.conv = keras.layers.Conv2D(
            2, (3, 5), kernel_initializer=keras.initializers.RandomUniform(0.5, 1.5, seed=3)
        )

    def call(self, x: Any) -> Any:
        return self.after(self.conv(self.before(x)))


def cases() -> dict[str, Case | Callable[[], Any]]:
    """By name, code as a `Case`, or what makes a layer."""
    return _of_jax() if keras.backend.backend() == "jax" else _of_torch()


def _of_jax() -> dict[str, Case | Callable[[], Any]]:
    import jax
    import jax.numpy as jnp
    from jax import lax

    layout = ("NHWC", "HWIO", "NHWC")

    def conv(x: Any, kernel: Any, **named: Any) -> Any:
        return lax.conv_general_dilated(
            x,
            jnp.asarray(kernel),
            **{"window_strides": (1, 1), "padding": "SAME", "dimension_numbers": layout, **named},
        )

    def attention(x: Any) -> Any:
        scores = jnp.einsum("bhwc,bhvc->bhwv", x, x) / 1e6
        weights = jax.nn.softmax(jnp.where(CAUSAL, scores, -1e9))
        return jnp.einsum("bhwv,bhvc->bhwc", weights, x)

    def running(x: Any) -> Any:
        def step(state: Any, row: Any) -> Any:
            state = 0.9 * state + row
            return state, state

        return jnp.moveaxis(lax.scan(step, jnp.zeros_like(x[:, 0]), jnp.moveaxis(x, 1, 0), reverse=True)[1], 0, 1)

    def rounds(x: Any) -> Any:
        return lax.fori_loop(0, 3, lambda _, y: y + jnp.roll(y, 1, 2) / 2, x)

    def written(x: Any) -> Any:
        return x.at[:, 1:3].set(0.0).at[:, :, 2].add(x[:, :, 0]).at[:, 5, 3, 0].set(x[:, 9, 9, 1])

    def updated(x: Any) -> Any:
        return lax.dynamic_update_slice(x, x[:, :2, :3] * 2, (0, 4, 6, 0))

    def energy(layer: Any, x: Any) -> Any:
        return jax.grad(lambda y: (conv(y, layer.w, padding="VALID") ** 2).sum())(x)

    def pooled_gradient(_: Any, x: Any) -> Any:
        def best(y: Any) -> Any:
            return lax.reduce_window(y, -jnp.inf, lax.max, (1, 2, 3, 1), (1, 2, 3, 1), "VALID").sum()

        return jax.grad(best)(x)

    def choice(image: Any) -> Any:
        return lax.cond(image.mean() > 0, lambda y: y, lambda y: y[:, ::-1], image)

    def many(x: Any) -> Any:
        return jax.vmap(lambda image: image[::-1] * 2)(x)

    found: Mapping[str, tuple[Any, ...]] = {
        "masked kernel": (lambda layer, x: conv(x, jnp.asarray(layer.w) * MASK), KERNEL),
        "strides and dilation": (
            lambda layer, x: conv(x, layer.w, padding="VALID", window_strides=(2, 1), rhs_dilation=(1, 2)), KERNEL
        ),
        "depthwise": (
            lambda layer, x: conv(x, jnp.asarray(layer.w), feature_group_count=2), {"w": (3, 4, 1, 4)}
        ),
        "channels first": (
            lambda layer, x: jnp.moveaxis(
                lax.conv(jnp.moveaxis(x, 3, 1), jnp.asarray(layer.w).transpose(3, 2, 0, 1), (1, 2), "VALID"), 1, 3
            ),
            KERNEL,
        ),
        "transposed": (lambda layer, x: lax.conv_transpose(x, jnp.asarray(layer.w), (2, 3), "SAME"), KERNEL),
        "pooled": (lambda _, x: lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 3, 1), (1, 2, 2, 1), "VALID"),),
        "means": (lambda _, x: lax.reduce_window(x, 0.0, lax.add, (1, 3, 2, 1), (1, 1, 2, 1), "SAME"),),
        "rolled": (lambda _, x: jnp.roll(x, 3, 2)[:, ::2],),
        "taken": (lambda _, x: jnp.take(x, jnp.array([7, 1, 1, 4]), axis=1),),
        "places": (lambda _, x: x[:, np.array([1, 5, 3]), np.array([2, 2, 9])][:, :, None],),
        "written": (lambda _, x: written(x),),
        "updated": (lambda _, x: updated(x),),
        "by the image": (lambda _, x: jnp.take_along_axis(x, jnp.argsort(x.sum(3), axis=2)[..., None], axis=2),),
        "softmax": (lambda _, x: jax.nn.softmax(x / 1e4, axis=1),),
        "a causal attention": (lambda _, x: attention(x),),
        "sorted": (lambda _, x: jnp.sort(x, axis=2),),
        "best": (lambda _, x: lax.top_k(jnp.swapaxes(x, 2, 3), 3)[0].swapaxes(2, 3),),
        "running": (lambda _, x: running(x),),
        "rounds": (lambda _, x: rounds(x),),
        "sums": (lambda _, x: jnp.cumsum(x, axis=2),),
        "either": (lambda _, x: jax.vmap(choice)(x),),
        "gate": (lambda _, x: x * (x[:, ::-1] > 0),),
        "masked map": (lambda _, x: jnp.multiply(x, (np.arange(WIDTH) % 3 > 0)[:, None]),),
        "padded": (lambda _, x: lax.pad(x, 0.0, ((0, 0, 0), (1, -2, 1), (0, 3, 0), (0, 0, 0))),),
        "reflected": (lambda _, x: jnp.pad(x, ((0, 0), (2, 1), (0, 3), (0, 0)), mode="reflect"),),
        "resized": (lambda _, x: jax.image.resize(x, (x.shape[0], 15, 21, 2), "bilinear"),),
        "smaller": (lambda _, x: jax.image.resize(x, (x.shape[0], 5, 7, 2), "linear"),),
        "blocks": (lambda _, x: x.reshape(x.shape[0], 5, 2, 7, 2, 2).max(axis=(2, 4)),),
        "frequencies": (lambda _, x: jnp.abs(jnp.fft.rfft(x[:, :, :8], axis=2)),),
        "gradients": (energy, KERNEL),
        "gradients of maxima": (pooled_gradient,),
        "one by one": (lambda _, x: many(x),),
        "compiled": (lambda _, x: jax.jit(lambda y: jnp.flip(y, 1) + 1)(x),),
        "checkpointed": (lambda layer, x: jax.checkpoint(lambda y: conv(y, layer.w))(x), KERNEL),
        "activations": (lambda _, x: jax.nn.gelu(jax.nn.swish(x)) + jax.nn.leaky_relu(x),),
    }  # fmt: skip
    made: dict[str, Any] = {name: _case(name, *given) for name, given in found.items()}
    made["around layers"] = partial(WithLayers, lambda x: jnp.flip(x, 1), lambda x: jax.nn.relu(x)[:, ::2])
    return made


def _of_torch() -> dict[str, Case | Callable[[], Any]]:
    import torch
    from torch.nn import functional

    def first(code: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        return lambda layer, x: code(layer, x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)

    def kernel(layer: Any, mask: Any = 1.0) -> Any:
        return (layer.w.value * torch.as_tensor(mask)).permute(3, 2, 0, 1)

    def written(x: Any) -> Any:
        y = x.clone()
        y[:, 1:3] = 0
        y[:, :, 2] += x[:, :, 0]
        return y

    class Held(keras.layers.Layer):
        """A module of PyTorch inside a layer of Keras."""

        def __init__(self) -> None:
            super().__init__()
            inner = torch.nn.Conv2d(2, 2, (3, 5), padding=(0, 2))
            torch.nn.init.uniform_(inner.weight, 0.5, 1.5)
            self.inner = inner

        def call(self, x: Any) -> Any:
            return self.inner(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)

    found: Mapping[str, tuple[Any, ...]] = {
        "masked kernel": (first(lambda layer, x: functional.conv2d(x, kernel(layer, MASK), padding=(1, 2))), KERNEL),
        "strides": (
            first(lambda layer, x: functional.conv2d(x, kernel(layer), stride=(2, 1), dilation=(1, 2))),
            KERNEL,
        ),
        "transposed": (first(lambda layer, x: functional.conv_transpose2d(x, kernel(layer), stride=(2, 3))), KERNEL),
        "pooled": (first(lambda _, x: functional.max_pool2d(x, (2, 3), (2, 2))),),
        "rolled": (lambda _, x: torch.roll(x, 3, 2)[:, ::2],),
        "taken": (lambda _, x: x[:, [7, 1, 1, 4]],),
        "written": (lambda _, x: written(x),),
        "softmax": (lambda _, x: torch.softmax(x / 1e4, 1),),
        "a causal attention": (
            lambda _, x: functional.scaled_dot_product_attention(x / 1e3, x / 1e3, x, is_causal=True),
        ),
        "sorted": (lambda _, x: torch.sort(x, dim=2).values,),
        "sums": (lambda _, x: torch.cumsum(x, 2),),
        "gate": (lambda _, x: x * (x.flip(1) > 0),),
        "masked map": (lambda _, x: torch.mul(x, torch.as_tensor((np.arange(WIDTH) % 3 > 0)[:, None])),),
        "resized": (first(lambda _, x: functional.interpolate(x, size=(15, 21), mode="bilinear")),),
        "activations": (lambda _, x: functional.gelu(functional.silu(x)),),
    }
    made: dict[str, Any] = {name: _case(name, *given) for name, given in found.items()}
    made["around layers"] = partial(WithLayers, lambda x: torch.flip(x, (1,)), lambda x: torch.relu(x)[:, ::2])
    made["a module in a layer"] = Held
    return made


def _case(name: str, code: Any, weights: Mapping[str, tuple[int, ...]] = MappingProxyType({})) -> Case:
    return Case(code, weights, trials=60 if name in _RARE else 6)


_RARE = {"sorted", "by the image", "gradients of maxima"}
"""Choices that random images make seldom."""


def wrong(case: Case, model: keras.Model) -> str:
    """What is told of a layer that is not so; empty: nothing."""
    looks = ModelLooks(model, Inputs((SHAPE,), 0), local=False)
    if looks.asked.failure is not None:
        return f"does not run: {looks.asked.failure}"
    carried = looks.carried(model.layers[-1].name)
    if carried.marks.unknown:
        return f"is unknown: {', '.join(carried.marks.unknown)}"
    for axis in (0, 1):
        told = [np.broadcast_to(edges, carried.shape)[0, ..., 0] for edges in carried.spans(axis)]
        seen = extents(changes(case, partial(_run, model), axis))
        if not np.array_equal(told, seen):
            return f"axis {axis}: told {np.transpose(told).tolist()}, seen {np.transpose(seen).tolist()}"
    return ""


def _run(model: keras.Model, images: Any) -> Any:
    return np.array(keras.ops.convert_to_numpy(model(np.array(images), training=False)))


def main(*names: str) -> None:
    """Compare all, or those named."""
    warnings.simplefilter("ignore")
    all_cases = {name: given for name, given in cases().items() if not names or name in names}
    for name, given in all_cases.items():
        if isinstance(given, Case):
            case, model = given, given.model()
        else:
            case, image = Case(lambda _, x: x), keras.Input(SHAPE)
            model = keras.Model(image, given()(image))
        found = wrong(case, model)
        if found:
            sys.stdout.write(f"{name}: {found}\n")
    sys.stdout.write(f"{len(all_cases)} compared\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
