"""Models of a user's own classes are saved, and loaded where these are passed or registered."""

from __future__ import annotations

import numpy as np
import pytest

import fastcnn
from fastcnn import layers as L
from fastcnn.utils import custom_objects


class Power(L.CustomLayer):
    def __init__(self, exponent=2, **common):
        super().__init__(**common)
        self.exponent = exponent

    def forward(self, x):
        return x**self.exponent

    def backward(self, x, y, dy):
        return dy * self.exponent * x ** (self.exponent - 1)


class Apart(fastcnn.losses.CustomLoss):
    def __init__(self, scale=1.0, name=None):
        super().__init__(name)
        self.scale = scale

    def value(self, y_true, y_pred):
        return self.scale * ((y_pred - y_true) ** 2).sum(axis=1)

    def gradient(self, y_true, y_pred):
        return 2 * self.scale * (y_pred - y_true)


X = np.random.default_rng(0).standard_normal((9, 4, 4, 1)).astype(np.float32)


@pytest.fixture(autouse=True)
def unregistered(monkeypatch):
    monkeypatch.setattr(custom_objects, "_registered", {})


@pytest.fixture
def path(tmp_path):
    layers = [L.Residual([Power(3, name="inner")]), L.Flatten(), L.Dense(2)]
    model = fastcnn.Sequential(layers, (4, 4, 1))
    model.compile("sgd", Apart(0.5))
    model.fit(X, np.ones((9, 2)), verbose=0)
    model.save(tmp_path / "own.h5")
    np.save(tmp_path / "outputs.npy", model.predict(X))
    return tmp_path / "own.h5"


def check(model, path):
    assert model.layers[0].sublayers[0].exponent == 3
    assert model.loss.scale == 0.5
    assert np.array_equal(model.predict(X), np.load(path.parent / "outputs.npy"))
    model.fit(X, np.ones((9, 2)), verbose=0)


def test_classes_that_are_passed(path):
    check(fastcnn.load(path, custom_objects={"Power": Power, "Apart": Apart}), path)


def test_classes_that_are_registered(path):
    assert fastcnn.register_serializable(Power) is Power
    fastcnn.register_serializable(Apart)
    check(fastcnn.load(path), path)


def test_a_class_that_is_neither_is_named_with_both_ways(path):
    words = r"own.h5' .*Unknown layer 'Power'.*custom_objects=\{'Power': Power\}.*register_serial"
    with pytest.raises(ValueError, match=words):
        fastcnn.load(path)
    with pytest.raises(ValueError, match=r"Unknown loss 'Apart'.*pass it"):
        fastcnn.load(path, custom_objects={"Power": Power})
    with pytest.raises(ValueError, match=r"'Power' stands for .*Apart.*derived from Layer"):
        fastcnn.load(path, custom_objects={"Power": Apart})
    with pytest.raises(TypeError, match=r"custom_objects must be a dict from names"):
        fastcnn.load(path, custom_objects=[Power])


def test_a_registered_name_stands_in_the_file(path):
    fastcnn.register_serializable(name="mine")(Power)
    model = fastcnn.load(path, custom_objects={"Power": Power, "Apart": Apart})
    assert model.get_config()["layers"][0]["config"]["body"][0]["class_name"] == "mine"
    model.save(path)
    check(fastcnn.load(path, custom_objects={"Apart": Apart}), path)


def test_a_name_is_registered_once_but_may_be_defined_anew():
    again = type("Power", (Power,), {"__module__": __name__})
    fastcnn.register_serializable(Power)
    fastcnn.register_serializable(again)  # as a notebook's cell that runs twice
    assert custom_objects.find("Power") is again
    with pytest.raises(ValueError, match=r"'Power' is registered already, as .*Power"):
        fastcnn.register_serializable(name="Power")(Apart)
    with pytest.raises(TypeError, match=r"expected a class or a function with a name. Received 3"):
        fastcnn.register_serializable(3)


def test_the_name_of_a_builtin_class_is_refused(tmp_path):
    dense = type("Dense", (Power,), {})
    model = fastcnn.Sequential([dense()], (4, 4, 1))
    with pytest.raises(ValueError, match=r"cannot be saved.*'Dense' is the name of fastcnn's own"):
        model.save(tmp_path / "own.h5")


def test_a_layer_moves_to_another_model_with_its_weights():
    model = fastcnn.Sequential([Power(3)], (4, 4, 1))
    other = fastcnn.Sequential([model.layers[0], L.Flatten()], (4, 4, 1))
    assert other.layers[0] is not model.layers[0] and other.layers[0].exponent == 3
