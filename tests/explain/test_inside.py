"""Filters, maps, patches and receptive fields of nets whose right answer is known."""

from __future__ import annotations

import numpy as np
import planted
import pytest
from building import assert_close, build, images

from fastcnn import Sequential, explain
from fastcnn import layers as L
from fastcnn.graph.receptive_field import receptive_fields

X = planted.images()


@pytest.fixture(scope="module")
def model():
    return planted.model()


def test_filters_are_the_layers_kernels(model):
    array = explain.filters(model).array
    assert array.shape == (2, 3, 3, 1)
    np.testing.assert_array_equal(array[0, ..., 0], planted.PATTERN)


def test_the_first_images_maps_are_shown(model):
    maps = explain.feature_maps(model, X).array
    np.testing.assert_array_equal(maps, model.features(X[:1], "search")[0])
    assert np.unravel_index(maps[..., 0].argmax(), maps.shape[:2]) == planted.PLACES[0]


def test_the_best_patches_are_the_planted_ones(model):
    quiet = 0.05 * images(20, X.shape[1:])
    result = explain.top_patches(model, np.concatenate([quiet, X]), "search", [0], patches=4)
    assert sorted(result.positions[0]) == [20, 21, 22, 23]
    assert result.array.shape == (1, 4, 3, 3, 1)
    for patch, drawn in zip(result.array[0], result.deconvnet[0], strict=True):
        np.testing.assert_allclose(patch[..., 0], planted.PATTERN, atol=0.3)
        np.testing.assert_array_equal(np.sign(drawn[..., 0]), planted.PATTERN)
    assert (np.diff(result.activations[0]) <= 0).all()


DEEP = [
    L.Conv2D(3, 3, padding="same", activation="tanh"),
    L.ZeroPadding2D(1),
    L.AveragePooling2D(2),
    L.Residual([L.Conv2D(3, (3, 1), padding="same", dilation_rate=(2, 1))]),
    L.Cropping2D(1),
    L.Conv2D(2, 2, strides=2, name="last"),
]


def test_receptive_fields_are_where_gradients_are_not_zero():
    model = build((20, 20, 1), DEEP)
    program = model.program(fused=False, until="last")
    rows, columns = receptive_fields(program)[program.outputs_of["last"]]
    height, width, _ = model.output_shape
    x = images(1, (20, 20, 1))
    for i in {0, height // 2, height - 1}:
        for j in {0, width - 1}:
            gradient = model.input_gradient(x, ("last", i, j, 0))[0, ..., 0]
            touched = np.argwhere(gradient)
            expected = [np.clip(rows.at(i), 0, 20), np.clip(columns.at(j), 0, 20)]
            np.testing.assert_array_equal(touched.min(axis=0), [low for low, _ in expected])
            np.testing.assert_array_equal(touched.max(axis=0) + 1, [high for _, high in expected])


def test_a_dense_layer_sees_the_whole_image():
    model = Sequential([L.Conv2D(2, 3), L.Flatten(), L.Dense(2)], (7, 9, 1))
    program = model.program(fused=False)
    rows, columns = receptive_fields(program)[program.outputs_of["dense"]]
    assert (rows.size, columns.size) == (7, 9)


def test_the_class_wants_the_pattern():
    model = planted.model()
    model.layers[0].parameters[1].value[...] = [0, -20]  # so that noise excites it
    image = explain.class_image(model, 1, bounds=(-1, 1), steps=80, smooth=0.0, blur=0.0).array
    assert model.features(image, "search")[..., 0].max() > 8  # of 9
    blurred = explain.class_image(model, 1, bounds=(-1, 1), steps=80, smooth=0.0, blur=1.0).array
    assert np.abs(np.diff(blurred, axis=1)).mean() < 0.5 * np.abs(np.diff(image, axis=1)).mean()


def test_an_inverted_image_has_the_same_features():
    model = build((8, 8, 1), [L.Conv2D(6, 3, activation="tanh", name="maps"), L.Flatten()])
    x = np.clip(images(1, (8, 8, 1)), -1, 1)
    result = explain.inversion(model, x, ["maps"], bounds=(-1, 1), steps=300, smooth=0.0)
    assert result.errors[0] < 0.1
    assert np.abs(result.array - x).mean() < 0.2


LINEAR = Sequential([L.Flatten(), L.Dense(2, activation="softmax")], (2, 2, 1))
LINEAR.compile("sgd", "sparse_categorical_crossentropy")
LINEAR.layers[1].parameters[0].value[...] = [[1, -1], [-1, 1], [0.5, -0.5], [2, -2]]
POINTS = images(30, (2, 2, 1))
LABELS = LINEAR.predict(POINTS).argmax(axis=1)


def test_a_step_moves_each_pixel_by_epsilon_against_the_linear_classifier():
    result = explain.fgsm(LINEAR, POINTS, LABELS, epsilon=0.05, bounds=(-10, 10))
    signs = np.array([1, -1, 1, 1]).reshape(2, 2, 1) * np.where(LABELS, 1, -1).reshape(-1, 1, 1, 1)
    assert_close(result.array, POINTS + signs, "sum", "one step of 0.05 * 20")
    margins = (POINTS.reshape(30, 4) @ [1, -1, 0.5, 2]) * np.where(LABELS, -1, 1)
    np.testing.assert_array_equal(result.success, margins < 4.5)


def test_the_picture_shows_those_first_whose_class_has_changed():
    result = explain.fgsm(LINEAR, POINTS, LABELS, epsilon=0.015, bounds=(-10, 10))
    assert 8 < result.success.sum() < 30
    assert all(row[0].title != row[2].title for row in result.rows)
    share = f"{100 * result.success.mean():.0f} % of 30 taken for another class, 0 % before"
    assert result.plot().get_title("left").endswith(share)


def test_small_steps_stay_within_epsilon_and_the_bounds():
    inside = np.clip(POINTS, -2, 2)
    result = explain.pgd(LINEAR, inside, LABELS, epsilon=0.1, bounds=(-2, 2), steps=5)
    assert np.abs(result.array - inside).max() <= 0.4 + 1e-5
    assert np.abs(result.array).max() <= 2


def test_images_outside_the_bounds_are_refused():
    with pytest.raises(ValueError, match="bounds must hold all images"):
        explain.fgsm(LINEAR, POINTS, LABELS, bounds=(0, 1))


def test_a_targeted_attack_reaches_its_class():
    result = explain.pgd(LINEAR, POINTS, LABELS, epsilon=0.5, target=1, bounds=(-10, 10))
    assert result.success.all() and (result.predicted == 1).all()


def test_noise_harms_less_than_an_attack():
    curve = explain.robustness(LINEAR, POINTS, LABELS, [0, 0.05], bounds=(-10, 10)).array
    assert (curve[:, 0] == 1).all()
    assert curve[0, 1] > curve[1, 1] and curve[2, 1] <= curve[1, 1]
