"""Which folders are classes and which are the parts of a set, told or asked, never guessed."""

from __future__ import annotations

import json

import numpy as np
import photos
import pytest
from folders import SIZE

from fastcnn.cli import main
from fastcnn.data import from_folder
from fastcnn.data.folder.layout import find_layout

CLASSES = ("ant", "bee")
ASKED = r"may hold classes or the parts of a set"


def parts(root, names, count=2):
    for name in names:
        photos.photo_folder(root / name, CLASSES, count)
    return root


TRAINING = ("train", "training", "Train", "TRAINING")
VALIDATION = ("val", "valid", "validation", "Val", "VALIDATION")


@pytest.mark.parametrize("train", TRAINING)
@pytest.mark.parametrize("validation", VALIDATION)
def test_parts_are_known_by_every_name_they_go_by(tmp_path, train, validation):
    for name in (train, validation, "Test"):
        (tmp_path / name / "ant").mkdir(parents=True)
    found = find_layout(tmp_path)
    assert found.parts == {
        "train": str(tmp_path / train),
        "validation": str(tmp_path / validation),
        "test": str(tmp_path / "Test"),
    }
    assert not found.doubt and found.root == str(tmp_path)


@pytest.mark.parametrize(
    ("folders", "doubt"),
    [
        (("train", "val"), "holds no folder of a class"),
        (("train/ant", "val/ant", "extra"), "beside 'train', 'val' there is 'extra'"),
        (("train/ant", "val/ant", "valid/ant"), "are of one kind"),
        (("val/ant", "test/ant"), "no 'train'"),
        (("train/ant", "unlabelled"), "beside 'train' there is 'unlabelled'"),
    ],
)
def test_what_may_be_either_is_a_question(tmp_path, folders, doubt):
    for folder in folders:
        (tmp_path / folder).mkdir(parents=True)
        photos.write(tmp_path / folder / "0.png", photos.encoded(photos.colours()))
    assert doubt in find_layout(tmp_path).doubt
    with pytest.raises(ValueError, match=ASKED):
        from_folder(tmp_path, SIZE)
    found = from_folder(tmp_path, SIZE, layout="classes")
    assert found.class_names == sorted({folder.split("/")[0] for folder in folders})
    assert from_folder(tmp_path, SIZE, class_names=found.class_names).files == found.files


@pytest.mark.parametrize("names", [("train", "car"), ("test", "exam"), ("Val", "Vale", "Valley")])
def test_a_class_may_be_called_as_a_part_is(tmp_path, names):
    photos.photo_folder(tmp_path, names, 1)
    assert from_folder(tmp_path, SIZE).class_names == sorted(names)


def test_parts_by_themselves_are_read_as_python_is_told_to(tmp_path):
    parts(tmp_path, ("train", "val"))
    with pytest.raises(ValueError, match=r"train = from_folder\('.*train'\).*class_names=train.cl"):
        from_folder(tmp_path, SIZE)
    train = from_folder(tmp_path / "train", SIZE)
    held = from_folder(tmp_path / "val", SIZE, class_names=train.class_names)
    assert held.class_names == train.class_names == list(CLASSES)


@pytest.mark.parametrize("depth", [1, 3])
def test_a_folder_that_only_holds_the_folder_with_the_classes_is_seen_through(tmp_path, depth):
    inner = tmp_path.joinpath(*["archive"] * depth)
    photos.photo_folder(inner, CLASSES, 2)
    photos.write(tmp_path / ".DS_Store", b"")
    photos.write(tmp_path / "README.txt", b"whence they are")
    with pytest.warns(UserWarning, match=r"The classes are those of '.*archive', the only folder"):
        found = from_folder(tmp_path, SIZE)
    assert found.class_names == list(CLASSES) and found.root == str(inner)
    with pytest.warns(UserWarning, match="Only one class, 'archive'"):
        assert len(from_folder(tmp_path, SIZE, layout="classes")) == 4


def test_a_single_class_is_not_seen_through(tmp_path):
    photos.photo_folder(tmp_path, ("cat",), 1)
    photos.photo_folder(tmp_path / "cat", ("2024",), 1)
    with pytest.warns(UserWarning, match="Only one class, 'cat'"):
        assert len(from_folder(tmp_path, SIZE)) == 2


def test_a_class_without_a_file_that_can_be_used_is_no_output(tmp_path):
    photos.photo_folder(tmp_path, ("ant", "cat"), 4)
    for number in range(3):
        photos.write(tmp_path / "bee" / f"{number}.jpg", b"no picture")
    for in_memory in (True, False):
        with pytest.warns(UserWarning, match="No file that can be used in the folder 'bee'"):
            train, held = from_folder(
                *(tmp_path, SIZE), on_error="skip", validation_split=0.25, in_memory=in_memory
            )
        for part in (train, held):
            assert part.class_names == ["ant", "cat"]
            assert [part.files[i][:3] for i in range(len(part))] == [
                part.class_names[label] for label in part.labels
            ]
    with pytest.warns(UserWarning, match="No image in 'bee'"):
        kept = from_folder(tmp_path, SIZE, on_error="skip", class_names=["ant", "bee", "cat"])
    assert np.unique(kept.labels).tolist() == [0, 2]


