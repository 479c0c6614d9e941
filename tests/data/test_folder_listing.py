"""from_folder: which folders are classes, which files are theirs, and what they are called."""

from __future__ import annotations

import json
import os
import unicodedata

import numpy as np
import photos
import pytest
from fake_model import FakeModel
from folders import SIZE, drawn, left_out, skipping

from fastcnn.data import from_folder
from fastcnn.data.folder.file_list import files_under
from fastcnn.training import input_checks


def test_an_empty_folder_is_no_class_and_is_told(tmp_path):
    root = photos.photo_folder(tmp_path / "photos", ("ant", "cat"))
    (root / "bee" / "nested").mkdir(parents=True)
    photos.write(root / "bee" / "Thumbs.db", b"a system's own")
    with pytest.warns(UserWarning, match=r"No file in the folder 'bee': it is no class.*class_na"):
        found = from_folder(root, SIZE)
    assert found.class_names == ["ant", "cat"]
    np.testing.assert_array_equal(np.bincount(found.labels), [6, 6])
    assert "'bee'" in str(found.report) and "'bee'" in found.report.json()
    with pytest.warns(UserWarning, match="No image in 'bee'"):
        kept = from_folder(root, SIZE, class_names=["ant", "bee", "cat"])
    assert kept.class_names == ["ant", "bee", "cat"] and np.unique(kept.labels).tolist() == [0, 2]


def test_an_empty_folder_changes_no_label_of_a_validation_set(tmp_path):
    root = photos.photo_folder(tmp_path / "held", ("ant", "cat"), 2)
    (root / "bee").mkdir()
    with pytest.warns(UserWarning, match="'bee': it is no class"):
        held = from_folder(root, SIZE)
    model = FakeModel(input_shape=(*SIZE, 3))
    model.class_names = ["ant", "bee", "cat"]
    assert input_checks.dataset_targets(model, held, "").tolist() == [0, 0, 2, 2]


def test_a_class_whose_folder_cannot_be_opened_is_no_output_and_told(tmp_path, monkeypatch):
    root = photos.photo_folder(tmp_path / "photos", ("ant", "bee", "cat"))
    scandir = os.scandir

    def refused(path):
        if os.path.basename(path) == "bee":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refused)
    found, warning = skipping(root)
    assert found.class_names == ["ant", "cat"] and "cannot be opened" in warning
    assert "No file that can be used in the folder 'bee'" in warning
    assert np.unique(found.labels).tolist() == [0, 1]


SYSTEMS = ("@eaDir", "__MACOSX", "$RECYCLE.BIN", "lost+found", ".git", ".ipynb_checkpoints")


@pytest.mark.parametrize("name", SYSTEMS)
def test_folders_of_systems_are_passed_over_and_named(tmp_path, name):
    root = photos.photo_folder(tmp_path / "photos", ("ant", "cat"))
    for where in (root, root / "cat", root / "cat" / "deeper"):
        photos.photo_folder(where, (name,), 1)
    found, warning = skipping(root)
    assert warning is None and found.class_names == ["ant", "cat"]
    assert np.bincount(found.labels).tolist() == [6, 6]
    places = (name, f"cat/{name}", f"cat/deeper/{name}")
    assert left_out(found.report, "ignored") == dict.fromkeys(
        places, "it is hidden or a system's own"
    )
    assert files_under(root) == found.files


def test_a_single_class_is_told(tmp_path):
    root = photos.photo_folder(tmp_path / "photos", ("cat",))
    with pytest.warns(UserWarning, match="Only one class, 'cat'"):
        found = from_folder(root, SIZE)
    assert len(found) == 6


def test_class_names_choose_and_order(tmp_path):
    root = photos.photo_folder(tmp_path / "photos", ("ant", "bee", "cat"))
    found = from_folder(root, SIZE, class_names=["cat", "ant"])
    assert found.class_names == ["cat", "ant"]
    assert found.files[0].startswith("cat/")
    for wrong in (["dog", "emu"], ["cat", "cat"], []):
        with pytest.raises(ValueError, match=r"class_names must be a list .*ant, bee, cat"):
            from_folder(root, SIZE, class_names=wrong)


@pytest.mark.parametrize("in_memory", [True, False])
def test_a_smaller_set_is_read_with_the_labels_of_another(tmp_path, in_memory):
    train = from_folder(photos.photo_folder(tmp_path / "train", ("ant", "bee", "cat")), SIZE)
    root = photos.photo_folder(tmp_path / "held", ("cat", "ant", "dog"), 2)
    photos.write(root / "cat" / "zero.jpg", b"")
    with pytest.warns(UserWarning, match=r"1 of 5 files was skipped.*No image in 'bee'"):
        held = from_folder(
            root, SIZE, class_names=train.class_names, in_memory=in_memory, on_error="skip"
        )
    assert held.class_names == train.class_names
    np.testing.assert_array_equal(held.labels, [0, 0, 2, 2])
    assert held.files == ["ant/00.png", "ant/01.png", "cat/00.png", "cat/01.png"]
    assert held.report.counts == [2, 0, 2]
    assert "bee" in str(held.report)


