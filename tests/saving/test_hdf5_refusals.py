"""HDF5 files that are damaged, hostile or of another network are refused in words."""

from __future__ import annotations

import json
import zipfile
import zlib

import h5py
import hdf5_models as nets
import numpy as np
import pytest

from fastcnn import layers as L
from fastcnn.data import Decoder
from fastcnn.hdf5.errors import FormatError
from fastcnn.models.sequential import Sequential
from fastcnn.saving import model_file

PLACE = "layers/conv2d/vars/0"


def replace(file, value=None, **options):
    """Puts another dataset in the place of the first kernel."""
    shape = file[PLACE].shape
    del file[PLACE]
    file.create_dataset(PLACE, **({"data": value} if value is not None else {}), **options)
    return shape


def external_link(file):
    del file[PLACE]
    file[PLACE] = h5py.ExternalLink("other.h5", "/secret")


def external_link_at_root(file):
    del file["layers"]
    file["layers"] = h5py.ExternalLink("other.h5", "/layers")


def soft_link(file):
    del file[PLACE]
    file[PLACE] = h5py.SoftLink("/layers/conv2d/vars/1")


def virtual(file):
    layout = h5py.VirtualLayout((3, 3, 3, 6), "f4")
    layout[...] = h5py.VirtualSource("other.h5", "secret", (3, 3, 3, 6))
    del file[PLACE]
    file.create_virtual_dataset(PLACE, layout)


def external_data(file):
    replace(file, shape=(3, 3, 3, 6), dtype="f4", external=[("/etc/passwd", 0, 648)])


def never_stored(file):
    replace(file, shape=(1 << 20, 1 << 20), dtype="f4")


def sparse_chunks(file):
    replace(file, shape=(1 << 20, 1 << 20), dtype="f4", chunks=(64, 64))


def compressed(file):
    replace(file, value=np.zeros((3, 3, 3, 6), "f4"), compression="gzip")


def group_instead(file):
    del file[PLACE]
    file.create_group(PLACE)


def dataset_instead(file):
    del file["layers"]
    file["layers"] = np.zeros(3, "f4")


def gap(file):
    file.move("layers/conv2d/vars/1", "layers/conv2d/vars/2")


def loop(file):
    del file["layers"]
    file["layers"] = file["/"]


def two_names_for_much_data(file):
    """A thousand datasets that all point at the same bytes."""
    replace(file, value=np.zeros(100_000, "f4"))
    for number in range(1000):
        file[f"layers/conv2d_{number + 9}/vars/0"] = file[PLACE]


def text(file, name, value):
    del file[f"fastcnn/{name}"]
    encoded = value if isinstance(value, bytes) else value.encode()
    array = np.array(encoded, h5py.string_dtype("utf-8", len(encoded)))
    file[f"fastcnn/{name}"] = array
    file[f"fastcnn/{name}"].attrs["crc32"] = np.uint32(zlib.crc32(array.tobytes()))


def config(**changes):
    def change(file):
        stored = json.loads(file["fastcnn/model"][()])
        for path, value in changes.items():
            place = stored["layers"]
            *steps, last = path.split("__")
            for step in steps:
                place = place[int(step) if step.isdigit() else step]
            place[int(last) if last.isdigit() else last] = value
        text(file, "model", json.dumps(stored))

    return change


def training(**changes):
    def change(file):
        stored = json.loads(file["fastcnn/training"][()]) | changes
        text(file, "training", json.dumps(stored))

    return change


def of_other_size(file):
    del file["fastcnn/optimizer/momentum"]
    file["fastcnn/optimizer/momentum"] = np.zeros(3, "f4")


