"""Gradients with respect to images, against central differences and hand-written rules."""

from __future__ import annotations

import numpy as np
import pytest
import reference_model
from building import assert_close, build, images, targets_for
from test_autodiff import LAYERS
from test_training_step import NETS

from fastcnn import Sequential
from fastcnn import layers as L
from fastcnn.strategies import STRATEGIES


def numeric(number, x, step=1e-6):
    """Central differences of number(images) -> [n], one number of the images at a time."""
    flat = x.reshape(len(x), -1).astype(np.float64)
    shifts = step * np.eye(flat.shape[1])
    sides = [
        np.stack([number((row + sign * shifts).reshape(-1, *x.shape[1:])) for row in flat])
        for sign in (1, -1)
    ]
    return ((sides[0] - sides[1]) / (2 * step)).reshape(x.shape)


def outputs(model, x):
    return reference_model.Run(model, training=False).layers(model.layers, x)[0]


@pytest.mark.parametrize("name", LAYERS)
def test_every_layer_passes_the_gradient_on(name):
    net = LAYERS[name]
    model = build(net.shape, net.layers(), net.loss)
    x = images(2, net.shape)
    factors = images(1, model.output_shape, seed=5)[0]

    def number(batch):
        return (outputs(model, batch) * factors).reshape(len(batch), -1).sum(axis=1)

    received = model.input_gradient(x, (model.layers[-1], factors))
    assert_close(received, numeric(number, x), "statistics", name)


@pytest.mark.parametrize("name", NETS)
def test_the_loss_is_of_each_image_by_itself(name):
    shape, layers = NETS[name]
    model = build(shape, layers(), "sparse_categorical_crossentropy")
    x = images(3, shape)
    y = targets_for(model, 3)

    gradient = model.input_gradient(x, y=y, batch_size=2)

    direction = images(3, shape, seed=9)

    def losses(shift):
        shares = outputs(model, x + shift * direction.astype(np.float64))
        return -np.log(shares[np.arange(3), y] / shares.sum(axis=1))

    expected = (losses(1e-6) - losses(-1e-6)) / 2e-6
    along = (gradient * direction).reshape(3, -1).sum(axis=1)
    assert_close(along, expected, "statistics", name)


def chain():
    return [
        L.Conv2D(4, 3, padding="same", activation="relu", name="first"),
        L.MaxPooling2D(3, 2, padding="same"),
        L.Conv2D(5, 3, use_bias=False, name="second"),
        L.BatchNormalization(),
        L.ReLU(name="relu"),
        L.Flatten(),
        L.Dense(3, activation="softmax", name="scores"),
    ]


@pytest.fixture(scope="module")
def model():
    return build((8, 8, 2), chain(), "sparse_categorical_crossentropy")


def test_targets_are_sums_of_factors_times_outputs(model):
    x = images(2, (8, 8, 2))

    def of(factors, layer="relu"):
        return model.input_gradient(x, (layer, np.asarray(factors, np.float32)))

    shape = model.get_layer("relu").output_shape
    channel, unit = np.zeros(shape), np.zeros(shape)
    channel[..., 2], unit[0, 1, 2] = 1, 1
    np.testing.assert_array_equal(model.input_gradient(x, ("relu", 2)), of(channel))
    np.testing.assert_array_equal(model.input_gradient(x, ("relu", 0, 1, 2)), of(unit))
    np.testing.assert_array_equal(model.input_gradient(x, "relu"), of(np.ones(shape)))
    each = images(2, shape)
    one_by_one = [model.input_gradient(x[i : i + 1], ("relu", each[i])) for i in range(2)]
    assert_close(of(each), np.concatenate(one_by_one), "chain", "factors of each image")


def test_a_class_is_its_score_before_softmax(model):
    x = images(3, (8, 8, 2))
    kernel = model.get_layer("scores").named_parameters()["kernel"].value
    for label in (2, [0, 2, 1]):
        rows = kernel.T[np.broadcast_to(label, 3)]
        expected = model.input_gradient(x, ("flatten", rows))
        assert_close(model.input_gradient(x, label), expected, "chain", str(label))


def test_a_source_inside_the_network_splits_the_chain_rule(model):
    x = images(2, (8, 8, 2))
    inside = model.input_gradient(x, 1, source="first")
    assert inside.shape == (2, 8, 8, 4)
    expected = model.input_gradient(x, 1)
    assert_close(model.input_gradient(x, ("first", inside)), expected, "chain", "chain rule")