def test_unicode_names_composed_or_not(tmp_path):
    names = ["Äpfel", "日本", "été"]
    root = photos.photo_folder(
        tmp_path / "fotos ü", [unicodedata.normalize("NFD", name) for name in names]
    )
    photos.write(root / unicodedata.normalize("NFD", "été") / "ça.jpg", b"")
    found, warning = skipping(root)
    assert sorted(found.class_names) == sorted(names)
    assert "été/ça.jpg" in warning
    assert json.loads(found.report.json())["skipped"][0]["path"] == "été/ça.jpg"


def test_names_that_are_no_text(tmp_path):
    root = photos.photo_folder(tmp_path / "photos", ("cat",))
    name = os.path.join(os.fsencode(root), b"caf\xe9")
    os.makedirs(name)
    with open(os.path.join(name, b"\xff.png"), "wb") as file:
        file.write(photos.encoded(photos.colours()))
    found = from_folder(root, SIZE)
    assert found.class_names == ["caf\\xe9", "cat"]
    assert drawn(found).shape == (7, 10, 12, 3)
    assert found.report.json().encode("utf-8")


def test_two_names_that_read_the_same_are_refused(tmp_path):
    root = photos.photo_folder(
        tmp_path / "photos", [unicodedata.normalize(form, "été") for form in ("NFC", "NFD")]
    )
    with pytest.raises(ValueError, match="two folders whose name reads 'été'"):
        from_folder(root, SIZE)


def test_links_in_a_loop_end(tmp_path):
    root = photos.photo_folder(tmp_path / "photos")
    (root / "cat" / "deeper").mkdir()
    (root / "cat" / "deeper" / "up").symlink_to(root, target_is_directory=True)
    (root / "cat" / "self").symlink_to(".", target_is_directory=True)
    (root / "cat" / "dogs").symlink_to("../dog", target_is_directory=True)
    elsewhere = photos.photo_folder(tmp_path / "more", ("cat",), 2)
    (root / "cat" / "more").symlink_to(elsewhere / "cat", target_is_directory=True)
    found = from_folder(root, SIZE)
    np.testing.assert_array_equal(np.bincount(found.labels), [8, 6])
    assert left_out(found.report, "ignored") == {
        "cat/deeper/up": "it leads to a folder that is read already, the whole set's",
        "cat/self": "it leads to a folder that is read already, 'cat'",
        "cat/dogs": "it leads to a folder that is read already, 'dog'",
    }


def test_a_link_to_itself_is_a_file_that_cannot_be_read(tmp_path):
    root = photos.photo_folder(tmp_path / "photos")
    for name in ("cat/self.jpg", "self"):
        (root / name).symlink_to(os.path.basename(name))
    found, warning = skipping(root)
    assert "cannot be opened" in left_out(found.report)["cat/self.jpg"]
    assert left_out(found.report, "ignored") == {"self": "it is in no class's folder"}
    assert warning.startswith("from_folder: 1 of 13 files was skipped, 'cat/self.jpg', because it")


def test_a_pipe_is_not_waited_for(tmp_path):
    root = photos.photo_folder(tmp_path / "photos")
    os.mkfifo(root / "cat" / "pipe.jpg")
    found = from_folder(root, SIZE)
    assert left_out(found.report, "ignored") == {"cat/pipe.jpg": "it is no regular file"}


def test_nested_folders_belong_to_their_class(tmp_path):
    root = photos.photo_folder(tmp_path / "photos")
    photos.photo_folder(root / "dog", ("2023", "2024"), 2)
    found = from_folder(root, SIZE)
    np.testing.assert_array_equal(np.bincount(found.labels), [6, 10])
    assert found.files[6] == "dog/00.png"
    assert found.files[-1] == "dog/2024/01.png"


def test_folders_without_images_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="expected a folder"):
        from_folder(tmp_path / "nowhere")
    flat = tmp_path / "flat"
    photos.write(flat / "a.png", photos.encoded(photos.colours()))
    with pytest.raises(ValueError, match="one folder a class"):
        from_folder(flat)
    with pytest.raises(NotADirectoryError, match="expected a folder"):
        from_folder(flat / "a.png")
    (tmp_path / "empty" / "cat").mkdir(parents=True)
    with pytest.raises(ValueError, match="hold no file"):
        from_folder(tmp_path / "empty")
    photos.write(tmp_path / "bad" / "cat" / "a.png", b"no")
    with pytest.raises(ValueError, match=r"(?s)none of the files .*it is text"):
        from_folder(tmp_path / "bad", on_error="skip")
