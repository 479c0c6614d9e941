"""SmoothGrad: saliency, averaged over noisy copies of the image."""

from __future__ import annotations

import numpy as np

from fastcnn.explain import inputs
from fastcnn.explain.attribution import Attribution, magnitudes
from fastcnn.explain.inputs import Classes
from fastcnn.models.sequential import Sequential
from fastcnn.utils import arguments


def smooth_grad(
    model: Sequential,
    x: object,
    target: Classes = None,
    samples: int = 25,
    noise: float = 0.15,
    seed: int = 0,
) -> Attribution:
    """Return the mean gradient of a class's score over noisy copies of each image.

    Args:
        model: A model with one score a class.
        x: Images, an array or a Dataset.
        target: The class, or one an image; None for what the model predicts.
        samples: Copies of an image.
        noise: The noise's standard deviation, as a part of the image's range.
        seed: Of the noise.

    Returns:
        A result whose `array` has a number for each of the images' numbers.

    Raises:
        ValueError: The images do not fit, there is no such class, or a number is out of its range.

    Shape:
        x [n, H, W, C] -> array float32 [n, H, W, C].

    References:
        Smilkov et al., 2017: SmoothGrad: removing noise by adding noise.
    """
    model, images = inputs.pictures(model, x, "smooth_grad")
    copies = arguments.whole("smooth_grad", "samples", samples, least=1)
    share = arguments.number("smooth_grad", "noise", noise, least=0)
    labels = inputs.classes(model, images, target, "smooth_grad")
    random = np.random.default_rng(seed)
    spread = share * np.ptp(images.reshape(len(images), -1), axis=1)
    deviations = spread.reshape(-1, *[1] * (images.ndim - 1))
    total = np.zeros_like(images)
    for _ in range(copies):
        noisy = images + deviations * random.standard_normal(images.shape)
        total += model.input_gradient(noisy.astype(np.float32), labels)
    title = f"SmoothGrad: gradients of {copies} noisy copies, averaged"
    names = inputs.names(model, labels)
    return Attribution(total / copies, images, names, title, magnitudes)
