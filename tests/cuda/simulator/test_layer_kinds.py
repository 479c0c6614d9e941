"""Every kind of layer on the CUDA engine against float64: outputs and gradients."""

from __future__ import annotations

import pytest
from building import build, images
from layer_cases import CASES
from test_layers import compare

from fastcnn import layers as L
from fastcnn.layers.registry import LAYERS

NAMES = [
    "3x3 valid",
    "3x3 asymmetric, stride 2",
    "3x3 asymmetric, reflect",
    "3x3 same, edge",
    "connections, direct",
    "depthwise 3x3",
    "separable 3x3",
    "max 3 asymmetric",
    "average 3 asymmetric",
    "global max",
    "global average",
    "identity shortcut",
    "spatial transformer",
    "spatial transformer to another size",
    "locally connected relu, same, stride 2",
    "norm 2 of 2",
    "norm 3.5 of 3, overlapping",
    "batch norm without scale",
    "batch norm without center",
    "response norm of 4, 33 channels",
    "response norm of 5, 3 channels",
    "contrast norm of 3, 17 channels",
    "contrast norm, epsilon above",
    "group norm",
    "layer norm of rows",
    "squeeze and excite, 17 channels",
    "scale by the input's shape",
    "zero padding asymmetric",
    "rescaling by channel",
    "normalization",
    "LeakyReLU",
    "ELU",
    "Softmax",
    "ThresholdedReLU",
    "ReLU with all arguments",
    "permute",
    "upsampling (3, 1)",
    "upsampling bilinear",
    "PReLU",
    "PReLU, a slope a channel",
    "reshape",
    "cropping asymmetric",
    "stochastic depth of nothing",
    "spatial dropout of nothing",
    "dense on a map",
    "transposed 3x3, output_padding 1",
    "transposed 2 groups",
    "Activation gelu",
    "Activation sigmoid",
    "Activation tanh",
]


@pytest.mark.parametrize("name", NAMES)
def test_layer(name):
    """Behind a convolution, whose gradient goes through that of the layer's input."""
    case = CASES[name]
    shape = (*case.shape[:2], 2)
    before = L.Conv2D(case.shape[-1], 1, name="before")
    model = build(shape, [before, case.layer()]).to("cuda")
    gradients = compare(model, images(2, shape), "curve", "chain")
    assert gradients["before/kernel"].any()


def test_these_are_all_kinds():
    """What stands in no case here is in `test_networks`."""
    there = {
        "Activation",
        "AuxiliaryClassifier",
        "Concat",
        "Conv2D",
        "Dense",
        "Dropout",
        "Flatten",
        "Residual",
        "ReLU",
    }
    used = {type(CASES[name].layer()).__name__ for name in NAMES}
    assert used | there >= {*LAYERS}
