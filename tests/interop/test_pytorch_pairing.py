"""Which module of a state dict is which layer: by shapes and by the tree of names, in whichever
order the names stand."""

from __future__ import annotations

import numpy as np
import pytest
from deadline import within
from torch_names import (
    caffe_googlenet,
    cifar_resnet,
    timm_efficientnet,
    torchvision_densenet,
    torchvision_googlenet,
    torchvision_resnet,
)

import fastcnn
from fastcnn import applications
from fastcnn.hdf5.errors import FormatError
from fastcnn.interop.pytorch.pairing import paired
from fastcnn.interop.pytorch.slots import slots_of
from fastcnn.layers import (
    AuxiliaryClassifier,
    BatchNormalization,
    Concat,
    Conv2D,
    Dense,
    Flatten,
    GlobalAveragePooling2D,
    Residual,
)


def empty(shape):
    """An array that takes no memory."""
    return np.broadcast_to(np.float32(0), shape)


def state_of(slots, names):
    """What PyTorch would have for a model, under the names of its modules in the model's order."""
    state = {}
    for slot, name in zip(slots, names, strict=True):
        for own, shape in slot.shapes.items():
            state[f"{name}.{own}"] = empty(shape)
        if "running_mean" in slot.shapes:
            state[f"{name}.num_batches_tracked"] = np.int64(3)
    return state


def reordered(state, order):
    if order == "sorted":
        return dict(sorted(state.items()))
    if order == "auxiliaries last":
        return dict(sorted(state.items(), key=lambda item: "aux" in item[0]))
    return dict(reversed(state.items())) if order == "reversed" else state


def model(*layers, shape=(8, 8, 3)):
    return fastcnn.Sequential(layers, shape)


NETWORKS = {
    "resnet20": (applications.resnet20, {"shortcut": "A", "version": "pytorch"}, cifar_resnet(3)),
    "resnet18": (applications.resnet18, {}, torchvision_resnet((2, 2, 2, 2), 2)),
    "resnet50": (applications.resnet50, {}, torchvision_resnet((3, 4, 6, 3), 3)),
    "googlenet": (applications.googlenet, {"version": "torchvision"}, torchvision_googlenet()),
    "googlenet of Caffe": (applications.googlenet, {}, caffe_googlenet()),
    "densenet121": (applications.densenet121, {}, torchvision_densenet()),
    "efficientnet_b0": (applications.efficientnet_b0, {}, timm_efficientnet()),
}
NETWORKS = {name: (*entry, list(names)) for name, (*entry, names) in NETWORKS.items()}


@pytest.mark.parametrize("order", ["registered", "sorted", "auxiliaries last"])
@pytest.mark.parametrize("network", NETWORKS)
def test_known_networks_are_paired(network, order):
    build, options, names = NETWORKS[network]
    slots = slots_of(build(**options).layers)
    state = reordered(state_of(slots, names), order)
    modules, pairing = paired("x", slots, state, skip_mismatch=False)
    assert [module.name for module in modules] == names
    assert pairing.modules == {slot.name: name for slot, name in zip(slots, names, strict=True)}
    assert not pairing.skipped


def bottleneck(shortcut_first=False):
    body = [Conv2D(4, 1, name="a"), Conv2D(8, 1, name="b"), BatchNormalization(name="n")]
    shortcut = [Conv2D(8, 1, name="s"), BatchNormalization(name="sn")]
    return Residual(body, shortcut, shortcut_first=shortcut_first, name="block")


@pytest.mark.parametrize("order", ["registered", "sorted", "reversed"])
def test_modules_of_the_same_shapes_go_to_the_nearest_layer(order):
    """Both `b` and `s` are [8, 4, 1, 1]: the body goes on in its place, the shortcut is below."""
    names = ["stem", "first.conv1", "first.conv2", "first.bn2", "first.down.0", "first.down.1"]
    slots = slots_of(model(Conv2D(4, 1, name="stem"), bottleneck()).layers)
    modules, _ = paired("x", slots, reordered(state_of(slots, names), order), False)
    assert [module.name for module in modules] == names


@pytest.mark.parametrize("order", ["registered", "sorted"])
@pytest.mark.parametrize(
    "names",
    [
        "convs.0 bns.0 convs.1 bns.1 convs.2 bns.2 head",
        "0 1 3 4 6 7 11",
        "module.net.conv1 module.net.bn1 module.net.conv2 module.net.bn2 module.net.conv10 "
        "module.net.bn10 module.fc",
    ],
    ids=["lists", "sequential", "prefixed"],
)
def test_names_of_ones_own_are_paired(names, order):
    names = names.split()
    layers = [layer() for _ in range(3) for layer in (lambda: Conv2D(3, 1), BatchNormalization)]
    slots = slots_of(model(*layers, GlobalAveragePooling2D(), Dense(2)).layers)
    modules, _ = paired("x", slots, reordered(state_of(slots, names), order), False)
    assert [module.name for module in modules] == names


