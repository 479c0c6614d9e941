"""Models of Keras, architecture and weights: they predict what Keras predicted, and what fastcnn
has not is refused by the layer's name."""

from __future__ import annotations

import gzip
import json
import zipfile

import h5py
import hdf5_models as nets
import numpy as np
import pytest
from deadline import within
from test_hdf5_damage import mutations
from test_keras_legacy import write_legacy

import fastcnn
from fastcnn.hdf5.errors import FormatError
from fastcnn.layers import Conv2D, Dense, Flatten, Residual

PREDICTIONS = np.load(nets.KERAS / "predictions.npz")


def unpacked(name, folder):
    (folder / name).write_bytes(gzip.decompress((nets.KERAS / f"{name}.gz").read_bytes()))
    return folder / name


@pytest.fixture(scope="module", params=["keras", "h5"])
def branching(request, tmp_path_factory):
    """A file of Keras 3 in each format."""
    return unpacked(f"branching.{request.param}", tmp_path_factory.mktemp("keras"))


def test_a_model_with_branches_predicts_as_keras_does(branching):
    model = fastcnn.load_keras(branching)
    expected = PREDICTIONS["branching"]
    np.testing.assert_allclose(model.predict(PREDICTIONS["x"]), expected, rtol=1e-5, atol=1e-7)
    assert model.optimizer is None
    names = {layer.name for top in model.layers for layer in top.walk()}
    assert {"head", "up"} <= names


def test_load_takes_a_model_of_keras_too(tmp_path):
    model = fastcnn.load(nets.KERAS / "sequential.keras")
    np.testing.assert_allclose(
        model.predict(PREDICTIONS["x"]), PREDICTIONS["sequential"], rtol=1e-5, atol=1e-7
    )
    assert model.name == "sequential"
    model.save(tmp_path / "ours.h5")
    assert nets.bits(fastcnn.load(tmp_path / "ours.h5")) == nets.bits(model)


def layer(class_name, name, inputs=(), **config):
    """A layer's entry in a functional model of Keras 2."""
    nodes = [[[source, 0, 0, {}] for source in inputs]] if inputs else []
    entry = {"class_name": class_name, "name": name, "inbound_nodes": nodes}
    return {**entry, "config": {"name": name, **config}}


INPUT = layer("InputLayer", "image", batch_input_shape=[None, 4, 4, 2])
CONV = {"filters": 2, "kernel_size": [3, 3], "padding": "same", "data_format": "channels_last"}


def functional(*entries, output=None):
    config = {
        "name": "net",
        "layers": [INPUT, *entries],
        "input_layers": [["image", 0, 0]],
        "output_layers": [[output or entries[-1]["name"], 0, 0]],
    }
    return {"class_name": "Functional", "config": config}


def sequential(*entries):
    return {"class_name": "Sequential", "config": {"name": "net", "layers": [*entries]}}


def keras_2(path, config, weights=()):
    """A whole model in `.h5` as Keras 2 writes it; weights as `write_legacy` takes them."""
    write_legacy(path, weights, whole=True)
    with h5py.File(path, "a") as file:
        file.attrs["model_config"] = json.dumps(config).encode()
        file.attrs["keras_version"] = b"2.15.0"


def test_a_functional_model_of_keras_2(tmp_path):
    body = Conv2D(2, 3, padding="same", activation="relu", name="body")
    source = fastcnn.Sequential(
        [Residual(body, name="sum"), Flatten(), Dense(3, name="d")], (4, 4, 2)
    )
    config = functional(
        layer("Conv2D", "body", ["image"], **CONV, activation="relu"),
        layer("Add", "sum", ["image", "body"]),
        layer("Flatten", "flat", ["sum"], data_format="channels_last"),
        layer("Dense", "d", ["flat"], units=3),
    )
    arrays = [
        (name, {p.name: p.value for p in source.parameters if p.path.split("/")[-2] == name})
        for name in ("body", "d")
    ]
    keras_2(tmp_path / "old.h5", config, arrays)
    model = fastcnn.load_keras(tmp_path / "old.h5")
    x = np.random.default_rng(0).normal(size=(3, 4, 4, 2)).astype(np.float32)
    np.testing.assert_array_equal(model.predict(x), source.predict(x))
    assert [at.name for at in model.layers] == ["sum", "flat", "d"]


