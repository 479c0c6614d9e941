"""Functions of the user's own as metric, schedule and augmentation."""

from __future__ import annotations

import json

import numpy as np
import pytest

import fastcnn
from fastcnn import layers as L
from fastcnn.data import Augment, CustomAugmentation
from fastcnn.data.augment.effects import Effect
from fastcnn.utils import custom_objects

RNG = np.random.default_rng(0)
X = RNG.uniform(0, 255, (21, 4, 4, 1)).astype(np.float32)
Y = RNG.standard_normal((21, 2))


def farthest(y_true, y_pred):
    return np.abs(y_true - y_pred).max(axis=1)


def mean_error(y_true, y_pred):
    return np.abs(y_true - y_pred).mean()


def falling(step):
    return 0.01 / (1 + step)


def shifted(image, rng):
    return np.roll(image, rng.integers(4), axis=0) + rng.normal()


def model(metrics=(), rate=0.01):
    network = fastcnn.Sequential([L.Rescaling(1 / 255), L.Flatten(), L.Dense(2)], (4, 4, 1))
    network.compile(fastcnn.optimizers.SGD(rate), "mse", list(metrics))
    return network


@pytest.fixture(autouse=True)
def unregistered(monkeypatch):
    monkeypatch.setattr(custom_objects, "_registered", {})


def test_a_function_is_a_metric_under_its_name():
    network = model([farthest, mean_error, "mae"])
    values = network.evaluate(X, Y, batch_size=8, return_dict=True, verbose=0)
    apart = np.abs(Y - network.predict(X))
    assert values["farthest"] == pytest.approx(apart.max(axis=1).mean(), rel=1e-6)
    assert values["mean_error"] == pytest.approx(values["mae"], rel=1e-6)
    weighted = fastcnn.metrics.FunctionMetric(farthest, name="far", weighted=True, direction="min")
    network.metrics = [weighted]
    weight = np.arange(21.0)
    far = network.evaluate(X, Y, sample_weight=weight, return_dict=True, verbose=0)["far"]
    assert far == pytest.approx(np.average(apart.max(axis=1), weights=weight), rel=1e-6)
    assert weighted.direction == "min"


def test_a_wrong_function_of_a_metric_is_told():
    with pytest.raises(TypeError, match=r"'<lambda>': its function must take \(y_true, y_pred\)"):
        model([lambda y: y])
    network = model([lambda y_true, y_pred: y_pred])
    with pytest.raises(ValueError, match=r"its function must return numbers of shape \(21,\)"):
        network.evaluate(X, Y, verbose=0)


def test_a_function_is_a_schedule():
    network = model(rate=falling)
    network.fit(X, Y, batch_size=7, epochs=1, verbose=0)
    assert network.optimizer.learning_rate_at(3) == 0.0025
    other = model(rate=fastcnn.schedules.InverseTimeDecay(0.01, 1, 1.0))
    other.fit(X, Y, batch_size=7, epochs=1, verbose=0)
    assert np.array_equal(network.state.values, other.state.values)
    with pytest.raises(TypeError, match=r"its function must take \(step\). It is"):
        model(rate=lambda: 0.1)


def test_they_are_saved_by_name(tmp_path):
    network = model([farthest], falling)
    network.save(tmp_path / "own.h5")
    with pytest.raises(ValueError, match=r"Unknown function 'farthest' of a metric. If 'farthest'"):
        fastcnn.load(tmp_path / "own.h5")
    functions = {"farthest": farthest, "falling": falling}
    loaded = fastcnn.load(tmp_path / "own.h5", custom_objects=functions)
    for function in functions.values():
        fastcnn.register_serializable(function)
    for restored in (loaded, fastcnn.load(tmp_path / "own.h5")):
        assert restored.metrics[0].function is farthest
        assert restored.optimizer.learning_rate.function is falling


def test_a_function_is_an_augmentation_whose_randomness_is_the_images_own():
    augment = Augment([shifted, "random_flip"], seed=3)
    whole = augment.apply(X, np.arange(21), epoch=1)
    assert np.array_equal(augment.apply(X, np.array([5, 2]), epoch=1), whole[[5, 2]])
    assert not np.array_equal(augment.apply(X, np.arange(21), epoch=2), whole)
    plain = Augment(["random_flip"], seed=3).apply(X, np.arange(21), epoch=1)
    assert not np.array_equal(plain, whole)
    weights = []
    for _ in range(2):
        network = model()
        network.fit(X, Y, augment=shifted, epochs=2, verbose=0)
        weights.append(network.state.values.copy())
    assert np.array_equal(*weights)
    network = model()
    network.fit(X, Y, epochs=2, verbose=0)
    assert not np.array_equal(network.state.values, weights[0])


