"""Each callback against Keras's rules, on a stand-in model with logs made up for the test."""

from __future__ import annotations

import csv
import math
import os
import signal
import stat
import subprocess
import sys

import numpy as np
import pytest
from fake_model import FakeModel, NonFiniteError, toy

import fastcnn
from fastcnn import TrainingWarning, metrics, optimizers, schedules
from fastcnn.callbacks import (
    Callback,
    CSVLogger,
    EarlyStopping,
    LambdaCallback,
    LearningRateScheduler,
    ModelCheckpoint,
    ReduceLROnPlateau,
)
from fastcnn.callbacks.callback import HOOKS, CallbackList
from fastcnn.training.trainer import Trainer

NAN = math.nan


class Script(Callback):
    """Puts values of its own in place of val_loss, one an epoch."""

    def __init__(self, *values):
        self.values = values

    def on_epoch_end(self, epoch, logs=None):
        logs["val_loss"] = self.values[epoch]


def run(values, *callbacks, model=None, **options):
    """A fit whose val_loss is `values`; the model and its history."""
    model = model or FakeModel()
    history = Trainer.fit(
        model,
        *toy(),
        **{
            "epochs": len(values),
            "verbose": 0,
            "validation_data": toy(6),
            "callbacks": [Script(*values), *callbacks],
            **options,
        },
    )
    return model, history


class Everything(Callback):
    """Overrides every hook and writes down what comes."""

    def __init__(self):
        self.calls = []
        for hook in HOOKS:
            setattr(self, hook, lambda *arguments, hook=hook: self.calls.append((hook, *arguments)))


def test_hooks_come_in_order_with_their_arguments():
    every = Everything()
    history = Trainer.fit(
        FakeModel(),
        *toy(),
        batch_size=16,
        epochs=2,
        verbose=0,
        validation_data=toy(20),
        callbacks=every,
    )
    test = ["on_test_begin", *["on_test_batch_begin", "on_test_batch_end"] * 2, "on_test_end"]
    steps = ["on_train_batch_begin", "on_train_batch_end"] * 2
    epoch = ["on_epoch_begin", *steps, *test, "on_epoch_end"]
    assert [call[0] for call in every.calls] == [
        "on_train_begin",
        *epoch,
        *epoch,
        "on_train_end",
    ]
    ends = [call for call in every.calls if call[0] == "on_epoch_end"]
    assert [call[1] for call in ends] == [0, 1]
    assert [call[2]["val_loss"] for call in ends] == history.history["val_loss"]
    batches = [call for call in every.calls if call[0] == "on_train_batch_end"]
    assert [call[1] for call in batches] == [0, 1, 0, 1]
    assert batches[3][2]["loss"] == pytest.approx(history.history["loss"][1])
    assert every.calls[-1][1] == ends[-1][2]


def test_only_overridden_hooks_are_called():
    class Quiet(Callback):
        def on_epoch_end(self, epoch, logs=None):
            pass

    hooks = CallbackList([Quiet(), Callback(), LambdaCallback(on_train_batch_end=print)])
    assert [len(hooks[name]) for name in ("on_epoch_end", "on_train_batch_end")] == [1, 1]
    assert not any(
        hooks[name] for name in HOOKS if name not in ("on_epoch_end", "on_train_batch_end")
    )


def test_params_tell_what_comes():
    callback = Callback()
    model = FakeModel()
    Trainer.fit(
        model,
        *toy(),
        batch_size=7,
        epochs=4,
        initial_epoch=3,
        verbose=0,
        validation_split=0.1,
        callbacks=[callback, LearningRateScheduler(lambda epoch: 0.1)],
    )
    assert callback.model is model
    assert callback.params == {
        "epochs": 4,
        "initial_epoch": 3,
        "steps": 4,
        "verbose": 0,
        "metrics": ["loss", "accuracy", "val_loss", "val_accuracy", "learning_rate"],
    }


