"""Keras models from files: they give what the model gives, and run no code unless they are trusted."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import keras
import pytest
from keras import layers

from rfwidget.errors import ReceptiveFieldError, UntrustedFileError
from rfwidget.loading import load
from tests.models import chain
from tests.nets import keras_net


@keras.saving.register_keras_serializable("tests")
class Doubled(layers.Layer):  # type: ignore[misc]
    """A layer that Keras does not know by itself."""

    def call(self, x: object) -> object:
        return 2 * x  # type: ignore[operator]


def saved(model: keras.Model, path: Path) -> str:
    model.save(path)
    return str(path)


def test_a_keras_file_is_the_model(tmp_path: Path) -> None:
    rf = load(saved(keras_net((32, 48, 3)), tmp_path / "net.keras")).rf
    assert rf.compute().size == (9, 7)
    assert (rf.input_shape.w, rf.input_shape.h) == (48, 32)
    assert list(rf.layers) == ["first", "second"]


def test_a_lambda_layer_is_loaded_only_if_trusted(tmp_path: Path) -> None:
    model = chain((32, 48, 3), layers.Lambda(lambda x: x + 1), layers.Conv2D(2, 3, name="conv"))
    file = saved(model, tmp_path / "net.keras")
    with pytest.raises(UntrustedFileError, match=r"a Lambda layer, which is Python code\. If you trust .* --trust"):
        load(file)
    assert load(file, trust=True).rf.compute(output_layer="conv").size == (3, 3)


def test_a_layer_of_other_code_is_imported_only_if_trusted(tmp_path: Path) -> None:
    file = saved(chain((32, 48, 3), Doubled(), layers.Conv2D(2, 3, name="conv")), tmp_path / "net.keras")
    with pytest.raises(UntrustedFileError, match=r"tests\.keras\.test_files\.Doubled, which is no part"):
        load(file)
    assert load(file, trust=True).rf.compute(output_layer="conv").size == (3, 3)


def changed(file: Path, initializer: dict[str, object]) -> Path:
    """A copy of a file whose first layer has another initializer."""
    copy = file.with_name("evil.keras")
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(copy, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "config.json":
                config = json.loads(content)
                config["config"]["layers"][1]["config"]["kernel_initializer"].update(initializer)
                content = json.dumps(config).encode()
            new.writestr(name, content)
    return copy


def test_functions_of_keras_that_fetch_files_are_no_part_of_a_model(tmp_path: Path) -> None:
    saved(keras_net((32, 48, 3)), tmp_path / "net.keras")
    evil = {"module": "keras.utils", "class_name": "function", "config": "get_file", "registered_name": "function"}
    with pytest.raises(UntrustedFileError, match=r"keras\.utils\.get_file, which is no part of a network"):
        load(str(changed(tmp_path / "net.keras", evil)))


def test_nothing_that_an_untrusted_file_names_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "net.keras"
    saved(keras_net((32, 48, 3)), file)
    (tmp_path / "evil_module.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(UntrustedFileError, match="evil_module"):
        load(str(changed(file, {"module": "evil_module"})))
    assert not (tmp_path / "ran").exists()


def test_the_older_format_is_loaded_only_if_trusted(tmp_path: Path) -> None:
    file = tmp_path / "net.h5"
    keras.saving.save_model(keras_net((32, 48, 3)), file)
    with pytest.raises(UntrustedFileError, match="the older HDF5 format"):
        load(str(file))
    assert load(str(file), trust=True).rf.compute().size == (9, 7)


def test_a_file_without_a_model_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "net.keras"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("readme.txt", "nothing")
    with pytest.raises(ReceptiveFieldError, match="it has no configuration of a model"):
        load(str(file))


@pytest.mark.filterwarnings("ignore:saved_model")
def test_a_saved_model_is_one_layer_on_the_image_that_it_was_made_for(tmp_path: Path) -> None:
    folder = tmp_path / "exported"
    keras_net((32, 48, 3)).export(folder, verbose=False)
    found = load(str(folder))
    assert found.shape is not None
    assert found.rf.compute(found.shape).size == (9, 7)
    assert found.rf.output_shape[1:] == (20, 13, 1)
    assert list(found.rf.layers) == ["saved_model"]


@pytest.mark.filterwarnings("ignore:saved_model")
def test_a_saved_model_of_another_tool_and_any_size_will_do(tmp_path: Path) -> None:
    folder = tmp_path / "exported"
    archive = keras.export.ExportArchive()
    model = keras_net((None, None, 3))
    archive.track(model)
    archive.add_endpoint(
        name="serving_default",
        fn=lambda x: {"features": model(x)},
        input_signature=[keras.InputSpec(shape=(None, None, None, 3), dtype="float32")],
    )
    archive.write_out(folder, verbose=False)
    found = load(str(folder))
    assert found.shape is None
    assert found.rf.compute((40, 56, 3)).size == (9, 7)


def test_a_saved_model_that_writes_files_is_loaded_only_if_trusted(tmp_path: Path) -> None:
    folder = tmp_path / "exported"
    keras_net((32, 48, 3)).export(folder, verbose=False)
    graph = folder / "saved_model.pb"
    harmless = graph.read_bytes()
    graph.write_bytes(harmless.replace(b"\x12\x04Relu", b"\x12\x04Save"))
    with pytest.raises(UntrustedFileError, match="the operation Save"):
        load(str(folder))
    shutil.rmtree(folder)
