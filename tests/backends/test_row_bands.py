"""One image on several threads: bands of rows give what the whole image gives."""

from __future__ import annotations

import numpy as np
import pytest
import random_nets
from building import assert_close, build, images

import fastcnn
from fastcnn import layers as L
from fastcnn.backends.cpu import row_bands
from fastcnn.backends.cpu.row_bands import Bands, share_image
from fastcnn.kernels.call import BATCH
from fastcnn.utils.threads import num_threads

NETS = {
    "winograd": lambda: [
        L.Conv2D(20, 3, padding="same", activation="relu", strategy="winograd"),
        L.Conv2D(20, 3, strategy="winograd"),
        L.MaxPooling2D(2),
        L.Conv2D(8, 3, padding="same", strategy="winograd-2x2"),
    ],
    "direct": lambda: [
        L.Conv2D(6, 5, padding="same", strategy="direct"),
        L.MaxPooling2D(3, strides=2, padding="same"),
        L.Conv2D(20, 3, strides=2, padding="same", strategy="direct"),
        L.AveragePooling2D(2),
        L.Conv2D(9, 1, activation="tanh", strategy="direct"),
    ],
    "groups": lambda: [
        L.Conv2D(18, 1, use_bias=False, strategy="direct"),
        L.DepthwiseConv2D(3, padding="same", strides=2),
        L.BatchNormalization(),
        L.ReLU(),
        L.Conv2D(18, 3, groups=3, padding="same", strategy="im2col"),
    ],
    "residual": lambda: [
        L.Conv2D(16, 3, padding="same", use_bias=False),
        L.Residual(
            [
                L.Conv2D(16, 3, padding="same", strategy="winograd"),
                L.BatchNormalization(),
                L.ReLU(),
                L.Conv2D(16, 3, padding="same", strategy="direct"),
            ]
        ),
        L.Residual(
            [L.Conv2D(24, 3, strides=2, padding="same")], shortcut=[L.Conv2D(24, 1, strides=2)]
        ),
        L.GlobalAveragePooling2D(),
        L.Dense(10, "softmax"),
    ],
}


def prediction(shape, layers, image, monkeypatch, worth):
    """What a net makes of an image where one of so many multiply-adds is shared."""
    monkeypatch.setattr(row_bands, "WORTH_SHARING", worth)
    return build(shape, layers, seed=3).predict(image)


@pytest.mark.parametrize("size", [(17, 23), (32, 16), (8, 9)])
@pytest.mark.parametrize("net", NETS)
def test_bands_give_what_the_whole_image_gives(net, size, monkeypatch):
    shape = (*size, 4)
    image = images(1, shape)
    whole = prediction(shape, NETS[net](), image, monkeypatch, 1 << 60)
    bands = prediction(shape, NETS[net](), image, monkeypatch, 0)
    assert_close(bands, whole, "chain", net)


@pytest.mark.parametrize("number", range(60))
def test_random_nets_give_the_same_in_bands(number, monkeypatch):
    shape, one = random_nets.draw(number).shape, random_nets.draw(number)
    image = images(1, shape)
    monkeypatch.setattr(row_bands, "LEAST_ROWS", 1)
    whole = prediction(shape, one.layers, image, monkeypatch, 1 << 60)
    bands = prediction(shape, random_nets.draw(number).layers, image, monkeypatch, 0)
    assert_close(bands, whole, "statistics", f"net {number}", floor=1e-3)


def test_the_bits_are_those_of_any_number_of_threads(monkeypatch):
    shape = (32, 32, 4)
    image = images(1, shape)
    results = []
    monkeypatch.setattr(row_bands, "WORTH_SHARING", 0)
    most = num_threads()
    try:
        for count in range(1, most + 1):
            fastcnn.set_num_threads(count)
            model = build(shape, NETS["residual"](), seed=3)
            results += [model.predict(image) for _ in range(20)]
    finally:
        fastcnn.set_num_threads(most)
    assert all(np.array_equal(result, results[0]) for result in results)


def test_threads_meet_once_a_convolution(monkeypatch):
    """What needs no more than a band's own rows goes on in the same band."""
    shared = []

    def note(calls):
        shared.extend(share_image(calls))
        return shared

    monkeypatch.setattr("fastcnn.backends.cpu.executable.share_image", note)
    model = fastcnn.applications.get("resnet20")(seed=0)
    model.predict(np.zeros((1, 32, 32, 3), np.float32))
    meetings = [unit for unit in shared if isinstance(unit, Bands)]
    assert all(unit.scope == BATCH for unit in shared)
    assert len(meetings) <= 30  # 21 convolutions
    assert max(len(unit.bands[0]) for unit in meetings) >= 5  # inputs, products, outputs, add, pad
