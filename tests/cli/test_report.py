"""The report of a training, what is chosen for photographs, and trainings side by side."""

from __future__ import annotations

import html
import json
import re
import tomllib

import numpy as np
import photos
import pytest

import fastcnn
from fastcnn.cli import main
from fastcnn.cli.report import page
from fastcnn.cli.report.facts import Facts
from fastcnn.data import from_folder
from fastcnn.data.folder.duplicates import shared_files
from fastcnn.utils import svg_chart

NAMES = ["cat", "<b>dog</b>", "owl"]
LABELS = np.array([0, 0, 1, 1, 2, 2], np.int32)
SHARES = np.array(
    [[8, 1, 1], [3, 6, 1], [1, 8, 1], [1, 7, 2], [0, 9, 1], [1, 1, 8]], np.float32
) / np.float32(10)


def facts(**changed):
    values = {
        "settings": {"model": "lenet5", "data": "a<b", "lr": None},
        "names": NAMES,
        "counts": {"training": [9, 8, 7]},
        "measured_on": "test",
        "labels": LABELS,
        "probabilities": SHARES,
        "history": {"loss": [2.0, 1.0], "val_loss": [3.0, float("nan")], "accuracy": [0.1, 0.5]},
        "best_epoch": 2,
        "costs": {"training": "1 s"},
        "files": [f"{NAMES[label]}/{i}.png" for i, label in enumerate(LABELS)],
    }
    return Facts(**(values | changed))


def test_figures_are_those_of_counting():
    told = facts()
    assert told.accuracy == pytest.approx(4 / 6)
    np.testing.assert_array_equal(told.confusion, [[1, 1, 0], [0, 2, 0], [0, 1, 1]])
    assert [row[1:] for row in told.of_classes()] == [
        (2, 1.0, 0.5, pytest.approx(2 / 3)),
        (2, 0.5, 1.0, pytest.approx(2 / 3)),
        (2, 1.0, 0.5, pytest.approx(2 / 3)),
    ]
    assert told.mistakes() == [(4, pytest.approx(0.9)), (1, pytest.approx(0.6))]
    bins = {(round(sure, 1), right, n) for sure, right, n in told.calibration()}
    assert bins == {(0.6, 0.0, 1), (0.7, 1.0, 1), (0.8, 1.0, 3), (0.9, 0.0, 1)}
    assert told.calibration_error() == pytest.approx((0.6 + 0.3 + 3 * 0.2 + 0.9) / 6)


def test_a_page_is_whole_by_itself(tmp_path):
    page.write(tmp_path / "report.html", facts(pictures=[photos.encoded(photos.colours())] * 2))
    text = (tmp_path / "report.html").read_text("utf-8")
    assert not re.findall(r"(?:src|href)=\"(?!data:)|https?:|<script|@import|url\(", text)
    assert "<b>" not in text and "&lt;b&gt;dog" in text and "a&lt;b" in text
    for words in ("66.67 %", "F1", "owl/4.png", "Calibration", "fastcnn predict --model", "loss"):
        assert words in text
    assert "prefers-color-scheme:dark" in text and "width=device-width" in text
    assert "NaN" not in text and "nan" not in text.replace("nanm", "")


def test_many_classes_are_listed_by_pairs():
    count = page.MOST_CELLS + 5
    labels = np.arange(count, dtype=np.int32)
    shares = np.roll(np.eye(count, dtype=np.float32), 1, axis=1)
    names = [f"class {n}" for n in range(count)]
    told = facts(names=names, counts={}, labels=labels, probabilities=shares, files=[])
    text = page.page(told)
    assert "Most often mixed up" in text and '<td class="cell"' not in text


def test_a_chart_of_nothing_is_nothing():
    assert svg_chart.lines("loss", "epoch", {"training": [(1, float("nan"))]}) == ""
    assert "<circle" in svg_chart.lines("loss", "epoch", {"training": [(1, 0.5)]})


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    photos.photo_folder(tmp_path / "photos", ("ant", "bee"), 12, height=60, width=70)
    return tmp_path


