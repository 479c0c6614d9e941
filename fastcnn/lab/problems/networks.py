"""The convolutions of published networks, each in the order of its layers."""

from __future__ import annotations

from collections.abc import Iterator

from fastcnn.graph.problem import Problem

Convolutions = Iterator[tuple[str, Problem]]


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
    yield "C1", _conv(28, 1, 6, 5)
    yield "C3", _conv(14, 6, 16, 5, pad=0)
    yield "C5", _conv(5, 16, 120, 5, pad=0)


def cifar() -> Convolutions:
    """The zoo's cifar-small, then ResNet-20 (He et al. 2015, section 4.2) with 1x1 shortcuts."""
    yield "small1", _conv(32, 3, 32, 3)
    yield "small2", _conv(32, 32, 32, 3, pad=0)
    yield "small3", _conv(15, 32, 64, 3)
    yield "small4", _conv(15, 64, 64, 3, pad=0)
    yield "resnet", _conv(32, 3, 16, 3)
    yield from _basic_blocks("resnet", 32, 16, (3, 3, 3))


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
    return _vgg((2, 2, 3, 3, 3))


def vgg19() -> Convolutions:
    """VGG-19, configuration E."""
    return _vgg((2, 2, 4, 4, 4))


def _vgg(depths: tuple[int, ...]) -> Convolutions:
    channels, size = 3, 224
    for stage, (depth, filters) in enumerate(zip(depths, (64, 128, 256, 512, 512), strict=True), 1):
        for layer in range(1, depth + 1):
            yield f"conv{stage}_{layer}", _conv(size, channels, filters, 3)
            channels = filters
        size //= 2


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
    yield "conv1", _conv(224, 3, 64, 7, 2)
    yield from _basic_blocks("conv", 56, 64, (3, 4, 6, 3))


def _basic_blocks(prefix: str, size: int, channels: int, depths: tuple[int, ...]) -> Convolutions:
    """Yield stages of blocks of two 3x3 convolutions, a and b, and their shortcuts, s."""
    for stage, depth in enumerate(depths):
        filters, stride = channels if stage == 0 else 2 * channels, 1 if stage == 0 else 2
        for block in range(1, depth + 1):
            name = f"{prefix}{stage + 2}_{block}"
            yield f"{name}a", _conv(size, channels, filters, 3, stride)
            if stride > 1:
                yield f"{name}s", _conv(size, channels, filters, 1, stride)
            size, channels, stride = size // stride, filters, 1
            yield f"{name}b", _conv(size, filters, filters, 3)


def resnet50() -> Convolutions:
    """ResNet-50 (He et al. 2015), table 1; a stage's stride is in its first 1x1 convolutions."""
    yield "conv1", _conv(224, 3, 64, 7, 2)
    size, channels = 56, 64
    for stage, depth in enumerate((3, 4, 6, 3)):
        filters, stride = 64 << stage, 1 if stage == 0 else 2
        for block in range(1, depth + 1):
            name = f"conv{stage + 2}_{block}"
            if block == 1:
                yield f"{name}s", _conv(size, channels, 4 * filters, 1, stride)
            yield f"{name}a", _conv(size, channels, filters, 1, stride)
            size, channels, stride = size // stride, 4 * filters, 1
            yield f"{name}b", _conv(size, filters, filters, 3)
            yield f"{name}c", _conv(size, filters, channels, 1)


# The filters of each block's separable convolutions. Some blocks end in a pooling that halves the
# size, and a 1x1 shortcut with stride 2 leads around them.
_XCEPTION = [(128, 128), (256, 256), (728, 728), *8 * [(728, 728, 728)], (728, 1024), (1536, 2048)]
_HALVING = (2, 3, 4, 13)


def xception() -> Convolutions:
    """Xception (Chollet 2016), figure 5, on 299x299; d is depthwise, p the 1x1 behind it."""
    yield "conv1", _conv(299, 3, 32, 3, 2, pad=0)
    yield "conv2", _conv(149, 32, 64, 3, pad=0)
    size, channels = 147, 64
    for block, layers in enumerate(_XCEPTION, 2):
        halved = block in _HALVING
        if halved:
            yield f"block{block}s", _conv(size, channels, layers[-1], 1, 2)
        for layer, filters in enumerate(layers, 1):
            name = f"block{block}_{layer}"
            yield f"{name}d", _conv(size, channels, channels, 3, groups=channels)
            yield f"{name}p", _conv(size, channels, filters, 1)
            channels = filters
        size = -(-size // 2) if halved else size


def convnet_benchmarks() -> Convolutions:
    """The five layers of Soumith Chintala's convnet-benchmarks (2014)."""
    yield "L1", _conv(128, 3, 96, 11, pad=0)
    yield "L2", _conv(64, 64, 128, 9, pad=0)
    yield "L3", _conv(32, 128, 128, 9, pad=0)
    yield "L4", _conv(16, 128, 128, 7, pad=0)
    yield "L5", _conv(13, 384, 384, 3, pad=0)
