"""The networks of the zoo: their sizes, their ends, their names."""

from __future__ import annotations

import numpy as np
import pytest

from fastcnn import applications
from fastcnn.layers import Rescaling

# name, input, classes, trained parameters, multiply-adds: worked out by hand from the layers.
NETWORKS = [
    ("lenet5", (28, 28, 1), 10, 61_706, 416_520),
    ("caffe-lenet", (28, 28, 1), 10, 431_080, 2_293_000),
    ("cifar-small", (32, 32, 3), 10, 1_250_858, 20_741_120),
    ("resnet20", (32, 32, 3), 10, 272_474, 40_813_184),
    ("vgg16", (224, 224, 3), 1000, 138_357_544, 15_470_264_320),
]


@pytest.mark.parametrize(("name", "shape", "classes", "parameters", "work"), NETWORKS)
def test_networks_have_their_sizes(name, shape, classes, parameters, work):
    model = applications.get(name)()
    assert model.input_shape == shape
    assert model.output_shape == (classes,)
    assert sum(p.size for p in model.parameters if p.trainable) == parameters
    assert sum(layer.multiply_adds() for layer in model.layers) == work


def test_every_network_is_in_the_table():
    assert {row[0] for row in NETWORKS} == set(applications.NETWORKS)


@pytest.mark.parametrize("name", [name for name in applications.NETWORKS if name != "vgg16"])
def test_networks_fit_other_images_and_give_probabilities(name):
    model = applications.get(name)(input_shape=(20, 24, 2), classes=3, rescale=True, seed=5)
    x = np.random.default_rng(0).integers(0, 256, (2, 20, 24, 2)).astype(np.uint8)
    shares = model.predict(x)
    assert shares.shape == (2, 3)
    assert (shares >= 0).all()
    np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-5)


def test_rescaling_divides_pixel_values():
    plain, scaled = applications.lenet5(seed=1), applications.lenet5(rescale=True, seed=1)
    assert isinstance(scaled.layers[0], Rescaling)
    x = np.random.default_rng(0).integers(0, 256, (3, 28, 28, 1)).astype(np.uint8)
    np.testing.assert_allclose(
        scaled.predict(x), plain.predict(x.astype(np.float32) / 255), atol=1e-6
    )


def test_seed_fixes_the_weights():
    first, same, other = (applications.lenet5(seed=seed).get_weights()[0] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, same)
    assert (first != other).any()


@pytest.mark.parametrize("spelling", ["cifar-small", "cifar_small", "CIFAR-Small"])
def test_spelling_does_not_matter(spelling):
    assert applications.get(spelling) is applications.cifar_small


def test_an_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(ValueError, match="Did you mean 'lenet5'"):
        applications.get("lenet")


def test_earlier_names_of_modules_lead_to_the_same():
    from fastcnn import convolutions, functional, zoo

    assert zoo.get is applications.get
    for name in convolutions.__all__:
        assert getattr(convolutions, name) is getattr(functional, name)
