"""Tables of commands fit a terminal of 80 columns, whatever their names are like."""

from __future__ import annotations

import os
import shutil

import numpy as np
import photos
import pytest

import fastcnn
from fastcnn.autotune import tuner
from fastcnn.autotune.report import Report, Row
from fastcnn.cli import main
from fastcnn.graph.problem import Problem
from fastcnn.lab.measure import runner
from fastcnn.lab.results import Ceilings, NamedProblem, Result
from fastcnn.lab.results import Report as LabReport
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
    "bench model": ["bench", "model", "net.h5", "--batch", "2", "--repeat", "1"],
    "bench conv": ["bench", "conv", "mb1ic1ih4oc1kh1"],
}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("columns")
    names = [name[:60] for name in NAMES]
    photos.photo_folder(folder / "photos", names, 2, height=8, width=8)
    x = np.zeros((4, 4, 4, 1), np.uint8)
    part = {"x_test": x, "y_test": np.array([0, 1, 0, 1]), "class_names": np.array(NAMES)}
    np.savez(folder / "set.npz", **part)
    name = "[red]\n" * 12
    layers = [Rescaling(1 / 255), Flatten(), Dense(2, activation="softmax", name=name)]
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

    def measure(*_):
        problem = NamedProblem("[red]" + "x" * 90, PROBLEM, 8, "mb8ic512ih112oc512kh3sh2ph1")
        times = {"minimum_ms": 1234.5, "median_ms": 1234.5, "gflops": 1234.5}
        results = [Result(problem, "forward", name, "ok", **times) for name in STRATEGIES]
        machine = {"processor": "Abacus", "system": "Linux", "cores": 2, "threads": 1}
        machine |= {"vector_bits": 128, "versions": {"fastcnn": "1"}}
        return LabReport(machine, Ceilings(200.0, 250.0, 20.0), results)

    monkeypatch.chdir(place)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(tuner, "tune", tune)
    monkeypatch.setattr(runner, "measure", measure)
    assert main(COMMANDS[command]) == 0
    lines = capsys.readouterr().out.splitlines()
    rows = [line for line in lines if "  " in line.strip()]
    assert len(rows) >= 2 and max(map(columns.width, rows)) <= 80
    assert "{}" not in "".join(lines)


def test_figures_stay_beside_long_names_of_layers(place, monkeypatch, capsys):
    monkeypatch.chdir(place)
    monkeypatch.setenv("COLUMNS", "80")
    assert main(COMMANDS["bench model"]) == 0
    table = capsys.readouterr().out.splitlines()
    assert table[1].split() == ["layer", "forward", "dx", "dw", "share", "GFLOP/s", "strategy"]
    (row,) = [line.split() for line in table if line.startswith("[red]")]
    assert row[0] == r"[red]\n[red...]\n[red]\n" and len(row) >= 5


ODD = "a\nb\x1b[31m\u202e"
"""A line break, and what colours or turns what a terminal shows behind it."""
TELLING = {
    "predict": ["predict", "--model", "net.h5", ODD],
    "predict another": ["predict", "--model", "net.h5", f"{ODD}/none.png"],
    "check": ["data", "check", ODD],
    "stats": ["data", "stats", ODD],
    "evaluate": ["evaluate", "--model", "odd.h5", "--data", ODD],
    "summary": ["summary", "odd.h5"],
    "compare": ["compare", RUNS[0], ODD],
    "export": ["export", "--model", "odd.h5", "--out", f"{ODD}.safetensors"],
}


@pytest.fixture(scope="module")
def odd_place(place):
    """Names of folders, classes, files, layers and models that a terminal would obey."""
    photos.photo_folder(place / ODD, [f"1{ODD}", f"2{ODD}"], 2, height=4, width=4)
    for name in (f"1{ODD}/{ODD}.png", f"2{ODD}/.{ODD}.png"):
        (place / ODD / name).write_bytes(b"no picture")
    shutil.copytree(place / RUNS[0], place / ODD, dirs_exist_ok=True)
    layers = [Flatten(name=ODD), Dense(2, activation="softmax")]
    model = fastcnn.Sequential(layers, input_shape=(4, 4, 3), name=ODD)
    model.class_names = [f"1{ODD}", f"2{ODD}"]
    model.save(place / "odd.h5")
    return place


@pytest.mark.skipif(os.name != "posix", reason="names that other systems' files cannot have")
@pytest.mark.parametrize("command", TELLING)
def test_names_are_told_on_one_line_and_obeyed_by_no_terminal(
    odd_place, monkeypatch, capsys, command
):
    monkeypatch.chdir(odd_place)
    assert main(TELLING[command]) in (0, 1, 2)
    out, err = capsys.readouterr()
    told = out + err
    assert r"a\nb\x1b[31m\u202e" in told
    assert "a\nb" not in told and "\x1b" not in told and "\u202e" not in told


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