def test_an_open_input_shape_is_passed(tmp_path):
    first = {"class_name": "Conv2D", "config": {"name": "c", **CONV, "use_bias": False}}
    first["config"]["batch_input_shape"] = [None, None, None, 2]
    kernel = np.ones((3, 3, 2, 2), np.float32)
    keras_2(tmp_path / "open.h5", sequential(first), [("c", {"kernel": kernel})])
    with pytest.raises(FormatError, match="pass input_shape="):
        fastcnn.load_keras(tmp_path / "open.h5")
    assert fastcnn.load_keras(tmp_path / "open.h5", (5, 6, 2)).output_shape == (5, 6, 2)


def test_what_matters_in_training_alone_is_told(tmp_path):
    config = functional(
        layer("RandomFlip", "flip", ["image"], mode="horizontal"),
        layer("Flatten", "flat", ["flip"]),
        layer("Dense", "d", ["flat"], units=1, use_bias=False, kernel_constraint={"a": 1}),
    )
    keras_2(tmp_path / "a.h5", config, [("d", {"kernel": np.ones((32, 1), np.float32)})])
    with pytest.warns(UserWarning, match="RandomFlip 'flip', kernel_constraint of Dense 'd'"):
        model = fastcnn.load_keras(tmp_path / "a.h5")
    assert [at.name for at in model.layers] == ["flat", "d"]


def conv(name="c", source="image", **config):
    return layer("Conv2D", name, [source], **{**CONV, **config})


REFUSED = {
    "a class": (functional(layer("LSTM", "l", ["image"])), "LSTM 'l' is of a class"),
    "channels first": (
        functional(conv(data_format="channels_first")),
        "Conv2D 'c' has data_format='channels_first', and fastcnn reads channels last alone",
    ),
    "an activation": (
        functional(conv(activation="softsign")),
        "Conv2D 'c' has activation='softsign', which fastcnn has not",
    ),
    "another hard sigmoid": (functional(conv(activation="hard_sigmoid")), "before Keras 3"),
    "a setting": (functional(conv(renorm=True)), "Conv2D 'c' has renorm=True"),
    "a value": (functional(conv(padding="causal")), "Conv2D 'c' cannot be made: .*padding"),
    "a type": (functional(conv(filters="many")), "Conv2D 'c' cannot be made"),
    "a missing setting": (functional(layer("Dense", "d", ["image"])), "Dense 'd' cannot be made"),
    "an axis": (
        functional(conv(), layer("Concatenate", "j", ["image", "c"], axis=1)),
        "Concatenate 'j' acts along axis 1",
    ),
    "an axis of statistics": (
        functional(layer("BatchNormalization", "b", ["image"], axis=[1])),
        r"BatchNormalization 'b' acts along axis \[1\]",
    ),
    "a join": (
        functional(conv(), layer("Maximum", "m", ["image", "c"])),
        "Maximum 'm' reads 2 others",
    ),
    "branches that cross": (
        functional(
            *(conv("a"), conv("b"), layer("Add", "s", ["a", "b"])),
            layer("Add", "t", ["s", "b"]),
        ),
        "Conv2D 'b' is read by Add 's' and Add 't'",
    ),
    "two outputs": (
        {**functional(conv()), "config": {**functional(conv())["config"], "output_layers": [
            ["c", 0, 0], ["c", 0, 0]]}},
        "1 inputs and 2 outputs",
    ),
    "shared weights": (
        functional({**conv(), "inbound_nodes": 2 * conv()["inbound_nodes"]}),
        "Conv2D 'c' is used 2 times",
    ),
    "a circle": (functional(conv("a", "b"), conv("b", "a")), "in a circle"),
    "nothing": (functional(conv("a", "zzz")), "Conv2D 'a' reads what does not come"),
    "a second output": (
        functional({**conv(), "inbound_nodes": [[["image", 0, 1, {}]]]}), "output 1 of 'image'"
    ),
    "a model of one's own": ({"class_name": "MyNet", "config": {}}, "it is a MyNet"),
    "no layers": ({"class_name": "Sequential", "config": {}}, "damaged or of an unknown form"),
    "a lambda": (functional(layer("Lambda", "f", ["image"], function="x")), "Lambda 'f'"),
    "models within each other": (
        functional({**conv(), "class_name": "Sequential", "config": {"name": "c", "layers": [
            {"class_name": "GRU", "config": {"name": "g"}}]}}),
        "GRU 'g'",
    ),
    "weights": (functional(conv()), "it has no weights of Conv2D 'c'"),
}  # fmt: skip


