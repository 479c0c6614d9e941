"""Noise that is bred until the network is sure of it, without a look inside: fooling images."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from fastcnn.explain import fooling, input_bounds, inputs
from fastcnn.explain.fooling import Fooling
from fastcnn.explain.input_bounds import Bounds
from fastcnn.explain.inputs import Images
from fastcnn.models.sequential import Sequential
from fastcnn.utils import arguments

CHILDREN = 64
"""Images of a generation."""
SPREAD = 0.3
"""The standard deviation of a mutation, as a part of the range."""


def evolved_images(
    model: Sequential,
    target: ArrayLike | None = None,
    bounds: Bounds = None,
    generations: int = 300,
    seed: int = 0,
) -> Fooling:
    """Return images that the model is sure to see a class in, found by evolution.

    Each class has a champion, noise at first. A generation is 64 children of champions, in each of
    which a rectangle has become lighter, darker or of another colour; a child that the model is
    surer of than of a class's champion takes its place, whichever class its parent was of.

    Args:
        model: A model with one score a class; only its outputs are looked at.
        target: The class, or several; None for the first ten.
        bounds: The least and the largest number of an image, behind the model's preprocessing; None
            for what that makes of pixels from 0 to 255, for these where the model scales images
            itself, else for 0 and 1.
        generations: How many.
        seed: Of the noise and the mutations.

    Returns:
        A result whose `array` has the images, and `chances` how sure the model is of each.

    Raises:
        ValueError: The model's inputs are no images, there is no such class, a number is out of its
            range, or preprocessing leaves open how large numbers are.

    Shape:
        array float32 [classes, H, W, C].

    References:
        Nguyen et al., 2015: Deep neural networks are easily fooled.
    """
    count = arguments.whole("evolved_images", "generations", generations, least=1)
    labels = fooling.wanted(model, target, "evolved_images")
    low, high = input_bounds.of_any_image(model, bounds, "evolved_images")
    model = inputs.without_preprocessing(model)
    random = np.random.default_rng(seed)
    champions = fooling.noise(model, len(labels), (low, high), random)
    sure = inputs.chances(model, champions)[np.arange(len(labels)), labels]
    for _ in range(count):
        children = champions[random.integers(len(labels), size=CHILDREN)]
        _mutate(children, (low, high), random)
        chances = inputs.chances(model, children)[:, labels]
        best = chances.argmax(axis=0)
        highest = chances[best, np.arange(len(labels))]
        better = highest > sure
        champions[better], sure[better] = children[best[better]], highest[better]
    title = f"Noise bred for {count} generations, and how sure the network is of it"
    return Fooling(champions, sure, inputs.names(model, labels), title)


def _mutate(images: Images, bounds: tuple[float, float], random: np.random.Generator) -> None:
    """Add a colour to a rectangle of each image, of up to half its sides."""
    height, width, channels = images.shape[1:]
    low, high = bounds
    for image in images:
        rows, columns = (random.integers(1, max(side // 2, 1) + 1) for side in (height, width))
        i, j = random.integers(height - rows + 1), random.integers(width - columns + 1)
        part = image[i : i + rows, j : j + columns]
        part += (high - low) * SPREAD * random.standard_normal(channels)
    np.clip(images, low, high, out=images)
