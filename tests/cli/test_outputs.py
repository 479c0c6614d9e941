"""Numbers and several labels an image, from the command line: tables, arrays, what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn import metrics

from fastcnn import cli
from fastcnn.cli.options.errors import UsageError
from fastcnn.cli.report.output_scores import OutputScores
from fastcnn.cli.resolve import picture_table, targets

RNG = np.random.default_rng(0)
NET = """
import fastcnn
from fastcnn import layers as L

layers = [L.Rescaling(1 / 255), L.Flatten(), L.Dense({outputs}, activation={activation})]
model = fastcnn.Sequential(layers, (8, 8, 3), seed=0)
"""

TRAIN = (
    *("train", "--model", "linear-classifier", "--image-size", 8, "--out", "run"),
    *("--lr", 0.05, "--epochs", 40, "--batch-size", 8),
)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with pictures whose first row tells three numbers, and tables of them."""
    monkeypatch.chdir(tmp_path)
    values = RNG.integers(0, 255, (40, 3))
    for number, value in enumerate(values):
        pixels = np.zeros((8, 8, 3), np.uint8)
        pixels[:4] = value
        Image.fromarray(pixels).save(f"{number}.png")
    names = [f"{number}.png" for number in range(40)]
    rows = list(zip(names, values, strict=True))
    write("sizes.csv", "file,red,blue", [f"{name},{v[0]},{v[2] / 2}" for name, v in rows])
    said = ["|".join(np.array(list("rgb"))[v > 127]) for v in values]
    write("labels.csv", "hue;image", [f"{s};{n}" for n, s in zip(names, said, strict=True)])
    return values


def write(name, head, rows):
    with open(name, "w") as file:
        file.write("\n".join([head, *rows]))


