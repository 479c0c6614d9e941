"""What pixels a net looks at, on nets whose right answer is known."""

from __future__ import annotations

import numpy as np
import planted
import pytest
from building import assert_close, build, images

from fastcnn import Sequential, data, explain
from fastcnn import layers as L


@pytest.fixture(scope="module")
def model():
    return planted.model()


X = planted.images()


@pytest.mark.parametrize("method", [explain.saliency, explain.guided_backprop, explain.deconvnet])
def test_gradients_lie_on_the_planted_pattern_alone(model, method):
    relevance = method(model, X, 1).array
    assert relevance.shape == X.shape
    assert (planted.share_inside(relevance[..., 0]) == 1).all()


def test_smoothed_gradients_too(model):
    relevance = explain.smooth_grad(model, X, 1, samples=8, noise=0.02).array
    assert (planted.share_inside(relevance[..., 0]) > 0.9).all()
    still = explain.smooth_grad(model, X, 1, samples=2, noise=0).array
    assert_close(still, model.input_gradient(X, 1), "chain", "without noise")


def test_covering_the_pattern_costs_the_class(model):
    relevance = explain.occlusion(model, X, 1, patch=3, stride=1).array
    assert relevance.shape == X.shape[:3]
    assert (planted.share_inside(relevance, slack=2) > 0.99).all()
    for row, (i, j) in zip(relevance, planted.PLACES, strict=True):
        assert row[i + 1, j + 1] > 0.9 * row.max()


def test_the_class_is_where_the_pattern_is_found(model):
    relevance = explain.grad_cam(model, X, 1).array
    assert relevance.shape == (4, 10, 10)
    for row, place in zip(relevance, planted.PLACES, strict=True):
        assert np.unravel_index(row.argmax(), row.shape) == place


def test_integrated_gradients_add_up_to_the_difference_of_the_scores():
    layers = [L.Conv2D(4, 3, activation="tanh"), L.Flatten(), L.Dense(3, activation="softmax")]
    model = build((6, 6, 2), layers, "sparse_categorical_crossentropy")
    x, base = images(3, (6, 6, 2)), images(1, (6, 6, 2), seed=4)[0]
    relevance = explain.integrated_gradients(model, x, [0, 1, 2], base, steps=60).array

    def scores(x):
        kernel, bias = (p.value for p in model.layers[-1].parameters)
        return model.features(x, "flatten") @ kernel + bias

    expected = np.diagonal(scores(x) - scores(base[None]))
    assert_close(relevance.sum(axis=(1, 2, 3)), expected, "statistics", "completeness")


def test_the_predicted_class_is_the_target(model):
    expected = explain.saliency(model, X, model.predict(X).argmax(axis=1)).array
    np.testing.assert_array_equal(explain.saliency(model, X).array, expected)


def test_images_are_explained_as_the_network_sees_them():
    scaled = planted.model(preprocessing=[data.CenterCrop(12, 12)])
    wide = np.pad(X, ((0, 0), (2, 2), (2, 2), (0, 0)))
    relevance = explain.saliency(scaled, wide, 1).array
    np.testing.assert_array_equal(relevance, explain.saliency(planted.model(), X, 1).array)
    assert scaled.preprocessing


METHODS = ["saliency", "smooth_grad", "integrated_gradients", "guided_backprop", "deconvnet"]
METHODS += ["grad_cam", "occlusion"]


@pytest.mark.parametrize("name", METHODS)
def test_every_method_draws_a_picture(model, name, tmp_path):
    result = getattr(explain, name)(model, X[:1], 1)
    path = result.save(tmp_path / "picture.png")
    assert path.read_bytes().startswith(b"\x89PNG")


VECTORS = Sequential([L.Dense(2)], (4,))
DENSE = Sequential([L.Flatten(), L.Dense(3, activation="tanh"), L.Dense(2)], (4, 4, 1))
SMALL = np.zeros((1, 4, 4, 1), np.float32)
REFUSED = {
    "no images": (lambda: explain.saliency(VECTORS, SMALL[0, :1, :, 0]), "a model of images"),
    "no feature maps": (lambda: explain.grad_cam(DENSE, SMALL), "outputs are vectors"),
    "a layer of vectors": (lambda: explain.grad_cam(DENSE, SMALL, layer="dense"), "feature maps"),
    "no ReLU": (lambda: explain.guided_backprop(DENSE, SMALL), "with ReLU"),
    "no such class": (lambda: explain.saliency(DENSE, SMALL, 2), "a class from 0 to 1"),
    "a class in words": (lambda: explain.occlusion(DENSE, SMALL, "boot"), "target must be"),
    "a large patch": (lambda: explain.occlusion(DENSE, SMALL, patch=5), "from 1 to 4"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_method_that_does_not_apply_says_why(case):
    call, message = REFUSED[case]
    with pytest.raises(ValueError, match=message):
        call()
