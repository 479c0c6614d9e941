"""Weights in the layout of Keras 1 and 2, which Keras 3 still writes for `.h5`."""

from __future__ import annotations

import h5py
import hdf5_models as nets
import numpy as np
import pytest
from deadline import within
from test_hdf5_damage import mutations

from fastcnn.hdf5.errors import FormatError
from fastcnn.layers import Conv2D, Dense, Flatten, GlobalAveragePooling2D, Normalization
from fastcnn.models.sequential import Sequential
from fastcnn.saving import keras_layout, model_file

NAMES = {
    "keras 2": lambda layer, parameter: f"{layer}/{parameter}:0",
    "keras 3": lambda layer, parameter: f"{layer}/{parameter}",
    "keras 1": lambda layer, parameter: f"{layer}_{parameter}_1:0",
}


def write_legacy(path, layers, whole=False, style="keras 2", texts=np.bytes_, split=None):
    """A file of layers, (name, {parameter: array}) in the model's order, as Keras 2 writes it."""

    def put(group, name, values):
        parts = [values] if split is None else np.array_split(np.array(values), split)
        for number, part in enumerate(parts):
            row = np.array(part, texts) if len(part) else np.zeros(0)
            group.attrs[name if split is None else f"{name}{number}"] = row

    with h5py.File(path, "w") as file:
        group = file.create_group("model_weights") if whole else file
        put(group, "layer_names", ["input_1", *(name for name, _ in layers)])
        group.attrs["backend"], group.attrs["keras_version"] = b"tensorflow", b"2.4.0"
        group.create_group("input_1").attrs["weight_names"] = np.zeros(0)
        for name, arrays in layers:
            inside = group.create_group(name)
            full = {NAMES[style](name, parameter): array for parameter, array in arrays.items()}
            put(inside, "weight_names", [*full])
            for weight, array in full.items():
                inside[weight] = array


def layers_of(model):
    """A model's layers for write_legacy, those without weights too."""
    return [
        (layer.name, {parameter.name: parameter.value for parameter in layer.parameters})
        for _, layer in keras_layout.keyed(model.layers)
    ]


def trained(net):
    model = getattr(nets, net)()
    model_file.load_weights(model, nets.KERAS / f"{net}.weights.h5")
    return model


@pytest.mark.parametrize("net", ["sequential", "functional"])
@pytest.mark.parametrize(
    "form",
    [
        {},
        {"whole": True, "style": "keras 3", "texts": h5py.string_dtype()},
        {"style": "keras 1", "split": 2},
    ],
    ids=["keras 2", "keras 3", "keras 1"],
)
def test_weights_come_in_the_models_order(net, form, tmp_path):
    source, model = trained(net), nets.scrambled(getattr(nets, net)())
    write_legacy(tmp_path / "old.h5", layers_of(source), **form)
    report = model.load_weights(tmp_path / "old.h5")
    assert nets.bits(model) == nets.bits(source)
    assert not report.skipped


def test_weights_come_by_name(tmp_path):
    source, model = trained("sequential"), nets.scrambled(nets.sequential(head=7))
    layers = dict(layers_of(source))
    write_legacy(tmp_path / "old.h5", [("stem", layers["stem"]), ("other", layers["head"])])
    report = model.load_weights(tmp_path / "old.h5", by_name=True)
    assert report.loaded == ["stem"]
    assert report.skipped["other"] == "the model has no layer of that name"
    np.testing.assert_array_equal(model.parameters[0].value, source.parameters[0].value)


def test_a_model_within_the_model_counts_layer_by_layer(tmp_path):
    net = [Conv2D(2, 1, name="a"), Conv2D(3, 1, name="b"), Flatten(), Dense(2, name="c")]
    source = Sequential(net, (2, 2, 1))
    (a, b, _, c) = layers_of(source)
    backbone = {f"{name}/{key}": array for name, arrays in (a, b) for key, array in arrays.items()}
    write_legacy(tmp_path / "old.h5", [("backbone", backbone), c])
    model = nets.scrambled(Sequential.from_config(source.get_config()))
    model.load_weights(tmp_path / "old.h5")
    assert nets.bits(model) == nets.bits(source)
    again = nets.scrambled(Sequential.from_config(source.get_config()))
    assert again.load_weights(tmp_path / "old.h5", by_name=True).loaded == ["a", "b", "c"]