NET = """
import fastcnn
from fastcnn.layers import Dense, Flatten, Rescaling
layers = [Rescaling(1 / 255), Flatten(), Dense(2, activation="softmax")]
model = fastcnn.Sequential(layers, input_shape=(8, 8, 3), seed=1)
"""


def run(capsys, *words):
    code = main([str(word) for word in words])
    out, err = capsys.readouterr()
    return code, json.loads(out) if "--json" in words and out else out, err


@pytest.fixture
def place(tmp_path):
    (tmp_path / "net.py").write_text(NET)
    parts(tmp_path / "photos", ("train", "Val", "test"), 3)
    photos.photo_folder(tmp_path / "photos" / "train", CLASSES, 8)
    return tmp_path


def train(capsys, place, data, *more):
    words = ("--model", place / "net.py", "--epochs", 1, "--out", place / "run", "--json", *more)
    return run(capsys, "train", "--data", data, *words)


def test_a_training_takes_the_parts_for_what_they_are(place, capsys):
    code, report, err = train(capsys, place, place / "photos")
    assert code == 0 and report["measured_on"] == "validation" and report["validation_images"] == 6
    assert "trains on 'train' (16 images), validates on 'Val' (6); 'test' is left for" in err
    model = ("--model", place / "run" / "model.h5")
    code, report, err = run(capsys, "evaluate", *model, "--data", place / "photos", "--json")
    assert code == 0 and (report["measured_on"], report["images"]) == ("test", 6)


def test_the_training_part_is_divided_where_none_validates(place, capsys):
    (place / "photos" / "Val").rename(place / "Val")
    code, report, err = train(capsys, place, place / "photos", "--validation-split", 0.25)
    assert code == 0 and report["validation_images"] == 4
    assert "(12 images), validates on 4 of it" in err


def test_a_folder_of_its_own_validates(place, capsys):
    data = place / "photos" / "train"
    more = ("--validation-data", place / "photos" / "Val")
    code, report, _ = train(capsys, place, data, *more)
    assert code == 0 and report["validation_images"] == 6
    code, _, err = train(capsys, place, data, *more, "--validation-split", 0.2)
    assert code == 2 and "leave one out" in err


def test_a_command_says_what_it_sees_in_its_own_words(place, capsys):
    """Not in those of `from_folder`, whose arguments no flag has."""
    (place / "around").mkdir()
    (place / "photos" / "train").rename(place / "around" / "pictures")
    (place / "around" / "pictures" / "wasp").mkdir()
    photos.write(place / "around" / "pictures" / "fly" / "0.png", b"no picture")
    code, _, err = train(capsys, place, place / "around")
    assert code == 0 and "No file in the folder 'wasp': it is no class." in err
    assert "--layout classes takes that one for a class." in err
    _, out, _ = run(capsys, "data", "check", place / "around")
    assert "No image in 'fly'" in out
    assert "class_names" not in err + out and "layout=" not in err + out


@pytest.mark.parametrize("option", [(), ("--layout", "classes"), ("--layout", "parts")])
def test_the_flag_answers_the_question(place, capsys, option):
    (place / "photos" / "extra").mkdir()
    photos.write(place / "photos" / "extra" / "0.png", photos.encoded(photos.colours()))
    code, report, err = run(capsys, "data", "stats", place / "photos", "--json", *option)
    if not option:
        assert code == 2 and "Say which: --layout parts, or --layout classes." in err
    else:
        names = {"classes": ["Val", "extra", "test", "train"], "parts": ["ant", "bee"]}[option[1]]
        assert code == 0 and [entry["name"] for entry in report["classes"]] == names


def test_validation_images_of_a_class_that_is_not_learned_are_refused(place, capsys):
    photos.photo_folder(place / "photos" / "Val", ("wasp",), 1)
    code, _, err = train(capsys, place, place / "photos")
    assert code == 2 and "wasp" in err and "Val" in err


def test_images_for_validation_and_a_share_to_hold_out_contradict(place, capsys):
    code, _, err = train(capsys, place, place / "photos", "--validation-split", 0.2)
    assert code == 2 and "has images for validation, 'Val'" in err


def test_every_command_on_data_knows_the_parts(place, capsys):
    code, report, _ = run(capsys, "data", "check", place / "photos", "--json")
    assert code == 0 and {kind: part["images"] for kind, part in report["parts"].items()} == {
        "train": 16,
        "validation": 6,
        "test": 6,
    }
    assert run(capsys, "data", "stats", place / "photos", "--json")[1]["images"] == 16
    code, _, err = run(capsys, "data", "pack", place / "photos", place / "photos.h5")
    assert code == 2 and "pack each by itself" in err


def test_a_test_part_without_classes_is_left_out_in_words(place, capsys):
    for folder in CLASSES:
        for file in (place / "photos" / "test" / folder).iterdir():
            file.rename(place / "photos" / "test" / f"{folder}{file.name}")
        (place / "photos" / "test" / folder).rmdir()
    code, _, err = train(capsys, place, place / "photos")
    assert code == 0 and "'test' is left out, as it has no classes" in err
