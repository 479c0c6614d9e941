"""Fuzzed files: whatever their bytes, the readers return arrays or say no, in words and bounds."""

from __future__ import annotations

import gzip
import io
import json
import struct
import tracemalloc
import zipfile
import zlib

import h5py
import numpy as np
import photos
import pytest
from deadline import within
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fastcnn.data import from_packed, read_hdf5, read_npz
from fastcnn.data.datasets.cifar import RECORD, RECORD_100, read_cifar10, read_cifar100
from fastcnn.data.datasets.idx import read_idx
from fastcnn.data.files.pack import pack
from fastcnn.utils import system

BOUND = 24 * 2**20
"""Bytes that reading a file of some kilobytes may take: deflate packs a thousandfold at best."""

RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 10, 12)
IMAGES = RNG.integers(0, 256, (12, 5, 4, 3), np.uint8)


def idx(axes=3):
    array = IMAGES[..., 0] if axes == 3 else LABELS.astype(np.uint8)
    return bytes([0, 0, 8, axes]) + struct.pack(f">{axes}I", *array.shape) + array.tobytes()


def cifar(record):
    return RNG.integers(0, 10, 2 * record).astype(np.uint8).tobytes()


def npz(save):
    stream = io.BytesIO()
    save(stream, x_train=IMAGES, y_train=LABELS, class_names=np.array(["a", "bc"]))
    return stream.getvalue()


def hdf5():
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        file["y"] = LABELS
        file["names"] = ["one", "two", "three"]
        file["scalar"] = np.float32(2)
        file.create_dataset("plain", data=IMAGES, chunks=(5, 5, 4, 3))
        file.create_dataset(
            "packed", data=IMAGES, chunks=(5, 3, 4, 2), compression="gzip", shuffle=True
        )
        file.create_dataset("summed", data=LABELS, chunks=(5,), fletcher32=True)
    return stream.getvalue()


def packed_set():
    import tempfile
    from pathlib import Path

    class Images:
        image_shape, labels, class_names = (5, 4, 3), LABELS.astype(np.int32), list("abcdefghij")

        def __len__(self):
            return 12

        def images(self, indices, out):
            out[...] = IMAGES[indices]

    with tempfile.TemporaryDirectory() as folder:
        pack(Images(), Path(folder, "set.h5"))
        return Path(folder, "set.h5").read_bytes()


def read_packed(path):
    found = from_packed(path)
    try:
        out = np.empty((len(found), *found.image_shape), np.uint8)
        found.images(np.arange(len(found)), out)
    finally:
        found.close()
    return {"x": out}


READERS = {
    "idx": (idx(), lambda path: read_idx(path, 3)),
    "idx labels": (idx(1), lambda path: read_idx(path, 1)),
    "idx, gzip": (gzip.compress(idx()), lambda path: read_idx(path, 3)),
    "cifar-10": (cifar(RECORD), read_cifar10),
    "cifar-10, gzip": (gzip.compress(cifar(RECORD)), read_cifar10),
    "cifar-100": (cifar(RECORD_100), read_cifar100),
    "cifar-100, gzip": (gzip.compress(cifar(RECORD_100)), read_cifar100),
    "npz": (npz(np.savez), read_npz),
    "npz, deflated": (npz(np.savez_compressed), read_npz),
    "hdf5": (hdf5(), read_hdf5),
    "packed": (packed_set(), read_packed),
}

# Values that sizes and places are often wrong by.
NUMBERS = st.sampled_from(
    [struct.pack(form, value) for form in ("<Q", "<I", "<H", ">I") for value in (0, 1, 0x7FFF)]
    + [b"\xff" * 8, b"\xff" * 4, b"\xff" * 2, b"\0\0\0\0\0\0\0\x80", b"\xfe" + b"\xff" * 7]
)


@st.composite
def changes(draw):
    """A list of (place as a share, what is done there)."""
    place = st.floats(0, 1, exclude_max=True)
    one = st.one_of(
        st.tuples(place, st.just("flip"), st.integers(1, 255)),
        st.tuples(place, st.just("write"), st.one_of(NUMBERS, st.binary(min_size=1, max_size=9))),
        st.tuples(place, st.just("insert"), st.binary(min_size=1, max_size=9)),
        st.tuples(place, st.just("delete"), st.integers(1, 64)),
        st.tuples(place, st.just("cut"), st.none()),
    )
    return draw(st.lists(one, min_size=1, max_size=4))


