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


def test_permute():
    model = build((4, 6, 2), [L.Permute((3, 1, 2))])
    x = images(2, (4, 6, 2))
    np.testing.assert_array_equal(model.predict(x), x.transpose(0, 3, 1, 2))


def test_channels_can_be_shuffled():
    """ShuffleNet's: of four axes, which a Reshape makes."""
    layers = [L.Reshape((4, 3, 2, 3)), L.Permute((1, 2, 4, 3)), L.Reshape((4, 3, 6))]
    x = images(2, (4, 3, 6))
    shuffled = build((4, 3, 6), layers).predict(x)
    np.testing.assert_array_equal(shuffled, x[..., [0, 3, 1, 4, 2, 5]])


@pytest.mark.parametrize("dims", [(), (0, 1, 2), (1, 1, 2), (1.5, 2), (1, 2, 3, 4, 5), 3])
def test_refused_dims(dims):
    with pytest.raises(ValueError, match="dims must be the numbers from 1 on in some order"):
        L.Permute(dims)


def test_dims_of_another_number_of_axes():
    with pytest.raises(ValueError, match="are 2 axes"):
        fastcnn.Sequential([L.Permute((2, 1))], (4, 6, 2))


def test_upsampling_refuses():
    with pytest.raises(ValueError, match="size must be a positive integer"):
        L.UpSampling2D(0)
    with pytest.raises(ValueError, match=r"interpolation.*cubic"):
        L.UpSampling2D(2, "cubic")


@pytest.mark.parametrize("axes", [(2,), (1, 3), (0,), 1, (1.5,)])
def test_refused_shared_axes(axes):
    with pytest.raises(ValueError, match="shared_axes must be None or the first axes"):
        L.PReLU(shared_axes=axes)


def test_more_shared_axes_than_there_are():
    with pytest.raises(ValueError, match="more axes than an input of shape"):
        fastcnn.Sequential([L.PReLU(shared_axes=(1, 2))], (4,))
