"""The pages of the gallery: each function makes a widget, and the Python in it stands beside the page."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from rfwidget import RFWidget

RANDOM = (
    "The weights are random (seed 0): the network has learnt nothing, and what you see is the work of its layers alone."
)
TRAINED = "The weights are those of the package mtcnn 1.0.0: this network has been trained to find faces."


class Exhibit(NamedTuple):
    """A place in the gallery.

    Attributes:
        name: of the page's file, without the ending.
        title: its heading.
        text: what there is to see, in Markdown.
        code: the Python that makes the widget.
        make: does it.
        weights: one sentence for the page.
        layers: that a reader can choose, the first one shown first; empty: the one that the widget shows.
        limit: bytes that a page may have at most.
        pages: of the same widget, one after the other: what each shows, in a few words, and the traits that are set for
            it; most exhibits have one page without words.
        cells: of each layer that have a gradient map in the page; None: as many as `to_html` takes by itself.
    """

    name: str
    title: str
    text: str
    code: str
    make: Callable[[], RFWidget]
    weights: str
    layers: tuple[str, ...]
    limit: int
    pages: Mapping[str, Mapping[str, Any]]
    cells: int | None


EXHIBITS: dict[str, Exhibit] = {}
"""By name, in the order of the gallery."""


def exhibit(
    title: str,
    *layers: str,
    limit: int = 3_000_000,
    weights: str = RANDOM,
    pages: Mapping[str, Mapping[str, Any]] | None = None,
    cells: int | None = None,
) -> Callable[[Callable[[], RFWidget]], Callable[[], RFWidget]]:
    """Put what a function makes into the gallery; its docstring is the text."""

    def add(make: Callable[[], RFWidget]) -> Callable[[], RFWidget]:
        name, text = make.__name__.replace("_", "-"), inspect.getdoc(make) or ""
        EXHIBITS[name] = Exhibit(name, title, text, _body(make), make, weights, layers, limit, pages or {"": {}}, cells)
        return make

    return add


def _body(function: Callable[..., object]) -> str:
    """What stands in a function behind its docstring; its result is the last expression."""
    source = textwrap.dedent(inspect.getsource(function))
    (defined,) = ast.parse(source).body
    if not isinstance(defined, ast.FunctionDef):
        raise TypeError(f"{function} is no function that is written out")
    *_, last = defined.body
    lines = source.splitlines()[defined.body[0].end_lineno or 0 :]
    start = last.lineno - (defined.body[0].end_lineno or 0) - 1
    lines[start] = lines[start].replace("return ", "", 1)
    return textwrap.dedent("\n".join(lines)).strip("\n")


@exhibit("The README model", limit=1_000_000)
def readme() -> RFWidget:
    """Eight layers without padding: every cell of `feature_grid` sees 34 x 34 pixels, and the next one the same moved
    by 4.

    The gradient follows the mouse; a click keeps it.
    """
    import keras
    from keras import layers

    def model_build_func(input_shape):
        return keras.Sequential(
            [
                keras.Input(input_shape, name="input_image"),
                layers.Conv2D(32, 5, activation="linear"),
                layers.Conv2D(32, 3, activation="linear"),
                layers.AvgPool2D(2),
                layers.Conv2D(64, 3, activation="linear"),
                layers.Conv2D(64, 3, activation="linear"),
                layers.AvgPool2D(2),
                layers.Conv2D(128, 3, activation="linear"),
                layers.Conv2D(128, 3, activation="linear", name="feature_grid"),
            ]
        )

    keras.utils.set_random_seed(0)
    return RFWidget(model_build_func, input_shape=(96, 96, 3))


@exhibit("VGG16", "block4_pool", "block3_pool", limit=4_000_000)
def vgg16() -> RFWidget:
    """Nothing but 3 x 3 convolutions and pooling. Choose another layer in the strip below the picture: fields grow
    with each convolution, and faster behind each pooling.
    """
    import keras

    keras.utils.set_random_seed(0)
    model = keras.applications.VGG16(weights=None, include_top=False, input_shape=(224, 224, 3))
    return RFWidget(model, output_layer="block4_pool", preprocess=keras.applications.vgg16.preprocess_input)


@exhibit("ResNet50", "conv3_block4_out", "conv2_block3_out", limit=5_000_000)
def resnet50() -> RFWidget:
    """A field of 99 pixels that the gradient is far from filling. The two outlines hold 50 % and 95 % of it, on
    average over several cells and images: the *effective* receptive field.
    """
    import keras

    keras.utils.set_random_seed(0)
    model = keras.applications.ResNet50(weights=None, include_top=False, input_shape=(160, 160, 3))
    scale = keras.applications.resnet50.preprocess_input
    return RFWidget(model, output_layer="conv3_block4_out", preprocess=scale, show_erf=True)


@exhibit("MobileNetV2", "block_6_expand_relu", "block_3_expand_relu", limit=4_000_000)
def mobilenetv2() -> RFWidget:
    """Depthwise convolutions between cheap ones of a single pixel. The second, smaller rectangle belongs to a layer
    three blocks before, `block_3_expand_relu`, at the same place.
    """
    import keras

    keras.utils.set_random_seed(0)
    model = keras.applications.MobileNetV2(weights=None, include_top=False, input_shape=(224, 224, 3))
    scale = keras.applications.mobilenet_v2.preprocess_input
    return RFWidget(model, output_layer="block_6_expand_relu", compare_layer="block_3_expand_relu", preprocess=scale)


@exhibit("A U-Net", "deepb", "up2b", "up1b")
def u_net() -> RFWidget:
    """Down two levels and up again. At the bottom, in `deepb`, all cells see fields of one size. On the way up the
    grid gets finer, and neighbours share a cell of the level below: in `up2b` and `up1b`, fields of neighbours differ.
    """
    import keras
    from keras import layers

    def twice(x, filters, level):
        for place in "ab":
            x = layers.Conv2D(filters, 3, padding="same", activation="relu", name=f"{level}{place}")(x)
        return x

    keras.utils.set_random_seed(0)
    image = keras.Input((128, 192, 3))
    down1 = twice(image, 8, "down1")
    down2 = twice(layers.MaxPooling2D()(down1), 16, "down2")
    deep = twice(layers.MaxPooling2D()(down2), 32, "deep")
    up2 = twice(layers.Concatenate()([layers.UpSampling2D()(deep), down2]), 16, "up2")
    up1 = twice(layers.Concatenate()([layers.UpSampling2D()(up2), down1]), 8, "up1")
    model = keras.Model(image, layers.Conv2D(1, 1, name="mask")(up1))
    return RFWidget(model, output_layer="deepb", preprocess=lambda image: image / 255)


@exhibit("Like DeepLab", "rate_4", "rate_2", "pyramid", limit=4_000_000)
def deeplab() -> RFWidget:
    """Dilated convolutions side by side. One with a rate of 4 looks at nine patches with nothing between them: the
    field is the rectangle around all nine, and the gradient shows the holes. Choose `pyramid`, where the branches meet
    a mean of the whole image: its field is unbounded.
    """
    import keras
    from keras import layers

    keras.utils.set_random_seed(0)
    image = x = keras.Input((192, 288, 3))
    for filters in (16, 32, 64):
        x = layers.Conv2D(filters, 3, strides=2, padding="same", activation="relu")(x)
    pooled = layers.Conv2D(16, 1)(layers.GlobalAveragePooling2D(keepdims=True)(x))
    branches = [layers.Conv2D(16, 3, dilation_rate=r, padding="same", name=f"rate_{r}")(x) for r in (2, 4, 6)]
    everywhere = layers.UpSampling2D(x.shape[1:3])(pooled)
    pyramid = layers.Conv2D(32, 1, name="pyramid")(layers.Concatenate()([*branches, everywhere]))
    return RFWidget(keras.Model(image, pyramid), output_layer="rate_4", preprocess=lambda image: image / 255)


@exhibit("A sequence", "wide", "narrow")
def sequence() -> RFWidget:
    """A temporal convolutional network on an electrocardiogram. It is causal: a cell sees what came before it, and
    nothing of what comes after.
    """
    import keras
    from keras import layers

    from rfwidget.signals import get_default_signal

    keras.utils.set_random_seed(0)
    signal = x = keras.Input((750, 1))
    for dilation, name in ((1, None), (2, None), (4, "narrow"), (8, None), (16, None), (32, "wide")):
        y = layers.Conv1D(16, 3, dilation_rate=dilation, padding="causal", activation="relu")(x)
        x = layers.Add(name=name)([layers.Conv1D(16, 1)(x), y])
    return RFWidget(keras.Model(signal, x), image=get_default_signal((750, 1), "ecg"), selected=(400,))


@exhibit("A volume", "wide", "narrow", cells=480)
def volume() -> RFWidget:
    """A network for scans, on a phantom as scanners are tested with. The three sections are cut where the thin lines
    stand, through the middle of the selected cell's field. Click in any of them to move the cell; Page up and Page
    down, or the slider, move it along z. Boxes that a section does not meet are faint.
    """
    import keras
    from keras import layers

    keras.utils.set_random_seed(0)
    scan = x = keras.Input((48, 64, 80, 1))  # depth, height, width, channels
    for filters, strides, name in ((4, 2, None), (8, 2, None), (8, 2, "narrow"), (8, 1, "wide")):
        x = layers.Conv3D(filters, 3, strides, padding="same", activation="elu", name=name)(x)
    return RFWidget(keras.Model(scan, x), selected=(6, 3, 2))


@exhibit(
    "A network that has learnt",
    weights=TRAINED,
    pages={
        "glasses": {},
        "the bridge of the nose": {"channel": 43, "selected": (3, 1)},
        "the mouth": {"channel": 7, "selected": (4, 7)},
        "the outline of the head": {"channel": 13, "selected": (7, 0)},
    },
)
def detector() -> RFWidget:
    """O-Net, the last network of the face detector MTCNN, on the face that the detector has found. The page shows one
    channel of its third convolution at the cell where that answers most. The square is the theoretical field, the same
    for all channels; bright is what this one makes of it, and the outlines hold 50 % and 95 % of that on average over
    several cells and images. [More on this network](notebooks/trained-detector.md).
    """
    import numpy as np
    from mtcnn import MTCNN
    from mtcnn.stages import StageONet
    from PIL import Image

    from rfwidget import get_default_image

    photograph = get_default_image((512, 512))
    (found,) = MTCNN().detect_faces(photograph)
    x, y, w, h = found["box"]
    middle, half = np.array([x + w / 2, y + h / 2]), max(w, h) / 2
    box = (*(middle - half), *(middle + half))
    return RFWidget(
        StageONet().model,
        input_shape=(48, 48, 3),
        image=Image.fromarray(photograph).resize((96, 96), Image.Resampling.BILINEAR, box),
        preprocess=lambda image: (image.astype("float32") - 127.5) / 128,  # as MTCNN does
        output_layer="prelu3",
        channel=5,
        selected=(6, 2),
        show_erf=True,
    )
