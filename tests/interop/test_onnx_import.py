"""Models of ONNX files: what fastcnn wrote, and graphs as PyTorch and others write them."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx_oracle import evaluated
from test_onnx_export import IMAGE, NETWORKS, randomized

import fastcnn
from fastcnn import layers as L
from fastcnn.data.augment.preprocessing import CenterCrop
from fastcnn.hdf5.errors import FormatError
from fastcnn.interop import onnx_export

GENERATOR = np.random.default_rng(11)


def constant(name, *shape):
    return numpy_helper.from_array(GENERATOR.normal(size=shape).astype(np.float32), name)


def integers(name, *values):
    return numpy_helper.from_array(np.array(values, np.int64), name)


def node(kind, inputs, output, **attributes):
    return helper.make_node(kind, inputs.split(), [output], name=f"/{output}/{kind}", **attributes)


def graph(nodes, constants, shape, opset=17, output="y"):
    """A model of one input x, of a batch of any size."""
    values = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, dims)
        for name, dims in (("x", ["N", *shape]), (output, None))
    ]
    onnx_graph = helper.make_graph(nodes, "made", values[:1], values[1:], constants)
    opsets = [helper.make_opsetid("", opset)]
    return helper.make_model(onnx_graph, opset_imports=opsets, ir_version=8)


def loaded(proto, tmp_path, **settings):
    path = tmp_path / "model.onnx"
    path.write_bytes(proto.SerializeToString())
    return fastcnn.from_onnx(path, **settings)


def classes(layers):
    return [type(layer).__name__ for layer in layers]


def check(proto, tmp_path, shape, expected=None):
    """Compare what a file's model computes with what the file itself does; shape is ONNX's."""
    model = loaded(proto, tmp_path)
    x = np.random.default_rng(3).normal(size=(2, *shape)).astype(np.float32)
    images = x.transpose(0, 2, 3, 1) if len(shape) == 3 else x
    y = evaluated(proto, x)
    y = y.transpose(0, 2, 3, 1) if y.ndim == 4 else y
    np.testing.assert_allclose(model.predict(images), y, rtol=1e-4, atol=1e-5)
    if expected is not None:
        assert classes(model.layers) == expected
    return model


WITHOUT_LAYERS = {"unshared", "transformer", "norms of windows"}


@pytest.mark.parametrize("name", sorted(NETWORKS.keys() - WITHOUT_LAYERS))
def test_what_fastcnn_wrote(name, tmp_path):
    layers = NETWORKS[name]()
    if name == "normalizations":  # ONNX's nodes for these are no layer's again
        layers = [layer for layer in layers if getattr(layer, "size", None) not in (3, 4)]
    model, x = randomized(layers, IMAGE)
    model.to_onnx(tmp_path / "model.onnx")
    again = fastcnn.from_onnx(tmp_path / "model.onnx")
    np.testing.assert_allclose(again.predict(x), model.predict(x), rtol=1e-5, atol=1e-6)


def test_a_network_keeps_its_layers_and_what_is_said_of_it(tmp_path):
    layers = [
        L.Conv2D(4, 3, padding="same", name="first"),
        L.BatchNormalization(),
        L.ReLU(),
        L.Residual([L.Conv2D(4, 1), L.BatchNormalization()]),
        L.GlobalAveragePooling2D(),
        L.Dense(3),
        L.Softmax(),
    ]
    model, _ = randomized(layers, IMAGE, name="tiny", preprocessing=[CenterCrop(6, 5)])
    model.class_names = ["a", "b", "c"]
    model.to_onnx(tmp_path / "model.onnx")
    again = fastcnn.from_onnx(tmp_path / "model.onnx")
    assert classes(again.layers) == classes(model.layers)
    assert again.layers[0].name == "first"
    assert (again.name, again.class_names) == ("tiny", ["a", "b", "c"])
    assert again.preprocessing[0].get_config() == model.preprocessing[0].get_config()
    for a, b in zip(again.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_flatten_of_channels_first(tmp_path):
    """As PyTorch's LeNet and VGG are exported: a view of sizes that are computed, then Gemm."""
    nodes = [
        node("Conv", "x w b", "c", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        node("Relu", "c", "r"),
        node("MaxPool", "r", "p", kernel_shape=[2, 2], strides=[2, 2]),
        node("Shape", "p", "s"),
        node("Constant", "", "zero", value=integers("", 0)),
        node("Gather", "s zero", "n", axis=0),
        node("Constant", "", "rest", value=integers("", -1)),
        node("Concat", "n rest", "shape", axis=0),
        node("Reshape", "p shape", "f"),
        node("BatchNormalization", "f g o m v", "z"),
        node("Gemm", "z w2 b2", "q", transB=1),
        node("Softmax", "q", "y"),
    ]
    constants = [constant("w", 5, 3, 3, 3), constant("b", 5), constant("w2", 4, 45)]
    constants += [constant("b2", 4), constant("g", 45), constant("o", 45), constant("m", 45)]
    constants += [numpy_helper.from_array(np.linspace(0.5, 1, 45, dtype=np.float32), "v")]
    expected = ["Conv2D", "ReLU", "MaxPooling2D", "Flatten", "BatchNormalization"]
    check(graph(nodes, constants, (3, 7, 6)), tmp_path, (3, 7, 6), [*expected, "Dense", "Softmax"])


def test_inverted_residual(tmp_path):
    """As MobileNetV2 is exported: depthwise, Clip by constants, a shortcut, ReduceMean."""
    nodes = [
        node("Conv", "x w", "a"),
        node("Constant", "", "low", value_float=0.0),
        node("Constant", "", "high", value_float=6.0),
        node("Clip", "a low high", "a6"),
        node("Conv", "a6 d", "b", group=8, pads=[1, 1, 1, 1]),
        node("Clip", "b low high", "b6"),
        node("Conv", "b6 p bias", "c"),
        node("Add", "x c", "sum"),
        node("ReduceMean", "sum", "y", axes=[-1, -2], keepdims=0),
    ]
    constants = [constant("w", 8, 4, 1, 1), constant("d", 8, 1, 3, 3), constant("p", 4, 8, 1, 1)]
    proto = graph(nodes, [*constants, constant("bias", 4)], (4, 5, 6))
    model = check(proto, tmp_path, (4, 5, 6), ["Residual", "GlobalAveragePooling2D"])
    assert "DepthwiseConv2D" in classes(model.layers[0].chains[0])


def test_fire_module(tmp_path):
    """As SqueezeNet is published: old operations, branches, a pooling and a softmax of maps."""
    nodes = [
        node("Conv", "x s", "a", kernel_shape=[1, 1]),
        node("Relu", "a", "r"),
        node("Conv", "r e", "l"),
        node("Conv", "r t", "k", auto_pad="SAME_LOWER"),
        node("Concat", "l k", "c", axis=1),
        node("MaxPool", "c", "m", kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1),
        helper.make_node("Dropout", ["m"], ["d", "mask"], ratio=0.5),
        node("GlobalAveragePool", "d", "g"),
        node("Softmax", "g", "y"),
    ]
    constants = [constant("s", 2, 3, 1, 1), constant("e", 3, 2, 1, 1), constant("t", 2, 2, 3, 3)]
    expected = ["Conv2D", "ReLU", "Concat", "MaxPooling2D", "GlobalAveragePooling2D", "Softmax"]
    model = loaded(graph(nodes, constants, (3, 8, 8), opset=10), tmp_path)
    assert classes(model.layers) == expected
    assert model.layers[2].chains[1][0].padding == "same" or model.output_shape == (1, 1, 5)


def test_squeeze_and_excitation_and_named_gates(tmp_path):
    nodes = [
        node("GlobalAveragePool", "x", "g"),
        node("Conv", "g w", "c"),
        node("Sigmoid", "c", "s"),
        node("Mul", "s x", "e"),
        node("Sigmoid", "e", "t"),
        node("Mul", "e t", "swish"),
        node("HardSigmoid", "swish", "u", alpha=1 / 6),
        node("Mul", "swish u", "hard"),
        node("Softplus", "hard", "v"),
        node("Tanh", "v", "w1"),
        node("Mul", "hard w1", "y"),
    ]
    proto = graph(nodes, [constant("w", 4, 4, 1, 1)], (4, 3, 5))
    model = check(proto, tmp_path, (4, 3, 5), ["Scale", "Activation", "Activation", "Activation"])
    assert [layer.activation for layer in model.layers[1:]] == ["swish", "hard_swish", "mish"]


def test_products_and_their_biases(tmp_path):
    """As Keras is exported: a Transpose first, MatMul and Add, a bias behind the convolution."""
    nodes = [
        node("Transpose", "x", "t", perm=[0, 3, 1, 2]),
        node("Conv", "t w", "c"),
        node("Add", "c cb", "d"),
        node("Transpose", "d", "l", perm=[0, 2, 3, 1]),
        node("Reshape", "l shape", "f"),
        node("MatMul", "f m", "p"),
        node("Add", "p mb", "q"),
        node("Sub", "q mb", "r"),
        node("Div", "r half", "z"),
        node("Tanh", "z", "y"),
    ]
    constants = [constant("w", 2, 3, 2, 2), constant("cb", 1, 2, 1, 1), integers("shape", -1, 24)]
    constants += [constant("m", 24, 5), constant("mb", 5)]
    constants += [numpy_helper.from_array(np.array(0.5, np.float32), "half")]
    proto = graph(nodes, constants, (4, 5, 3))
    model = loaded(proto, tmp_path)
    x = np.random.default_rng(3).normal(size=(2, 4, 5, 3)).astype(np.float32)
    np.testing.assert_allclose(model.predict(x), evaluated(proto, x), rtol=1e-4, atol=1e-5)
    expected = ["Conv2D", "Flatten", "Dense", "Rescaling", "Rescaling", "Activation"]
    assert classes(model.layers) == expected


ALONE = {
    "Clip": ({"min": -0.5, "max": 0.75}, 6),
    "LeakyRelu": ({"alpha": 0.1}, 17),
    "Celu": ({"alpha": 2.0}, 17),
    "Selu": ({"alpha": 2.0, "gamma": 3.0}, 17),
    "HardSigmoid": ({}, 17),
    "Abs": ({}, 17),
    "Neg": ({}, 17),
    "Softmax": ({"axis": 2}, 17),
    "LRN": ({"size": 3, "alpha": 0.5}, 17),
    "Transpose": ({"perm": [0, 1, 3, 2]}, 17),
    "AveragePool": ({"kernel_shape": [2, 3], "pads": [1, 1, 0, 1], "count_include_pad": 1}, 17),
    "Flatten": ({}, 17),
    "ReduceMax": ({"axes": [2, 3]}, 17),
    "Squeeze": ({}, 11),
}


@pytest.mark.parametrize("kind", ALONE)
def test_operations_alone(kind, tmp_path):
    attributes, opset = ALONE[kind]
    shape = (3, 4, 5)
    if kind == "Transpose":  # of a map: what comes out is as the graph says it
        proto = graph([node(kind, "x", "t", **attributes), node("Relu", "t", "y")], [], shape)
    else:
        proto = graph([node(kind, "x", "y", **attributes)], [], shape, opset)
    if kind in ("Squeeze", "Softmax", "Transpose"):
        model = loaded(proto, tmp_path)
        x = np.random.default_rng(3).normal(size=(2, *shape)).astype(np.float32)
        y = model.predict(x.transpose(0, 2, 3, 1))
        expected = evaluated(proto, x)
        if kind == "Squeeze":
            expected = expected.transpose(0, 2, 3, 1)
        np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-6)
    else:
        check(proto, tmp_path, shape)


