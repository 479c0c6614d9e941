"""One training step against float64: weights, moving statistics, sample weights, dropout."""

from __future__ import annotations

import numpy as np
import pytest
import reference_model
from building import assert_close, assert_gradients, build, images, targets_for

import fastcnn
from fastcnn import layers as L
from fastcnn import optimizers
from fastcnn.backends.cpu import thread_pool


def lenet():
    return [
        L.Conv2D(6, 5, padding="same", activation="relu"),
        L.MaxPooling2D(),
        L.Conv2D(16, 5, activation="relu"),
        L.MaxPooling2D(),
        L.Flatten(),
        L.Dense(20, activation="relu"),
        L.Dense(10, activation="softmax"),
    ]


def small_resnet():
    def block(filters, strides=1):
        body = [
            L.Conv2D(filters, 3, strides=strides, padding="same", use_bias=False),
            L.BatchNormalization(),
            L.ReLU(),
            L.Conv2D(filters, 3, padding="same", use_bias=False),
            L.BatchNormalization(),
        ]
        shortcut = None if strides == 1 else [L.Conv2D(filters, 1, strides=strides)]
        return [L.Residual(body, shortcut), L.ReLU()]

    return [
        L.Conv2D(8, 3, padding="same", use_bias=False),
        L.BatchNormalization(),
        L.ReLU(),
        *block(8),
        *block(16, strides=2),
        L.GlobalAveragePooling2D(),
        L.Dense(10, activation="softmax"),
    ]


def mobile():
    return [
        L.Conv2D(8, 3, strides=2, padding="same", use_bias=False),
        L.BatchNormalization(),
        L.ReLU(),
        L.DepthwiseConv2D(3, padding="same", use_bias=False),
        L.BatchNormalization(),
        L.ReLU(),
        L.SeparableConv2D(12, 3, padding="same", activation="relu"),
        L.Concat([L.MaxPooling2D()], [L.AveragePooling2D()], [L.Conv2D(3, 2, strides=2)]),
        L.Dropout(0.0),
        L.Flatten(),
        L.Dense(10),
        L.Softmax(),
    ]


NETS = {
    "lenet": ((14, 14, 1), lenet),
    "resnet": ((8, 8, 3), small_resnet),
    "mobile": ((9, 9, 3), mobile),
}


@pytest.mark.parametrize("batch", [1, 5, 34])
@pytest.mark.parametrize("name", NETS)
def test_step_of_a_whole_net(name, batch):
    shape, layers = NETS[name]
    rate = 0.5
    model = build(shape, layers(), "sparse_categorical_crossentropy", optimizers.SGD(rate))
    x, y = images(batch, shape), targets_for(model, batch)
    _loss, gradients = reference_model.gradients(model, x, y)
    expected = {p.path: p.value.astype(np.float64) for p in model.parameters}
    for path, gradient in gradients.items():
        expected[path] -= rate * gradient
    expected.update(reference_model.moving_statistics(model, x))
    assert_close(model.predict(x), reference_model.forward(model, x), "chain", "output")
    model.train_on_batch(x, y)
    for p in model.parameters:
        assert_close(p.value, expected[p.path], "statistics", p.path)
    assert_close(model.predict(x), reference_model.forward(model, x), "chain", "output afterwards")


def test_sample_weights():
    model = build((6, 6, 2), [L.Conv2D(3, 3), L.Flatten(), L.Dense(4)], "mse", optimizers.SGD(1.0))
    x, y = images(5, (6, 6, 2)), targets_for(model, 5)
    weight = np.array([0.0, 2.0, 1.0, 0.25, 1.0], np.float32)
    expected_loss, gradients = reference_model.gradients(model, x, y, weight)
    loss, received = model.gradients(x, y, sample_weight=weight)
    assert loss == pytest.approx(expected_loss, rel=1e-5)
    assert_gradients(received, gradients, "sum")
    before = {p.path: p.value.copy() for p in model.parameters}
    model.train_on_batch(x, y, sample_weight=weight)
    for p in model.parameters:
        assert_close(before[p.path] - p.value, gradients[p.path], "chain", p.path)


def test_bytes_train_as_floats_do():
    x = np.random.default_rng(0).integers(0, 256, (5, 6, 6, 2), dtype=np.uint8)
    results = []
    for given in (x, x.astype(np.float32)):
        layers = [L.Rescaling(1 / 255), L.Conv2D(3, 3), L.Flatten(), L.Dense(4)]
        model = build((6, 6, 2), layers, "mse", optimizers.SGD(0.1))
        model.train_on_batch(given, targets_for(model, 5))
        results.append(model.get_weights())
    for one, other in zip(*results, strict=True):
        np.testing.assert_array_equal(one, other)


def test_gradients_change_nothing():
    model = build((8, 8, 3), small_resnet(), "sparse_categorical_crossentropy")
    x, y = images(4, (8, 8, 3)), targets_for(model, 4)
    before = [w.copy() for w in model.get_weights()]
    first = model.gradients(x, y)
    second = model.gradients(x, y)
    assert first[0] == second[0]
    for path, gradient in first[1].items():
        np.testing.assert_array_equal(gradient, second[1][path])
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert model.state.step == 0


