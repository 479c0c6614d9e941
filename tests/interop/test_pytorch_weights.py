"""Weights of PyTorch networks in and out, without PyTorch: what its modules compute is written
here in NumPy, channels first."""

from __future__ import annotations

import numpy as np
import pytest
from deadline import within
from safetensors.numpy import save_file
from test_hdf5_damage import mutations

import fastcnn
from fastcnn.hdf5.errors import FormatError
from fastcnn.interop.pytorch.weights import load_torch_weights
from fastcnn.layers import (
    BatchNormalization,
    Concat,
    Conv2D,
    Conv2DTranspose,
    Dense,
    DepthwiseConv2D,
    Dropout,
    Flatten,
    GlobalAveragePooling2D,
    GroupNormalization,
    LayerNormalization,
    LocallyConnected2D,
    Permute,
    PReLU,
    Reshape,
    SeparableConv2D,
    SqueezeExcite,
)

GENERATOR = np.random.default_rng(5)


def model(*layers, shape=(5, 4, 4)):
    return fastcnn.Sequential(layers, shape)


def random(*shape):
    return GENERATOR.normal(size=shape).astype(np.float32)


def conv2d(x, weight, bias=None, groups=1):
    """torch.nn.functional.conv2d of [N, C, H, W], step 1, no padding."""
    outputs, _, rows, columns = weight.shape
    windows = np.lib.stride_tricks.sliding_window_view(x, (rows, columns), (2, 3))
    inputs, filters = x.shape[1] // groups, outputs // groups
    parts = [
        np.einsum(
            "nihwab,oiab->nohw",
            windows[:, g * inputs : (g + 1) * inputs],
            weight[g * filters : (g + 1) * filters],
        )
        for g in range(groups)
    ]
    y = np.concatenate(parts, 1)
    return y if bias is None else y + bias[:, None, None]


def conv_transpose2d(x, weight, groups):
    """torch.nn.functional.conv_transpose2d: each pixel adds a window of the output, step 1."""
    inputs, outputs, rows, columns = weight.shape
    n, _, height, width = x.shape
    y = np.zeros((n, outputs * groups, height + rows - 1, width + columns - 1), np.float32)
    each = inputs // groups
    for channel in range(inputs):
        first = channel // each * outputs
        for i in range(height):
            for j in range(width):
                window = x[:, channel, i, j, None, None, None] * weight[channel]
                y[:, first : first + outputs, i : i + rows, j : j + columns] += window
    return y


def normalized(x, state, name, epsilon):
    shape = (-1, *(1,) * (x.ndim - 2))
    weight, bias, mean, variance = (
        state[f"{name}.{own}"].reshape(shape)
        for own in ("weight", "bias", "running_mean", "running_var")
    )
    return (x - mean) / np.sqrt(variance + epsilon) * weight + bias


def norm(name, channels):
    return {
        f"{name}.weight": random(channels),
        f"{name}.bias": random(channels),
        f"{name}.running_mean": random(channels),
        f"{name}.running_var": np.abs(random(channels)) + 0.5,
        f"{name}.num_batches_tracked": np.array(7),
    }


def random_like(net):
    """A state dict for a model, of random numbers."""
    state = net.to_torch_state_dict()
    return {name: np.abs(random(*array.shape)) + 0.1 for name, array in state.items()}


def predicted(net, x):
    """The model's outputs for [N, C, H, W] or rows, channels first."""
    y = net.predict(x.transpose(0, 2, 3, 1) if x.ndim == 4 else x)
    return y.transpose(0, 3, 1, 2) if y.ndim == 4 else y


