"""What a model shows of itself: shapes, names, parameters, summary, activations, configuration."""

from __future__ import annotations

import copy
import inspect
import json
import pickle

import numpy as np
import pytest
import reference_model
from building import assert_close, build, images, targets_for
from test_training_step import NETS, lenet, small_resnet

import fastcnn
from fastcnn import Sequential
from fastcnn import layers as L

SHAPES = [  # input, layers, output
    ((28, 28, 1), lenet, (10,)),
    ((7, 9, 3), lambda: [L.Conv2D(5, 3)], (5, 7, 5)),
    ((7, 9, 3), lambda: [L.Conv2D(5, 3, strides=2)], (3, 4, 5)),
    ((7, 9, 3), lambda: [L.Conv2D(5, 3, strides=2, padding="same")], (4, 5, 5)),
    ((7, 9, 3), lambda: [L.Conv2D(5, 3, padding=((1, 2), (3, 4)))], (8, 14, 5)),
    ((7, 9, 3), lambda: [L.Conv2D(5, 3, dilation_rate=3)], (1, 3, 5)),
    ((7, 9, 3), lambda: [L.DepthwiseConv2D(3, depth_multiplier=4)], (5, 7, 12)),
    ((7, 9, 3), lambda: [L.SeparableConv2D(8, 3, padding=1)], (7, 9, 8)),
    ((7, 9, 3), lambda: [L.MaxPooling2D()], (3, 4, 3)),
    ((7, 9, 3), lambda: [L.MaxPooling2D(padding="same")], (4, 5, 3)),
    ((7, 9, 3), lambda: [L.AveragePooling2D(3, strides=1)], (5, 7, 3)),
    ((7, 9, 3), lambda: [L.GlobalMaxPooling2D()], (3,)),
    ((7, 9, 3), lambda: [L.ZeroPadding2D(((1, 0), (0, 2)))], (8, 11, 3)),
    ((7, 9, 3), lambda: [L.Concat([], [L.Conv2D(4, 1)], [L.ReLU()])], (7, 9, 10)),
    ((7, 9, 3), lambda: [L.Residual([L.Conv2D(3, 3, padding="same")])], (7, 9, 3)),
    ((7, 9, 3), lambda: [L.Flatten(), L.Dense(4)], (4,)),
]


@pytest.mark.parametrize(("shape", "layers", "expected"), SHAPES)
def test_output_shapes(shape, layers, expected):
    model = build(shape, layers())
    assert model.input_shape == shape
    assert model.output_shape == expected
    assert model.layers[-1].output_shape == expected
    outputs = model.predict(images(3, shape))
    assert outputs.shape == (3, *expected)
    assert outputs.dtype == np.float32


def test_names_are_keras_names_made_unique():
    layers = [
        *[L.Conv2D(2, 1), L.Conv2D(2, 1), L.Conv2D(2, 1, name="mine"), L.DepthwiseConv2D(1)],
        *[L.SeparableConv2D(2, 1), L.BatchNormalization(), L.ReLU(), L.LeakyReLU(), L.ELU()],
        *[L.MaxPooling2D(1), L.AveragePooling2D(1), L.ZeroPadding2D(0), L.Activation("relu")],
        *[L.Residual([L.Conv2D(2, 1)]), L.Concat([L.Conv2D(2, 1)], []), L.GlobalMaxPooling2D()],
        *[L.Dropout(0.1), L.Dense(2), L.Dense(2), L.Softmax()],
    ]
    model = Sequential(layers, input_shape=(4, 4, 2))
    assert [layer.name for layer in model.layers] == [
        *["conv2d", "conv2d_1", "mine", "depthwise_conv2d"],
        *["separable_conv2d", "batch_normalization", "re_lu", "leaky_re_lu", "elu"],
        *["max_pooling2d", "average_pooling2d", "zero_padding2d", "activation"],
        *["residual", "concat", "global_max_pooling2d"],
        *["dropout", "dense", "dense_1", "softmax"],
    ]
    paths = [p.path for p in model.parameters]
    assert len(set(paths)) == len(paths)
    assert model.layer("mine") is model.layers[2]
    with pytest.raises((ValueError, KeyError), match=r"mine_1.*mine"):
        model.layer("mine_1")


