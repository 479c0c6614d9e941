"""Central differences: every element of every gradient of tiny nets, for each layer and loss.

The differences are taken in float64 on the reference, whose outputs test_layers.py and this file
compare with fastcnn's; the reference's own chain rule is held to them too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import reference_model
from building import assert_close, assert_gradients, build, images, targets_for
from reference_losses import loss_and_gradient

from fastcnn import layers as L
from fastcnn import losses, regularizers
from fastcnn.layers.activation import ACTIVATIONS


@dataclass(frozen=True)
class Net:
    """A tiny model: `layers()` on inputs of `shape`, `batch` of them, under `loss`."""

    shape: tuple[int, ...]
    layers: Callable[[], list]
    loss: object = "mse"
    batch: int = 2


def between(*layers: Callable[[], L.Layer], shape=(4, 4, 2)) -> Net:
    """The layers under test with a trainable layer before them."""
    return Net(shape, lambda: [L.Conv2D(2, 1), *[make() for make in layers]])


LAYERS = {
    "Conv2D": between(lambda: L.Conv2D(2, 3, padding="same")),
    "Conv2D stride 2, explicit padding": between(
        lambda: L.Conv2D(3, 3, strides=2, padding=((1, 0), (2, 1)), activation="gelu")
    ),
    "Conv2D dilation 2": between(lambda: L.Conv2D(2, 2, dilation_rate=2, activation="tanh")),
    "Conv2D groups": between(lambda: L.Conv2D(4, 2, groups=2, activation="elu")),
    "Conv2DTranspose": between(
        lambda: L.Conv2DTranspose(3, 3, strides=2, padding="same", activation="tanh")
    ),
    "Conv2DTranspose groups, output_padding": between(
        lambda: L.Conv2DTranspose(2, 2, strides=(3, 2), output_padding=(1, 0), groups=2),
        shape=(2, 2, 2),
    ),
    "Dense on a map": between(lambda: L.Dense(3, activation="tanh"), lambda: L.Conv2D(2, 2)),
    "Dense on rows": between(lambda: L.Reshape((8, 4)), lambda: L.Dense(3)),
    "Reshape": between(lambda: L.Reshape((2, 4, -1)), lambda: L.Conv2D(2, 2)),
    "Cropping2D": between(lambda: L.Cropping2D(((1, 0), (0, 2))), lambda: L.Conv2D(2, 1)),
    "Permute": between(lambda: L.Permute((2, 3, 1)), lambda: L.Conv2D(2, 2), shape=(3, 4, 2)),
    "UpSampling2D": between(lambda: L.UpSampling2D((2, 3)), lambda: L.Conv2D(1, 2)),
    "UpSampling2D bilinear": between(
        lambda: L.UpSampling2D((2, 3), "bilinear"), lambda: L.Conv2D(1, 2), shape=(3, 2, 2)
    ),
    "PReLU": between(lambda: L.PReLU()),
    "PReLU, a slope a channel": between(lambda: L.PReLU(shared_axes=(1, 2))),
    "ThresholdedReLU": between(lambda: L.ThresholdedReLU(0.2)),
    "DepthwiseConv2D": between(lambda: L.DepthwiseConv2D(3, depth_multiplier=2, padding="same")),
    "SeparableConv2D": between(lambda: L.SeparableConv2D(3, 2, strides=2, activation="sigmoid")),
    "MaxPooling2D": between(lambda: L.MaxPooling2D(2)),
    "MaxPooling2D overlapping": between(lambda: L.MaxPooling2D(3, strides=1, padding="same")),
    "MaxPooling2D rounded up": between(
        lambda: L.MaxPooling2D(3, strides=2, ceil_mode=True), shape=(4, 6, 2)
    ),
    "AveragePooling2D rounded up, padding counts": between(
        lambda: L.AveragePooling2D(3, 2, 1, ceil_mode=True, count_include_pad=True),
        shape=(4, 6, 2),
    ),
    "SpatialTransformer": between(
        lambda: L.SpatialTransformer([L.Conv2D(1, 2), L.Flatten(), L.Dense(6)], (3, 5))
    ),
    "LocallyConnected2D": between(lambda: L.LocallyConnected2D(2, 2, activation="relu")),
    "LpPooling2D": between(lambda: L.LpPooling2D(2, 1, norm=3.0)),
    "AveragePooling2D": between(lambda: L.AveragePooling2D(2)),
    "AveragePooling2D overlapping": between(
        lambda: L.AveragePooling2D(3, strides=2, padding="same"), shape=(5, 4, 2)
    ),
    "GlobalMaxPooling2D": between(lambda: L.GlobalMaxPooling2D()),
    "GlobalAveragePooling2D": between(lambda: L.GlobalAveragePooling2D()),
    "Flatten, Dense": between(lambda: L.Flatten(), lambda: L.Dense(3, activation="sigmoid")),
    "Conv2D with its edge around": between(
        lambda: L.Conv2D(2, 3, 2, padding=((2, 1), (1, 3)), padding_mode="edge")
    ),
    "Conv2D with its mirror image around": between(
        lambda: L.Conv2D(2, 3, padding=((2, 1), (1, 2)), padding_mode="reflect")
    ),
    "ZeroPadding2D": between(lambda: L.ZeroPadding2D(1), lambda: L.MaxPooling2D(2)),
    "BatchNormalization": between(lambda: L.BatchNormalization()),
    "BatchNormalization of vectors": Net(
        (3,), lambda: [L.Dense(4), L.BatchNormalization(), L.Dense(2)], batch=5
    ),
    "Conv2D, BatchNormalization, ReLU, pooling": between(
        lambda: L.Conv2D(3, 3, padding="same", use_bias=False),
        lambda: L.BatchNormalization(),
        lambda: L.ReLU(),
        lambda: L.MaxPooling2D(),
    ),
    "GroupNormalization": Net(
        (3, 2, 2), lambda: [L.Conv2D(6, 1), L.GroupNormalization(2), L.ReLU()]
    ),
    "GroupNormalization of one group": between(lambda: L.GroupNormalization(1, scale=False)),
    "LayerNormalization": Net((3, 2, 2), lambda: [L.Conv2D(5, 1), L.LayerNormalization()]),
    "LayerNormalization of vectors": Net(
        (3,), lambda: [L.Dense(5), L.LayerNormalization(), L.ReLU(), L.Dense(2)]
    ),
    "LayerNormalization of images": between(lambda: L.LayerNormalization((1, 2, 3), center=False)),
    "LocalContrastNormalization": between(lambda: L.LocalContrastNormalization(3)),
    "LocalContrastNormalization of one channel": Net(
        (5, 4, 2), lambda: [L.Conv2D(1, 2), L.LocalContrastNormalization(5, 1.0)]
    ),
    "LocalContrastNormalization, epsilon above": between(
        lambda: L.LocalContrastNormalization(3, epsilon=9.0)
    ),
    "LocalResponseNormalization": between(
        lambda: L.LocalResponseNormalization(2, alpha=3.0, beta=0.7, k=0.5), shape=(3, 2, 5)
    ),
    "ReLU": between(lambda: L.ReLU()),
    "ReLU with all arguments": between(lambda: L.ReLU(0.6, 0.3, 0.1)),
    "LeakyReLU": between(lambda: L.LeakyReLU(negative_slope=0.1)),
    "ELU": between(lambda: L.ELU(alpha=0.7)),
    "Softmax": between(lambda: L.Softmax()),
    **{f"Activation {name}": between(lambda n=name: L.Activation(n)) for name in ACTIVATIONS},
}

BRANCHES = {
    "Residual": between(lambda: L.Residual([L.Conv2D(2, 3, padding="same")])),
    "SqueezeExcite in Residual": between(
        lambda: L.Residual([L.Conv2D(2, 1), L.SqueezeExcite(1, activation="tanh")])
    ),
    "Scale of vectors": Net((3,), lambda: [L.Dense(4), L.Scale([L.Dense(4)]), L.Dense(2)]),
    "Scale by what has its shape": between(lambda: L.Scale([L.Conv2D(2, 3, padding="same")])),
    "Scale by itself": between(lambda: L.Scale([])),
    "Scale, its body alone trained": Net((3, 3, 2), lambda: [L.Scale([L.Conv2D(2, 1)])]),
    "Scale by a frozen body": between(
        lambda: L.Scale([L.GlobalAveragePooling2D(), L.Dense(2, trainable=False)])
    ),
    "AuxiliaryClassifier": Net(
        (4, 4, 2),
        lambda: [
            L.Conv2D(2, 1, activation="tanh"),
            L.AuxiliaryClassifier([L.Flatten(), L.Dense(3, activation="softmax")]),
            L.Conv2D(2, 2),
            L.AuxiliaryClassifier([L.Flatten(), L.Dense(3), L.Softmax()], loss_weight=1.5),
            L.Flatten(),
            L.Dense(3, activation="softmax"),
        ],
        "sparse_categorical_crossentropy",
        3,
    ),
    "AuxiliaryClassifier of what goes on": Net(
        (3,), lambda: [L.Dense(4), L.AuxiliaryClassifier([L.ReLU()]), L.ReLU(), L.Dense(4)]
    ),
    "AuxiliaryClassifier in Residual": between(
        lambda: L.Residual([L.Conv2D(2, 1), L.AuxiliaryClassifier([L.Conv2D(2, 1)]), L.ReLU()])
    ),
    "AuxiliaryClassifier of the images": Net(
        (3,), lambda: [L.AuxiliaryClassifier([L.Dropout(0.0)]), L.Dense(3)]
    ),
    "AuxiliaryClassifier, frozen": Net(
        (3,), lambda: [L.Dense(4), L.AuxiliaryClassifier([L.Dense(2)], trainable=False), L.Dense(2)]
    ),
    "Residual first": Net((4, 4, 2), lambda: [L.Residual([L.Conv2D(2, 3, padding="same")])]),
    "Residual with shortcut": between(
        lambda: L.Residual(
            [L.Conv2D(3, 3, strides=2, padding="same"), L.ReLU(), L.Conv2D(3, 1)],
            [L.Conv2D(3, 1, strides=2)],
        ),
        lambda: L.ReLU(),
    ),
    "Residual of one activation": between(lambda: L.Residual([L.Activation("tanh")])),
    "two Residuals": between(
        lambda: L.Residual([L.Conv2D(2, 1, activation="relu")]),
        lambda: L.Residual([L.BatchNormalization(), L.Conv2D(2, 1)]),
    ),
    "Concat": between(
        lambda: L.Concat([L.Conv2D(1, 1)], [L.Conv2D(2, 3, padding="same"), L.ReLU()])
    ),
    "Residual whose shortcut pads channels": between(
        lambda: L.Residual(
            [L.ReLU(), L.Conv2D(5, 3, 2, padding="same")], [L.IdentityShortcut(5, 2)]
        )
    ),
    "Concat with the identity and a pooling": between(
        lambda: L.Concat([], [L.MaxPooling2D(3, strides=1, padding="same")], [L.Conv2D(1, 1)])
    ),
    "Concat first": Net((3, 3, 2), lambda: [L.Concat([L.Conv2D(1, 1)], [L.Conv2D(2, 1)])]),
    "Concat in Residual in Concat": between(
        lambda: L.Concat(
            [L.Residual([L.Concat([L.Conv2D(1, 1)], [L.Conv2D(1, 3, padding="same")]), L.ReLU()])],
            [L.Conv2D(1, 1, activation="tanh")],
        ),
        lambda: L.GlobalAveragePooling2D(),
        lambda: L.Dense(2),
    ),
    "Residual of nothing": between(lambda: L.BatchNormalization(), lambda: L.Residual([])),
    "Residual of two normalizations": between(
        lambda: L.Residual([L.BatchNormalization()], [L.BatchNormalization()]), lambda: L.ReLU()
    ),
    "a normalization of what is added to it": between(
        lambda: L.Residual([L.BatchNormalization()]), lambda: L.Conv2D(2, 1)
    ),
    "a normalization of what is added to it, then ReLU": between(
        lambda: L.Residual([], [L.BatchNormalization()]), lambda: L.ReLU(), lambda: L.Conv2D(2, 1)
    ),
    "a frozen normalization of what is added to it": between(
        lambda: L.Residual([L.BatchNormalization(trainable=False)]),
        lambda: L.ReLU(),
        lambda: L.Conv2D(2, 1),
    ),
    "a normalization of vectors that is added to them": Net(
        (3,), lambda: [L.Dense(4), L.Residual([L.BatchNormalization()]), L.Dense(2)], batch=5
    ),
    "one value beside itself, thrice": between(
        lambda: L.Concat([], [], []), lambda: L.Conv2D(2, 1)
    ),
    "Residual of vectors": Net(
        (3,), lambda: [L.Dense(4), L.Residual([L.Dense(4, activation="relu")]), L.Dense(2)]
    ),
    "Concat of vectors": Net((3,), lambda: [L.Dense(4), L.Concat([], [L.Dense(3)], [L.ReLU()])]),
    "four readers of one value": between(
        lambda: L.ReLU(), lambda: L.Concat([], [], [L.ReLU()], [L.Conv2D(1, 3, padding="same")])
    ),
    "a ReLU read twice": between(
        lambda: L.ReLU(), lambda: L.Residual([L.MaxPooling2D(3, strides=1, padding="same")])
    ),
    "a convolution read twice": between(
        lambda: L.Residual([L.ReLU(), L.BatchNormalization(), L.Conv2D(2, 1)])
    ),
    "a padding read twice": between(
        lambda: L.ZeroPadding2D(1),
        lambda: L.Concat([L.Conv2D(2, 2, strides=2)], [L.MaxPooling2D()]),
    ),
    "ReLU into a padded pooling": between(
        lambda: L.ReLU(), lambda: L.MaxPooling2D(3, strides=2, padding="same"), lambda: L.ReLU()
    ),
    "Residual in Residual": between(
        lambda: L.Residual([L.Residual([L.Conv2D(2, 1)]), L.BatchNormalization()])
    ),
}


def classifier(loss, *end, batch=3) -> Net:
    return Net((2, 2, 2), lambda: [L.Flatten(), L.Dense(4), *[make() for make in end]], loss, batch)


def softmax_end():
    return L.Softmax()


def own_softmax_end():
    """A user's own layer, of which nothing is known: any loss may follow it."""
    return type("Softmax", (L.Softmax,), {})()