@pytest.mark.parametrize("hook", ["on_epoch_end", "on_train_batch_end", "on_test_end"])
def test_a_callback_may_stop_the_training(hook):
    """After the epoch that runs."""
    model = FakeModel()

    def stop(*arguments):
        model.stop_training = model.epoch == 1

    _, history = run([1.0] * 5, LambdaCallback(**{hook: stop}), model=model)
    assert len(history.epoch) == (1 if hook == "on_epoch_end" else 2)
    assert not history.interrupted


@pytest.mark.parametrize(
    ("options", "values", "epochs"),
    [
        ({"patience": 0}, [3, 2, 2, 1], 3),
        ({"patience": 1}, [3, 2, 2, 1], 3),
        ({"patience": 2}, [3, 2, 2, 1, 5, 5, 0], 6),
        ({"patience": 2}, [3, NAN, NAN, 1], 3),
        ({"min_delta": 0.5, "patience": 1}, [3, 2.6, 2], 2),
        ({"mode": "max", "patience": 1}, [3, 2, 4], 2),
        ({"baseline": 1.0, "patience": 2}, [3, 2.9, 2.8, 2.7, 2.7], 5),
        ({"baseline": 1.0, "patience": 2}, [3, 2, 2, 0], 3),
        ({"start_from_epoch": 2, "patience": 1}, [1, 2, 3, 4, 5], 4),
    ],
)
def test_early_stopping(options, values, epochs):
    _, history = run(values, EarlyStopping(**options))
    assert len(history.epoch) == epochs


@pytest.mark.parametrize("values", [[3, 1, 2, 2], [3, 1, 2]])
def test_early_stopping_restores_the_best_weights(values, capsys):
    """Whether it stopped the training (first case) or not."""
    weights = []
    model = FakeModel()
    keep = LambdaCallback(on_epoch_end=lambda epoch, logs: weights.append(model.get_weights()))
    early = EarlyStopping(patience=2, restore_best_weights=True, verbose=1)
    _, history = run(values, keep, early, model=model)
    assert len(history.epoch) == len(values)
    assert np.array_equal(model.weights, weights[1][0])
    assert not np.array_equal(model.weights, weights[-1][0])
    assert "epoch 2" in capsys.readouterr().err


def test_early_stopping_can_be_used_again():
    early = EarlyStopping(patience=1)
    for _ in range(2):
        assert len(run([1, 2, 3], early)[1].epoch) == 2


def test_mode_auto_knows_the_metrics_direction():
    early = EarlyStopping(monitor="val_accuracy")
    run([1], early)
    assert early.direction == "max"


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({}, ["01.h5", "02.h5", "03.h5", "04.h5"]),
        ({"save_best_only": True}, ["01.h5", "03.h5"]),
        ({"save_best_only": True, "mode": "max"}, ["01.h5", "02.h5"]),
        ({"save_best_only": True, "initial_value_threshold": 2.0}, ["03.h5"]),
    ],
)
def test_model_checkpoint(options, names, tmp_path):
    path = tmp_path / "deep" / "folder" / "{epoch:02d}.h5"
    model, _ = run([3, 4, 1, NAN], ModelCheckpoint(path, **options))
    assert [name for _, name, _ in model.saved] == names
    assert all(kind == "model" and epoch == int(name[:2]) for kind, name, epoch in model.saved)
    assert sorted(file.name for file in path.parent.iterdir()) == names


def test_model_checkpoint_weights_and_names_of_logs(tmp_path, capsys):
    path = tmp_path / "{epoch}-{val_loss:.2f}.h5"
    model, _ = run([0.5], ModelCheckpoint(path, save_weights_only=True, verbose=1))
    assert model.saved == [("weights", "1-0.50.h5", 1)]
    assert "1-0.50.h5" in capsys.readouterr().err


