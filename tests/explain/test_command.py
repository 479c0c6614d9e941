"""`fastcnn explain`: every method leaves a picture, and says what it cannot do."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import planted
import pytest
from PIL import Image

import fastcnn
from fastcnn import explain
from fastcnn import layers as L
from fastcnn.cli import main
from fastcnn.explain.methods import METHODS


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a model and its data."""
    folder = tmp_path_factory.mktemp("explain")
    model = planted.model()
    model.class_names = ["noise", "pattern"]
    model.save(folder / "model.h5")
    x, y = planted.images(), np.ones(len(planted.PLACES), np.int64)
    names = np.array(model.class_names)
    np.savez(folder / "data.npz", x_test=x, y_test=y, class_names=names)
    return folder


def explained(place, method, *options):
    words = ["explain", method, "--model", place / "model.h5", "--data", place / "data.npz"]
    return main([str(word) for word in (*words, "--out", place / f"{method}.png", *options)])


OF_OTHER_MODELS = ("linear-weakness", "decision-boundary")
"""Methods that need a linear model, and one of points."""


@pytest.mark.parametrize("method", [name for name in METHODS if name not in OF_OTHER_MODELS])
def test_every_method_leaves_a_picture(place, method, capsys):
    assert explained(place, method, "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["method"] == method
    assert (place / f"{method}.png").read_bytes().startswith(b"\x89PNG")


def test_the_page_names_every_method_and_its_command():
    page = (Path(__file__).parents[2] / "docs" / "explaining.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| .* \| `(\w+)` \| `([\w-]+)(?: .*)?` \|$", page, re.MULTILINE)
    assert rows == [(method.replace("-", "_"), method) for method in METHODS]


def test_a_boundary_is_drawn_of_a_model_and_a_file_of_points(tmp_path, capsys):
    fastcnn.Sequential([L.Dense(2, activation="softmax")], (2,)).save(tmp_path / "model.h5")
    np.savez(tmp_path / "data.npz", x_test=np.eye(2, dtype=np.float32), y_test=[0, 1])
    assert explained(tmp_path, "decision-boundary") == 0
    assert (tmp_path / "decision-boundary.png").read_bytes().startswith(b"\x89PNG")
    np.savez(tmp_path / "data.npz", x=np.eye(2))
    assert explained(tmp_path, "decision-boundary") == 2
    assert "must hold points and their labels" in capsys.readouterr().err


def test_classes_are_given_by_name_or_number(place, capsys):
    assert explained(place, "saliency", "--target", "pattern") == 0
    assert explained(place, "saliency", "--target", "1") == 0
    assert explained(place, "saliency", "--target", "shoe") == 2
    assert "--target must be a class: noise, pattern. Received 'shoe'." in capsys.readouterr().err


def test_what_a_method_does_not_take_is_refused(place, capsys):
    assert explained(place, "saliency", "--epsilon", "0.1") == 2
    assert "saliency takes no --epsilon." in capsys.readouterr().err


def test_the_linear_classifier_leaves_its_picture(place, capsys):
    model = fastcnn.Sequential([L.Flatten(), L.Dense(2)], (planted.SIDE, planted.SIDE, 1))
    model.save(place / "linear.h5")
    assert explained(place, "linear-weakness", "--model", str(place / "linear.h5")) == 0
    assert explained(place, "linear-weakness") == 2
    assert "expected a linear classifier" in capsys.readouterr().err


def test_a_picture_of_ones_own_or_one_image_of_many_is_looked_at(place, tmp_path, capsys):
    pixels = np.zeros((planted.SIDE, planted.SIDE), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "mine.png")
    picture = ("--data", str(tmp_path / "mine.png"))
    assert explained(place, "saliency", *picture) == 0
    assert explained(place, "fgsm", *picture) == 2
    assert "fgsm needs labels: give a data set as --data." in capsys.readouterr().err
    assert explained(place, "feature-maps", "--image", "3") == 0
    assert explained(place, "saliency", "--image", "4") == 2
    assert "--image must be below 4" in capsys.readouterr().err
    assert explained(place, "class-image", "--image", "0") == 2
    assert "class-image takes no --image." in capsys.readouterr().err


def test_the_image_is_the_one_of_the_number(place, monkeypatch):
    seen = []
    monkeypatch.setattr(explain, "saliency", lambda model, x: seen.append(x) or saliency(model, x))
    saliency = explain.guided_backprop
    assert explained(place, "saliency", "--image", "2") == 0
    np.testing.assert_array_equal(seen[0], planted.images()[2:3])


def test_a_channel_is_looked_at(place):
    for method in ("class-image", "top-patches"):
        assert explained(place, method, "--layer", "search", "--channel", "1") == 0


def test_what_cannot_be_written_is_said_before_the_work(place, monkeypatch, capsys):
    monkeypatch.setattr(explain, "saliency", pytest.fail)
    assert explained(place, "saliency", "--out", str(place / "model.h5" / "cam.png")) != 0
    assert "cannot be written" in capsys.readouterr().err
    assert explained(place, "saliency", "--out", str(place / "cam.xyz")) != 0
    assert "must end in a picture's format" in capsys.readouterr().err


def test_points_have_no_default(place, capsys):
    words = ["explain", "decision-boundary", "--model", str(place / "model.h5")]
    assert main([*words, "--out", str(place / "plane.png")]) == 2
    assert "needs points in the plane and their labels: --data" in capsys.readouterr().err
