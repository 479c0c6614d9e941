"""A layer of the user's own, in NumPy: it trains as fastcnn's own does, and says what is wrong."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from fastcnn import Sequential, set_num_threads
from fastcnn import layers as L
from fastcnn.layers import CustomLayer

RNG = np.random.default_rng(0)
X = RNG.standard_normal((21, 6, 6, 3)).astype(np.float32)
Y = RNG.integers(0, 3, 21)


class Swish(CustomLayer):
    def __init__(self, beta=1.0, **common):
        super().__init__(**common)
        self.beta = beta

    def forward(self, x):
        return x / (1 + np.exp(-self.beta * x))

    def backward(self, x, y, dy):
        share = 1 / (1 + np.exp(-self.beta * x))
        return dy * (share + self.beta * y * (1 - share))


class Slope(CustomLayer):
    """PReLU with a slope a channel."""

    def make_parameters(self, shape):
        return [self.weight("alpha", (1, 1, shape[-1]))]

    def forward(self, x, alpha):
        return np.where(x > 0, x, alpha * x)

    def backward(self, x, y, dy, alpha):
        below = np.where(x > 0, 0, x)
        return np.where(x > 0, dy, alpha * dy), (dy * below).sum((0, 1, 2))[None, None]


class Centred(CustomLayer):
    """Less the mean over the batch in training: it sees the batch as a whole."""

    def forward(self, x, training):
        return x - x.mean(axis=0) if training else x

    def backward(self, x, y, dy):
        return dy - dy.mean(axis=0)


def model(*own):
    layers = [L.Conv2D(4, 3), *own, L.Flatten(), L.Dense(3, activation="softmax")]
    network = Sequential(layers, (6, 6, 3), seed=1)
    network.compile("sgd", "sparse_categorical_crossentropy")
    return network


def trained(*own):
    network = model(*own)
    losses = network.fit(X, Y, epochs=3, batch_size=8, verbose=0).history["loss"]
    return network, np.array(losses)


@pytest.mark.parametrize(
    ("own", "builtin"),
    [(Swish(), L.Activation("swish")), (Slope(), L.PReLU(shared_axes=(1, 2)))],
    ids=["without weights", "with weights"],
)
def test_it_trains_as_the_builtin_layer_does(own, builtin):
    mine, my_losses = trained(own)
    theirs, losses = trained(builtin)
    assert np.allclose(my_losses, losses, rtol=1e-6)
    assert np.allclose(mine.predict(X), theirs.predict(X), atol=1e-6)
    assert np.allclose(mine.predict(X[:1]), theirs.predict(X[:1]), atol=1e-6)
    for weight, other in zip(mine.parameters, theirs.parameters, strict=True):
        assert np.allclose(weight.value, other.value, atol=1e-6)


def test_the_bits_are_the_same_for_any_number_of_threads():
    weights = []
    for threads in (1, 2):
        set_num_threads(threads)
        network, _ = trained(Slope())
        weights.append(network.state.values.copy())
    assert np.array_equal(*weights)


def test_it_may_see_the_whole_batch_and_be_told_of_training():
    network = model(Centred())
    before = network.predict(X)
    assert np.allclose(network.predict(X[:5]), before[:5], atol=1e-6)
    network.train_on_batch(X, Y)
    assert not np.array_equal(network.predict(X), before)


def test_it_stands_first_last_and_within_others():
    block = L.Residual([L.Conv2D(3, 3, padding="same"), Slope()])
    network = Sequential([Swish(), block, L.Flatten(), L.Dense(3), Swish(name="last")], (6, 6, 3))
    network.compile("sgd", "mse")
    history = network.fit(X, np.eye(3)[Y], epochs=5, batch_size=8, verbose=0).history["loss"]
    assert history[-1] < history[0]
    assert network.predict(X).shape == (21, 3)


def test_a_frozen_one_keeps_its_weights():
    network = model(Slope())
    network.layers[1].trainable = False
    network.fit(X, Y, epochs=1, verbose=0)
    assert not network.layers[1].parameters[0].value.any()


def test_a_setting_of_a_built_layer_is_fixed_and_private_names_are_free():
    layer = Swish()
    model(layer)
    layer._note = 3
    with pytest.raises(AttributeError, match=r"beta cannot be set"):
        layer.beta = 2.0


def own(**methods):
    return type("Own", (CustomLayer,), methods)


def identity(self, x):
    return x


def passed_on(self, x, y, dy):
    return dy


def test_a_class_that_lacks_a_method_says_so_when_it_is_made():
    with pytest.raises(TypeError, match=r"^Own 'own': its class must define forward\(self, x"):
        own(backward=passed_on)()
    with pytest.raises(TypeError, match=r"must define backward\(self, x, y, dy, \*weights\), whi"):
        own(forward=identity)()

    class Forgetful(Swish):
        def __init__(self, gamma):
            super().__init__()

    with pytest.raises(TypeError, match=r"must keep the argument gamma as self\.gamma"):
        Forgetful(2)


def writes(self, x):
    x += 1
    return x


WRONG = {
    "a shape": ({"forward": lambda self, x: x[:, 1:]}, ValueError, r"shape \(21, 4, 4, 4\). Recei"),
    "None": ({"forward": lambda self, x: None}, TypeError, "forward must return .* Received None"),
    "complex": ({"forward": lambda self, x: x * 1j}, TypeError, "Received ndarray of complex64"),
    "rows": ({"forward": lambda self, x: [[1], [2, 3]]}, TypeError, "forward must return numbers"),
    "NaN": ({"forward": lambda self, x: x * np.nan}, ArithmeticError, "forward was given finite"),
    "infinite": ({"backward": lambda self, x, y, dy: dy / 0}, ArithmeticError, "backward was give"),
    "a tuple": ({"backward": lambda self, x, y, dy: (dy, dy)}, ValueError, r"backward must return"),
    "few arguments": ({"backward": lambda self, x: x}, TypeError, r"must take \(x, y, dy\). It is"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_it_returns_wrongly_is_told_with_class_and_method(case):
    methods, error, words = WRONG[case]
    methods = {"forward": identity, "backward": passed_on, **methods}
    with pytest.raises(error, match=rf"^Own 'own': .*{words}"):
        model(own(**methods)()).train_on_batch(X, Y)


def test_a_wrong_number_of_gradients_is_told():
    class Short(Slope):
        def backward(self, x, y, dy, alpha):
            return dy

    network = model(Short())
    before = network.state.values.copy()
    with pytest.raises(ValueError, match=r"must return \(dx, dalpha\).* Received 1 of them"):
        network.train_on_batch(X, Y)
    assert np.array_equal(network.state.values, before)


def test_what_it_raises_comes_out_with_its_name():
    def fails(self, x):
        return {}["key"]

    with pytest.raises(KeyError) as raised:
        model(own(forward=fails, backward=passed_on)()).predict(X)
    assert raised.value.__notes__ == ["Raised by forward of Own 'own', a user's own code."]


def test_it_cannot_write_into_what_it_reads():
    with pytest.raises(ValueError, match=r"read-only"):
        model(own(forward=writes, backward=passed_on)()).predict(X)


def test_it_cannot_call_a_model_on_whichever_thread_it_runs():
    other = model()
    network = model(own(forward=lambda self, x: other.predict(X), backward=passed_on)())
    errors = []

    def predict():
        with pytest.raises(RuntimeError, match=r"in the middle of a model's computation") as error:
            network.predict(X)
        errors.append(error)

    thread = threading.Thread(target=predict)
    thread.start()
    thread.join(20)
    assert errors