def test_a_class_of_augmentations():
    class Darker(CustomAugmentation):
        settings = ("factor",)

        def __init__(self, factor):
            self.factor = factor

        def image(self, image, rng):
            return image * self.factor

    assert np.array_equal(Augment([Darker(0.5)]).apply(X, np.arange(21), 0), X / 2)
    assert repr(Darker(0.5)) == "Darker(factor=0.5)"


def test_wrong_augmentations_are_told():
    class Without(CustomAugmentation):
        pass

    class Elsewhere(Effect):
        def change(self, images, u, indices, pixel_key):
            images += 1

    with pytest.raises(TypeError, match=r"^Without: its class must define image\(self, image, rng"):
        Without()
    with pytest.raises(TypeError, match=r"what Elsewhere\(\) does is not known. Derive its class"):
        Augment([Elsewhere()])
    cut = Augment([lambda image, rng: image[1:]])
    with pytest.raises(ValueError, match=r"image must return numbers of shape \(4, 4, 1\)"):
        cut.apply(X, np.arange(2), 0)
    with pytest.raises(TypeError, match=r"its function must take \(image, rng\)"):
        Augment([lambda image: image])


def test_a_list_with_a_function_is_made_again_from_its_configuration():
    augment = Augment([shifted, "random_flip"], seed=3)
    config = json.loads(json.dumps(augment.get_config()))
    with pytest.raises(ValueError, match=r"Unknown function 'shifted' of an augmentation"):
        Augment.from_config(config)
    with custom_objects.passed({"shifted": shifted}):
        again = Augment.from_config(config)
    places = np.arange(21)
    assert np.array_equal(again.apply(X, places, 0), augment.apply(X, places, 0))


def test_weights_that_leave_nothing_to_train_on_are_warned_of():
    network = fastcnn.Sequential([L.Flatten(), L.Dense(1)], (4, 4, 1))
    network.compile("sgd", "mse")
    weights = np.zeros(21)
    weights[-1] = 1
    with pytest.warns(UserWarning, match="the weights of all 18 images to train on are 0"):
        network.fit(X / 255, Y[:, 0], sample_weight=weights, validation_split=0.1, verbose=0)


def test_r2_score_is_that_of_scikit_learn():
    # sklearn.metrics.r2_score, and with sample_weight: of scikit-learn 1.9.0
    network = fastcnn.Sequential([L.Activation("linear")], (2,))
    network.compile("sgd", "mse", ["r2"])
    outputs = np.array([[2.5, 7.0], [0.0, 7.0], [2.0, 7.0], [8.0, 8.0]])
    targets = np.array([[3.0, 7.0], [-0.5, 7.0], [2.0, 7.0], [7.0, 7.0]])
    values = network.evaluate(outputs, targets, batch_size=3, return_dict=True, verbose=0)
    assert values["r2"] == pytest.approx(0.9486081370449679 / 2, rel=1e-6)
    near = targets + 1e6
    moved = network.evaluate(outputs + 1e6, near, batch_size=3, return_dict=True, verbose=0)
    assert moved["r2"] == pytest.approx(values["r2"], rel=1e-3)
    network.compile("sgd", "sparse_categorical_crossentropy", [])
    with pytest.raises(ValueError, match="'r2' needs targets that are numbers"):
        network.metrics = ["r2"]
        network.evaluate(outputs, np.array([0, 1, 0, 1]), verbose=0)


def test_subset_accuracy_counts_examples_that_are_right_in_all_answers():
    network = fastcnn.Sequential([L.Activation("sigmoid")], (3,))
    network.compile("sgd", "binary_crossentropy", ["subset_accuracy", "binary_accuracy"])
    logits = np.array([[1, -1, 2], [1, 1, -1], [-1, -2, -1.0], [3, 3, 3]])
    targets = np.array([[1, 0, 1], [1, 0, 0], [0, 0, 0], [1, 1, 0]])
    values = network.evaluate(logits, targets, return_dict=True, verbose=0)
    assert values["subset_accuracy"] == 0.5
    assert values["binary_accuracy"] == pytest.approx(10 / 12)
