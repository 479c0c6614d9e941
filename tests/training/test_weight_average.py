"""The exponential moving average of the weights: `use_ema` of the optimizers."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import fastcnn
from fastcnn import callbacks, optimizers
from fastcnn import layers as L

RNG = np.random.default_rng(0)
X = RNG.standard_normal((24, 4, 4, 2)).astype(np.float32)
Y = RNG.integers(0, 3, 24)


def model(optimizer):
    made = fastcnn.Sequential(
        [L.Conv2D(3, 3), L.BatchNormalization(), L.Flatten(), L.Dense(3), L.Softmax()],
        input_shape=(4, 4, 2),
        seed=1,
    )
    made.compile(optimizer, "sparse_categorical_crossentropy", ["accuracy"])
    return made


def same(received, expected, atol=0.0):
    for one, other in zip(received, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=atol)


def averages_of_steps(momentum, steps, optimizer=optimizers.SGD):
    """The weights and statistics after each step without an average, and their average by
    Keras's rule: that of the first step are these weights themselves."""
    plain = model(optimizer(0.1))
    trained, average = [], None
    for step in range(steps):
        plain.train_on_batch(X[4 * step : 4 * step + 4], Y[4 * step : 4 * step + 4])
        weights = [w.astype(np.float64) for w in plain.get_weights()]
        trained.append(weights)
        average = weights if average is None else average
        average = [momentum * a + (1 - momentum) * w for a, w in zip(average, weights, strict=True)]
    return trained, average


@pytest.mark.parametrize("optimizer", [optimizers.SGD, optimizers.Adam])
def test_fit_ends_with_the_averages_and_a_step_goes_on_from_the_trained_weights(optimizer):
    trained, average = averages_of_steps(0.8, 6, optimizer)
    averaged = model(optimizer(0.1, use_ema=True, ema_momentum=0.8))
    averaged.fit(X, Y, batch_size=4, shuffle=False, verbose=0)
    same(averaged.get_weights(), average, atol=1e-6)
    averaged.state.use_trained()
    same(averaged.get_weights(), trained[-1], atol=1e-6)


def test_batches_do_not_change_what_is_learnt():
    plain, averaged = model("adam"), model(optimizers.Adam(use_ema=True))
    for _ in range(3):
        plain.train_on_batch(X, Y)
        averaged.train_on_batch(X, Y)
    same(averaged.get_weights(), plain.get_weights())


def test_validation_and_callbacks_see_the_averages():
    averaged = model(optimizers.SGD(0.5, use_ema=True, ema_momentum=0.9))
    seen = []
    note = callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: seen.append(
            (logs["val_loss"], averaged.evaluate(X, Y)[0], averaged.get_weights())
        )
    )
    averaged.fit(X, Y, batch_size=8, epochs=2, validation_data=(X, Y), verbose=0, callbacks=note)
    for told, measured, _ in seen:
        assert told == pytest.approx(measured, rel=1e-6)
    same(seen[-1][2], averaged.get_weights())


def test_a_loaded_training_goes_on_as_if_it_had_not_ended(tmp_path):
    once, twice = (model(optimizers.Adam(0.05, use_ema=True, ema_momentum=0.9)) for _ in range(2))
    once.fit(X, Y, batch_size=8, epochs=3, verbose=0)
    twice.fit(X, Y, batch_size=8, epochs=1, verbose=0)
    twice.save(tmp_path / "half.h5")
    loaded = fastcnn.load(tmp_path / "half.h5")
    same(loaded.get_weights(), twice.get_weights())
    for other in (loaded, copy.deepcopy(twice)):
        other.fit(X, Y, batch_size=8, epochs=3, initial_epoch=1, verbose=0)
        same(other.get_weights(), once.get_weights())
    once.state.use_trained()
    loaded.state.use_trained()
    same(loaded.get_weights(), once.get_weights())


def test_a_file_in_the_middle_of_an_epoch_has_both(tmp_path):
    averaged = model(optimizers.SGD(0.1, use_ema=True))
    for _ in range(2):
        averaged.train_on_batch(X, Y)
    averaged.save(tmp_path / "model.h5")
    loaded = fastcnn.load(tmp_path / "model.h5")
    same(loaded.get_weights(), averaged.get_weights())
    for one in (averaged, loaded):
        one.state.use_averages()
    same(loaded.get_weights(), averaged.get_weights())


def test_weights_that_are_set_while_averages_are_in_use_stay():
    averaged = model(optimizers.SGD(1e-12, use_ema=True))
    averaged.fit(X, Y, epochs=1, verbose=0)
    others = [np.ones_like(weights) for weights in averaged.get_weights()]
    averaged.set_weights(others)
    averaged.train_on_batch(X, Y)
    same(averaged.get_weights()[:1], others[:1])
    averaged.state.use_averages()
    same(averaged.get_weights()[:1], others[:1], atol=1e-6)


def test_a_file_of_weights_that_were_set_goes_on_as_the_model_does(tmp_path):
    averaged = model(optimizers.SGD(0.1, use_ema=True))
    averaged.fit(X, Y, batch_size=8, verbose=0)
    averaged.set_weights([np.full_like(weights, 0.5) for weights in averaged.get_weights()])
    averaged.save(tmp_path / "model.h5")
    loaded = fastcnn.load(tmp_path / "model.h5")
    for one in (averaged, loaded):
        one.fit(X, Y, batch_size=8, epochs=2, initial_epoch=1, verbose=0)
    same(loaded.get_weights(), averaged.get_weights())


def test_frozen_layers_stay_as_they_are():
    averaged = model(optimizers.SGD(0.5, use_ema=True))
    averaged.layers[0].trainable = averaged.layers[1].trainable = False
    averaged.fit(X, Y, batch_size=8, verbose=0)
    averaged.layers[0].parameters[0].value[...] = 3
    averaged.fit(X, Y, batch_size=8, epochs=2, initial_epoch=1, verbose=0)
    assert (averaged.layers[0].parameters[0].value == 3).all()


def test_the_averages_overwrite_the_weights_every_so_often():
    averaged = model(optimizers.SGD(0.1, use_ema=True, ema_momentum=0.8, ema_overwrite_frequency=3))
    for step in range(3):
        averaged.train_on_batch(X[4 * step : 4 * step + 4], Y[4 * step : 4 * step + 4])
    _, average = averages_of_steps(0.8, 3)
    kinds = [parameter.kind for parameter in averaged.parameters]
    pairs = zip(averaged.get_weights(), average, kinds, strict=True)
    same(*zip(*((w, a) for w, a, kind in pairs if kind == "weight"), strict=True), atol=1e-6)


def test_it_goes_with_accumulated_gradients():
    options = {"use_ema": True, "ema_momentum": 0.8}
    whole = model(optimizers.SGD(0.1, **options))
    parts = model(optimizers.SGD(0.1, **options, gradient_accumulation_steps=2))
    for made in (whole, parts):
        made.layers[1].trainable = False  # whose statistics differ by the size of a batch
    whole.fit(X, Y, batch_size=8, verbose=0)
    parts.fit(X, Y, batch_size=4, verbose=0)
    same(parts.get_weights(), whole.get_weights(), atol=1e-6)


def test_a_new_optimizer_begins_with_what_there_is():
    averaged = model(optimizers.SGD(0.5, use_ema=True))
    averaged.fit(X, Y, verbose=0)
    weights = averaged.get_weights()
    averaged.compile(optimizers.SGD(0.5), averaged.loss)
    averaged.state.use_trained()
    same(averaged.get_weights(), weights)
