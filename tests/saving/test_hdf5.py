"""HDF5 files: what is saved comes back, and Keras's files are ours."""

from __future__ import annotations

import json

import h5py
import hdf5_models as nets
import numpy as np
import pytest
import test_hdf5_refusals as refusals

from fastcnn import layers as L
from fastcnn.data import CenterCrop, Decoder
from fastcnn.hdf5.reader import reading
from fastcnn.hdf5.writer import Contents, write
from fastcnn.layers import BatchNormalization, Conv2D, Dense, Flatten, Residual
from fastcnn.models.sequential import Sequential
from fastcnn.saving import keras_layout, model_file

# The net of Keras's files leaves a row of pixels out, as it is.
pytestmark = pytest.mark.filterwarnings("ignore:.*the strides do not fit")


def arrays_of(path):
    """The arrays under `layers` of a file, as the HDF5 library reads them."""
    contents = {}
    with h5py.File(path, "r") as file:
        file["layers"].visititems(
            lambda name, thing: (
                contents.update({name: thing[()]}) if isinstance(thing, h5py.Dataset) else None
            )
        )
    return contents


def plain(config):
    """A configuration as JSON gives it back."""
    return json.loads(json.dumps(config, default=lambda array: array.tolist()))


@pytest.mark.parametrize("optimizer", nets.OPTIMIZERS)
@pytest.mark.parametrize("net", nets.MODELS)
def test_a_saved_model_comes_back_bit_by_bit(net, optimizer, tmp_path):
    model = nets.compiled(nets.MODELS[net](), optimizer)
    model_file.save_model(model, tmp_path / "model.h5")
    again = model_file.load_model(tmp_path / "model.h5", Sequential)
    assert nets.bits(again) == nets.bits(model)
    assert plain(again.get_config()) == plain(model.get_config())
    assert again.optimizer.get_config() == model.optimizer.get_config()
    assert type(again.optimizer) is type(model.optimizer)
    assert again.loss.get_config() == model.loss.get_config()
    assert [metric.name for metric in again.metrics] == ["accuracy"]
    assert (again.state.step, again.epoch, again.seed) == (2, 3, model.seed)
    assert again.class_names == nets.CLASS_NAMES


@pytest.mark.parametrize("optimizer", nets.OPTIMIZERS)
def test_training_continues_as_if_never_stopped(optimizer, tmp_path):
    images, labels = nets.examples()
    model = nets.compiled(nets.sequential(), optimizer)
    model_file.save_model(model, tmp_path / "model.h5")
    again = model_file.load_model(tmp_path / "model.h5", Sequential)
    for _ in range(3):
        model.train_on_batch(images, labels)
        again.train_on_batch(images, labels)
    assert nets.bits(again) == nets.bits(model)


def test_fit_continues_as_if_never_stopped(tmp_path):
    images, labels = nets.examples(20)
    whole, first = nets.sequential(), nets.sequential()
    for model in (whole, first):
        model.compile(nets.OPTIMIZERS["adam"](), "sparse_categorical_crossentropy", ["accuracy"])
    whole.fit(images, labels, batch_size=8, epochs=4, verbose=0)
    first.fit(images, labels, batch_size=8, epochs=2, verbose=0)
    model_file.save_model(first, tmp_path / "model.h5")
    again = model_file.load_model(tmp_path / "model.h5", Sequential)
    again.fit(images, labels, batch_size=8, epochs=4, initial_epoch=again.epoch, verbose=0)
    assert nets.bits(again) == nets.bits(whole)


def test_a_model_that_was_never_compiled_comes_back_so(tmp_path):
    model = nets.sequential()
    model_file.save_model(model, tmp_path / "model.h5")
    again = model_file.load_model(tmp_path / "model.h5", Sequential)
    assert nets.bits(again) == nets.bits(model)
    assert again.optimizer is None
    assert again.class_names is None


def test_how_files_become_images_comes_back(tmp_path):
    model = nets.sequential()
    model.preprocessing = [CenterCrop(9, 8)]
    model.decoder = Decoder(12, 11, "rgb", "pad", "lanczos", max_pixels=7)
    model_file.save_model(model, tmp_path / "model.h5")
    again = model_file.load_model(tmp_path / "model.h5", Sequential)
    # How large a file may be is the affair of the computer that reads it.
    assert again.decoder == Decoder(12, 11, "rgb", "pad", "lanczos")
    model.decoder = Decoder(12, 11, "grayscale")
    with pytest.raises(ValueError, match=r"makes images of shape \(9, 8, 1\)"):
        model_file.save_model(model, tmp_path / "other.h5")
    assert not (tmp_path / "other.h5").exists()


