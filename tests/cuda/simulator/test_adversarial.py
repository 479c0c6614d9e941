"""Adversarial training on CUDA: the attack and the step behind it, as on the CPU."""

from __future__ import annotations

import numpy as np

import fastcnn
from fastcnn import layers


def weights(device: str) -> list[np.ndarray]:
    x = np.random.default_rng(0).random((5, 4, 4, 1), np.float32)
    model = fastcnn.Sequential(
        [layers.Conv2D(2, 3, activation="relu"), layers.Flatten(), layers.Dense(3, "softmax")],
        (4, 4, 1),
        device=device,
    )
    model.compile("sgd", "sparse_categorical_crossentropy")
    attack = fastcnn.AdversarialTraining(0.1, steps=2, mix=0.6)
    model.fit(x, np.arange(5, dtype=np.int32) % 3, batch_size=3, verbose=0, adversarial=attack)
    return model.get_weights()


def test_the_same_images_are_attacked_as_on_the_cpu():
    """In a set that would else be held on the device, and be sent to it ahead of the step."""
    for cuda, cpu in zip(weights("cuda"), weights("cpu"), strict=True):
        np.testing.assert_allclose(cuda, cpu, atol=1e-5)