def train(capsys, *words):
    code = main(["train", "--data", "photos", *map(str, words), "--json"])
    out, err = capsys.readouterr()
    return code, json.loads(out) if code == 0 else None, err


def test_what_is_chosen_for_photographs_is_said_and_may_be_changed(place, capsys):
    code, report, err = train(capsys, "--epochs", 2, "--image-size", 32)
    assert code == 0 and "report.html" in report["files"]
    assert "24 pictures in 2 classes (12, 12). Chosen for them (--preset good" in err
    assert "--model photo-small" in err and "--schedule" in err and "--image-size" not in err
    kept = tomllib.loads((place / "runs/train/settings.toml").read_text())
    assert (kept["model"], kept["image_size"], kept["epochs"]) == ("photo-small", [32, 32], 2)
    assert kept["schedule"] == "cosine" and kept["warmup_epochs"] == 0
    assert kept["data"] == str(place / "photos")
    assert kept["reasons"]["resize"] == "nothing is squeezed"
    model = fastcnn.load("runs/train/model.h5")
    assert model.optimizer is None and model.class_names == ["ant", "bee"]
    assert fastcnn.load("runs/train/last.h5").optimizer is not None
    size, whole = ((place / "runs/train" / name).stat().st_size for name in ("model.h5", "last.h5"))
    assert size < 1.5e6 < whole
    assert "<img" in (place / "runs/train/report.html").read_text()


def test_what_few_epochs_cannot_have_is_not_chosen(place, capsys):
    from fastcnn.cli.resolve import preset

    one = preset.completed({"data": "photos", "epochs": 1}, None)[0]
    assert not {"patience", "warmup_epochs"} & one.keys()
    assert "with a warm-up" not in capsys.readouterr().err
    many = preset.completed({"data": "photos", "epochs": 40}, None)[0]
    assert (many["patience"], many["warmup_epochs"]) == (20, 4)


@pytest.mark.parametrize(("init", "told"), [(None, True), ("none", True), ("net.h5", False)])
def test_weights_that_are_asked_for_are_not_said_to_be_missing(place, capsys, init, told):
    from fastcnn.cli.resolve import preset

    preset.completed({"data": "photos"} | ({"init": init} if init else {}), None)
    assert ("No weights of other photographs" in capsys.readouterr().err) == told


def test_presets_differ_in_what_they_cost(place):
    from fastcnn.cli.resolve import preset

    chosen = [preset.completed({"data": "photos"}, name)[0] for name in ("fast", "good", "best")]
    assert [one["image_size"][0] for one in chosen] == [48, 48, 48]  # the pictures are no larger
    assert chosen[0]["epochs"] == preset.MOST_EPOCHS
    assert preset.completed({"data": "photos", "model": "lenet5"}, None)[0] == {
        "data": "photos",
        "model": "lenet5",
    }
    photos.photo_folder(place / "photos", ("bee",), 60, height=60, width=70)
    assert preset.completed({"data": "photos"}, None)[0]["class_weight"] == "balanced"


def test_a_preset_is_for_photographs(place, capsys):
    assert main(["train", "--preset", "best"]) == 2
    assert "--preset is for folders of pictures. 'sample' is none." in capsys.readouterr().err


def test_files_that_are_trained_and_validated_on_are_told(place, capsys):
    photos.photo_folder(place / "held", ("ant", "bee"), 3)
    twin = place / "held" / "ant" / "twin.png"
    twin.write_bytes((place / "photos" / "ant" / "07.png").read_bytes())
    train_set, held = from_folder("photos", (8, 8)), from_folder("held", (8, 8))
    assert shared_files(train_set, held) == [(7, 3)]
    words = ("--validation-data", "held", "--epochs", 1, "--model", "lenet5", "--image-size", 32)
    assert "1 of the 7 images to validate on are trained on too" in train(capsys, *words)[2]