def report(capsys, *words):
    assert cli.main([*map(str, words), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_regression_learns_evaluates_and_predicts_in_the_units_of_its_columns(place, capsys):
    told = report(capsys, *TRAIN, "--data", "sizes.csv")
    assert told["validation_r2_score"] > 0.9
    assert "report.html" in told["files"] and "confusion.png" not in told["files"]
    page = Path("run/report.html").read_text()
    assert "predicted against true" in page and "<h2>blue</h2>" in page
    told = report(capsys, "evaluate", "--model", "run/model.h5", "--data", "sizes.csv")
    assert [row["name"] for row in told["outputs"]] == ["red", "blue"] and told["r2_score"] > 0.9
    (entry,) = report(capsys, "predict", "--model", "run/model.h5", "0.png")
    assert entry["names"] == ["red", "blue"]
    assert np.allclose(entry["values"], [place[0][0], place[0][2] / 2], atol=40)
    assert cli.main(["predict", "--model", "run/model.h5", "0.png"]) == 0
    assert capsys.readouterr().out.startswith("0.png: red ")


def test_labels_of_a_table_are_learnt_each_by_itself(place, capsys):
    told = report(capsys, *TRAIN, "--data", "labels.csv")
    assert told["validation_binary_accuracy"] > 0.8
    told = report(capsys, "evaluate", "--model", "run/model.h5", "--data", "labels.csv")
    assert [row["name"] for row in told["outputs"]] == ["b", "g", "r"]
    assert told["outputs"][0]["images"] == (place[:, 2] > 127).sum()
    (entry,) = report(capsys, "predict", "--model", "run/model.h5", "0.png")
    assert entry["true"] == [one["name"] for one in entry["classes"] if one["probability"] > 0.5]


@pytest.mark.parametrize(
    ("y", "kind", "shape"),
    [
        (np.arange(4), "classes", (4,)),
        (np.arange(4)[:, None], "classes", (4,)),
        (np.eye(4), "classes", (4,)),
        (np.array([[1, 1], [0, 1], [0, 0], [1, 0]]), "labels", (4, 2)),
        (np.arange(4.0), "values", (4, 1)),
        (np.arange(8).reshape(4, 2), "values", (4, 2)),
    ],
)
def test_the_task_follows_from_the_targets(y, kind, shape):
    received, values = targets.read(y, 4, "y_train")
    assert (received, values.shape) == (kind, shape)


@pytest.mark.parametrize(
    ("y", "reason"),
    [
        (np.zeros(0, np.float32), "y_train must be of one image at least"),
        (np.array([0.5, np.nan]), "of at most 1e.18. That of image 1 is nan"),
        (np.array([0.5, -1e300]), "of at most 1e.18. That of image 1 is -1e.300"),
    ],
)
def test_targets_that_cannot_be_learnt_are_refused(y, reason):
    with pytest.raises(UsageError, match=reason):
        targets.read(y, len(y), "y_train")


def test_a_label_that_is_never_there_is_told(place, capsys):
    write("never.csv", "file,often,never", ["0.png,1,0", "1.png,0,0", "2.png,1,0", "3.png,1,0"])
    words = [*TRAIN, "--data", "never.csv", "--validation-split", 0, "--epochs", 1]
    assert cli.main([*map(str, words)]) == 0
    assert "of 1 of 2 labels all images to train on say the same" in capsys.readouterr().err
    assert cli.main(["predict", "--model", "run/model.h5", "0.png"]) == 0
    assert "(above 50 %:" in capsys.readouterr().out


def test_one_class_of_arrays_cannot_be_told_from_others(place, capsys):
    x, y = np.zeros((20, 28, 28), np.uint8), np.zeros(20, int)
    np.savez("one.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    assert cli.main(["train", "--data", "one.npz", "--out", "run"]) == 2
    assert "'one.npz' has one class alone, '0'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("head", "rows", "reason"),
    [
        ("file,width", ["0.png,2", "no.png,3"], "line 3: there is no file 'no.png'"),
        ("file,width", ["0.png,2", "1.png"], "line 3: expected 2 cells, not 1"),
        ("file,width,colour", ["0.png,2,red"], "line 2: column 'colour' must hold finite numbers"),
        ("file", ["0.png"], "must have a line with the names of its columns"),
        ("file,kind", ["0.png,cat", "1.png,"], "line 3: column 'kind' is empty"),
        ("file,width", ["0.png,2", "1.png,nan"], "line 3: column 'width' must hold finite numbers"),
        ("file,width", ["0.png,2.5", "1.png,?"], "line 3.* Received '\\?'"),
        ("file;width", ["0.png;2,5", "1.png;3,5"], "line 2.* with decimal points"),
        ("file,width", ["0.png,2", "1.png,1e30"], "of at most 1e.18. That of image 1 is 1e.30"),
        ("0.png,2", ["1.png,2"], "line 1 must name the columns"),
        ("file,width,width", ["0.png,2,2"], "two columns are named 'width'"),
    ],
)
def test_a_table_that_is_none_says_where(place, head, rows, reason):
    write("wrong.csv", head, rows)
    with pytest.raises(UsageError, match=reason):
        picture_table.read(Path("wrong.csv"))


def test_a_table_in_another_encoding_says_where(place):
    Path("wrong.csv").write_bytes("file,größe\n0.png,2\n".encode("latin-1"))
    with pytest.raises(UsageError, match="line 1 is no text in UTF-8"):
        picture_table.read(Path("wrong.csv"))


def test_whole_numbers_beside_names_are_classes(place):
    write("mixed.csv", "name,kind", ["0.png,7", "1.png,other", "2.png,7"])
    assert picture_table.read(Path("mixed.csv")).names == ["7", "other"]


def test_a_column_of_text_without_separators_is_of_classes(place):
    write("kinds.csv", "name,kind", ["0.png,dog", "1.png,cat", "2.png,dog"])
    table = picture_table.read(Path("kinds.csv"))
    assert (table.kind, table.names) == ("classes", ["cat", "dog"])
    assert table.targets.tolist() == [1, 0, 1]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("train", "--class-weight", "balanced", "--out", "run"), "--class-weight is for classes"),
        (("train", "--label-smoothing", "0.1", "--out", "run"), "--label-smoothing is for classes"),
        (("data", "stats"), "must tell classes apart"),
    ],
)
def test_what_is_for_classes_alone_is_refused(place, capsys, words, reason):
    source = ["sizes.csv"] if words[0] == "data" else ["--data", "sizes.csv"]
    assert cli.main([*words, *source]) == 2
    assert reason in capsys.readouterr().err


def test_a_model_of_other_outputs_is_refused(place, capsys):
    with open("net.py", "w") as file:
        file.write(NET.format(outputs=3, activation=None))
    words = ["train", "--model", "net.py", "--data", "sizes.csv", "--image-size", "8"]
    assert cli.main([*words, "--out", "run"]) == 2
    assert "are of 2 numbers. The model's outputs have shape (3,)" in capsys.readouterr().err


def test_scores_are_those_of_scikit_learn():
    true, output = RNG.normal(size=(30, 2)), RNG.normal(size=(30, 2))
    scores = OutputScores("values", ["a", "b"], true, output)
    assert scores.total()["r2_score"] == pytest.approx(metrics.r2_score(true, output))
    held, told = RNG.integers(0, 2, (30, 2)), RNG.integers(0, 6, (30, 2)) / 5
    rows = OutputScores("labels", ["a", "b"], held, told).rows()
    for number, row in enumerate(rows):
        pair = held[:, number], told[:, number]
        assert row["auc"] == pytest.approx(metrics.roc_auc_score(*pair))
        assert row["f1"] == pytest.approx(metrics.f1_score(pair[0], pair[1] > 0.5))
