"""The convolutions of published networks, each in the order of its layers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from fastcnn import applications
from fastcnn.graph.problem import Problem
from fastcnn.models.sequential import Sequential

Convolutions = Iterator[tuple[str, Problem]]


def convolutions(model: Sequential) -> Convolutions:
    """Yield what a network's convolutions compute, by the names of their layers.

    A separable convolution is two: d is depthwise, p the 1x1 behind it.
    """
    ops = [op for op in model.program().ops if op.kind == "conv2d"]
    in_layer = Counter(op.layer for op in ops)
    for op in ops:
        problem = op.attributes["problem"]
        part = "" if in_layer[op.layer] == 1 else "d" if problem.depthwise else "p"
        yield op.layer.rpartition("/")[2] + part, problem


def lenet() -> Convolutions:
    """LeNet-5 (LeCun et al. 1998) on images of 28x28 with a margin of 2; C3 joins all maps."""
    yield from convolutions(applications.lenet5())
    yield "C5", Problem(5, 5, 16, 120, (5, 5))


def cifar() -> Convolutions:
    """The example cifar-small, then ResNet-20 (He et al. 2015, section 4.2) with 1x1 shortcuts."""
    for name, problem in convolutions(applications.cifar_small()):
        yield name.replace("conv", "small"), problem
    for name, problem in convolutions(applications.resnet20()):
        yield name.replace("conv", "resnet"), problem


def alexnet() -> Convolutions:
    """AlexNet (Krizhevsky et al. 2012) on 227x227; the groups are its two GPUs."""
    return convolutions(applications.alexnet())


def zfnet() -> Convolutions:
    """ZFNet (Zeiler & Fergus 2013), figure 3."""
    return convolutions(applications.zfnet())


def vgg16() -> Convolutions:
    """VGG-16 (Simonyan & Zisserman 2014), configuration D."""
    return convolutions(applications.vgg16())


def vgg19() -> Convolutions:
    """VGG-19, configuration E."""
    return convolutions(applications.vgg19())


def googlenet() -> Convolutions:
    """GoogLeNet (Szegedy et al. 2014), table 1, without the auxiliary classifiers."""
    return convolutions(applications.googlenet())


def resnet34() -> Convolutions:
    """ResNet-34 (He et al. 2015), table 1, with 1x1 shortcuts where the shape changes."""
    return convolutions(applications.resnet34())


def resnet50() -> Convolutions:
    """ResNet-50 (He et al. 2015), table 1; a stage's stride is in its first 1x1 convolutions."""
    return convolutions(applications.resnet50(version="v1"))


def xception() -> Convolutions:
    """Xception (Chollet 2016), figure 5, on 299x299; d is depthwise, p the 1x1 behind it."""
    return convolutions(applications.xception())


def convnet_benchmarks() -> Convolutions:
    """The five layers of Soumith Chintala's convnet-benchmarks (2014)."""
    sizes = ((128, 3, 96, 11), (64, 64, 128, 9), (32, 128, 128, 9), (16, 128, 128, 7))
    for number, (size, channels, filters, kernel) in enumerate((*sizes, (13, 384, 384, 3)), 1):
        yield f"L{number}", Problem(size, size, channels, filters, (kernel, kernel))
