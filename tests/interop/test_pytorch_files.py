"""What torch.save writes, read without PyTorch: both of its forms, written here by pickle with
modules that are called as PyTorch's."""

from __future__ import annotations

import argparse
import collections
import io
import pickle
import struct
import sys
import types
import zipfile

import numpy as np
import pytest
from deadline import within
from test_hdf5_damage import mutations

from fastcnn.hdf5.errors import FormatError
from fastcnn.interop.pytorch import files, state_dict

NUMBERS = np.arange(24, dtype=np.float32)
CODES = {"Float": "<f4", "Double": "<f8", "Half": "<f2", "Long": "<i8", "BFloat16": "<u2"}


class Stored:
    """A storage of a kind with its numbers."""

    def __init__(self, kind, array):
        self.kind, self.array, self.key = kind, array.astype(CODES[kind]), str(id(self))


class View:
    """A tensor of a storage."""

    def __init__(self, storage, shape, strides, offset=0):
        self.content = (storage, offset, shape, strides, False, collections.OrderedDict())

    def __reduce__(self):
        return sys.modules["torch._utils"]._rebuild_tensor_v2, self.content


class Pickler(pickle.Pickler):
    def __init__(self, file, storages):
        super().__init__(file, protocol=2)
        self.storages = storages

    def persistent_id(self, value):
        if not isinstance(value, Stored):
            return None
        self.storages[value.key] = value
        kind = getattr(sys.modules["torch"], f"{value.kind}Storage")
        return ("storage", kind, value.key, "cpu", len(value.array), *self.VIEW)


def rebuild(*_):
    raise AssertionError("called")


