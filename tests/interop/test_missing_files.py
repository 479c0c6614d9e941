"""What stands in place of a file is said in a sentence, whoever reads it."""

import re

import pytest

import fastcnn
from fastcnn.layers import Dense
from fastcnn.utils import input_file


def small():
    return fastcnn.Sequential([Dense(2)], input_shape=(3,))


READERS = {
    "load of x.h5": fastcnn.load,
    "load of x.keras": fastcnn.load,
    "load_keras of x.keras": fastcnn.load_keras,
    "load_keras of x.h5": fastcnn.load_keras,
    "load_weights of x.h5": lambda path: small().load_weights(path),
    "load_weights of x.safetensors": lambda path: small().load_weights(path),
    "load_torch_weights of x.pth": lambda path: fastcnn.load_torch_weights(small(), path),
    "load_torch_weights of x.safetensors": lambda path: fastcnn.load_torch_weights(small(), path),
    "load_caffe_weights of x.caffemodel": lambda path: fastcnn.load_caffe_weights(small(), path),
    "from_onnx of x.onnx": fastcnn.from_onnx,
    "weights= of x.h5": lambda path: fastcnn.applications.lenet1(weights=path),
    "read_idx of x.gz": fastcnn.data.read_idx,
    "read_cifar10 of x.bin": fastcnn.data.read_cifar10,
    "read_npz of x.npz": fastcnn.data.read_npz,
    "read_hdf5 of x.h5": fastcnn.data.read_hdf5,
    "from_packed of x.h5": fastcnn.data.from_packed,
}


def said(reader, path):
    with pytest.raises(OSError) as caught:
        READERS[reader](path)
    assert "Errno" not in str(caught.value) and str(caught.value).endswith(".")
    return caught


@pytest.mark.parametrize("reader", READERS)
def test_no_file_no_folder_and_a_folder_in_its_place_are_told_apart(reader, tmp_path):
    name = reader.split()[-1]
    missing = said(reader, tmp_path / name)
    assert missing.type is FileNotFoundError
    assert re.search(rf"there is no (such )?file.*'{re.escape(str(tmp_path))}", str(missing.value))
    said(reader, tmp_path / "nowhere" / name)
    (tmp_path / "a_file").touch()
    said(reader, tmp_path / "a_file" / name)
    (tmp_path / name).mkdir()
    assert "it is a folder" in str(said(reader, tmp_path / name).value)


WRITERS = {
    "x.h5": fastcnn.Sequential.save,
    "x.weights.h5": fastcnn.Sequential.save_weights,
    "x.safetensors": fastcnn.Sequential.save_weights,
    "x.keras": fastcnn.Sequential.to_keras,
    "x.onnx": fastcnn.Sequential.to_onnx,
}


@pytest.mark.parametrize("name", WRITERS)
def test_writers_say_the_same_of_where_they_would_write(name, tmp_path):
    (tmp_path / name).mkdir()
    with pytest.raises(OSError, match=r"^'.*' cannot be written: it is a folder\.$"):
        WRITERS[name](small(), tmp_path / name)
    with pytest.raises(
        OSError, match=r"^'.*' cannot be written: there is no folder '.*nowhere'\.$"
    ):
        WRITERS[name](small(), tmp_path / "nowhere" / name)


def test_an_error_in_words_keeps_its_kind_and_number():
    error = input_file.in_words(PermissionError(13, "denied", "x"), "No.")
    assert (type(error), error.errno, str(error)) == (PermissionError, 13, "No.")
