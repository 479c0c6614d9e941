"""Layers and short chains of layers drawn at random, against float64 as in test_layers.py."""

from __future__ import annotations

from building import build, images
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_layers import compare, spreading, unit_pixels

from fastcnn import layers as L

# The same draws every time; a failure is reduced to the smallest net that still fails.
REPEATABLE = settings(
    max_examples=60,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
SMOOTH = (None, "relu", "leaky_relu", "elu", "gelu", "sigmoid", "tanh")


def span(size, dilation) -> int:
    """The pixels from a kernel's first to its last."""
    return (size - 1) * dilation + 1


@st.composite
def windows(draw, shape, dilated=True):
    """(kernel, strides, padding, dilation) of which at least one fits into an image of `shape`."""
    pairs = [], [], [], []
    style = draw(st.sampled_from(["valid", "same", "explicit"]))
    for size in shape[:2]:
        kernel, stride = draw(st.integers(1, 7)), draw(st.integers(1, 3))
        dilation = draw(st.integers(1, 3)) if dilated else 1
        before = draw(st.integers(0, kernel - 1)) if style == "explicit" else 0
        after = draw(st.integers(0, kernel - 1)) if style == "explicit" else 0
        while style != "same" and span(kernel, dilation) > size + before + after:
            kernel, dilation, before, after = 1, 1, 0, 0
        for values, value in zip(pairs, (kernel, stride, (before, after), dilation), strict=True):
            values.append(value)
    kernel, strides, padding, dilation = map(tuple, pairs)
    return kernel, strides, padding if style == "explicit" else style, dilation


@st.composite
def convolutions(draw, shape):
    kernel, strides, padding, dilation = draw(windows(shape))
    channels = shape[2]
    groups = draw(st.sampled_from([g for g in (1, 2, 3, channels) if channels % g == 0]))
    filters = groups * draw(st.sampled_from([1, 2, 3, 5, 8, 16, 17, 20, 33]))
    return L.Conv2D(
        filters,
        kernel,
        strides,
        padding,
        dilation,
        groups,
        activation=draw(st.sampled_from(SMOOTH)),
        use_bias=draw(st.booleans()),
    )


@st.composite
def depthwise(draw, shape):
    kernel, strides, padding, dilation = draw(windows(shape))
    multiplier = draw(st.integers(1, 3))
    activation = draw(st.sampled_from(SMOOTH))
    return L.DepthwiseConv2D(kernel, strides, padding, multiplier, dilation, activation=activation)


@st.composite
def poolings(draw, shape):
    pool, strides, padding, _ = draw(windows(shape, dilated=False))
    return draw(st.sampled_from([L.MaxPooling2D, L.AveragePooling2D]))(pool, strides, padding)


@st.composite
def pointwise(draw, shape):
    normalization = L.BatchNormalization if shape[0] * shape[1] > 5 else L.ELU
    kinds = [
        normalization,  # of more than a few values: a variance near 0 magnifies every rounding
        L.ReLU,
        L.ELU,
        lambda: L.ZeroPadding2D(((1, 0), (2, 1))),
        lambda: L.Residual([L.Conv2D(shape[2], 3, padding="same")]),
        lambda: L.Residual([L.ReLU()], [normalization()]),
        lambda: L.Concat([], [L.Conv2D(3, 1)], [L.MaxPooling2D(3, 1, "same")]),
    ]
    return draw(st.sampled_from(kinds))()


SHAPES = st.tuples(st.integers(1, 9), st.integers(1, 9), st.sampled_from([1, 2, 3, 6, 16, 17, 20]))


@st.composite
def one_layer(draw):
    shape = draw(SHAPES)
    return shape, draw(st.one_of(convolutions(shape), depthwise(shape), poolings(shape)))


@st.composite
def chains(draw):
    """Up to five layers, each fitting what the one before leaves."""
    shape = first = draw(SHAPES)
    layers = []
    for _ in range(draw(st.integers(2, 5))):
        kinds = st.one_of(convolutions(shape), poolings(shape), pointwise(shape), depthwise(shape))
        layer = draw(kinds)
        shape = after(layer, shape)
        layers.append(layer)
        if shape[2] > 70:
            break
    if draw(st.booleans()):
        layers += [L.Flatten(), L.Dense(5)]
    return first, layers


def after(layer, shape):
    """The shape that a fresh layer of the same configuration makes of `shape`."""
    twin = type(layer).from_config(layer.get_config())
    twin.build(shape)
    return twin.output_shape


@REPEATABLE
@given(case=one_layer(), batch=st.sampled_from([1, 2, 5]))
def test_one_layer(case, batch):
    shape, layer = case
    model = build((1, 1, batch), [*spreading(shape, batch), layer])
    compare(model, unit_pixels(batch), "curve", "curve")


@REPEATABLE
@given(case=chains(), batch=st.sampled_from([1, 3, 18]))
def test_chain(case, batch):
    shape, layers = case
    model = build(shape, layers)
    compare(model, images(batch, shape), "statistics", "statistics")
