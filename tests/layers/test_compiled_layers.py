"""A layer of the user's own as Numba functions: part of the network's code, checked and told."""

from __future__ import annotations

import numba
import numpy as np
import pytest

from fastcnn import Sequential, check_gradients, set_num_threads
from fastcnn import layers as L
from fastcnn.layers import CompiledLayer

RNG = np.random.default_rng(0)
X = RNG.standard_normal((21, 6, 6, 3)).astype(np.float32)
Y = RNG.integers(0, 3, 21)


class Slope(CompiledLayer):
    """PReLU with a slope a channel."""

    def make_parameters(self, shape):
        return [self.weight("alpha", shape[-1:])]

    @numba.njit
    def forward(x, y, alpha):
        for i in np.ndindex(x.shape):
            y[i] = x[i] if x[i] > 0 else alpha[i[-1]] * x[i]

    @numba.njit
    def backward(x, y, dy, dx, alpha, dalpha):
        for i in np.ndindex(x.shape):
            if x[i] > 0:
                dx[i] = dy[i]
            else:
                dx[i] = alpha[i[-1]] * dy[i]
                dalpha[i[-1]] += x[i] * dy[i]


class Sums(CompiledLayer):
    """The sum of each channel: an output of another shape, and an allocation of its own."""

    def shape_after(self, shape):
        return shape[-1:]

    @staticmethod
    @numba.njit
    def forward(x, y):
        total = np.zeros(y.shape[0])
        for i in np.ndindex(x.shape):
            total[i[-1]] += x[i]
        y[:] = total

    @staticmethod
    @numba.njit
    def backward(x, y, dy, dx):
        dx[...] = dy


def model(*own):
    layers = [L.Conv2D(4, 3), *own, L.Flatten(), L.Dense(3, activation="softmax")]
    network = Sequential(layers, (6, 6, 3), seed=1)
    network.compile("sgd", "sparse_categorical_crossentropy")
    return network


@pytest.mark.parametrize("frozen", [False, True])
def test_it_trains_as_the_builtin_layer_does(frozen):
    networks = model(Slope()), model(L.PReLU(shared_axes=(1, 2)))
    for network in networks:
        network.layers[1].trainable = not frozen
        network.fit(X, Y, epochs=3, batch_size=8, verbose=0)
    mine, theirs = networks
    assert mine.layers[1].parameters[0].value.any() != frozen
    assert np.allclose(mine.predict(X), theirs.predict(X), atol=1e-6)
    assert np.allclose(mine.predict(X[:1]), theirs.predict(X[:1]), atol=1e-6)
    for weight, other in zip(mine.parameters, theirs.parameters, strict=True):
        assert np.allclose(weight.value.ravel(), other.value.ravel(), atol=1e-6)


def test_the_bits_are_the_same_for_any_number_of_threads():
    weights = []
    for threads in (1, 2):
        set_num_threads(threads)
        network = model(Slope())
        network.fit(X, Y, epochs=2, verbose=0)
        weights.append(network.state.values.copy())
    assert np.array_equal(*weights)


def test_its_gradients_are_checked_in_float64():
    report = check_gradients(Slope(), (3, 3, 2))
    assert report.precision == "float64" and report.arrays[1].error < 1e-8


class Raising(Sums):
    @numba.njit
    def forward(x, y):
        if x[0, 0, 0] > -1e9:
            raise ValueError("mine")


def test_what_it_raises_comes_out_with_its_name():
    network = model(Raising(name="own"))
    for _ in range(2):
        with pytest.raises(ValueError, match=r"^mine") as raised:
            network.predict(X)
        assert "that Numba compiled, of: own." in raised.value.__notes__[0]
    assert np.isfinite(model(Sums()).predict(X)).all()


class Writing(Sums):
    @numba.njit
    def forward(x, y):
        x[0, 0, 0] = 1


class Unknown(Sums):
    @numba.njit
    def forward(x, y):
        y[...] = np.linalg.solved(x)


class Outside(Sums):
    @numba.njit
    def forward(x, y):
        y[x.size] = 1


def test_what_cannot_be_compiled_is_told_with_layer_and_types():
    with pytest.raises(
        TypeError, match=r"^Writing 'writing': Numba cannot compile forward\(x\[:, "
    ):
        model(Writing()).predict(X)
    with pytest.raises(TypeError, match=r"^Unknown 'unknown': Numba cannot compile .*'solved'"):
        model(Unknown()).predict(X)
    with pytest.raises(IndexError, match=r"out of bounds"):
        check_gradients(Outside(), (3, 3, 2))


def test_wrong_classes_are_told_when_they_are_made_or_built():
    class Python(Sums):
        def forward(self, x, y):
            pass

    class Few(Sums):
        @numba.njit
        def backward(x, y):
            pass

    class Lacking(CompiledLayer):
        @numba.njit
        def forward(x, y):
            pass

    with pytest.raises(TypeError, match=r"forward must be a Numba function, decorated with"):
        Python()
    with pytest.raises(TypeError, match=r"its class must define backward"):
        Lacking()
    with pytest.raises(
        TypeError, match=r"backward must take \(x, y, dy, dx\). It is backward\(x, "
    ):
        model(Few())
