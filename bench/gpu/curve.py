"""The losses of a training on the GPU beside the CPU's, from the same seed on the same images."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastcnn import applications, data, optimizers
from fastcnn.models.sequential import Sequential
from gpu import nets
from gpu.scale import Scale

TARGET = 1e-4
BATCH = 32


def curve(scale: Scale) -> dict[str, Any]:
    """Return both curves, and how far they are apart at most, relative to the CPU's."""
    losses = {device: _losses(scale, device) for device in ("cuda", "cpu")}
    ours, theirs = (np.array(losses[device]) for device in ("cuda", "cpu"))
    return {
        "net": "tiny" if scale.tiny else "lenet5",
        "batch": 2 if scale.tiny else BATCH,
        "steps": scale.steps,
        "apart": float((np.abs(ours - theirs) / np.abs(theirs)).max()),
        "target": TARGET,
        **losses,
    }


def _losses(scale: Scale, device: str) -> list[float]:
    model, x, y = _tiny(device) if scale.tiny else _lenet(device)
    optimizer = optimizers.SGD(0.01, momentum=0.9)
    model.compile(optimizer, "sparse_categorical_crossentropy")
    batch = 2 if scale.tiny else BATCH
    losses = []
    for step in range(scale.steps):
        chosen = np.arange(step * batch, (step + 1) * batch) % len(x)
        result = model.engine().train(x[chosen], y[chosen], None)
        losses.append(float(result.loss.mean(dtype=np.float64)))
    return losses


def _lenet(device: str) -> tuple[Sequential, np.ndarray, np.ndarray]:
    (x, y), _ = data.load("sample")
    model = applications.lenet5(seed=0, device=device, input_shape=x.shape[1:])
    return model, x.astype(np.float32) / 255, y.astype(np.int32)


def _tiny(device: str) -> tuple[Sequential, np.ndarray, np.ndarray]:
    return nets.tiny(device), nets.images(nets.TINY_SHAPE, 4), nets.labels(4, nets.TINY_CLASSES)
