"""Files that a command is asked to write and cannot: status 2, and a sentence before the work."""

from __future__ import annotations

import os

import numpy as np
import photos
import pytest

import fastcnn
from fastcnn.cli import main
from fastcnn.layers import Dense, Flatten

COMMANDS = {
    "predict": "predict --model net.h5 photos/0/000.png --out {}.csv",
    "summary": "summary net.h5 --plot {}.png",
    "explain": "explain saliency --model net.h5 --data set.npz --out {}.png",
    "export": "export --model net.h5 --out {}.safetensors",
    "train": "train --model net.h5 --data set.npz --out {}",
    "find-lr": "train --model net.h5 --data set.npz --find-lr {}.png",
    "show": "data show photos --out {}.png",
    "pack": "data pack photos {}.h5",
    "bench conv": "bench conv mb1ic1ih4oc1kh1 --plot {}.png",
    "bench model": "bench model lenet5 --json {}.json",
}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("unwritable")
    photos.photo_folder(folder / "photos", ("0", "1"), 2, height=8, width=8)
    x, y = np.zeros((4, 8, 8, 3), np.uint8), np.array([0, 1, 0, 1])
    np.savez(folder / "set.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    model = fastcnn.Sequential([Flatten(), Dense(2, activation="softmax")], (8, 8, 3))
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.save(folder / "net.h5")
    return folder


@pytest.mark.skipif(os.name != "posix", reason="names of POSIX's files")
@pytest.mark.parametrize("name", ["/proc/file", pytest.param("long" * 75, id="long"), "taken"])
@pytest.mark.parametrize("command", COMMANDS)
def test_what_cannot_be_written_is_told_before_the_work(place, monkeypatch, capsys, command, name):
    monkeypatch.chdir(place)
    arguments = COMMANDS[command].format(name).split()
    taken = place / arguments[-1]
    if name == "taken":
        taken.touch() if command == "train" else taken.mkdir()
    before = sorted(place.iterdir())
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert not said.out and sorted(place.iterdir()) == before
    assert "cannot be written" in said.err or f"'{taken.name}' is not a folder" in said.err
    assert "[Errno" not in said.err
    if name == "taken":
        taken.unlink() if command == "train" else taken.rmdir()
