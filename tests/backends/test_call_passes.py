"""Calls that do what the calls behind them did: the same numbers, and fewer calls."""

from __future__ import annotations

import numpy as np
import pytest
from building import build, images
from test_layers import compare

from fastcnn import layers as L
from fastcnn.backends.cpu.engine import PREDICT
from fastcnn.backends.cpu.executor import KERNEL
from fastcnn.kernels.cpu.layout import copy_rows
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


def side_by_side(*branches):
    return [L.Conv2D(12, 1), L.Concat(*branches), L.Conv2D(7, 1)]


def conv(filters, taps, strategy, **options):
    return L.Conv2D(filters, taps, padding="same", strategy=strategy, **options)


IN_PLACE = {
    "direct and Winograd": lambda: side_by_side(
        [conv(9, 1, "direct", activation="relu")], [conv(16, 3, "winograd", activation="relu")]
    ),
    "im2col and a chain": lambda: side_by_side(
        [conv(9, 3, "im2col")], [conv(5, 1, "direct"), conv(21, 3, "winograd-2x2")]
    ),
    "strided": lambda: side_by_side(
        [conv(10, 3, "direct", strides=2)], [conv(17, 5, "direct", strides=2)]
    ),
}
COPIED = {
    "of a function with a bound at infinity": lambda: side_by_side(
        [L.ReLU(negative_slope=0.1, threshold=0.5)], [L.Activation("tanh")]
    ),
    "pooled": lambda: side_by_side([L.MaxPooling2D(3, 1, "same")], [L.AveragePooling2D(3, 1, 1)]),
    "groups": lambda: side_by_side(
        [conv(8, 3, "direct", groups=2)], [L.DepthwiseConv2D(3, padding="same")]
    ),
    "several pixels as one": lambda: side_by_side(
        [L.Conv2D(2, 3, strategy="direct")], [L.Conv2D(3, 3, strategy="direct")]
    ),
    "read by two": lambda: side_by_side(
        [conv(12, 1, "direct"), L.Residual([L.Activation("tanh")])], [L.Activation("tanh")]
    ),
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


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("name", [*IN_PLACE, *COPIED])
def test_branches_write_among_the_channels_of_all(name, count, monkeypatch):
    monkeypatch.setattr("fastcnn.backends.cpu.row_bands.WORTH_SHARING", 0)
    model = build(SHAPE, (IN_PLACE | COPIED)[name]())
    compare(model, images(count, SHAPE), "chain", "statistics")
    copies = copy_rows.loaded and copy_rows.address in kernels_of(model, count)
    assert copies == (name in COPIED)


def test_a_nan_stays_one():
    model = model_of(CLIPPED["a 1x1 convolution"]())
    model.layers[0].parameters[1].value[3] = np.nan  # a filter's bias
    y = model.predict(images(2, SHAPE))
    assert np.isnan(y[..., 3]).all()
    assert np.isfinite(np.delete(y, 3, axis=-1)).all()
