"""`fastcnn predict`: the same answers as lines, JSON and CSV, for classes, labels and values."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import photos
import pytest

import fastcnn
from fastcnn.cli import main
from fastcnn.layers import Dense, Flatten, Rescaling

NAMES = ["ant", "bee, wild", "cat"]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Two pictures and models that tell classes, labels and values."""
    folder = tmp_path_factory.mktemp("predictions")
    for number in range(2):
        picture = photos.smooth(9, 8, seed=number)
        photos.write(folder / "photos" / f"{number}.png", photos.encoded(picture))
    for name, activation, loss in (
        ("classes", "softmax", "sparse_categorical_crossentropy"),
        ("labels", "sigmoid", "binary_crossentropy"),
        ("values", None, "mse"),
    ):
        layers = [Rescaling(1 / 255), Flatten(), Dense(3, activation=activation)]
        model = fastcnn.Sequential(layers, input_shape=(4, 4, 3), seed=4)
        model.compile("sgd", loss)
        model.class_names = None if name == "values" else NAMES
        model.save(folder / f"{name}.h5")
    return folder


def said(capsys, place, kind, *words):
    command = ["predict", "--model", str(place / f"{kind}.h5"), str(place / "photos"), *words]
    assert main(command) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("kind", ["classes", "labels"])
def test_json_and_csv_hold_what_predict_returns(place, capsys, kind):
    model = fastcnn.load(place / f"{kind}.h5")
    rows = fastcnn.decode_predictions(model.predict(place / "photos"), model, top=2)
    report = json.loads(said(capsys, place, kind, "--json", "--topk", "2"))
    assert [entry["image"] for entry in report] == fastcnn.data.picture_files(place / "photos")
    for entry, row in zip(report, rows, strict=True):
        assert entry.keys() == {"image", "classes", *(["true"] if kind == "labels" else [])}
        assert [best.keys() for best in entry["classes"]] == [{*row[0]._fields}] * 2
        assert [best["name"] for best in entry["classes"]] == [best.name for best in row]
        probabilities = [best["probability"] for best in entry["classes"]]
        assert probabilities == pytest.approx([best.probability for best in row], rel=1e-5)
    if kind == "labels":
        assert sum(best.probability for best in rows[0]) != pytest.approx(1, rel=1e-3)
    table = list(csv.DictReader(io.StringIO(said(capsys, place, kind, "--csv", "--top", "2"))))
    assert [*table[0]] == ["image", "rank", "label", "name", "probability"]
    flat = [(entry["image"], best) for entry in report for best in entry["classes"]]
    assert [row["image"] for row in table] == [image for image, _ in flat]
    assert [row["rank"] for row in table] == ["1", "2"] * 2
    for row, (_, best) in zip(table, flat, strict=True):
        assert (row["label"], row["name"]) == (str(best["label"]), best["name"])
        assert float(row["probability"]) == pytest.approx(best["probability"], rel=1e-5)


def test_values_of_a_regression_are_told_as_they_are(place, capsys):
    values = fastcnn.load(place / "values.h5").predict(place / "photos")
    report = json.loads(said(capsys, place, "values", "--json"))
    np.testing.assert_allclose([entry["values"] for entry in report], values, rtol=1e-5)
    table = list(csv.DictReader(io.StringIO(said(capsys, place, "values", "--csv"))))
    assert [row["output"] for row in table] == ["0", "1", "2"] * 2
    assert [float(row["value"]) for row in table] == pytest.approx(values.ravel(), rel=1e-5)
    lines = said(capsys, place, "values").splitlines()
    assert lines[0].endswith("0.png: " + ", ".join(f"{value:.6g}" for value in values[0]))


@pytest.mark.parametrize("ending", [".csv", ".json"])
def test_out_writes_what_would_be_printed(place, capsys, tmp_path, ending):
    path = tmp_path / f"answers{ending}"
    printed = said(capsys, place, "classes", f"--{ending[1:]}")
    lines = said(capsys, place, "classes", "--out", str(path))
    assert path.read_text(encoding="utf-8") == printed
    assert lines.count("\n") == 2 and "bee, wild" in lines


def test_outputs_that_are_not_finite_end_it(place, capsys, tmp_path):
    model = fastcnn.load(place / "values.h5")
    model.set_weights([np.full_like(values, 3e38) for values in model.get_weights()])
    model.save(tmp_path / "diverged.h5")
    command = ["predict", "--model", str(tmp_path / "diverged.h5"), str(place / "photos")]
    assert main([*command, "--csv"]) == 2
    assert "outputs must be finite numbers" in capsys.readouterr().err


def test_what_cannot_be_written_is_refused_before_the_work(place, capsys, tmp_path):
    command = ["predict", "--model", "none.h5", "none.png", "--out", str(tmp_path / "no" / "a.csv")]
    assert main(command) == 2
    assert "a.csv' cannot be written: there is no folder" in capsys.readouterr().err


def test_other_endings_are_refused_before_the_work(place, capsys, tmp_path):
    command = ["predict", "--model", "none.h5", "none.png", "--out", str(tmp_path / "a.txt")]
    assert main(command) == 2
    assert "--out must end in .csv or .json. Received " in capsys.readouterr().err
    assert main([*command[:4], "--json", "--csv"]) == 2
    assert "--json and --csv" in capsys.readouterr().err


def test_of_several_processes_the_first_alone_predicts(place, capsys, monkeypatch):
    alone = said(capsys, place, "classes")
    monkeypatch.setenv("PMI_SIZE", "2")
    monkeypatch.setenv("PMI_RANK", "1")
    assert said(capsys, place, "classes") == ""
    monkeypatch.setenv("PMI_RANK", "0")
    assert said(capsys, place, "classes") == alone
