"""Weights of Caffe's files, which are written here byte by byte, in their three forms."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from test_pytorch_weights import bits, conv2d, predicted, refusals_of_damage

import fastcnn
from fastcnn.hdf5.errors import FormatError
from fastcnn.interop.caffe import load_caffe_weights, read
from fastcnn.layers import BatchNormalization, Conv2D, Conv2DTranspose, Dense, Flatten, PReLU

GENERATOR = np.random.default_rng(11)


def random(*shape):
    return GENERATOR.normal(size=shape).astype(np.float32)


# ---- Caffe's messages; a field is its number with 2 for bytes and 0 for whole numbers ----


def varint(number):
    low, rest = number & 127, number >> 7
    return bytes([low | 128]) + varint(rest) if rest else bytes([low])


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def blob(array, doubles=False):
    shape = field(7, field(1, b"".join(map(varint, array.shape))))
    return (
        field(8, array.astype("<f8").tobytes()) if doubles else field(5, array.tobytes())
    ) + shape


def old_blob(array):
    sizes = (1,) * (4 - array.ndim) + array.shape
    return b"".join(field(n, size) for n, size in enumerate(sizes, 1)) + field(5, array.tobytes())


KINDS = {"Convolution": 4, "InnerProduct": 14}


def present(name, kind, arrays, bottom="x", top="x"):
    ends = field(3, bottom) + field(4, top)
    blobs = b"".join(field(7, blob(array)) for array in arrays)
    return field(100, field(1, name) + field(2, kind) + ends + blobs)


def old(name, kind, arrays):
    blobs = b"".join(field(6, old_blob(array)) for array in arrays)
    return field(2, field(2, "x") + field(3, "x") + field(4, name) + field(5, KINDS[kind]) + blobs)


def oldest(name, kind, arrays):
    text = {"Convolution": "conv", "InnerProduct": "innerproduct"}[kind]
    blobs = b"".join(field(50, old_blob(array)) for array in arrays)
    return field(2, field(1, field(1, name) + field(2, text) + blobs) + field(2, "x"))


WEIGHTS = {
    "conv1": ("Convolution", (random(4, 3, 2, 2), random(4))),
    "conv2/3x3": ("Convolution", (random(6, 2, 3, 3), random(6))),
    "ip1": ("InnerProduct", (random(5, 6 * 2 * 3), random(5))),
    "ip2": ("InnerProduct", (random(2, 5), random(2))),
}


def file_of(form):
    data = field(0x20, "of a later version") + field(1, "name") + field(100, "")
    return data + b"".join(form(name, *entry) for name, entry in WEIGHTS.items())


def net():
    layers = [Conv2D(4, 2), Conv2D(6, 3, groups=2), Flatten(), Dense(5), Dense(2)]
    return fastcnn.Sequential(layers, (5, 6, 3))


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("caffe") / "net.caffemodel"
    path.write_bytes(file_of(present))
    return path


@pytest.mark.parametrize("bgr", [True, False])
def test_a_network_computes_as_in_caffe(bgr, path):
    model = net()
    pairing = load_caffe_weights(model, path, bgr=bgr, verbose=False)
    assert pairing.modules == {
        "conv2d": "conv1",
        "conv2d_1": "conv2.3x3",
        "dense": "ip1",
        "dense_1": "ip2",
    }
    x = random(2, 3, 5, 6)
    (w1, b1), (w2, b2), (w3, b3), (w4, b4) = (arrays for _, arrays in WEIGHTS.values())
    y = conv2d(conv2d(x[:, ::-1] if bgr else x, w1, b1), w2, b2, groups=2)
    y = (y.reshape(2, -1) @ w3.T + b3) @ w4.T + b4
    np.testing.assert_allclose(predicted(model, x), y, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("form", [old, oldest])
def test_older_files_have_the_same_weights(form, path, tmp_path):
    older, expected = tmp_path / "older.caffemodel", net()
    older.write_bytes(file_of(form))
    load_caffe_weights(expected, path, verbose=False)
    model = net()
    load_caffe_weights(model, older, verbose=False)
    assert bits(model) == bits(expected)


def normalized_net(**settings):
    layers = [
        Conv2D(4, 1, use_bias=False),
        BatchNormalization(epsilon=1e-5, **settings),
        PReLU(shared_axes=(1, 2)),
        Conv2DTranspose(2, 2),
    ]
    return fastcnn.Sequential(layers, (2, 2, 3))


def normalized_file(*layers):
    return b"".join(
        [
            present("conv1", "Convolution", [random(4, 3, 1, 1)]),
            *layers,
            present("slopes", "PReLU", [np.full(4, 0.5, np.float32)]),
            present("up", "Deconvolution", [random(4, 2, 2, 2), random(2)]),
        ]
    )


MEAN, VARIANCE, COUNT = random(4), np.abs(random(4)), np.array([8], np.float32)
STATISTICS = present("bn", "BatchNorm", [MEAN * 8, VARIANCE * 8, COUNT], "a", "b")
GAMMA, BETA = random(4), random(4)


def test_a_batch_norm_and_its_scale_are_one_layer(tmp_path):
    path, model = tmp_path / "a.caffemodel", normalized_net()
    scale = present("scale", "Scale", [GAMMA, BETA], "b", "c")
    path.write_bytes(normalized_file(STATISTICS, scale))
    load_caffe_weights(model, path, verbose=False)
    values = [parameter.value for parameter in model.layers[1].parameters]
    for value, expected in zip(values, (GAMMA, BETA, MEAN, VARIANCE), strict=True):
        np.testing.assert_allclose(value, expected, rtol=1e-6)


def test_a_batch_norm_may_have_no_scale_and_no_images(tmp_path):
    path, model = tmp_path / "a.caffemodel", normalized_net(scale=False, center=False)
    none = present("bn", "BatchNorm", [MEAN * 0, VARIANCE * 0, COUNT * 0])
    path.write_bytes(normalized_file(none))
    load_caffe_weights(model, path, verbose=False)
    assert not np.any([parameter.value for parameter in model.layers[1].parameters])


def test_numbers_may_be_doubles_and_in_pieces(tmp_path):
    path, array = tmp_path / "a.caffemodel", random(2, 3)
    shape = field(7, field(1, varint(2) + varint(3)))
    pieces = field(5, array.tobytes()[:8]) + shape + field(5, array.tobytes()[8:])
    blobs = field(7, pieces) + field(7, blob(random(2), doubles=True))
    path.write_bytes(field(100, field(1, "ip") + field(2, "InnerProduct") + blobs))
    state = read(str(path))
    np.testing.assert_array_equal(state["ip.weight"], array)
    assert state["ip.bias"].dtype == np.float32


def wrong_size():
    return field(100, field(1, "a") + field(7, field(7, field(1, b"\x09")) + field(5, bytes(8))))


def negative_size():
    minus_one = b"\xff" * 9 + b"\x01"
    return field(100, field(1, "a") + field(7, field(7, field(1, minus_one))))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "has no layer with weights"),
        (b"\x89HDF\r\n\x1a\n", "cannot be read"),
        (file_of(present)[:-5], "cannot be read"),
        (wrong_size(), r"'a' has 2 numbers for an array of shape \(9,\)"),
        (negative_size(), r"'a' has 0 numbers for an array of shape \(-1,\)"),
        (field(100, field(1, b"\xff\xfe") + field(7, blob(random(2)))), "cannot be read"),
        (2 * present("a", "Convolution", [random(2)]), "layers with weights are named 'a'"),
        (present("a", "Convolution", [random(2)] * 3), "'a' has 3 arrays where two were"),
        (present("a", "BatchNorm", [random(2)] * 2), "'a' has other arrays than a BatchNorm's"),
        (file_of(present).replace(WEIGHTS["ip2"][1][1].tobytes(), b"\xff" * 8), "not finite"),
        (present("a", "Convolution", [random(2, 2)]), "does not fit the model"),
    ],
)
def test_what_is_refused_changes_nothing(data, words, tmp_path):
    path, model = tmp_path / "a.caffemodel", net()
    path.write_bytes(data)
    before = bits(model)
    with pytest.raises(FormatError, match=words):
        load_caffe_weights(model, path, verbose=False)
    assert bits(model) == before


@pytest.mark.parametrize("count", [200, pytest.param(2000, marks=pytest.mark.exhaustive)])
def test_damage_is_an_error_or_harmless(count, path, tmp_path):
    damaged = tmp_path / "damaged.caffemodel"
    damaged.write_bytes(path.read_bytes())
    refused = refusals_of_damage(load_caffe_weights, net(), damaged, count)
    assert count > refused > count / 8


def test_without_the_package_it_is_named(monkeypatch, path):
    monkeypatch.setitem(sys.modules, "google.protobuf.message", None)
    with pytest.raises(ImportError, match=r"pip install 'fastcnn\[caffe\]'"):
        load_caffe_weights(net(), path)


def test_load_weights_says_who_reads_such_files(path):
    with pytest.raises(FormatError, match=r"fastcnn\.load_caffe_weights\(model, path\) reads it"):
        net().load_weights(path)
