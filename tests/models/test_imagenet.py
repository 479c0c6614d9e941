"""Weights that Keras publishes, and the names of ImageNet's classes."""

from __future__ import annotations

import gzip
import hashlib
import json

import hdf5_models as nets
import numpy as np
import pooch
import pytest
import requests
from test_keras_legacy import layers_of, write_legacy

import fastcnn
from fastcnn import applications
from fastcnn.applications import imagenet, pretrained
from fastcnn.applications.imagenet import PublishedFile, PublishedWeights
from fastcnn.applications.pretrained import AtHand
from fastcnn.data import ImageNetScaling
from fastcnn.layers import Normalization
from fastcnn.saving import keras_layout

LAYOUTS = json.loads(gzip.decompress((nets.KERAS / "layouts.json.gz").read_bytes()))
PIXELS = np.array([[[[0, 128, 255]]]], np.float32)


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_network_has_the_layers_of_the_published_file(name):
    """Without the statistics that EfficientNet begins with, which preprocessing stands for."""
    network, _, without = name.partition(" ")
    published = imagenet.WEIGHTS[network]
    version = {} if published.version is None else {"version": published.version}
    model = getattr(applications, network)(include_top=not without, **version)
    ours = [at for _, at in keras_layout.keyed(model.layers) if at.parameters]
    shapes = [[list(parameter.shape) for parameter in at.parameters] for at in ours]
    expected = LAYOUTS[name][1:] if LAYOUTS[name][0][-1:] == [[]] else LAYOUTS[name]
    if network == "mobilenet" and not without:  # Keras has a 1x1 convolution for the last
        assert expected[-1][0] == [1, 1, *shapes[-1][0]]
        expected[-1][0] = shapes[-1][0]
    assert shapes == expected
    assert not any(isinstance(at, Normalization) for at in model.layers)


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("caffe", [255 - 103.939, 128 - 116.779, -123.68]),
        ("tf", [-1, 128 / 127.5 - 1, 1]),
        ("torch", [-0.485 / 0.229, (128 / 255 - 0.456) / 0.224, (1 - 0.406) / 0.225]),
    ],
)
def test_pixels_are_scaled_as_the_networks_were_trained(mode, expected):
    scaled = ImageNetScaling(mode).apply(PIXELS.copy())
    np.testing.assert_allclose(scaled[0, 0, 0], expected, rtol=1e-5)
    with pytest.raises(ValueError, match="Unknown mode"):
        ImageNetScaling("theano")


@pytest.fixture
def published(tmp_path, monkeypatch):
    """LeNet-5's weights for 1,000 classes, as if Keras published them; the model that has them."""
    monkeypatch.setenv("FASTCNN_DATA", str(tmp_path))
    monkeypatch.setattr(pooch, "retrieve", unreachable)
    model = applications.lenet5(classes=1000, seed=3)
    folder = tmp_path / "keras-applications"
    folder.mkdir()
    files = []
    for name, layers in (("whole.h5", layers_of(model)), ("features.h5", layers_of(model)[:-1])):
        write_legacy(folder / name, layers)
        md5 = hashlib.md5((folder / name).read_bytes()).hexdigest()
        files.append(PublishedFile(f"https://example.org/nets/{name}", md5))
    monkeypatch.setitem(imagenet.WEIGHTS, "lenet5", PublishedWeights(*files, "tf"))
    return model


def unreachable(*args, **kwargs):
    raise requests.ConnectionError("no network")


def test_published_weights_come_with_their_preprocessing(published):
    model = applications.lenet5(classes=1000, weights="imagenet")
    assert nets.bits(model) == nets.bits(published)
    assert [repr(step) for step in model.preprocessing] == ["ImageNetScaling(mode='tf')"]
    x = np.random.default_rng(0).integers(0, 256, (2, *model.input_shape)).astype(np.uint8)
    expected = published.predict(x.astype(np.float32) / 127.5 - 1)
    np.testing.assert_allclose(model.predict(x), expected, rtol=1e-4)
    own = applications.lenet5(
        classes=1000, weights="imagenet", preprocessing=[ImageNetScaling("tf")]
    )
    assert len(own.preprocessing) == 1


