"""The command line on files of arrays: npz, HDF5, IDX and CIFAR, told by content."""

from __future__ import annotations

import json

import h5py
import numpy as np
import photos
import pytest

from fastcnn.cli import main

RANDOM = np.random.default_rng(0)
NAMES = ["ant", "bee"]


def arrays(dtype=np.uint8, height=6, width=5, **changes):
    pixels = RANDOM.integers(0, 256, (30, height, width, 1), np.uint8)
    if dtype != np.uint8:
        pixels = (pixels / 255).astype(dtype)
    labels = np.arange(30) % 2
    made = {"x_train": pixels[:20], "y_train": labels[:20]}
    made |= {"x_test": pixels[20:], "y_test": labels[20:], "class_names": np.array(NAMES)}
    return {**made, **changes}


def npz(path, **given):
    with open(path, "wb") as file:
        np.savez(file, **given)
    return path


def hdf5(path, **given):
    with h5py.File(path, "w") as file:
        for name, value in given.items():
            file[name] = value.tolist() if value.dtype.kind == "U" else value
    return path


def run(capsys, *arguments):
    code = main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return code, json.loads(out) if "--json" in arguments and not code else out, err


def test_hdf5_is_taken_as_npz_is(tmp_path, capsys):
    given = arrays(height=28, width=28)
    results = []
    for path in (npz(tmp_path / "a.npz", **given), hdf5(tmp_path / "a.h5", **given)):
        code, stats, _ = run(capsys, "data", "stats", path, "--json")
        assert code == 0
        out = ("--epochs", 1, "--out", tmp_path / "run", "--json")
        code, report, err = run(capsys, "train", "--data", path, *out)
        assert code == 0, err
        assert report["test_images"] == 10
        results.append((stats, report["test_loss"]))
    assert results[0] == results[1]
    assert [one["name"] for one in results[0][0]["classes"]] == NAMES


def test_content_tells_not_the_ending(tmp_path, capsys):
    root = photos.photo_folder(tmp_path / "photos", ("cat", "dog"), 5)
    assert run(capsys, "data", "pack", root, tmp_path / "out.png", "--size", 8)[0] == 0
    code, report, _ = run(capsys, "data", "check", tmp_path / "out.png", "--json")
    assert (code, report["images"], report["damaged"]) == (0, 10, [])
    given = arrays()
    for path in (hdf5(tmp_path / "a.H5", **given), npz(tmp_path / "a.bin", **given)):
        code, stats, _ = run(capsys, "data", "stats", path, "--json")
        assert (code, stats["images"]) == (0, 20)


def test_hdf5_of_other_things_is_told_what_is_needed(tmp_path, capsys):
    path = hdf5(tmp_path / "other.h5", temperature=np.ones(3))
    code, _, err = run(capsys, "train", "--data", path)
    assert code == 2
    assert "or hold x_test and y_test" in err and "It holds temperature." in err
    path = hdf5(tmp_path / "half.h5", x_train=arrays()["x_train"], y_train=arrays()["y_train"])
    code, _, err = run(capsys, "data", "stats", path)
    assert code == 2 and "must hold x_test and y_test. It holds x_train, y_train." in err


@pytest.mark.parametrize("write", [npz, hdf5])
def test_check_counts_arrays(tmp_path, capsys, write):
    path = write(tmp_path / "arrays", **arrays(np.float32))
    code, report, _ = run(capsys, "data", "check", path, "--json")
    assert code == 0
    assert report["parts"]["test"] == {
        "images": 10,
        "image_shape": [6, 5, 1],
        "dtype": "float32",
        "classes": [{"name": "ant", "images": 5}, {"name": "bee", "images": 5}],
    }
    code, text, _ = run(capsys, "data", "check", path)
    assert code == 0 and "train: 20 images of 6 x 5 x 1, float32." in text
    assert text.endswith("Every image can be used.\n")


def test_check_reads_idx_and_cifar(tmp_path, capsys):
    images = b"\0\0\x08\3" + b"".join(n.to_bytes(4, "big") for n in (3, 4, 5)) + bytes(60)
    (tmp_path / "t-images-idx3-ubyte").write_bytes(images)
    (tmp_path / "t-labels-idx1-ubyte").write_bytes(b"\0\0\x08\1\0\0\0\3" + bytes([0, 2, 2]))
    code, report, _ = run(capsys, "data", "check", tmp_path / "t-images-idx3-ubyte", "--json")
    assert code == 0
    assert [one["images"] for one in report["parts"]["train"]["classes"]] == [1, 0, 2]
    (tmp_path / "c.bin").write_bytes((b"\2" + bytes(3072)) * 4)
    code, text, _ = run(capsys, "data", "check", tmp_path / "c.bin")
    assert code == 0 and "train: 4 images of 32 x 32 x 3, uint8." in text
    (tmp_path / "c.bin").write_bytes(b"\2" + bytes(3000))
    code, _, err = run(capsys, "data", "check", tmp_path / "c.bin")
    assert code == 2 and "expected an IDX file of bytes, or a CIFAR binary" in err


def test_check_tells_of_damage(tmp_path, capsys):
    given = arrays(np.float32)
    given["x_train"][[3, 7], 0, 0] = np.nan
    given["y_test"] = np.where(np.arange(10) == 4, 2, given["y_test"])
    code, text, _ = run(capsys, "data", "check", npz(tmp_path / "a.npz", **given))
    assert code == 1
    assert "train: images must be finite. Those at 3, 7 are not." in text
    assert "test: labels must be from 0 to 1. Those at 4 are not." in text
    whole = npz(tmp_path / "b.npz", **arrays()).read_bytes()
    at = whole.find(b"\x93NUMPY") + 200
    (tmp_path / "b.npz").write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
    code, _, err = run(capsys, "data", "check", tmp_path / "b.npz")
    assert code == 2 and "'" + str(tmp_path / "b.npz") + "' cannot be read" in err
    huge = arrays(y_test=np.full(10, 2**31 - 1))
    del huge["class_names"]
    code, _, err = run(capsys, "data", "check", npz(tmp_path / "c.npz", **huge))
    assert code == 2 and "must be below 1,048,576" in err


def test_stats_measure_floats(tmp_path, capsys):
    given = arrays(np.float32)
    path = npz(tmp_path / "a.npz", **given)
    code, report, _ = run(capsys, "data", "stats", path, "--json")
    assert code == 0
    values = given["x_train"].astype(float)
    assert report["mean"] == pytest.approx([values.mean()], rel=1e-9)
    assert report["deviation"] == pytest.approx([values.std()], rel=1e-9)
    code, text, _ = run(capsys, "data", "stats", path)
    assert code == 0 and "255" not in text and "bee" in text
    assert run(capsys, "data", "pack", path, tmp_path / "p.h5")[0] == 2


@pytest.mark.parametrize("source", ["nothing", "no/where.npz", "half.npz"])
def test_no_option_is_named_that_the_command_does_not_have(tmp_path, monkeypatch, capsys, source):
    monkeypatch.chdir(tmp_path)
    npz("half.npz", x_test=arrays()["x_test"])
    code, _, err = run(capsys, "data", "pack", source, "x.h5")
    assert code == 2 and "--data" not in err and source.split(".")[0] in err
