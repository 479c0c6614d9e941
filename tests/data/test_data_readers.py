"""The readers of IDX and CIFAR-10 files: hand-made, truncated, hostile and random ones."""

from __future__ import annotations

import gzip
import struct
import tracemalloc

import numpy as np
import pytest
from deadline import within
from hypothesis import given
from hypothesis import strategies as st

from fastcnn.data.datasets.cifar import RECORD, read_cifar10
from fastcnn.data.datasets.idx import read_idx


def idx_bytes(array, shape=None, kind=8):
    shape = array.shape if shape is None else shape
    return (
        bytes([0, 0, kind, len(shape)]) + struct.pack(f">{len(shape)}I", *shape) + array.tobytes()
    )


IMAGES = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
GOOD = idx_bytes(IMAGES)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_idx_is_read_by_content_whatever_its_name(tmp_path, pack):
    path = tmp_path / "images"
    path.write_bytes(pack(GOOD))
    array = read_idx(path, axes=3)
    np.testing.assert_array_equal(array, IMAGES)
    assert array.dtype == np.uint8
    assert array.flags.writeable


HUGE = idx_bytes(IMAGES, (2**32 - 1, 2**32 - 1, 2**32 - 1))
MALFORMED = {
    "empty": (b"", "begins with 00 00 08 03. Found an empty file"),
    "text": (b"<html>not found</html>", "begins with 00 00 08 03. Found 3c 68 74 6d"),
    "other axes": (idx_bytes(IMAGES[0]), "begins with"),
    "other type": (idx_bytes(IMAGES, kind=13), "begins with .*Found 00 00 0d 03"),
    "header cut": (GOOD[:9], "header ends after 9 bytes"),
    "cut": (GOOD[:-1], r"\(2, 3, 4\) must hold 40 bytes. Found"),
    "longer": (GOOD + b"\0", "must hold 40 bytes. Found"),
    "no images": (idx_bytes(IMAGES[:0]), "at least one entry"),
    "huge": (HUGE, "must hold"),
}


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize("case", MALFORMED)
def test_malformed_idx_is_refused_in_words(tmp_path, case, pack):
    content, words = MALFORMED[case]
    path = tmp_path / "images"
    path.write_bytes(pack(content))
    with pytest.raises(ValueError, match=words) as error:
        read_idx(path, axes=3)
    assert str(path) in str(error.value)


def test_idx_of_any_number_of_axes(tmp_path):
    path = tmp_path / "any"
    for array in (IMAGES, IMAGES[0, 0], IMAGES[None]):
        path.write_bytes(idx_bytes(array))
        np.testing.assert_array_equal(read_idx(path), array)
    path.write_bytes(idx_bytes(IMAGES[None, None]))
    with pytest.raises(ValueError, match=r"begins with 00 00 08 01 to 04\. Found 00 00 08 05"):
        read_idx(path)


@pytest.mark.parametrize("damage", ["cut", "flipped", "checksum", "magic alone"])
def test_damaged_gzip_is_refused_in_words(tmp_path, damage):
    packed = bytearray(gzip.compress(idx_bytes(np.arange(240, dtype=np.uint8).reshape(4, 6, 10))))
    if damage == "cut":
        del packed[-20:]
    elif damage == "flipped":
        packed[20] ^= 0xFF
    elif damage == "checksum":
        packed[-8] ^= 0xFF
    else:
        del packed[2:]
    path = tmp_path / "images.gz"
    path.write_bytes(packed)
    with pytest.raises(ValueError, match=r"images\.gz"):
        read_idx(path, axes=3)


def test_a_bomb_is_not_unpacked(tmp_path):
    """64 MB of zeros behind a small header, and a header of 4 GB behind a small file."""
    path = tmp_path / "images.gz"
    for shape, extra in (((2, 3, 4), 64_000_000), ((1000, 2000, 2000), 0)):
        path.write_bytes(gzip.compress(idx_bytes(IMAGES, shape) + bytes(extra)))
        tracemalloc.start()
        with pytest.raises(ValueError, match="must hold"):
            read_idx(path, axes=3)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 2_000_000


@given(content=st.binary(max_size=60), kept=st.integers(0, 16), packed=st.booleans())
def test_random_idx_reads_whole_or_is_refused(tmp_path_factory, content, kept, packed):
    path = tmp_path_factory.getbasetemp() / "fuzz.idx"
    content = GOOD[:kept] + content
    path.write_bytes(gzip.compress(content) if packed else content)
    try:
        with within():
            array = read_idx(path, axes=3)
    except ValueError as error:
        assert "fuzz.idx" in str(error)
    else:
        assert content == idx_bytes(array)


def test_cifar_planes_become_channels(tmp_path):
    planes = np.random.default_rng(0).integers(0, 256, (3, 3, 32, 32), np.uint8)
    labels = np.array([9, 0, 4], np.uint8)
    path = tmp_path / "data_batch_1.bin"
    path.write_bytes(
        b"".join(bytes([k]) + p.tobytes() for k, p in zip(labels, planes, strict=True))
    )
    images, got = read_cifar10(path)
    np.testing.assert_array_equal(images, planes.transpose(0, 2, 3, 1))
    np.testing.assert_array_equal(got, labels)
    assert images.flags.c_contiguous


@given(size=st.integers(0, 2 * RECORD + 1))
def test_cifar_of_any_other_size_is_refused(tmp_path_factory, size):
    path = tmp_path_factory.getbasetemp() / "fuzz.bin"
    path.write_bytes(bytes(size))
    if size and size % RECORD == 0:
        assert len(read_cifar10(path)[0]) == size // RECORD
    else:
        words = rf"records of {RECORD} bytes. Found {size} bytes"
        with pytest.raises(ValueError, match=words), within():
            read_cifar10(path)
