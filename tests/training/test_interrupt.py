"""Ctrl-C in fit: the running step is finished, the epoch's record kept, and it says so at once."""

from __future__ import annotations

import os
import signal

import numpy as np
import pytest
from fake_model import FakeModel, toy
from test_training import fit

from fastcnn.callbacks import LambdaCallback
from fastcnn.training.trainer import Trainer
from fastcnn.utils.interrupt import NOTE


def press(times=1):
    for _ in range(times):
        os.kill(os.getpid(), signal.SIGINT)


def test_ctrl_c_ends_the_epoch_cleanly(capsys):
    model, events = FakeModel(), []
    model.engine().on_step = lambda step: press() if step == 14 else None
    history = fit(
        model,
        batch_size=3,
        epochs=9,
        verbose=2,
        validation_data=toy(6),
        callbacks=LambdaCallback(
            on_epoch_end=lambda epoch, logs: events.append(("end", epoch)),
            on_epoch_interrupted=lambda epoch, logs: events.append(("cut", epoch)),
            on_train_end=lambda logs: events.append("over"),
        ),
    )
    assert history.interrupted
    assert history.epoch == [0, 1]
    # The running step finished.
    assert model.state.step == 15 and len(model.engine().seen) == 45
    assert np.isfinite(history.history["loss"]).all()
    assert np.isnan(history.history["val_loss"]).tolist() == [False, True]
    assert {len(values) for values in history.history.values()} == {2}
    assert events == [("end", 0), ("cut", 1), "over"]
    assert model.epoch == 1
    *_, line, note = capsys.readouterr().err.splitlines()
    assert line.startswith("Epoch 2/9, cut short") and "val_loss" not in line
    assert note.startswith("Interrupted")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ctrl_c_in_the_validation_finishes_the_epoch():
    model = FakeModel()
    history = fit(
        model,
        epochs=3,
        validation_data=toy(6),
        callbacks=LambdaCallback(on_test_begin=lambda logs: press()),
    )
    assert history.interrupted and history.epoch == [0] and model.epoch == 1
    assert np.isfinite(history.history["val_loss"]).all()


def test_ctrl_c_in_the_last_step_begins_no_validation():
    model, begun = FakeModel(), []
    model.engine().on_step = lambda step: press() if step == 1 else None
    validation = {"validation_data": toy(6), "batch_size": 15, "epochs": 3}
    history = fit(model, **validation, callbacks=LambdaCallback(on_test_begin=begun.append))
    assert history.interrupted and not begun and model.epoch == 0
    assert np.isnan(history.history["val_loss"]).all() and len(model.engine().seen) == 30
    # Without one, the epoch has reached its end.
    model = FakeModel()
    model.engine().on_step = lambda step: press() if step == 1 else None
    assert fit(model, batch_size=15, epochs=3).interrupted and model.epoch == 1


def test_ctrl_c_before_the_first_step_takes_none(capsys):
    """The first step compiles kernels."""

    class Slow:
        def __iter__(self):
            press()
            yield toy()

    model = FakeModel()
    history = Trainer.fit(model, Slow(), workers=0, verbose=2)
    assert history.interrupted and not history.epoch and not model.engine().seen
    assert "Epoch" not in capsys.readouterr().err


def test_ctrl_c_is_answered_at_once(capsys):
    model, told = FakeModel(), []

    def step(number):
        if number == 0:
            press()
            told.append(capsys.readouterr().err)

    model.engine().on_step = step
    fit(model)
    assert told == [f"\n{NOTE}\n"] and "again to stop at once" in NOTE


def test_second_ctrl_c_raises():
    model = FakeModel()
    model.engine().on_step = lambda step: press(2)
    with pytest.raises(KeyboardInterrupt):
        fit(model)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_anothers_handler_is_left_alone():
    pressed = []
    mine = signal.signal(signal.SIGINT, lambda *args: pressed.append(1))
    try:
        model = FakeModel()
        model.engine().on_step = lambda step: press() if step == 0 else None
        assert not fit(model).interrupted
    finally:
        signal.signal(signal.SIGINT, mine)
    assert pressed == [1]