def test_convolutions_and_what_follows_a_flatten_compute_as_in_pytorch():
    state = {
        "conv.weight": random(6, 2, 3, 2),
        "conv.bias": random(6),
        "dw.weight": random(12, 1, 2, 2),
        **norm("bn", 12),
        "up.weight": random(12, 3, 2, 2),
        **norm("bn1d", 6 * 3 * 3),
        "fc1.weight": random(5, 6 * 3 * 3),
        "fc1.bias": random(5),
        "fc2.weight": random(3, 5),
        "fc2.bias": random(3),
    }
    net = model(
        Conv2D(6, (3, 2), groups=2),
        DepthwiseConv2D(2, depth_multiplier=2, use_bias=False),
        BatchNormalization(epsilon=1e-5),
        Conv2DTranspose(6, 2, groups=2, use_bias=False),
        Flatten(),
        Dropout(0.5),
        BatchNormalization(epsilon=1e-4),
        Dense(5),
        Dense(3),
    )
    load_torch_weights(net, state, verbose=False)
    x = random(2, 4, 5, 4)
    y = conv2d(x, state["conv.weight"], state["conv.bias"], groups=2)
    y = conv2d(y, state["dw.weight"], groups=6)
    y = conv_transpose2d(normalized(y, state, "bn", 1e-5), state["up.weight"], groups=2)
    y = normalized(y.reshape(2, -1), state, "bn1d", 1e-4)
    for name in ("fc1", "fc2"):
        y = y @ state[f"{name}.weight"].T + state[f"{name}.bias"]
    np.testing.assert_allclose(predicted(net, x), y, rtol=1e-4, atol=1e-4)


def test_rows_that_become_maps_and_rows_side_by_side_compute_as_in_pytorch():
    net = model(
        Concat([Conv2D(3, 2, use_bias=False), Flatten()], [Flatten()]),
        Dense(2 * 3 * 4, use_bias=False),
        BatchNormalization(epsilon=1e-3),
        Reshape((2, 3, 4)),
    )
    state = {
        "conv.weight": random(3, 4, 2, 2),
        "fc.weight": random(24, 3 * 4 * 3 + 4 * 5 * 4),
        **norm("bn", 24),
    }
    load_torch_weights(net, state, verbose=False)
    x = random(2, 4, 5, 4)
    branches = conv2d(x, state["conv.weight"]).reshape(2, -1), x.reshape(2, -1)
    y = np.concatenate(branches, 1) @ state["fc.weight"].T
    y = normalized(y, state, "bn", 1e-3).reshape(2, 4, 2, 3)
    np.testing.assert_allclose(predicted(net, x), y, rtol=1e-4, atol=1e-4)


def test_permuted_axes_are_the_same_numbers_as_in_pytorch():
    """Channels that are put first are flattened as PyTorch does it."""
    net = model(Conv2D(3, 2, use_bias=False), Permute((3, 1, 2)), Flatten(), Dense(2))
    state = {"conv.weight": random(3, 4, 2, 2), "fc.weight": random(2, 36), "fc.bias": random(2)}
    load_torch_weights(net, state, verbose=False)
    np.testing.assert_array_equal(net.layers[-1].parameters[0].value, state["fc.weight"].T)
    x = random(2, 4, 5, 4)
    y = conv2d(x, state["conv.weight"]).reshape(2, -1) @ state["fc.weight"].T + state["fc.bias"]
    np.testing.assert_allclose(predicted(net, x), y, rtol=1e-4, atol=1e-4)


def test_one_slope_goes_to_all_channels():
    net = model(PReLU(shared_axes=(1, 2)))
    load_torch_weights(net, {"act.weight": np.array([0.25])}, verbose=False)
    np.testing.assert_array_equal(net.layers[0].parameters[0].value, np.full((1, 1, 4), 0.25))


TABLE = [[1, 0, 1], [1, 1, 0], [0, 1, 1], [1, 1, 1]]

KINDS = {
    "grouped": [Conv2D(4, (3, 2), groups=2)],
    "connections": [Conv2D(3, 2, connections=TABLE)],
    "depthwise": [DepthwiseConv2D(2, depth_multiplier=3)],
    "separable": [SeparableConv2D(5, 2, depth_multiplier=2)],
    "transposed": [Conv2DTranspose(6, 3, strides=2, groups=2)],
    "batch": [BatchNormalization()],
    "batch without gamma": [BatchNormalization(scale=False)],
    "group": [GroupNormalization(2)],
    "layer": [LayerNormalization(axis=(1, 2, 3))],
    "slopes": [PReLU(shared_axes=(1, 2))],
    "slopes of pixels": [PReLU()],
    "slopes of a flattened map": [Flatten(), PReLU()],
    "gate": [SqueezeExcite(2)],
    "dense": [Flatten(), Dense(3), PReLU(), LayerNormalization(), Dense(12), Reshape((2, 2, 3))],
}


