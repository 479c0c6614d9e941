"""`fastcnn explain`: every method leaves a picture, and says what it cannot do."""

from __future__ import annotations

import json

import numpy as np
import planted
import pytest

import fastcnn
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
