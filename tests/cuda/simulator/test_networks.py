"""Whole networks on the CUDA engine, in the simulator, against the CPU engine."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import fastcnn
from fastcnn import layers

# Small enough for Python threads in place of the GPU's; odd sizes, so that tiles hang over.
SHAPE, CLASSES, IMAGES = (6, 5, 2), 3, 3

NETS = {
    "auxiliary": [
        layers.Conv2D(3, 3, activation="relu"),
        layers.AuxiliaryClassifier(
            [layers.GlobalAveragePooling2D(), layers.Dense(CLASSES, "softmax")], name="side"
        ),
        layers.LocalResponseNormalization(3),
        layers.SqueezeExcite(2),
        layers.Flatten(),
        layers.Dense(CLASSES, "softmax"),
    ],
    "dense": [layers.Flatten(), layers.Dense(5, "tanh"), layers.Dense(CLASSES, "softmax")],
    "convolution": [
        layers.Conv2D(3, 3, padding="same", activation="relu"),
        layers.MaxPooling2D(2),
        layers.Flatten(),
        layers.Dense(CLASSES, "softmax"),
    ],
    "normalized": [
        layers.Rescaling(0.5, offset=-0.25),
        layers.Conv2D(4, 3, strides=2, padding="same", use_bias=False),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.Dropout(0.5),
        layers.GlobalAveragePooling2D(),
        layers.Dense(CLASSES, "softmax"),
    ],
    "branches": [
        layers.SeparableConv2D(4, 3, padding="same", activation="relu"),
        layers.Residual([layers.Conv2D(4, 3, padding="same"), layers.BatchNormalization()]),
        layers.ReLU(),
        layers.Concat([layers.Conv2D(2, 1)], [layers.AveragePooling2D(3, 1, padding="same")]),
        layers.ZeroPadding2D(1),
        layers.LeakyReLU(),
        layers.Flatten(),
        layers.Dense(CLASSES, "softmax"),
    ],
}


def model(net: str, device: str, optimizer="adam", **settings) -> fastcnn.Sequential:
    made = fastcnn.Sequential(copy.deepcopy(NETS[net]), SHAPE, seed=3, device=device, **settings)
    made.compile(optimizer, "sparse_categorical_crossentropy", ["accuracy"])
    return made


def data(images: int = IMAGES) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    x = random.standard_normal((images, *SHAPE), np.float32)
    return x, random.integers(0, CLASSES, images).astype(np.int32)


@pytest.mark.parametrize("net", NETS)
def test_gradients_and_outputs_are_the_cpus(net):
    x, y = data()
    here, there = model(net, "cpu"), model(net, "cuda")
    np.testing.assert_allclose(there.predict(x), here.predict(x), rtol=1e-5, atol=1e-6)
    (loss, gradients), (other, others) = here.gradients(x, y), there.gradients(x, y)
    assert other == pytest.approx(loss, rel=1e-5)
    scale = max(np.abs(gradient).max() for gradient in gradients.values())
    for path, gradient in gradients.items():
        np.testing.assert_allclose(others[path], gradient, atol=2e-5 * scale, err_msg=path)


def test_training_follows_the_cpu():
    x, y = data()
    here, there = model("normalized", "cpu"), model("normalized", "cuda")
    told = [
        one.fit(x, y, batch_size=2, epochs=2, validation_data=(x[:2], y[:2]), verbose=0).history
        for one in (here, there)
    ]
    for name, values in told[0].items():
        np.testing.assert_allclose(told[1][name], values, rtol=1e-4, err_msg=name)
    for one, other in zip(here.get_weights(), there.get_weights(), strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("net", NETS)
def test_features_and_input_gradients_are_the_cpus(net):
    x, y = data()
    here, there = model(net, "cpu"), model(net, "cuda")
    names = [layer.name for layer in here.layers]
    expected = here.features(x, names)
    for name, features in there.features(x, names).items():
        np.testing.assert_allclose(features, expected[name], rtol=1e-5, atol=1e-5, err_msg=name)
    for target in ({"y": y}, {"target": y}, {"target": names[-2], "relu": "guided"}):
        expected = here.input_gradient(x, **target)
        scale = np.abs(expected).max()
        received = there.input_gradient(x, **target)
        np.testing.assert_allclose(received, expected, atol=2e-5 * scale, err_msg=str(target))
