"""What dropout of channels and of whole bodies leaves, and how it is scaled."""

from __future__ import annotations

import numpy as np
import pytest
from building import build
from test_layers import spreading, unit_pixels

import fastcnn
from fastcnn import layers as L


def dropped(layer, shape, batch=64):
    """By what a layer multiplies each number in training, [batch, *shape]: what it does to the
    gradient of a mean absolute error."""
    model = build((1, 1, batch), [*spreading(shape, batch), layer], "mae")
    far_below = np.full((batch, *shape), -1e6, np.float32)
    _, gradients = model.gradients(unit_pixels(batch), far_below)
    images = gradients["spread/kernel"][::-1, ::-1].transpose(2, 0, 1, 3)
    return (images * images.size).round(5)


def test_spatial_dropout_drops_whole_channels():
    y = dropped(L.SpatialDropout2D(0.25), (3, 4, 8))
    assert set(np.unique(y)) == {0, np.float32(1 / 0.75).round(5)}
    assert (y == y[:, :1, :1]).all()
    assert 0.15 < (y[:, 0, 0] == 0).mean() < 0.35


def test_stochastic_depth_drops_whole_images():
    y = dropped(L.StochasticDepth(0.25), (3, 4, 8)).reshape(64, -1)
    assert (y == y[:, :1]).all()
    assert set(np.unique(y)) == {0, np.float32(1 / 0.75).round(5)}
    assert 0.1 < (y[:, 0] == 0).mean() < 0.4


def test_stochastic_depth_leaves_the_body_of_a_residual_out():
    body = [L.Activation("linear"), L.StochasticDepth(0.5)]
    y = dropped(L.Residual(body), (3, 3, 2))
    assert set(np.unique(y)) == {1, 3}
    model = fastcnn.Sequential([L.Residual([L.StochasticDepth(0.5)])], (3, 3, 2))
    assert (model.predict(np.ones((4, 3, 3, 2), np.float32)) == 2).all()


def test_frozen_stochastic_depth_leaves_nothing_out():
    body = L.Residual([L.Conv2D(3, 1), L.StochasticDepth(0.5)])
    layers = [body, L.GlobalAveragePooling2D(), L.Dense(2)]
    model = build((4, 4, 3), layers)
    model.freeze()
    assert model.frozen_depth() == 2  # so that `fit` keeps what they make of an image
    body.trainable = True
    assert model.frozen_depth() == 0


@pytest.mark.parametrize("kind", [L.SpatialDropout2D, L.StochasticDepth])
def test_refused_rates(kind):
    with pytest.raises(ValueError, match="rate must be a number of at least 0 and below 1"):
        kind(1.0)


def test_spatial_dropout_takes_images():
    with pytest.raises(ValueError, match=r"expected an input of shape \(height, width, channels"):
        fastcnn.Sequential([L.SpatialDropout2D(0.5)], (4,))