def test_model_checkpoint_survives_a_loss_that_is_not_finite(tmp_path):
    model = FakeModel()

    def poison(step):
        if step == 5:
            model.weights[...] = np.nan

    model.engine().on_step = poison
    with pytest.raises(NonFiniteError):
        run([3, 2, 1], ModelCheckpoint(tmp_path / "m{epoch}.h5"), model=model, batch_size=10)
    assert [name for _, name, _ in model.saved] == ["m1.h5"]
    with np.load(tmp_path / "m1.h5") as file:
        assert all(np.isfinite(file[name]).all() for name in file.files)


def test_learning_rate_scheduler(capsys):
    by_epoch = LearningRateScheduler(lambda epoch: 0.1 / (epoch + 1), verbose=1)
    _, history = run([1] * 3, by_epoch)
    assert history.history["learning_rate"] == pytest.approx([0.1, 0.05, 0.1 / 3])
    assert "Epoch 2: learning rate 0.05." in capsys.readouterr().err
    model, history = run([1] * 3, LearningRateScheduler(lambda epoch, rate: rate * 0.5))
    assert history.history["learning_rate"] == [0.25, 0.125, 0.0625]
    assert model.optimizer.learning_rate == 0.0625


@pytest.mark.parametrize(
    ("options", "values", "rates"),
    [
        ({"patience": 1}, [3, 2, 2, 2, 1], [1, 1, 1, 0.5, 0.25]),
        ({"patience": 2}, [3, 3, 3, 3, 3, 3], [1, 1, 1, 0.5, 0.5, 0.25]),
        ({"patience": 1, "cooldown": 2}, [3, 3, 3, 3, 3, 3], [1, 1, 0.5, 0.5, 0.25, 0.25]),
        ({"patience": 1, "min_lr": 0.4}, [3, 3, 3, 3], [1, 1, 0.5, 0.4]),
        ({"patience": 1, "min_delta": 1.0}, [3, 2.5, 2.4], [1, 1, 0.5]),
        ({"patience": 1}, [3, 2.99995, 2.9999], [1, 1, 0.5]),
        ({"patience": 1, "mode": "max"}, [3, 2, 4], [1, 1, 0.5]),
    ],
)
def test_reduce_on_plateau(options, values, rates):
    """The rates with which each epoch was trained."""
    _, history = run(values, ReduceLROnPlateau(factor=0.5, **options), model=FakeModel(rate=1.0))
    assert history.history["learning_rate"] == rates


def test_reduce_on_plateau_says_so(capsys):
    run([1, 1], ReduceLROnPlateau(patience=1, factor=0.5, verbose=1), model=FakeModel(rate=1.0))
    assert "Epoch 2: learning rate reduced to 0.5." in capsys.readouterr().err


def rows(path, separator=","):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file, delimiter=separator))


def as_history(path, separator=","):
    """A CSV file as epochs and a dict of lists of floats."""
    found = rows(path, separator)
    names = [name for name in found[0] if name != "epoch"]
    return (
        [int(row["epoch"]) for row in found],
        {name: [float(row[name]) for row in found] for name in names},
    )


@pytest.mark.parametrize("separator", [",", ";"])
def test_csv_file_equals_the_history(tmp_path, separator):
    path = tmp_path / "made" / "history.csv"
    path.parent.mkdir()
    path.write_text("an old file")
    logger = CSVLogger(path, separator=separator)
    rate = ReduceLROnPlateau(patience=1)
    _, history = run([3, 3, 1 / 3], rate, logger)
    assert as_history(path, separator) == (history.epoch, history.history)
    assert list(rows(path, separator)[0]) == ["epoch", *history.history]


def test_csv_is_appended_on_resume(tmp_path):
    """Rows of epochs that are trained again are replaced: the file is one training's history."""
    path = tmp_path / "history.csv"
    whole = FakeModel()
    one = Trainer.fit(whole, *toy(), epochs=5, verbose=0)
    model = FakeModel()
    log = [CSVLogger(path, append=True)]
    Trainer.fit(model, *toy(), epochs=2, verbose=0, callbacks=log)
    weights, step = model.get_weights(), model.state.step
    Trainer.fit(model, *toy(), epochs=4, verbose=0, callbacks=log, initial_epoch=2)
    # As after a crash: back to the checkpoint of epoch 2.
    model.set_weights(weights)
    model.state.step = step
    Trainer.fit(model, *toy(), epochs=5, verbose=0, callbacks=log, initial_epoch=2)
    assert as_history(path) == (one.epoch, one.history)


