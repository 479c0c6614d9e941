"""Whether what a network ends in suits its loss: refused where it never can, else warned of."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import fastcnn
from fastcnn import layers as L
from fastcnn.backends.step import NonFiniteError
from fastcnn.losses import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    Hinge,
    KLDivergence,
    MulticlassHinge,
    SparseCategoricalCrossentropy,
)
from fastcnn.training.loss_checks import ending


class OwnLayer(L.Dense):
    """May do anything."""


ENDINGS = [
    ([L.Dense(3, activation="softmax")], "softmax"),
    ([L.Dense(3)], "linear"),
    ([L.Dense(3), L.Softmax()], "softmax"),
    ([L.Dense(3), L.Activation("sigmoid"), L.Dropout(0.5)], "sigmoid"),
    ([L.Dense(3, activation="tanh"), L.Activation("linear")], "tanh"),
    ([L.Dense(3), L.BatchNormalization()], "linear"),
    ([L.Conv2D(3, 1, activation="softmax"), L.GlobalAveragePooling2D(), L.Flatten()], "softmax"),
    ([L.Dense(3), L.ReLU()], "relu"),
    ([L.Dense(3), L.ReLU(0.1)], "relu"),
    ([L.Dense(3), L.ReLU(negative_slope=0.1)], "leaky_relu"),
    ([L.Dense(3, activation="relu6"), L.Dropout(0.5)], "relu6"),
    ([L.Dense(3), L.LeakyReLU()], "leaky_relu"),
    ([L.Dense(3), L.ELU()], "elu"),
    ([OwnLayer(3)], None),
    ([L.Residual([L.Dense(3)])], "linear"),
    ([L.Residual([L.Dense(3, activation="relu")])], None),
    ([L.Residual([L.Dense(3, activation="relu")], [L.Dense(3), L.ReLU()])], "relu"),
    ([L.Residual([L.Dense(3, activation="softmax")], [L.Softmax()])], None),
    ([L.Residual([L.Dense(3)]), L.Softmax()], "softmax"),
    ([L.Concat([L.Dense(2)], [L.Dense(1, activation="relu")]), L.Dropout(0.1)], "linear"),
    ([L.Concat([L.Dense(2, activation="sigmoid")], [L.Activation("sigmoid")])], "sigmoid"),
    ([L.Concat([L.Softmax()], [L.Softmax()])], None),
    ([L.Concat([OwnLayer(2)], [L.ReLU()])], None),
    ([L.Flatten()], None),
]


@pytest.mark.parametrize(("layers", "expected"), ENDINGS)
def test_ending(layers, expected):
    assert ending(layers) == expected


def model_of(loss, end, outputs=3):
    model = fastcnn.Sequential([L.Dense(outputs, activation=end, name="scores")], (6,))
    model.compile("sgd", loss)
    return model


NEVER = [
    # loss, ending, outputs, words
    ("sparse_categorical_crossentropy", None, 3, r"'scores' \(linear\).*activation='softmax'.*"
     r"SparseCategoricalCrossentropy\(from_logits=True\)"),
    ("categorical_crossentropy", "tanh", 3, "may be negative"),
    ("kl_divergence", "gelu", 3, r"KLDivergence\(from_logits=True\)"),
    ("kl_divergence", "swish", 3, "may be negative"),
    ("binary_crossentropy", None, 3, r"activation='sigmoid'.*BinaryCrossentropy\(from_logits"),
    (SparseCategoricalCrossentropy(from_logits=True), "softmax", 3, "applies softmax itself"),
    (CategoricalCrossentropy(from_logits=True), "sigmoid", 3, "ends in sigmoid already"),
    (BinaryCrossentropy(from_logits=True), "sigmoid", 1, "applies sigmoid itself"),
    ("hinge", "softmax", 3, "below 0 for no.*are never below 0"),
    ("squared_hinge", "sigmoid", 1, "below 0 for no"),
    ("mse", "softmax", 1, "softmax of a single output is always 1"),
    ("binary_crossentropy", "softmax", 1, "activation='sigmoid', or 2 outputs"),
    ("sparse_categorical_crossentropy", "softmax", 1, "at least two classes"),
    ("sparse_categorical_crossentropy", "sigmoid", 1, r"BinaryCrossentropy\(from_logits=False\)"),
    ("multiclass_hinge", None, 1, r"BinaryCrossentropy\(from_logits=True\)"),
]  # fmt: skip


@pytest.mark.parametrize(("loss", "end", "outputs", "words"), NEVER)
def test_never_right(loss, end, outputs, words):
    model = fastcnn.Sequential([L.Dense(outputs, activation=end, name="scores")], (6,))
    with pytest.raises(ValueError, match=f"compile: .*{words}"):
        model.compile("sgd", loss)
    assert model.loss is None and model.optimizer is None
    model.optimizer, model.loss = "sgd", loss  # as a file may have them
    x, y = np.zeros((4, 6), np.float32), np.zeros(4, np.int32)
    y = y if model.loss.target == "sparse" else np.zeros((4, outputs), np.float32)
    for method in ("fit", "evaluate", "train_on_batch", "test_on_batch", "gradients"):
        with pytest.raises(ValueError, match=f"{method}: .*{words}"):
            getattr(model, method)(x, y)


SELDOM = [
    ("sparse_categorical_crossentropy", "sigmoid", "activation='softmax'"),
    ("categorical_crossentropy", "relu", "ends in relu.*activation='softmax'"),
    ("binary_crossentropy", "softmax", "ends in softmax.*activation='sigmoid'"),
    ("kld", "sigmoid", "activation='softmax'"),
    (SparseCategoricalCrossentropy(from_logits=True), "tanh", "logits of any size"),
    ("hinge", "relu", "below 0 for no"),
    ("hinge", "softplus", "softplus gives none"),
    ("categorical_hinge", "softmax", "keeps them from 0 to 1"),
    ("multiclass_hinge", "sigmoid", "keeps them from 0 to 1"),
]


@pytest.mark.parametrize(("loss", "end", "words"), SELDOM)
def test_seldom_meant(loss, end, words):
    with pytest.warns(UserWarning, match=words) as told:
        model = model_of(loss, end)
    assert len(told) == 1 and told[0].filename == __file__
    y = np.eye(3)[:2] if model.loss.target == "dense" else [0, 1]
    model.train_on_batch(np.ones((2, 6), np.float32), y)


def test_what_is_never_right_is_not_warned_of_as_well():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match="always 1"):
            model_of("binary_crossentropy", "softmax", outputs=1)


def test_a_file_may_hold_a_model_whose_loss_misfits(tmp_path):
    model = fastcnn.Sequential([L.Dense(3)], (6,))
    model.metrics, model.loss, model.optimizer = ["accuracy"], "categorical_crossentropy", "adam"
    model.save(tmp_path / "model.h5")
    loaded = fastcnn.load(tmp_path / "model.h5")
    assert loaded.loss.name == "categorical_crossentropy" and loaded.optimizer.name == "adam"
    assert [metric.name for metric in loaded.metrics] == ["accuracy"]


UNKNOWN = {"Normalization", "Rescaling", "Scale", "SqueezeExcite", "LocalResponseNormalization"}
UNKNOWN |= {"LpPooling2D", "ZeroPadding2D", "SpatialTransformer", "IdentityShortcut"}
"""Layers by themselves of whose outputs nothing is known; behind such, nothing is refused."""


@pytest.mark.parametrize("name", sorted({*L.LAYERS} - UNKNOWN))
def test_every_layer_is_known_to_pass_on_or_to_end(name):
    arguments = {"Activation": ["softmax"], "Concat": [[L.Softmax()]], "Residual": [[L.Softmax()]]}
    sizes = {"Conv2D": [3, 1], "Conv2DTranspose": [3, 1], "LocallyConnected2D": [3, 1]}
    sizes |= {"DepthwiseConv2D": [1], "SeparableConv2D": [3, 1], "Dense": [3], "Reshape": [(3,)]}
    sizes |= {"Dropout": [0.5], "SpatialDropout2D": [0.5], "StochasticDepth": [0.5]}
    sizes |= {"Permute": [(1,)], "Cropping2D": [1], "AuxiliaryClassifier": [[L.Dense(3)]]}
    layer = L.LAYERS[name](*(arguments | sizes).get(name, []))
    joined = name in ("Concat", "Residual")  # of which the sum of two is no probability
    assert joined or ending([L.Softmax(), layer]) is not None


def test_branches_that_may_be_negative_under_a_loss_of_probabilities():
    model = fastcnn.Sequential([L.Dense(3), L.Residual([L.Dense(3)], name="sum")], (6,))
    with pytest.raises(ValueError, match=r"\(linear\) may be negative: add Activation"):
        model.compile("sgd", "categorical_crossentropy")


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        ([L.Dense(3, activation="softmax"), L.Softmax()], "softmax to what went through softmax"),
        ([L.Dense(3, activation="sigmoid"), L.Dropout(0.1), L.Softmax()], "went through sigmoid"),
    ],
)
def test_probabilities_of_probabilities(layers, words):
    model = fastcnn.Sequential(layers, (6,))
    with pytest.warns(UserWarning, match=words):
        model.compile("sgd", "categorical_crossentropy")


FINE = [
    ("sparse_categorical_crossentropy", "softmax"),
    ("categorical_crossentropy", "softmax"),
    ("binary_crossentropy", "sigmoid"),
    (SparseCategoricalCrossentropy(from_logits=True), None),
    (SparseCategoricalCrossentropy(from_logits=True), "relu"),
    (BinaryCrossentropy(from_logits=True), None),
    (KLDivergence(from_logits=True), None),
    (Hinge(), "tanh"),
    (MulticlassHinge(), None),
    ("categorical_hinge", None),
    ("mse", "softmax"),
    ("mae", None),
    ("huber", "relu"),
]


@pytest.mark.parametrize(("loss", "end"), FINE)
def test_fine(loss, end):
    model = model_of(loss, end)
    fastcnn.training.input_checks.compiled(model, "fit")


def test_an_own_layer_may_give_anything():
    model = fastcnn.Sequential([OwnLayer(3)], (6,))
    model.compile("sgd", "sparse_categorical_crossentropy")
    fastcnn.training.input_checks.compiled(model, "fit")


def test_outputs_that_sum_to_0_are_told():
    """Not a bias is to blame."""
    with pytest.warns(UserWarning, match="relu"):
        model = model_of("sparse_categorical_crossentropy", "relu")
    model.set_weights([-np.ones((6, 3)), np.zeros(3)])
    x = np.ones((4, 6), np.float32)
    x[:2] *= -1
    words = (
        "'scores' is no longer finite: the outputs for the image at position 2.* sum to 0.*softmax"
    )
    with pytest.raises(NonFiniteError, match=words) as caught:
        model.train_on_batch(x, [0, 1, 2, 0])
    assert caught.value.layer == "scores"


def test_a_loss_that_overflows_is_told():
    model = model_of("mse", None)
    words = r"no longer finite: it is inf for outputs from -?\S+ to \S+ at position 1"
    with pytest.raises(NonFiniteError, match=words):
        model.train_on_batch(np.ones((2, 6), np.float32), [[0, 0, 0], [1e30, 0, 0]])


@pytest.mark.parametrize("kind", [list, np.array, lambda y: np.array(y, object), np.bytes_])
def test_names_of_classes_are_not_labels(kind):
    model = model_of("sparse_categorical_crossentropy", "softmax")
    y = ["dog", "cat", "dog", "ant"]
    y = np.array(y, "S") if kind is np.bytes_ else kind(y)
    words = r"fit: y must hold numbers.*3 classes, ant, cat, dog: .*numpy.unique\(y, return_inverse"
    with pytest.raises(TypeError, match=words):
        model.fit(np.zeros((4, 6), np.float32), y)


def test_of_many_names_some_are_shown():
    model = model_of("sparse_categorical_crossentropy", "softmax")
    with pytest.raises(TypeError, match=r"of 12 classes, n00, .*, n09 and 2 more: "):
        model.fit(np.zeros((12, 6), np.float32), [f"n{i:02}" for i in range(12)])
