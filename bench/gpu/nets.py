"""The race's networks in fastcnn, and the images and labels that all competitors have."""

from __future__ import annotations

import numpy as np

from fastcnn import Sequential, applications
from fastcnn import layers as L
from gpu.scale import TINY_NET

TINY_SHAPE, TINY_CLASSES = (4, 4, 1), 10


def tiny(device: str, precision: str = "float32") -> Sequential:
    """A network that even the simulator can train; bench/peers/torch_gpu_nets.py has it too."""
    layers = [
        *(L.Conv2D(1, 3), L.MaxPooling2D(2), L.Flatten()),
        L.Dense(TINY_CLASSES, activation="softmax"),
    ]
    return Sequential(layers, TINY_SHAPE, seed=0, device=device, precision=precision)


def build(net: str, precision: str) -> Sequential:
    """Return a network on the GPU."""
    if net == TINY_NET:
        return tiny("cuda", precision)
    return applications.get(net)(seed=0, device="cpu").to("cuda", precision)


def images(shape: tuple[int, ...], batch: int) -> np.ndarray:
    """float32 [batch, H, W, C], the same for every competitor."""
    return np.random.default_rng(0).random((batch, *shape), dtype=np.float32)


def labels(batch: int, classes: int = 10) -> np.ndarray:
    """int32 [batch], the same for every competitor."""
    return np.random.default_rng(1).integers(0, classes, batch).astype(np.int32)