def test_files_from_before_decoders_were_kept_are_read(tmp_path):
    model = nets.sequential()
    path = tmp_path / "model.h5"
    model_file.save_model(model, path)
    with h5py.File(path, "r+") as file:
        stored = json.loads(file["fastcnn/training"][()])
        assert stored.pop("decoder") is None
        refusals.text(file, "training", json.dumps(stored))
    assert model_file.load_model(path, Sequential).decoder is None


def test_without_the_optimizer_the_file_is_smaller_and_loads_uncompiled(tmp_path):
    model = nets.compiled(nets.sequential())
    model_file.save_model(model, tmp_path / "full.h5")
    model_file.save_model(model, tmp_path / "small.h5", include_optimizer=False)
    again = model_file.load_model(tmp_path / "small.h5", Sequential)
    assert again.optimizer is None
    assert again.epoch == 3
    for mine, theirs in zip(again.parameters, model.parameters, strict=True):
        np.testing.assert_array_equal(mine.value, theirs.value)
    assert (tmp_path / "small.h5").stat().st_size < (tmp_path / "full.h5").stat().st_size


@pytest.mark.parametrize("save", [model_file.save_weights, model_file.save_model])
@pytest.mark.parametrize("net", nets.MODELS)
def test_weights_come_back_bit_by_bit(net, save, tmp_path):
    model, other = nets.scrambled(nets.MODELS[net](), 1), nets.scrambled(nets.MODELS[net](), 2)
    save(model, tmp_path / "w.weights.h5")
    report = model_file.load_weights(other, tmp_path / "w.weights.h5")
    assert nets.bits(other) == nets.bits(model)
    assert not report.skipped