@pytest.mark.parametrize("kind", KINDS)
def test_weights_go_out_and_come_back(kind):
    first = model(*KINDS[kind])
    second = fastcnn.Sequential.from_config(first.get_config())
    for parameter in first.parameters:
        parameter.value[...] = random(*parameter.shape)
    state = first.to_torch_state_dict()
    load_torch_weights(second, state, verbose=False)
    for ours, theirs in zip(first.parameters, second.parameters, strict=True):
        np.testing.assert_array_equal(ours.value, theirs.value)


def small(classes=2):
    return model(Conv2D(3, 2, name="conv"), Flatten(), Dense(classes, name="fc"))


@pytest.fixture(scope="module")
def state():
    return {
        "features.0.weight": random(3, 4, 2, 2),
        "features.0.bias": random(3),
        "head.weight": random(2, 36),
        "head.bias": random(2),
    }


def bits(net):
    return [parameter.value.tobytes() for parameter in net.parameters]


@pytest.fixture(scope="module")
def expected(state):
    net = small()
    load_torch_weights(net, state, verbose=False)
    return bits(net)


def test_names_shapes_and_order_of_a_given_network_are_kept(state, expected):
    """A convolution over all of a map and one over single pixels are dense layers, too."""
    net = small()
    like = {
        "head.weight": random(2, 3, 4, 3),
        "head.bias": random(2),
        "counts.num_batches_tracked": np.array(4),
        "body.weight": random(3, 4, 2, 2),
        "body.bias": random(3),
        "aux.fc.weight": random(9, 9),
    }
    load_torch_weights(net, {**like, "head.weight": state["head.weight"].reshape(2, 3, 4, 3)})
    load_torch_weights(net, state, verbose=False)
    out = net.to_torch_state_dict(like)
    assert [(name, a.shape) for name, a in out.items()] == [(n, a.shape) for n, a in like.items()]
    np.testing.assert_array_equal(out["head.weight"].reshape(2, 36), state["head.weight"])
    np.testing.assert_array_equal(out["body.weight"], state["features.0.weight"])
    np.testing.assert_array_equal(out["aux.fc.weight"], like["aux.fc.weight"])
    again = small()
    load_torch_weights(again, out, verbose=False)
    assert bits(again) == expected


def test_exported_arrays_are_copies():
    net = small()
    before = bits(net)
    for array in net.to_torch_state_dict().values():
        array[...] = 7
    assert bits(net) == before


def test_the_pairing_is_printed_and_returned(state, capsys):
    pairing = load_torch_weights(small(), state)
    assert pairing.modules == {"conv": "features.0", "fc": "head"}
    assert capsys.readouterr().out == "conv <- features.0\nfc   <- head\n"
    load_torch_weights(small(), state, verbose=False)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: {"state_dict": state, "epoch": 3},
        lambda state: {"optimizer": {"state": {}}, "model": state, "state_dict_ema": state},
        lambda state: {"weights of last week": state, "args": None},
        lambda state: {f"module.{name}": array for name, array in state.items()},
        lambda state: {name: array.astype(np.float64) for name, array in state.items()},
    ],
    ids=["state_dict", "model", "the only one", "module", "float64"],
)
def test_checkpoints_are_seen_through(wrap, state, expected):
    net = small()
    load_torch_weights(net, wrap(state), verbose=False)
    assert bits(net) == expected


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda state: {"a": state, "b": state}, "It has a, b"),
        (lambda state: {"epoch": 3}, "is no state dict"),
        (lambda state: {}, "is no state dict"),
        (lambda state: {**state, "head.bias": np.array([1, np.nan])}, "head.bias' has numbers"),
        (lambda state: {**state, "head.bias": np.array([1e300, 0])}, "head.bias' has numbers"),
        (lambda state: {**state, "head.bias": np.array([1, 2])}, "int64 where weights"),
        (lambda state: {**state, "head.bias": np.array([1j, 2])}, "complex128 where weights"),
        (lambda state: {**state, "head.bias": np.zeros(3)}, r"stands 'head' with .*bias \(3,\)"),
    ],
)
def test_what_is_refused_changes_nothing(change, words, state):
    net = small()
    before = bits(net)
    with pytest.raises(FormatError, match=words):
        load_torch_weights(net, change(state), verbose=False)
    assert bits(net) == before


def test_other_classes_are_left_out_where_that_is_asked_for(state):
    net = small(classes=9)
    before = net.get_layer("fc").parameters[0].value.copy()
    pairing = load_torch_weights(net, state, skip_mismatch=True, verbose=False)
    assert list(pairing.skipped) == ["fc", "head"]
    np.testing.assert_array_equal(net.get_layer("fc").parameters[0].value, before)
    np.testing.assert_array_equal(
        net.get_layer("conv").parameters[1].value, state["features.0.bias"]
    )


