"""The same bits for any number of threads and from run to run."""

from __future__ import annotations

import numpy as np
import pytest
from building import build, images, targets_for

import fastcnn
from fastcnn import layers as L
from fastcnn import optimizers


def plain():
    return [
        L.Conv2D(20, 5, padding="same", activation="relu"),
        L.MaxPooling2D(),
        L.Conv2D(33, 3, activation="relu"),
        L.Dropout(0.3),
        L.Flatten(),
        L.Dense(70, activation="relu"),
        L.Dropout(0.5),
        L.Dense(10, activation="softmax"),
    ]


def branched():
    return [
        L.Conv2D(8, 3, padding="same", use_bias=False),
        L.BatchNormalization(),
        L.ReLU(),
        L.Residual(
            [
                L.Conv2D(16, 3, strides=2, padding="same"),
                L.BatchNormalization(),
                L.Activation("gelu"),
                L.DepthwiseConv2D(3, padding="same"),
            ],
            [L.AveragePooling2D(), L.Conv2D(16, 1)],
        ),
        L.Concat([L.MaxPooling2D(2)], [L.Conv2D(5, 3, strides=2, padding="same", groups=1)]),
        L.GlobalAveragePooling2D(),
        L.Dense(10, kernel_regularizer="l2"),
        L.Softmax(),
    ]


def normalized():
    return [
        L.LocalContrastNormalization(5),
        L.Conv2D(18, 3, padding="same"),
        L.LocalResponseNormalization(),
        L.SqueezeExcite(4),
        L.GroupNormalization(6),
        L.AuxiliaryClassifier([L.GlobalAveragePooling2D(), L.Dense(10, "softmax")]),
        L.Conv2D(9, 3),
        L.LayerNormalization(),
        L.Scale([L.Conv2D(9, 1, activation="sigmoid")]),
        L.GlobalAveragePooling2D(),
        L.Dense(10, activation="softmax"),
    ]


def wide():
    """Products large enough to be computed over the whole batch at once."""
    return [L.Flatten(), L.Dense(512, activation="relu"), L.BatchNormalization(), L.Dense(10)]


NETS = {
    "plain": (plain, "sparse_categorical_crossentropy"),
    "branched": (branched, "sparse_categorical_crossentropy"),
    "normalized": (normalized, "sparse_categorical_crossentropy"),
    "wide": (wide, "mse"),
}
SHAPE = (12, 12, 3)


@pytest.fixture(autouse=True)
def usual_threads():
    yield
    fastcnn.set_num_threads(2)


def trained(name, threads, batch):
    """Weights, moving statistics, optimizer slots, outputs and losses of three steps."""
    fastcnn.set_num_threads(threads)
    layers, loss = NETS[name]
    model = build(SHAPE, layers(), loss, optimizers.Adam(0.01))
    x = images(3 * batch, SHAPE)
    y = targets_for(model, 3 * batch)
    losses = []
    for step in range(3):
        part = slice(step * batch, (step + 1) * batch)
        losses.append(np.float32(model.train_on_batch(x[part], y[part])))
    return [*model.get_weights(), model.state.slots, model.predict(x), np.array(losses)]


@pytest.mark.parametrize("batch", [1, 2, 5, 37])
@pytest.mark.parametrize("name", NETS)
def test_same_bits_for_1_2_and_3_threads(name, batch):
    expected = trained(name, 1, batch)
    for threads in (2, 3):
        for number, (one, other) in enumerate(
            zip(expected, trained(name, threads, batch), strict=True)
        ):
            np.testing.assert_array_equal(one, other, f"array {number}, {threads} threads")


@pytest.mark.parametrize("name", NETS)
def test_same_bits_from_run_to_run(name):
    for one, other in zip(trained(name, 3, 33), trained(name, 3, 33), strict=True):
        np.testing.assert_array_equal(one, other)


def test_fit_repeats():
    """Shuffling, dropout and initial weights follow the seed, and another seed differs."""

    def fitted(seed, threads):
        fastcnn.set_num_threads(threads)
        model = build(SHAPE, plain(), NETS["plain"][1], seed=seed, random=False)
        model.fit(x, y, batch_size=8, epochs=2, verbose=0)
        return model.get_weights()

    x = images(44, SHAPE)
    y = np.random.default_rng(7).integers(0, 10, 44).astype(np.int32)
    first = fitted(0, 1)
    for one, other in zip(first, fitted(0, 2), strict=True):
        np.testing.assert_array_equal(one, other)
    assert not np.array_equal(first[0], fitted(1, 2)[0])


def test_gradients_are_the_same_for_any_threads():
    results = []
    for threads in (1, 2, 3):
        fastcnn.set_num_threads(threads)
        model = build(SHAPE, branched(), NETS["branched"][1])
        results.append(model.gradients(images(19, SHAPE), targets_for(model, 19)))
    for loss, gradients in results[1:]:
        assert loss == results[0][0]
        for path, gradient in gradients.items():
            np.testing.assert_array_equal(gradient, results[0][1][path], path)


@pytest.mark.parametrize("name", NETS)
def test_one_image_gives_the_same_for_any_threads(name):
    """A single image is shared out over the threads, where many are taken one by one."""
    layers, loss = NETS[name]
    model = build(SHAPE, layers(), loss)
    x = images(1, SHAPE)
    fastcnn.set_num_threads(1)
    expected = model.predict(x)
    for threads in (2, 3):
        fastcnn.set_num_threads(threads)
        np.testing.assert_array_equal(model.predict(x), expected, f"{threads} threads")


@pytest.mark.parametrize("threads", [0, -1, 1.5, "two"])
def test_impossible_number_of_threads(threads):
    with pytest.raises((ValueError, TypeError), match=r"thread"):
        fastcnn.set_num_threads(threads)
