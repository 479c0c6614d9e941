"""Copies of a picture: on one side of a split, whoever makes it, and told where labels differ."""

from __future__ import annotations

import json
import warnings

import numpy as np
import photos
import pytest

from fastcnn import data
from fastcnn.cli import main
from fastcnn.data.folder.duplicates import copies
from fastcnn.data.folder.splitting import NothingToHoldOut, held_count, split, split_source
from fastcnn.data.pipeline.indexed import Indexed

SIZE = (8, 8)
COUNT = 10


def twice(root):
    """Two classes of ten pictures, each of which is there twice."""
    photos.photo_folder(root, ("ant", "bee"), COUNT)
    for path in list(root.rglob("*.png")):
        photos.write(path.with_name(f"z{path.name}"), path.read_bytes())
    return root


def pictures(files):
    return {path.replace("z", "") for path in files}


class TorchFolder:
    """Behaves as torchvision's ImageFolder."""

    def __init__(self, folder):
        self.root = folder.root
        self.samples = [(folder.path(i), label) for i, label in enumerate(folder.labels.tolist())]
        self.targets = folder.labels.tolist()

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, index):
        return photos.colours(*SIZE), self.targets[index]


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5])
def test_no_picture_is_on_both_sides(tmp_path, share):
    root = twice(tmp_path / "photos")
    train, held = data.from_folder(root, SIZE, validation_split=share, seed=1)
    assert not pictures(train.files) & pictures(held.files)
    assert len(train) + len(held) == 4 * COUNT
    assert np.bincount(held.labels).tolist() == [round(share * COUNT) * 2] * 2


def test_every_source_of_the_folder_is_split_alike(tmp_path):
    root = twice(tmp_path / "photos")
    _, held = data.from_folder(root, SIZE, validation_split=0.25, seed=1)
    whole = data.from_folder(root, SIZE)
    data.pack(whole, tmp_path / "photos.h5")
    _, packed = data.from_packed(tmp_path / "photos.h5", validation_split=0.25, seed=1)
    assert packed.files == held.files
    source = TorchFolder(whole)
    for given in (whole, Indexed(source, source[0], 3, "x", labelled=True)):
        _, positions = split_source(given, whole.labels, 0.25, 1)
        assert [whole.files[i] for i in positions] == held.files


def test_a_picture_in_two_classes_is_told_and_never_validated_on(tmp_path):
    root = photos.photo_folder(tmp_path / "photos", ("ant", "bee"), COUNT)
    for number in range(5):
        name = f"{number:02d}.png"
        photos.write(root / "ant" / f"z{name}", (root / "bee" / name).read_bytes())
    with pytest.warns(UserWarning, match="5 pictures are in more than one class, such as 'ant/z00"):
        _, held = data.from_folder(root, SIZE, validation_split=0.5)
    assert not pictures(held.files) & {f"bee/{number:02d}.png" for number in range(5)}
    assert not any("z" in name for name in held.files)
    assert np.bincount(held.labels).tolist() == [8, 5]


def test_copies_are_pictures_with_the_same_bytes(tmp_path):
    content = photos.encoded(photos.colours(60, 60))
    assert len(content) > 8192
    for name, change in (("a", None), ("b", None), ("c", 0), ("d", 5000)):
        changed = bytearray(content)
        if change is not None:
            changed[-12 - change] ^= 1
        photos.write(tmp_path / f"{name}.png", bytes(changed))
    photos.write(tmp_path / "e.txt", b"text")
    photos.write(tmp_path / "f.txt", b"text")
    names = [f"{name}.png" for name in "dcba"] + ["e.txt", "f.txt", "gone.png"]
    assert copies(str(tmp_path), names) == [["b.png", "a.png"]]


def test_of_a_small_class_one_is_held_out_at_least():
    counts = [30, 3, 2, 1]
    labels = np.repeat(np.arange(4), counts)
    names = [str(position) for position in range(len(labels))]
    for share, expected in ((0.1, [3, 1, 1]), (0.001, [1, 1, 1]), (0.99, [29, 2, 1])):
        train, held = split(names, labels, share, 0)
        assert np.bincount(labels[held]).tolist() == expected
        assert np.bincount(labels[train]).tolist()[3] == 1
        assert [held_count(share, count) for count in counts] == [*expected, 0]


def test_copies_of_one_picture_alone_cannot_be_divided():
    labels = np.array([0, 0, 0, 1])
    with pytest.raises(NothingToHoldOut, match="4 images in 2 classes, none of which has two that"):
        split(list("abcd"), labels, 0.5, 0, [list("abc")])
    with pytest.raises(NothingToHoldOut):
        split(list("ab"), np.arange(2), 0.5, 0)


def check(capsys, *words):
    code = main(["data", "check", *map(str, words)])
    return code, capsys.readouterr().out


def test_data_check_tells_of_copies_within_a_part_and_between_parts(tmp_path, capsys):
    root = tmp_path / "photos"
    photos.photo_folder(root / "train", ("ant", "bee"), 4)
    photos.photo_folder(root / "val", ("bee",), 2)  # the ants of the part for training
    photos.write(root / "train" / "ant" / "z.png", (root / "train/ant/03.png").read_bytes())
    photos.write(root / "train" / "bee" / "z.png", (root / "train/ant/02.png").read_bytes())
    code, out = check(capsys, root)
    assert code == 0
    assert "  ant/02.png = bee/z.png\n  ant/03.png = ant/z.png\n" in out
    assert "1 picture is in more than one class, such as 'ant/02.png', which is 'bee/z.png'" in out
    assert "2 of the 2 images of 'validation' are in 'train' too, such as" in out
    assert "Of 2 the class is another one there." in out
    report = json.loads(check(capsys, root, "--json")[1])
    assert report["parts"]["train"]["copies"][1] == ["ant/03.png", "ant/z.png"]
    assert report["parts"]["validation"]["copies"] == [] and len(report["notes"]) == 1


def test_data_check_of_different_pictures_says_nothing_of_copies(tmp_path, capsys):
    root = photos.photo_folder(tmp_path / "photos", ("ant", "bee"), 3)
    _, out = check(capsys, root)
    assert "more than" not in out
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data.from_folder(root, SIZE, validation_split=0.3)
