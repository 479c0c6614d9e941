"""What trackers of experiments are told, and in TensorBoard's case what stands in its files."""

from __future__ import annotations

import struct
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from tensorboardX.proto.event_pb2 import Event

import fastcnn
from fastcnn import cli, layers
from fastcnn.callbacks import Callback, MLflowLogger, TensorBoard, WandbLogger
from fastcnn.cli.resolve.run_folder import RunFolder


def trained(callback, epochs=3, **options):
    """The history of a training with validation after epoch 2 alone, told to a callback."""
    rng = np.random.default_rng(0)
    x, y = rng.random((20, 4), np.float32), rng.integers(0, 3, 20)
    model = fastcnn.Sequential([layers.Dense(3, activation="softmax")], (4,), name="net")
    model.compile("adam", "sparse_categorical_crossentropy", ["accuracy"])
    settings = {"validation_split": 0.25, "validation_freq": 2, "verbose": 0} | options
    return model.fit(x, y, epochs=epochs, callbacks=callback, **settings).history


def events(folder):
    """The events of TensorBoard's files: a length, its checksum, a message, its checksum."""
    for path in sorted(folder.glob("events*")):
        content, start = path.read_bytes(), 0
        while start < len(content):
            (length,) = struct.unpack_from("<Q", content, start)
            yield Event.FromString(content[start + 12 : start + 12 + length])
            start += 16 + length


def scalars(folder):
    """{tag: {step: value}}."""
    values = {}
    for event in events(folder):
        for entry in event.summary.value:
            if entry.WhichOneof("value") == "simple_value":
                values.setdefault(entry.tag, {})[event.step] = entry.simple_value
    return values


def test_tensorboard_reads_training_and_validation_under_one_name(tmp_path):
    history = trained(TensorBoard(tmp_path))
    train, validation = scalars(tmp_path / "train"), scalars(tmp_path / "validation")
    assert train.keys() == {"epoch_loss", "epoch_accuracy", "epoch_learning_rate"}
    assert [*train["epoch_loss"].values()] == pytest.approx(history["loss"])
    assert train["epoch_learning_rate"] == pytest.approx({0: 0.001, 1: 0.001, 2: 0.001})
    assert validation.keys() == {"epoch_loss", "epoch_accuracy"}
    assert validation["epoch_loss"] == {1: pytest.approx(history["val_loss"][1])}
    texts = [e for event in events(tmp_path / "train") for e in event.summary.value if e.tensor]
    text = next(e for e in texts if e.tag.startswith("settings")).tensor.string_val[0].decode()
    assert "optimizer: adam" in text
    assert "parameters: 15" in text


def test_a_resumed_training_takes_the_place_of_the_same_epochs(tmp_path):
    trained(TensorBoard(tmp_path), epochs=2)
    trained(TensorBoard(tmp_path), epochs=3, initial_epoch=1)
    starts = [event.step for event in events(tmp_path / "train") if event.HasField("session_log")]
    assert starts == [1]
    assert set(scalars(tmp_path / "train")["epoch_loss"]) == {0, 1, 2}


