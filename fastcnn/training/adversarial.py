"""Adversarial training: a part of each batch is attacked before the step learns from it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from fastcnn.backends.step import BatchImages
from fastcnn.graph.inspection import GRADIENT_ROLE, LOSS, GradientRequest, Inspection
from fastcnn.layers import Normalization, Rescaling
from fastcnn.training.model_settings import ModelSettings
from fastcnn.utils import arguments
from fastcnn.utils.settings import ConfiguredSettings

Floats: TypeAlias = NDArray[np.float32]
Bounds: TypeAlias = tuple[float, float]
"""The least and the largest number of an image."""

OF_LOSS = Inspection(gradient=GradientRequest(LOSS))


class AdversarialTraining(ConfiguredSettings):
    """Images that the network, as it is, takes for other classes, to be learnt from: `fit`'s
    `adversarial`.

    Before a step some images of its batch, drawn by the model's seed, are moved up the loss, from a
    random place around each, no further than `epsilon` in any number. The network acts as at
    inference meanwhile. A step then costs about 1 + `mix` * `steps` as much.

    Args:
        epsilon: How far each number of an image may move, as a part of the range of `bounds`; above
            0, at most 1.
        steps: Of the attack: 1 for FGSM, more for PGD.
        mix: The part of each batch that is attacked; above 0, at most 1.
        rate: The length of a step of the attack, as a part of epsilon; None for 1.25 where it is
            one, else for 2.5 / steps.
        bounds: The least and the largest number of an image; None for 0 and 255 where the model
            scales images itself, else for those of the training images.

    Raises:
        TypeError: A number is none.
        ValueError: One is out of its range.

    References:
        Goodfellow et al., 2015: Explaining and harnessing adversarial examples. Madry et al., 2018:
        Towards deep learning models resistant to adversarial attacks. Wong et al., 2020: Fast is
        better than free: Revisiting adversarial training.
    """

    def __init__(
        self,
        epsilon: float = 8 / 255,
        steps: int = 1,
        mix: float = 0.5,
        rate: float | None = None,
        bounds: Bounds | None = None,
    ):
        self.epsilon = arguments.number(self, "epsilon", epsilon, above=0, most=1)
        self.steps = arguments.whole(self, "steps", steps, least=1)
        self.mix = arguments.number(self, "mix", mix, above=0, most=1)
        self.rate = None if rate is None else arguments.number(self, "rate", rate, above=0)
        self.bounds = None if bounds is None else arguments.bounds(self, "bounds", bounds)

    def get_config(self) -> dict[str, object]:
        names = ("epsilon", "steps", "mix", "rate", "bounds")
        return {name: getattr(self, name) for name in names}

    @property
    def length(self) -> float:
        """The length of a step of the attack, as a part of epsilon."""
        if self.rate is not None:
            return self.rate
        return 1.25 if self.steps == 1 else 2.5 / self.steps


@dataclass(frozen=True)
class Attack:
    """An adversarial training of images with known bounds."""

    settings: AdversarialTraining
    bounds: Bounds

    def of_batch(
        self,
        model: ModelSettings,
        x: BatchImages,
        y: NDArray[Any],
        epoch: int,
        step: int,
        capacity: int | None,
    ) -> Floats:
        """The images of a batch, some of them attacked; which ones and from where depends on the
        model's seed, epoch and step alone. `capacity` as an engine takes it."""
        images = np.array(x, np.float32)
        random = np.random.default_rng((model.seed, epoch, step))
        chosen = np.sort(random.permutation(len(images))[: self._share(len(images))])
        epsilon = self.settings.epsilon * (self.bounds[1] - self.bounds[0])
        noise = random.uniform(-epsilon, epsilon, (len(chosen), *images.shape[1:]))
        engine, targets = model.engine(), y[chosen]
        most = None if capacity is None else self._share(capacity)

        def gradient(moved: Floats) -> Floats:
            return engine.inspect(moved, OF_LOSS, most, targets)[GRADIENT_ROLE]

        images[chosen] = climbed(
            gradient,
            images[chosen],
            epsilon,
            self.bounds,
            self.settings.steps,
            self.settings.length * epsilon,
            noise.astype(np.float32),
        )
        return images

    def _share(self, images: int) -> int:
        return math.ceil(self.settings.mix * images)


def climbed(
    gradient: Callable[[Floats], Floats],
    images: Floats,
    epsilon: float,
    bounds: Bounds,
    steps: int,
    length: float,
    noise: Floats | None = None,
) -> Floats:
    """Images that took steps along the signs of a gradient, no further than epsilon in any number
    and within the bounds; `length` is below 0 to go down, `noise` is where they begin."""
    low, high = np.maximum(images - epsilon, bounds[0]), np.minimum(images + epsilon, bounds[1])
    changed = images if noise is None else _clipped(images + noise, low, high)
    for _ in range(steps):
        step = np.float32(length) * np.sign(gradient(changed))
        changed = _clipped(changed + step, low, high)
    return changed


def _clipped(images: Floats, low: Floats, high: Floats) -> Floats:
    return np.clip(images, low, high).astype(np.float32, copy=False)


def range_of(model: ModelSettings, least: float, most: float, bounds: Bounds | None) -> Bounds:
    """The bounds of images from `least` to `most`: those that are asked for, which must hold them,
    else 0 and 255 where the model scales images itself, else their own."""
    if bounds is None:
        scales = isinstance(model.layers[0], Rescaling | Normalization)
        return (0.0, 255.0) if scales and least >= 0 and most <= 255 else (least, most)
    low, high = bounds
    if not low <= least <= most <= high:
        raise ValueError(
            f"bounds must hold all images. Received ({low:g}, {high:g}) for images from {least:g} "
            f"to {most:g}."
        )
    return float(low), float(high)


def check_gradient(make_program: Callable[[Inspection, int], object]) -> None:
    """ValueError where a model, whose `inspection_program` is given, has no gradient of the loss
    with respect to the images."""
    try:
        make_program(OF_LOSS, 1)
    except ValueError as error:
        raise ValueError(
            "fit: adversarial needs the gradient of the loss with respect to the images, which "
            f"this model does not pass back to them. {error}"
        ) from error


def attack(model: ModelSettings, argument: object, x: object, transformed: bool) -> Attack | None:
    """What fit's `adversarial` asks for, an AdversarialTraining or its epsilon; `x` are the images
    to train on, `transformed` says that fixed steps change their numbers. ValueError or TypeError
    where it cannot be."""
    if argument is None:
        return None
    if not isinstance(argument, AdversarialTraining):
        epsilon = arguments.number("fit", "adversarial", argument, above=0, most=1)
        argument = AdversarialTraining(epsilon)
    bounds = argument.bounds
    if isinstance(x, np.ndarray) and not transformed:
        bounds = range_of(model, float(x.min()), float(x.max()), bounds)
    elif bounds is None and not transformed and getattr(x, "dtype", None) == np.uint8:
        bounds = 0.0, 255.0
    if bounds is None or bounds[0] == bounds[1]:
        raise ValueError(
            "fit: adversarial: the range of the numbers in the images is not known, where they are "
            "streamed or prepared by fixed steps. Give it: adversarial=AdversarialTraining("
            "epsilon, bounds=(least, largest))."
        )
    return Attack(argument, bounds)
