"""Architectures that cannot be: refused in words that name the layer, what is wrong, what came."""

from __future__ import annotations

import numpy as np
import pytest
from building import build, images

from fastcnn import Sequential
from fastcnn import layers as L

IMAGE = (8, 8, 4)

# (what the sentence must say, the layers). Built on 8 x 8 images of 4 channels.
REFUSED = {
    "negative filters": (r"filters.*-3", lambda: [L.Conv2D(-3, 3)]),
    "no filters": (r"filters.*0", lambda: [L.Conv2D(0, 3)]),
    "half a filter": (r"filters.*2\.5", lambda: [L.Conv2D(2.5, 3)]),
    "filters in words": (r"filters.*many", lambda: [L.Conv2D("many", 3)]),
    "kernel of nothing": (r"kernel_size.*0", lambda: [L.Conv2D(3, 0)]),
    "kernel of three numbers": (r"kernel_size", lambda: [L.Conv2D(3, (3, 3, 3))]),
    "no stride": (r"strides.*0", lambda: [L.Conv2D(3, 3, strides=0)]),
    "negative dilation": (r"dilation_rate.*-1", lambda: [L.Conv2D(3, 3, dilation_rate=-1)]),
    "unknown padding": (r"padding.*same.*sama", lambda: [L.Conv2D(3, 3, padding="sama")]),
    "negative padding": (r"padding.*-1", lambda: [L.Conv2D(3, 3, padding=-1)]),
    "groups that do not divide the input": (
        r"groups.*3|3.*groups",
        lambda: [L.Conv2D(6, 3, groups=3)],
    ),
    "groups that do not divide the filters": (
        r"groups.*2|2.*groups",
        lambda: [L.Conv2D(5, 3, groups=2)],
    ),
    "kernel larger than the image": (r"conv2d.*9.*8|conv2d.*8.*9", lambda: [L.Conv2D(3, 9)]),
    "dilated kernel larger than the image": (
        r"conv2d",
        lambda: [L.Conv2D(3, 3, dilation_rate=4)],
    ),
    "image shrunk away": (
        r"conv2d_2",
        lambda: [L.Conv2D(3, 5), L.Conv2D(3, 3), L.Conv2D(3, 3)],
    ),
    "pool larger than the image": (r"max_pooling2d", lambda: [L.MaxPooling2D(9)]),
    "average pool larger than the image": (r"average_pooling2d", lambda: [L.AveragePooling2D(9)]),
    "pool of padding alone": (r"max_pooling2d.*padding", lambda: [L.MaxPooling2D(2, padding=2)]),
    "negative pool": (r"pool_size.*-2", lambda: [L.MaxPooling2D(-2)]),
    "no pool stride": (r"strides.*0", lambda: [L.MaxPooling2D(2, strides=0)]),
    "convolution on vectors": (r"conv2d", lambda: [L.Flatten(), L.Conv2D(3, 1)]),
    "pooling on vectors": (r"max_pooling2d", lambda: [L.Flatten(), L.MaxPooling2D()]),
    "global pooling on vectors": (
        r"global_average_pooling2d",
        lambda: [L.Flatten(), L.GlobalAveragePooling2D()],
    ),
    "zero padding on vectors": (r"zero_padding2d", lambda: [L.Flatten(), L.ZeroPadding2D(1)]),
    "negative units": (r"units.*-1", lambda: [L.Flatten(), L.Dense(-1)]),
    "rate above one": (r"rate.*1\.5", lambda: [L.Dropout(1.5)]),
    "rate of one": (r"rate.*1", lambda: [L.Dropout(1.0)]),
    "negative rate": (r"rate.*-0\.1", lambda: [L.Dropout(-0.1)]),
    "not a rate": (r"rate.*nan", lambda: [L.Dropout(float("nan"))]),
    "negative epsilon": (r"epsilon.*-1", lambda: [L.BatchNormalization(epsilon=-1.0)]),
    "momentum above one": (r"momentum.*2", lambda: [L.BatchNormalization(momentum=2.0)]),
    "unknown activation": (r"rellu.*relu", lambda: [L.Conv2D(3, 3, activation="rellu")]),
    "unknown activation layer": (r"sigmod.*sigmoid", lambda: [L.Activation("sigmod")]),
    "unknown initializer": (
        r"he_norml.*he_normal",
        lambda: [L.Conv2D(3, 3, kernel_initializer="he_norml")],
    ),
    "unknown regularizer": (r"l3.*l[12]", lambda: [L.Conv2D(3, 3, kernel_regularizer="l3")]),
    "one name twice": (
        r"same.*name|name.*same",
        lambda: [L.Conv2D(3, 1, name="same"), L.Conv2D(3, 1, name="same")],
    ),
    "a name with a slash": (r"a/b", lambda: [L.Conv2D(3, 1, name="a/b")]),
    "an empty name": (r"name", lambda: [L.Conv2D(3, 1, name="")]),
    "residual of another shape": (
        r"residual.*\(8, 8, 4\)",
        lambda: [L.Residual([L.Conv2D(3, 1)])],
    ),
    "residual whose shortcut differs": (
        r"residual",
        lambda: [L.Residual([L.Conv2D(3, 1)], [L.Conv2D(5, 1)])],
    ),
    "concat of other sizes": (r"concat", lambda: [L.Concat([], [L.MaxPooling2D()])]),
    "concat of nothing": (r"concat", lambda: [L.Concat()]),
    "not a layer": (r"relu", lambda: ["relu"]),
    "a layer's class": (r"ReLU", lambda: [L.ReLU]),
}


