"""Layers that move values: the shapes that they make, and those that they refuse."""

from __future__ import annotations

import numpy as np
import pytest
from building import build, images

import fastcnn
from fastcnn import layers as L


def test_reshape():
    model = build((4, 6, 2), [L.Reshape((3, -1, 8))])
    x = images(2, (4, 6, 2))
    np.testing.assert_array_equal(model.predict(x), x.reshape(2, 3, 2, 8))


@pytest.mark.parametrize("shape", [(), 3, (0, 2), (-1, -1), (2.5,), (-2,)])
def test_refused_target_shapes(shape):
    with pytest.raises(ValueError, match="target_shape must be a shape of whole numbers"):
        L.Reshape(shape)


@pytest.mark.parametrize("shape", [(5, -1), (4, 6)])
def test_target_shapes_that_do_not_fit(shape):
    with pytest.raises(ValueError, match="48 numbers, cannot take the shape"):
        fastcnn.Sequential([L.Reshape(shape)], (4, 6, 2))


def test_cropping():
    model = build((4, 6, 2), [L.Cropping2D((1, 2))])
    x = images(2, (4, 6, 2))
    np.testing.assert_array_equal(model.predict(x), x[:, 1:-1, 2:-2])
    with pytest.raises(ValueError, match="leaves nothing of an input of 4x6 pixels"):
        fastcnn.Sequential([L.Cropping2D(2)], (4, 6, 2))
    with pytest.raises(ValueError, match="cropping must be an integer"):
        L.Cropping2D(-1)
