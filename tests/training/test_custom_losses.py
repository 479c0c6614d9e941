"""A loss of the user's own, in NumPy: weights count, ranks are known, wrong results are told."""

from __future__ import annotations

import numpy as np
import pytest

from fastcnn import Sequential
from fastcnn import layers as L
from fastcnn.losses import CustomLoss

RNG = np.random.default_rng(0)
X = RNG.standard_normal((21, 4, 4, 2)).astype(np.float32)


class Squared(CustomLoss):
    def value(self, y_true, y_pred):
        return ((y_true - y_pred) ** 2).mean(axis=1)

    def gradient(self, y_true, y_pred):
        return 2 * (y_pred - y_true) / y_pred.shape[1]


class Entropy(CustomLoss):
    target = "sparse"
    has_classes = True

    def value(self, y_true, y_pred):
        return -np.log(y_pred[np.arange(len(y_true)), y_true])

    def gradient(self, y_true, y_pred):
        hits = np.eye(y_pred.shape[1])[y_true]
        return -hits / y_pred


def history(loss, y, last, metrics, **weights):
    model = Sequential([L.Conv2D(3, 3), L.Flatten(), last()], (4, 4, 2), seed=1)
    model.compile("sgd", loss, metrics)
    logs = model.fit(X, y, epochs=3, batch_size=8, verbose=0, **weights).history
    return {name: np.array(values) for name, values in logs.items()}, model.evaluate(
        X, y, verbose=0
    )


def alike(mine, theirs):
    assert np.allclose(mine[1], theirs[1], rtol=1e-5)
    for name, values in theirs[0].items():
        assert np.allclose(mine[0][name], values, rtol=1e-5)


@pytest.mark.parametrize("weight", [None, np.arange(21.0)])
def test_it_trains_as_the_builtin_loss_does(weight):
    y = RNG.standard_normal((21, 2))
    runs = [
        history(loss, y, lambda: L.Dense(2), ["mae"], sample_weight=weight)
        for loss in (Squared(), "mse")
    ]
    alike(*runs)


def test_one_with_classes_has_ranks_and_class_weights():
    y = RNG.integers(0, 4, 21)
    runs = [
        history(
            loss,
            y,
            lambda: L.Dense(4, activation="softmax"),
            ["accuracy"],
            class_weight={1: 3.0},
        )
        for loss in (Entropy(), "sparse_categorical_crossentropy")
    ]
    alike(*runs)


def own(**members):
    return type("Own", (CustomLoss,), members)


def values(self, y_true, y_pred):
    return y_pred.sum(axis=1)


def ones(self, y_true, y_pred):
    return np.ones_like(y_pred)


def test_a_class_that_lacks_a_method_says_so_when_it_is_made():
    with pytest.raises(
        TypeError, match=r"^Own 'own': its class must define gradient\(self, y_true, y_p"
    ):
        own(value=values)()
    with pytest.raises(
        TypeError, match=r"^Own 'own': value must take \(y_true, y_pred\). It is value\("
    ):
        own(value=lambda self, y: y, gradient=ones)()
    with pytest.raises(ValueError, match=r"target must be 'dense' or 'sparse'. It is 'labels'"):
        own(value=values, gradient=ones, target="labels")()
    with pytest.raises(TypeError, match=r"Received the function .* derive a class with value and"):
        Sequential([L.Flatten()], (4, 4, 2)).compile("sgd", lambda y_true, y_pred: y_pred)


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"value": lambda self, t, p: p.sum()}, r"value must return numbers of shape \(21,\)"),
        ({"gradient": lambda self, t, p: p[:, :1]}, r"gradient must return .* shape \(21, 2\)"),
        ({"value": lambda self, t, p: None}, "value must return .* Received None"),
    ],
)
def test_what_it_returns_wrongly_is_told(members, words):
    model = Sequential([L.Flatten(), L.Dense(2)], (4, 4, 2))
    model.compile("sgd", own(**{"value": values, "gradient": ones, **members})())
    with pytest.raises((TypeError, ValueError), match=rf"^Own 'own': {words}"):
        model.train_on_batch(X, np.zeros((21, 2)))


def test_values_that_are_not_finite_leave_the_weights():
    model = Sequential([L.Flatten(), L.Dense(2)], (4, 4, 2))
    model.compile("sgd", own(value=lambda self, t, p: p[:, 0] * np.nan, gradient=ones)())
    before = model.state.values.copy()
    with pytest.raises(ArithmeticError, match=r"The loss after layer 'dense' is no longer finite"):
        model.train_on_batch(X, np.zeros((21, 2)))
    assert np.array_equal(model.state.values, before)