def test_parameters_are_in_keras_order():
    layers = [
        L.Conv2D(4, 3, name="a"),
        L.BatchNormalization(name="b"),
        L.Residual([L.SeparableConv2D(4, 1, name="d")], [L.Conv2D(4, 1, name="e")], name="c"),
        L.DepthwiseConv2D(3, depth_multiplier=2, name="f"),
        L.Flatten(),
        L.Dense(3, name="g"),
    ]
    model = Sequential(layers, input_shape=(6, 6, 2))
    expected = {
        "a/kernel": (3, 3, 2, 4),
        "a/bias": (4,),
        "b/gamma": (4,),
        "b/beta": (4,),
        "b/moving_mean": (4,),
        "b/moving_variance": (4,),
        "c/d/depthwise_kernel": (1, 1, 4, 1),
        "c/d/pointwise_kernel": (1, 1, 4, 4),
        "c/d/bias": (4,),
        "c/e/kernel": (1, 1, 4, 4),
        "c/e/bias": (4,),
        "f/kernel": (3, 3, 4, 2),
        "f/bias": (8,),
        "g/kernel": (32, 3),
        "g/bias": (3,),
    }
    assert [(p.path, p.shape) for p in model.parameters] == list(expected.items())
    weights = model.get_weights()
    assert [w.shape for w in weights] == list(expected.values())
    weights = [np.full_like(w, number) for number, w in enumerate(weights)]
    model.set_weights(weights)
    for p, w, again in zip(model.parameters, weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(p.value, w)
        np.testing.assert_array_equal(again, w)
    again[...] = 77.0  # what get_weights gives is a copy
    assert not (model.parameters[-1].value == 77.0).any()


def test_initial_values():
    model = Sequential(small_resnet(), input_shape=(8, 8, 3), seed=4)
    same = Sequential(small_resnet(), input_shape=(8, 8, 3), seed=4)
    other = Sequential(small_resnet(), input_shape=(8, 8, 3), seed=5)
    for p, q, r in zip(model.parameters, same.parameters, other.parameters, strict=True):
        np.testing.assert_array_equal(p.value, q.value)
        constant = {"bias": 0.0, "beta": 0.0, "gamma": 1.0, "moving_mean": 0.0}
        if p.name == "kernel":
            fans = np.prod(p.shape[:-2]) * (p.shape[-1] + p.shape[-2])
            limit = np.sqrt(6.0 / fans)  # Glorot's uniform
            assert 0.8 * limit < np.abs(p.value).max() <= limit
            assert not np.array_equal(p.value, r.value)
        else:
            np.testing.assert_array_equal(p.value, constant.get(p.name, 1.0))


@pytest.mark.parametrize("name", NETS)
def test_configuration_round_trip(name):
    shape, layers = NETS[name]
    model = build(shape, layers(), "sparse_categorical_crossentropy", seed=3)
    again = Sequential.from_config(json.loads(json.dumps(model.get_config())))
    assert again.get_config() == model.get_config()
    assert [p.path for p in again.parameters] == [p.path for p in model.parameters]
    again.set_weights(model.get_weights())
    x = images(3, shape)
    np.testing.assert_array_equal(again.predict(x), model.predict(x))


def test_configuration_keeps_every_choice():
    layers = [
        L.Conv2D(
            4,
            (3, 2),
            strides=(2, 1),
            padding=((1, 0), (2, 1)),
            groups=2,
            use_bias=False,
            activation="gelu",
            kernel_initializer="he_normal",
            kernel_regularizer=fastcnn.regularizers.L1L2(0.1, 0.2),
            trainable=False,
            name="first",
        ),
        L.BatchNormalization(momentum=0.8, epsilon=0.01, center=False),
        L.LeakyReLU(0.05),
        L.AveragePooling2D((2, 3), strides=(1, 2), padding="same"),
        L.Dropout(0.25),
        L.Residual([L.Concat([], [L.ReLU()]), L.Conv2D(4, 1)]),
    ]
    model = Sequential(layers, input_shape=(8, 8, 2), name="whole")
    again = Sequential.from_config(json.loads(json.dumps(model.get_config())))
    for layer, other in zip(model.layers, again.layers, strict=True):
        assert type(layer) is type(other)
        assert layer.get_config() == other.get_config()
        assert layer.trainable == other.trainable
    assert again.name == "whole"
    assert again.parameters[0].regularizer.l1 == pytest.approx(0.1)


FOLDED = {
    "convolution": lambda: [L.Conv2D(17, 3)],
    "strided": lambda: [L.Conv2D(5, 3, strides=2, padding="same")],
    "dilated": lambda: [L.Conv2D(5, 3, dilation_rate=2, use_bias=False)],
    "groups": lambda: [L.Conv2D(6, 3, groups=3)],
    "few filters": lambda: [L.Conv2D(3, 3, padding="same")],
    "depthwise": lambda: [L.DepthwiseConv2D(3)],
    "depthwise, more than one each": lambda: [L.DepthwiseConv2D(3, depth_multiplier=2)],
    "separable": lambda: [L.SeparableConv2D(5, 3)],
    "dense": lambda: [L.Flatten(), L.Dense(20)],
    "after an activation": lambda: [L.Conv2D(4, 3, activation="tanh")],
    "after padding": lambda: [L.ZeroPadding2D(((1, 0), (2, 1))), L.Conv2D(4, 3, padding=1)],
    "nothing": lambda: [L.ZeroPadding2D(1)],
    "pooling": lambda: [L.Conv2D(4, 3), L.MaxPooling2D()],
}


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("name", FOLDED)
def test_batch_normalization_folds_into_what_is_before(name, relu):
    layers = [L.ReLU(), *FOLDED[name](), L.BatchNormalization(), *([L.ReLU()] if relu else [])]
    model = build((7, 8, 6), layers)
    x = images(3, (7, 8, 6))
    assert_close(model.predict(x), reference_model.forward(model, x), "chain", "output")


def test_batch_normalization_folds_in_a_whole_net():
    """At inference the two are one convolution; the outputs are still those of the two."""
    layers = [
        L.Conv2D(17, 3, padding="same", use_bias=False),
        L.BatchNormalization(),
        L.ReLU(),
        L.DepthwiseConv2D(3),
        L.BatchNormalization(scale=False),
        L.Residual([L.Conv2D(17, 1), L.BatchNormalization(center=False)]),
        L.BatchNormalization(),
        L.MaxPooling2D(),
    ]
    model = build((7, 7, 3), layers)
    x = images(5, (7, 7, 3))
    assert_close(model.predict(x), reference_model.forward(model, x), "chain", "output")
    model.train_on_batch(x, targets_for(model, 5))  # and follow the statistics and the weights
    assert_close(model.predict(x), reference_model.forward(model, x), "chain", "afterwards")
    model.set_weights([w * 0.5 for w in model.get_weights()])
    assert_close(model.predict(x), reference_model.forward(model, x), "chain", "set weights")


@pytest.mark.parametrize("name", NETS)
def test_activations_of_every_layer(name):
    shape, layers = NETS[name]
    model = build(shape, layers(), "sparse_categorical_crossentropy")
    x = images(3, shape)
    run = reference_model.Run(model, training=False)
    expected = x.astype(np.float64)
    for layer in model.layers:
        before, expected = expected, run.layers([layer], expected)[0]
        for which in (layer, layer.name):
            assert_close(model.activations(x, which), expected, "chain", layer.name)
        if layer.sublayers:
            inner = layer.chains[-1]
            path = f"{layer.name}/{inner[-1].name}"
            within = run.layers(inner, before)[0]
            assert_close(model.activations(x, path), within, "chain", path)
    with pytest.raises((ValueError, KeyError), match="conv2d"):
        model.activations(x, "conv2d_77")


def test_bytes_and_floats_give_the_same():
    model = build((14, 14, 1), lenet(), "sparse_categorical_crossentropy")
    x = np.random.default_rng(0).integers(0, 256, (5, 14, 14, 1), dtype=np.uint8)
    np.testing.assert_array_equal(model.predict(x), model.predict(x.astype(np.float32)))


def test_program_shows_what_the_network_became():
    model = build((14, 14, 1), lenet(), "sparse_categorical_crossentropy")
    text = str(model.program())
    for word in ("conv2d", "pool", "softmax"):
        assert word in text


def test_program_before_compile_shows_the_forward_pass():
    text = str(Sequential(lenet(), input_shape=(14, 14, 1)).program())
    assert "conv2d" in text


def test_training_needs_compile():
    model = Sequential(lenet(), input_shape=(14, 14, 1))
    with pytest.raises((RuntimeError, ValueError), match="compile"):
        model.train_on_batch(images(2, (14, 14, 1)), np.zeros(2, np.int32))
    assert model.predict(images(2, (14, 14, 1))).shape == (2, 10)


@pytest.mark.parametrize("take", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_a_copy_trains_by_itself(take):
    model = build((7, 9, 3), [L.Conv2D(4, 3), L.BatchNormalization(), L.Flatten(), L.Dense(3)])
    model.compile("adam", fastcnn.losses.SparseCategoricalCrossentropy(from_logits=True))
    x, y = images(6, (7, 9, 3)), np.arange(6) % 3
    model.train_on_batch(x, y)
    copied, twin, before = take(model), take(model), model.get_weights()
    for _ in range(2):
        copied.train_on_batch(x, y)
    for old, now in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(now, old)
    # With the optimizer's slots and step, the copy went where the model itself goes.
    for other in (model, twin):
        for _ in range(2):
            other.train_on_batch(x, y)
        for expected, weights in zip(copied.get_weights(), other.get_weights(), strict=True):
            np.testing.assert_array_equal(weights, expected)


def test_arguments_stand_in_keras_order():
    orders = {
        "fit": "x y batch_size epochs verbose callbacks validation_split validation_data shuffle "
        "class_weight sample_weight initial_epoch",
        "evaluate": "x y batch_size verbose sample_weight",
        "predict": "x batch_size",
        "train_on_batch": "x y sample_weight class_weight return_dict",
        "test_on_batch": "x y sample_weight return_dict",
    }
    for method, order in orders.items():
        names = list(inspect.signature(getattr(Sequential, method)).parameters)[1:]
        assert names[: len(order.split())] == order.split(), method