def test_a_folder_that_cannot_be_written_is_found_before_the_training(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        trained(TensorBoard(tmp_path / "file"))


class FakeMLflow:
    """Notes the calls of MLflow's functions; a run is active where `active` is set."""

    def __init__(self, active=None, params=()):
        self.calls, self.active = [], active
        self.run = SimpleNamespace(
            info=SimpleNamespace(run_id="7"), data=SimpleNamespace(params=dict(params))
        )

    def active_run(self):
        return self.active and self.run

    def get_run(self, run_id):
        return self.run

    def start_run(self, run_name):
        self.calls.append(("start_run", run_name))
        return self.run

    def __getattr__(self, name):
        def call(*arguments, **named):
            self.calls.append((name, *arguments, *named.values()))

        return call


def test_mlflow_is_told_settings_once_and_values_by_epoch(monkeypatch):
    mlflow = FakeMLflow()
    monkeypatch.setitem(sys.modules, "mlflow", mlflow)
    history = trained(MLflowLogger("digits", "first"))
    names = [name for name, *_ in mlflow.calls]
    assert names == ["set_experiment", "start_run", "log_params", *["log_metrics"] * 3, "end_run"]
    assert mlflow.calls[:2] == [("set_experiment", "digits"), ("start_run", "first")]
    assert mlflow.calls[2][1].items() >= {"optimizer": "adam", "beta_1": 0.9, "epochs": 3}.items()
    _, values, step, run = mlflow.calls[4]
    expected = {name: column[1] for name, column in history.items()} | {"learning_rate": 0.001}
    assert (values, step, run) == (pytest.approx(expected), 1, "7")
    assert mlflow.calls[3][1].keys() == {"loss", "accuracy", "learning_rate"}


def test_an_active_run_of_mlflow_is_gone_on_with(monkeypatch):
    mlflow = FakeMLflow(active=True, params={"epochs": "9"})
    monkeypatch.setitem(sys.modules, "mlflow", mlflow)
    trained(MLflowLogger("digits"), epochs=1)
    assert [name for name, *_ in mlflow.calls] == ["log_params", "log_metrics"]
    assert "epochs" not in mlflow.calls[0][1]


class FakeWandb:
    """A run of wandb's that notes what it is told; active where `active` is set."""

    def __init__(self, active=False):
        self.run = self if active else None
        self.config, self.calls = self, []

    def init(self, **named):
        self.calls.append(("init", named))
        return self

    def update(self, settings, allow_val_change):
        self.calls.append(("config", settings))

    def log(self, values):
        self.calls.append(("log", values))

    def finish(self, exit_code):
        self.calls.append(("finish", exit_code))


def test_wandb_is_told_settings_once_and_values_by_epoch(monkeypatch):
    wandb = FakeWandb()
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    history = trained(WandbLogger("digits", "first"))
    names = [name for name, *_ in wandb.calls]
    assert names == ["init", "config", *["log"] * 3, "finish"]
    assert wandb.calls[0] == ("init", {"project": "digits", "name": "first"})
    expected = {name: column[1] for name, column in history.items()}
    expected |= {"learning_rate": 0.001, "epoch": 1}
    assert wandb.calls[3] == ("log", pytest.approx(expected))


def test_an_active_run_of_wandb_stays_open(monkeypatch):
    wandb = FakeWandb(active=True)
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    trained(WandbLogger(), epochs=1)
    assert [name for name, *_ in wandb.calls] == ["config", "log"]


class Failing(Callback):
    def on_epoch_end(self, epoch, logs=None):
        raise RuntimeError("full")


def test_a_run_that_an_error_ended_is_closed_as_failed(monkeypatch):
    wandb, mlflow = FakeWandb(), FakeMLflow()
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    monkeypatch.setitem(sys.modules, "mlflow", mlflow)
    loggers = [WandbLogger(), MLflowLogger()]
    with pytest.raises(RuntimeError, match="full"):
        trained([*loggers, Failing()])
    assert wandb.calls[-1] == ("finish", 1) and mlflow.calls[-1] == ("end_run", "FAILED")
    trained(loggers, epochs=1)
    assert wandb.calls[-1] == ("finish", 0) and mlflow.calls[-1] == ("end_run", "FINISHED")


@pytest.mark.parametrize("hook", ["on_train_begin", "on_epoch_end", "on_train_end"])
def test_every_callback_is_told_that_the_training_failed(hook):
    class Closing(Callback):
        def on_train_failed(self, error):
            self.error = error
            raise OSError("gone")

    class Raising(Callback):
        pass

    def full(self, *arguments):
        raise RuntimeError("full")

    setattr(Raising, hook, full)
    first, last = Closing(), Closing()
    with pytest.raises(RuntimeError, match="full") as raised:
        trained([first, Raising(), last], epochs=1)
    assert first.error is last.error is raised.value
    assert sum("OSError: gone" in note for note in raised.value.__notes__) == 2


TRACKERS = [
    (TensorBoard, "tensorboardX", "tensorboard"),
    (MLflowLogger, "mlflow", "mlflow"),
    (WandbLogger, "wandb", "wandb"),
]


@pytest.mark.parametrize(("logger", "package", "extra"), TRACKERS)
def test_a_missing_package_is_said_when_the_callback_is_made(logger, package, extra, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=rf"{package}: pip install 'fastcnn\[{extra}\]'"):
        logger()


def test_the_command_logs_beside_its_other_files(tmp_path, capsys, monkeypatch):
    rng = np.random.default_rng(0)
    data = tmp_path / "data.npz"
    x, y = rng.integers(0, 255, (40, 8, 8, 1), np.uint8), np.arange(40) % 2
    np.savez(data, x_train=x, y_train=y, x_test=x[:8], y_test=y[:8])
    run = tmp_path / "run"
    command = ["train", "--model", "linear-classifier", "--data", str(data), "--epochs", "1"]
    assert cli.main([*command, "--out", str(run), "--log", "tensorboard"]) == 0
    assert scalars(run / "tensorboard" / "train")["epoch_loss"].keys() == {0}
    monkeypatch.setitem(sys.modules, "wandb", None)
    assert cli.main([*command, "--out", f"{tmp_path}/other", "--log", "wandb"]) == 2
    assert "pip install 'fastcnn[wandb]'" in capsys.readouterr().err
    assert not (tmp_path / "other").exists()


def test_a_folder_that_takes_the_place_of_another_brings_its_logs(tmp_path):
    old, new = RunFolder(tmp_path / "old"), RunFolder(tmp_path / "new")
    for folder in (old, new):
        folder.logs.mkdir(parents=True)
        (folder.logs / folder.path.name).write_text("")
    new.take_the_place_of(old)
    assert [path.name for path in old.logs.iterdir()] == ["new"]
    assert not new.path.exists()