@pytest.mark.parametrize(
    ("net", "file"),
    [
        ("sequential", "sequential.weights.h5"),
        ("sequential", "sequential.keras"),
        ("functional", "functional.weights.h5"),
    ],
)
def test_a_file_of_keras_gives_keras_predictions(net, file):
    model = nets.MODELS[net]()
    model_file.load_weights(model, nets.KERAS / file)
    with np.load(nets.KERAS / "predictions.npz") as stored:
        np.testing.assert_allclose(model.predict(stored["x"]), stored[net], rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("net", ["sequential", "functional"])
def test_our_file_is_laid_out_as_keras_wrote_it(net, tmp_path):
    model = nets.MODELS[net]()
    model_file.load_weights(model, nets.KERAS / f"{net}.weights.h5")
    model_file.save_weights(model, tmp_path / "ours.weights.h5")
    ours, theirs = (
        arrays_of(tmp_path / "ours.weights.h5"),
        arrays_of(nets.KERAS / f"{net}.weights.h5"),
    )
    assert ours.keys() == theirs.keys()
    for name, array in theirs.items():
        assert ours[name].dtype == array.dtype == np.float32
        np.testing.assert_array_equal(ours[name], array)


def test_by_name_takes_the_layers_of_the_same_name(tmp_path):
    config = nets.sequential(head=7).get_config()
    config["layers"][-1]["config"]["name"] = "new_head"
    model = nets.scrambled(Sequential.from_config(config))
    kept = model.layers[-2].output_shape, model.parameters[-1].value.copy()
    report = model_file.load_weights(model, nets.KERAS / "sequential.weights.h5", by_name=True)
    assert "stem" in report.loaded
    assert set(report.skipped) == {model.layers[-1].path, "head"}
    np.testing.assert_array_equal(model.parameters[-1].value, kept[1])
    stem = arrays_of(nets.KERAS / "sequential.weights.h5")["conv2d/vars/0"]
    np.testing.assert_array_equal(model.parameters[0].value, stem)


def test_by_name_without_a_layer_of_the_same_name_is_refused(tmp_path):
    def renamed(prefix):
        layers = [Flatten(), Dense(3, name=f"{prefix}_a"), Dense(2, name=f"{prefix}_b")]
        return Sequential(layers, (2, 2, 1), seed=len(prefix))

    path = tmp_path / "w.weights.h5"
    renamed("old").save_weights(path)
    model = renamed("newer")
    before = nets.bits(model)
    with pytest.raises(ValueError, match="no layer with a name of the model's") as refused:
        model.load_weights(path, by_name=True)
    for name in (str(path), "newer_a", "newer_b", "old_a", "old_b", "Without by_name"):
        assert name in str(refused.value)
    assert nets.bits(model) == before
    model.load_weights(path)
    assert nets.bits(model) == nets.bits(renamed("old"))


def test_skip_mismatch_says_what_it_skipped():
    model = nets.scrambled(nets.sequential(head=7))
    report = model_file.load_weights(
        model, nets.KERAS / "sequential.weights.h5", skip_mismatch=True
    )
    assert list(report.skipped) == ["head"]
    assert "(16, 7)" in report.skipped["head"]
    assert "(16, 5)" in report.skipped["head"]
    assert "stem" in report.loaded
    assert "skipped head: kernel has shape" in str(report)


def test_hundreds_of_layers_keep_their_order(tmp_path):
    model = Sequential([Conv2D(1, 1) for _ in range(300)], input_shape=(2, 2, 1))
    for number, layer in enumerate(model.layers):
        layer.parameters[0].value[...] = number
    model_file.save_model(model, tmp_path / "deep.h5")
    again = model_file.load_model(tmp_path / "deep.h5", Sequential)
    assert [float(layer.parameters[0].value.item()) for layer in again.layers] == list(range(300))


@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f2", ">f2"])
def test_floats_that_fit_into_float32_are_read(dtype, tmp_path):
    values = np.array([1.5, -0.25, np.inf, np.nan, 65504.0], dtype)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["x"] = values
    with reading(tmp_path / "x.h5") as root:
        np.testing.assert_array_equal(root.dataset("x").floats(), values.astype(np.float32))


def test_texts_and_names_come_back(tmp_path):
    long = "ä" * 100_000
    contents = Contents(texts={"a/long": long, "a/empty": ""}, names={"g": "Füße"})
    write(tmp_path / "x.h5", contents)
    with reading(tmp_path / "x.h5") as root:
        assert root.group("a").dataset("long").text(1 << 20) == long
        assert root.group("a").dataset("empty").text(1 << 20) == ""
        assert root.group("g").attributes == {"name": "Füße"}


def test_a_name_may_be_a_text_of_variable_length(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_group("g").attrs["name"] = "größe"
        file["g"].attrs["numbers"] = np.arange(3)
    with reading(tmp_path / "x.h5") as root:
        assert root.group("g").attributes == {"name": "größe"}


def test_dense_weights_keep_their_layout(tmp_path):
    model = Sequential([Flatten(), Dense(3)], input_shape=(2, 2, 1))
    model.parameters[0].value[...] = np.arange(12).reshape(4, 3)
    model_file.save_weights(model, tmp_path / "d.weights.h5")
    kernel = arrays_of(tmp_path / "d.weights.h5")["dense/vars/0"]
    np.testing.assert_array_equal(kernel, np.arange(12, dtype=np.float32).reshape(4, 3))


@pytest.mark.parametrize("shortcut_first", [False, True])
def test_keras_adds_body_and_shortcut_in_either_order(shortcut_first):
    """Both end in two layers, so that their distances to the sum are the same."""
    body = [Conv2D(4, 1, name="body"), BatchNormalization(name="of_body")]
    shortcut = [Conv2D(4, 1, name="shortcut"), BatchNormalization(name="of_shortcut")]
    residual = Residual(body, shortcut, shortcut_first=shortcut_first)
    model = Sequential([residual, Flatten()], (2, 2, 3))
    keys = {layer.name: key for key, layer in keras_layout.keyed(model.layers)}
    first, second = ("shortcut", "body") if shortcut_first else ("body", "shortcut")
    assert keys[first] == "conv2d" and keys[second] == "conv2d_1"
    assert keys[f"of_{first}"] == "batch_normalization"
    again = Sequential.from_config(model.get_config())
    assert again.layers[0].shortcut_first is shortcut_first


def test_auxiliary_classifiers_are_further_outputs_of_keras():
    """The order that Keras 3.15 gave Model(image, [network, first, second])."""
    first = [
        *(L.Conv2D(3, 1, name="a"), L.Conv2D(4, 1, name="b"), L.GlobalAveragePooling2D()),
        *(L.Dense(6, name="c"), L.Dense(6, name="d"), L.Dense(5, name="e")),
    ]
    gate = [L.GlobalAveragePooling2D(keepdims=True), L.Conv2D(2, 1, name="f"), L.Conv2D(4, 1)]
    layers = [
        *(L.Conv2D(4, 3, name="g"), L.Scale(gate), L.AuxiliaryClassifier(first)),
        *(L.Conv2D(4, 3, name="h"),),
        L.AuxiliaryClassifier([L.GlobalAveragePooling2D(), L.Dense(5, name="i")]),
        *(L.Conv2D(4, 3, name="j"), L.GlobalAveragePooling2D(), L.Dense(5, name="k")),
    ]
    model = Sequential(layers, (8, 8, 3), device="cpu")
    keys = [layer.name for _, layer in keras_layout.keyed(model.layers) if layer.parameters]
    assert keys == ["g", "f", "conv2d", "a", "b", "h", "j", "c", "d", "k", "e", "i"]
