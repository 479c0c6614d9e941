"""Auxiliary classifiers: trained beside the network's end, measured by name, left out elsewhere."""

from __future__ import annotations

import numpy as np
import pytest
import reference_model
from building import assert_gradients, images, randomize

import fastcnn
from fastcnn import Sequential
from fastcnn import layers as L
from fastcnn.callbacks import EarlyStopping
from fastcnn.losses import CategoricalCrossentropy
from fastcnn.optimizers import SGD

SHAPE, CLASSES, BATCH = (6, 6, 2), 3, 4
SPARSE = "sparse_categorical_crossentropy"


def classifier(**options):
    return [L.GlobalAveragePooling2D(), L.Dense(CLASSES, "softmax", **options)]


def inception(*filters):
    one, three, pooled = filters
    return L.Concat(
        [L.Conv2D(one, 1, activation="relu")],
        [L.Conv2D(three, 3, padding="same", activation="relu")],
        [L.MaxPooling2D(3, strides=1, padding="same"), L.Conv2D(pooled, 1, activation="relu")],
    )


def network(**options) -> Sequential:
    """GoogLeNet's form: two side classifiers between inception modules."""
    layers = [
        L.Conv2D(4, 3, activation="relu", kernel_regularizer="l2"),
        inception(2, 2, 1),
        L.AuxiliaryClassifier(
            [L.AveragePooling2D(2), L.Flatten(), *classifier(kernel_regularizer="l2")[1:]],
            name="first",
        ),
        inception(2, 3, 2),
        L.AuxiliaryClassifier([L.Conv2D(3, 1, activation="relu"), *classifier()], name="second"),
        L.MaxPooling2D(2),
        *classifier(),
    ]
    model = Sequential(layers, SHAPE, seed=1, device="cpu")
    model.compile(**{"optimizer": SGD(0.1), "loss": SPARSE, "metrics": ["accuracy"], **options})
    randomize(model, 5)
    return model


def data(count=BATCH, seed=1):
    labels = np.random.default_rng(seed).integers(0, CLASSES, count).astype(np.int32)
    return images(count, SHAPE, seed), labels


@pytest.fixture(scope="module")
def model():
    return network()


def test_twenty_steps_follow_float64():
    """SGD by hand, on gradients of all three losses together, from the same weights and data."""
    model = network()
    values = {p.path: np.array(p.value, np.float64) for p in model.parameters}
    for step in range(20):
        x, y = data(seed=step)
        loss = reference_model.loss(model, x, y, values=values)
        _, gradients = reference_model.gradients(model, x, y, values=values)
        assert model.train_on_batch(x, y)[0] == pytest.approx(loss, rel=1e-4)
        for path, gradient in gradients.items():
            values[path] -= np.float64(np.float32(0.1)) * gradient
    for parameter in model.parameters:
        difference = np.abs(parameter.value - values[parameter.path]).max()
        assert difference < 1e-4 * np.abs(values[parameter.path]).max(), parameter.path


@pytest.mark.parametrize("kind", ["weighted", "smoothed", "clipped"])
def test_what_acts_on_a_loss_acts_on_all(kind):
    """Weights of images, label smoothing; clipping by the norm of all gradients together."""
    x, y = data()
    weight = None
    if kind == "weighted":
        model, weight = network(), np.array([0.5, 2.0, 0.0, 1.0], np.float32)
    elif kind == "smoothed":
        model = network(loss=CategoricalCrossentropy(label_smoothing=0.2))
        y = np.eye(CLASSES, dtype=np.float32)[y]
    else:
        model = network(optimizer=SGD(1.0, global_clipnorm=0.01))
    loss, gradients = model.gradients(x, y, weight)
    expected_loss, expected = reference_model.gradients(model, x, y, weight)
    assert loss == pytest.approx(expected_loss, rel=1e-5)
    if kind != "clipped":
        assert_gradients(gradients, expected, "statistics")
        return
    before = [p.value.copy() for p in model.parameters]
    model.train_on_batch(x, y)
    moved = sum(
        np.square(p.value - old, dtype=np.float64).sum()
        for p, old in zip(model.parameters, before, strict=True)
    )
    assert np.sqrt(moved) == pytest.approx(0.01, rel=1e-3)


def test_weights_of_classes_count_for_all(model):
    x, y = data(12)
    weights = {0: 0.25, 1: 1.0, 2: 3.0}
    by_class = network().train_on_batch(x, y, class_weight=weights)
    by_image = network().train_on_batch(x, y, np.array([weights[label] for label in y]))
    assert by_class == by_image != network().train_on_batch(x, y)