STRUCTURES = {
    "an external link": (external_link, "links"),
    "an external link at the root": (external_link_at_root, "links"),
    "a soft link": (soft_link, "'/layers/conv2d/vars/0' is a soft link"),
    "a virtual dataset": (virtual, "virtual layout"),
    "data in another file": (external_data, "in another file"),
    "a shape without data": (never_stored, "declares 4398046511104 bytes of data and stores 0"),
    "a sparse shape": (sparse_chunks, "chunked layout"),
    "compressed data": (compressed, "compressed"),
    "a group for a dataset": (group_instead, "lacks a part"),
    "a dataset for a group": (dataset_instead, "lacks a part"),
    "a gap in the numbers": (gap, "should have the arrays 0, 1; it has 0, 2"),
    "a group in itself": (loop, "does not fit"),
    "more data than there is": (two_names_for_much_data, "does not fit"),
    "float64": (lambda f: replace(f, np.zeros((3, 3, 3, 6))), "its type is float64"),
    "int32": (lambda f: replace(f, np.zeros((3, 3, 3, 6), "i4")), "its type is integer of 4 bytes"),
    "text": (lambda f: replace(f, np.full((3, 3, 3, 6), b"abcd")), "its type is string of 4 bytes"),
    "a pair of numbers": (
        lambda f: replace(f, np.zeros((3, 3, 3, 6), "f4,f4")),
        "its type is compound",
    ),
    "no checksum": (lambda f: f[PLACE].attrs.pop("crc32"), "fails its checksum"),
    "a wrong checksum": (
        lambda f: f[PLACE].attrs.modify("crc32", np.uint32(7)),
        "'/layers/conv2d/vars/0' fails its checksum",
    ),
    "another shape": (
        lambda f: replace(f, np.zeros((5, 5, 3, 6), "f4")),
        "Layer 'stem': kernel has shape (3, 3, 3, 6) in the model and (5, 5, 3, 6) in the file",
    ),
    "a missing layer": (lambda f: f.pop("layers/dense"), "Layer 'head': expected weights"),
    "a layer too many": (
        lambda f: f.update({"layers/dense_1/vars/0": np.zeros((5, 2), "f4")}),
        "Layer 'dense_1': the file has weights (5, 2)",
    ),
    "a bias too many": (
        lambda f: f.update({"layers/conv2d/vars/2": np.zeros(6, "f4")}),
        "Layer 'stem': expected 2 arrays (kernel, bias), the file has 3",
    ),
}

DECODER = Decoder(9, 8).get_config()

DESCRIPTIONS = {
    "no model": (lambda f: f.pop("fastcnn/model"), "holds weights without a model"),
    "a format to come": (lambda f: text(f, "about", '{"format": 9}'), "file format 9"),
    "no JSON": (lambda f: text(f, "model", "{"), "is not JSON"),
    "a list": (lambda f: text(f, "model", "[]"), "should be a JSON object"),
    "no layers": (lambda f: text(f, "model", "{}"), "does not describe a model"),
    "deep JSON": (lambda f: text(f, "model", '{"a":' + "[" * 100_000), "too deep"),
    "a long number": (lambda f: text(f, "model", '{"a": ' + "9" * 9999 + "}"), "is not JSON"),
    "much JSON": (lambda f: text(f, "model", " " * (5 << 20)), "the limit is"),
    "no UTF-8": (lambda f: text(f, "model", b"\xff\xfe{}"), "not UTF-8"),
    "an unknown layer": (config(**{"0__class_name": "Conv2"}), "Did you mean 'Conv2D'?"),
    "a layer from elsewhere": (config(**{"0__class_name": "os.system"}), "Unknown layer"),
    "an unknown argument": (config(**{"0__config": {"shell": "rm"}}), "does not describe a model"),
    "an impossible argument": (config(**{"0__config__filters": -1}), "does not describe a model"),
    "a huge layer": (config(**{"10__config__units": 10**15}), "units must be a whole number"),
    "layers of text": (config(**{"0": "Conv2D"}), "does not describe a model"),
    "an unknown optimizer": (
        training(optimizer={"class_name": "Adamm", "config": {}}),
        "Did you mean 'adam'?",
    ),
    "a negative step": (training(step=-1), "its step should be a whole number"),
    "a fractional epoch": (training(epoch=1.5), "its epoch should be a whole number"),
    "class names of numbers": (training(class_names=[1]), "class names"),
    "a decoder of text": (training(decoder="crop"), "how it makes images of files is damaged"),
    "a decoder with code": (training(decoder={"shell": "rm"}), "is described by height, width"),
    "an unknown resize mode": (training(decoder=DECODER | {"resize": "fit"}), "Known: stretch"),
    "a list for a colour mode": (training(decoder=DECODER | {"color_mode": []}), "color_mode"),
    "a decoder of no size": (training(decoder=DECODER | {"width": 0}), "at least 1"),
    "a decoder of a fraction": (training(decoder=DECODER | {"width": 8.0}), "whole numbers"),
    "a decoder that fills the memory": (
        training(decoder=DECODER | {"width": 10**9, "height": 10**9}),
        "at most 100,000,000 pixels",
    ),
    "a decoder of other images": (
        training(decoder=DECODER | {"width": 9}),
        "its decoder makes images of shape (9, 9, 3), and its input is (9, 8, 3)",
    ),
    "slots of another size": (of_other_size, "momentum' should have shape"),
    "slots of another optimizer": (
        lambda f: f.move("fastcnn/optimizer/momentum", "fastcnn/optimizer/x"),
        "should have the slots momentum, velocity",
    ),
}