def test_csv_has_the_row_of_an_interrupted_epoch(tmp_path):
    path = tmp_path / "history.csv"
    model = FakeModel()
    model.engine().on_step = lambda step: step == 4 and os.kill(os.getpid(), signal.SIGINT)
    history = Trainer.fit(
        model,
        *toy(),
        batch_size=10,
        epochs=9,
        verbose=0,
        validation_data=toy(6),
        callbacks=[CSVLogger(path), ModelCheckpoint(tmp_path / "{epoch}.h5")],
    )
    epochs, values = as_history(path)
    assert history.interrupted and epochs == history.epoch == [0, 1]
    assert np.array_equal(list(values.values()), list(history.history.values()), equal_nan=True)
    # A cut epoch is no point to resume from.
    assert [name for _, name, _ in model.saved] == ["1.h5"]


def test_a_callback_may_add_logs_of_its_own(tmp_path):
    class Extra(Callback):
        log_names = ("extra",)

        def on_epoch_end(self, epoch, logs=None):
            logs["extra"] = float(epoch % 2)

    path = tmp_path / "history.csv"
    early = EarlyStopping(monitor="extra", mode="min", patience=1)
    history = Trainer.fit(
        FakeModel(), *toy(), epochs=5, verbose=0, callbacks=[Extra(), early, CSVLogger(path)]
    )
    assert history.history["extra"] == [0.0, 1.0]
    assert as_history(path) == (history.epoch, history.history)


WRONG_ARGUMENTS = [
    (lambda: EarlyStopping(mode="down"), ValueError, "mode must be 'auto'.*'down'"),
    (lambda: EarlyStopping(patience=-1), ValueError, "EarlyStopping: patience.*-1"),
    (lambda: ReduceLROnPlateau(factor=1.0), ValueError, "ReduceLROnPlateau: factor.*1"),
    (lambda: ReduceLROnPlateau(min_lr=-1.0), ValueError, "min_lr"),
    (lambda: LearningRateScheduler(0.1), TypeError, "must be a function. Received 0.1"),
    (lambda: LambdaCallback(on_epoch=print), ValueError, "no hook is called 'on_epoch'"),
    (lambda: LambdaCallback(on_epoch_end=3), TypeError, "must be a function. Received 3"),
]


@pytest.mark.parametrize(("make", "kind", "words"), WRONG_ARGUMENTS)
def test_wrong_arguments_are_refused(make, kind, words):
    with pytest.raises(kind, match=words):
        make()


def scheduled():
    model = FakeModel()
    model.optimizer = optimizers.SGD(schedules.ExponentialDecay(0.5, 4, 0.5))
    return model


WRONG_FITS = [
    (EarlyStopping(), "EarlyStopping: monitor.*loss, accuracy.*'val_loss'. Give fit validation"),
    (EarlyStopping("val_los"), "'val_los'. Did you mean 'val_loss', for which fit needs valid"),
    (EarlyStopping("acc"), r"'acc'. Did you mean 'accuracy'\?"),
    (ReduceLROnPlateau("val_acc"), "'val_acc'. Did you mean 'val_accuracy', for which"),
    (ModelCheckpoint("{epoch}.h5", save_best_only=True), "ModelCheckpoint: monitor.*'val_loss'"),
    (ModelCheckpoint("{step}.h5"), "filepath may hold.*epoch, loss, accuracy.*{step}"),
    (ModelCheckpoint("{}.h5"), "filepath may hold"),
]