def changed(content, made):
    data = bytearray(content)
    for share, kind, value in made:
        at = int(share * len(data))
        if not data:
            return b""
        if kind == "flip":
            data[at] ^= value
        elif kind == "write":
            data[at : at + len(value)] = value
        elif kind == "insert":
            data[at:at] = value
        elif kind == "delete":
            del data[at : at + value]
        else:
            del data[at:]
    return bytes(data)


@pytest.mark.parametrize("kind", READERS)
def test_the_valid_file_is_read(tmp_path, kind):
    content, read = READERS[kind]
    assert read(photos.write(tmp_path / "valid", content)) is not None


@pytest.mark.parametrize("kind", READERS)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(made=changes())
def test_a_changed_file_is_read_or_refused_in_words(tmp_path_factory, kind, made):
    content, read = READERS[kind]
    path = tmp_path_factory.getbasetemp() / "fuzzed"
    path.write_bytes(changed(content, made))
    tracemalloc.start()
    try:
        with within():
            read(path)
    except (ValueError, OSError) as error:
        assert len(str(error)) > 20
        assert "fuzzed" in str(error)
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < BOUND


@pytest.mark.parametrize("kind", READERS)
@settings(max_examples=30, deadline=None)
@given(content=st.binary(max_size=200), kept=st.integers(0, 120))
def test_noise_is_refused_in_words(tmp_path_factory, kind, content, kept):
    """Behind a true beginning of any length."""
    valid, read = READERS[kind]
    path = tmp_path_factory.getbasetemp() / "fuzzed"
    path.write_bytes(valid[:kept] + content)
    try:
        with within():
            read(path)
    except (ValueError, OSError) as error:
        assert "fuzzed" in str(error)


def test_the_values_come_back(tmp_path):
    for save in (np.savez, np.savez_compressed):
        found = read_npz(photos.write(tmp_path / "a.npz", npz(save)))
        np.testing.assert_array_equal(found["x_train"], IMAGES)
        assert found["class_names"].tolist() == ["a", "bc"]
    assert list(read_npz(tmp_path / "a.npz", "y_train")) == ["y_train"]
    found = read_hdf5(photos.write(tmp_path / "a.h5", hdf5()))
    for name, expected in (("plain", IMAGES), ("packed", IMAGES), ("y", LABELS)):
        np.testing.assert_array_equal(found[name], expected)
        assert found[name].dtype == expected.dtype
    np.testing.assert_array_equal(found["summed"], LABELS)
    assert found["names"].tolist() == ["one", "two", "three"]
    assert found["scalar"] == 2


WHOLE = [order + sign + size for order in "<>" for sign in "ui" for size in "1248"]


@pytest.mark.parametrize("code", [*WHOLE, "<f2", "<f4", ">f4", "<f8"])
def test_numbers_of_every_type(tmp_path, code):
    values = np.array([[0, 1, 2], [3, 100, 127]], code)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = values
        file.create_dataset("y", data=values, chunks=(2, 2), compression="gzip")
    found = read_hdf5(tmp_path / "a.h5")
    np.testing.assert_array_equal(found["x"], values)
    np.testing.assert_array_equal(found["y"], values)
    np.savez(tmp_path / "a.npz", x=values, f=np.asfortranarray(values))
    found = read_npz(tmp_path / "a.npz")
    np.testing.assert_array_equal(found["x"], values)
    np.testing.assert_array_equal(found["f"], values)


def test_cifar_100_has_two_labels(tmp_path):
    planes = RNG.integers(0, 256, (3, 3, 32, 32), np.uint8)
    coarse, fine = np.array([19, 0, 4], np.uint8), np.array([99, 1, 50], np.uint8)
    content = b"".join(
        bytes([c, f]) + p.tobytes() for c, f, p in zip(coarse, fine, planes, strict=True)
    )
    for pack_it in (bytes, gzip.compress):
        images, fine_found, coarse_found = read_cifar100(
            photos.write(tmp_path / "train.bin", pack_it(content))
        )
        np.testing.assert_array_equal(images, planes.transpose(0, 2, 3, 1))
        np.testing.assert_array_equal(fine_found, fine)
        np.testing.assert_array_equal(coarse_found, coarse)


def npy(descr="'|u1'", shape="(4,)", data=bytes(4), extra=""):
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, {extra}}}\n"
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header.encode() + data


class Harmful:
    def __reduce__(self):
        return print, ("executed",)


