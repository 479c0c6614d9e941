"""check_gradients passes right gradients, of every layer and loss, and finds planted wrong ones."""

from __future__ import annotations

import numpy as np
import pytest
from layer_cases import CASES

from fastcnn import Sequential, check_gradients, losses
from fastcnn import layers as L
from fastcnn.layers import CustomLayer
from fastcnn.layers.registry import LAYERS

SHAPE = (4, 4, 2)
CHAIN = [L.Conv2D(2, 3, padding="same", activation="tanh")]
OF_LAYERS = {
    "Residual": lambda: L.Residual(CHAIN),
    "Concat": lambda: L.Concat([L.Conv2D(2, 1)], [L.Activation("sigmoid")]),
}
NOT_BY_ITSELF = {"AuxiliaryClassifier"}  # its loss is one of the model's


def first_cases():
    """A case of each kind of layer."""
    cases = {}
    for case in CASES.values():
        layer = case.layer()
        cases.setdefault(type(layer).__name__, (case.layer, case.shape))
    return cases | {name: (layer, SHAPE) for name, layer in OF_LAYERS.items()}


def ramp(shape):
    """Images without kinks between their pixels, which sampling in between would meet."""
    rows, columns, _ = shape
    image = np.arange(rows)[:, None, None] + 2 * np.arange(columns)[None, :, None]
    return np.broadcast_to(image / 10, (1, *shape))


@pytest.mark.parametrize("name", sorted(set(LAYERS) - NOT_BY_ITSELF))
def test_every_layer(name):
    layer, shape = first_cases()[name]
    x = ramp(shape) if name == "SpatialTransformer" else None
    report = check_gradients(layer(), shape, x, samples=2, entries=4)
    assert report.precision == "float32"
    assert all(array.entries for array in report.arrays)


@pytest.mark.parametrize("cls", dict.fromkeys(losses.LOSSES.values()))
def test_every_loss(cls):
    assert check_gradients(cls(), entries=6).arrays[0].name == "y_pred"


class Cubed(CustomLayer):
    """The cube of each number times a weight; `wrong` says which error is planted."""

    def __init__(self, wrong="", **common):
        super().__init__(**common)
        self.wrong = wrong

    def make_parameters(self, shape):
        return [self.weight("factor", shape[-1:], "ones")]

    def forward(self, x, factor):
        return factor * x**3

    def backward(self, x, y, dy, factor):
        dx, dfactor = 3 * dy * factor * x**2, (dy * x**3).sum((0, 1, 2))
        if self.wrong == "a factor":
            dx = dx * 1.001
        if self.wrong == "one entry":
            dx[1, 2, 3, 0] += 0.1
        if self.wrong == "a weight":
            dfactor = dfactor[::-1]
        return dx, dfactor


def test_a_custom_layer_is_checked_in_float64():
    layer = Cubed()
    report = check_gradients(layer, SHAPE)
    assert report.precision == "float64" and not layer.built
    assert [array.name for array in report.arrays] == ["the input", "factor"]
    assert max(array.error for array in report.arrays) < 1e-7
    assert repr(report).startswith("Cubed 'cubed': right, computed in float64\n  the input (3, 4,")


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ("a factor", "Cubed 'cubed': the gradient of the input is wrong at .*Received"),
        ("one entry", r"the input is wrong at \(1, 2, 3, 0\): .* 1 of 96 entries are off"),
        ("a weight", r"the gradient of factor is wrong at \(\d,\): expected .* central difference"),
    ],
)
def test_a_planted_wrong_gradient_is_found(wrong, words):
    with pytest.raises(ValueError, match=words):
        check_gradients(Cubed(wrong), SHAPE, entries=96)


def test_a_wrong_gradient_within_a_layer_and_a_model_is_found():
    block = L.Residual([L.Conv2D(2, 1), Cubed("a weight")])
    with pytest.raises(ValueError, match=r"residual/cubed/factor is wrong"):
        check_gradients(block, SHAPE)
    model = Sequential([Cubed("a weight"), L.Flatten(), L.Dense(2)], SHAPE)
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match=r"the gradient of cubed/factor is wrong"):
        check_gradients(model)


def test_a_model_is_as_before():
    model = Sequential([L.Conv2D(3, 3), L.BatchNormalization(), L.ReLU(), L.Flatten()], SHAPE)
    model.add(L.Dense(3, activation="softmax"))
    model.compile("adam", "sparse_categorical_crossentropy")
    before = model.state.values.copy(), model.state.moving.copy()
    report = check_gradients(model)
    assert {array.name for array in report.arrays} >= {"conv2d/kernel", "dense/bias"}
    assert np.array_equal(model.state.values, before[0])
    assert np.array_equal(model.state.moving, before[1])


class Pinball(losses.CustomLoss):
    def __init__(self, quantile=0.9, slope=1.0, name=None):
        super().__init__(name)
        self.quantile, self.slope = quantile, slope

    def value(self, y_true, y_pred):
        d = y_true - y_pred
        return np.maximum(self.quantile * d, (self.quantile - 1) * d).mean(axis=1)

    def gradient(self, y_true, y_pred):
        below = np.where(y_true > y_pred, -self.quantile, 1 - self.quantile)
        return self.slope * below / y_pred.shape[1]


def test_a_custom_loss():
    assert check_gradients(Pinball()).precision == "float64"
    with pytest.raises(ValueError, match=r"Pinball 'pinball': the gradient of y_pred is wrong"):
        check_gradients(Pinball(slope=1.01))


def test_what_it_cannot_check():
    with pytest.raises(ValueError, match=r"Cubed 'cubed' is not built, so input_shape must say"):
        check_gradients(Cubed())
    with pytest.raises(TypeError, match=r"expected a layer, a loss or a model. Received 'swish'"):
        check_gradients("swish")
    with pytest.raises(ValueError, match=r"the model has no loss"):
        check_gradients(Sequential([L.Flatten()], SHAPE))
    with pytest.raises(ValueError, match=r"all 20 entries of the input .* next to kinks"):
        check_gradients(L.ReLU(), x=np.zeros((2, *SHAPE)))


def test_a_classifier_at_the_side_is_checked_within_a_model():
    side = L.AuxiliaryClassifier([L.Flatten(), L.Dense(3, activation="softmax")])
    with pytest.raises(ValueError, match="has a classifier at its side, whose gradient is that of"):
        check_gradients(side, (4, 4, 2))
    layers = [L.Conv2D(3, 3), side, L.Flatten(), L.Dense(3, activation="softmax")]
    model = Sequential(layers, (5, 5, 2))
    model.compile("sgd", "sparse_categorical_crossentropy")
    names = [array.name for array in check_gradients(model).arrays]
    assert "auxiliary_classifier/dense/kernel" in names