@pytest.mark.parametrize("name", REFUSED)
def test_architecture(name):
    pattern, layers = REFUSED[name]
    with pytest.raises((ValueError, TypeError), match=f"(?is){pattern}") as caught:
        Sequential(layers(), input_shape=IMAGE)
    assert str(caught.value).endswith((".", "?"))  # a sentence


@pytest.mark.parametrize(
    "shape", [(8, 8, 0), (8, -1, 3), (8, 8), (None, 8, 3), (8.5, 8, 3), "28x28x1", (1, 8, 8, 3)]
)
def test_input_shape(shape):
    with pytest.raises((ValueError, TypeError), match=r"(?i)input_shape|conv2d"):
        Sequential([L.Conv2D(3, 3)], input_shape=shape)


@pytest.mark.parametrize(
    ("option", "value", "pattern"),
    [
        ("optimizer", "sdg", "sdg.*sgd"),
        ("loss", "mean_squared_eror", "mean_squared_eror.*mean_squared_error"),
        ("metrics", ["acuracy"], "acuracy.*accuracy"),
    ],
)
def test_compile(option, value, pattern):
    model = Sequential([L.Conv2D(3, 3)], input_shape=IMAGE)
    with pytest.raises((ValueError, TypeError), match=f"(?s){pattern}"):
        model.compile(**{"loss": "mse", option: value})


def test_device():
    with pytest.raises((ValueError, TypeError), match=r"device.*tpu|tpu.*device"):
        Sequential([L.Conv2D(3, 3)], input_shape=IMAGE, device="tpu")


@pytest.mark.parametrize(
    ("change", "pattern"),
    [
        (lambda w: w[:-1], r"4.*3|3.*4"),
        (lambda w: [*w, w[0]], r"4.*5|5.*4"),
        (lambda w: [w[0].T, *w[1:]], r"conv2d/kernel|conv2d.*kernel"),
        (lambda w: [w[0], w[1], w[2], np.zeros(9, np.float32)], r"conv2d_1.*bias"),
        (lambda w: [w[0], w[1] * np.nan, *w[2:]], r"conv2d/bias must hold finite.*nan at \[0\]"),
        (lambda w: [w[0], "word", *w[2:]], r"conv2d/bias must be an array of numbers"),
        (lambda w: [w[0] * 1j, *w[1:]], r"conv2d/kernel.*complex"),
    ],
)
def test_set_weights_refuses_before_it_changes_anything(change, pattern):
    model = build(IMAGE, [L.Conv2D(3, 3), L.Conv2D(5, 1)])
    before = model.get_weights()
    with pytest.raises((ValueError, TypeError), match=f"(?s){pattern}"):
        model.set_weights(change([w + 1.0 for w in before]))
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize("name", ["predict", "activations", "gradients"])
@pytest.mark.parametrize("shape", [(7, 8, 4), (8, 8, 3), (8, 4)])
def test_images_of_another_shape(name, shape):
    model = build(IMAGE, [L.Conv2D(3, 3, name="only")])
    x = images(2, shape)
    arguments = {
        "predict": (x,),
        "activations": (x, "only"),
        "gradients": (x, np.zeros((2, 6, 6, 3), np.float32)),
    }[name]
    with pytest.raises(ValueError, match=r"8, 8, 4"):
        getattr(model, name)(*arguments)


@pytest.mark.parametrize(
    ("loss", "activation"),
    [
        ("sparse_categorical_crossentropy", "softmax"),
        ("categorical_crossentropy", "softmax"),
        ("categorical_hinge", None),
    ],
)
def test_losses_of_classes_need_vectors(loss, activation):
    model = build((3, 3, 2), [L.Conv2D(4, 1, activation=activation)], loss)
    y = np.zeros(2, np.int32) if loss.startswith("sparse") else np.zeros((2, 3, 3, 4), np.float32)
    with pytest.raises(ValueError, match=r"(?s)conv2d"):
        model.gradients(images(2, (3, 3, 2)), y)


def test_an_unknown_argument_of_a_layer_is_told_with_the_nearest():
    with pytest.raises(TypeError, match=r"Dense: Unknown argument 'unit'. Did you mean 'units'"):
        L.Dense(3, unit=3)
    with pytest.raises(TypeError, match=r"Residual: Unknown argument 'nam'. Did you mean 'name'"):
        L.Residual([L.ReLU()], nam="mine")


def test_metrics_must_be_a_list():
    model = build(IMAGE, [L.Flatten(), L.Dense(3)])
    with pytest.raises(TypeError, match=r"metrics must be a list.*'accuracy'"):
        model.compile("sgd", "mse", "accuracy")


def test_no_metrics_may_be_none():
    model = build(IMAGE, [L.Flatten(), L.Dense(3)])
    model.compile("sgd", "mse", None)
    assert model.metrics == []


def test_activations_of_another_models_layer():
    model, other = (build(IMAGE, [L.Conv2D(3, 3)]) for _ in range(2))
    with pytest.raises(ValueError, match="'conv2d' is a layer of another model"):
        model.activations(np.zeros((1, *IMAGE), np.float32), other.layers[0])