def run_folder(path, lr, losses):
    path.mkdir(parents=True)
    (path / "settings.toml").write_text(f'model = "lenet5"\nlr = {lr}\n')
    rows = [f"{epoch},1.0,{loss}" for epoch, loss in enumerate(losses)]
    (path / "history.csv").write_text("\n".join(["epoch,loss,val_loss", *rows]) + "\n")


def test_runs_are_compared_side_by_side(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    run_folder(tmp_path / "a", 0.1, [0.9, 0.5, "nan"])
    run_folder(tmp_path / "b", 0.2, [0.4])
    assert main(["compare", "a", "b"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines] == [
        ["a", "b"],
        ["lr", "0.1", "0.2"],
        ["epochs", "3", "1"],
        ["best", "epoch", "2", "1"],
        ["loss", "1", "1"],
        ["val_loss", "0.5", "0.4"],
    ]
    names = [f"run-{number}-{'x' * 20}" for number in range(4)]
    for name in names:
        run_folder(tmp_path / name, 0.1, [0.5])
    assert main(["compare", *names]) == 0
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 80
    assert main(["compare", "a", "b", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["b"]["results"]["val_loss"] == 0.4
    assert main(["compare", "a", "nowhere"]) == 2


def test_a_report_tells_settings_as_the_command_line_does():
    told = facts(
        settings={"model": "vgg16", "data": "d", "image_size": [96, 80], "freeze": ""},
        measured_on="validation",
    )
    text = page.page(told)
    assert "96x80" in text and "all below the last layer" in text
    assert "of epoch 2, which these images chose" in text
    assert not re.findall(r"(?:src|href)=\"(?!data:)|url\(|@import|http", text)  # one file


def test_a_report_tells_what_its_figure_must_be_read_with(place, capsys):
    photos.photo_folder(place / "held", ("ant", "bee"), 3)
    (place / "photos" / "wasp").mkdir()
    (place / "photos" / "ant" / "bad.png").write_bytes(b"no picture")
    (place / "held" / "ant" / "twin.png").write_bytes(
        (place / "photos" / "ant" / "07.png").read_bytes()
    )
    words = ("--validation-data", "held", "--epochs", 1, "--image-size", 32)
    _, _, err = train(capsys, *words)
    text = html.unescape((place / "runs/train/report.html").read_text())
    notes = [line.removeprefix("Note: ") for line in err.splitlines() if line.startswith("Note: ")]
    assert len(notes) >= 2 and all(note in text for note in notes)
    for told in ("bad.png", "'wasp'", "are trained on too", "nothing is squeezed", "50 %"):
        assert told in text
    assert "60 pixels high and 70 wide" in text and "as 32x32x3" in text
    assert "background:#fff" not in text  # a dark page has no white picture


def test_one_curve_needs_no_key():
    one = {"training": [(1, 0.5), (2, 0.25)]}
    assert "key" not in svg_chart.lines("learning rate", "epoch", one)
    assert (
        svg_chart.lines("loss", "epoch", {**one, "validation": one["training"]}).count("key") == 2
    )


def test_one_class_alone_is_refused_in_words(place, capsys):
    photos.photo_folder(place / "single", ("ant",), 12)
    assert main(["train", "--data", "single", "--epochs", "1"]) == 2
    said = capsys.readouterr().err
    assert "'single' has one class alone, 'ant'" in said.splitlines()[-1]
    assert not (place / "runs").exists()  # nothing is left of it


def test_what_is_held_out_is_said_and_grows_for_few_pictures(place, capsys):
    photos.photo_folder(place / "few", [f"c{number}" for number in range(10)], 3)
    code, report, err = train(capsys, "--data", "few", "--epochs", 1)
    assert code == 0 and report["validation_images"] == 10
    assert "  --validation-split 0.25  (10 pictures, of each class one at least" in err
    photos.photo_folder(place / "single", ("ant", "bee"), 1)
    code, _, err = train(capsys, "--data", "single", "--epochs", 1, "--out", "other")
    assert code == 2
    assert "--validation-split must leave images" in err
    assert "--validation-split 0 holds none out." in err
