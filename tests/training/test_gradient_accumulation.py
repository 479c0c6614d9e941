"""Gradient accumulation: several batches, one update."""

from __future__ import annotations

import numpy as np
import pytest

import fastcnn
from fastcnn import callbacks, optimizers, schedules
from fastcnn import layers as L

RNG = np.random.default_rng(0)
X = RNG.standard_normal((40, 8, 8, 1)).astype(np.float32)
Y = RNG.integers(0, 5, 40)


def model(optimizer, dropout=0.0, normalized=False):
    made = fastcnn.Sequential(
        [
            *[L.Conv2D(4, 3, activation="relu", kernel_regularizer="l2"), L.MaxPooling2D()],
            *([L.BatchNormalization()] if normalized else []),
            *[L.Flatten(), L.Dropout(dropout), L.Dense(5), L.Softmax()],
        ],
        input_shape=(8, 8, 1),
        seed=3,
    )
    made.compile(optimizer, "sparse_categorical_crossentropy", ["accuracy"])
    return made


OPTIMIZERS = [
    (optimizers.SGD, {"momentum": 0.9, "clipvalue": 0.02}),
    (optimizers.Adam, {"global_clipnorm": 0.1}),
    (optimizers.RMSprop, {"weight_decay": 0.01}),
]


@pytest.mark.parametrize("kind, options", OPTIMIZERS, ids=["sgd", "adam", "rmsprop"])
def test_four_batches_learn_what_one_of_four_times_the_size_does(kind, options):
    """Also the two batches that an epoch leaves over."""
    whole = model(kind(0.01, **options))
    parts = model(kind(0.01, gradient_accumulation_steps=4, **options))
    whole.fit(X, Y, batch_size=16, epochs=2, verbose=0)
    parts.fit(X, Y, batch_size=4, epochs=2, verbose=0)
    assert whole.state.step == parts.state.step == 6
    for expected, received in zip(whole.get_weights(), parts.get_weights(), strict=True):
        np.testing.assert_allclose(received, expected, rtol=0, atol=1e-6)


def test_sample_weights_count_as_in_a_whole_batch():
    weights = RNG.uniform(0, 2, 40).astype(np.float32)
    whole = model(optimizers.SGD(0.1))
    parts = model(optimizers.SGD(0.1, gradient_accumulation_steps=4))
    whole.fit(X, Y, batch_size=40, sample_weight=weights, verbose=0)
    parts.fit(X, Y, batch_size=10, sample_weight=weights, verbose=0)
    for expected, received in zip(whole.get_weights(), parts.get_weights(), strict=True):
        np.testing.assert_allclose(received, expected, rtol=0, atol=1e-6)


def test_schedules_count_updates():
    rates = []
    rate = schedules.PiecewiseConstantDecay([0, 1], [0.5, 0.25, 0.125])
    parts = model(optimizers.SGD(rate, gradient_accumulation_steps=2))
    note = callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: rates.append(
            parts.optimizer.learning_rate_at(parts.state.step)
        )
    )
    parts.fit(X, Y, batch_size=10, verbose=0, callbacks=note)
    assert rates == [0.5, 0.5 / 2, 0.5 / 2, 0.5 / 4]


def test_weights_wait_for_the_last_batch_of_a_group_and_statistics_do_not():
    parts = model(optimizers.SGD(0.1, gradient_accumulation_steps=3), normalized=True)
    trained = [p for p in parts.parameters if p.kind == "weight"]
    moving = [p for p in parts.parameters if p.kind == "moving"]
    before = [p.value.copy() for p in trained]
    for batch in range(3):
        statistics = [p.value.copy() for p in moving]
        assert all((p.value == b).all() for p, b in zip(trained, before, strict=True))
        parts.train_on_batch(X[batch : batch + 8], Y[batch : batch + 8])
        assert all((p.value != s).any() for p, s in zip(moving, statistics, strict=True))
    assert all((p.value != b).any() for p, b in zip(trained, before, strict=True))
    assert parts.state.step == 1


def test_every_batch_of_a_group_drops_out_other_units():
    parts = model(optimizers.SGD(1e-12, gradient_accumulation_steps=4), dropout=0.5)
    losses = {parts.train_on_batch(X[:8], Y[:8])[0] for _ in range(4)}
    assert len(losses) == 4


def test_a_batch_that_is_not_finite_ends_its_group():
    parts = model(optimizers.SGD(0.1, gradient_accumulation_steps=2))
    before = parts.get_weights()
    parts.train_on_batch(X[:8], Y[:8])
    with pytest.raises(fastcnn.NonFiniteError):
        parts.train_on_batch(np.full_like(X[:8], 3e38), Y[:8])
    parts.train_on_batch(X[8:16], Y[8:16])
    assert parts.state.step == 0
    parts.train_on_batch(X[16:24], Y[16:24])
    assert parts.state.step == 1
    whole = model(optimizers.SGD(0.1))
    whole.set_weights(before)
    whole.train_on_batch(X[8:24], Y[8:24])
    for expected, received in zip(whole.get_weights(), parts.get_weights(), strict=True):
        np.testing.assert_allclose(received, expected, rtol=0, atol=1e-6)


def test_a_set_number_of_batches_counts_from_the_next_on():
    parts = model(optimizers.SGD(0.1))
    parts.train_on_batch(X[:8], Y[:8])
    parts.optimizer.gradient_accumulation_steps = 2
    parts.train_on_batch(X[:8], Y[:8])
    assert parts.state.step == 1
    parts.train_on_batch(X[:8], Y[:8])
    assert parts.state.step == 2
    parts.optimizer.gradient_accumulation_steps = None
    parts.train_on_batch(X[:8], Y[:8])
    assert parts.state.step == 3


def test_it_is_saved_and_a_training_goes_on_as_if_it_had_not_ended(tmp_path):
    once, twice = (model(optimizers.Adam(0.01, gradient_accumulation_steps=3)) for _ in range(2))
    once.fit(X, Y, batch_size=8, epochs=2, verbose=0)
    twice.fit(X, Y, batch_size=8, epochs=1, verbose=0)
    twice.save(tmp_path / "half.h5")
    loaded = fastcnn.load(tmp_path / "half.h5")
    assert loaded.optimizer.gradient_accumulation_steps == 3
    loaded.fit(X, Y, batch_size=8, epochs=2, initial_epoch=1, verbose=0)
    for expected, received in zip(once.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(received, expected)


@pytest.mark.parametrize("steps, error", [(1, ValueError), (0, ValueError), (2.5, TypeError)])
def test_a_number_of_batches_below_two_is_refused(steps, error):
    with pytest.raises(error, match="gradient_accumulation_steps"):
        optimizers.SGD(gradient_accumulation_steps=steps)
