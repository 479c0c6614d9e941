"""`fastcnn train` from a trained model: a new head, weights to begin with, frozen layers."""

from __future__ import annotations

import numpy as np
import photos
import pytest

import fastcnn
from fastcnn import layers as L
from fastcnn.cli import main


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A model of four classes and a folder of three others."""
    folder = tmp_path_factory.mktemp("transfer")
    base = fastcnn.Sequential(
        [
            L.Rescaling(1 / 255),
            L.Conv2D(4, 3, name="conv"),
            L.BatchNormalization(name="norm"),
            L.GlobalAveragePooling2D(name="pool"),
            L.Dense(4, activation="softmax", name="top"),
        ],
        input_shape=(8, 8, 3),
    )
    base.class_names = ["elk", "fox", "gnu", "hen"]
    base.save(folder / "base.h5")
    base.class_names = None
    base.save(folder / "nameless.h5")
    photos.photo_folder(folder / "photos", ("ant", "bee", "cat"), 3)
    return folder


def train(place, capsys, tmp_path, *words):
    line = ["train", "--data", place / "photos", "--validation-split", 0, "--epochs", 1]
    code = main([str(word) for word in (*line, "--out", tmp_path / "run", *words)])
    said = capsys.readouterr().err
    return code, said, fastcnn.load(tmp_path / "run" / "model.h5") if not code else None


@pytest.mark.parametrize(
    ("name", "before"), [("base", "knew elk, fox, gnu, hen"), ("nameless", "had 4 outputs")]
)
def test_a_saved_model_gets_a_head_for_other_classes(place, capsys, tmp_path, name, before):
    base = fastcnn.load(place / "base.h5")
    model = f"{place / name}.h5"
    code, said, model = train(place, capsys, tmp_path, "--model", model, "--freeze", "pool")
    assert code == 0
    assert (
        f"Note: the model, which {before}, is taught other classes: ant, bee, cat. Layer 'top' is "
        "new for them; all others keep their weights." in said
    )
    assert "Layers up to 'pool' are frozen" in said
    assert model.class_names == ["ant", "bee", "cat"] and model.output_shape == (3,)
    for parameter in base.layer("conv").parameters + base.layer("norm").parameters:
        other = next(p for p in model.parameters if p.path == parameter.path)
        np.testing.assert_array_equal(other.value, parameter.value)


def test_freeze_alone_freezes_all_below_the_head(place, capsys, tmp_path):
    code, _, model = train(place, capsys, tmp_path, "--model", place / "base.h5", "--freeze")
    assert code == 0
    assert [layer.name for layer in model.layers if layer.trainable] == ["top"]


def test_resuming_stays_frozen(place, capsys, tmp_path):
    train(place, capsys, tmp_path, "--model", place / "base.h5", "--freeze")
    line = ["train", "--resume", "--epochs", "2", "--out", str(tmp_path / "run")]
    assert main(line) == 0
    assert fastcnn.load(tmp_path / "run" / "model.h5").frozen_depth() == 4


def test_init_begins_with_the_weights_that_fit(place, capsys, tmp_path):
    (tmp_path / "net.py").write_text(
        "from fastcnn import Sequential, layers as L\n"
        "model = Sequential([L.Conv2D(4, 3), L.BatchNormalization(), L.GlobalAveragePooling2D(),\n"
        "    L.Dense(3, activation='softmax')], input_shape=(8, 8, 3))\n"
    )
    words = ("--model", tmp_path / "net.py", "--init", place / "base.h5", "--freeze", "conv2d")
    code, said, model = train(place, capsys, tmp_path, *words)
    assert code == 0 and "Note: 2 layers begin with the weights of" in said
    base = fastcnn.load(place / "base.h5")
    np.testing.assert_array_equal(
        model.layer("conv2d").parameters[0].value, base.layer("conv").parameters[0].value
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--init", "nothing.h5"), "--init: there is no file 'nothing.h5'"),
        (("--freeze", "pol"), "--freeze: Unknown layer 'pol'. Did you mean 'pool'?"),
    ],
)
def test_refusals_are_one_line(place, capsys, tmp_path, words, message):
    code, said, _ = train(place, capsys, tmp_path, "--model", place / "base.h5", *words)
    assert code == 2 and message in said.splitlines()[-1]


def test_nothing_is_announced_of_what_then_fails(place, capsys, tmp_path):
    base = ("--model", place / "base.h5")
    photos.photo_folder(tmp_path / "single", ("ant",), 3)
    for words, message in (
        (("--freeze", "nothing"), "--freeze: "),
        (("--data", tmp_path / "single"), f"'{tmp_path / 'single'}' has one class alone, 'ant'"),
        (("--image-size", "9"), "The model takes images of shape"),
    ):
        code, said, _ = train(place, capsys, tmp_path, *base, *words)
        assert code == 2 and message in said and "is taught other classes" not in said
