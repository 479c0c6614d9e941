"""Every layer on awkward shapes against float64: outputs and gradients, every element."""

from __future__ import annotations

import numpy as np
import pytest
import reference_model
from building import TOLERANCE, assert_close, assert_gradients, build, images, targets_for
from layer_cases import CASES

from fastcnn import layers as L

DENSE = {  # (inputs, units, batch)
    "dense 1 to 1": (1, 1, 1),
    "dense 3 to 10": (3, 10, 5),
    "dense 17 to 33, batch 1": (17, 33, 1),
    "dense 64 to 10": (64, 10, 2),
    "dense 400 to 120": (400, 120, 33),
    "dense 1000 to 1": (1000, 1, 7),
    "dense 33 to 500, batch 128": (33, 500, 128),
    "dense 257 to 65, batch 67": (257, 65, 67),
    "dense 700 to 512, batch 6": (700, 512, 6),
}


def spreading(shape, batch) -> list[L.Layer]:
    """A layer that turns image n of `unit_pixels` into any image: into kernel[::-1, ::-1, n].

    The gradient of its kernel is then the gradient of what follows by its input, pixel by pixel
    and image by image.
    """
    rows, columns, channels = shape
    around = ((rows - 1, rows - 1), (columns - 1, columns - 1))
    return [L.Conv2D(channels, (rows, columns), padding=around, use_bias=False, name="spread")]


def unit_pixels(batch):
    return np.eye(batch, dtype=np.float32).reshape(batch, 1, 1, batch)


def compare(model, x, forward, backward):
    """Outputs at inference, then the loss and all gradients of a training step, with float64."""
    assert_close(model.predict(x), reference_model.forward(model, x), forward, "output")
    y = targets_for(model, len(x))
    loss, gradients = model.gradients(x, y)
    expected_loss, expected = reference_model.gradients(model, x, y)
    assert loss == pytest.approx(expected_loss, rel=max(1e-5, TOLERANCE[backward]))
    assert_gradients(gradients, expected, backward)
    return gradients


@pytest.mark.parametrize("name", CASES)
def test_first_layer(name):
    case = CASES[name]
    model = build(case.shape, [case.layer()])
    compare(model, images(case.batch, case.shape), case.forward, case.backward)


@pytest.mark.parametrize("name", CASES)
def test_gradient_of_the_input(name):
    case = CASES[name]
    model = build((1, 1, case.batch), [*spreading(case.shape, case.batch), case.layer()])
    gradients = compare(model, unit_pixels(case.batch), case.forward, case.backward)
    assert gradients["spread/kernel"].any()


@pytest.mark.parametrize("name", DENSE)
@pytest.mark.parametrize("activation", [None, "relu", "tanh"])
def test_dense(name, activation):
    inputs, units, batch = DENSE[name]
    tolerance = "curve" if activation == "tanh" else "sum"
    model = build((inputs,), [L.Dense(inputs), L.Dense(units, activation=activation)])
    compare(model, images(batch, (inputs,)), tolerance, "chain")


INTEGERS = {  # outputs are a power of two in number, so that dividing by it is exact too
    "3x3 same": ((4, 4, 16), 16, 3, {"padding": "same"}),
    "3x3 same, 64 to 64": ((8, 8, 64), 64, 3, {"padding": "same"}),
    "5x5 valid": ((8, 8, 3), 32, 5, {}),
    "3x3 stride 2 same": ((8, 16, 5), 8, 3, {"padding": "same", "strides": 2}),
    "3x3 dilation 2": ((8, 8, 3), 4, 3, {"dilation_rate": 2}),
    "3x3 groups": ((8, 8, 6), 4, 3, {"groups": 2, "padding": "same"}),
    "1x1": ((4, 8, 33), 64, 1, {}),
}


@pytest.mark.parametrize("name", INTEGERS)
def test_integers_are_exact(name):
    shape, filters, kernel, options = INTEGERS[name]
    model = build(
        shape, [L.Conv2D(shape[2], 1), L.Conv2D(filters, kernel, strategy="direct", **options)]
    )
    rng = np.random.default_rng(3)
    for p in model.parameters:
        p.value[...] = rng.integers(-2, 3, p.shape) * (rng.random(p.shape) < 0.3)
    x = rng.integers(-2, 3, (2, *shape)).astype(np.float32)
    assert_close(model.predict(x), reference_model.forward(model, x), "exact", "output")
    y = rng.integers(-4, 5, (2, *model.output_shape)).astype(np.float32)
    _, expected = reference_model.gradients(model, x, y)
    size = np.prod(model.output_shape)  # the gradients, in units of 1 / size, are whole numbers
    assert max(np.abs(g).max() for g in expected.values()) * size < 2**24
    assert_gradients(model.gradients(x, y)[1], expected, "exact")


def test_batch_size_may_change_between_calls():
    model = build((6, 6, 3), [L.Conv2D(5, 3, padding="same"), L.MaxPooling2D(), L.Flatten()])
    x = images(40, (6, 6, 3))
    whole = model.predict(x)
    for batch in (1, 7, 40, 2):
        np.testing.assert_array_equal(model.predict(x[:batch]), whole[:batch])


def test_ties_of_max_pooling_go_to_the_first():
    model = build((4, 4, 3), [L.ZeroPadding2D(0), L.MaxPooling2D()])
    x = np.ones((1, 4, 4, 3), np.float32)
    np.testing.assert_array_equal(model.predict(x), np.ones((1, 2, 2, 3)))
    tied = build((1, 1, 1), [*spreading((4, 4, 3), 1), L.MaxPooling2D(3, strides=1)])
    tied.parameters[0].value[...] = 1.0
    compare(tied, unit_pixels(1), "exact", "sum")


def test_batch_normalization_of_a_large_mean():
    """The variance must not be lost in the mean's square: 1 in 10^4 here."""
    model = build((6, 6, 5), [L.BatchNormalization()])
    x = images(4, (6, 6, 5)) + np.float32(100.0)
    _, gradients = model.gradients(x, targets_for(model, 4))
    _, expected = reference_model.gradients(model, x, targets_for(model, 4))
    for path, gradient in expected.items():  # x itself has lost 7 bits below its mean
        np.testing.assert_allclose(gradients[path], gradient, rtol=0, atol=1e-4, err_msg=path)


def test_batch_normalization_of_a_constant_channel():
    model = build((3, 3, 2), [L.Conv2D(2, 1), L.BatchNormalization()])
    x = np.ones((4, 3, 3, 2), np.float32)
    _, gradients = model.gradients(x, targets_for(model, 4))
    assert all(np.isfinite(g).all() for g in gradients.values())
