"""The nets of the GPU's race in PyTorch: those of the CPU's, VGG-16, and one for the simulator."""

from __future__ import annotations

import torch_nets
from torch import nn

SHAPES = {**torch_nets.SHAPES, "vgg16": (224, 224, 3), "tiny": (4, 4, 1)}


def vgg16() -> nn.Module:
    layers: list[nn.Module] = []
    channels = 3
    for convolutions, filters in ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512)):
        for _ in range(convolutions):
            layers += [nn.Conv2d(channels, filters, 3, padding=1), nn.ReLU(inplace=True)]
            channels = filters
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(
        *layers, nn.Flatten(),
        nn.Linear(25088, 4096), nn.ReLU(inplace=True),
        nn.Linear(4096, 4096), nn.ReLU(inplace=True),
        nn.Linear(4096, 1000),
    )  # fmt: skip


def tiny() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 1, 3), nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(1, 10),
    )  # fmt: skip


NETS = {**torch_nets.NETS, "vgg16": vgg16, "tiny": tiny}