PADDINGS = {
    "reflect before a convolution": ("reflect", [0, 0, 1, 2, 0, 0, 2, 1]),
    "edge": ("edge", [0, 0, 1, 2, 0, 0, 0, 0]),
    "zeros": ("constant", [0, 0, 1, 0, 0, 0, 0, 3]),
    "channels": ("constant", [0, 0, 0, 0, 0, 2, 0, 0]),
}


@pytest.mark.parametrize("name", PADDINGS)
def test_padding(name, tmp_path):
    mode, pads = PADDINGS[name]
    nodes = [node("Pad", "x pads", "p", mode=mode), node("Relu", "p", "y")]
    constants = [integers("pads", *pads)]
    if "convolution" in name:
        nodes[1] = node("Conv", "p w", "y")
        constants.append(constant("w", 2, 3, 2, 2))
    check(graph(nodes, constants, (3, 6, 5)), tmp_path, (3, 6, 5))


def test_images_without_an_axis_of_channels(tmp_path):
    nodes = [node("Softmax", "x", "s", axis=1), node("MatMul", "s w", "y")]
    proto = graph(nodes, [constant("w", 5, 2)], (4, 5))
    model = loaded(proto, tmp_path)
    assert (model.input_shape, model.output_shape) == ((4, 5, 1), (4, 2))
    x = np.random.default_rng(3).normal(size=(3, 4, 5)).astype(np.float32)
    np.testing.assert_allclose(model.predict(x[..., None]), evaluated(proto, x), atol=1e-6)


