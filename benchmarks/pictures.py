"""Draw the figures of the documentation: `python -m benchmarks.pictures` writes docs/images/*.png.

Weights are untrained (He initialisation), so effective fields are those of networks before training.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import matplotlib as mpl
import matplotlib.pyplot as plt
from keras import layers
from PIL import Image

from rfwidget import RFWidget
from rfwidget.keras import KerasReceptiveField
from rfwidget.plotting import compare, plot_effective, plot_survey, side_by_side
from rfwidget.signals import get_default_signal, get_default_volume

LARGE = 100_000  # bytes
FOLDER = Path(__file__).resolve().parent.parent / "docs" / "images"


def unet(input_shape: Any = (128, 192, 3)) -> keras.Model:
    """A small U-Net: two levels down, two up, skip connections between them."""

    def twice(x: Any, filters: int, level: str) -> Any:
        for place in "ab":
            x = layers.Conv2D(filters, 3, padding="same", activation="relu", name=f"{level}{place}")(x)
        return x

    image = keras.Input(tuple(input_shape), name="image")
    down1 = twice(image, 8, "down1")
    down2 = twice(layers.MaxPooling2D(name="pool1")(down1), 16, "down2")
    deep = twice(layers.MaxPooling2D(name="pool2")(down2), 32, "deep")
    x = layers.UpSampling2D(name="rise2")(deep)
    x = twice(layers.Concatenate(name="skip2")([x, down2]), 16, "up2")
    x = layers.UpSampling2D(name="rise1")(x)
    x = twice(layers.Concatenate(name="skip1")([x, down1]), 8, "up1")
    return keras.Model(image, layers.Conv2D(1, 1, name="mask")(x))


def application(name: str, size: int = 224) -> keras.Model:
    """An untrained model of `keras.applications` without its head."""
    return getattr(keras.applications, name)(weights=None, include_top=False, input_shape=(size, size, 3))


def growth(name: str, model: Any) -> None:
    """Receptive fields through depth."""
    survey = KerasReceptiveField(model).survey()
    shape = survey.input_shape
    title = f"{name} on {shape.w} x {shape.h} pixels"
    save(f"survey_{name.lower()}", plot_survey(survey, title=title))


def sequences_and_volumes() -> None:
    """Networks of one and three axes, those of their page."""
    keras.utils.set_random_seed(1)
    image = x = keras.Input((400, 2))
    for dilation in (1, 2, 4, 8):
        y = layers.Conv1D(16, 3, dilation_rate=dilation, padding="causal", activation="relu")(x)
        y = layers.Conv1D(16, 3, dilation_rate=dilation, padding="causal", activation="relu")(y)
        x = layers.Add()([y, layers.Conv1D(16, 1)(x)])
    tcn = KerasReceptiveField(keras.Model(image, x, name="tcn"))
    tcn.compute()
    wide = {"figsize": (8, 4.5)}
    save("sequence_grid", tcn.plot_rf_grid(**wide))
    save("sequence_gradient", tcn.plot_gradient_at(200, image=get_default_signal((400, 2), "ecg"), **wide))
    parts = [layers.Conv1D(8, 5, strides=2), layers.LSTM(4, return_sequences=True, name="lstm")]
    memory = KerasReceptiveField(keras.Sequential([keras.Input((400, 2)), *parts]))
    memory.compute()
    save("sequence_lstm", memory.plot_rf_grid(get_default_signal((400, 2), "speech"), **wide))
    parts = [
        layers.Conv3D(4, 3, strides=2, activation="relu"),
        layers.Conv3D(4, 3, strides=(1, 2, 2), activation="relu"),
        layers.Conv3D(4, (1, 3, 3), name="conv3d_last"),
    ]
    volume = KerasReceptiveField(keras.Sequential([keras.Input((32, 48, 64, 1)), *parts]))
    volume.compute()
    save("volume_grid", volume.plot_rf_grid(figsize=(7, 6)))
    save("volume_gradient", volume.plot_gradient_at((6, 4, 6), get_default_volume((32, 48, 64)), figsize=(7, 6)))
    widget_of_a_volume(volume)


def widget_of_a_volume(rf: KerasReceptiveField) -> None:
    """What the widget saves of it."""
    widget = RFWidget(rf, selected=(6, 4, 6))
    path = FOLDER / "volume_widget.png"
    if not widget.wait():
        raise RuntimeError("the widget has not measured within a minute")
    widget.save_png(path)
    widget.close()
    Image.open(path).convert("RGB").quantize(256).save(path, optimize=True)
    print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")


def draw() -> None:
    """All figures."""
    sequences_and_volumes()
    keras.utils.set_random_seed(1)
    models: dict[str, Callable[[], keras.Model]] = {
        "VGG16": lambda: application("VGG16"),
        "ResNet50": lambda: application("ResNet50"),
        "MobileNetV2": lambda: application("MobileNetV2"),
        "U-Net": unet,
    }
    for name, build in models.items():
        growth(name, build())

    vgg = KerasReceptiveField(application("VGG16"))
    vgg.compute(output_layer="block3_pool")
    save("grids_vgg16", vgg.plot_rf_grids(["block2_pool", "block3_pool", "block4_pool"])[0])

    fields = []
    for name, layer in (("VGG16", "block4_pool"), ("ResNet50", "conv4_block1_out")):
        rf = KerasReceptiveField(application(name))
        rf.compute(output_layer=layer)
        fields.append(rf.effective(n=3))
        save(f"effective_{name.lower()}", plot_effective(fields[-1], title=f"{name}, {layer} (untrained)"))

    small = KerasReceptiveField(unet())
    small.compute(output_layer="up1b")
    save("effective_u-net", plot_effective(small.effective(), title="U-Net, up1b (untrained)"))
    small.compute(output_layer="deepb")
    save("grid_u-net", small.plot_rf_grid(ax=side_by_side(1, None, (7, 5.5))[0]))

    surveys = [KerasReceptiveField(models[name]()).survey() for name in ("VGG16", "ResNet50")]
    panels = compare(*surveys, labels=["VGG16", "ResNet50"], axes=side_by_side(2, None, (7, 4.5)))
    save("compare_vgg16_resnet50", panels[0])


def save(name: str, ax: Any) -> None:
    """Write the figure of an Axes; in 256 colours if the file would be large."""
    buffer = io.BytesIO()
    ax.figure.savefig(buffer, dpi=90)
    plt.close(ax.figure)
    path = FOLDER / f"{name}.png"
    image = Image.open(buffer).convert("RGB")
    (image.quantize(256) if buffer.tell() > LARGE else image).save(path, optimize=True)
    print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    mpl.use("agg")
    FOLDER.mkdir(parents=True, exist_ok=True)
    draw()
