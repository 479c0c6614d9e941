"""Conv2DTranspose: sizes, what it refuses, and that it undoes a convolution's change of size."""

from __future__ import annotations

import numpy as np
import pytest
from building import build, images

import fastcnn
from fastcnn import layers as L

SIZES = [
    # kernel, strides, padding, output_padding, dilation, output of 5: those of Keras
    *[(3, 1, "valid", None, 1, 7), (3, 2, "valid", None, 1, 11), (2, 3, "valid", None, 1, 15)],
    *[(3, 1, "same", None, 1, 5), (4, 2, "same", None, 1, 10), (1, 3, "same", None, 1, 15)],
    *[(3, 2, "same", 0, 1, 9), (3, 2, "same", 1, 1, 10), (4, 3, "valid", 2, 1, 18)],
    *[(3, 1, "valid", None, 2, 9), (3, 2, 1, 1, 1, 10), (3, 2, ((0, 1), (1, 0)), None, 1, 10)],
]


@pytest.mark.parametrize(("kernel", "strides", "padding", "more", "dilation", "size"), SIZES)
def test_sizes(kernel, strides, padding, more, dilation, size):
    layer = L.Conv2DTranspose(2, kernel, strides, padding, more, dilation)
    layer.build((5, 5, 3))
    assert layer.output_shape == (size, size, 2)
    # A convolution of the same window leads back.
    assert layer.multiply_adds() == 5 * 5 * 3 * 2 * kernel**2


REFUSED = {
    "output_padding must be below strides": {"strides": 2, "output_padding": 2},
    "output_padding must be an integer of at least 0": {"output_padding": -1},
    "filters must be a multiple of groups": {"groups": 3},
    "strides must be a positive integer": {"strides": 0},
    "padding must be 'valid', 'same'": {"padding": "full"},
}


@pytest.mark.parametrize("words", REFUSED)
def test_refused_arguments(words):
    with pytest.raises(ValueError, match=f"Conv2DTranspose 'conv2d_transpose': {words}"):
        L.Conv2DTranspose(4, 3, **REFUSED[words])


def test_refused_inputs():
    with pytest.raises(ValueError, match="leaves nothing of the windows of an input of 1x1"):
        fastcnn.Sequential([L.Conv2DTranspose(4, 3, padding=2)], (1, 1, 3))
    with pytest.raises(ValueError, match=r"a multiple of groups\. Received 3 channels"):
        fastcnn.Sequential([L.Conv2DTranspose(4, 3, groups=2)], (4, 4, 3))
    with pytest.raises(ValueError, match="strategy 'winograd' cannot compute"):
        fastcnn.Sequential([L.Conv2DTranspose(4, 3, 2, strategy="winograd")], (4, 4, 3))


def test_it_is_the_input_gradient_of_a_convolution():
    """<conv(x), y> = <x, transposed(y)> for one kernel."""
    convolution = build((7, 6, 3), [L.Conv2D(5, 3, strides=2, padding="same", use_bias=False)])
    back = L.Conv2DTranspose(3, 3, 2, ((1, 1), (0, 1)), use_bias=False)
    transposed = build((4, 3, 5), [back])
    transposed.parameters[0].value[...] = convolution.parameters[0].value
    x, y = images(2, (7, 6, 3)), images(2, (4, 3, 5), seed=5)
    forth = float(np.vdot(convolution.predict(x), y))
    assert forth == pytest.approx(float(np.vdot(x, transposed.predict(y))), abs=1e-4)


@pytest.mark.parametrize("strategy", ["direct", "im2col", "winograd", "fft", "reference"])
def test_each_strategy(strategy):
    x = images(2, (6, 6, 4))
    outputs, gradients = [], []
    for name in ("reference", strategy):
        layer = L.Conv2DTranspose(5, 3, padding="same", strategy=name)
        model = build((6, 6, 4), [L.Conv2D(4, 1), layer])
        outputs.append(model.predict(x))
        gradients.append(model.gradients(x, np.ones((2, 6, 6, 5), np.float32))[1])
        assert strategy in str(model.program()) or name != strategy
    np.testing.assert_allclose(outputs[0], outputs[1], atol=2e-5)
    for path in gradients[0]:
        np.testing.assert_allclose(gradients[0][path], gradients[1][path], atol=2e-5)


def test_pinned_strategies(tmp_path):
    model = build((6, 6, 4), [L.Conv2DTranspose(5, 3, padding="same"), L.Dense(3)])
    model.pin_strategies(2)
    for layer in model.layers:
        assert "auto" not in layer.strategy.values()
    model.save(tmp_path / "model.h5")
    again = fastcnn.load(tmp_path / "model.h5")
    assert again.layers[0].strategy == model.layers[0].strategy
    x = images(2, (6, 6, 4))
    np.testing.assert_array_equal(again.predict(x), model.predict(x))