def test_negative_padding(tmp_path):
    pads = integers("pads", 0, 0, -1, 0, 0, 0, 0, -2)
    model = loaded(graph([node("Pad", "x pads", "y")], [pads], (3, 6, 5)), tmp_path)
    x = np.random.default_rng(3).normal(size=(2, 6, 5, 3)).astype(np.float32)
    np.testing.assert_array_equal(model.predict(x), x[:, 1:, :-2])


def test_the_output_that_is_wanted(tmp_path):
    proto = graph([node("Relu", "x", "y"), node("Tanh", "y", "z")], [], (4,))
    proto.graph.output.append(helper.make_tensor_value_info("z", TensorProto.FLOAT, None))
    with pytest.raises(FormatError, match="one output, and its graph has y, z: pass output="):
        loaded(proto, tmp_path)
    assert len(loaded(proto, tmp_path, output="z").layers) == 2


def test_a_shape_that_is_open(tmp_path):
    proto = graph([node("Relu", "x", "y")], [], (3, "H", "W"))
    with pytest.raises(FormatError, match="leaves its input's shape open"):
        loaded(proto, tmp_path)
    assert loaded(proto, tmp_path, input_shape=(5, 6, 3)).input_shape == (5, 6, 3)
    with pytest.raises(FormatError, match=r"input_shape is \(5, 6, 4\)"):
        loaded(proto, tmp_path, input_shape=(5, 6, 4))


