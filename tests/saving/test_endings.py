"""A file whose name is of another format is refused, with who writes or reads that one."""

from __future__ import annotations

import re

import numpy as np
import pytest

import fastcnn
from fastcnn.callbacks import ModelCheckpoint
from fastcnn.hdf5.errors import FormatError
from fastcnn.layers import Dense, Flatten
from fastcnn.saving import endings

WRITTEN = {
    "a.keras": r"model\.to_keras\(path\) writes one",
    "A.KERAS": r"model\.to_keras\(path\) writes one",
    "a.onnx": r"model\.to_onnx\(path\) writes one",
    "a.pth": "a file of PyTorch",
    "a.npz": "of another format",
    "a.caffemodel": "a file of Caffe",
}


@pytest.fixture
def model():
    return fastcnn.Sequential([Flatten(), Dense(1)], (2, 2, 1))


@pytest.mark.parametrize(("name", "words"), WRITTEN.items())
@pytest.mark.parametrize("method", ["save", "save_weights"])
def test_a_name_of_another_format_is_not_written(name, words, method, model, tmp_path):
    with pytest.raises(ValueError, match=f"{method} writes HDF5.*{words}.* end in '.h5'"):
        getattr(model, method)(tmp_path / name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("weights_alone", [False, True])
def test_a_checkpoint_is_refused_before_the_first_epoch(weights_alone, model, tmp_path):
    model.compile("sgd", "mse")
    x, y = np.ones((2, 2, 2, 1), "f4"), np.ones((2, 1), "f4")
    checkpoint = ModelCheckpoint(tmp_path / "a.keras", save_weights_only=weights_alone)
    with pytest.raises(ValueError, match="to_keras"):
        model.fit(x, y, callbacks=[checkpoint], verbose=0)
    assert model.epoch == 0


READ = {
    "load": (".h5", ".keras", ".safetensors"),
    "load_weights": (".h5", ".keras", ".safetensors"),
    "load_keras": (".h5", ".keras"),
    "load_torch_weights": (".pth", ".safetensors"),
    "load_caffe_weights": (".caffemodel",),
    "from_onnx": (".onnx",),
}
"""By reader an ending of each format that it looks into."""


@pytest.mark.parametrize("reader", READ)
@pytest.mark.parametrize("format_endings", endings.READERS)
def test_a_file_of_another_format_names_its_reader(reader, format_endings, model, tmp_path):
    by_name = r"^'.*' has another layout: fastcnn\.\w+\(.*\).* reads it\.$"
    for ending in format_endings:
        path = tmp_path / f"a{ending.upper()}"
        path.write_bytes(b"anything")
        with pytest.raises(FormatError) as refusal:
            _read(reader, model, path)
        looked_into = bool(set(format_endings) & set(READ[reader]))
        assert looked_into != bool(re.search(by_name, str(refusal.value)))


def _read(reader, model, path):
    if reader == "load_weights":
        model.load_weights(path)
    else:
        before = (model,) if reader.endswith("weights") else ()
        getattr(fastcnn, reader)(*before, path)


@pytest.mark.parametrize("reader", endings.READERS.values())
def test_the_readers_that_are_named_exist(reader):
    assert hasattr(fastcnn, re.split(r"[.(]", reader)[1])


@pytest.mark.parametrize("name", ["a.h5", "a.keras.zip", "a", "a.safetensors"])
@pytest.mark.parametrize("method", ["to_keras", "to_onnx"])
def test_a_model_for_other_programs_has_its_formats_name(method, name, model, tmp_path):
    with pytest.raises(ValueError, match=rf"{method}: path must end in '\.\w+'.*{name}'\."):
        getattr(model, method)(tmp_path / name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("reader", READ)
def test_a_null_byte_in_a_path_is_named(reader, model):
    with pytest.raises(ValueError, match=rf"^{reader}: \w+ must be the path .*null bytes\. Recei"):
        _read(reader, model, "a\0b")


@pytest.mark.parametrize("reader", ["load_torch_weights", "load_caffe_weights"])
def test_swapped_arguments_are_named(reader, model):
    with pytest.raises(TypeError, match=rf"^{reader}: model must be .* comes first.*'a\.pth'"):
        getattr(fastcnn, reader)("a.pth", model)
