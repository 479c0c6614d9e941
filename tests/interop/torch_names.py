"""The names that torchvision, timm and Caffe give the modules of some networks, in the model's
order.
"""

from __future__ import annotations

from collections.abc import Iterator

from fastcnn.applications.efficientnet import STAGES


def torchvision_resnet(depths: tuple[int, ...], convolutions: int) -> Iterator[str]:
    """`convolutions` in the body of each block; the first of a stage may have a downsample."""
    yield from ("conv1", "bn1")
    for stage, depth in enumerate(depths, 1):
        for block in range(depth):
            for number in range(1, convolutions + 1):
                yield from (f"layer{stage}.{block}.{kind}{number}" for kind in ("conv", "bn"))
            if block == 0 and (stage > 1 or convolutions == 3):
                yield from (f"layer{stage}.{block}.downsample.{number}" for number in (0, 1))
    yield "fc"


def torchvision_googlenet() -> Iterator[str]:
    def conv_bn(name: str) -> tuple[str, str]:
        return f"{name}.conv", f"{name}.bn"

    for number in (1, 2, 3):
        yield from conv_bn(f"conv{number}")
    for module in ("3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b"):
        for branch in ("branch1", "branch2.0", "branch2.1", "branch3.0", "branch3.1", "branch4.1"):
            yield from conv_bn(f"inception{module}.{branch}")
        side = {"4a": "aux1", "4d": "aux2"}.get(module)
        if side:
            yield from (*conv_bn(f"{side}.conv"), f"{side}.fc1", f"{side}.fc2")
    yield "fc"


def caffe_googlenet() -> Iterator[str]:
    yield from ("conv1.7x7_s2", "conv2.3x3_reduce", "conv2.3x3")
    for module in ("3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b"):
        for branch in ("1x1", "3x3_reduce", "3x3", "5x5_reduce", "5x5", "pool_proj"):
            yield f"inception_{module}.{branch}"
        side = {"4a": "loss1", "4d": "loss2"}.get(module)
        if side:
            yield from (f"{side}.{name}" for name in ("conv", "fc", "classifier"))
    yield "loss3.classifier"


def torchvision_densenet() -> Iterator[str]:
    yield from ("features.conv0", "features.norm0")
    for block, depth in enumerate((6, 12, 24, 16), 1):
        if block > 1:
            yield from (f"features.transition{block - 1}.{name}" for name in ("norm", "conv"))
        for layer in range(1, depth + 1):
            place = f"features.denseblock{block}.denselayer{layer}"
            yield from (f"{place}.{name}" for name in ("norm1", "conv1", "norm2", "conv2"))
    yield from ("features.norm5", "classifier")


def cifar_resnet(depth: int) -> Iterator[str]:
    """Idelbayev's, of three stages, saved by DataParallel; its shortcuts have no weights."""
    for name in torchvision_resnet((depth,) * 3, 2):
        if "downsample" not in name:
            yield f"module.{name}".replace("fc", "linear")


def timm_efficientnet() -> Iterator[str]:
    yield from ("conv_stem", "bn1")
    for stage, (expansion, _, _, repeats, _) in enumerate(STAGES):
        for block in range(repeats):
            place = f"blocks.{stage}.{block}"
            gate = ("se.conv_reduce", "se.conv_expand")
            first = ("conv_dw", "bn1", *gate, "conv_pw", "bn2")
            wide = ("conv_pw", "bn1", "conv_dw", "bn2", *gate, "conv_pwl", "bn3")
            yield from (f"{place}.{name}" for name in (first if expansion == 1 else wide))
    yield from ("conv_head", "bn2", "classifier")
