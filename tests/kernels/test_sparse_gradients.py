"""Gradients of convolutions from max pooling's own gradient: right, and taken where they may be."""

from __future__ import annotations

import numpy as np
import pytest
from building import build, images, targets_for
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_layers import compare

import fastcnn
from fastcnn import functional, initializers, strategies
from fastcnn import layers as L
from fastcnn.backends.cpu import executable
from fastcnn.graph.parameter import Parameter
from fastcnn.graph.problem import Problem
from fastcnn.models.summary import summary_text

SPARSE = {"dx": "sparse", "dw": "sparse"}
CASES = {  # shape, filters, kernel, options of the convolution and of the pooling
    "LeNet-5": ((14, 14, 6), 16, 5, {}, {}),
    "one channel, same": ((12, 12, 1), 6, 5, {"padding": "same"}, {}),
    "rows of more than one tile": ((6, 7, 41), 9, 3, {"padding": "same"}, {}),
    "whole vectors": ((8, 8, 32), 33, 3, {}, {}),
    "higher than a tile": ((13, 9, 2), 5, 7, {"padding": "same"}, {}),
    "strides": ((15, 13, 3), 7, 3, {"strides": (2, 1), "padding": "same"}, {}),
    "uneven padding": ((9, 8, 4), 6, (3, 2), {"padding": ((2, 0), (0, 1))}, {}),
    "overlapping windows": ((11, 9, 3), 8, 3, {}, {"pool_size": 3, "strides": 2}),
    "windows with gaps": ((12, 11, 3), 8, 3, {}, {"pool_size": (1, 2), "strides": 3}),
    "rows that no window reads": ((9, 9, 5), 4, 2, {}, {"pool_size": 3}),
    "windows of one pixel": ((7, 6, 3), 5, 2, {}, {"pool_size": 1, "strides": 2}),
    "one window": ((5, 5, 3), 4, 2, {}, {"pool_size": 4}),
    "many rows of lists": ((50, 40, 1), 40, 3, {}, {}),
}


def network(shape, filters, kernel, convolution, pooling, activation="relu"):
    """The convolution's input is made by another one, so that it has a gradient."""
    return build(
        shape,
        [
            L.Conv2D(shape[2], 1, name="first"),
            L.Conv2D(filters, kernel, name="second", strategy=SPARSE, **convolution),
            L.Activation(activation) if activation else L.Dropout(0.0),
            L.MaxPooling2D(**pooling),
            L.Flatten(),
            L.Dense(3),
        ],
    )


def kinds(model, batch=8):
    """The kinds of a training step's ops, by layer."""
    program, _ = model.program_and_roles("train", batch)
    return [(op.layer, op.kind) for op in program.ops]


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("activation", ["relu", None])
def test_against_float64(name, activation):
    model = network(*CASES[name], activation=activation)
    ops = kinds(model)
    assert ("second", "conv2d_sparse_dx") in ops
    assert ("second", "conv2d_sparse_dw") in ops
    assert "max_pool_dx" not in dict(map(reversed, ops))
    compare(model, images(5, CASES[name][0]), "chain", "chain")