def own_sigmoid_end():
    return type("Activation", (L.Activation,), {})("sigmoid")


def sigmoid_end():
    return L.Activation("sigmoid")


LOSSES = {
    "sparse, logits": classifier(losses.SparseCategoricalCrossentropy(from_logits=True)),
    "sparse, after softmax": classifier(losses.SparseCategoricalCrossentropy(), softmax_end),
    "sparse, softmax of the last dense": Net(
        (5,), lambda: [L.Dense(4, activation="softmax")], "sparse_categorical_crossentropy", 3
    ),
    "sparse, other probabilities": classifier(
        losses.SparseCategoricalCrossentropy(), own_sigmoid_end
    ),
    "sparse, logits that a softmax made": classifier(
        losses.SparseCategoricalCrossentropy(from_logits=True), own_softmax_end
    ),
    "dense, logits": classifier(losses.CategoricalCrossentropy(from_logits=True)),
    "dense, after softmax": classifier(losses.CategoricalCrossentropy(), softmax_end),
    "dense, smoothed": classifier(
        losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1)
    ),
    "dense, smoothed, after softmax": classifier(
        losses.CategoricalCrossentropy(label_smoothing=0.1), softmax_end
    ),
    "dense, other probabilities": classifier(losses.CategoricalCrossentropy(), own_sigmoid_end),
    "binary, logits": classifier(losses.BinaryCrossentropy(from_logits=True)),
    "binary, after sigmoid": classifier(losses.BinaryCrossentropy(), sigmoid_end),
    "binary, an image of outputs": Net(
        (3, 3, 2), lambda: [L.Conv2D(2, 2, activation="sigmoid")], "binary_crossentropy"
    ),
    "binary, one output": Net(
        (5,), lambda: [L.Dense(1, activation="sigmoid")], "binary_crossentropy", 4
    ),
    "mean squared error": classifier(losses.MeanSquaredError()),
    "mean absolute error": classifier(losses.MeanAbsoluteError()),
    "huber": classifier(losses.Huber(delta=0.5)),
    "divergence, logits": classifier(losses.KLDivergence(from_logits=True)),
    "divergence, after softmax": classifier(losses.KLDivergence(), softmax_end),
    "divergence, other probabilities": classifier(losses.KLDivergence(), own_sigmoid_end),
    "hinge": classifier(losses.Hinge()),
    "squared hinge": classifier(losses.SquaredHinge()),
    "hinge, one output": Net((5,), lambda: [L.Dense(1)], "hinge", 4),
    "categorical hinge": classifier(losses.CategoricalHinge()),
    "multi-class hinge": classifier(losses.MulticlassHinge()),
    "multi-class hinge, margin 0.3": classifier(losses.MulticlassHinge(margin=0.3)),
}

