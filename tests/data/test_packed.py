"""Packed sets: written whole or not at all, read with bounds, trained from the disk."""

from __future__ import annotations

import copy
import json
import os
import pickle
import tracemalloc
import zlib

import h5py
import numpy as np
import photos
import pytest
from threads import run_together

import fastcnn
from fastcnn.data import Dataset, Decoder, from_folder, from_packed, pack
from fastcnn.data.files import pack as packing
from fastcnn.hdf5.errors import FormatError
from fastcnn.layers import Dense, Flatten, Rescaling

SIZE = (10, 12)


@pytest.fixture
def packed_folder(tmp_path):
    """A folder, and the file that it was packed into."""
    root = photos.photo_folder(tmp_path / "photos", ("cat", "dög"), 9)
    target = tmp_path / "photos.h5"
    assert pack(from_folder(root, SIZE, in_memory=False), target) == 18
    return root, target


def drawn(dataset, indices=None, dtype=np.uint8):
    indices = np.arange(len(dataset)) if indices is None else np.asarray(indices)
    out = np.full((len(indices), *dataset.image_shape), 77, dtype)
    dataset.images(indices, out)
    return out


@pytest.mark.parametrize("chunk", [1, 400, 1500, 1 << 20])
def test_what_was_packed_comes_back(tmp_path, monkeypatch, chunk):
    """With chunks of one image, of one, of four, and of all."""
    monkeypatch.setattr(packing, "CHUNK", chunk)
    root = photos.photo_folder(tmp_path / "photos", ("cat", "dög"), 9)
    for in_memory in (True, False):
        source = from_folder(root, SIZE, in_memory=in_memory)
        assert pack(source, tmp_path / "photos.h5") == 18
        found = from_packed(tmp_path / "photos.h5")
        assert isinstance(found, Dataset)
        np.testing.assert_array_equal(drawn(found), drawn(source))
        order = np.random.default_rng(0).permutation(18).repeat(2)
        for one in (found, source):
            assert drawn(one, np.arange(0)).shape == (0, 10, 12, 3)
        assert found.decoder == source.decoder
        for dtype in (np.uint8, np.float32):
            np.testing.assert_array_equal(drawn(found, order, dtype), drawn(source, order, dtype))
        np.testing.assert_array_equal(found.labels, source.labels)
        assert (found.class_names, found.files) == (source.class_names, source.files)
        assert found.image_shape == (10, 12, 3)


def test_every_hdf5_library_reads_it(packed_folder):
    root, target = packed_folder
    source = from_folder(root, SIZE)
    with h5py.File(target) as file:
        assert file["images"].chunks == (18, 10, 12, 3)
        assert file["images"].compression is None
        np.testing.assert_array_equal(file["images"][...], source.x)
        np.testing.assert_array_equal(file["labels"][...], source.labels)
        sums = [zlib.crc32(image.tobytes()) for image in source.x]
        np.testing.assert_array_equal(file["checksums"][...], sums)


def test_a_split_is_that_of_the_folder(tmp_path):
    root = photos.photo_folder(tmp_path / "photos", count=20)
    photos.write(root / "cat" / "zero.jpg", b"")
    photos.write(root / "dog" / "late.png", photos.encoded(photos.colours(40, 40))[:1000])
    with pytest.warns(UserWarning, match="skipped"):
        train, held = from_folder(root, SIZE, validation_split=0.25, seed=3, on_error="skip")
    with pytest.warns(UserWarning, match="skipped"):
        streamed = from_folder(root, SIZE, on_error="skip", in_memory=False)
    with pytest.warns(UserWarning, match=r"dog/late\.png.*left out"):
        pack(streamed, tmp_path / "p.h5")
    sides = from_packed(tmp_path / "p.h5", validation_split=0.25, seed=3)
    for packed_side, side in zip(sides, (train, held), strict=True):
        assert packed_side.files == side.files
        np.testing.assert_array_equal(drawn(packed_side), drawn(side))
    report = sides[0].report
    assert {left.path for left in report.skipped} == {"cat/zero.jpg", "dog/late.png"}
    assert report.counts == [20, 20]


