"""Models as ONNX files: ONNX's reference evaluator computes what `predict` does."""

import json

import numpy as np
import onnx
import pytest
from onnx_oracle import evaluated

import fastcnn
from fastcnn import layers as L
from fastcnn.data.augment.preprocessing import CenterCrop
from fastcnn.interop import onnx_export
from fastcnn.layers.activation import ACTIVATIONS

IMAGE = (6, 5, 4)
TABLE = np.array([[1, 0, 1], [1, 1, 0], [0, 1, 1], [1, 1, 1]])


def randomized(layers, shape, **settings):
    """A model whose weights and statistics are all random, and a batch for it."""
    model = fastcnn.Sequential(layers, shape, device="cpu", **settings)
    generator = np.random.default_rng(5)
    for parameter in model.parameters:
        drawn = generator.uniform(0.3, 1.2, parameter.shape)
        positive = parameter.name in ("gamma", "moving_variance")
        parameter.value[...] = drawn if positive else drawn - 0.75
    return model, generator.normal(size=(3, *shape)).astype(np.float32)


def check(layers, shape, x=None, **settings):
    """Compare a model's file with the model itself."""
    model, drawn = randomized(layers, shape)
    x = drawn if x is None else x
    expected = model.predict(x)
    proto = onnx_export.model_proto(model, **settings)
    onnx.checker.check_model(proto, full_check=True)
    np.testing.assert_allclose(evaluated(proto, x), expected, rtol=1e-5, atol=1e-5)
    return proto


def kinds(proto):
    return [node.op_type for node in proto.graph.node]


# All that maps can go through, a few layers a network: a network is compiled and planned once.
NETWORKS = {
    "convolutions": lambda: [
        L.Conv2D(4, (3, 2), padding="same", strides=(1, 2), groups=2, activation="relu"),
        L.Conv2D(3, 2, dilation_rate=(2, 1), padding=((1, 0), (0, 1)), connections=TABLE),
        L.Conv2D(3, 3, padding="same", padding_mode="edge"),
        L.Conv2D(2, 3, padding=1, padding_mode="reflect", use_bias=False),
        L.DepthwiseConv2D(2, depth_multiplier=2),
        L.SeparableConv2D(3, 2, padding="same", depth_multiplier=2),
    ],
    "transposed": lambda: [
        L.Conv2DTranspose(4, 3, 2, "same", groups=2, activation="tanh"),
        L.Conv2DTranspose(2, 2, (3, 2), dilation_rate=2, output_padding=(1, 0)),
        L.Cropping2D(((1, 2), (0, 1))),
    ],
    "poolings": lambda: [
        L.MaxPooling2D(3, 2, ceil_mode=True),
        L.UpSampling2D(3),
        L.AveragePooling2D(3, 2, 1, count_include_pad=True, ceil_mode=True),
        L.UpSampling2D(2, "bilinear"),
        L.AveragePooling2D(2, 2, "same"),
        L.GlobalMaxPooling2D(keepdims=True),
    ],
    "norms of windows": lambda: [L.LpPooling2D(2, 1, norm=1.5), L.LpPooling2D(3, 1, 1, norm=1.5)],
    "normalizations": lambda: [
        L.BatchNormalization(),
        L.GroupNormalization(2),
        L.LayerNormalization(),
        L.LayerNormalization((-2, -1), center=False),
        L.LocalResponseNormalization(3, alpha=0.5),
        L.LocalResponseNormalization(4, alpha=0.5),
        L.LocalContrastNormalization(3),
        L.Rescaling([1.0, 2.0, 3.0, 4.0], 0.5),
        L.Normalization(mean=0.25, variance=4.0),
        L.PReLU(shared_axes=(1, 2)),
        L.PReLU(),
    ],
    "unshared": lambda: [
        L.LocallyConnected2D(3, (3, 2), (1, 2), "same"),
        L.ZeroPadding2D(((1, 0), (0, 2))),
    ],
    "moved": lambda: [
        L.Permute((3, 1, 2)),
        L.Reshape((5, 8, 3)),
        L.Dense(4),
        L.Reshape((10, 4, 4)),
        L.Reshape((40, 4)),
        L.BatchNormalization(),
        L.Dense(2),
        L.Permute((2, 1)),
        L.Flatten(),
    ],
    "branches": lambda: [
        L.Residual([L.Conv2D(4, 1)], [L.BatchNormalization()]),
        L.Residual([L.Conv2D(6, 3, 2, "same")], [L.IdentityShortcut(6, 2)]),
        L.Concat([], [L.Conv2D(2, 1), L.ReLU(negative_slope=0.1)], [L.Dense(1)]),
        L.SqueezeExcite(3),
        L.Scale([L.GlobalAveragePooling2D(), L.Activation("sigmoid")]),
        L.Dropout(0.5),
        L.GlobalAveragePooling2D(),
        L.Scale([L.Dense(9, "softmax")]),
        L.AuxiliaryClassifier([L.Dense(5)]),
        L.GroupNormalization(3),
        L.LocalResponseNormalization(),
        L.Dense(5, "softmax"),
    ],
    "transformer": lambda: [
        L.SpatialTransformer([L.GlobalAveragePooling2D(), L.Dense(6)], (3, 7)),
        L.Softmax(),
    ],
}