REGULARIZED = {
    "L2": regularizers.L2(0.03),
    "L1": regularizers.L1(0.02),
    "L1 and L2": regularizers.L1L2(l1=0.02, l2=0.03),
}

NETS = {**LAYERS, **BRANCHES, **LOSSES}


def targets(model, batch):
    """Probabilities for yes/no outputs, signs for their hinges, one-hot rows of classes."""
    loss = model.loss
    if loss.target == "sparse" or not (loss.has_classes or loss.yes_no):
        return targets_for(model, batch)
    rng, shape = np.random.default_rng(5), (batch, *model.output_shape)
    if loss.target_range == (-1, 1):
        return rng.choice(np.array([-1, 1], np.float32), shape)
    if loss.yes_no:
        return rng.uniform(0.1, 0.9, shape).astype(np.float32)
    return np.eye(shape[1], dtype=np.float32)[rng.integers(0, shape[1], batch)]


def check(model, x, y):
    numeric = reference_model.numeric_gradients(model, x, y)
    for path, gradient in reference_model.gradients(model, x, y)[1].items():
        np.testing.assert_allclose(gradient, numeric[path], rtol=0, atol=3e-9, err_msg=path)
    outputs = reference_model.forward(model, x, training=True)
    loss, gradients = model.gradients(x, y)
    assert loss == pytest.approx(reference_model.loss(model, x, y), rel=1e-5)
    assert_close(model.predict(x), reference_model.forward(model, x), "chain", "output")
    assert_gradients(gradients, numeric, "statistics")
    batch = model.engine().test(x, y, None)
    check_batch(batch, model, reference_model.forward(model, x), y)
    batch = model.engine().train(x, y, None)
    check_batch(batch, model, outputs, y)


