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


def _conv(
    size: int,
    channels: int,
    filters: int,
    kernel: int,
    stride: int = 1,
    pad: int | None = None,
    groups: int = 1,
) -> Problem:
    """Return a square problem; without `pad` the kernel is centred, as a convolution that keeps
    the size has it."""
    side = kernel // 2 if pad is None else pad
    sides = ((side, side), (side, side))
    window, strides = (kernel, kernel), (stride, stride)
    return Problem(size, size, channels, filters, window, strides, sides, groups=groups)


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
    yield "conv1", _conv(227, 3, 96, 11, 4, pad=0)
    yield "conv2", _conv(27, 96, 256, 5, groups=2)
    yield "conv3", _conv(13, 256, 384, 3)
    yield "conv4", _conv(13, 384, 384, 3, groups=2)
    yield "conv5", _conv(13, 384, 256, 3, groups=2)


def zfnet() -> Convolutions:
    """ZFNet (Zeiler & Fergus 2013), figure 3."""
    yield "conv1", _conv(224, 3, 96, 7, 2, pad=1)
    yield "conv2", _conv(55, 96, 256, 5, 2, pad=0)
    yield "conv3", _conv(13, 256, 384, 3)
    yield "conv4", _conv(13, 384, 384, 3)
    yield "conv5", _conv(13, 384, 256, 3)


def vgg16() -> Convolutions:
    """VGG-16 (Simonyan & Zisserman 2014), configuration D."""
    return convolutions(applications.vgg16())


def vgg19() -> Convolutions:
    """VGG-19, configuration E."""
    return convolutions(applications.vgg19())


# name, size, channels in; filters of the 1x1, of the 3x3 and the 1x1 before it, of the 5x5 and the
# 1x1 before it, of the 1x1 behind the pooling
_INCEPTIONS = (
    ("3a", 28, 192, 64, 96, 128, 16, 32, 32),
    ("3b", 28, 256, 128, 128, 192, 32, 96, 64),
    ("4a", 14, 480, 192, 96, 208, 16, 48, 64),
    ("4b", 14, 512, 160, 112, 224, 24, 64, 64),
    ("4c", 14, 512, 128, 128, 256, 24, 64, 64),
    ("4d", 14, 512, 112, 144, 288, 32, 64, 64),
    ("4e", 14, 528, 256, 160, 320, 32, 128, 128),
    ("5a", 7, 832, 256, 160, 320, 32, 128, 128),
    ("5b", 7, 832, 384, 192, 384, 48, 128, 128),
)


def googlenet() -> Convolutions:
    """GoogLeNet (Szegedy et al. 2014), table 1, without the auxiliary classifiers."""
    yield "conv1", _conv(224, 3, 64, 7, 2)
    yield "conv2r", _conv(56, 64, 64, 1)
    yield "conv2", _conv(56, 64, 192, 3)
    for name, size, channels, plain, before3, three, before5, five, pooled in _INCEPTIONS:
        yield f"{name}_1x1", _conv(size, channels, plain, 1)
        yield f"{name}_3x3r", _conv(size, channels, before3, 1)
        yield f"{name}_3x3", _conv(size, before3, three, 3)
        yield f"{name}_5x5r", _conv(size, channels, before5, 1)
        yield f"{name}_5x5", _conv(size, before5, five, 5)
        yield f"{name}_pool", _conv(size, channels, pooled, 1)


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
    yield "L1", _conv(128, 3, 96, 11, pad=0)
    yield "L2", _conv(64, 64, 128, 9, pad=0)
    yield "L3", _conv(32, 128, 128, 9, pad=0)
    yield "L4", _conv(16, 128, 128, 7, pad=0)
    yield "L5", _conv(13, 384, 384, 3, pad=0)
