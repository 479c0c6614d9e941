"""The learning-rate range test."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import fastcnn
from fastcnn import layers as L
from fastcnn import optimizers

X = np.random.default_rng(0).standard_normal((64, 6)).astype(np.float32)
Y = (X @ np.arange(6, dtype=np.float32))[:, None]


def model(optimizer="sgd"):
    made = fastcnn.Sequential([L.Dense(1)], input_shape=(6,), seed=1)
    made.compile(optimizer, "mse")
    return made


def test_the_model_stays_as_it_is():
    made, twin = model(optimizers.Adam(0.02)), model(optimizers.Adam(0.02))
    for one in (made, twin):
        one.fit(X, Y, epochs=1, verbose=0)
    fastcnn.find_learning_rate(made, X, Y, steps=20)
    assert (made.epoch, made.state.step, made.optimizer.learning_rate) == (
        twin.epoch,
        twin.state.step,
        twin.optimizer.learning_rate,
    )
    for one in (made, twin):
        one.fit(X, Y, epochs=2, initial_epoch=1, verbose=0)
    for received, expected in zip(made.get_weights(), twin.get_weights(), strict=True):
        np.testing.assert_array_equal(received, expected)


def test_it_ends_where_the_loss_diverges_and_suggests_a_rate_that_trains():
    """Gradient descent on a parabola whose curvature is about 2 diverges above a rate of 1."""
    test = fastcnn.find_learning_rate(model(), X, Y, start=1e-4, end=100.0, steps=80)
    assert len(test.rates) < 80
    assert np.isfinite(test.losses).all()
    np.testing.assert_allclose(np.diff(np.log(test.rates)), np.log(1e6) / 79)
    assert 0.01 < test.suggestion < 1
    trained = model(optimizers.SGD(test.suggestion))
    history = trained.fit(X, Y, epochs=20, verbose=0)
    assert history.history["loss"][-1] < 0.01 * test.losses[0]


def test_a_fall_within_the_noise_of_batches_suggests_nothing():
    labels = np.random.default_rng(1).standard_normal((64, 1)).astype(np.float32)
    test = fastcnn.find_learning_rate(model(), X, labels, 4, start=1e-9, end=1e-6, steps=40)
    assert test.smoothed.min() < test.smoothed[0]
    assert test.suggestion is None


def test_it_ends_where_a_loss_is_not_finite():
    test = fastcnn.find_learning_rate(model(), X, Y, start=1e30, end=1e38, steps=20)
    assert len(test.rates) == len(test.losses) < 20
    assert test.suggestion is None


def test_the_picture_is_written(tmp_path):
    test = fastcnn.find_learning_rate(model(), X, Y, start=1e-4, steps=20)
    test.plot(save=tmp_path / "rates.png")
    assert (tmp_path / "rates.png").stat().st_size > 1000


def test_what_is_no_range_is_refused():
    made = model()
    before = copy.deepcopy(made).get_weights()
    with pytest.raises(ValueError, match="end"):
        fastcnn.find_learning_rate(made, X, Y, start=0.1, end=0.01)
    with pytest.raises(ValueError, match="steps"):
        fastcnn.find_learning_rate(made, X, Y, steps=3)
    np.testing.assert_array_equal(made.get_weights()[0], before[0])
