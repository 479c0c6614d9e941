"""Tables of commands fit a terminal of 80 columns, whatever their names are like."""

from __future__ import annotations

import numpy as np
import photos
import pytest

import fastcnn
from fastcnn.autotune import tuner
from fastcnn.autotune.report import Report, Row
from fastcnn.cli import main
from fastcnn.graph.problem import Problem
from fastcnn.layers import Dense, Flatten, Rescaling
from fastcnn.strategies import STRATEGIES
from fastcnn.utils import columns

NAMES = ["a class of a long name, " * 4 + "first", "蟻" * 50]
PROBLEM = Problem(112, 112, 512, 512, (3, 3), strides=(2, 2))
RUNS = [f"run-{number}-{'x' * 90}" for number in range(9)]
COMMANDS = {
    "evaluate": ["evaluate", "--model", "net.h5", "--data", "set.npz"],
    "check arrays": ["data", "check", "set.npz"],
    "check a folder": ["data", "check", "photos"],
    "stats": ["data", "stats", "photos"],
    "summary": ["summary", "net.h5"],
    "compare": ["compare", *RUNS],
    "tune": ["tune", "lenet5"],
}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("columns")
    names = [name[:60] for name in NAMES]
    photos.photo_folder(folder / "photos", names, 2, height=8, width=8)
    x = np.zeros((4, 4, 4, 1), np.uint8)
    part = {"x_test": x, "y_test": np.array([0, 1, 0, 1]), "class_names": np.array(NAMES)}
    np.savez(folder / "set.npz", **part)
    layers = [Rescaling(1 / 255), Flatten(), Dense(2, activation="softmax", name="d" * 70)]
    model = fastcnn.Sequential(layers, input_shape=(4, 4, 1), seed=1)
    model.class_names = NAMES
    model.save(folder / "net.h5")
    for number, name in enumerate(RUNS):
        run = folder / name
        run.mkdir()
        augment = ["RandomRotation(0.1), RandomZoom(0.3)", f"RandomContrast(0.{number})"]
        settings = f"lr = 0.{number}1\naugment = {augment}\noptimizer_options = {{}}\n"
        (run / "settings.toml").write_text(settings)
        (run / "history.csv").write_text(f"epoch,loss,val_loss\n0,1.0,0.{number}9\n")
    return folder


@pytest.mark.parametrize("command", COMMANDS)
def test_tables_fit_80_columns(place, monkeypatch, capsys, command):
    def tune(*_, **__):
        rows = [Row.begun(["l" * 40, "other"], way, PROBLEM, 8, 1e-5) for way in ("forward", "dx")]
        for row in rows:
            row.times = dict.fromkeys(STRATEGIES, 1234.5)
        return Report(8, 2, 1e-5, rows, 1.0, False, place="2 threads")

    monkeypatch.chdir(place)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(tuner, "tune", tune)
    assert main(COMMANDS[command]) == 0
    lines = capsys.readouterr().out.splitlines()
    rows = [line for line in lines if "  " in line.strip()]
    assert len(rows) >= 2 and max(map(columns.width, rows)) <= 80
    assert "{}" not in "".join(lines)


def test_runs_that_are_too_wide_are_numbered_and_long_values_listed(place, monkeypatch, capsys):
    monkeypatch.chdir(place)
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["compare", *RUNS[:8]]) == 0
    lines = capsys.readouterr().out.splitlines()
    rows = [line.split() for line in lines]
    assert ["run", *map(str, range(1, 9))] in rows
    assert ["val_loss", *(f"0.{number}9" for number in range(8))] in rows
    assert next(line for line in lines if "RandomContrast(0.3)" in line).startswith("  4  Random")


def test_a_name_is_cut_in_its_middle():
    assert columns.cut("short", 8) == "short"
    assert columns.cut("a name that is long", 12) == "a nam...long"
    assert columns.width(columns.cut("蟻" * 20, 21)) <= 21
    assert columns.padded("蟻", 4) == "蟻  "
