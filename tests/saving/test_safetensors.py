"""Weights in safetensors files: bit by bit, under the layers' paths, and nothing else."""

from __future__ import annotations

import json
import os
import sys

import hdf5_models as nets
import numpy as np
import pytest
from deadline import within
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from test_hdf5_damage import mutations

import fastcnn
from fastcnn.hdf5.errors import FormatError
from fastcnn.layers import Dense
from fastcnn.saving import safetensors_file


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A file, and the model that wrote it."""
    path, model = tmp_path_factory.mktemp("saved") / "a.safetensors", nets.functional()
    for parameter in model.parameters:
        parameter.value[...] += np.random.default_rng(3).normal(size=parameter.shape)
    model.save_weights(path)
    return path, model


def test_weights_come_back_bit_by_bit(saved):
    path, model = saved
    again = nets.functional()
    report = again.load_weights(path)
    assert nets.bits(again) == nets.bits(model)
    assert report.loaded and not report.skipped


def test_arrays_stand_under_their_paths(saved):
    path, model = saved
    arrays = load_file(path)
    assert arrays.keys() == {parameter.path for parameter in model.parameters}
    for parameter in model.parameters:
        np.testing.assert_array_equal(arrays[parameter.path], parameter.value)


def test_an_ending_in_capitals_counts(tmp_path):
    nets.sequential().save_weights(tmp_path / "A.SafeTensors")
    assert safetensors_file.is_one(tmp_path / "A.SafeTensors")


def net(*names, classes=2):
    layers = [Dense(3, name=name) for name in names]
    return fastcnn.Sequential([*layers, Dense(classes, name="head")], (3,))


def test_layers_are_paired_in_order_or_by_name(tmp_path):
    first, path = net("a", "b"), tmp_path / "a.safetensors"
    first.save_weights(path)
    second = net("b", "c")
    second.load_weights(path)
    np.testing.assert_array_equal(*(n.layers[0].parameters[0].value for n in (first, second)))
    report = second.load_weights(path, by_name=True)
    assert report.loaded == ["b", "head"]
    np.testing.assert_array_equal(
        first.get_layer("b").parameters[0].value, second.get_layer("b").parameters[0].value
    )


def test_what_does_not_fit_is_said_or_skipped(tmp_path):
    path = tmp_path / "a.safetensors"
    net("a").save_weights(path)
    words = (
        r"'head': kernel has shape \(3, 5\) in the model and \(3, 2\) in the file \('head/kernel"
    )
    with pytest.raises(FormatError, match=words):
        net("a", classes=5).load_weights(path)
    report = net("a", classes=5).load_weights(path, skip_mismatch=True)
    assert report.loaded == ["a"] and list(report.skipped) == ["head"]


def test_numbers_that_are_not_finite_are_neither_written_nor_read(tmp_path):
    model, path = net("a"), tmp_path / "a.safetensors"
    model.layers[0].parameters[1].value[1] = np.nan
    with pytest.raises(ValueError, match="'a/bias' are not finite"):
        model.save_weights(path)
    assert not path.exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda about: {}, "its list of layers is no such list"),
        (lambda about: [], "its list of layers is no such list"),
        (lambda about: {"layers": [1]}, "its list of layers is no such list"),
        (lambda about: {"layers": {"dense": {}}}, "its list of layers is no such list"),
        (lambda about: {"layers": {"dense": {"no/such": 1}}}, "its list of layers is no such list"),
        (lambda about: {"layers": {"dense": [["head/kernel"]]}}, "is no such list"),
        (lambda about: {"layers": {"dense": {"head/kernel": 1}}}, "the model|expected 2 arrays"),
        (lambda about: None, r"fastcnn.load_torch_weights\(model, path\) reads them"),
    ],
)
def test_other_lists_of_layers_are_refused(change, words, tmp_path):
    model, path = net(), tmp_path / "a.safetensors"
    model.save_weights(path)
    with safe_open(path, "np") as file:
        about = change(json.loads(file.metadata()["fastcnn"]))
    save_file(load_file(path), path, {} if about is None else {"fastcnn": json.dumps(about)})
    before = nets.bits(model)
    with pytest.raises(FormatError, match=words):
        model.load_weights(path)
    assert nets.bits(model) == before


@pytest.mark.parametrize("count", [200, pytest.param(2000, marks=pytest.mark.exhaustive)])
def test_damage_is_refused_and_changes_nothing(count, saved, tmp_path):
    """A file is the right one or none, since each array has a checksum."""
    path, model = saved
    again, damaged = nets.functional(), tmp_path / "damaged.safetensors"
    good, start = nets.bits(model), nets.bits(again)
    refused = 0
    for mutant in mutations(path.read_bytes(), np.random.default_rng(7), count):
        damaged.write_bytes(mutant)
        try:
            with within():
                again.load_weights(damaged)
        except FormatError:
            refused += 1
            assert nets.bits(again) == start
        else:
            assert nets.bits(again) == good
            start = good
    assert refused > count / 4


@pytest.mark.parametrize(
    "start", [b"", b"\xff" * 8 + b"{", (1 << 40).to_bytes(8, "little") + b"{}"]
)
def test_files_that_only_begin_so_are_refused(start, tmp_path):
    path = tmp_path / "a.safetensors"
    path.write_bytes(start)
    with pytest.raises(FormatError, match=r"a[.]safetensors"):
        net().load_weights(path)


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.safetensors"
    net().save_weights(path)
    before = path.read_bytes()

    def no_room(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_room)
    with pytest.raises(OSError, match="the file that was there is unchanged"):
        net("a").save_weights(path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["a.safetensors"]


def test_a_whole_model_is_neither_saved_nor_loaded_so(saved, tmp_path):
    with pytest.raises(ValueError, match="has weights alone"):
        net().save(tmp_path / "a.safetensors")
    with pytest.raises(FormatError, match="has weights alone"):
        fastcnn.load(saved[0])


def test_without_the_package_it_is_named(monkeypatch, saved, tmp_path):
    monkeypatch.setitem(sys.modules, "safetensors", None)
    for task in (net().load_weights, net().save_weights):
        with pytest.raises(ImportError, match=r"pip install 'fastcnn\[safetensors\]'"):
            task(saved[0] if task.__name__ == "load_weights" else tmp_path / "b.safetensors")
    assert not os.listdir(tmp_path)


def raw_file(path, name, dtype, array, shape=None):
    """A file of one array, written by its description."""
    entry = {"dtype": dtype, "shape": shape or list(array.shape), "data_offsets": [0, array.nbytes]}
    header = json.dumps({name: entry}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + array.tobytes())


def test_numbers_of_other_types_are_read(tmp_path):
    path, values = tmp_path / "a.safetensors", np.array([[1.5, -2], [0.25, 3e38]], np.float32)
    raw_file(path, "x", "BF16", (values.view(np.uint32) >> 16).astype(np.uint16))
    np.testing.assert_allclose(safetensors_file.read(path).arrays["x"], values, rtol=2**-7)
    for dtype, kind in (("F16", np.float16), ("F64", np.float64), ("I8", np.int8), ("U64", "u8")):
        expected = np.arange(4).reshape(2, 2).astype(kind)
        raw_file(path, "x", dtype, expected)
        array = safetensors_file.read(path).arrays["x"]
        assert array.dtype == expected.dtype
        np.testing.assert_array_equal(array, expected)
    raw_file(path, "x", "F8_E4M3", np.zeros(4, np.uint8))
    with pytest.raises(FormatError, match="numbers of the type F8_E4M3"):
        safetensors_file.read(path)


def test_shapes_that_numpy_cannot_have_are_refused(tmp_path):
    path = tmp_path / "a.safetensors"
    raw_file(path, "x", "F32", np.zeros(0, np.float32), [0, 1 << 62, 1 << 62])
    with pytest.raises(FormatError, match=r"a[.]safetensors' cannot be read"):
        safetensors_file.read(path)
    raw_file(path, "x", "F32", np.zeros(0, np.float32), [1] * 70)
    with pytest.raises(FormatError, match=r"a[.]safetensors' cannot be read"):
        safetensors_file.read(path)
