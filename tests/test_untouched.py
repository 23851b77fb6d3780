"""Measuring leaves the user's model, and everything global, bit for bit as it was."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from rfwidget import ReceptiveFieldError
from rfwidget.keras import KerasReceptiveField

SHAPE = (20, 28, 3)


def body() -> list[keras.Layer]:
    return [
        keras.layers.Conv2D(4, (3, 5), activation="relu", padding="same"),
        keras.layers.BatchNormalization(),
        keras.layers.Dropout(0.5),
        keras.layers.DepthwiseConv2D((2, 3)),
        keras.layers.MaxPooling2D((2, 3)),
    ]


def head() -> list[keras.Layer]:
    return [keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(2)]


def sequential() -> keras.Model:
    return keras.Sequential([keras.Input(SHAPE), *body(), *head()])


def functional() -> keras.Model:
    image = x = keras.Input(SHAPE)
    for layer in body():
        x = layer(x)
    x = keras.layers.Add()([keras.ops.relu(x), keras.layers.Conv2D(4, 1)(x)])
    for layer in head():
        x = layer(x)
    return keras.Model(image, x)


def nested() -> keras.Model:
    backbone = keras.Sequential([keras.Input(SHAPE), *body()], name="backbone")
    image = keras.Input(SHAPE)
    x = keras.layers.Conv2D(4, (1, 2))(backbone(image))
    for layer in head():
        x = layer(x)
    return keras.Model(image, x)


@keras.saving.register_keras_serializable(package="rfwidget_tests")
class Subclassed(keras.Model):
    def __init__(self, **options: Any):
        super().__init__(**options)
        self.body = body()
        self.head = head()

    def call(self, x, training=None):
        for layer in (*self.body, *self.head):
            is_dropout = isinstance(layer, keras.layers.Dropout)
            x = layer(x, training=training) if is_dropout else layer(x)
        return x


def trained(build: Callable[[], keras.Model]) -> keras.Model:
    """With optimizer slots, running metrics, moved batch statistics and one frozen layer."""
    model = build()
    model.compile("adam", "mse", metrics=["mae"])
    rng = np.random.default_rng(0)
    model.fit(rng.normal(size=(4, *SHAPE)), rng.normal(size=(4, 2)), verbose=0)
    next(iter(flat_layers(model))).trainable = False
    return model


def flat_layers(model: keras.Model) -> list[keras.Layer]:
    return [layer for layer in model._flatten_layers() if layer is not model]


def snapshot(model: keras.Model) -> dict[str, Any]:
    """Everything of a model and of the process that a tool could disturb; compares with ``==``."""
    layers = flat_layers(model)
    variables = [*model.variables, *model.optimizer.variables, *model.metrics_variables]
    return {
        "variables": [(id(v), v.path, v.numpy().tobytes()) for v in variables],
        "trainable": [(layer.trainable, layer.name, layer.built) for layer in (model, *layers)],
        "trainable variables": [id(v) for v in model.trainable_variables],
        "layers": [id(layer) for layer in layers],
        "nodes": [(len(layer._inbound_nodes), len(layer._outbound_nodes)) for layer in (model, *layers)],
        "calls": [(layer.call, type(layer)) for layer in (model, *layers)],
        "attributes": [sorted(vars(layer)) for layer in (model, *layers)],
        "policies": [layer.dtype_policy.name for layer in (model, *layers)],
        "metrics": [(id(metric), metric.name) for metric in model.metrics],
        "optimizer": id(model.optimizer),
        "global policy": keras.config.dtype_policy().name,
        "floatx": keras.config.floatx(),
        "epsilon": keras.config.epsilon(),
        "image data format": keras.config.image_data_format(),
        "layer class": (keras.layers.Layer.__call__, keras.Operation.__call__),
        "python random": random.getstate(),
        "numpy random": np.random.get_state()[1].tolist(),  # noqa: NPY002
        "tensorflow eager": tf.executing_eagerly(),
    }


def draws() -> list[float]:
    """The next random numbers of every global source."""
    return [
        random.random(),  # noqa: S311
        np.random.rand(),  # noqa: NPY002
        float(keras.random.uniform(())),
        float(tf.random.uniform(())),
        float(tf.random.get_global_generator().uniform(())),
        float(keras.initializers.RandomUniform()((1,))[0]),
    ]


def use(rf: KerasReceptiveField) -> None:
    rf.compute(input_shape=SHAPE)
    last = rf.output_shape.w - 1, rf.output_shape.h - 1
    for point in ((0, 0), last):
        rf.rect_at(point)
        rf.rect_at(point, clip=True)
        rf.gradient_at(point)
    rf.gradient_at(last, image=np.zeros(SHAPE, np.uint8), channel=1)
    rf.cells_seeing((3, 4))
    rf.survey()
    rf.effective(n=1, points=[last])


MODELS = {"sequential": sequential, "functional": functional, "nested": nested, "subclassed": Subclassed}


@pytest.mark.parametrize("init_weights", [False, True])
@pytest.mark.parametrize("kind", MODELS)
def test_model_and_process_are_as_before(kind, init_weights):
    model = trained(MODELS[kind])
    image = np.random.default_rng(1).normal(size=(2, *SHAPE)).astype("float32")
    output = model.predict(image, verbose=0)
    before = snapshot(model)
    use(KerasReceptiveField(model, init_weights=init_weights))
    after = snapshot(model)
    for name, value in before.items():
        assert after[name] == value, name
    assert np.array_equal(model.predict(image, verbose=0), output)


def test_a_thousand_clicks_change_nothing():
    model = trained(functional)
    before = snapshot(model)
    rf = KerasReceptiveField(model)
    rf.compute()
    w, h = rf.output_shape.w, rf.output_shape.h
    for click in range(1000):
        rf.gradient_at((click % w, click * 7 % h), channel=click % 5 if click % 5 < rf.channels else None)
    after = snapshot(model)
    for name, value in before.items():
        assert after[name] == value, name


@pytest.mark.parametrize("kind", MODELS)
def test_model_loaded_from_a_file_is_as_before(kind, tmp_path):
    path = tmp_path / "model.keras"
    trained(MODELS[kind]).save(path)
    model = keras.saving.load_model(path)
    before = snapshot(model)
    use(KerasReceptiveField(model))
    after = snapshot(model)
    for name, value in before.items():
        assert after[name] == value, name


@pytest.mark.parametrize("kind", MODELS)
def test_training_goes_on_as_if_nothing_had_happened(kind):
    rng = np.random.default_rng(2)
    images, targets = rng.normal(size=(4, *SHAPE)), rng.normal(size=(4, 2))
    results = []
    for measured in (False, True):
        keras.utils.set_random_seed(3)
        model = trained(MODELS[kind])
        if measured:
            use(KerasReceptiveField(model))
        model.fit(images, targets, epochs=2, verbose=0)
        results.append([variable.numpy().tobytes() for variable in model.variables])
    assert results[0] == results[1]


def test_no_global_source_of_random_numbers_moves():
    model = trained(functional)
    numbers = []
    for measured in (False, True):
        keras.utils.set_random_seed(5)
        tf.random.get_global_generator().reset_from_seed(5)
        if measured:
            use(KerasReceptiveField(model))
        numbers.append(draws())
    assert numbers[0] == numbers[1]


def test_other_dtype_policies_and_floatx_survive():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = trained(functional)
        before = snapshot(model)
        use(KerasReceptiveField(model))
        after = snapshot(model)
    finally:
        keras.config.set_dtype_policy("float32")
    for name, value in before.items():
        assert after[name] == value, name


def test_a_failed_measurement_leaves_no_trace():
    model = trained(functional)
    before = snapshot(model)
    rf = KerasReceptiveField(model)
    with pytest.raises(ReceptiveFieldError):
        rf.compute(output_layer="no such layer")
    with pytest.raises(ReceptiveFieldError):
        rf.compute(input_shape=(1, 1, 3))

    def stop(fraction: float, words: str) -> None:
        if fraction > 0:
            raise KeyboardInterrupt(words)

    with pytest.raises(KeyboardInterrupt):
        rf.compute(progress=stop)
    after = snapshot(model)
    for name, value in before.items():
        assert after[name] == value, name