@pytest.mark.parametrize(("config", "message"), REFUSED.values(), ids=REFUSED)
def test_what_fastcnn_has_not_is_refused_by_name(config, message, tmp_path):
    keras_2(tmp_path / "a.h5", config)
    with pytest.raises(FormatError, match=message) as refused:
        fastcnn.load_keras(tmp_path / "a.h5")
    assert str(tmp_path / "a.h5") in str(refused.value)


def test_weights_of_other_shapes_are_refused(tmp_path):
    keras_2(tmp_path / "a.h5", functional(conv()), [("c", {"kernel": np.ones((3, 3, 2, 9), "f4")})])
    with pytest.raises(FormatError, match=r"weights of Conv2D 'c' should have the shapes"):
        fastcnn.load_keras(tmp_path / "a.h5")


def test_files_of_weights_alone_say_what_to_do(tmp_path):
    write_legacy(tmp_path / "w.h5", [])
    for path in (tmp_path / "w.h5", nets.KERAS / "sequential.weights.h5"):
        with pytest.raises(FormatError, match="build the model, then load_weights"):
            fastcnn.load_keras(path)
        with pytest.raises(FormatError, match="Build the model, then load_weights"):
            fastcnn.load(path)


def rewritten(path, source, **members):
    """An archive with other members."""
    with zipfile.ZipFile(source) as archive, zipfile.ZipFile(path, "w") as target:
        for name in archive.namelist():
            target.writestr(name, members.get(name.split(".")[0], archive.read(name)))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (b"[", "not JSON"),
        (b"[]", "no JSON object"),
        (b"[" * 100_000, "not JSON"),
        (b'{"a":' + b" " * (17 << 20) + b"1}", "which is refused"),
    ],
    ids=["cut", "list", "deep", "long"],
)
def test_configurations_are_bounded(config, message, tmp_path):
    rewritten(tmp_path / "a.keras", nets.KERAS / "sequential.keras", config=config)
    with pytest.raises(FormatError, match=message):
        fastcnn.load_keras(tmp_path / "a.keras")


def test_damage_anywhere_is_an_error_or_harmless(branching, tmp_path):
    path, refused = tmp_path / "damaged", 0
    generator = np.random.default_rng(11)
    for mutant in mutations(branching.read_bytes(), generator, 40):
        path.write_bytes(mutant)
        try:
            with within():
                fastcnn.load_keras(path)
        except FormatError:
            refused += 1
    assert refused > 5


@pytest.mark.filterwarnings("ignore")
def test_damage_in_the_configuration_is_an_error_or_harmless(tmp_path):
    branching = unpacked("branching.keras", tmp_path)
    with zipfile.ZipFile(branching) as archive:
        config = archive.read("config.json")
    path, refused = tmp_path / "a.keras", 0
    generator = np.random.default_rng(12)
    words = [b"null", b"[]", b"{}", b"-1", b"1e99", b'"x"', b"[[1, 2], 3]", b"true"]
    places = [place for place in range(len(config)) if config[place : place + 2] == b": "]
    for _ in range(80):
        place = int(generator.choice(places)) + 2
        end = min(at for mark in b",}]" if (at := config.find(bytes([mark]), place)) > 0)
        mutant = config[:place] + words[generator.integers(len(words))] + config[end:]
        rewritten(path, branching, config=mutant)
        try:
            with within():
                fastcnn.load_keras(path)
        except FormatError:
            refused += 1
    assert refused > 20
