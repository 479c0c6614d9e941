"""Accumulated gradients, averaged weights and smoothed labels on CUDA, as on the CPU."""

from __future__ import annotations

import numpy as np

import fastcnn
from fastcnn import layers, losses, optimizers

X = np.random.default_rng(0).random((5, 2, 1, 1), np.float32)
Y = np.array([0, 1, 1, 0, 1], np.int32)


def weights(device: str) -> list[np.ndarray]:
    stack = [layers.BatchNormalization(), layers.Flatten(), layers.Dense(2, "softmax")]
    model = fastcnn.Sequential(stack, (2, 1, 1), seed=1, device=device)
    averaged = {"use_ema": True, "ema_momentum": 0.7}
    optimizer = optimizers.Adam(0.1, gradient_accumulation_steps=2, **averaged)
    model.compile(optimizer, losses.SparseCategoricalCrossentropy(label_smoothing=0.1))
    model.fit(X, Y, batch_size=2, verbose=0)  # an update by two batches, and one by the third
    assert model.state.step == 2
    averages = model.get_weights()
    model.state.use_trained()
    return [*averages, *model.get_weights()]


def test_batches_are_accumulated_as_on_the_cpu():
    for cuda, cpu in zip(weights("cuda"), weights("cpu"), strict=True):
        np.testing.assert_allclose(cuda, cpu, atol=1e-6)
