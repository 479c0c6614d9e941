"""A user's own layers and losses on the CUDA engine: the host computes them."""

from __future__ import annotations

import numba
import numpy as np
import pytest

from fastcnn import Sequential
from fastcnn import layers as L
from fastcnn.layers import CustomLayer
from fastcnn.losses import CompiledLoss, CustomLoss

RNG = np.random.default_rng(0)
X = RNG.standard_normal((6, 4, 4, 2)).astype(np.float32)
Y = RNG.integers(0, 3, 6)


class Slope(CustomLayer):
    def make_parameters(self, shape):
        return [self.weight("alpha", shape[-1:])]

    def forward(self, x, alpha):
        return np.where(x > 0, x, alpha * x)

    def backward(self, x, y, dy, alpha):
        below = np.where(x > 0, 0, x)
        return np.where(x > 0, dy, alpha * dy), (dy * below).sum((0, 1, 2))


class Entropy(CustomLoss):
    target = "sparse"
    has_classes = True

    def value(self, y_true, y_pred):
        return -np.log(y_pred[np.arange(len(y_true)), y_true])

    def gradient(self, y_true, y_pred):
        return -np.eye(y_pred.shape[1])[y_true] / y_pred


class CompiledEntropy(CompiledLoss):
    target = "sparse"
    has_classes = True

    @numba.njit
    def value(y_true, y_pred):
        return -np.log(y_pred[y_true])

    @numba.njit
    def gradient(y_true, y_pred, dy_pred):
        dy_pred[y_true] = -1 / y_pred[y_true]


@pytest.mark.parametrize("loss", [Entropy, CompiledEntropy])
def test_both_devices_train_alike(loss):
    models = []
    for device in ("cpu", "cuda"):
        layers = [L.Conv2D(3, 3), Slope(), L.Flatten(), L.Dense(3, activation="softmax")]
        model = Sequential([Slope(name="first"), *layers], (4, 4, 2), seed=1, device=device)
        model.compile("sgd", loss(), ["accuracy"])
        logs = model.fit(X, Y, epochs=2, batch_size=4, verbose=0, shuffle=False).history
        models.append((model, logs))
    (cpu, logs), (cuda, others) = models
    assert np.allclose(cpu.state.values, cuda.state.values, atol=1e-6)
    assert np.allclose(cpu.predict(X), cuda.predict(X), atol=1e-6)
    assert logs["accuracy"] == others["accuracy"] and np.allclose(logs["loss"], others["loss"])


def test_what_it_raises_ends_the_step():
    class Failing(Slope):
        def backward(self, x, y, dy, alpha):
            raise LookupError("mine")

    model = Sequential([L.Conv2D(3, 3), Failing(), L.Flatten()], (4, 4, 2), device="cuda")
    model.compile("sgd", "mse")
    before = model.state.values.copy()
    with pytest.raises(LookupError, match="mine"):
        model.train_on_batch(X, np.zeros((6, 12)))
    assert np.array_equal(model.state.values, before)