@pytest.mark.parametrize(("callback", "words"), WRONG_FITS)
def test_a_callback_that_cannot_work_is_refused_before_training(callback, words, tmp_path):
    path = tmp_path / "history.csv"
    path.write_text("an old file")
    model = FakeModel()
    with pytest.raises(ValueError, match=words):
        Trainer.fit(model, *toy(), verbose=0, callbacks=[CSVLogger(path), callback])
    assert model.state.step == 0
    assert path.read_text() == "an old file"


@pytest.mark.parametrize(
    "callback",
    [ReduceLROnPlateau("loss"), LearningRateScheduler(lambda epoch, rate: rate)],
)
def test_a_schedule_cannot_be_changed_by_a_callback(callback):
    with pytest.raises(ValueError, match="Received the schedule ExponentialDecay"):
        Trainer.fit(scheduled(), *toy(), verbose=0, callbacks=[callback])


def test_a_direction_that_is_not_known_must_be_given():
    class Extra(Callback):
        log_names = ("extra",)

    with pytest.raises(ValueError, match="mode must be 'min' or 'max' for monitor 'extra'"):
        Trainer.fit(FakeModel(), *toy(), verbose=0, callbacks=[Extra(), EarlyStopping("extra")])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("epoch,loss\n0,1.0\n", "columns.*epoch, loss, accuracy"),
        ("epoch,loss,accuracy\nx,1,1\n", "'x'"),
    ],
)
def test_appending_to_another_file_is_refused(text, words, tmp_path):
    path = tmp_path / "history.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=words):
        Trainer.fit(FakeModel(), *toy(), verbose=0, callbacks=CSVLogger(path, append=True))
    assert path.read_text() == text


@pytest.mark.parametrize("rate", [0.0, -1.0, NAN])
def test_a_scheduler_must_return_a_rate(rate):
    with pytest.raises(ValueError, match=f"Received {rate} for epoch 0"):
        Trainer.fit(
            FakeModel(), *toy(), verbose=0, callbacks=LearningRateScheduler(lambda epoch: rate)
        )


def test_a_monitor_that_is_nearly_there_is_named():
    for monitor in (EarlyStopping, ReduceLROnPlateau):
        words = r"val_loss, val_accuracy.*. Received 'val_acc'. Did you mean 'val_accuracy'\?$"
        with pytest.raises(ValueError, match=words):
            run([1.0], monitor("val_acc"))


