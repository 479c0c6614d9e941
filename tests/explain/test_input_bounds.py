"""Where images are made from nothing, they may have every number that the network ever sees."""

from __future__ import annotations

import functools

import numpy as np
import planted
import pytest

from fastcnn import Sequential, explain
from fastcnn import layers as L
from fastcnn.data.augment.preprocessing import (
    PIXELS,
    CenterCrop,
    ImageNetScaling,
    PerImageStandardization,
    extent,
)

METHODS = {
    "class_image": functools.partial(explain.class_image, steps=40, blur=0, rate=0.05),
    "fooling_images": functools.partial(explain.fooling_images, steps=3),
    "evolved_images": functools.partial(explain.evolved_images, generations=1),
}


def network(*preprocessing, rescaling=()):
    chain = [*rescaling, L.Flatten(), L.Dense(2, activation="softmax")]
    return Sequential(chain, (4, 4, 3), preprocessing=list(preprocessing))


@pytest.mark.parametrize("mode", ["caffe", "tf", "torch"])
def test_the_extent_is_that_of_a_black_and_a_white_image(mode):
    step = ImageNetScaling(mode)
    pixels = np.stack([np.zeros((6, 6, 3)), np.full((6, 6, 3), 255)]).astype(np.float32)
    cropped = CenterCrop(8, 8).apply(step.apply(pixels))
    expected = cropped.min(axis=(0, 1, 2)), cropped.max(axis=(0, 1, 2))
    np.testing.assert_array_equal(extent([step, CenterCrop(8, 8)], PIXELS, 3), expected)
    assert extent([step, PerImageStandardization()], PIXELS, 3) is None


@pytest.mark.parametrize("method", METHODS)
def test_images_fill_what_preprocessing_makes_of_pixels(method):
    for model, (low, high) in (
        (network(ImageNetScaling("caffe")), (-123.68, 151.061)),
        (network(ImageNetScaling("tf")), (-1, 1)),
        (network(CenterCrop(4, 4)), (0, 1)),
        (network(CenterCrop(4, 4), rescaling=[L.Rescaling(1 / 255)]), (0, 255)),
    ):
        images = METHODS[method](model).array
        room = 0.1 * (high - low)
        assert low - 1e-3 <= images.min() < low + room
        assert high - room < images.max() <= high + 1e-3


@pytest.mark.parametrize("method", METHODS)
def test_bounds_are_asked_for_where_they_depend_on_the_image(method):
    model = network(PerImageStandardization())
    with pytest.raises(ValueError, match=r"Give it: bounds=\(least, largest\)"):
        METHODS[method](model)
    assert METHODS[method](model, bounds=(-2, 2)).array.max() > 1


@pytest.mark.parametrize("method", METHODS)
def test_bounds_are_two_numbers_the_least_first(method):
    with pytest.raises(ValueError, match=r"bounds\[1\] must be a number above 1"):
        METHODS[method](network(), bounds=(1, 0))
    with pytest.raises(TypeError, match="bounds must be two numbers"):
        METHODS[method](network(), bounds=3)


def test_a_channel_wants_its_filter():
    model = planted.model()
    result = explain.class_image(model, layer="search", channel=[1, 0], bounds=(-1, 1), blur=0)
    assert result.array.shape == (2, planted.SIDE, planted.SIDE, 1)
    maps = model.features(result.array, "search")
    assert maps[1, ..., 0].max() > 2 * maps[0, ..., 0].max()
    again = explain.class_image(model, layer="search", channel=1, bounds=(-1, 1), blur=0)
    assert again.rows[0][0].title == "channel 1"
    assert len(explain.class_image(model, layer="search", steps=1).array) == 2
    unit = explain.class_image(model, layer=model.layers[-1], channel=1, steps=3).array
    assert unit.shape == (1, planted.SIDE, planted.SIDE, 1)


@pytest.mark.parametrize(
    "settings",
    [{"channel": 0}, {"layer": "search", "channel": 2}, {"layer": "search", "target": 0}],
)
def test_channels_are_a_layers(settings):
    with pytest.raises(ValueError, match=r"class_image: .*channel"):
        explain.class_image(planted.model(), **settings)