@pytest.fixture(autouse=True)
def named_as_torch(monkeypatch):
    """Modules whose functions pickle names; calling one is a failure."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    for name in (*CODES, "Odd"):
        kind = type(f"{name}Storage", (), {"__module__": "torch"})
        setattr(torch, f"{name}Storage", kind)
    utils._rebuild_tensor_v2 = types.FunctionType(rebuild.__code__, {}, "_rebuild_tensor_v2")
    utils._rebuild_tensor_v2.__module__ = "torch._utils"
    utils._rebuild_tensor_v2.__qualname__ = "_rebuild_tensor_v2"
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "torch._utils", utils)


def archived(path, value, compression=zipfile.ZIP_STORED):
    """A file as torch.save writes it since PyTorch 1.6."""
    Pickler.VIEW = ()
    storages, content = {}, io.BytesIO()
    Pickler(content, storages).dump(value)
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("archive/data.pkl", content.getvalue())
        archive.writestr("archive/byteorder", "little")
        for key, storage in storages.items():
            archive.writestr(f"archive/data/{key}", storage.array.tobytes())


def older(path, value):
    """A file as it wrote them before."""
    Pickler.VIEW = (None,)
    storages = {}
    with open(path, "wb") as file:
        about = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"int": 4}}
        for first in (0x1950A86A20F9469CFC6C, 1001, about):
            pickle.dump(first, file, protocol=2)
        Pickler(file, storages).dump(value)
        pickle.dump(sorted(storages), file, protocol=2)
        for key in sorted(storages):
            file.write(struct.pack("<q", len(storages[key].array)))
            file.write(storages[key].array.tobytes())


WRITERS = (archived, older)


@pytest.mark.parametrize("write", WRITERS)
def test_views_of_all_kinds_of_numbers_are_read(write, tmp_path):
    shared = Stored("Float", NUMBERS)
    value = collections.OrderedDict(
        rows=View(shared, (2, 12), (12, 1)),
        turned=View(shared, (3, 4), (1, 3), 12),
        single=View(shared, (), (), 5),
        none=View(Stored("Float", NUMBERS[:0]), (0, 3), (3, 1)),
        whole=View(Stored("Long", np.array([7, -1])), (2,), (1,)),
        half=View(Stored("Half", np.array([0.5, 2])), (2,), (1,)),
        wide=View(Stored("BFloat16", np.array([0x3F80, 0xC000])), (2,), (1,)),
    )
    write(tmp_path / "a.pth", value)
    read = {name: np.asarray(array) for name, array in files.read(str(tmp_path / "a.pth")).items()}
    expected = {
        "rows": NUMBERS.reshape(2, 12),
        "turned": NUMBERS[12:].reshape(4, 3).T,
        "single": NUMBERS[5],
        "none": np.zeros((0, 3)),
        "whole": [7, -1],
        "half": [0.5, 2],
        "wide": [1, -2],
    }
    assert list(read) == list(expected)
    for name, array in expected.items():
        np.testing.assert_array_equal(read[name], array)
        assert read[name].shape == np.shape(array)


@pytest.mark.parametrize("write", WRITERS)
def test_what_a_checkpoint_has_beside_its_weights_is_not_made(write, tmp_path):
    weights = {"fc.weight": View(Stored("Float", NUMBERS), (4, 6), (6, 1))}
    beside = {"args": argparse.Namespace(lr=1), "epoch": 3, "betas": (0.9, [None, True])}
    write(tmp_path / "a.pth", {**beside, "state_dict": weights})
    read = files.read(str(tmp_path / "a.pth"))
    assert (read["epoch"], read["betas"]) == (3, (0.9, [None, True]))
    assert read["args"].maker == "argparse.Namespace"
    assert state_dict.unwrapped("a.pth", read)["fc.weight"].shape == (4, 6)


class Harmful:
    def __reduce__(self):
        return print, ("executed",)


@pytest.mark.parametrize("write", WRITERS)
def test_nothing_in_a_file_is_executed(write, tmp_path, capsys):
    write(tmp_path / "a.pth", Harmful())
    with pytest.raises(
        FormatError, match=r"a.pth' holds an object of the class '__builtin__\.print'"
    ):
        files.read(str(tmp_path / "a.pth"))
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize(
    ("shape", "strides", "offset"),
    [((5, 5), (5, 1), 0), ((2,), (1,), 23), ((1 << 40,), (0,), 0), ((2,), (-1,), 3)],
)
def test_tensors_beyond_their_storage_are_refused(write, shape, strides, offset, tmp_path):
    write(tmp_path / "a.pth", {"w": View(Stored("Float", NUMBERS), shape, strides, offset)})
    with pytest.raises(FormatError, match=r"a.pth' is damaged.*its storage"):
        files.read(str(tmp_path / "a.pth"))


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize(
    ("shape", "strides", "offset"),
    [
        ((2.0,), (1,), 0),
        ((2,), (0.5,), 0),
        ((2,), (1,), 0.5),
        ((0, 1 << 62), (1, 1), 0),
        ((1,) * 70, (1,) * 70, 0),
    ],
)
def test_what_no_array_can_have_is_damage(write, shape, strides, offset, tmp_path):
    write(tmp_path / "a.pth", {"a": View(Stored("Float", NUMBERS), shape, strides, offset)})
    with pytest.raises(FormatError, match="damaged"):
        files.read(str(tmp_path / "a.pth"))


def test_strides_of_axes_without_a_second_place_may_be_anything(tmp_path):
    view = View(Stored("Float", NUMBERS), (1, 2), (1 << 62, 1))
    archived(tmp_path / "a.pth", {"a": view})
    assert np.array_equal(files.read(str(tmp_path / "a.pth"))["a"], NUMBERS[None, :2])


def test_entries_under_keys_that_are_no_plain_values_are_left_out(tmp_path):
    """To hash a tuple that lies deep enough within itself ends the process."""
    deep = b"\x80\x02ccollections\nOrderedDict\n]])" + b"\x85" * 1_000_000 + b"aK\x01aa\x85R."
    (tmp_path / "deep.pth").write_bytes(deep)
    with pytest.raises(FormatError):
        files.read(str(tmp_path / "deep.pth"))
    view = View(Stored("Float", NUMBERS), (2,), (1,))
    archived(tmp_path / "a.pth", {"a": view, (1, 2): view})
    assert list(files.read(str(tmp_path / "a.pth"))) == ["a"]


@pytest.mark.parametrize("write", WRITERS)
def test_numbers_of_another_kind_are_named(write, tmp_path, monkeypatch):
    monkeypatch.setitem(CODES, "Odd", "<f4")
    write(tmp_path / "a.pth", {"w": View(Stored("Odd", NUMBERS), (24,), (1,))})
    with pytest.raises(FormatError, match=r"a.pth' holds numbers as 'torch.OddStorage' has them"):
        files.read(str(tmp_path / "a.pth"))


def test_compressed_and_damaged_archives_are_refused(tmp_path):
    path = tmp_path / "a.pth"
    archived(path, {"w": View(Stored("Float", NUMBERS), (24,), (1,))})
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(FormatError, match="damaged archive"):
        files.read(str(path))
    archived(path, {}, zipfile.ZIP_DEFLATED)
    with pytest.raises(FormatError, match=r"compressed part, 'archive/data.pkl'"):
        files.read(str(path))


@pytest.mark.parametrize("count", [150, pytest.param(2000, marks=pytest.mark.exhaustive)])
@pytest.mark.parametrize("write", WRITERS)
def test_damaged_files_are_an_error_or_harmless(write, count, tmp_path):
    path = tmp_path / "a.pth"
    weights = {f"conv{n}.weight": View(Stored("Float", NUMBERS), (4, 6), (6, 1)) for n in range(3)}
    write(path, {"epoch": 3, "state_dict": weights})
    for mutant in mutations(path.read_bytes(), np.random.default_rng(7), count):
        path.write_bytes(mutant)
        try:
            with within():
                read = files.read(str(path))
                for array in state_dict.unwrapped("a.pth", read).values():
                    np.asarray(array)
        except FormatError:
            pass