def test_weights_where_a_table_has_none_are_refused():
    net = model(Conv2D(3, 2, connections=TABLE, use_bias=False))
    with pytest.raises(FormatError, match=r"'w.weight' cannot be the weights of 'conv2d': it has"):
        load_torch_weights(net, {"w.weight": random(3, 4, 2, 2)}, verbose=False)


def test_a_layer_that_pytorch_lacks_is_named():
    net = model(LocallyConnected2D(2, 2, name="own"))
    with pytest.raises(ValueError, match="LocallyConnected2D 'own' at 'own' has weights, and"):
        net.to_torch_state_dict()


def test_numbers_that_are_not_finite_do_not_leave():
    net = model(Dense(2, name="own"))
    net.parameters[0].value[0, 0] = np.nan
    for like in (None, {"fc.weight": np.eye(2), "fc.bias": np.ones(2)}):
        with pytest.raises(ValueError, match=r"1 of the .* numbers of 'own/kernel' are not finite"):
            net.to_torch_state_dict(like)


def test_safetensors_of_fastcnn_are_left_to_load_weights(tmp_path):
    net = model(Dense(2))
    net.save_weights(tmp_path / "own.safetensors")
    with pytest.raises(FormatError, match=r"as fastcnn has them.*: model\.load_weights\(path\)"):
        load_torch_weights(net, tmp_path / "own.safetensors", verbose=False)


def test_safetensors_are_read_without_pytorch(tmp_path):
    path = tmp_path / "a.safetensors"
    save_file(
        {"fc.weight": np.eye(2, 3, dtype=np.float32), "fc.bias": np.ones(2, np.float16)}, path
    )
    model = fastcnn.Sequential([GlobalAveragePooling2D(), Dense(2)], (2, 2, 3))
    pairing = fastcnn.load_torch_weights(model, path, verbose=False)
    assert pairing.modules == {"dense": "fc"}
    np.testing.assert_array_equal(model.layers[1].parameters[0].value, np.eye(3, 2))


def refusals_of_damage(load, net, path, count):
    """How many of `count` damages of a file are refused, which changes nothing in the model."""
    before, refused = bits(net), 0
    for mutant in mutations(path.read_bytes(), np.random.default_rng(7), count):
        path.write_bytes(mutant)
        try:
            with within():
                load(net, path, verbose=False)
        except FormatError:
            refused += 1
            assert bits(net) == before
        else:
            before = bits(net)
    return refused


@pytest.mark.parametrize("count", [150, pytest.param(2000, marks=pytest.mark.exhaustive)])
def test_damaged_safetensors_are_an_error_or_harmless(count, state, tmp_path):
    path, net = tmp_path / "a.safetensors", small()
    save_file({**state, "head.num_batches_tracked": np.array(3)}, path)
    refused = refusals_of_damage(load_torch_weights, net, path, count)
    assert count > refused > count / 4


def test_long_numbers_in_names_are_sorted(state, expected):
    """Python makes no int of more than some thousand digits."""
    net = small()
    names = ["a" + "1" * 9000, "a" + "1" * 9000 + "0"]
    modules = dict(zip(["features.0", "head"], names, strict=True))
    long = {modules[n.rpartition(".")[0]] + "." + n.rpartition(".")[2]: a for n, a in state.items()}
    load_torch_weights(net, dict(sorted(long.items())), verbose=False)
    assert bits(net) == expected


def test_other_files_are_refused(tmp_path):
    small().save_weights(tmp_path / "a.weights")
    with pytest.raises(FormatError, match="holds no PyTorch weights: expected a safetensors file"):
        load_torch_weights(small(), tmp_path / "a.weights")
    with pytest.raises(OSError, match="missing"):
        load_torch_weights(small(), tmp_path / "missing.pth")


@pytest.mark.parametrize("ending", [".pth", ".PT", ".th"])
def test_load_weights_says_who_reads_files_of_other_frameworks(ending, tmp_path):
    words = r"fastcnn\.load_torch_weights\(model, path\) reads it"
    with pytest.raises(FormatError, match=words):
        small().load_weights(tmp_path / f"a{ending}")