def test_held_and_streamed_images_are_packed_to_the_same_bytes(tmp_path):
    """With damage in headers and behind them, in no order, and remarks that one of two ways of
    reading makes earlier, or would make though the file is skipped."""
    root = photos.photo_folder(tmp_path / "photos", ("dog", "cat"), 6)
    cut = photos.encoded(photos.colours(40, 40))
    exif = b"Exif\0\0II*\0\x08\0\0\0\2\0" + b"\x0e\x01\x02\0\xff\0\0\0\xf0\xff\0\0" * 2
    odd = photos.encoded(photos.smooth(48, 64), "JPEG", exif=exif)
    for name, content in {
        "dog/00.png": b"",
        "cat/03.png": cut[: len(cut) // 2],
        "cat/04.png": b"words",
        "dog/01.png": cut[: len(cut) // 2],
        "cat/05.png": cut[: len(cut) // 3],
        "dog/odd.jpg": odd,
        "cat/odd.png": photos.encoded(photos.colours(), exif=exif[6:]),
        "cat/lost.jpg": odd[: len(odd) - 900],
    }.items():
        photos.write(root / name, content)
    stored = []
    for in_memory in (True, False):
        with pytest.warns(UserWarning):
            pack(from_folder(root, SIZE, on_error="skip", in_memory=in_memory), tmp_path / "p.h5")
        stored.append((tmp_path / "p.h5").read_bytes())
        report = from_packed(tmp_path / "p.h5").report
        assert [left.path for left in report.remarked] == ["cat/odd.png", "dog/odd.jpg"]
        skipped = [left.path for left in report.skipped]
        assert len(skipped) == 6
        assert skipped == sorted(skipped)
    assert stored[0] == stored[1]


@pytest.mark.parametrize("wrong", [[-1], [18], [0, 99, 3]])
def test_wrong_indices_are_refused_in_words(packed_folder, wrong):
    found = from_packed(packed_folder[1])
    for dtype in (np.uint8, np.float32):
        with pytest.raises(IndexError, match=r"PackedImages.* from 0 to 17 \(18 images\)"):
            drawn(found, wrong, dtype)


def test_a_part_can_be_packed_again(packed_folder, tmp_path):
    _, target = packed_folder
    _, held = from_packed(target, validation_split=0.4)
    assert pack(held, tmp_path / "part.h5") == 8
    again = from_packed(tmp_path / "part.h5")
    np.testing.assert_array_equal(drawn(again), drawn(held))
    assert again.files == held.files
    assert again.report.counts == [4, 4]


def test_training_from_the_file_gives_the_weights_of_training_from_memory(packed_folder):
    root, target = packed_folder
    weights = []
    for source in (from_folder(root, SIZE), from_packed(target)):
        model = fastcnn.Sequential(
            [Rescaling(1 / 255), Flatten(), Dense(2)], input_shape=(10, 12, 3), seed=0
        )
        model.compile("sgd", fastcnn.losses.SparseCategoricalCrossentropy(from_logits=True))
        model.fit(source, batch_size=5, epochs=2, verbose=0)
        assert model.class_names == ["cat", "dög"]
        weights.append(model.get_weights())
    for one, other in zip(*weights, strict=True):
        np.testing.assert_array_equal(one, other)


class Many:
    """Images that are computed, 8 MB of them."""

    image_shape = (32, 32, 4)
    class_names = ("a", "b")
    labels = np.arange(2048, dtype=np.int32) % 2

    def __len__(self):
        return 2048

    def images(self, indices, out):
        out[...] = (np.asarray(indices) % 251)[:, None, None, None]


def test_memory_does_not_grow_with_the_set(tmp_path):
    target = tmp_path / "many.h5"
    fastcnn.data.pack(Many(), target)  # loads h5py, which has memory of its own
    tracemalloc.start()
    fastcnn.data.pack(Many(), target)
    written = tracemalloc.get_traced_memory()[1]
    tracemalloc.reset_peak()
    found = from_packed(target)
    out = np.empty((64, 32, 32, 4), np.float32)
    for start in range(0, 2048, 64):
        found.images(np.arange(start, start + 64), out)
        assert (out == (np.arange(start, start + 64) % 251)[:, None, None, None]).all()
    read = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # A chunk and its copy to write, one batch as bytes and as floats to read; 8 MiB are stored.
    assert written < 4.5 * 2**20
    assert read < 3 * 2**20


def test_threads_read_at_once(packed_folder):
    _, target = packed_folder
    found = from_packed(target)
    expected, failures = drawn(found), []

    def read(seed):
        rng = np.random.default_rng(seed)
        for _ in range(50):
            order = rng.permutation(18)
            if not np.array_equal(drawn(found, order), expected[order]):
                failures.append(seed)

    run_together(read, [(seed,) for seed in range(4)])
    assert not failures


def test_systems_without_positioned_reads(packed_folder, monkeypatch):
    _, target = packed_folder
    expected = drawn(from_packed(target))
    monkeypatch.delattr(os, "preadv")
    np.testing.assert_array_equal(drawn(from_packed(target)), expected)


def test_a_failure_leaves_the_old_file(tmp_path):
    target = photos.write(tmp_path / "photos.h5", b"precious")
    root = photos.photo_folder(tmp_path / "photos")
    source = from_folder(root, SIZE, in_memory=False)
    (root / "dog" / "03.png").unlink()
    with pytest.raises(ValueError, match=r"03\.png"):
        pack(source, target)
    assert target.read_bytes() == b"precious"
    assert {path.name for path in tmp_path.iterdir()} == {"photos", "photos.h5"}


def test_a_full_disk_is_told(tmp_path, monkeypatch):
    root = photos.photo_folder(tmp_path / "photos")

    def full(self, data):
        self.error = self.error or OSError(28, "No space left on device")
        return len(data)

    monkeypatch.setattr(packing.Sink, "write", full)
    with pytest.raises(OSError, match="No space left"):
        pack(from_folder(root, SIZE), tmp_path / "photos.h5")
    assert not (tmp_path / "photos.h5").exists()


def test_changed_bytes_are_found(packed_folder):
    _, target = packed_folder
    found = from_packed(target)
    assert [wrong for _, wrong in found.damaged()] == [[]]
    image = drawn(found, [7])[0].tobytes()
    content = bytearray(target.read_bytes())
    content[content.index(image) + 5] ^= 1
    target.write_bytes(content)
    assert [wrong for _, wrong in from_packed(target).damaged()] == [[7]]
    # And where an image is read for the first time, in a part too, by its name.
    for dtype in (np.uint8, np.float32):
        broken = from_packed(target)
        assert drawn(broken, [8, 6], dtype).shape == (2, 10, 12, 3)
        with pytest.raises(FormatError, match=r"image 'cat/07\.png' is not as it was packed"):
            drawn(broken, [8, 7, 6], dtype)
    parts = from_packed(target, validation_split=0.4)
    part = next(one for one in parts if "cat/07.png" in one.files)
    with pytest.raises(FormatError, match=r"cat/07\.png"):
        drawn(part)


def test_an_image_is_verified_once(packed_folder, monkeypatch):
    verified, crc32 = [], zlib.crc32
    monkeypatch.setattr(zlib, "crc32", lambda data: verified.append(1) or crc32(data))
    found = from_packed(packed_folder[1])
    for _ in range(3):
        drawn(found)
    assert len(verified) == 18


def test_a_class_that_a_split_leaves_out_is_told(tmp_path):
    root = photos.photo_folder(tmp_path / "photos", ("ant", "bee"), 20)
    photos.photo_folder(root, ("cat",), 2)
    pack(from_folder(root, SIZE), tmp_path / "p.h5")
    with pytest.warns(UserWarning, match="No image of 'cat' to validate on"):
        from_packed(tmp_path / "p.h5", validation_split=0.2)
    for seed, kind in ((2**200, ValueError), ("x", TypeError), (-1, ValueError)):
        with pytest.raises(kind, match="seed must be a whole number"):
            from_packed(tmp_path / "p.h5", validation_split=0.5, seed=seed)


def test_a_file_that_shrinks_while_it_is_read(packed_folder):
    _, target = packed_folder
    found = from_packed(target)
    os.truncate(target, 3000)
    with pytest.raises(FormatError, match="became shorter"):
        drawn(found)


def rewritten(target, change):
    """The packed file changed by h5py."""
    with h5py.File(target, "r+") as file:
        change(file)
    return target


def replaced(name, value):
    def change(file):
        del file[name]
        file[name] = value

    return change


def external_link(file):
    del file["labels"]
    file["labels"] = h5py.ExternalLink("/etc/passwd", "/")


def soft_link(file):
    del file["labels"]
    file["labels"] = h5py.SoftLink("/checksums")


def virtual(file):
    del file["images"]
    layout = h5py.VirtualLayout((18, 10, 12, 3), "u1")
    layout[...] = h5py.VirtualSource("elsewhere.h5", "images", (18, 10, 12, 3))
    file.create_virtual_dataset("images", layout)


def external_data(file):
    del file["checksums"]
    file.create_dataset("checksums", (18,), "u4", external=[("/etc/passwd", 0, 72)])


def never_written(file):
    del file["images"]
    file.create_dataset("images", (1 << 40, 10, 12, 3), "u1", chunks=(64, 10, 12, 3))


def empty(*shape):
    """The images and everything else of a set without any, each stored in one piece."""

    def change(file):
        for name in ("labels", "checksums", "files"):
            kind = file[name].dtype
            del file[name]
            file[name] = np.empty(0 if not shape[0] else shape[0], kind)
        del file["images"]
        file["images"] = np.empty(shape, np.uint8)

    return change


def described(**changes):
    def change(file):
        about = json.loads(file["fastcnn"][()].tobytes()) | changes
        del file["fastcnn"]
        file["fastcnn"] = np.frombuffer(json.dumps(about).encode(), np.uint8)

    return change


REFUSED = {
    "external link": (external_link, "external links"),
    "soft link": (soft_link, "soft link"),
    "virtual data set": (virtual, "virtual|newer"),
    "data in another file": (external_data, "in another file"),
    "shape bomb": (never_written, "stores none"),
    "labels out of range": (replaced("labels", np.full(18, 2, np.int32)), "from 0 to 1"),
    "negative labels": (replaced("labels", np.full(18, -1, np.int32)), "from 0 to 1"),
    "too few labels": (replaced("labels", np.zeros(17, np.int32)), "18 values of int32"),
    "labels of another type": (replaced("labels", np.zeros(18)), "18 values of int32"),
    "no names of files": (replaced("files", np.zeros(3, np.uint8)), "names 3 files"),
    "other images": (replaced("images", np.zeros((18, 4))), "images are float64"),
    "no images": (empty(0, 2, 2, 3), r"its images are uint8 of shape \(0, 2, 2, 3\)"),
    "images of no height": (empty(5, 0, 2, 3), r"its images are uint8 of shape \(5, 0, 2, 3\)"),
    "a group for images": (lambda file: (file.pop("images"), file.create_group("images")), "group"),
    "no JSON": (replaced("fastcnn", np.zeros(9, np.uint8)), "description is damaged"),
    "deep JSON": (
        replaced("fastcnn", np.full(10**6, ord("["), np.uint8)),
        "description is damaged",
    ),
    "another format": (replaced("fastcnn", np.frombuffer(b'{"format": 1}', "u1")), "format"),
    "a decoder of text": (described(decoder="crop"), "how its images were made is damaged"),
    "a decoder of other images": (
        described(decoder=Decoder(10, 13).get_config()),
        r"shape \(10, 12, 3\), and were made as \(10, 13, 3\)",
    ),
    "no description": (lambda file: file.pop("fastcnn"), "no packed set"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_hostile_or_foreign_is_refused_in_words(packed_folder, case):
    change, words = REFUSED[case]
    target = rewritten(packed_folder[1], change)
    tracemalloc.start()
    with pytest.raises(FormatError, match=words) as error:
        from_packed(target)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert str(target) in str(error.value)
    assert peak < 16 * 2**20


def test_files_from_before_decoders_were_kept_are_read(packed_folder):
    def older(file):
        about = json.loads(file["fastcnn"][()].tobytes())
        del about["decoder"], file["fastcnn"]
        file["fastcnn"] = np.frombuffer(json.dumps(about).encode(), np.uint8)

    found = from_packed(rewritten(packed_folder[1], older))
    assert found.decoder is None
    assert len(found) == 18


def test_other_files_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError):
        from_packed(tmp_path / "nowhere.h5")
    with pytest.raises(FormatError, match="not an HDF5 file"):
        from_packed(photos.write(tmp_path / "text.h5", b"words" * 40))


def test_nothing_to_pack_is_refused(tmp_path):
    class Nothing(Many):
        def __len__(self):
            return 0

    with pytest.raises(ValueError, match="no image"):
        pack(Nothing(), tmp_path / "none.h5")
    assert not list(tmp_path.iterdir())


def test_only_a_dataset_with_names_is_packed(tmp_path):
    class Nameless:
        labels = np.zeros(2, np.int32)
        image_shape = (2, 2, 1)

        def __len__(self):
            return 2

        def images(self, indices, out):
            out[...] = 0

    for images in (3, "folder", np.zeros((2, 4, 4, 3)), Nameless()):
        with pytest.raises(TypeError, match="pack: images must be a Dataset that has image_shape"):
            pack(images, tmp_path / "photos.h5")
    assert not os.listdir(tmp_path)


def test_a_misspelt_attribute_of_a_source_is_refused(packed_folder):
    """Of one that was made, of a part, and of a copy: it would have no effect."""
    root, path = packed_folder
    folder = from_folder(root, SIZE)
    sources = [folder, from_packed(path)]
    sources += [source.part(np.arange(3)) for source in sources]
    sources += [copy.copy(source) for source in sources[:2]]
    sources += [pickle.loads(pickle.dumps(source)) for source in sources[:2]]
    for source in sources:
        with pytest.raises(AttributeError, match=r"label.*Did you mean 'labels'"):
            source.label = np.zeros(3, np.int32)
        source.labels = source.labels[::-1].copy()
        source._own = 1
