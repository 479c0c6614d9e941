"""The networks of tools/parity.py, and which those of other libraries are the same."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fastcnn import applications
from fastcnn.models.sequential import Sequential

CLASSES = 7
NORMALIZATION = {
    "gamma": (0.5, 1.5),
    "beta": (-0.2, 0.2),
    "moving_mean": (-0.2, 0.2),
    "moving_variance": (0.5, 1.5),
}
"""Between which numbers weights of normalizations are drawn."""


class Peer(NamedTuple):
    """A network of another library.

    Args:
        library: "keras", "torchvision" or "timm".
        name: The network's there.
        arguments: What it takes beside the number of classes.
        epsilon: Of its batch normalizations, where fastcnn's differ from the library's own.
    """

    library: str
    name: str
    arguments: dict[str, Any] = {}  # noqa: RUF012  (nothing changes it)
    epsilon: float | None = None


class Case(NamedTuple):
    """A network of fastcnn.applications and the same one of others."""

    network: str
    arguments: dict[str, Any]
    size: int | None  # the images' height and width; None for the network's own
    peers: tuple[Peer, ...]

    @property
    def title(self) -> str:
        """The first cell of its row."""
        arguments = (f", {name}={value!r}" for name, value in self.arguments.items())
        return f"`{self.network}`{''.join(arguments)}"

    def build(self, seed: int = 0) -> Sequential:
        """Return the network with weights drawn from a seed, and its scores as its output."""
        function = getattr(applications, self.network)
        own = applications.NETWORKS[self.network.replace("_", "-")]().input_shape
        shape = own if self.size is None else (self.size, self.size, own[2])
        settings = {"classes": CLASSES, "classifier_activation": None, **self.arguments}
        model: Sequential = function(shape, seed=seed, **settings)
        draw = np.random.default_rng(seed)
        for parameter in model.parameters:
            bounds = NORMALIZATION.get(parameter.name)
            if bounds is not None:
                parameter.value[...] = draw.uniform(*bounds, parameter.shape)
        return model


KERAS, TORCHVISION = {"version": "keras"}, {"version": "torchvision"}
AS_KERAS = {"bn_eps": 1e-3, "pad_type": "same"}  # what timm's networks take


def _named(name: str, *libraries: str) -> tuple[Peer, ...]:
    return tuple(Peer(library, name) for library in libraries)


def _alike(network: str, size: int, *libraries: str, **arguments: Any) -> Case:
    """A network that has one name everywhere."""
    return Case(network, arguments, size, _named(network, *libraries))


def _everywhere(network: str, size: int, keras: str) -> Case:
    """A network that Keras has under another name, and all compute alike."""
    peers = (Peer("keras", keras), *_named(network, "torchvision", "timm"))
    return Case(network, {}, size, peers)


def _keras(network: str, size: int, name: str, *others: Peer) -> Case:
    """A network in Keras's version, of several."""
    return Case(network, KERAS, size, (Peer("keras", name), *others))


CASES = [
    Case("alexnet_single", {}, 224, (Peer("torchvision", "alexnet"),)),
    *(_alike(name, 224, "torchvision", "timm") for name in ("vgg11", "vgg13")),
    _everywhere("vgg16", 224, "VGG16"),
    _everywhere("vgg19", 224, "VGG19"),
    Case("googlenet", {}, None, ()),
    Case("googlenet", TORCHVISION, 224, (Peer("torchvision", "googlenet", {"aux_logits": True}),)),
    _keras("inception_v3", 139, "InceptionV3"),
    _alike("inception_v3", 139, "torchvision", "timm", **TORCHVISION),
    Case(
        *("xception", {}, 71),  # where Keras's padding is alike on all sides, as timm's is
        (Peer("keras", "Xception"), Peer("timm", "legacy_xception", {}, 1e-3)),
    ),
    *(_alike(f"resnet{depth}", 96, "torchvision", "timm") for depth in (18, 34, 50, 101, 152)),
    *(_keras(f"resnet{depth}", 96, f"ResNet{depth}") for depth in (50, 101, 152)),
    _everywhere("densenet121", 96, "DenseNet121"),
    *(_alike(name, 96, "torchvision") for name in ("squeezenet1_0", "squeezenet1_1")),
    Case(
        *("mobilenet", {}, 96),
        (Peer("keras", "MobileNet"), Peer("timm", "mobilenetv1_100", AS_KERAS)),
    ),
    Case(
        *("mobilenet_v2", {}, 96),
        (Peer("torchvision", "mobilenet_v2"), Peer("timm", "mobilenetv2_100")),
    ),
    _keras("mobilenet_v2", 96, "MobileNetV2", Peer("timm", "mobilenetv2_100", AS_KERAS)),
    _alike("efficientnet_b0", 96, "torchvision", "timm"),
    _keras("efficientnet_b0", 96, "EfficientNetB0", Peer("timm", "tf_efficientnet_b0")),
    Case("efficientnet_lite0", KERAS, 96, (Peer("timm", "tf_efficientnet_lite0"),)),
    Case("efficientnet_lite0", TORCHVISION, 96, (Peer("timm", "efficientnet_lite0"),)),
]


def cases() -> list[Case]:
    """Return the networks, those that no library has as well, in the order of NETWORKS."""
    ordered = []
    for name in applications.NETWORKS:
        network = name.replace("-", "_")
        own = [case for case in CASES if case.network == network]
        ordered += own or [Case(network, {}, None, ())]
    return ordered
