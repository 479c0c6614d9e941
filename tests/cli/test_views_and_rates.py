"""Test-time augmentation and the range test of learning rates, from the command line."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

import fastcnn
from fastcnn import cli, data
from fastcnn import layers as L

RNG = np.random.default_rng(0)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with a model of 8 x 8 pictures, and pictures of two classes."""
    monkeypatch.chdir(tmp_path)
    for number in range(8):
        folder = tmp_path / "photos" / ("dark", "light")[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        pixels = RNG.integers(0, 255, (8, 8, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    layers = [L.Rescaling(1 / 255), L.Flatten(), L.Dense(2, activation="softmax")]
    model = fastcnn.Sequential(layers, (8, 8, 3))
    model.compile("sgd", "sparse_categorical_crossentropy", ["accuracy"])
    model.class_names = ["dark", "light"]
    model.save("model.h5")
    return tmp_path


def report(capsys, *words):
    assert cli.main([*map(str, words), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_predict_and_evaluate_average_over_flips(place, capsys):
    model = fastcnn.load("model.h5")
    images = data.from_folder("photos", (8, 8))
    options = "--model", "model.h5", "--tta", "flip"
    expected = model.evaluate(images, augment=data.RandomFlip("horizontal"))
    received = report(capsys, "evaluate", *options, "--data", "photos")
    assert received["loss"] == pytest.approx(expected[0]) != model.evaluate(images)[0]
    assert received["accuracy"] == pytest.approx(expected[1])
    outputs = model.predict("photos/dark/0.png", augment=data.RandomFlip("horizontal"))[0]
    (entry,) = report(capsys, "predict", *options, "photos/dark/0.png")
    told = {best["name"]: best["probability"] for best in entry["classes"]}
    assert told == pytest.approx({"dark": outputs[0], "light": outputs[1]}, abs=1e-6)


@pytest.mark.parametrize(
    ("words", "reason"), [(("--passes", "3"), "--tta says"), (("--tta", "flop"), "--tta 'flop'")]
)
def test_views_that_are_none(place, capsys, words, reason):
    assert cli.main(["predict", "--model", "model.h5", *words, "photos/dark/0.png"]) == 2
    assert reason in capsys.readouterr().err


def test_train_finds_a_learning_rate_and_trains_nothing(place, capsys):
    words = "train", "--model", "model.h5", "--data", "photos", "--find-lr", "rates.png"
    received = report(capsys, *words)
    assert 1e-6 <= received["learning_rate"] <= 1 and received["steps"] <= 100
    assert (place / "rates.png").read_bytes().startswith(b"\x89PNG")
    assert not (place / "runs").exists()
    assert cli.main([*words, "--resume"]) == 2
    assert "leave out --resume" in capsys.readouterr().err
