"""Images of nothing that a network is sure of; how little deceives a linear classifier."""

from __future__ import annotations

import functools

import numpy as np
import planted
import pytest
from building import build, images

from fastcnn import Sequential, explain
from fastcnn import layers as L

METHODS = [explain.fooling_images, functools.partial(explain.evolved_images, generations=90)]


def network(units=3, ending="softmax"):
    layers = [L.Conv2D(4, 3, activation="relu"), L.Flatten(), L.Dense(units, activation=ending)]
    model = build((6, 6, 1), layers, None)
    model.layers[-1].parameters[0].value[...] *= 12
    return model


@pytest.mark.parametrize("method", METHODS, ids=["gradient", "evolution"])
def test_the_network_becomes_sure_of_noise(method):
    model = network()
    result = method(model, [2, 0])
    assert result.array.shape == (2, 6, 6, 1)
    assert result.array.min() >= 0 and result.array.max() <= 1
    assert (result.chances > 0.95).all()
    chances = model.predict(result.array)[[0, 1], [2, 0]]
    np.testing.assert_allclose(result.chances, chances, rtol=1e-5)
    np.testing.assert_array_equal(method(model, [2, 0]).array, result.array)
    assert (method(model, [2, 0], seed=1).array != result.array).any()


@pytest.mark.parametrize("method", METHODS, ids=["gradient", "evolution"])
@pytest.mark.parametrize(("units", "ending"), [(1, "sigmoid"), (3, "linear"), (2, "sigmoid")])
def test_it_does_whatever_the_network_ends_in(method, units, ending):
    result = method(network(units, ending), bounds=(-1, 2))
    assert len(result.array) == max(units, 2)
    assert (result.chances > 0.9).all()


def test_evolution_asks_for_no_gradient(monkeypatch):
    monkeypatch.setattr(Sequential, "input_gradient", pytest.fail)
    explain.evolved_images(network(), 1, generations=1)


def linear(units, ending, scale=1.0):
    layers = [L.Rescaling(scale, offset=0.25), L.Flatten(), L.Dense(units, activation=ending)]
    return build((5, 5, 2), layers, None)


@pytest.mark.parametrize(
    ("units", "ending"), [(3, "softmax"), (3, "linear"), (1, "sigmoid"), (2, "sigmoid")]
)
def test_the_smallest_change_is_just_enough(units, ending):
    model, x = linear(units, ending), np.clip(images(12, (5, 5, 2)), -1, 1)
    result = explain.linear_weakness(model, x, bounds=(-1, 1))
    reach = 2 * result.array
    distance = np.abs(result.changed - x).max(axis=(1, 2, 3))
    np.testing.assert_allclose(distance, reach, rtol=2e-3)

    def taken(changed):
        outputs = model.predict(changed)
        return (outputs[:, 0] > 0.5) if units == 1 else outputs.argmax(axis=1)

    assert (taken(result.changed) != taken(x)).all()
    np.testing.assert_array_equal(taken(result.changed), result.predicted)
    np.testing.assert_array_equal(taken(x + 0.99 * (result.changed - x)), taken(x))


def test_templates_are_the_weights_of_the_pixels():
    model = linear(3, "softmax", scale=0.5)
    result = explain.linear_weakness(model, images(2, (5, 5, 2)))
    kernel = model.layers[-1].parameters[0].value
    np.testing.assert_allclose(result.templates.reshape(3, 50), 0.5 * kernel.T, rtol=1e-5)


def test_what_cannot_be_deceived_is_infinitely_far():
    model = linear(2, "softmax")
    model.layers[-1].parameters[1].value[...] = [1000, 0]
    assert np.isinf(explain.linear_weakness(model, images(2, (5, 5, 2))).array).all()


@pytest.mark.parametrize(
    "layers",
    [
        [L.Conv2D(2, 3), L.Flatten(), L.Dense(2)],
        [L.Flatten(), L.Dense(4), L.Dense(2)],
        [L.Flatten(), L.Dense(2, activation="relu")],
        [L.Flatten(), L.Softmax(), L.Dense(2)],
        [L.Activation("sigmoid"), L.Flatten(), L.Dense(2, activation="softmax")],
        [L.Flatten(), L.Dense(2, activation="sigmoid"), L.Softmax()],
        [L.Flatten(), L.Dense(2), L.Rescaling(2, offset=[1, 5]), L.Softmax()],
        [L.Dense(2), L.Flatten(), L.Softmax()],
        [L.Flatten()],
    ],
)
def test_what_is_no_linear_classifier_is_refused(layers):
    model = Sequential(layers, (5, 5, 2))
    with pytest.raises(ValueError, match=r"expected a linear classifier.*: take fgsm\."):
        explain.linear_weakness(model, images(2, (5, 5, 2)))


def test_vectors_are_no_images():
    for method in METHODS:
        with pytest.raises(ValueError, match="expected a model of images"):
            method(Sequential([L.Dense(2)], (4,)))
    with pytest.raises(ValueError, match="a class from 0 to 1"):
        explain.fooling_images(planted.model(), 2)