def changed(source, folder, change):
    """A copy of a valid file with a change made to it."""
    path = folder / "changed.h5"
    path.write_bytes(source.read_bytes())
    with h5py.File(path, "r+") as file:
        change(file)
    return path


@pytest.mark.parametrize("case", STRUCTURES)
def test_weights_are_refused_and_nothing_changes(case, weights, tmp_path):
    change, words = STRUCTURES[case]
    path = changed(weights, tmp_path, change)
    model = nets.scrambled(nets.sequential())
    before = nets.bits(model)
    with pytest.raises(FormatError) as caught:
        model_file.load_weights(model, path)
    assert words in str(caught.value)
    assert str(path) in str(caught.value)
    assert nets.bits(model) == before
    with pytest.raises(FormatError):
        model_file.load_model(path, Sequential)


@pytest.mark.parametrize("case", DESCRIPTIONS)
def test_models_are_refused(case, weights, tmp_path):
    change, words = DESCRIPTIONS[case]
    path = changed(weights, tmp_path, change)
    with pytest.raises(FormatError) as caught:
        model_file.load_model(path, Sequential)
    assert words in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_format_that_the_reader_does_not_know_is_named(tmp_path):
    with h5py.File(tmp_path / "new.h5", "w", libver="latest") as file:
        file[PLACE] = np.zeros((3, 3, 3, 6), "f4")
    with pytest.raises(FormatError, match="format version 3"):
        model_file.load_weights(nets.sequential(), tmp_path / "new.h5")


@pytest.mark.parametrize("content", [b"", b"x", b"\x89HDF\r\n\x1a\n", b"PK\x03\x04rest", b"GIF89a"])
@pytest.mark.parametrize("load", ["weights", "model"])
def test_other_files_are_refused(content, load, tmp_path):
    path = tmp_path / "file.h5"
    path.write_bytes(content)
    with pytest.raises(FormatError, match=r"file\.h5"):
        if load == "model":
            model_file.load_model(path, Sequential)
        else:
            model_file.load_weights(nets.sequential(), path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.h5"):
        model_file.load_model(tmp_path / "none.h5", Sequential)
    with pytest.raises(FileNotFoundError, match=r"none\.h5"):
        model_file.load_weights(nets.sequential(), tmp_path / "none.h5")


def bomb(path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model.weights.h5", bytes(10 << 20))


def without_weights(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", "{}")


def flipped(path):
    data = bytearray((nets.KERAS / "sequential.keras").read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("make", "words"),
    [(bomb, "compressed"), (without_weights, "without"), (flipped, "damaged archive")],
)
def test_archives_are_refused(make, words, tmp_path):
    make(tmp_path / "a.keras")
    with pytest.raises(FormatError, match=words):
        model_file.load_weights(nets.sequential(), tmp_path / "a.keras")


@pytest.mark.parametrize("shortcut_first", [False, True])
def test_branches_in_the_other_order_are_told_what_to_say(tmp_path, shortcut_first):
    """A Residual of a Keras model that counts its branches the other way round."""

    def model(first):
        body = [L.Conv2D(4, 3, padding="same"), L.Conv2D(5, 1)]
        residual = L.Residual(body, [L.Conv2D(5, 1)], shortcut_first=first, name="block")
        return Sequential([residual, L.Flatten()], (2, 2, 3))

    model_file.save_weights(model(shortcut_first), tmp_path / "x.weights.h5")
    hint = f"Residual 'block' must have shortcut_first={shortcut_first}"
    with pytest.raises(FormatError, match=hint):
        model_file.load_weights(model(not shortcut_first), tmp_path / "x.weights.h5")
    model_file.load_weights(model(shortcut_first), tmp_path / "x.weights.h5")


def test_a_damaged_archive_is_refused_in_a_short_sentence(tmp_path):
    path = tmp_path / "a.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model.weights.h5", bytes(5000))
    data = bytearray(path.read_bytes())
    data[26:28] = (4000).to_bytes(2, "little")  # the length of the name before the data
    path.write_bytes(data)
    with pytest.raises(FormatError, match=r"damaged archive: .{1,80}[^.]\.$"):
        nets.sequential().load_weights(path)
