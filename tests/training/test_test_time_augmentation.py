"""Outputs averaged over views of each image."""

from __future__ import annotations

import numpy as np
import pytest

import fastcnn
from fastcnn import data, losses
from fastcnn import layers as L

RNG = np.random.default_rng(0)
X = RNG.integers(0, 255, (40, 8, 8, 3)).astype(np.uint8)
FLIP = data.RandomFlip("horizontal")
MOVES = [data.RandomFlip(), data.RandomTranslation(0.2, 0.2)]


def softmax(scores):
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def sigmoid(scores):
    return 1 / (1 + np.exp(-scores))


def as_they_are(outputs):
    return outputs


def model(units, activation, loss, metrics=(), seed=0):
    dense = L.Dense(units, activation=activation, kernel_regularizer="l2")
    made = fastcnn.Sequential([L.Rescaling(1 / 255), L.Flatten(), dense], (8, 8, 3), seed=seed)
    made.compile(loss=loss, metrics=metrics)
    return made


KINDS = {
    "logits": (5, None, losses.SparseCategoricalCrossentropy(from_logits=True), softmax),
    "softmax": (5, "softmax", losses.SparseCategoricalCrossentropy(), as_they_are),
    "labels": (3, None, losses.BinaryCrossentropy(from_logits=True), sigmoid),
    "regression": (2, None, "mse", as_they_are),
}


@pytest.mark.parametrize("kind", KINDS)
def test_an_image_and_its_mirror_image_count_alike(kind):
    *settings, probabilities = KINDS[kind]
    made = model(*settings)
    received = made.predict(X, augment=FLIP)
    mirrored = probabilities(made.predict(X[:, :, ::-1]))
    expected = (probabilities(made.predict(X)) + mirrored) / 2
    assert np.abs(expected - mirrored).max() > 0.01
    np.testing.assert_allclose(probabilities(received), expected, atol=1e-6)


def test_flips_of_both_directions_take_four_turns():
    made = model(2, None, "mse")
    turns = [X, X[:, :, ::-1], X[:, ::-1], X[:, ::-1, ::-1]]
    expected = np.mean([made.predict(images) for images in turns], axis=0)
    np.testing.assert_allclose(made.predict(X, augment="random_flip"), expected, atol=1e-6)


def test_evaluate_measures_the_averaged_outputs():
    made = model(5, None, losses.SparseCategoricalCrossentropy(from_logits=True), ["accuracy"])
    y = np.arange(40) % 5
    weight = RNG.random(40).astype(np.float32)
    outputs = softmax(made.predict(X, augment=MOVES, passes=3))
    each = -np.log(outputs[np.arange(40), y])
    loss, accuracy = made.evaluate(X, y, 16, augment=MOVES, passes=3)
    assert loss == pytest.approx(each.mean() + made.penalty(), abs=1e-5)
    assert accuracy == pytest.approx(np.mean(outputs.argmax(axis=1) == y))
    loss, _ = made.evaluate(X, y, 16, sample_weight=weight, augment=MOVES, passes=3)
    assert loss == pytest.approx((weight * each).mean() + made.penalty(), abs=1e-5)


def test_one_pass_sees_the_images_as_they_are():
    made = model(2, None, "mse")
    np.testing.assert_array_equal(made.predict(X, augment=MOVES, passes=1), made.predict(X))


def test_what_is_drawn_depends_on_the_seed_and_not_on_batches():
    made, other = model(2, None, "mse"), model(2, None, "mse", seed=1)
    other.set_weights(made.get_weights())
    first = made.predict(X, augment=MOVES)
    np.testing.assert_allclose(made.predict(X, 7, MOVES), first, atol=1e-6)
    assert np.abs(other.predict(X, augment=MOVES) - first).max() > 1e-3


def test_larger_images_are_cropped_as_in_training():
    made = model(2, None, "mse")
    large = np.pad(X, ((0, 0), (1, 1), (1, 1), (0, 0)))
    crop = data.RandomCrop(8, 8)
    middle = made.predict(large, augment=crop, passes=1)
    np.testing.assert_array_equal(middle, made.predict(X))
    assert np.abs(made.predict(large, augment=crop, passes=4) - middle).max() > 1e-3


@pytest.mark.parametrize(
    ("augment", "words"),
    [(data.MixUp(), "single images"), ([], "single images"), (data.PCAColor(), "fitted")],
)
def test_what_no_single_image_can_have_is_refused(augment, words):
    with pytest.raises(ValueError, match=words):
        model(2, None, "mse").predict(X, augment=augment)


def test_an_iterable_of_batches_is_refused():
    batches = ((X[i : i + 8], np.zeros((8, 2), np.float32)) for i in range(0, 40, 8))
    made = model(2, None, "mse")
    for method in (made.predict, made.evaluate):
        with pytest.raises(ValueError, match="several times in the same order"):
            method(batches, augment=FLIP)


def test_passes_without_augmentation_are_refused():
    made = model(2, None, "mse")
    for call in (lambda: made.predict(X, passes=3), lambda: made.evaluate(X, X[:, 0], passes=3)):
        with pytest.raises(ValueError, match="passes=3 is how often images are seen, each time"):
            call()
