"""Well-known networks by name; each ends in class probabilities.

Every function takes `input_shape`, `classes`, `rescale` (begin with Rescaling(1/255), for uint8
images), `seed` and `device`, and returns a Sequential.
"""

from __future__ import annotations

from collections.abc import Callable

from fastcnn.applications.cifar_small import cifar_small
from fastcnn.applications.lenet import caffe_lenet, lenet5
from fastcnn.applications.resnet import resnet20
from fastcnn.applications.vgg import vgg16
from fastcnn.models.sequential import Sequential
from fastcnn.utils import naming

__all__ = ["NETWORKS", "caffe_lenet", "cifar_small", "get", "lenet5", "resnet20", "vgg16"]

NETWORKS: dict[str, Callable[..., Sequential]] = {
    "lenet5": lenet5,
    "caffe-lenet": caffe_lenet,
    "cifar-small": cifar_small,
    "resnet20": resnet20,
    "vgg16": vgg16,
}


def get(name: str) -> Callable[..., Sequential]:
    """The function that builds a network.

    Args:
        name: One of `NETWORKS`, such as "resnet20".

    Returns:
        The function; its arguments are `lenet5`'s.

    Raises:
        ValueError: There is no such network; the message has the nearest.
    """
    return naming.lookup("network", name, NETWORKS)