def check_batch(batch, model, outputs, y):
    """What the engine says of a batch: each image's loss, the outputs, the true class's rank."""
    each, _ = loss_and_gradient(model.loss, outputs, y)
    assert_close(batch.loss, each, "statistics", "losses", floor=0.1)
    assert_close(batch.outputs, outputs, "chain", "outputs of the step")
    if not model.loss.has_classes:
        assert batch.rank.size == 0
        return
    true = y if model.loss.target == "sparse" else y.argmax(axis=1)
    better = outputs > outputs[np.arange(len(y)), true][:, None]
    np.testing.assert_array_equal(batch.rank, better.sum(axis=1))


@pytest.mark.parametrize("name", NETS)
def test_central_differences(name):
    net = NETS[name]
    model = build(net.shape, net.layers(), net.loss)
    x = images(net.batch, net.shape)
    check(model, x, targets(model, net.batch))


@pytest.mark.parametrize("name", REGULARIZED)
def test_regularizers(name):
    regularizer = REGULARIZED[name]
    layers = [
        L.Conv2D(3, 2, kernel_regularizer=regularizer, bias_regularizer=regularizer),
        L.Residual([L.Conv2D(3, 1, kernel_regularizer=regularizer)]),
        L.BatchNormalization(gamma_regularizer=regularizer, beta_regularizer=regularizer),
        L.DepthwiseConv2D(1, depthwise_regularizer=regularizer),
        L.SeparableConv2D(
            *(2, 2), depthwise_regularizer=regularizer, pointwise_regularizer=regularizer
        ),
        L.Flatten(),
        L.Dense(2, kernel_regularizer=regularizer),
    ]
    model = build((4, 4, 2), layers)
    x = images(2, (4, 4, 2))
    y = targets(model, 2)
    check(model, x, y)


@pytest.mark.parametrize("name", REGULARIZED)
def test_evaluation_adds_the_penalty_of_what_is_trained(name):
    layers = [
        L.Conv2D(3, 2, kernel_regularizer=REGULARIZED[name], bias_regularizer=REGULARIZED[name]),
        L.Residual([L.Conv2D(3, 1, kernel_regularizer=REGULARIZED[name])]),
        L.Flatten(),
        L.Dense(2, kernel_regularizer=REGULARIZED[name], trainable=False),
    ]
    model = build((3, 3, 2), layers)
    x, y = images(5, (3, 3, 2)), targets(model, 5)
    expected = reference_model.loss(model, x, y, training=False)
    assert model.evaluate(x, y, batch_size=2) == pytest.approx(expected, rel=1e-5)
    assert model.test_on_batch(x, y) == pytest.approx(expected, rel=1e-5)


def test_one_layer_may_not_be_used_twice():
    """Each layer holds its own parameters: the same object in two places is refused in words."""
    shared = L.Conv2D(2, 1)
    with pytest.raises(ValueError, match="conv2d"):
        build((4, 4, 2), [shared, L.ReLU(), shared])
