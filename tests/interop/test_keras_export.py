"""Models as archives of Keras: laid out as Keras does it, and the same when they come back."""

from __future__ import annotations

import json
import zipfile

import h5py
import hdf5_models as nets
import numpy as np
import pytest
from test_keras_import import unpacked

import fastcnn
from fastcnn.interop import keras_export
from fastcnn.layers import (
    Activation,
    AuxiliaryClassifier,
    AveragePooling2D,
    Concat,
    Conv2D,
    Conv2DTranspose,
    Dense,
    Flatten,
    GlobalAveragePooling2D,
    LocalResponseNormalization,
    MaxPooling2D,
    Normalization,
    ReLU,
    Residual,
    Scale,
    SqueezeExcite,
    StochasticDepth,
    ThresholdedReLU,
)


def came_back(model, path):
    """The model of the archive, whose predictions are those of the model."""
    model.to_keras(path)
    again = fastcnn.load_keras(path)
    shape = (3, *model.input_shape)
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    np.testing.assert_allclose(again.predict(x), model.predict(x), rtol=1e-5, atol=1e-7)
    return again


@pytest.mark.parametrize("net", ["sequential", "functional"])
def test_weights_lie_where_keras_puts_them(net, tmp_path):
    model = getattr(nets, net)()
    model.load_weights(nets.KERAS / f"{net}.weights.h5")
    model.to_keras(tmp_path / "a.keras")

    def arrays_of(file):
        arrays = {}
        file["layers"].visititems(
            lambda path, at: arrays.update({path: at}) if hasattr(at, "shape") else None
        )
        return {path: np.asarray(array) for path, array in arrays.items() if "seed" not in path}

    with zipfile.ZipFile(tmp_path / "a.keras") as archive:
        assert all(entry.compress_type == zipfile.ZIP_STORED for entry in archive.infolist())
        with h5py.File(archive.open("model.weights.h5")) as ours:
            arrays = arrays_of(ours)
    with h5py.File(nets.KERAS / f"{net}.weights.h5") as theirs:
        expected = arrays_of(theirs)
    assert arrays.keys() == expected.keys()
    for path, array in expected.items():
        np.testing.assert_array_equal(arrays[path], array)


def test_a_model_of_keras_goes_back(tmp_path):
    model = fastcnn.load_keras(unpacked("branching.keras", tmp_path))
    again = came_back(model, tmp_path / "a.keras")
    assert again.name == model.name


def test_what_keras_says_otherwise(tmp_path):
    layers = [
        Normalization(),
        Conv2D(
            4, 3, padding=((2, 1), (0, 1)), strides=2, kernel_regularizer="l2", activation="relu"
        ),
        MaxPooling2D(3, strides=2, padding=1),
        Residual([Conv2D(4, 1), StochasticDepth(0.2)], [Conv2D(4, 1)], shortcut_first=True),
        SqueezeExcite(2),
        Scale([GlobalAveragePooling2D(), Dense(4, activation="sigmoid")]),
        AuxiliaryClassifier([Flatten(), Dense(3)]),
        AveragePooling2D(2, padding=1, count_include_pad=True),
        ReLU(),
        MaxPooling2D(2, ceil_mode=True),
        Concat([ThresholdedReLU(0.1)], []),
        Conv2DTranspose(2, 3, strides=2, padding="same"),
        Flatten(),
        Dense(3, activation="softmax"),
    ]
    model = nets.scrambled(fastcnn.Sequential(layers, (13, 12, 3)))
    came_back(model, tmp_path / "a.keras")


def test_a_padded_maximum_is_written_where_no_input_is_below_zero(tmp_path):
    """As GoogLeNet's within its blocks, behind branches that each end in a ReLU."""

    def behind(*last):
        both = Concat([Conv2D(2, 1), ReLU()], [MaxPooling2D(2, 1, padding="same"), *last])
        return fastcnn.Sequential([ReLU(), both, MaxPooling2D(3, 2, padding=1)], (5, 5, 2))

    came_back(nets.scrambled(behind()), tmp_path / "a.keras")
    with pytest.raises(ValueError, match="pixels of padding would count"):
        behind(Conv2D(1, 1)).to_keras(tmp_path / "b.keras")


def test_layers_stand_in_keras_order():
    """The farthest from the output first, and equal ones as a walk from there meets them."""
    body = [Conv2D(2, 1, name="a"), Conv2D(2, 1, name="b")]
    model = fastcnn.Sequential(
        [Residual(body, [Conv2D(2, 1, name="s")], name="sum", shortcut_first=True)], (2, 2, 2)
    )
    names = [entry.name for entry in keras_export.entries_of(model)]
    assert names == ["input_layer", "a", "s", "b", "sum"]


def test_names_within_blocks_are_unique(tmp_path):
    layers = [Residual([Conv2D(2, 1, name="c")]) for _ in range(3)]
    model = nets.scrambled(fastcnn.Sequential(layers, (2, 2, 2)))
    came_back(model, tmp_path / "a.keras")
    with zipfile.ZipFile(tmp_path / "a.keras") as archive:
        config = json.loads(archive.read("config.json"))
    names = [layer["name"] for layer in config["config"]["layers"]]
    assert len(set(names)) == len(names) == 7


REFUSED = {
    "a layer": (LocalResponseNormalization(name="n"), "LocalResponseNormalization 'n'"),
    "an activation": (Activation("gelu_tanh", name="n"), "'n' has activation='gelu_tanh'"),
    "a border": (Conv2D(1, 3, padding=1, padding_mode="edge", name="n"), "padding_mode='edge'"),
    "connections": (Conv2D(1, 3, connections=[[1], [0]], name="n"), "'n' has connections"),
    "a maximum below zero": (MaxPooling2D(2, padding=1, name="n"), "pixels of padding would count"),
    "a mean": (AveragePooling2D(2, padding=1, name="n"), "pixels of padding would count"),
    "groups": (Conv2DTranspose(2, 3, groups=2, name="n"), "'n' has groups=2"),
}


@pytest.mark.parametrize(("layer", "message"), REFUSED.values(), ids=REFUSED)
def test_what_keras_has_not_is_refused_by_name(layer, message, tmp_path):
    model = fastcnn.Sequential([layer], (5, 5, 2))
    with pytest.raises(ValueError, match=rf"^to_keras: .*{message}.*\. Use to_onnx"):
        model.to_keras(tmp_path / "a.keras")
    assert not list(tmp_path.iterdir())


class Mine(ReLU):
    """A layer of a user's own."""


def test_a_layer_of_a_users_own_is_told_from_what_keras_has_not(tmp_path):
    model = fastcnn.Sequential([Mine(name="n")], (2, 2, 1))
    with pytest.raises(ValueError, match=r"Mine 'n' .* its class is your own.* Use to_onnx"):
        model.to_keras(tmp_path / "a.keras")


def test_another_ending_is_refused(tmp_path):
    model = fastcnn.Sequential([Flatten(), Dense(1)], (2, 2, 1))
    with pytest.raises(ValueError, match=r"must end in '\.keras'"):
        model.to_keras(tmp_path / "a.h5")


def test_weights_that_are_not_finite_are_refused(tmp_path):
    model = fastcnn.Sequential([Flatten(), Dense(1)], (2, 2, 1))
    model.parameters[0].value[0] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        model.to_keras(tmp_path / "a.keras")