def test_a_1x1_convolution_is_a_dense_layer(tmp_path):
    source = Sequential([Conv2D(3, 1), GlobalAveragePooling2D()], (2, 2, 4))
    write_legacy(tmp_path / "old.h5", layers_of(source)[:1])
    model = nets.scrambled(Sequential([GlobalAveragePooling2D(), Dense(3)], (2, 2, 4)))
    model.load_weights(tmp_path / "old.h5")
    for parameter, other in zip(model.parameters, source.parameters, strict=True):
        np.testing.assert_array_equal(parameter.value, other.value.reshape(parameter.shape))


STATISTICS = {
    "mean": np.array([1, 2], "f4"),
    "variance": np.array([4, 9], "f4"),
    "count": np.int64(7),
}


def test_a_normalization_takes_its_statistics(tmp_path):
    source = Sequential([Flatten(), Dense(2)], (1, 1, 2))
    (_, dense) = layers_of(source)
    write_legacy(tmp_path / "old.h5", [("normalization", STATISTICS), dense])
    model = Sequential([Normalization(), Flatten(), Dense(2)], (1, 1, 2))
    assert model.load_weights(tmp_path / "old.h5").skipped == {}
    x = np.array([3, 11], "f4").reshape(1, 1, 1, 2)
    np.testing.assert_allclose(model.predict(x), source.predict(x * 0 + [1, 3]), rtol=1e-6)
    report = Sequential([Flatten(), Dense(2)], (1, 1, 2)).load_weights(tmp_path / "old.h5")
    assert report.skipped == {"normalization": "the model has no such Normalization"}
    other = Sequential([Normalization(), Flatten(), Dense(2)], (1, 2, 1))
    with pytest.raises(FormatError, match="expected mean and variance of 1 channels"):
        other.load_weights(tmp_path / "old.h5")


def test_too_few_and_too_many_layers_are_named(tmp_path):
    source = trained("sequential")
    layers = layers_of(source)
    write_legacy(tmp_path / "few.h5", layers[:-1])
    with pytest.raises(FormatError, match=r"Layer 'head': expected weights .* there are none"):
        nets.sequential().load_weights(tmp_path / "few.h5")
    write_legacy(tmp_path / "many.h5", [*layers, ("extra", {"kernel": np.zeros((2, 2), "f4")})])
    with pytest.raises(FormatError, match="'extra': the file has weights"):
        nets.sequential().load_weights(tmp_path / "many.h5")
    report = nets.sequential().load_weights(tmp_path / "many.h5", skip_mismatch=True)
    assert "head" in report.loaded


def test_files_of_theano_are_refused(tmp_path):
    write_legacy(tmp_path / "old.h5", layers_of(trained("sequential")))
    with h5py.File(tmp_path / "old.h5", "a") as file:
        file.attrs["backend"] = "theano"
    with pytest.raises(FormatError, match="Theano"):
        nets.sequential().load_weights(tmp_path / "old.h5")


@pytest.mark.parametrize("layout", ["legacy", "ours"])
@pytest.mark.parametrize("how", [{"by_name": True}, {"skip_mismatch": True}], ids=str)
def test_loading_nothing_is_an_error(layout, how, tmp_path):
    source = Sequential([Flatten(), Dense(3, name="a")], (2, 2, 1))
    if layout == "legacy":
        write_legacy(tmp_path / "file.h5", layers_of(source))
    else:
        source.save_weights(tmp_path / "file.h5")
    model = Sequential([Flatten(), Dense(4, name="b")], (2, 2, 1))
    with pytest.raises(FormatError, match=r"nothing would be loaded.* weights: b.*file's: a"):
        model.load_weights(tmp_path / "file.h5", **how)


def test_damage_is_an_error_or_harmless(tmp_path):
    source = Sequential([Conv2D(2, 3), Flatten(), Dense(2)], (4, 4, 1))
    path = tmp_path / "old.h5"
    write_legacy(path, layers_of(source), whole=True, texts=h5py.string_dtype())
    model, refused = Sequential.from_config(source.get_config()), 0
    for mutant in mutations(path.read_bytes(), np.random.default_rng(3), 120):
        path.write_bytes(mutant)
        before = nets.bits(model)
        try:
            with within():
                model.load_weights(path)
        except FormatError:
            refused += 1
            assert nets.bits(model) == before
    assert refused > 20


def test_attributes_that_are_no_texts_are_refused(tmp_path):
    source = Sequential([Flatten(), Dense(2, name="a")], (2, 2, 1))
    for value in (np.arange(3), np.array([[b"a"]])):
        write_legacy(tmp_path / "old.h5", layers_of(source))
        with h5py.File(tmp_path / "old.h5", "a") as file:
            file.attrs["layer_names"] = value
        with pytest.raises(FormatError, match="'layer_names' should be a row of texts"):
            source.load_weights(tmp_path / "old.h5")
