"""What features say of images: places in the plane, neighbours, confusions."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.metrics import average_precision_score

from fastcnn import Sequential, explain
from fastcnn import layers as L
from fastcnn.explain.projections import neighbour_embedding, principal_components
from fastcnn.explain.retrieval import average_precisions

RNG = np.random.default_rng(0)
LABELS = np.arange(24) % 3
CENTRES = 5 * RNG.standard_normal((3, 4))
# Three clusters of images, so far apart that every neighbour is of the same class.
X = (CENTRES[LABELS] + 0.1 * RNG.standard_normal((24, 4))).reshape(-1, 2, 2, 1).astype(np.float32)


def pixel_model(classes=3, **settings):
    """Its features are the pixels."""
    chain = [L.Flatten(name="pixels"), L.Dense(classes, activation="softmax", name="scores")]
    return Sequential(chain, (2, 2, 1), device="cpu", **settings)


def test_principal_components_are_scikit_learns():
    points = RNG.standard_normal((20, 5)) * [5, 1, 3, 0.5, 2]
    reference = PCA(3).fit(points)
    mine, shares = principal_components(points, 3)
    np.testing.assert_allclose(np.abs(mine), np.abs(reference.transform(points)), atol=1e-9)
    np.testing.assert_allclose(shares, reference.explained_variance_ratio_)


def test_both_projections_keep_clusters_apart(tmp_path):
    result = explain.embedding(pixel_model(), X, LABELS, perplexity=5)
    assert result.array.shape == (2, 24, 2)
    for points in result.array:
        apart = np.linalg.norm(points[:, None] - points, axis=-1) + np.diag(np.full(24, np.inf))
        np.testing.assert_array_equal(LABELS[apart.argmin(axis=1)], LABELS)
    assert result.save(tmp_path / "both.png").exists()


def test_features_are_of_the_layer_before_the_scores_where_none_is_named():
    model = pixel_model()
    expected, _ = principal_components(X.reshape(24, 4))
    unnamed = explain.embedding(model, X, projection="pca").array[0]
    np.testing.assert_allclose(unnamed, expected, atol=1e-5)
    of_scores = explain.embedding(model, X, layer="scores", projection="pca").array[0]
    assert not np.allclose(of_scores, expected, atol=1e-2)


def test_pca_does_without_scikit_learn_and_t_sne_says_that_it_needs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.manifold", None)
    explain.embedding(pixel_model(), X, projection="pca")
    with pytest.raises(ImportError, match=r"pip install 'fastcnn\[sklearn\]'"):
        explain.embedding(pixel_model(), X)


def test_t_sne_takes_features_that_differ_little_or_not_at_all():
    for same in (np.zeros((6, 4)), np.full((6, 3), 0.1, np.float32), np.full((6, 1), 7e8)):
        np.testing.assert_array_equal(neighbour_embedding(same, 30, 0), 0)
    doubled = np.float32([[0, 1], [1e25, 0]])[[0, 0, 0, 0, 1, 1]]
    for features in (doubled, np.arange(6.0)[:, None]):
        assert np.isfinite(neighbour_embedding(features, 30, 0)).all()
    same = explain.embedding(pixel_model(), np.ones((6, 2, 2, 1), np.float32))
    np.testing.assert_allclose(same.array, 0, atol=1e-9)


def test_features_that_are_no_numbers_have_no_places():
    model = pixel_model()
    model.layer("scores").parameters[0].value[...] = np.nan
    for method in (explain.embedding, explain.retrieval):
        with pytest.raises(ValueError, match="the features of 'scores' must hold finite numbers"):
            method(model, X, layer="scores")


def test_neighbours_are_the_nearest_ones():
    points = np.array([[1, 0, 0, 0], [9, 1, 0, 0], [1, 2.5, 0, 0], [0, 3, 0, 0]], np.float32)
    images = points.reshape(-1, 2, 2, 1)
    by_angle = explain.retrieval(pixel_model(), images, k=3)
    np.testing.assert_array_equal(by_angle.array, [[1, 2, 3], [0, 2, 3], [3, 1, 0], [2, 1, 0]])
    np.testing.assert_allclose(by_angle.distances[0, 1], 1 - 7.25**-0.5, rtol=1e-6)
    straight = explain.retrieval(pixel_model(), images, distance="euclidean", k=1)
    np.testing.assert_array_equal(straight.array[:, 0], [2, 0, 3, 2])
    np.testing.assert_allclose(straight.distances[1, 0], 65**0.5, rtol=1e-6)
    assert straight.right is None and straight.precision is None


def test_a_gallery_is_searched_for_images_of_the_class(tmp_path):
    result = explain.retrieval(pixel_model(), X[:6], LABELS[:6], X[6:], LABELS[6:], k=6)
    assert (LABELS[6:][result.array] == LABELS[:6, None]).all()
    assert (result.precision, result.mean_average_precision) == (1, 1)
    assert result.save(tmp_path / "nearest.png").exists()


def test_each_image_is_searched_among_the_others():
    result = explain.retrieval(pixel_model(), X, LABELS, k=8)
    assert not (result.array == np.arange(24)[:, None]).any()
    assert result.precision == 7 / 8  # there are seven others of the class
    assert result.mean_average_precision == 1


def test_average_precision_is_scikit_learns():
    relevant = RNG.random((30, 40)) < RNG.random((30, 1))
    relevant[0] = False
    relevant[1:, 0] |= ~relevant[1:].any(axis=1)
    values = average_precisions(relevant)
    assert np.isnan(values[0])
    ranks = -np.arange(40)
    expected = [average_precision_score(row, ranks) for row in relevant[1:]]
    np.testing.assert_allclose(values[1:], expected)


def by_brightness(units):
    """Class 0 for dark pixels in the mean, 1 for bright ones; 2 for no image."""
    chain = [L.Flatten(), L.Dense(units, activation="sigmoid" if units == 1 else "softmax")]
    model = Sequential(chain, (2, 2, 1), device="cpu")
    kernel, bias = (parameter.value for parameter in model.parameters)
    kernel[...], bias[...] = ([-1, 1, 0][:units], [0, 0, -9][:units]) if units > 1 else (1, 0)
    return model


@pytest.mark.parametrize("units", [1, 3])
def test_the_worst_confusions_are_shown_surest_first(units, tmp_path):
    brightness = np.array([-1, 0.5, 2, 1, 1, -3, 4], np.float32)
    labels = [0, 0, 0, 0, 1, 1, 1]
    x = np.broadcast_to(brightness[:, None, None, None], (7, 2, 2, 1))
    result = explain.confusions(by_brightness(units), x, labels)
    expected = np.zeros((max(units, 2),) * 2)
    expected[:2, :2] = [[1, 3], [1, 2]]
    np.testing.assert_array_equal(result.array, expected)
    assert result.pairs == [(0, 1), (1, 0)]
    assert [positions.tolist() for positions in result.positions] == [[2, 3, 1], [5]]
    assert result.save(tmp_path / "confusions.png").exists()
    right = explain.confusions(by_brightness(units), x[4:5], [1])
    assert right.pairs == [] and right.save(tmp_path / "right.png").exists()


ONE_LAYER = Sequential([L.Dense(2, activation="softmax")], (4,))
REFUSED = {
    "few images": (lambda: explain.embedding(pixel_model(), X[:3]), "at least 4"),
    "no labels": (lambda: explain.embedding(pixel_model(), X, LABELS / 2), "a label, a whole"),
    "no images": (lambda: explain.retrieval(ONE_LAYER, X), "a model of images"),
    "half of the labels": (lambda: explain.retrieval(pixel_model(), X, LABELS, X), "one of them"),
    "one image": (lambda: explain.retrieval(pixel_model(), X[:1]), "none beside the query"),
    "a strange distance": (
        lambda: explain.retrieval(pixel_model(), X, distance="manhattan"),
        "cosine",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_apply_says_why(case):
    call, message = REFUSED[case]
    with pytest.raises(ValueError, match=message):
        call()