@pytest.mark.parametrize("name", NETWORKS)
def test_what_a_network_computes(name):

    check(NETWORKS[name](), IMAGE)


def test_activations():
    branches = [[L.Activation(name)] for name in ACTIVATIONS]
    branches += [[L.ThresholdedReLU(0.4)], [L.ELU(0.7)], [L.LeakyReLU()], [L.ReLU(0.7)]]
    branches += [[L.ReLU(0.7, 0.25, 0.5)], [L.ReLU(threshold=0.5)], [L.ReLU(2.0, 0.1)]]
    x = np.linspace(-8, 8, 51, dtype=np.float32).reshape(3, 17)
    proto = check([L.Concat(*branches)], (17,), x)
    assert proto.opset_import[0].version == 20  # of Gelu


def test_a_file_asks_for_no_later_version_than_it_needs():
    proto = check([L.Conv2D(2, 3, activation="relu"), L.Flatten(), L.Dense(3)], IMAGE)
    assert (proto.opset_import[0].version, proto.ir_version) == (13, 8)
    assert kinds(proto) == ["Transpose", "Conv", "Relu", "Transpose", "Flatten", "Gemm"]


@pytest.mark.parametrize(
    "first",
    [
        lambda: [L.Conv2D(6, 2, groups=2, use_bias=False)],
        lambda: [L.Conv2DTranspose(6, 2, groups=2)],
        lambda: [L.Flatten(), L.Dense(6)],
    ],
)
def test_batch_normalization_is_folded_into_weights(first):
    proto = check([*first(), L.BatchNormalization()], IMAGE, fold_batch_norm=True)
    assert "BatchNormalization" not in kinds(proto)


def test_batch_normalization_of_what_others_read_stays():
    shared = [L.Conv2D(4, 1), L.Residual([L.BatchNormalization()])]
    proto = check(shared, IMAGE, fold_batch_norm=True)
    assert "BatchNormalization" in kinds(proto)


def test_channels_first():
    model, x = randomized([L.Conv2D(3, 2)], IMAGE)
    proto = onnx_export.model_proto(model, channels_last=False)
    assert kinds(proto) == ["Conv"]
    y = evaluated(proto, x.transpose(0, 3, 1, 2))
    np.testing.assert_allclose(y.transpose(0, 2, 3, 1), model.predict(x), atol=1e-5)


def test_what_a_file_says_of_its_model(tmp_path):
    model, _ = randomized(
        [L.Flatten(), L.Dense(2)], (2, 2, 1), name="tiny", preprocessing=[CenterCrop(2, 2)]
    )
    model.class_names = ["Äpfel", "Birnen"]
    model.to_onnx(tmp_path / "tiny.onnx")
    proto = onnx.load(tmp_path / "tiny.onnx")
    about = {entry.key: json.loads(entry.value) for entry in proto.metadata_props}
    assert about["class_names"] == ["Äpfel", "Birnen"]
    assert about["preprocessing"][0]["class_name"] == "CenterCrop"
    assert about["fastcnn_version"] == proto.producer_version == fastcnn.__version__
    assert proto.graph.name == "tiny"
    assert proto.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "N"
    assert [node.name for node in proto.graph.node] == ["flatten", "dense"]


def test_a_model_that_computes_nothing(tmp_path):
    check([L.Dropout(0.5)], IMAGE)


class Own(L.Layer):
    def lower(self, program, x):
        return program.add("dropout", [x], x.shape, rate=0.1, stream=0)


def test_refusals(tmp_path):
    model, _ = randomized([Own(name="mine")], IMAGE)
    with pytest.raises(ValueError, match="Layer 'mine': fastcnn knows no form in ONNX"):
        model.to_onnx(tmp_path / "x.onnx")
    model, _ = randomized([L.Dense(2)], (3,))
    with pytest.raises(ValueError, match="input_layout"):
        model.to_onnx(tmp_path / "x.onnx", input_layout="HWCN")
    model.parameters[0].value[0, 0] = np.nan
    with pytest.raises(ValueError, match="'dense/kernel' holds numbers that are not finite"):
        model.to_onnx(tmp_path / "x.onnx")
    assert not list(tmp_path.iterdir())


def test_without_the_package(monkeypatch, tmp_path):
    model, _ = randomized([L.Dense(2)], (3,))
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    with pytest.raises(ImportError, match=r"pip install 'fastcnn\[onnx\]'"):
        model.to_onnx(tmp_path / "x.onnx")