def two_inputs():
    proto = graph([node("Relu", "x", "y")], [], (4,))
    proto.graph.input.append(helper.make_tensor_value_info("more", TensorProto.FLOAT, ["N", 4]))
    return proto


def elsewhere():
    proto = graph([node("Gemm", "x w", "y")], [constant("w", 4, 4)], (4,))
    tensor = proto.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")
    return proto


def too_few_numbers():
    proto = graph([node("Gemm", "x w", "y")], [constant("w", 4, 4)], (4,))
    proto.graph.initializer[0].dims[0] = 1 << 40
    return proto


def infinite():
    weights = numpy_helper.from_array(np.full((4, 4), np.inf, np.float32), "w")
    return graph([node("Gemm", "x w", "y")], [weights], (4,))


def alone(kind, shape=(4,), **attributes):
    return lambda: graph([node(kind, "x", "y", **attributes)], [], shape)


REFUSED = {
    "the node '/y/Det' \\(Det\\) cannot be read: fastcnn has no layer": alone("Det"),
    "is of the domain 'com.microsoft'": alone("Relu", domain="com.microsoft"),
    "one input, and its graph has 'x', 'more'": two_inputs,
    "its constant 'w' lies in another file, which is not read": elsewhere,
    "its constant 'w' has the shape \\(1099511627776, 4\\), and 16 numbers": too_few_numbers,
    "the matrix holds numbers that are not finite": infinite,
    "puts numbers of several images": alone("Flatten", axis=0),
    "moves the axis of the images": alone("Transpose", perm=[1, 0]),
    "along axis 0, which is that of the images": alone("Softmax", axis=0),
    "attribute 'then_branch', which holds no numbers or text": lambda: graph(
        [node("If", "x", "y", then_branch=graph([], [], ()).graph)], [], (4,)
    ),
    "and fastcnn's models take images": alone("Relu", (2, 3, 4, 5)),
    "it reads 'z', which nothing makes before it": lambda: graph(
        [node("Relu", "z", "y"), node("Relu", "x", "z")], [], (4,)
    ),
    "it holds no graph": onnx.ModelProto,
    "uses version 99": lambda: graph([node("Relu", "x", "y")], [], (4,), opset=99),
    "fastcnn's poolings have no dilation": alone(
        "MaxPool", (3, 8, 8), kernel_shape=[2, 2], dilations=[2, 2]
    ),
    "its result is larger than what it reads": lambda: graph(
        [node("Mul", "a b", "c"), node("Gemm", "x c", "y")],
        [constant("a", 1000, 1), constant("b", 1, 1000)],
        (4,),
    ),
    "what begins there does not end in one place": lambda: graph(
        [
            *(node("Relu", "x", "a"), node("Tanh", "a", "b"), node("Neg", "a", "c")),
            *(node("Add", "b c", "d"), node("Add", "b d", "e"), node("Add", "e c", "y")),
        ],
        [],
        (4,),
    ),
}


