"""What a training leaves to be resumed from is always a finished epoch."""

from __future__ import annotations

import signal

import numpy as np
import pytest
from building import build, images

import fastcnn
from fastcnn import layers as L
from fastcnn.cli.resolve import checkpoints
from fastcnn.cli.resolve.checkpoints import LastEpoch


class Explosion(fastcnn.callbacks.Callback):
    """Keeps the weights of each epoch's end, and lets the fourth epoch diverge or stop."""

    def __init__(self, interrupted):
        super().__init__()
        self.interrupted, self.ends = interrupted, {}

    def on_epoch_end(self, epoch, logs=None):
        self.ends[epoch] = [parameter.value.copy() for parameter in self.model.parameters]
        if epoch == 2 and not self.interrupted:
            self.model.optimizer.learning_rate = 1e12

    def on_train_batch_end(self, batch, logs=None):
        if len(self.ends) == 3 and batch == 1 and self.interrupted:
            signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("interrupted", [False, True])
@pytest.mark.parametrize("seconds", [0.0, 1000.0])
def test_the_file_holds_the_weights_of_the_epoch_that_it_names(
    interrupted, seconds, tmp_path, monkeypatch
):
    monkeypatch.setattr(checkpoints, "SECONDS", seconds)
    x, y = images(32, (4, 4, 1)), np.arange(32) % 3
    model = build((4, 4, 1), [L.Flatten(), L.Dense(8, activation="relu"), L.Dense(3)])
    model.compile("sgd", fastcnn.losses.SparseCategoricalCrossentropy(from_logits=True))
    explosion, file = Explosion(interrupted), tmp_path / "last.h5"
    try:
        model.fit(x, y, epochs=6, batch_size=8, verbose=0, callbacks=[explosion, LastEpoch(file)])
    except fastcnn.NonFiniteError:
        assert not interrupted
    saved = fastcnn.load(file)
    assert saved.epoch == (3 if not seconds else 1)
    for parameter, expected in zip(saved.parameters, explosion.ends[saved.epoch - 1], strict=True):
        assert np.array_equal(parameter.value, expected)
