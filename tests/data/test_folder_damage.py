"""Folders that turn out to be damaged while they are streamed: who stands in, who is told."""

from __future__ import annotations

import contextlib
import gc
import io
import re
import sys
import threading
import time
import warnings
from collections import Counter

import numpy as np
import photos
import pytest
from PIL import Image

import fastcnn
from fastcnn.data import Decoder, Unreadable, from_folder
from fastcnn.data.dataset import pieces
from fastcnn.data.images import file_format
from fastcnn.layers import Dense, Flatten, Rescaling

SIZE = (10, 12)


def late(seed):
    """A picture with a good header and damage behind it."""
    content = photos.encoded(photos.colours(40, 40, seed))
    return content[: len(content) // 2]


@pytest.fixture
def damaged(tmp_path):
    """40 images a class, of which 12 cats and 1 dog are damaged behind their headers."""
    root = photos.photo_folder(tmp_path / "photos", count=40, height=10, width=12)
    for number in range(5, 17):
        photos.write(root / "cat" / f"{number:02d}.png", late(number))
    photos.write(root / "dog" / "07.png", late(57))
    return root


def streamed(root, **settings):
    return from_folder(root, SIZE, in_memory=False, on_error="skip", **settings)


def drawn(dataset, indices=None):
    indices = np.arange(len(dataset)) if indices is None else np.asarray(indices)
    out = np.empty((len(indices), *SIZE, 3), np.uint8)
    dataset.images(indices, out)
    return out


def network():
    model = fastcnn.Sequential(
        [Rescaling(1 / 255), Flatten(), Dense(2, activation="softmax")], (*SIZE, 3), seed=0
    )
    model.compile("sgd", "sparse_categorical_crossentropy", ["accuracy"])
    return model


@pytest.fixture
def quiet():
    """Without the warnings, which some tests look at closely and others not."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".* cannot be used, or no longer")
        yield


def test_stand_ins_are_drawn_from_the_whole_class(damaged):
    found = streamed(damaged)
    seen = drawn(found.for_epoch(seed=0, epoch=0))
    cats = Counter(image.tobytes() for image in seen[:40])
    assert len(cats) == 28
    # 12 draws of 28: that five are the same happens once in 700 times, and this seed is fixed.
    assert max(cats.values()) <= 4
    originals = {photos.colours(*SIZE, seed=number).tobytes() for number in range(40)}
    assert set(cats) <= originals
    assert found.report.counts == [28, 39]
    assert len(found.report.skipped) == 13


def test_stand_ins_depend_on_seed_epoch_and_number_alone(damaged):
    first = drawn(streamed(damaged).for_epoch(3, 1))
    order = np.random.default_rng(0).permutation(80)
    for workers in (1, 3):
        again = streamed(damaged, workers=workers).for_epoch(3, 1)
        np.testing.assert_array_equal(drawn(again, order), first[order])
    known = streamed(damaged)
    drawn(known.for_epoch(9, 9))  # all damage is known from now on
    np.testing.assert_array_equal(drawn(known.for_epoch(3, 1)), first)
    for other in ((3, 2), (4, 1)):
        assert (drawn(known.for_epoch(*other)) != first).any()


def test_training_repeats_whatever_the_number_of_threads(damaged, quiet):
    weights = []
    for workers in (0, 2):
        model = network()
        model.fit(streamed(damaged), batch_size=16, epochs=2, verbose=0, workers=workers)
        weights.append(model.get_weights())
    for one, other in zip(*weights, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_damaged_file_is_tried_once_and_told_once_an_epoch(damaged, monkeypatch):
    tried = Counter()
    decode = Decoder.__call__

    def counted(self, path, tell=None):
        tried[path] += 1
        return decode(self, path, tell)

    monkeypatch.setattr(Decoder, "__call__", counted)
    found = streamed(damaged)

    class Deleting(fastcnn.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 1:
                (damaged / "dog" / "20.png").unlink()

    with pytest.warns(UserWarning) as caught:
        network().fit(found, batch_size=16, epochs=4, verbose=0, callbacks=Deleting())
    told = [str(one.message) for one in caught]
    assert len(told) == 2
    assert "13 files of" in told[0]
    assert "dog/20.png" in told[1]
    assert all(tried[str(damaged / "cat" / f"{number:02d}.png")] == 1 for number in range(5, 17))
    assert found.report.counts == [28, 38]


def test_evaluation_leaves_damaged_images_out(damaged, quiet):
    model = network()
    whole = streamed(damaged)
    loss, accuracy = model.evaluate(whole, batch_size=16)
    usable = whole.usable()
    assert len(usable) == 67
    # Other batches, and so another rounding of sums of a few float32 numbers.
    np.testing.assert_allclose(model.evaluate(usable, batch_size=16), [loss, accuracy], rtol=1e-6)
    outputs = model.predict(usable)
    assert accuracy == np.mean(outputs.argmax(axis=1) == usable.labels)
    # Whole batches of damaged ones, too.
    np.testing.assert_allclose(model.evaluate(streamed(damaged), batch_size=2)[0], loss, rtol=1e-5)


def test_evaluation_of_nothing_is_refused(tmp_path, quiet):
    for name in ("cat", "dog"):
        photos.write(tmp_path / "photos" / name / "a.png", late(1))
    with pytest.raises(ValueError, match="None of the images"):
        network().evaluate(streamed(tmp_path / "photos"))


def test_validation_goes_on_without_damaged_images(damaged):
    train, held = streamed(damaged, validation_split=0.5)
    lost = sum(name in held.files for name in [f"cat/{n:02d}.png" for n in range(5, 17)])
    assert lost > 2
    with pytest.warns(UserWarning) as caught:
        model = network()
        history = model.fit(train, validation_data=held, batch_size=16, epochs=2, verbose=0)
    assert len(caught) == 2
    expected = np.mean(model.predict(held.usable()).argmax(axis=1) == held.usable().labels)
    assert history.history["val_accuracy"][-1] == expected


def test_predict_never_answers_for_another_picture(damaged):
    found = streamed(damaged)
    with pytest.raises(Unreadable, match=r"cat.05\.png"):
        network().predict(found)
    with pytest.raises(Unreadable, match=r"dog.07\.png"):
        drawn(found, [47])


def test_one_file_is_told_as_one(tmp_path):
    root = photos.photo_folder(tmp_path / "photos", height=10, width=12)
    photos.write(root / "dog" / "02.png", late(7))
    found = streamed(root)
    with pytest.warns(UserWarning) as caught:
        list(pieces(found))
    words = r"A file of '.*' cannot be used, or no longer: 'dog/02\.png' \(it is cut short.*\)\. "
    words += r"What cannot be used is left out\. \.report lists it\."
    assert re.fullmatch(words, str(caught[0].message))
    photos.write(root / "cat" / "00.png", late(7))
    photos.write(root / "cat" / "01.png", late(7))
    with pytest.warns(UserWarning, match=r"2 files of .*, among them 'cat/00.*lists them all"):
        list(pieces(found))


def test_a_class_that_is_gone_ends_the_training_by_its_name(damaged):
    found = streamed(damaged)

    class Deleting(fastcnn.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            for path in (damaged / "dog").iterdir():
                path.unlink()

    with (
        pytest.warns(UserWarning, match="cannot be used, or no longer"),
        pytest.raises(Unreadable, match="the class 'dog' has no other image left"),
    ):
        network().fit(found, batch_size=4, epochs=2, verbose=0, callbacks=Deleting())


def test_an_error_leaves_nothing_to_the_collector(damaged, monkeypatch):
    """What ends in the middle of reading is closed by who reads: the collector may run in one of
    the very threads that would then have to wait for themselves."""
    left, forgotten, read = [], threading.Event(), file_format.read
    monkeypatch.setattr(sys, "unraisablehook", lambda failure: left.append(failure.exc_value))
    photos.write(damaged / "cat" / "00.png", b"words")

    def reading(path, how, *more):
        if path.endswith("39.png"):
            forgotten.wait(0.5)
            gc.collect()
        return read(path, how, *more)

    monkeypatch.setattr(file_format, "read", reading)
    with contextlib.suppress(Unreadable):
        from_folder(damaged, SIZE, in_memory=False, workers=2)
    forgotten.set()
    time.sleep(0.2)
    assert not left


EXIF = (
    b"Exif\0\0II*\0\x08\0\0\0"
    + bytes([2, 0])
    + b"\x12\x01\x03\0\x01\0\0\0\x06\0\0\0"  # orientation 6
    + b"\x0e\x01\x02\0\xff\0\0\0\xf0\xff\0\0"  # a text that lies behind the end
)


@pytest.mark.parametrize("in_memory", [True, False])
def test_damaged_metadata_are_noted_by_name_and_cost_nothing(tmp_path, in_memory, recwarn):
    root = photos.photo_folder(tmp_path / "photos")
    content = photos.encoded(photos.smooth(48, 64), "JPEG", exif=EXIF)
    photos.write(root / "cat" / "odd.jpg", content)
    warnings.simplefilter("always")
    found = from_folder(root, SIZE, in_memory=in_memory, on_error="skip")
    assert len(found) == 13
    drawn(found)
    assert not recwarn.list
    (remark,) = found.report.remarked
    assert remark.path == "cat/odd.jpg"
    assert "EXIF" in remark.reason or "Tag data" in remark.reason
    assert "cat/odd.jpg" in str(found.report)
    assert found.report.described()["remarked"][0]["path"] == "cat/odd.jpg"
    # Others who read with Pillow hear it still, with the place in Pillow.
    with pytest.warns(UserWarning) as caught:
        Image.open(io.BytesIO(content)).getexif()
    assert all("PIL" in one.filename for one in caught)