def pickled():
    stream = io.BytesIO()
    np.save(stream, np.array([Harmful()], object), allow_pickle=True)
    return stream.getvalue()


NPZ_REFUSED = {
    "objects": (pickled(), "numbers or texts.*'|O'"),
    "pickle alone": (b"\x80\x04cos\nsystem\n.", "no array of NumPy's"),
    "code as header": (npy("__import__('os').getcwd()"), "plain array"),
    "fields": (npy("[('a', '<f4')]"), "plain array"),
    "unknown type": (npy("'<q9'"), "numbers or texts"),
    "dates": (npy("'<M8'"), "numbers or texts"),
    "more than stored": (npy(shape="(5,)"), "needs 5 bytes. Found 4"),
    "less than stored": (npy(shape="(3,)"), "needs 3 bytes. Found 4"),
    "far more": (npy(shape="(9999999999999999999, 9999999999999999999)"), "needs"),
    "negative": (npy(shape="(-4,)"), "plain array"),
    "many axes": (npy(shape=f"({'1, ' * 33})", data=bytes(1)), "33 axes"),
    "many digits": (npy(shape=f"({'1' * 40}x)"), "plain array"),
    "many digits alone": (npy(shape="1" * 40), "plain array"),
    "a number of 40 digits": (npy(shape=f"({'1' * 40},)"), "plain array"),
    "no commas": (npy(shape=f"({'1 ' * 300})"), "plain array"),
    "many commas": (npy(shape=f"({'1, ' * 3000}x)"), "plain array"),
    "many blanks": (npy(extra=" " * 9000 + "x"), "plain array"),
    "a huge type": (npy("'<f4444444444444'"), "plain array"),
    "long header": (npy(extra=" " * 20000), "header of"),
    "empty": (b"", "no array of NumPy's"),
}


@pytest.mark.parametrize("case", NPZ_REFUSED)
def test_hostile_npz_is_refused_in_words(tmp_path, capsys, case):
    content, words = NPZ_REFUSED[case]
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("x.npy", content)
    with pytest.raises(ValueError, match=words), within(1):
        read_npz(tmp_path / "a.npz")
    assert capsys.readouterr().out == ""


