"""Calls that do what the call behind them did: the same numbers, and one call fewer."""

from __future__ import annotations

import numpy as np
import pytest
from building import build, images
from test_layers import compare

from fastcnn import layers as L
from fastcnn.backends.cpu.engine import PREDICT
from fastcnn.backends.cpu.executor import KERNEL
from fastcnn.kernels.cpu.nn.activation_functions import relu6

SHAPE = (9, 11, 20)
CLIPPED = {
    "a 1x1 convolution": lambda: [L.Conv2D(24, 1, activation="relu6")],
    "direct, strided": lambda: [L.Conv2D(9, 3, 2, "same", activation="relu6", strategy="direct")],
    "depthwise": lambda: [L.DepthwiseConv2D(3, padding="same", activation="relu6")],
    "a folded normalization": lambda: [
        *(L.Conv2D(24, 1, use_bias=False), L.BatchNormalization(), L.Activation("relu6"))
    ],
}
APART = {
    "read by two": lambda: [L.Conv2D(20, 1), L.Residual([L.Activation("relu6")])],
    "of the images": lambda: [L.Activation("relu6"), L.Conv2D(20, 1)],
    "im2col": lambda: [L.Conv2D(24, 3, padding="same", activation="relu6", strategy="im2col")],
}


def model_of(layers):
    model = build(SHAPE, layers)
    for parameter in model.parameters:
        if parameter.name == "kernel":
            parameter.value[...] *= 20  # sums below 0 and above 6
    return model


def kernels_of(model, count):
    return set(model.engine()._plan(PREDICT, count).executable.table.calls[:, KERNEL])


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("name", CLIPPED)
def test_sums_are_clipped_as_they_are_written(name, count):
    model = model_of(CLIPPED[name]())
    y = model.predict(images(count, SHAPE))
    assert y.min() == 0
    assert y.max() == 6
    assert not relu6.loaded or relu6.address not in kernels_of(model, count)
    compare(model, images(count, SHAPE), "chain", "statistics")


@pytest.mark.parametrize("name", APART)
def test_what_others_read_stays_as_it_is(name):
    compare(model_of(APART[name]()), images(3, SHAPE), "chain", "statistics")


def test_a_nan_stays_one():
    model = model_of(CLIPPED["a 1x1 convolution"]())
    model.layers[0].parameters[1].value[3] = np.nan  # a filter's bias
    y = model.predict(images(2, SHAPE))
    assert np.isnan(y[..., 3]).all()
    assert np.isfinite(np.delete(y, 3, axis=-1)).all()
