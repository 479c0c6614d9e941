"""A network's layers used again: their outputs as features, and parts of it in other models."""

from __future__ import annotations

import numpy as np
import pytest
from building import assert_close, build, images

from fastcnn import Sequential
from fastcnn import layers as L

SHAPE = (8, 8, 2)


def chain():
    return [
        L.Conv2D(4, 3, padding="same", name="first"),
        L.BatchNormalization(),
        L.ReLU(),
        L.Dropout(0.5),
        L.Residual([L.Conv2D(4, 1, name="inside")], name="block"),
        L.MaxPooling2D(2),
        L.Flatten(),
        L.Dense(3, activation="softmax", name="scores"),
    ]


@pytest.fixture(scope="module")
def model():
    return build(SHAPE, chain(), "sparse_categorical_crossentropy")


def test_features_are_the_outputs_of_every_layer(model):
    x = images(5, SHAPE)
    paths = [layer.path for top in model.layers for layer in top.walk()]
    features = model.features(x, paths, batch_size=2)
    assert [*features] == paths
    for path in paths:
        assert_close(features[path], model.activations(x, path), "chain", path)
    assert_close(features["scores"], model.predict(x), "chain", "the last layer")
    np.testing.assert_array_equal(features["dropout"], features["re_lu"])


def test_one_layer_gives_an_array(model):
    x = images(5, SHAPE)
    layer = model.get_layer("block")
    assert_close(model.features(x, layer), model.features(x, "block"), "exact", "block")
    assert [*model.features(x, [layer])] == ["block"]


def test_features_are_pooled_or_flat(model):
    x = images(5, SHAPE)
    maps = model.features(x, "block")
    assert_close(
        model.features(x, "block", pooling="average"), maps.mean(axis=(1, 2)), "sum", "average"
    )
    np.testing.assert_array_equal(model.features(x, "block", pooling="max"), maps.max(axis=(1, 2)))
    flat = model.features(x, ["block"], pooling="flatten")["block"]
    np.testing.assert_array_equal(flat, maps.reshape(5, -1))


def test_features_of_any_source(model):
    x = images(5, SHAPE)
    batches = iter([x[:2], x[2:]])
    assert_close(model.features(batches, "block"), model.features(x, "block"), "chain", "stream")


def test_what_comes_behind_is_not_computed(model):
    from fastcnn.graph.inspection import Inspection

    program, _ = model.inspection_program(Inspection(("first",)), 32)
    assert [op.layer for op in program.ops] == ["first"]


def test_features_are_planned_once(model, monkeypatch):
    x = images(40, SHAPE)
    model.features(x, "block")
    monkeypatch.setattr(model.engine(), "_build", lambda *_: pytest.fail("planned again"))
    model.features(x[:7], "block")


def test_features_of_nothing_are_refused(model):
    x = images(1, SHAPE)
    with pytest.raises(ValueError, match="at least one layer"):
        model.features(x, [])
    with pytest.raises(ValueError, match="another model"):
        model.features(x, L.ReLU())
    with pytest.raises(ValueError, match="pooling must be one of"):
        model.features(x, "block", pooling="mean")


def test_a_call_predicts_one_batch(model):
    x = images(40, SHAPE)
    assert_close(model(x), model.predict(x, batch_size=40), "exact", "call")


@pytest.mark.parametrize("end", ["first", "re_lu", "block", "flatten"])
def test_a_truncated_model_gives_that_layers_outputs(model, end):
    x = images(5, SHAPE)
    part = model.truncated(end)
    assert [layer.name for layer in part.layers][-1] == end
    assert_close(part.predict(x), model.features(x, end), "chain", end)


def test_a_truncated_model_has_weights_of_its_own(model):
    before = [weights.copy() for weights in model.get_weights()]
    part = model.truncated(model.get_layer("first"))
    part.set_weights([weights * 0 for weights in part.get_weights()])
    for now, then in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, then)


def test_a_truncated_model_keeps_the_settings(model):
    part = model.truncated("block")
    for name in ("name", "seed", "device", "precision", "error_bound", "preprocessing"):
        assert getattr(part, name) == getattr(model, name)


