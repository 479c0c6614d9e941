"""from_folder: what is held, streamed and left out, how sets are split, and what is said."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import sys
from types import SimpleNamespace

import numpy as np
import photos
import pytest
from folders import SIZE, drawn, left_out, skipping
from threads import run_together

import fastcnn
from fastcnn.data import Dataset, Unreadable, from_folder
from fastcnn.data.folder import image_folder as folder_module
from fastcnn.data.images import parallel_decode
from fastcnn.layers import Dense, Flatten, Rescaling
from fastcnn.utils import system


@pytest.mark.parametrize("in_memory", [True, False])
def test_a_folder_is_a_dataset(tmp_path, in_memory):
    root = photos.photo_folder(tmp_path / "photos", ("dog", "cat", "Ant"), 5, *SIZE)
    found = from_folder(root, SIZE, in_memory=in_memory)
    assert isinstance(found, Dataset)
    assert found.class_names == ["Ant", "cat", "dog"]
    np.testing.assert_array_equal(found.labels, np.repeat([0, 1, 2], 5))
    assert found.labels.dtype == np.int32
    assert (len(found), found.image_shape) == (15, (10, 12, 3))
    assert (found.x is not None) is in_memory
    # photo_folder numbers the classes as they were given: cat is its second.
    np.testing.assert_array_equal(drawn(found, [7])[0], photos.colours(*SIZE, seed=102))
    np.testing.assert_array_equal(drawn(found, [7, 3], np.float32), drawn(found, [7, 3]))
    assert not found.report.skipped
    assert [one["images"] for one in found.report.described()["classes"]] == [5, 5, 5]


def test_streamed_and_held_images_are_the_same(tmp_path):
    root = photos.photo_folder(tmp_path / "photos", count=40)
    held, streamed = (from_folder(root, SIZE, in_memory=choice) for choice in (True, False))
    order = np.random.default_rng(0).permutation(80)
    for workers in (1, 3):
        other = from_folder(root, SIZE, in_memory=False, workers=workers)
        np.testing.assert_array_equal(drawn(other, order), drawn(held, order))
    # Several threads may ask at once.
    results = [None] * 4

    def ask(k):
        results[k] = drawn(streamed, np.roll(order, k))

    run_together(ask, [(k,) for k in range(4)])
    for k in range(4):
        np.testing.assert_array_equal(results[k], drawn(held, np.roll(order, k)))


def test_what_fits_in_a_share_of_memory_is_held(tmp_path, monkeypatch):
    root = photos.photo_folder(tmp_path / "photos")
    needed = 12 * 10 * 12 * 3
    for free, held in ((4 * needed, True), (4 * needed - 4, False)):
        monkeypatch.setattr(system, "available_memory", lambda free=free: free)
        assert (from_folder(root, SIZE).x is not None) is held


def broken_folder(root):
    """Good files, and one of everything that goes wrong."""
    photos.photo_folder(root, ("cat", "dog"), 4)
    good = photos.encoded(photos.colours(60, 80), "JPEG")
    photos.write(root / "cat" / "zero.jpg", b"")
    photos.write(root / "cat" / "cut.jpg", good[: len(good) // 2])
    photos.write(root / "dog" / "words.jpg", b"This is no picture.")
    photos.write(root / "dog" / "renamed.txt", good)
    (root / "dog" / "gone.jpg").symlink_to("nowhere.jpg")
    photos.write(root / "dog" / ".DS_Store", b"Bud1")
    photos.write(root / "dog" / "Thumbs.db", b"\xd0\xcf")
    photos.write(root / "README.md", b"Pictures")
    return root


def test_broken_files_are_skipped_counted_and_named(tmp_path):
    found, warning = skipping(broken_folder(tmp_path / "photos"), in_memory=True)
    assert len(found) == 9
    assert left_out(found.report) == {
        "cat/zero.jpg": "it is empty (zero bytes)",
        "cat/cut.jpg": left_out(found.report)["cat/cut.jpg"],
        "dog/words.jpg": "it is text",
        "dog/gone.jpg": "it is not there, or no longer",
    }
    assert "cut short" in left_out(found.report)["cat/cut.jpg"]
    assert set(left_out(found.report, "ignored")) == {"README.md", "dog/.DS_Store", "dog/Thumbs.db"}
    assert "dog/renamed.txt" in found.files
    assert "4 of 13 files were skipped" in warning
    described = json.loads(found.report.json())
    assert described["images"] == 9
    assert [one["images"] for one in described["classes"]] == [4, 5]
    assert {one["path"] for one in described["skipped"]} == set(left_out(found.report))
    assert "cat/zero.jpg: it is empty" in str(found.report)


def test_a_streamed_set_tells_damage_behind_a_good_header_when_it_meets_it(tmp_path):
    found, _ = skipping(broken_folder(tmp_path / "photos"), in_memory=False)
    assert set(left_out(found.report)) == {"cat/zero.jpg", "dog/words.jpg", "dog/gone.jpg"}
    assert found.report.counts == [5, 5]
    with pytest.raises(Unreadable, match=r"cut\.jpg.*cut short"):
        drawn(found)
    assert "cut short" in left_out(found.report)["cat/cut.jpg"]
    assert found.report.counts == [4, 5]
    # Read through in order, as `pack` does, it is left out.
    position = found.files.index("cat/cut.jpg")
    kept = np.concatenate([chunk.positions for chunk in found.decoded()])
    assert position not in kept
    assert len(kept) == 9
    assert len(found.report.skipped) == 4
    assert found.usable().files == [name for name in found.files if name != "cat/cut.jpg"]


def test_images_move_up_where_files_are_left_out(tmp_path, monkeypatch):
    root = photos.photo_folder(tmp_path / "photos", count=30, height=10, width=12)
    expected = from_folder(root, SIZE)
    lost = [0, 1, 7, 29, 30, 41, 59]
    for position in lost:
        photos.write(root / expected.files[position], b"")
    for moved in (1, 4, 256):
        monkeypatch.setattr(folder_module, "MOVED", moved)
        found, _ = skipping(root, in_memory=True)
        np.testing.assert_array_equal(found.x, np.delete(expected.x, lost, axis=0))
        np.testing.assert_array_equal(found.labels, np.delete(expected.labels, lost))


def test_the_first_broken_file_is_raised(tmp_path):
    root = broken_folder(tmp_path / "photos")
    for in_memory, name in ((True, "cut.jpg"), (False, "zero.jpg")):
        with pytest.raises(Unreadable, match=name):
            from_folder(root, SIZE, in_memory=in_memory)


@pytest.mark.parametrize("on_error", ["skip", "raise"])
def test_a_file_deleted_while_the_epoch_runs(tmp_path, on_error):
    root = photos.photo_folder(tmp_path / "photos", count=3, height=10, width=12)
    found = from_folder(root, SIZE, on_error=on_error, in_memory=False)
    before = drawn(found)
    (root / "dog" / "02.png").unlink()
    if on_error == "raise":
        with pytest.raises(Unreadable, match=r"02\.png.*not there, or no longer"):
            drawn(found)
        return
    after = drawn(found.for_epoch(seed=0, epoch=0))
    np.testing.assert_array_equal(after[:5], before[:5])
    assert any((after[5] == before[other]).all() for other in (3, 4))
    assert left_out(found.report) == {"dog/02.png": "it is not there, or no longer"}
    shutil.rmtree(root / "dog")
    with pytest.raises(Unreadable, match=r"not there.*the class 'dog' has no other image left"):
        drawn(found.for_epoch(seed=0, epoch=0))


def test_training_ends_with_the_name_of_the_file_that_is_gone(tmp_path):
    root = photos.photo_folder(tmp_path / "photos", count=8, height=10, width=12)
    found = from_folder(root, SIZE, in_memory=False)
    (root / "cat" / "05.png").unlink()
    model = fastcnn.Sequential(
        [Rescaling(1 / 255), Flatten(), Dense(2)], input_shape=(10, 12, 3), seed=0
    )
    model.compile("sgd", fastcnn.losses.SparseCategoricalCrossentropy(from_logits=True))
    with pytest.raises(Unreadable, match=r"05\.png"):
        model.fit(found, batch_size=4, epochs=1, verbose=0)


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_a_training_goes_on_where_a_file_is_deleted_while_the_epoch_runs(tmp_path, workers):
    root = photos.photo_folder(tmp_path / "photos", count=8, height=10, width=12)
    found = from_folder(root, SIZE, in_memory=False, on_error="skip")
    layers = [Rescaling(1 / 255), Flatten(), Dense(2, activation="softmax")]
    model = fastcnn.Sequential(layers, (10, 12, 3))
    model.compile("sgd", "sparse_categorical_crossentropy")

    class Deleting(fastcnn.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            (root / "cat" / "05.png").unlink(missing_ok=True)

    with pytest.warns(UserWarning, match=r"05\.png.*stand in"):
        model.fit(found, batch_size=2, epochs=2, verbose=0, callbacks=Deleting(), workers=workers)
    assert set(left_out(found.report)) == {"cat/05.png"}
    assert found.report.counts == [7, 8]
    assert len(found) == 16


def test_a_model_learns_from_a_folder_and_knows_its_classes(tmp_path):
    root = tmp_path / "photos"
    for number in range(30):
        for name, level in (("dark", 40), ("bright", 200)):
            noise = photos.colours(*SIZE, seed=number) // 8
            photos.write(root / name / f"{number}.png", photos.encoded(noise + np.uint8(level)))
    results = []
    for in_memory in (True, False):
        train, validation = from_folder(root, SIZE, validation_split=0.2, in_memory=in_memory)
        model = fastcnn.Sequential(
            [Rescaling(1 / 128, -1), Flatten(), Dense(2)], input_shape=(10, 12, 3), seed=0
        )
        loss = fastcnn.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile("adam", loss, ["accuracy"])
        history = model.fit(train, batch_size=8, epochs=5, validation_data=validation, verbose=0)
        assert model.class_names == ["bright", "dark"]
        assert history.history["val_accuracy"][-1] == 1.0
        results.append(model.get_weights())
    for held, streamed in zip(*results, strict=True):
        np.testing.assert_array_equal(held, streamed)


@pytest.mark.parametrize("kind", ["held", "streamed", "epoch"])
@pytest.mark.parametrize("wrong", [[-1], [12], [0, 99, 3], [-(2**60)]])
def test_wrong_indices_are_refused_in_words(tmp_path, kind, wrong):
    root = photos.photo_folder(tmp_path / "photos", height=10, width=12)
    found = from_folder(root, SIZE, in_memory=kind == "held")
    asked = found if kind != "epoch" else found.for_epoch(0, 0)
    bad = next(index for index in wrong if index)
    for dtype in (np.uint8, np.float32):
        out = np.zeros((len(wrong), *SIZE, 3), dtype)
        words = rf"ImageFolder\.images: .* from 0 to 11 \(12 images\)\. Received {bad} at"
        with pytest.raises(IndexError, match=words):
            asked.images(np.array(wrong), out)
        assert not out.any()
    every_other = np.arange(12)[::2]
    np.testing.assert_array_equal(drawn(found, every_other), drawn(found)[::2])


@pytest.mark.parametrize(("seconds", "workers"), [(0.02, 1), (0.9, 7)])
def test_headers_are_read_by_many_threads_where_the_disk_is_waited_for(
    tmp_path, monkeypatch, seconds, workers
):
    clock, spent = iter((0.0, seconds)), iter((0.0, 0.01))
    clocks = SimpleNamespace(perf_counter=lambda: next(clock), thread_time=lambda: next(spent))
    monkeypatch.setattr(parallel_decode, "time", clocks)
    (tmp_path / "empty").touch()
    assert (
        parallel_decode.header_workers([str(tmp_path / "empty"), str(tmp_path / "gone")], 7)
        == workers
    )


def test_images_that_wait_are_bounded_in_bytes(tmp_path, monkeypatch):
    root = photos.photo_folder(tmp_path / "photos", count=20, height=10, width=12)
    decoder = from_folder(root, (100, 100), in_memory=False).decoder
    paths = sorted(map(str, root.rglob("*.png")))
    expected = np.stack([decoder(path) for path in paths])
    made = []
    empty = np.empty
    monkeypatch.setattr(np, "empty", lambda *given: made.append(empty(*given)) or made[-1])
    image = 100 * 100 * 3
    for held, workers in ((1 << 28, 2), (50 * image, 3), (7 * image, 3), (image - 1, 5)):
        monkeypatch.setattr(parallel_decode, "HELD", held)
        made.clear()
        chunks = parallel_decode.decode_all(decoder, paths, workers)
        slots = [array for array in made if array.shape[1:] == (100, 100, 3)]
        assert sum(map(len, slots)) <= max(workers, held // image)
        # Every thread has work, and more of it where there is room.
        assert len(slots) >= workers
        assert len(slots[0]) == (
            parallel_decode.CHUNK if held >= 50 * image else held // image // 3 or 1
        )
        assert len(slots) <= parallel_decode.AHEAD * workers
        for start, chunk in zip(itertools.count(step=len(slots[0])), chunks, strict=False):
            np.testing.assert_array_equal(chunk.images, expected[start : start + chunk.count])
        assert start + chunk.count == 40


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"on_error": "zero"}, "on_error must be 'raise' or 'skip'"),
        ({"image_size": 64}, r"image_size must be \(height, width\)"),
        ({"validation_split": 1.0}, "between 0 and 1"),
        ({"validation_split": True}, "between 0 and 1"),
        ({"workers": 0}, "workers must be a whole number of at least 1. Received 0"),
        ({"workers": -2}, "workers must be a whole number of at least 1"),
        ({"seed": -1}, "seed must be a whole number of at least 0"),
        ({"seed": 2**200, "validation_split": 0.5}, "seed must be a whole number from 0 to 9,223"),
    ],
)
def test_wrong_arguments_are_refused(tmp_path, settings, words):
    root = photos.photo_folder(tmp_path / "photos")
    with pytest.raises(ValueError, match=words):
        from_folder(root, **{"image_size": SIZE, **settings})


def test_arguments_of_wrong_types_are_refused(tmp_path):
    root = photos.photo_folder(tmp_path / "photos")
    for name in ("seed", "workers"):
        with pytest.raises(TypeError, match=f"from_folder: {name} must be a whole number"):
            from_folder(root, SIZE, **{name: "x"})


def test_a_class_that_a_split_leaves_out_is_told(tmp_path):
    root = photos.photo_folder(tmp_path / "photos", ("ant", "bee"), 20)
    photos.photo_folder(root, ("cat",), 1, height=9)
    with pytest.warns(UserWarning, match="No image of 'cat' to validate on: it has one alone"):
        _, held = from_folder(root, SIZE, validation_split=0.2)
    assert "'cat'" in held.report.described()["notes"][0]


def test_a_split_is_stratified_and_whole(tmp_path):
    root = photos.photo_folder(tmp_path / "photos", ("ant", "bee"), 20)
    photos.photo_folder(root, ("cat",), 7, height=9)
    train, held = from_folder(root, SIZE, validation_split=0.3, seed=5)
    np.testing.assert_array_equal(np.bincount(held.labels), [6, 6, 2])
    assert sorted(train.files + held.files) == from_folder(root, SIZE).files
    np.testing.assert_array_equal(drawn(held, [0])[0], _image(root, held.files[0]))
    assert train.report is held.report
    assert train.report.images == 47


def _image(root, name):
    from fastcnn.data.images.decoder import Decoder

    return Decoder(*SIZE)(str(root / name))


def test_a_split_depends_on_names_and_seed_alone(tmp_path, monkeypatch):
    root = photos.photo_folder(tmp_path / "photos", count=20)
    first = from_folder(root, SIZE, validation_split=0.25)[1].files
    copy = tmp_path / "copy"
    for name in sorted((path.relative_to(root) for path in root.rglob("*.png")), reverse=True):
        photos.write(copy / name, (root / name).read_bytes())
    scandir = os.scandir

    class Backwards:
        def __init__(self, path):
            with scandir(path) as entries:
                self.entries = sorted(entries, key=lambda entry: entry.name, reverse=True)

        def __enter__(self):
            return iter(self.entries)

        def __exit__(self, *_):
            pass

    monkeypatch.setattr(os, "scandir", Backwards)
    assert from_folder(copy, SIZE, validation_split=0.25)[1].files == first
    assert from_folder(copy, SIZE, validation_split=0.25, seed=1)[1].files != first
    # A damaged file is missed on its own side alone, whether images are held or streamed.
    photos.write(copy / first[0], b"")
    for in_memory in (True, False):
        (_, held), _ = skipping(copy, validation_split=0.25, in_memory=in_memory)
        assert held.files == first[1:]


def test_a_bar_is_shown_on_a_terminal_alone(tmp_path, monkeypatch, capsys):
    root = photos.photo_folder(tmp_path / "photos")
    from_folder(root, SIZE)
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    from_folder(root, SIZE)
    out, err = capsys.readouterr()
    assert out == ""
    assert "Decoding" in err
