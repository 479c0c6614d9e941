"""replace_head exchanges the layer that tells the classes apart; all others keep their weights."""

from __future__ import annotations

import numpy as np
import pytest

import fastcnn
from fastcnn import applications
from fastcnn import layers as L

X = np.random.default_rng(0).standard_normal((6, 6, 6, 2)).astype(np.float32)
BODY = {
    "dense": [L.Flatten, lambda: L.Dense(5, activation="relu", name="hidden")],
    "maps": [lambda: L.Residual([L.Conv2D(2, 3, padding="same")], name="block"), L.ReLU],
}


def model_of(*makers, loss="sparse_categorical_crossentropy"):
    layers = [L.Conv2D(2, 3, name="conv"), *(maker() for maker in makers)]
    model = fastcnn.Sequential(layers, input_shape=(6, 6, 2), seed=1, device="cpu")
    if loss:
        model.compile("adam", loss)
    return model


ENDINGS = {
    "softmax": [*BODY["dense"], lambda: L.Dense(4, activation="softmax", name="top")],
    "logits and softmax": [*BODY["dense"], lambda: L.Dense(4, name="top"), L.Softmax],
    "maps averaged": [
        lambda: L.Conv2D(4, 1, activation="relu", name="top"),
        L.GlobalAveragePooling2D,
        L.Softmax,
    ],
    "features": BODY["dense"],
    "feature maps": BODY["maps"],
    "averaged features": [*BODY["maps"], L.GlobalAveragePooling2D],
    "one sigmoid": [*BODY["dense"], lambda: L.Dense(1, activation="sigmoid", name="top")],
    "one logit, sigmoid": [
        *BODY["dense"],
        lambda: L.Dense(1, name="top"),
        lambda: L.Activation("sigmoid"),
    ],
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_new_head_tells_other_classes_apart(ending):
    model = model_of(*ENDINGS[ending], loss=None)
    before = {p.path: p.value.copy() for p in model.parameters}
    features = model.activations(X, "conv")
    assert model.replace_head(["ant", "bee", "cat"]) is model
    assert model.output_shape == (3,) and model.class_names == ["ant", "bee", "cat"]
    shares = model.predict(X)
    np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(model.activations(X, "conv"), features)
    head = "head" if "feature" in ending else "top"
    for parameter in model.parameters:
        if parameter.layer.name != head:
            np.testing.assert_array_equal(parameter.value, before[parameter.path])
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(X, np.arange(6) % 3, epochs=1, verbose=0)


def test_a_head_of_as_many_other_classes_has_fresh_weights():
    model = model_of(*ENDINGS["softmax"])
    model.fit(X, np.arange(6) % 4, epochs=1, verbose=0)
    before = model.layer("top").parameters[0].value.copy()
    model.replace_head(4)
    assert model.epoch == model.state.step == 0 and model.class_names is None
    assert not np.array_equal(model.layer("top").parameters[0].value, before)


def test_a_loss_that_suits_stays_and_another_goes():
    model = model_of(*ENDINGS["softmax"]).replace_head(3)
    assert model.loss.name == "sparse_categorical_crossentropy"
    model.fit(X, np.arange(6) % 3, epochs=1, verbose=0)
    model = model_of(*ENDINGS["one sigmoid"], loss="binary_crossentropy")
    model.replace_head(2)
    assert model.output_shape == (2,) and model.layer("top").activation == "softmax"
    assert model.loss is None
    assert model_of(*ENDINGS["one sigmoid"], loss="mse").replace_head(3).loss is None


def test_after_a_layer_a_dense_head_takes_the_place_of_all():
    model = model_of(*ENDINGS["logits and softmax"]).replace_head(3, after="conv")
    assert [layer.name for layer in model.layers] == ["conv", "head_pooling", "head"]
    assert model.replace_head(2, after="head_pooling").output_shape == (2,)


def test_frozen_base_and_new_head_are_saved(tmp_path):
    model = model_of(*ENDINGS["softmax"]).replace_head(3)
    model.freeze()
    model.save(tmp_path / "model.h5")
    loaded = fastcnn.load(tmp_path / "model.h5")
    assert [layer.trainable for layer in loaded.layers] == [False, False, False, True]
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))


@pytest.mark.parametrize("name", ["lenet5", "nin", "squeezenet1_1", "googlenet", "resnet20"])
def test_known_networks_get_one_new_head_and_one_an_auxiliary_classifier(name):
    model = applications.get(name)(classes=10)
    count = len(model.parameters)
    paths = {p.path: p.shape for p in model.parameters}
    model.replace_head(3)
    changed = [p for p in model.parameters if p.shape != paths[p.path]]
    heads = 3 if name == "googlenet" else 1
    assert len(model.parameters) == count and len(changed) == 2 * heads
    assert all(p.shape[-1] == 3 for p in changed)


def test_refusals_change_nothing():
    model = model_of(*ENDINGS["softmax"])
    layers, state = model.layers, model.state
    for classes, after, error, message in (
        (1, None, ValueError, "classes must be at least 2. Received 1"),
        ("ab", None, TypeError, "classes"),
        (3, "nothing", ValueError, "nothing"),
    ):
        with pytest.raises(error, match=message):
            model.replace_head(classes, after)
    inner = L.AuxiliaryClassifier([L.Flatten(), L.Dense(4, activation="softmax")], name="side")
    nested = model_of(lambda: L.Residual([inner]), *ENDINGS["softmax"])
    with pytest.raises(ValueError, match="'side' is inside another layer"):
        nested.replace_head(3)
    assert model.layers is layers and model.state is state