@settings(
    max_examples=30,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(
    shape=st.tuples(st.integers(4, 12), st.integers(4, 12), st.sampled_from([1, 2, 5, 8, 19])),
    filters=st.sampled_from([1, 3, 8, 17]),
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    strides=st.tuples(st.integers(1, 2), st.integers(1, 2)),
    padding=st.sampled_from(["same", ((1, 0), (0, 2)), ((0, 3), (1, 1))]),
    pool=st.integers(1, 2),
    step=st.integers(1, 3),
    batch=st.sampled_from([1, 3, 20]),
)
def test_random_problems(shape, filters, kernel, strides, padding, pool, step, batch):
    convolution = {"strides": strides, "padding": padding}
    pooling = {"pool_size": pool, "strides": step}
    model = network(shape, filters, kernel, convolution, pooling)
    compare(model, images(batch, shape), "chain", "chain")


def test_integers_are_exact():
    """Sums of whole numbers have no error, so that none is lost and none counted twice."""
    gradients = []
    for strategy in (SPARSE, "direct"):
        layers = [L.Conv2D(5, 1), L.Conv2D(16, 3, padding="same", strategy=strategy)]
        model = build((8, 8, 5), [*layers, L.MaxPooling2D()])
        rng = np.random.default_rng(3)
        for parameter in model.parameters:
            parameter.value[...] = rng.integers(-2, 3, parameter.shape)
        x, y = rng.integers(-2, 3, (4, 8, 8, 5)), rng.integers(-4, 5, (4, 4, 4, 16))
        gradients.append(model.gradients(x.astype(np.float32), y.astype(np.float32))[1])
    for path, gradient in gradients[0].items():
        np.testing.assert_array_equal(gradient, gradients[1][path])


def test_same_bits_for_any_threads():
    model = network(*CASES["rows of more than one tile"])
    x = images(40, (6, 7, 41))
    results = []
    for threads in (1, 2, 3):
        fastcnn.set_num_threads(threads)
        results.append(model.gradients(x, targets_for(model, 40))[1])
    fastcnn.set_num_threads(2)
    for other in results[1:]:
        for path, gradient in other.items():
            np.testing.assert_array_equal(gradient, results[0][path])


@pytest.mark.parametrize("name", ["LeNet-5", "uneven padding", "windows with gaps"])
def test_what_memory_held_makes_no_difference(name, monkeypatch):
    """Vectors read a little further than their numbers."""
    x = images(5, CASES[name][0])
    allocate = executable.allocate

    def not_a_number(size):
        memory = allocate(size)
        memory[: size // 4 * 4].view(np.float32)[:] = np.nan
        return memory

    results = []
    for how in (allocate, not_a_number):
        monkeypatch.setattr(executable, "allocate", how)
        model = network(*CASES[name])
        results.append(model.gradients(x, targets_for(model, 5))[1])
    for path, gradient in results[0].items():
        np.testing.assert_array_equal(gradient, results[1][path])


def test_a_first_layer_reads_no_further_than_the_images():
    """The caller's array may end where the process's memory does."""
    layer = L.Conv2D(3, (2, 3), strategy={"dw": "sparse"}, name="first")
    model = build((4, 5, 1), [layer, L.MaxPooling2D(), L.Flatten(), L.Dense(2)])
    whole = np.full(2 * 20 + 64, np.nan, np.float32)
    whole[:40] = images(2, (4, 5, 1)).ravel()
    compare(model, whole[:40].reshape(2, 4, 5, 1), "chain", "chain")


def test_lenet5_is_sparse_by_itself():
    model = fastcnn.applications.lenet5()
    model.compile("sgd", "sparse_categorical_crossentropy")
    ops = kinds(model, 128)
    sparse = [op for op in ops if "sparse" in op[1]]
    assert sparse == [
        ("C3", "conv2d_sparse_dw"),
        ("C3", "conv2d_sparse_dx"),
        ("C1", "conv2d_sparse_dw"),
    ]
    assert "max_pool_dx" not in dict(map(reversed, ops))
    assert "direct / sparse / sparse" in summary_text(model, 128)


@pytest.mark.parametrize(
    ("size", "channels", "filters", "sparse"),
    [(14, 512, 512, False), (112, 64, 128, False), (15, 64, 64, True), (32, 32, 32, True)],
)
def test_dw_is_sparse_where_its_operands_stay_near(size, channels, filters, sparse):
    """In VGG's last layer the gradient's sums and the image come from far: 1.6 times as slow."""
    layers = [L.Conv2D(filters, 3, padding="same", activation="relu"), L.MaxPooling2D()]
    model = fastcnn.Sequential(layers, input_shape=(size, size, channels))
    names = {one.direction: one.strategy for one in strategies.training_choices(model, 32)}
    assert (names["dw"] == "sparse") == sparse


DENSE = {
    "another strategy asked for": [L.Conv2D(16, 5, strategy="direct"), L.MaxPooling2D()],
    "groups": [L.Conv2D(16, 5, groups=2), L.MaxPooling2D()],
    "windows beyond the result": [L.Conv2D(16, 5), L.MaxPooling2D(3, 2, "same")],
    "average pooling": [L.Conv2D(16, 5), L.AveragePooling2D()],
    "something between": [L.Conv2D(16, 5), L.BatchNormalization(), L.MaxPooling2D()],
    "connections": [L.Conv2D(16, 5, connections=np.ones((6, 16), int)), L.MaxPooling2D()],
}


@pytest.mark.parametrize("why", DENSE)
def test_dense_with(why):
    twins = [type(layer).from_config(layer.get_config()) for layer in DENSE[why]]
    model = build((14, 14, 6), [L.Conv2D(6, 1), *twins, L.Flatten(), L.Dense(3)])
    assert not any("sparse" in kind for _, kind in kinds(model))


def test_a_second_reader_gets_the_whole_gradient():
    """Where something else adds to it too, the pooling's gradient is written as ever."""
    inner = L.Residual([L.Conv2D(6, 1)])
    model = build((14, 14, 6), [L.Conv2D(6, 5), inner, L.MaxPooling2D(), L.Flatten(), L.Dense(3)])
    ops = kinds(model)
    assert "max_pool_dx" in dict(map(reversed, ops))
    compare(model, images(5, (14, 14, 6)), "chain", "chain")


def test_a_wish_that_cannot_be_had_is_refused():
    with pytest.raises(ValueError, match="'sparse' cannot compute forward: only gradients"):
        build((9, 9, 3), [L.Conv2D(4, 3, strategy="sparse")])
    with pytest.raises(ValueError, match="Unknown strategy 'sparse'"):
        L.Conv2DTranspose(4, 3, strategy=SPARSE)
    with pytest.raises(ValueError, match="Unknown strategy 'sparse'"):
        L.Dense(4, strategy=SPARSE)
    with pytest.raises(ValueError, match="'sparse' cannot compute dx: it takes neither groups"):
        build((9, 9, 4), [L.Conv2D(4, 3, groups=2, strategy=SPARSE)])
    model = build((9, 9, 3), [L.Conv2D(4, 3, strategy=SPARSE, name="plain"), L.Flatten()])
    with pytest.raises(ValueError, match=r"plain: .* dw: its gradient .*\. Name another"):
        model.train_on_batch(images(2, (9, 9, 3)), targets_for(model, 2))
    assert model.predict(images(2, (9, 9, 3))).shape == (2, 196)


def test_pinned_strategies_keep_the_bits():
    x, trained = images(8, (28, 28, 1)), []
    for pin in (False, True):
        model = fastcnn.applications.lenet5(seed=1)
        model.compile("sgd", "sparse_categorical_crossentropy")
        if pin:
            model.pin_strategies(8)
            assert model.layers[2].strategy == {"forward": "direct", **SPARSE}
        model.train_on_batch(x, np.arange(8))
        trained.append(model.state.values.copy())
    np.testing.assert_array_equal(*trained)
    choices = {choice.strategy for choice in strategies.training_choices(model, 8)}
    assert choices == {"direct", "sparse"}


class Two(L.Layer):
    """Two convolutions alike under one setting, of which max pooling follows the second."""

    settings = ("strategy",)

    def __init__(self, strategy="auto", name=None):
        super().__init__(name=name)
        self.strategy = strategies.wish("two", strategy)

    def make_parameters(self, shape):
        glorot = initializers.get("glorot_uniform")
        return [Parameter(self, name, (5, 5, 6, 6), glorot) for name in ("kernel", "second")]

    def lower(self, program, x):
        problem = Problem(14, 14, 6, 6, (5, 5), padding=((2, 2), (2, 2)))
        for parameter in self.parameters:
            kernel = {"kernel": parameter}
            x = program.add("conv2d", [x], x.shape, kernel, problem=problem, strategy=self.strategy)
        return x


def test_what_is_pinned_for_two_convolutions_can_train():
    model = build((14, 14, 6), [Two(), L.MaxPooling2D(), L.Flatten(), L.Dense(3)])
    assert ("two", "conv2d_sparse_dw") in kinds(model)
    model.pin_strategies(8)
    model.train_on_batch(images(8, (14, 14, 6)), targets_for(model, 8))


def test_a_convolution_by_itself_has_no_pooling_to_be_sparse_by():
    problem = Problem(9, 9, 3, 4, (3, 3))
    with pytest.raises(ValueError, match="only a network has it"):
        functional.conv2d_dw(images(2, (9, 9, 3)), images(2, (7, 7, 4)), problem, "sparse")