def rectifiers_by_hand(model, x, rule):
    """The gradient of the first class's score of `dense relu dense relu dense`, by the rule."""
    weights = [layer.named_parameters()["kernel"].value for layer in model.layers[::2]]
    first = x @ weights[0]
    second = np.maximum(first, 0) @ weights[1]
    gradient = np.broadcast_to(weights[2][:, 0], second.shape)
    for before, kernel in ((second, weights[1]), (first, weights[0])):
        if rule != "deconvnet":
            gradient = gradient * (before > 0)
        if rule != "gradient":
            gradient = np.maximum(gradient, 0)
        gradient = gradient @ kernel.T
    return gradient


@pytest.mark.parametrize("rule", ["gradient", "guided", "deconvnet"])
def test_the_rule_of_relu_is_exchanged(rule):
    layers = [
        L.Dense(9, use_bias=False),
        L.ReLU(),
        L.Dense(8, use_bias=False),
        L.Activation("relu"),
        L.Dense(2, use_bias=False),
    ]
    model = build((6,), layers)
    x = images(4, (6,))
    expected = rectifiers_by_hand(model, x, rule)
    assert_close(model.input_gradient(x, 0, relu=rule), expected, "chain", rule)


def test_a_guided_gradient_adds_up_after_relu_not_before():
    """ReLU, then pooling windows that overlap: fused, they change places at inference."""
    layers = [L.ReLU(), L.MaxPooling2D((1, 2), strides=1), L.Flatten(), L.Dense(1, use_bias=False)]
    model = build((1, 3, 1), layers)
    model.layers[-1].parameters[0].value[...] = [[2.0], [-1.0]]
    x = np.array([1.0, 3.0, 2.0], np.float32).reshape(1, 1, 3, 1)  # both windows take the 3
    assert model.input_gradient(x, 0, relu="guided").ravel().tolist() == [0, 1, 0]
    assert model.input_gradient(-x, 0, relu="deconvnet").ravel().tolist() == [2, 0, 0]


@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
def test_all_strategies_agree(strategy):
    def gradient(name):
        layers = [L.Conv2D(4, 3, padding="same", strategy=name, activation="relu"), L.Flatten()]
        model = build((8, 8, 3), [*layers, L.Dense(2)])
        return model.input_gradient(images(9, (8, 8, 3)), 1)

    assert_close(gradient(strategy), gradient("reference"), "chain", strategy)


def test_one_plan_serves_all_calls(model, monkeypatch):
    x = images(40, (8, 8, 2))
    model.input_gradient(x, 0)
    engine = model.engine()
    monkeypatch.setattr(engine, "_build", lambda *_: pytest.fail("planned again"))
    for label in (0, 1, 2):
        model.input_gradient(x, label)
        model.input_gradient(x[:9], label)


REFUSED = {
    "a class that is not there": ({"target": 3}, "a class from 0 to 2"),
    "a class of another number of images": ({"target": [0, 1]}, "one for each of 3 images"),
    "no class": ({"target": 0.5}, "target must be a class"),
    "neither": ({}, "Received neither"),
    "both": ({"target": 0, "y": [0, 0, 0]}, "Received both"),
    "a channel that is not there": ({"target": ("relu", 5)}, "a channel below 5"),
    "a unit that is not there": ({"target": ("relu", 0, 2, 0)}, "a unit inside"),
    "an unknown layer": ({"target": "rely"}, "Did you mean 'relu'"),
    "a source behind the target": ({"target": "first", "source": "relu"}, "stands before"),
    "an unknown rule": ({"target": 0, "relu": "guide"}, "one of 'gradient', 'guided', 'deconvnet'"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_has_no_gradient_is_refused(model, case):
    arguments, message = REFUSED[case]
    with pytest.raises(ValueError, match=message):
        model.input_gradient(images(3, (8, 8, 2)), **arguments)


def test_deconvnet_through_a_spatial_transformer_says_why():
    localization = [L.Flatten(), L.Dense(6)]
    layers = [
        L.Conv2D(2, 1),
        L.SpatialTransformer(localization),
        L.ReLU(name="behind"),
        L.Flatten(),
    ]
    model = Sequential([*layers, L.Dense(2)], (4, 4, 2))
    x = images(1, (4, 4, 2))
    with pytest.raises(ValueError, match="moves the image by what it sees"):
        model.input_gradient(x, 0, relu="deconvnet")
    assert model.input_gradient(x, 0, relu="deconvnet", source="behind").shape == (1, 4, 4, 2)


def test_the_loss_needs_a_compiled_model():
    model = Sequential([L.Flatten(), L.Dense(2)], (2, 2, 1))
    with pytest.raises(ValueError, match="input_gradient: the model must be compiled"):
        model.input_gradient(images(1, (2, 2, 1)), y=[0])
    assert model.input_gradient(images(1, (2, 2, 1)), 0).shape == (1, 2, 2, 1)
