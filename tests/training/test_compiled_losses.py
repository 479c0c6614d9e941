"""A loss of the user's own as Numba functions: part of the network's code, checked and told."""

from __future__ import annotations

import numba
import numpy as np
import pytest

from fastcnn import Sequential, check_gradients, set_num_threads
from fastcnn import layers as L
from fastcnn.losses import CompiledLoss

RNG = np.random.default_rng(0)
X = RNG.standard_normal((21, 4, 4, 2)).astype(np.float32)
LABELS = RNG.integers(0, 4, 21)
VALUES = RNG.standard_normal((21, 4)).astype(np.float32)


class Squared(CompiledLoss):
    @numba.njit
    def value(y_true, y_pred):
        return ((y_true - y_pred) ** 2).mean()

    @numba.njit
    def gradient(y_true, y_pred, dy_pred):
        dy_pred[...] = 2 * (y_pred - y_true) / y_pred.size


class Entropy(CompiledLoss):
    target, has_classes = "sparse", True

    @staticmethod
    @numba.njit
    def value(y_true, y_pred):
        return -np.log(y_pred[y_true])

    @staticmethod
    @numba.njit
    def gradient(y_true, y_pred, dy_pred):
        dy_pred[y_true] = -1 / y_pred[y_true]


def trained(loss, y, activation, metric):
    layers = [L.Conv2D(3, 3), L.Flatten(), L.Dense(4, activation=activation)]
    model = Sequential(layers, (4, 4, 2), seed=1)
    model.compile("sgd", loss, [metric])
    logs = model.fit(X, y, epochs=2, batch_size=8, verbose=0, sample_weight=np.arange(21.0))
    return model, logs.history


@pytest.mark.parametrize(
    ("own", "builtin", "y", "activation", "metric"),
    [
        (Squared, "mse", VALUES, None, "mae"),
        (Entropy, "sparse_categorical_crossentropy", LABELS, "softmax", "accuracy"),
    ],
)
def test_it_trains_as_the_builtin_loss_does(own, builtin, y, activation, metric):
    (mine, logs), (theirs, others) = (
        trained(loss, y, activation, metric) for loss in (own(), builtin)
    )
    assert np.allclose(mine.state.values, theirs.state.values, atol=1e-5)
    for name, values in others.items():
        assert np.allclose(logs[name], values, rtol=1e-5)


def test_the_bits_are_the_same_for_any_number_of_threads():
    weights = []
    for threads in (1, 2):
        set_num_threads(threads)
        weights.append(trained(Entropy(), LABELS, "softmax", "accuracy")[0].state.values.copy())
    assert np.array_equal(*weights)


def test_its_gradients_are_checked_in_float64_and_within_bounds():
    class Outside(Squared):
        @numba.njit
        def gradient(y_true, y_pred, dy_pred):
            dy_pred[y_pred.size] = 1

    report = check_gradients(Squared())
    assert report.precision == "float64" and report.arrays[0].error < 1e-6
    with pytest.raises(IndexError, match="out of bounds"):
        check_gradients(Outside())


def test_what_it_raises_comes_out_with_its_name():
    class Raising(Squared):
        @numba.njit
        def value(y_true, y_pred):
            if y_pred[0] > -1e9:
                raise ValueError("mine")
            return 0.0

    with pytest.raises(ValueError, match=r"^mine") as raised:
        trained(Raising(), VALUES, None, "mae")
    assert "that Numba compiled, of: loss." in raised.value.__notes__[0]


def test_what_is_wrong_with_the_class_or_its_code_is_told():
    class Python(Squared):
        def value(self, y_true):
            return 0.0

    class Few(Squared):
        @numba.njit
        def gradient(y_true, y_pred):
            pass

    class Text(Squared):
        @numba.njit
        def value(y_true, y_pred):
            return "large"

    with pytest.raises(TypeError, match=r"gradient must take \(y_true, y_pred, dy_pred\). It is"):
        Few()
    with pytest.raises(TypeError, match=r"value must (take|be a Numba function)"):
        Python()
    with pytest.raises(TypeError, match=r"^Text 'text': Numba cannot compile value_and_gradient"):
        trained(Text(), VALUES, None, "mae")