def dropped(model, x):
    """Which of a vector's elements a training step let through, and how they were scaled.

    The model is Dropout, then a dense layer to one output: its kernel moves by the rate times
    the dropped input times one number.
    """
    kernel = model.parameters[0].value
    before = kernel.astype(np.float64)
    model.train_on_batch(x, np.zeros((1, 1), np.float32))
    return (before - kernel)[:, 0]


def dropout_model(rate, seed=0):
    layers = [L.Dropout(rate), L.Dense(1, use_bias=False)]
    model = build((4000,), layers, "mse", optimizers.SGD(1e-3), seed=seed, random=False)
    model.parameters[0].value[...] = 1.0 / 4000
    return model


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.8])
def test_dropout_in_training(rate):
    model, x = dropout_model(rate), np.ones((1, 4000), np.float32)
    change = dropped(model, x)
    kept = change != 0.0
    assert abs(kept.mean() - (1.0 - rate)) < 5.0 * np.sqrt(rate * (1.0 - rate) / 4000)
    # output = share / (1 - rate); gradient of a kept element = 2 * output / (1 - rate)
    expected = 1e-3 * 2.0 * kept.mean() / (1.0 - rate) ** 2
    np.testing.assert_allclose(change[kept], expected, rtol=1e-3)


def test_dropout_differs_by_step_element_and_image_but_not_by_run():
    x = np.ones((1, 4000), np.float32)
    model = dropout_model(0.5)
    first, second = dropped(model, x) != 0.0, dropped(model, x) != 0.0
    again, other = dropped(dropout_model(0.5), x) != 0.0, dropped(dropout_model(0.5, 1), x) != 0.0
    np.testing.assert_array_equal(first, again)
    for mask in (second, other, np.roll(first, 1), np.roll(first, 16)):
        assert abs((first == mask).mean() - 0.5) < 0.04


def test_dropout_of_each_image_is_its_own():
    model = build((8, 8, 16), [L.Dropout(0.5), L.ReLU()], "mse")
    x, y = np.ones((6, 8, 8, 16), np.float32), np.zeros((6, 8, 8, 16), np.float32)
    masks = model.engine().train(x, y, None).outputs.reshape(6, -1) != 0.0
    for first in range(6):
        for second in range(first):
            assert abs((masks[first] == masks[second]).mean() - 0.5) < 0.08


def test_dropout_is_off_at_inference():
    model, x = dropout_model(0.5), images(3, (4000,))
    np.testing.assert_array_equal(model.predict(x), model.predict(x))
    assert_close(model.predict(x), reference_model.forward(model, x), "sum", "output")


BLOWN_UP = {  # the layer whose output is the first not to be finite, and how it comes to it
    "conv2d_1": lambda model: model.layer("conv2d_1").parameters[0].value.fill(1e38),
    "dense": lambda model: model.layer("dense").parameters[1].value.fill(np.nan),
}


@pytest.mark.parametrize("name", BLOWN_UP)
def test_a_step_that_is_not_finite_changes_nothing(name):
    layers = [
        *[L.Conv2D(4, 3), L.BatchNormalization(), L.Conv2D(4, 3), L.ReLU()],
        *[L.Flatten(), L.Dense(6), L.Dense(4, activation="softmax")],
    ]
    model = build((8, 8, 3), layers, "sparse_categorical_crossentropy", "adam")
    x, y = images(5, (8, 8, 3)), targets_for(model, 5)
    model.train_on_batch(x, y)
    BLOWN_UP[name](model)
    before = [*model.get_weights(), model.state.slots.copy()]
    with pytest.raises(fastcnn.NonFiniteError, match=name) as caught:
        model.train_on_batch(x, y)
    assert isinstance(caught.value, ArithmeticError)
    assert name in str(caught.value.layer)
    assert model.state.step == 1
    for old, new in zip(before, [*model.get_weights(), model.state.slots], strict=True):
        np.testing.assert_array_equal(old, new)


def test_ctrl_c_that_waited_for_a_step_leaves_all_of_it(monkeypatch):
    """Weights, moving statistics and the count of steps, of which the next step knows."""
    model, twin = (build((8, 8, 3), small_resnet()[:2], "mse", "adam") for _ in range(2))
    x, y = images(4, (8, 8, 3)), targets_for(model, 4)
    model.predict(x)
    run = thread_pool.ThreadPool.run

    def interrupted(pool, *arguments):
        run(pool, *arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(thread_pool.ThreadPool, "run", interrupted)
        with pytest.raises(KeyboardInterrupt):
            model.train_on_batch(x, y)
    twin.train_on_batch(x, y)
    assert model.state.step == 1
    for found, expected in zip(model.get_weights(), twin.get_weights(), strict=True):
        np.testing.assert_array_equal(found, expected)
    assert model.train_on_batch(x, y) == twin.train_on_batch(x, y)
    with monkeypatch.context() as patch:
        patch.setattr(thread_pool.ThreadPool, "run", lambda *arguments: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            model.train_on_batch(x, y)
    assert model.state.step == 2
    assert model.train_on_batch(x, y) == twin.train_on_batch(x, y)