@pytest.mark.parametrize("message", REFUSED)
def test_refusals(message, tmp_path):
    with pytest.raises(FormatError, match=f"model.onnx' .*{message}"):
        loaded(REFUSED[message](), tmp_path)


def test_no_onnx_file(tmp_path):
    (tmp_path / "x.onnx").write_bytes(b"\x89HDF\r\n\x1a\n" * 9)
    with pytest.raises(FormatError, match=r"x\.onnx'"):
        fastcnn.from_onnx(tmp_path / "x.onnx")
    with pytest.raises(FileNotFoundError):
        fastcnn.from_onnx(tmp_path / "none.onnx")


def test_damaged_files_are_refused_or_read(tmp_path):
    """Whatever bytes a file has, it is a model or a FormatError."""
    model, _ = randomized(NETWORKS["branches"](), IMAGE)
    model.class_names = ["a", "b"]
    data = bytearray(onnx_export.model_proto(model).SerializeToString())
    weights = {id(t): len(t.raw_data) for t in onnx_export.model_proto(model).graph.initializer}
    assert sum(weights.values()) < len(data)
    generator = np.random.default_rng(17)
    outcomes = {True: 0, False: 0}
    for _ in range(250):
        damaged = bytearray(data)
        for place in generator.integers(len(data), size=generator.integers(1, 4)):
            damaged[place] = generator.integers(256)
        if generator.random() < 0.2:
            del damaged[generator.integers(len(data)) :]
        (tmp_path / "x.onnx").write_bytes(damaged)
        try:
            fastcnn.from_onnx(tmp_path / "x.onnx")
        except FormatError:
            outcomes[False] += 1
        else:
            outcomes[True] += 1
    assert min(outcomes.values()) > 10
