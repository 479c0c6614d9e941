"""What the system is short of, memory or open files, is raised as it is and condemns no file."""

from __future__ import annotations

import errno
import os
import resource
from contextlib import contextmanager

import numpy as np
import photos
import pytest
from PIL import JpegImagePlugin

from fastcnn.data import Decoder, Unreadable, from_folder
from fastcnn.data.folder import file_list, inspection
from fastcnn.data.images import file_format

SIZE = (10, 12)


@pytest.fixture
def root(tmp_path):
    root = photos.photo_folder(tmp_path / "photos", count=8)
    photos.write(root / "cat" / "00.png", photos.encoded(photos.smooth(), "JPEG"))
    return root


@contextmanager
def no_open_files():
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def drawn(dataset, count):
    out = np.empty((count, *SIZE, 3), np.uint8)
    dataset.images(np.arange(count), out)
    return out


def asked(found):
    """Every way to ask a streamed folder for its images."""
    return (
        lambda: drawn(found, 16),
        lambda: drawn(found.for_epoch(0, 0), 16),
        lambda: list(found.decoded()),
        found.check_headers,
    )


def test_too_many_open_files_are_told_and_forgotten(root):
    found = from_folder(root, SIZE, in_memory=False, on_error="skip")
    expected = drawn(found, 16)
    for ask in asked(found):
        words = r"cannot be read now: Too many.*cat/0"
        with pytest.raises(OSError, match=words) as error, no_open_files():
            ask()
        assert error.value.errno == errno.EMFILE
    assert not found.report.skipped
    assert not found.damage.told()
    np.testing.assert_array_equal(drawn(found, 16), expected)


def test_no_folder_is_skipped_for_want_of_open_files(root, monkeypatch):
    scandir = os.scandir

    def short(path):
        if os.path.basename(path) == "dog":
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE), path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", short)
    with pytest.raises(OSError, match="Too many open files"):
        file_list.list_folder(root)


@pytest.mark.parametrize("place", ["_open", "load"])
@pytest.mark.parametrize(
    ("failure", "kind"), [(MemoryError(), MemoryError), (OSError(errno.ENOMEM, "none"), OSError)]
)
def test_a_want_of_memory_is_told_and_forgotten(root, monkeypatch, place, failure, kind):
    found = from_folder(root, SIZE, in_memory=False, on_error="skip")
    expected = drawn(found, 1)

    def short(self):
        raise failure

    with monkeypatch.context() as patch:
        patch.setattr(JpegImagePlugin.JpegImageFile, place, short)
        for ask in (*asked(found)[:3], lambda: inspection.inspect_folder(root)):
            with pytest.raises(kind, match=r"cat/00\.png"):
                ask()
        with pytest.raises(kind, match=r"cat/00\.png"):
            from_folder(root, SIZE, on_error="skip")
    assert not found.report.skipped
    np.testing.assert_array_equal(drawn(found, 1), expected)


def test_other_failures_of_the_system_are_the_files(tmp_path, monkeypatch):
    path = photos.write(tmp_path / "a.png", photos.encoded(photos.colours()))

    def failing(path, file):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with pytest.raises(Unreadable, match="Input/output error"):
        file_format.read(str(path), failing)
    assert Decoder(6, 8)(str(path)).shape == (6, 8, 3)