def test_zip_bombs_are_refused_before_they_are_unpacked(tmp_path, monkeypatch):
    """A true one, whose size memory has no room for; and one that lies about its size."""
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", npy(shape="(50000000,)", data=bytes(50_000_000)))
    monkeypatch.setattr(system, "available_memory", lambda: 60_000_000)
    tracemalloc.start()
    with pytest.raises(ValueError, match="at most half of the free memory, 30,000,000 bytes"):
        read_npz(path)
    content = bytearray(path.read_bytes())
    place = content.index(b"PK\1\2")
    content[place + 24 : place + 28] = struct.pack("<I", 2_000_000_000)
    path.write_bytes(content)
    with pytest.raises(ValueError, match="declares 2,000,000,000 bytes and stores"):
        read_npz(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**20


def assert_refused_cheaply(read, path, words):
    """A file is refused, and while memory is traced, before room is made for what is in it."""
    with pytest.raises(ValueError, match=words):
        read(path)
    assert tracemalloc.get_traced_memory()[1] < 2**20


@pytest.mark.parametrize("pack_it", [bytes, gzip.compress])
def test_idx_is_refused_where_memory_has_no_room(tmp_path, monkeypatch, pack_it):
    content = bytes([0, 0, 8, 3]) + struct.pack(">3I", 30, 1000, 1000) + bytes(30_000_000)
    path = photos.write(tmp_path / "bomb.idx", pack_it(content))
    monkeypatch.setattr(system, "available_memory", lambda: 40_000_000)
    tracemalloc.start()
    assert_refused_cheaply(read_idx, path, "need 30,000,000 bytes, and at most half of the free")
    monkeypatch.undo()
    assert read_idx(path).shape == (30, 1000, 1000)
    # The array itself and what gzip works with: no second copy.
    assert tracemalloc.get_traced_memory()[1] < 31_000_000
    tracemalloc.stop()


def test_a_gzip_bomb_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    path = photos.write(tmp_path / "bomb.bin", gzip.compress(bytes(10_000 * RECORD)))
    monkeypatch.setattr(system, "available_memory", lambda: 40_000_000)
    tracemalloc.start()
    with pytest.raises(ValueError, match="half of the free memory"):
        read_cifar10(path)
    for declared, words in ((2**32 - 1, "cannot be true"), (2 * RECORD, "Found more")):
        content = path.read_bytes()[:-4] + struct.pack("<I", declared)
        with pytest.raises(ValueError, match=words):
            read_cifar10(photos.write(tmp_path / "lying.bin", content))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**20


def test_a_bomb_of_deflated_chunks_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "bomb.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("x", (64, 1 << 20), "u1", chunks=(1, 1 << 20), compression="gzip")
        file["x"][...] = 0
    monkeypatch.setattr(system, "available_memory", lambda: 60_000_000)
    tracemalloc.start()
    assert_refused_cheaply(read_hdf5, path, "half of the free memory")
    tracemalloc.stop()


def test_a_chunk_that_unpacks_to_more_is_refused(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        data = file.create_dataset("x", (2, 1000), "u1", chunks=(1, 1000), compression="gzip")
        for row in range(2):
            data.id.write_direct_chunk((row, 0), zlib.compress(bytes(1000 + 5 * row)))
    with pytest.raises(ValueError, match="a chunk of 'x' has 1005 bytes, not 1000"):
        read_hdf5(path)


HDF5_REFUSED = {
    "external link": (
        lambda file: file.__setitem__("x", h5py.ExternalLink("/etc/passwd", "/")),
        "external links",
    ),
    "soft link": (lambda file: file.__setitem__("x", h5py.SoftLink("/y")), "soft link"),
    "data elsewhere": (
        lambda file: file.create_dataset("x", (9,), "u1", external=[("/etc/passwd", 0, 9)]),
        "in another file",
    ),
    "group": (lambda file: file.create_group("x"), "is a group"),
    "compound": (lambda file: file.__setitem__("x", np.zeros(2, "u1,f4")), "not read: compound"),
    "enumeration": (lambda file: file.__setitem__("x", np.zeros(2, bool)), "not read: enumeration"),
    "filter": (
        lambda file: file.create_dataset("x", data=np.zeros(9), chunks=(9,), compression="lzf"),
        "filter 32000",
    ),
    "nothing stored": (
        lambda file: file.create_dataset("x", (9,), "u1", chunks=(3,)),
        "stores none",
    ),
    "declared alone": (lambda file: file.create_dataset("x", (1 << 50,), "u1"), "and stores 0"),
}


@pytest.mark.parametrize("case", HDF5_REFUSED)
def test_hostile_hdf5_is_refused_in_words(tmp_path, case):
    change, words = HDF5_REFUSED[case]
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["y"] = LABELS
        change(file)
    with pytest.raises(ValueError, match=words):
        read_hdf5(tmp_path / "a.h5", "x")


def test_a_name_that_is_missing_is_told(tmp_path):
    with pytest.raises(ValueError, match=r"it has no 'x'; it holds .*plain"):
        read_hdf5(photos.write(tmp_path / "a.h5", hdf5()), "x")
    with pytest.raises(ValueError, match=r"expected the arrays z\. Found x_train"):
        read_npz(photos.write(tmp_path / "a.npz", npz(np.savez)), "z")


def test_the_packed_description_is_plain_json(tmp_path):
    found = read_hdf5(photos.write(tmp_path / "a.h5", packed_set()), "fastcnn")["fastcnn"]
    assert json.loads(found.tobytes())["class_names"] == list("abcdefghij")


def test_cifar_100_is_a_known_set_that_is_read_and_not_downloaded(tmp_path, monkeypatch):
    from fastcnn import data
    from fastcnn.data.datasets import paths

    monkeypatch.setenv(paths.ENVIRONMENT, str(tmp_path))
    monkeypatch.setattr(paths, "user_directory", lambda: None)
    with pytest.raises(FileNotFoundError, match=r"no address of it is known[^$]*train\.bin"):
        data.load("cifar100")
    names = data.class_names("cifar100")
    assert (len(names), names[0], names[99]) == (100, "apple", "worm")
    folder = tmp_path / "cifar-100-binary"
    for name, pack_it in (("train.bin", bytes), ("test.bin.gz", gzip.compress)):
        content = bytearray(2 * RECORD_100)
        content[1], content[RECORD_100 + 1] = 99, 7
        photos.write(folder / name, pack_it(bytes(content)))
    (x_train, y_train), (x_test, y_test) = data.load("cifar100")
    assert x_train.shape == x_test.shape == (2, 32, 32, 3)
    assert y_train.tolist() == y_test.tolist() == [99, 7]
