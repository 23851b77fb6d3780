"""Models as people name them to the command line, ``tests.nets:torch_net``: 9 x 7 pixels, stride 2."""

from __future__ import annotations

from typing import Any

from torch import nn

from tests.box_filter import BoxReceptiveField

box = BoxReceptiveField()


def keras_net(input_shape: Any) -> Any:
    """A build function."""
    import keras
    from keras import layers

    return keras.Sequential(
        [
            keras.Input(input_shape, name="image"),
            layers.Conv2D(4, (3, 5), strides=2, activation="relu", name="first"),
            layers.Conv2D(2, 3, name="second"),
        ]
    )


def torch_net() -> nn.Module:
    """The same in PyTorch."""
    return nn.Sequential(nn.Conv2d(3, 4, (3, 5), stride=2), nn.ReLU(), nn.Conv2d(4, 2, 3))


def keras_volume(input_shape: Any) -> Any:
    """9 x 7 x 5 voxels."""
    import keras
    from keras import layers

    return keras.Sequential([keras.Input(input_shape), layers.Conv3D(2, (5, 7, 9), strides=(1, 2, 3), name="thick")])


def torch_sequence() -> nn.Module:
    """7 samples, stride 2."""
    return nn.Sequential(nn.Conv1d(2, 4, 5, stride=2), nn.Conv1d(4, 2, 2))


class Net(nn.Sequential):
    """The same as a class."""

    def __init__(self) -> None:
        super().__init__(*torch_net())


def fetching(include_top: bool = True, weights: str | None = "imagenet", input_shape: Any = None) -> Any:  # noqa: ARG001
    """Takes what the functions of keras.applications take, and must not be asked for trained weights."""
    assert weights is None
    return keras_net(input_shape)


def broken() -> nn.Module:
    """A function that fails."""
    raise RuntimeError("no weights\nin sight")


def leaving() -> None:
    """A function that ends the program."""
    raise SystemExit(0)


def nothing() -> None:
    """A function that forgets to return."""


number = 5
