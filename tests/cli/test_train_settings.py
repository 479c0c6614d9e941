"""Settings of `fastcnn train` that end a training, change its rate or weights, or are in a file."""

from __future__ import annotations

import csv
import json
import sys
import tomllib
import types

import numpy as np
import pytest

import fastcnn
from fastcnn import schedules
from fastcnn.cli import main
from fastcnn.cli.options.train_settings import Settings
from fastcnn.cli.report import outcome
from fastcnn.cli.resolve import kept_settings

NET = """
import fastcnn
from fastcnn.layers import Dense, Flatten, Rescaling
layers = [Rescaling(1 / 255), Flatten(), Dense(2, activation="softmax")]
model = fastcnn.Sequential(layers, input_shape=(4, 4, 1), seed=1)
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(NET)
    x = np.random.default_rng(0).integers(0, 256, (30, 4, 4, 1), np.uint8)
    np.savez("set.npz", x_train=x, y_train=(x.mean((1, 2, 3)) > 128).astype(int), x_test=x[:4],
             y_test=np.array([0, 1, 0, 1]), class_names=np.array(["dark", "light"]))  # fmt: skip
    return tmp_path


def train(capsys, *words, code=0):
    line = ["train", "--model", "net.py", "--data", "set.npz", *map(str, words), "--json"]
    assert main(line) == code
    out, err = capsys.readouterr()
    return json.loads(out) if code == 0 else err


def settings(folder="runs/train"):
    with open(f"{folder}/settings.toml", "rb") as file:
        return tomllib.load(file)


def optimizer(folder="runs/train"):
    return fastcnn.load(f"{folder}/last.h5").optimizer


def test_patience_ends_a_training_that_stands_still(place, capsys):
    report = train(capsys, "--epochs", 30, "--lr", 1e-12, "--patience", 3)
    assert 4 <= report["epochs"] < 30


@pytest.mark.parametrize("option", [("--patience", 2), ("--schedule", "plateau")])
def test_what_looks_at_validation_needs_it(place, capsys, option):
    err = train(capsys, *option, "--validation-split", 0, code=2)
    assert "needs images to validate on" in err


def test_schedules_reach_0_in_the_last_epoch(place, capsys):
    for schedule, kind in (("cosine", "CosineDecay"), ("linear", "PolynomialDecay")):
        train(capsys, "--epochs", 3, "--schedule", schedule, "--lr", 0.01, "--out", schedule)
        rate = optimizer(schedule).learning_rate
        assert isinstance(rate, getattr(schedules, kind))
        assert rate(0) == pytest.approx(0.01)
        assert rate(3) == pytest.approx(0, abs=1e-9)  # 27 images are a batch


def test_the_rate_rises_first_where_it_is_asked_to(place, capsys):
    words = ("--epochs", 6, "--schedule", "cosine", "--warmup-epochs", 2, "--batch-size", 9)
    train(capsys, *words, "--lr", 0.06)
    rates = [optimizer().learning_rate(step) for step in range(18)]
    assert np.argmax(rates) == 6 and rates[6] == pytest.approx(0.06) and rates[0] < 0.02
    assert "goes with --schedule cosine" in train(capsys, "--warmup-epochs", 2, code=2)
    assert "fewer than" in train(capsys, "--warmup-epochs", 3, "--epochs", 3, code=2)


def test_plateau_lowers_the_rate(place, capsys):
    train(capsys, "--epochs", 9, "--schedule", "plateau", "--lr", 1e-9)
    with open("runs/train/history.csv", encoding="utf-8") as file:
        rates = [float(row["learning_rate"]) for row in csv.DictReader(file)]
    assert rates[-1] < rates[0]


def test_gradients_are_clipped_and_weights_decay(place, capsys):
    train(capsys, "--epochs", 1, "--clip-norm", 0.5, "--weight-decay", 0.01)
    assert (optimizer().global_clipnorm, optimizer().weight_decay) == (0.5, pytest.approx(0.01))


def test_batches_are_accumulated_weights_averaged_and_labels_smoothed(place, capsys):
    options = "--gradient-accumulation-steps", 2, "--ema", 0.9, "--label-smoothing", 0.1
    train(capsys, "--epochs", 1, *options)
    trained = fastcnn.load("runs/train/last.h5")
    config = trained.optimizer.get_config() | trained.loss.get_config()
    assert (config["gradient_accumulation_steps"], config["use_ema"]) == (2, True)
    assert config["ema_momentum"] == pytest.approx(0.9)
    assert config["label_smoothing"] == pytest.approx(0.1)
    best = fastcnn.load("runs/train/model.h5")
    for kept, last in zip(best.get_weights(), trained.get_weights(), strict=True):
        np.testing.assert_array_equal(kept, last)


@pytest.mark.parametrize(
    ("text", "words"), [("lihgt=2", "Did you mean 'light'"), ("dark=x", "not 'x'"), ("2", "NAME=")]
)
def test_class_weights_that_are_none(place, capsys, text, words):
    assert words in train(capsys, "--class-weight", text, code=2)


def test_class_weights_change_what_is_learned(place, capsys):
    losses = {}
    for weights in ("balanced", "dark=1,light=1", "dark=0.01,light=9"):
        train(capsys, "--epochs", 2, "--class-weight", weights, "--out", weights)
        losses[weights] = (place / weights / "history.csv").read_text()
    assert len(set(losses.values())) == 3


def test_a_run_is_repeated_from_its_own_settings(place, capsys, monkeypatch):
    words = ("--epochs", 2, "--lr", 0.02, "--schedule", "cosine", "--set", "optimizer.beta_1=0.8")
    train(capsys, *words, "--set", "batch_size=9")
    assert settings()["optimizer_options"] == {"beta_1": 0.8}
    monkeypatch.chdir(place / "runs/train")  # as the report says it
    assert main(["train", "--config", "settings.toml", "--out", "../../again"]) == 0
    monkeypatch.chdir(place)
    assert settings("again") == settings()
    first, second = (fastcnn.load(f"{run}/model.h5") for run in ("runs/train", "again"))
    for one, other in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_command_line_goes_before_set_and_set_before_a_file(place, capsys):
    (place / "a.toml").write_text(
        'batch-size = 5\nlr = 0.5\nepochs = 1\n[optimizer]\nname = "sgd"\nmomentum = 0.9\n'
    )
    train(capsys, "--config", "a.toml", "--set", "lr=0.25", "--set", "seed=3", "--seed", 4)
    kept = settings()
    assert (kept["batch_size"], kept["lr"], kept["seed"]) == (5, 0.25, 4)
    assert kept["optimizer"] == "sgd" and optimizer().momentum == pytest.approx(0.9)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("epoch = 3", "Did you mean 'epochs'"),
        ("epochs = [", "is not valid TOML: what is wrong is at its end"),
        ("lr = 1\nepochs = x", "at line 2, column 10"),
        (" ", "is empty. Write settings by name"),
        ("[optimizer]\nbeta_9 = 1", "beta_9"),
    ],
)
def test_a_config_that_is_wrong_is_told(place, capsys, content, words):
    (place / "a.toml").write_text(content)
    assert words in train(capsys, "--config", "a.toml", code=2)
    assert not (place / "runs").exists()


def test_a_config_says_by_its_ending_how_it_is_written(place, capsys, monkeypatch):
    (place / "a.yaml").write_text("lr: 0.5\n")
    monkeypatch.setitem(sys.modules, "yaml", None)
    said = train(capsys, "--config", "a.yaml", code=2)
    assert "takes PyYAML to read" in said and "Write it as .toml or .json" in said
    read = {"lr": "5e-1", "optimizer": {"name": "sgd", "momentum": "9e-1"}}
    monkeypatch.setitem(sys.modules, "yaml", types.SimpleNamespace(safe_load=lambda text: read))
    train(capsys, "--config", "a.yaml", "--epochs", 1)
    assert (settings()["lr"], settings()["optimizer_options"]) == (0.5, {"momentum": 0.9})
    assert "must end in .toml, .json" in train(capsys, "--config", "net.py", code=2)


@pytest.mark.parametrize(
    ("kept", "asked"),
    [("validation = 0.2", ("--validation-data", "others.npz")),
     ('validation_data = "others.npz"', ("--validation-split", 0.2))],
)  # fmt: skip
def test_images_to_validate_on_that_are_asked_for_replace_those_of_a_file(
    place, capsys, kept, asked
):
    (place / "set.npz").rename("others.npz")
    with np.load("others.npz") as arrays:
        np.savez("set.npz", **arrays)
    (place / "kept.toml").write_text(f"epochs = 1\n{kept}\n")
    train(capsys, "--config", "kept.toml", *asked)
    name = asked[0].removeprefix("--").replace("validation-split", "validation").replace("-", "_")
    values = settings()
    assert values[name] and {"validation", "validation_data"} & values.keys() == {name}


def test_settings_of_any_text_come_back(place):
    texts = ['"quoted" \\ back', "new\nline", "\x7f\x01", "蟻 é", "\udcff"]
    options = {"beta 1": 0.5, "b": 1e-30, "c": True, "d": [1, 2.0], "e": {"f": float("inf")}}
    wanted = Settings(augment=texts, optimizer_options=options, lr=1e-07, image_size=[3, 4])
    path = place / "settings.toml"
    path.write_text(kept_settings.text(wanted, {"lr": texts[0]}), "utf-8", kept_settings.ERRORS)
    assert kept_settings.read(path) == (wanted, {"lr": texts[0]})


def test_a_folder_that_cannot_be_is_told_before_anything_else(place, capsys):
    said = train(capsys, "--out", "net.py", "--init", "nowhere.h5", code=2)
    assert said == "fastcnn train: --out: 'net.py' is not a folder. Name another one.\n"


def test_a_training_that_ctrl_c_ended_says_so_by_its_status(place, capsys, monkeypatch):
    def interrupted(model, folder, images, history, *rest):
        history.interrupted = True
        return report(model, folder, images, history, *rest)

    report = outcome.reported
    monkeypatch.setattr(outcome, "reported", interrupted)
    train(capsys, "--epochs", 1, code=130)


def test_values_of_a_config_are_checked_as_options_are(place, capsys):
    (place / "a.toml").write_text("epochs = 0")
    with pytest.raises(SystemExit) as ended:
        main(["train", "--config", "a.toml"])
    assert ended.value.code == 2 and "at least 1, not '0'" in capsys.readouterr().err


def test_a_falling_rate_is_not_resumed_beyond_its_end(place, capsys):
    train(capsys, "--epochs", 2, "--schedule", "cosine")
    err = train(capsys, "--resume", "--epochs", 5, code=2)
    assert "falls to 0 in epoch 2" in err


def test_a_falling_rate_may_be_resumed_up_to_less_than_its_end(place, capsys):
    words = ("--schedule", "cosine", "--epochs")
    train(capsys, *words, 1, "--out", "whole")
    text = (place / "whole/settings.toml").read_text().replace("epochs = 1", "epochs = 9")
    (place / "whole/settings.toml").write_text(text)
    assert main(["train", "--out", "whole", "--resume", "--epochs", "3"]) == 0
    assert len((place / "whole/history.csv").read_text().splitlines()) == 4


def test_data_that_moved_are_named_anew(place, capsys):
    train(capsys, "--epochs", 1)
    train(capsys, "--epochs", 2, "--resume")  # by relative paths, as before
    (place / "copy.npz").write_bytes((place / "set.npz").read_bytes())
    words = ("--resume", "--epochs", "3", "--data", "copy.npz")
    assert main(["train", *words]) == 2 and "training's own" in capsys.readouterr().err
    (place / "set.npz").unlink()
    assert main(["train", *words]) == 0


def test_a_resumed_training_goes_on_waiting(place, capsys):
    """Patience and the plateau's count are those of one training, as are rates and stops."""
    words = ("--schedule", "plateau", "--patience", 7, "--optimizer", "sgd", "--lr", 30)
    whole = train(capsys, *words, "--epochs", 40)
    train(capsys, *words, "--epochs", 6, "--out", "parts")
    for epochs in (8, 40):
        assert main(["train", "--out", "parts", "--resume", "--epochs", str(epochs)]) == 0
        said = capsys.readouterr().err
    assert "stopped early" in said and whole["epochs"] > 10
    rows = (place / "runs/train/history.csv").read_text()
    assert len({row.split(",")[-1] for row in rows.splitlines()}) > 2  # rates
    assert (place / "parts/history.csv").read_text() == rows
