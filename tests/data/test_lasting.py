"""What must not be lost: answers between threads, and the last good weights."""

from __future__ import annotations

import multiprocessing
import os
import random
import time

import numpy as np
import pytest
from building import build, images
from threads import run_together

import fastcnn
from fastcnn import layers as L
from fastcnn import optimizers
from fastcnn.callbacks import LambdaCallback, ModelCheckpoint

STEPS = 2  # an epoch of the trainings that are killed
KILLED = np.random.default_rng(0).random((64, 50), np.float32), np.zeros((64, 3), np.float32)


def test_threads_that_predict_on_one_model_get_their_own_answers():
    model = build((8, 8, 3), [L.Conv2D(5, 3, activation="relu"), L.Flatten(), L.Dense(4)], "mse")
    batches = [images(4, (8, 8, 3)) * (i + 1) for i in range(4)]
    expected = [model.predict(x) for x in batches]
    wrong = []

    def ask(i):
        for _ in range(200):
            if not np.array_equal(model.predict(batches[i]), expected[i]):
                wrong.append(i)

    run_together(ask, [(i,) for i in range(4)])
    assert not wrong


@pytest.mark.filterwarnings("ignore:fit. the model expects values near 1")
def test_an_update_that_overflows_leaves_the_weights_of_the_epochs_start():
    model = build((6, 6, 1), [L.Conv2D(3, 3), L.Flatten(), L.Dense(3)], "mse")
    model.compile(optimizers.SGD(3e38), "mse")
    x, y = images(16, (6, 6, 1)) * 1e3, np.zeros((16, 3), np.float32)
    before = model.get_weights()
    with pytest.raises(fastcnn.NonFiniteError, match=r"start of the epoch"):
        model.fit(x, y, batch_size=4, epochs=3, verbose=0)
    assert model.state.step == 0
    for one, other in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_error_names_the_layer_inside_a_branch():
    layers = [L.Residual([L.Conv2D(1, 1, name="inner")]), L.Flatten(), L.Dense(2)]
    model = build((4, 4, 1), layers, "mse")
    model.layer("inner").parameters[0].value[...] = np.inf
    with pytest.raises(fastcnn.NonFiniteError, match=r"inner") as caught:
        model.train_on_batch(images(2, (4, 4, 1)), np.zeros((2, 2), np.float32))
    assert caught.value.layer.endswith("inner")


def _train(path, steps):
    """Train for ever, from the checkpoint if there is one; send the step before each is saved."""
    if os.path.exists(path):
        model = fastcnn.load(path)
    else:
        model = fastcnn.Sequential([L.Dense(64), L.Dense(3)], input_shape=(50,))
        model.compile("adam", "mse")

    said = LambdaCallback(on_epoch_end=lambda epoch, logs: steps.send(model.state.step))
    model.fit(*KILLED, epochs=10**6, verbose=0, callbacks=[said, ModelCheckpoint(path)])


@pytest.mark.skipif(os.name != "posix", reason="a process of POSIX is killed")
@pytest.mark.parametrize("kills", [4, pytest.param(10, marks=pytest.mark.exhaustive)])
def test_a_training_killed_at_any_moment_goes_on_from_its_checkpoint(kills, tmp_path):
    """Trainings each of which goes on where the one before it was killed."""
    path = tmp_path / "model.h5"
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(["fastcnn", __name__])
    waits, step = random.Random(5), 0
    for _ in range(kills):
        receiver, sender = processes.Pipe(duplex=False)
        training = processes.Process(target=_train, args=(path, sender))
        training.start()
        sender.close()
        for epoch in range(waits.randint(1, 4)):
            assert receiver.recv() == step + STEPS * (epoch + 1)
        time.sleep(waits.uniform(0, 0.02))
        training.kill()
        training.join()
        left = [one.name for one in tmp_path.iterdir() if one != path]
        assert len(left) <= 1 and all(name.endswith(".partial") for name in left)
        if path.exists():
            reached = fastcnn.load(path).state.step
            assert reached >= step + STEPS * epoch and reached % STEPS == 0
            step = reached
        else:
            assert not step and not epoch
    model = fastcnn.load(path)
    history = model.fit(*KILLED, verbose=0, callbacks=[ModelCheckpoint(path)])
    assert np.isfinite(history.history["loss"]).all()
    assert list(tmp_path.iterdir()) == [path]
    assert fastcnn.load(path).state.step == step + STEPS