def test_a_network_cannot_end_within_a_layer(model):
    with pytest.raises(ValueError, match="is inside Residual 'block'"):
        model.truncated("block/inside")


def test_layers_of_two_models_make_a_third(model):
    other = build(SHAPE, [L.Conv2D(4, 3, padding="same", name="other")], seed=3)
    joined = Sequential([*other.layers, *model.layers[1:7], L.Dense(7)], SHAPE)
    x = images(5, SHAPE)
    expected = model.features(x, "flatten")
    np.testing.assert_array_equal(joined.layers[0].parameters[0].value, other.get_weights()[0])
    joined.layers[0].parameters[0].value[...] = model.layers[0].parameters[0].value
    joined.layers[0].parameters[1].value[...] = model.layers[0].parameters[1].value
    assert_close(joined.features(x, "flatten"), expected, "chain", "the same layers")
    assert [layer.name for layer in joined.layers][:2] == ["other", "batch_normalization"]
    assert joined.output_shape == (7,)


def test_frozen_layers_and_statistics_come_along():
    normalization = L.Normalization(mean=3.0, variance=4.0)
    base = Sequential([normalization, L.Dense(2, trainable=False)], (4,))
    copied = Sequential(base.layers, (4,))
    assert [layer.trainable for layer in copied.layers] == [True, False]
    x = images(3, (4,))
    np.testing.assert_array_equal(copied.predict(x), base.predict(x))


def test_weights_that_do_not_fit_the_new_input_are_refused(model):
    with pytest.raises(ValueError, match=r"'first' comes from another model with weights"):
        Sequential(model.layers[:2], (8, 8, 3))


@pytest.mark.parametrize("built", [False, True])
def test_a_layer_twice_in_one_model_is_refused(model, built):
    layer = model.layers[2] if built else L.ReLU()
    with pytest.raises(ValueError, match="is used twice"):
        Sequential([layer, layer], SHAPE)


def test_layers_are_added_one_by_one():
    grown = Sequential([], SHAPE, seed=4)
    for layer in chain():
        grown.add(layer)
    whole = Sequential(chain(), SHAPE, seed=4)
    assert [layer.path for layer in grown.layers] == [layer.path for layer in whole.layers]
    x = images(3, SHAPE)
    np.testing.assert_array_equal(grown.predict(x), whole.predict(x))


def test_a_compiled_model_keeps_its_optimizer_when_a_layer_is_added():
    model = Sequential([L.Flatten()], (2, 2, 1))
    model.compile("adam", "mse")
    model.add(L.Dense(1))
    model.fit(images(4, (2, 2, 1)), np.zeros((4, 1), np.float32), epochs=1, verbose=0)
    assert model.state.step == 1


def test_a_layer_of_another_model_is_added_with_its_weights(model):
    grown = Sequential([], SHAPE)
    grown.add(model.layers[0])
    x = images(2, SHAPE)
    assert_close(grown.predict(x), model.features(x, "first"), "chain", "first")


def test_adding_is_refused_with_a_reason():
    used = Sequential([L.Flatten()], (2, 2, 1))
    used.predict(images(1, (2, 2, 1)))
    with pytest.raises(ValueError, match="has been used already"):
        used.add(L.Dense(2))
    fresh = Sequential([L.Dense(2, name="head")], (4,))
    with pytest.raises(ValueError, match="'head'"):
        fresh.add(L.Dense(2, name="head"))
    with pytest.raises(ValueError, match="expected an input of shape"):
        fresh.add(L.Conv2D(2, 3))
    with pytest.raises(TypeError, match="a list of layers"):
        fresh.add("dense")
    assert len(fresh.layers) == 1 and fresh.output_shape == (2,)
    with pytest.raises(ValueError, match="AuxiliaryClassifier"):
        fresh.add(L.AuxiliaryClassifier([L.Dense(2)]))


@pytest.mark.parametrize("method", ["predict", "summary", "compile"])
def test_a_model_without_layers_says_so(method):
    model = Sequential([], (4,))
    arguments = {"predict": (images(1, (4,)),), "summary": (), "compile": ()}[method]
    with pytest.raises(ValueError, match="no layers yet"):
        getattr(model, method)(*arguments)