def with_side(auxiliary):
    side = AuxiliaryClassifier([Flatten(), Dense(5, name="d"), Dense(2, name="e")], name="side")
    end = [Conv2D(3, 1, name="c2"), GlobalAveragePooling2D(), Dense(2, name="head")]
    return model(Conv2D(3, 1, name="c1"), *([side] if auxiliary else []), *end, shape=(2, 2, 3))


@pytest.mark.parametrize("ours", [True, False])
def test_auxiliary_classifiers_of_one_side_alone_are_left_out(ours):
    names = ["c1", "aux.fc1", "aux.fc2", "c2", "fc"]
    state = state_of(slots_of(with_side(True).layers), names)
    if ours:
        state = {name: array for name, array in state.items() if "aux" not in name}
    slots = slots_of(with_side(ours).layers)
    _, pairing = paired("x", slots, state, skip_mismatch=False)
    assert pairing.modules == {"c1": "c1", "c2": "c2", "head": "fc"}
    left = ["side/d", "side/e"] if ours else ["aux.fc1", "aux.fc2"]
    assert list(pairing.skipped) == left


def test_what_finds_no_partner_is_said_from_both_sides():
    def net(classes):
        return model(Conv2D(4, 3, name="conv"), GlobalAveragePooling2D(), Dense(classes, name="fc"))

    state = state_of(slots_of(net(10).layers), ["features.0", "head"])
    slots = slots_of(net(7).layers)
    with pytest.raises(FormatError) as error:
        paired("x.pth", slots, state, skip_mismatch=False)
    assert str(error.value) == (
        "'x.pth' does not fit the model. Layer 'fc' needs weight (7, 4) and bias (7,). In its "
        "place, behind 'features.0', stands 'head' with weight (10, 4) and bias (10,). In all, 1 "
        "of 2 layers with weights have no partner, and 1 of the file's modules. Nothing was "
        "loaded. skip_mismatch=True leaves out what does not fit."
    )
    modules, pairing = paired("x.pth", slots, state, skip_mismatch=True)
    assert modules[1] is None
    assert pairing.modules == {"conv": "features.0"}
    assert pairing.skipped == {
        "fc": "no module has weight (7, 4) and bias (7,)",
        "head": "no layer takes weight (10, 4) and bias (10,)",
    }


def test_what_the_model_lacks_is_said():
    slots = slots_of(model(Conv2D(4, 3, name="conv")).layers)
    state = {**state_of(slots, ["a"]), "b.weight": empty((3,)), "c.mean": empty((3,))}
    with pytest.raises(FormatError, match=r"It has 'b' with weight \(3,\), and 1 more, for which"):
        paired("x", slots, state, skip_mismatch=False)
    fewer = dict(list(state.items())[:2])
    longer = slots_of(model(Conv2D(4, 3), Conv2D(4, 1, name="second")).layers)
    with pytest.raises(FormatError, match=r"'second' needs .*, and there is none left, behind 'a"):
        paired("x", longer, fewer, skip_mismatch=False)
    with pytest.raises(FormatError, match="does not fit"):  # nothing at all would be loaded
        paired("x", slots, {"b.weight": empty((3,))}, skip_mismatch=True)


def test_a_file_of_very_many_modules_is_refused_at_once():
    slots = slots_of(model(Conv2D(4, 3)).layers)
    state = {f"m{number}.weight": empty((4, 3, 3, 3)) for number in range(5000)}
    with pytest.raises(FormatError, match="5,000 modules, and the model needs 1"):
        paired("x", slots, state, skip_mismatch=True)


def test_many_modules_of_the_same_shapes_take_seconds_at_most():
    slots = slots_of(model(*(Conv2D(3, 1) for _ in range(40))).layers)
    names = [f"a{number % 7}.b{number % 13}.c{number}" for number in range(340)]
    state = {}
    for name in names:
        state |= {f"{name}.weight": empty((3, 3, 1, 1)), f"{name}.bias": empty((3,))}
    with within(), pytest.raises(FormatError, match="and 299 more, for which"):
        paired("x", slots, state, skip_mismatch=False)


def test_side_by_side_branches_keep_their_order():
    branches = [[Conv2D(4, 1), Conv2D(4, 3, padding=1)] for _ in range(3)]
    slots = slots_of(model(Concat(*branches)).layers)
    names = [f"mixed.branch{branch}_{number}" for branch in "abc" for number in (1, 2)]
    modules, _ = paired("x", slots, state_of(slots, names), False)
    assert [module.name for module in modules] == names