def test_weights_without_the_top_are_at_hand_or_not(published, tmp_path):
    path = tmp_path / "keras-applications" / "features.h5"
    assert pretrained.at_hand("lenet5") == AtHand("lenet5", f"in '{path}'")
    path.write_bytes(path.read_bytes()[:-1])  # not what was published
    assert pretrained.at_hand("lenet5") is None
    assert pretrained.at_hand("lenet1") is None  # whose weights nobody publishes


def test_a_saved_model_keeps_its_preprocessing(published, tmp_path):
    model = applications.lenet5(classes=1000, weights="imagenet")
    model.save(tmp_path / "m.h5")
    again = fastcnn.load(tmp_path / "m.h5")
    assert [repr(step) for step in again.preprocessing] == ["ImageNetScaling(mode='tf')"]


REFUSED = {
    "classes": ({"classes": 10}, "tells 1,000 classes apart. Received classes=10"),
    "rescale": ({"classes": 1000, "rescale": True}, "Received rescale=True"),
}


@pytest.mark.parametrize(("options", "message"), REFUSED.values(), ids=REFUSED)
def test_options_that_do_not_go_together(options, message, published):
    with pytest.raises(ValueError, match=message):
        applications.lenet5(weights="imagenet", **options)


def test_weights_of_another_version_or_of_nobody():
    with pytest.raises(ValueError, match=r"those of version='keras'. Received version='v1.5'"):
        applications.resnet50(weights="imagenet")
    with pytest.raises(ValueError, match=r"lenet1: nobody publishes such weights.* vgg16"):
        applications.lenet1(weights="imagenet")


def test_offline_a_sentence_says_which_file_to_put_where(published, tmp_path):
    path = tmp_path / "keras-applications" / "whole.h5"
    path.unlink()
    words = rf"ConnectionError.* file whole\.h5 from https://example.org/nets/whole\.h5 at {path}"
    with pytest.raises(OSError, match=words):
        applications.lenet5(classes=1000, weights="imagenet")


def test_another_file_than_was_published_is_refused(published, tmp_path, monkeypatch):
    path = tmp_path / "keras-applications" / "whole.h5"
    path.write_bytes(b"something else")

    def retrieve(address, known_hash, fname, path):
        raise ValueError(f"MD5 hash of downloaded file ({fname}) does not match: {known_hash}")

    monkeypatch.setattr(pooch, "retrieve", retrieve)
    with pytest.raises(ValueError, match="sent another file than was published, whose MD5 is"):
        applications.lenet5(classes=1000, weights="imagenet")


def test_predictions_get_the_names_of_their_classes(tmp_path, monkeypatch):
    monkeypatch.setenv("FASTCNN_DATA", str(tmp_path))
    index = {str(n): [f"n{n:08}", f"name_{n}"] for n in range(1000)}
    data = json.dumps(index).encode()
    (tmp_path / "keras-applications").mkdir()
    (tmp_path / "keras-applications" / "index.json").write_bytes(data)
    file = PublishedFile("https://example.org/index.json", hashlib.md5(data).hexdigest())
    monkeypatch.setattr(imagenet, "CLASS_INDEX", file)
    scores = np.zeros((2, 1000), np.float32)
    scores[0, [7, 3, 999]] = 0.5, 0.25, 0.125
    scores[1, 0] = 1
    first, second = applications.decode_predictions(scores, top=3)
    assert first == [
        ("n00000007", "name_7", 0.5),
        ("n00000003", "name_3", 0.25),
        ("n00000999", "name_999", 0.125),
    ]
    assert second[0] == ("n00000000", "name_0", 1.0)
    for wrong in (scores[0], scores[:, :10], [["a"] * 1000]):
        with pytest.raises(ValueError, match=r"shape \(images, 1000\)"):
            applications.decode_predictions(wrong)
    with pytest.raises(ValueError, match="top"):
        applications.decode_predictions(scores, top=0)


def test_weights_that_are_neither_published_nor_a_file_are_named_at_once(tmp_path):
    for weights in ("ImageNet", tmp_path / "missing.h5"):
        with pytest.raises(FileNotFoundError, match=rf"^lenet5: weights must be .*'{weights}'\.$"):
            applications.lenet5(weights=weights)
