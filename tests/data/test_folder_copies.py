"""Sets of images that are copied, pickled, or used in the child of a fork."""

from __future__ import annotations

import copy
import os
import pickle
import threading
import time
import warnings

import numpy as np
import photos
import pytest

from fastcnn.data import from_folder, from_packed, pack
from fastcnn.data.images import memory_budget
from fastcnn.hdf5.errors import FormatError

SIZE = (10, 12)


def drawn(dataset, count=12):
    out = np.empty((count, *SIZE, 3), np.uint8)
    dataset.images(np.arange(count), out)
    return out


@pytest.fixture
def sources(tmp_path):
    """The same images streamed, held and packed."""
    root = photos.photo_folder(tmp_path / "photos")
    held = from_folder(root, SIZE, in_memory=True)
    pack(held, tmp_path / "p.h5")
    streamed = from_folder(root, SIZE, in_memory=False, on_error="skip")
    return {"streamed": streamed, "held": held, "packed": from_packed(tmp_path / "p.h5")}


def in_child(action, seconds=20):
    """Whether the action ends well in the child of a fork; a child that hangs is killed."""
    with warnings.catch_warnings():
        # Newer Pythons warn of forks beside threads, which is what is tested.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if not child:
        code = 1
        try:
            action()
            code = 0
        finally:
            os._exit(code)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return status == 0
        time.sleep(0.01)
    os.kill(child, 9)
    os.waitpid(child, 0)
    return False


@pytest.mark.parametrize("kind", ["streamed", "held", "packed"])
def test_images_in_the_child_of_a_fork(sources, kind):
    source = sources[kind]
    expected = drawn(source)  # its threads are there

    def ask():
        np.testing.assert_array_equal(drawn(source), expected)
        if kind == "streamed":
            os.unlink(source.path(3))
            drawn(source.for_epoch(0, 0))
            assert len(source.damage.told()) == 1

    assert in_child(ask)
    np.testing.assert_array_equal(drawn(sources["held"]), expected)


def test_memory_that_threads_hold_is_free_in_the_child(sources):
    begun, done = threading.Event(), threading.Event()

    def hold():
        with memory_budget.decoding().reserved(1 << 60):
            begun.set()
            done.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    begun.wait()
    try:
        assert in_child(lambda: drawn(sources["streamed"]))
    finally:
        done.set()
        thread.join()


def test_a_fork_while_threads_decode(sources):
    """Whatever the locks are at."""
    source, done = sources["streamed"], threading.Event()

    def ask():
        while not done.is_set():
            drawn(source)
            source.damage.told()

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        assert all(in_child(lambda: drawn(source)) for _ in range(20))
    finally:
        done.set()
        thread.join()


@pytest.mark.parametrize("kind", ["streamed", "held", "packed"])
@pytest.mark.parametrize(
    "again", [copy.copy, copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))]
)
def test_copies_give_the_same_images(sources, kind, again):
    source = sources[kind]
    expected = drawn(source)
    found = again(source)
    np.testing.assert_array_equal(drawn(found), expected)
    np.testing.assert_array_equal(found.labels, source.labels)
    assert (found.files, found.class_names) == (source.files, source.class_names)
    assert found.report.described() == source.report.described()
    part = again(source.part(np.array([3, 1])))
    np.testing.assert_array_equal(drawn(part, 2), expected[[3, 1]])


def test_a_copy_of_a_folder_knows_its_damage(sources):
    source = sources["streamed"]
    os.unlink(source.path(5))
    drawn(source.for_epoch(0, 0))
    found = pickle.loads(pickle.dumps(source))
    assert found.usable().files == source.usable().files
    os.unlink(found.path(7))
    drawn(found.for_epoch(0, 0))
    assert [left.path for left in found.report.skipped] == ["cat/05.png", "dog/01.png"]
    assert [left.path for left in source.report.skipped] == ["cat/05.png"]


def test_a_copy_of_a_packed_set_looks_at_the_bytes_again(sources):
    source = sources["packed"]
    image = drawn(source)[7].tobytes()
    stored = pickle.dumps(source)
    with open(source.path, "r+b") as file:
        file.seek(file.read().index(image))
        file.write(b"another")
    assert drawn(source).shape  # it was looked at before
    with pytest.raises(FormatError, match=r"dog/01\.png.*is not as it was packed"):
        drawn(pickle.loads(stored))
    os.unlink(source.path)
    with pytest.raises(FileNotFoundError):
        pickle.loads(stored)