def test_losses_and_accuracies_stand_in_the_history():
    model = network()
    x, y = data(6)
    run = reference_model.Run(model, training=True)
    run.layers(model.layers, np.asarray(x, np.float64))
    logs = model.fit(x, y, batch_size=3, validation_data=(x, y), verbose=0).history
    each = [f"{side}_{value}" for side in ("first", "second") for value in ("loss", "accuracy")]
    assert [*logs] == ["loss", "accuracy", *each, "val_loss", "val_accuracy"]
    logs = network().train_on_batch(x, y, return_dict=True)
    assert [*logs] == ["loss", "accuracy", *each]
    for side, outputs in run.auxiliaries:
        of_labels = outputs[np.arange(6), y]
        assert logs[f"{side.name}_loss"] == pytest.approx(-np.log(of_labels).mean(), rel=1e-4)
        right = (outputs.argmax(axis=1) == y).mean()
        assert logs[f"{side.name}_accuracy"] == pytest.approx(right)
    total = reference_model.loss(network(), x, y)
    assert logs["loss"] == pytest.approx(total, rel=1e-5)


def test_an_auxiliary_value_can_be_watched():
    model = network()
    x, y = data(6)
    watching = [EarlyStopping("first_accuracy"), EarlyStopping("second_loss")]
    model.fit(x, y, epochs=1, callbacks=watching, verbose=0)
    assert [callback.direction for callback in watching] == ["max", "min"]


def test_inference_holds_nothing_of_them(model):
    for kind in ("test", "predict"):
        program, _ = model.program_and_roles(kind)
        assert not program.auxiliaries
        layers = {op.layer for op in program.ops}
        paths = {p.path for op in program.ops for p in op.parameters.values()}
        assert not any(name.startswith(("first", "second")) for name in layers | paths)
    assert any(op.layer.startswith("first/") for op in model.program(training=True).ops)
    without = [layer for layer in network().layers if not isinstance(layer, L.AuxiliaryClassifier)]
    plain = Sequential.from_config(
        {**model.get_config(), "layers": [fastcnn.utils.naming.serialize(x) for x in without]}
    )
    for parameter in plain.parameters:
        parameter.value[...] = next(p for p in model.parameters if p.path == parameter.path).value
    x, _ = data()
    np.testing.assert_array_equal(model.predict(x), plain.predict(x))


def test_layers_inside_can_be_looked_into(model):
    x, _ = data()
    outputs = model.activations(x, "second/dense")
    run = reference_model.Run(model, training=True)
    run.layers(model.layers, np.asarray(x, np.float64))
    np.testing.assert_allclose(outputs, run.outputs["second/dense"], atol=1e-5)


def test_save_and_load(tmp_path):
    model = network()
    x, y = data()
    model.fit(x, y, verbose=0)
    model.save(tmp_path / "model.h5")
    model.save_weights(tmp_path / "model.weights.h5")
    copy, other = fastcnn.load(tmp_path / "model.h5"), network()
    other.load_weights(tmp_path / "model.weights.h5")
    assert copy.get_config() == model.get_config()
    for loaded in (copy, other):
        for mine, theirs in zip(model.get_weights(), loaded.get_weights(), strict=True):
            np.testing.assert_array_equal(mine, theirs)
    assert copy.train_on_batch(x, y) == model.train_on_batch(x, y)


def test_the_one_that_is_not_finite_is_named():
    model = network()
    model.get_layer("first").sublayers[-1].parameters[0].value[...] = np.inf
    before = model.get_weights()
    with pytest.raises(fastcnn.NonFiniteError, match="first/dense/kernel are not finite"):
        model.train_on_batch(*data())
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_loss_that_overflows_is_named():
    layers = [L.Dense(2), L.AuxiliaryClassifier([L.Rescaling(1e25)], name="side"), L.Dense(2)]
    model = Sequential(layers, (3,), device="cpu")
    model.compile("sgd", "mse")
    with pytest.raises(fastcnn.NonFiniteError, match="The loss after layer 'side'") as caught:
        model.train_on_batch(np.ones((2, 3), np.float32), np.zeros((2, 2), np.float32))
    assert caught.value.layer == "side"


def test_refusals():
    with pytest.raises(ValueError, match=r"'side': its layers must end in the shape .* \(2,\)"):
        Sequential([L.AuxiliaryClassifier([L.Dense(3)], name="side"), L.Dense(2)], (4,))
    with pytest.raises(ValueError, match="expected at least one layer"):
        L.AuxiliaryClassifier([])
    with pytest.raises(TypeError, match="layers must be a list of layers"):
        L.AuxiliaryClassifier(3)
    with pytest.raises(ValueError, match="loss_weight must be a number of at least 0"):
        L.AuxiliaryClassifier([L.ReLU()], loss_weight=-1)
    with pytest.raises(ValueError, match="call it otherwise"):
        L.AuxiliaryClassifier([L.ReLU()], name="val")
    x, y = data()
    misfit = [L.Flatten(), L.AuxiliaryClassifier([L.Dense(3, name="end")]), L.Dense(3, "softmax")]
    model = Sequential(misfit, SHAPE, device="cpu")
    with pytest.raises(ValueError, match=r"outputs of layer 'end' .* may be negative"):
        model.compile("sgd", SPARSE)
    model = network(metrics=[fastcnn.metrics.Accuracy(name="first_loss")])
    with pytest.raises(ValueError, match="'first_loss' is the name of a metric and of what"):
        model.fit(x, y, verbose=0)