def test_an_epoch_that_did_not_measure_the_monitor_changes_nothing(tmp_path):
    """As with a validation of every second epoch."""

    class Forget(Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch % 2:
                del logs["val_loss"]

    best = ModelCheckpoint(tmp_path / "{epoch}.h5", save_best_only=True)
    each = ModelCheckpoint(tmp_path / "each-{val_loss}.h5", save_weights_only=True)
    path = tmp_path / "history.csv"
    stopping = EarlyStopping(patience=2)
    model = FakeModel()
    Trainer.fit(
        model,
        *toy(),
        epochs=9,
        verbose=0,
        validation_data=toy(6),
        callbacks=[
            Script(3, 9, 2, 9, 2, 9, 2, 9, 1),
            Forget(),
            best,
            each,
            stopping,
            CSVLogger(path),
        ],
    )
    assert [name for kind, name, _ in model.saved if kind == "model"] == ["1.h5", "3.h5"]
    assert (tmp_path / "each-nan.h5").exists()
    assert [row["val_loss"] for row in rows(path)] == [
        *("3.0", "nan", "2.0", "nan", "2.0", "nan", "2.0")
    ]


def test_a_checkpoint_remembers_its_best_from_fit_to_fit(tmp_path):
    best = ModelCheckpoint(tmp_path / "best.h5", save_best_only=True)
    model, _ = run([3, 2], best)
    run([5, 2.5], best, model=model)
    assert [epoch for _, _, epoch in model.saved] == [1, 2]
    run([5, 1.5], best, model=model)
    assert len(model.saved) == 3


def test_a_better_file_of_an_earlier_training_is_not_replaced_silently(tmp_path):
    path = tmp_path / "best.h5"
    run([2], ModelCheckpoint(path, save_best_only=True))
    again = ModelCheckpoint(path, save_best_only=True)
    with pytest.warns(TrainingWarning, match="best.h5' is there.*initial_value_threshold"):
        run([3], again)
    model, _ = run([3], ModelCheckpoint(path, save_best_only=True, initial_value_threshold=2.0))
    assert not model.saved


@pytest.mark.parametrize("options", [{"monitor": "val_loss"}, {"initial_value_threshold": 1.0}])
def test_a_checkpoint_of_every_epoch_watches_nothing(options):
    with pytest.warns(TrainingWarning, match="no effect without save_best_only=True"):
        ModelCheckpoint("best.h5", **options)


class OwnMetric(metrics.Metric):
    direction = "max"

    def __init__(self, name, limit):
        super().__init__(name)

    def reset(self):
        pass

    def update(self, batch, y, weight):
        pass

    def result(self):
        return 0.0


def unsavable():
    model = fastcnn.Sequential([fastcnn.layers.Dense(2)], input_shape=(3,))
    model.compile("sgd", "mse")
    model._metrics = model.metrics = [OwnMetric("own", 3)]  # its configuration lacks the limit
    return model


def test_what_cannot_be_saved_is_refused_before_the_first_epoch(tmp_path):
    model = unsavable()
    x, y = np.zeros((4, 3), np.float32), np.zeros((4, 2), np.float32)
    words = "cannot be saved.*OwnMetric"
    with pytest.raises(ValueError, match=words):
        model.fit(x, y, verbose=0, callbacks=ModelCheckpoint(tmp_path / "m.h5"))
    assert model.state.step == 0 and not list(tmp_path.iterdir())


def test_a_checkpoint_that_cannot_be_written_is_refused_before_the_first_epoch(tmp_path):
    (tmp_path / "file").write_text("")
    for path, words in (
        (tmp_path / "file" / "m.h5", "there is no folder"),
        (tmp_path, "it is a folder"),
        ("/dev/null", "not a regular file"),
    ):
        model = FakeModel()
        for callback in (ModelCheckpoint(path), CSVLogger(path)):
            if (type(callback), path) == (CSVLogger, "/dev/null"):
                continue
            with pytest.raises(OSError, match=words):
                Trainer.fit(model, *toy(), verbose=0, callbacks=callback)
        assert model.state.step == 0


def test_a_csv_file_behind_a_link_is_written_there(tmp_path):
    path, link = tmp_path / "real.csv", tmp_path / "link.csv"
    path.write_text("an old file")
    link.symlink_to(path)
    _, history = run([3, 2], CSVLogger(link))
    assert link.is_symlink() and as_history(path) == (history.epoch, history.history)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["link.csv", "real.csv"]


def test_csv_rows_go_to_a_fifo_as_they_come(tmp_path):
    path = tmp_path / "fifo"
    os.mkfifo(path)
    with pytest.raises(OSError, match="nobody reads it"):
        run([3], CSVLogger(path))
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    _, history = run([3, 2], CSVLogger(path))
    header, *lines = os.read(reader, 9999).decode().splitlines()
    os.close(reader)
    assert header == ",".join(["epoch", *history.history]) and len(lines) == 2
    assert stat.S_ISFIFO(path.stat().st_mode)


def test_csv_rows_go_to_standard_output(tmp_path):
    """Which may be a file: it is not replaced, and what was written before stays."""
    code = "import test_callbacks as t; print('before', flush=True); "
    code += "t.run([3, 2], t.CSVLogger('/dev/stdout'))"
    path = tmp_path / "log"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with open(path, "wb") as file:
        subprocess.run(
            [sys.executable, "-c", code], stdout=file, env=environment, check=True, timeout=300
        )
    before, header, *lines = path.read_text().splitlines()
    assert before == "before" and header.startswith("epoch,loss") and len(lines) == 2
