"""Layers with trainable=False: no gradient of their own, no penalty, no movement."""

from __future__ import annotations

import numpy as np
import pytest
import reference_model
from building import assert_close, assert_gradients, build, images
from test_autodiff import check, targets

from fastcnn import layers as L

FROZEN = {
    "the first": 0,
    "one between": 1,
    "batch normalization": 2,
    "a whole Residual": 3,
    "the last": 5,
}


@pytest.mark.parametrize("name", FROZEN)
def test_frozen_layers(name):
    """A frozen layer has no gradient, passes it on, and does not move in training."""
    layers = [
        L.Conv2D(2, 3, padding="same", kernel_regularizer="l2"),
        L.Conv2D(2, 1, activation="tanh"),
        L.BatchNormalization(),
        L.Residual([L.Conv2D(2, 1, use_bias=False), L.BatchNormalization()]),
        L.GlobalAveragePooling2D(),
        L.Dense(2),
    ]
    frozen = layers[FROZEN[name]]
    frozen.trainable = False
    model = build((4, 4, 2), layers)
    paths = {p.path for p in model.parameters if not p.trainable and p.kind == "weight"}
    assert paths
    x = images(3, (4, 4, 2))
    y = targets(model, 3)
    check(model, x, y)
    assert not paths & set(model.gradients(x, y)[1])
    before = {p.path: p.value.copy() for p in model.parameters}
    model.train_on_batch(x, y)
    for p in model.parameters:
        inside = p.layer is frozen or p.layer in frozen.sublayers
        assert np.array_equal(before[p.path], p.value) == inside, p.path


def test_freezing_and_thawing_between_steps():
    model = build((4, 4, 2), [L.Conv2D(2, 3), L.BatchNormalization(), L.Flatten(), L.Dense(2)])
    x = images(3, (4, 4, 2))
    y = targets(model, 3)
    for frozen in ([], [0], [0, 1], [3], []):
        for number, layer in enumerate(model.layers):
            layer.trainable = number not in frozen
        expected = reference_model.gradients(model, x, y)[1]
        assert_gradients(model.gradients(x, y)[1], expected, "statistics", str(frozen))
        assert_close(model.predict(x), reference_model.forward(model, x), "chain", "output")
        model.train_on_batch(x, y)
