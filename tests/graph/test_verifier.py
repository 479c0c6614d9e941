"""Ops that a layer of the user's own adds with shapes that do not fit: refused, before kernels that
trust them run."""

from __future__ import annotations

import numpy as np
import pytest

import fastcnn
from fastcnn.graph.parameter import Parameter
from fastcnn.graph.problem import Problem
from fastcnn.graph.program import Program
from fastcnn.layers import Conv2D, Dense, Flatten, Layer

IMAGE, LARGE = (6, 6, 3), (64, 64, 64)
WINDOW = Problem(6, 6, 3, 4, (3, 3))  # makes (4, 4, 4)
TALL = Problem(60, 6, 3, 3, (2, 2), (2, 2))


class Own(Layer):
    """A layer of one op, in words of Program.add."""

    settings = ("kind", "after", "attributes")

    def __init__(self, kind, after, attributes=None, sizes=None, inputs=1, **common):
        super().__init__(**common)
        self.kind, self.after, self.attributes = kind, after, attributes or {}
        self.sizes, self.inputs = sizes or {}, inputs

    def shape_after(self, shape):
        return self.after

    def make_parameters(self, shape):
        initializer = fastcnn.initializers.get("zeros")
        return [Parameter(self, name, size, initializer) for name, size in self.sizes.items()]

    def lower(self, program, x):
        inputs = [x] * self.inputs
        return program.add(
            self.kind, inputs, self.after, self.named_parameters(), **self.attributes
        )


CASES = {
    "activation": ("activation", LARGE, {"function": "relu"}),
    "softmax": ("softmax", LARGE),
    "copy": ("copy", LARGE),
    "dropout": ("dropout", LARGE, {"rate": 0.5, "stream": 0}),
    "dropout of all": ("dropout", IMAGE, {"rate": 1.0, "stream": 0}),
    "decisions that do not fit": ("dropout", IMAGE, {"rate": 0.5, "stream": 0, "decisions": 7}),
    "crop to more": ("crop", LARGE, {"padding": ((1, 1), (1, 1))}),
    "permute": ("permute", IMAGE, {"order": (0, 0, 1)}),
    "upsample": ("upsample", IMAGE, {"size": (2, 2), "interpolation": "nearest"}),
    "prelu": ("prelu", IMAGE, {}, {"alpha": (7,)}),
    "bias": ("bias", IMAGE, {}, {"bias": (2,)}),
    "affine": ("affine", LARGE, {"scale": [1.0] * 64, "offset": [0.0] * 64}),
    "constants": ("affine", IMAGE, {"scale": [1.0], "offset": [0.0] * 3}),
    "add": ("add", LARGE, {}, {}, 2),
    "add of one": ("add", IMAGE),
    "reshape": ("reshape", LARGE),
    "reshape to fewer": ("reshape", (2,)),
    "concat": ("concat", LARGE, {}, {}, 2),
    "concat to fewer": ("concat", IMAGE, {}, {}, 2),
    "pad": ("pad", LARGE, {"padding": ((1, 1), (1, 1))}),
    "crop": ("pad", (4, 4, 3), {"padding": ((-1, -1), (-1, -1))}),
    "no input": ("activation", IMAGE, {"function": "relu"}, {}, 0),
    "max_pool": ("max_pool", (30, 3, 3), {"problem": TALL}),
    "average_pool": ("average_pool", LARGE, {"problem": Problem(6, 6, 3, 3, (2, 2))}),
    "conv2d": ("conv2d", LARGE, {"problem": WINDOW}, {"kernel": (3, 3, 3, 4)}),
    "conv2d kernel": ("conv2d", (4, 4, 4), {"problem": WINDOW}, {"kernel": (3, 3, 3, 1)}),
    "conv2d bias": (
        *("conv2d", (4, 4, 4), {"problem": WINDOW}),
        {"kernel": (3, 3, 3, 4), "bias": (1,)},
    ),
    "conv2d_dx": ("conv2d_dx", LARGE, {"problem": WINDOW}, {"kernel": (3, 3, 3, 4)}),
    "matmul": ("matmul", (5,), {}, {"kernel": (108, 5)}),
    "scale_shift": ("scale_shift", IMAGE, {}, {}, 3),
    "multiply": ("multiply", LARGE, {}, {}, 2),
    "multiply by nothing": ("multiply", IMAGE),
    "response_norm": ("response_norm", LARGE, {"size": 5}),
    "response_norm of nothing": ("response_norm", IMAGE, {"size": 0}),
    "group_norm": ("group_norm", IMAGE, {"rows": 1, "groups": 1, "channels": 3}),
    "contrast_norm": ("contrast_norm", IMAGE, {"size": 3, "sigma": 1.0}),
    "contrast_norm, even": ("contrast_norm", IMAGE, {"size": 4, "sigma": 1.0}),
}


@pytest.mark.parametrize("case", CASES)
def test_shapes_that_do_not_fit_are_refused(case):
    own = Own(*CASES[case], name="own")
    model = fastcnn.Sequential([own], input_shape=IMAGE, device="cpu")
    message = rf"Layer 'own': the op {own.kind} .* Received .* from "
    with pytest.raises(ValueError, match=message):
        model.predict(np.zeros((2, *IMAGE), np.float32))
    layers = [Conv2D(3, 1), Own(*CASES[case], name="own"), Flatten(), Dense(2)]
    model = fastcnn.Sequential(layers, input_shape=IMAGE, device="cpu")
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match=message):
        model.train_on_batch(np.zeros((2, *IMAGE), np.float32), np.zeros((2, 2)))
    with pytest.raises(ValueError, match=message):
        model.activations(np.zeros((2, *IMAGE), np.float32), model.layers[0])


READS = {
    "a buffer that nothing writes": lambda program, x: program.buffer(x.shape),
    "a number": lambda program, x: x.number,
    "another program's": lambda program, x: Program(x.shape, training=False).input,
}


@pytest.mark.parametrize("case", READS)
def test_an_input_that_nothing_writes_is_refused(case):
    class Reads(Layer):
        def lower(self, program, x):
            inputs = [READS[case](program, x)]
            return program.add("activation", inputs, x.shape, function="relu")

    model = fastcnn.Sequential([Reads()], input_shape=IMAGE, device="cpu")
    with pytest.raises(ValueError, match=r"Layer 'reads': the op activation reads .*, which no op"):
        model.predict(np.zeros((2, *IMAGE), np.float32))
