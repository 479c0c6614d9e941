"""Adversarial training: a part of each batch is attacked before the step learns from it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from fastcnn.backends.step import BatchImages
from fastcnn.data.augment import preprocessing
from fastcnn.data.augment.preprocessing import PIXELS, ImageNetScaling
from fastcnn.data.augment.whitening import Preprocessing
from fastcnn.graph.inspection import GRADIENT_ROLE, LOSS, GradientRequest, Inspection
from fastcnn.layers import Normalization, Rescaling
from fastcnn.training.model_settings import ModelSettings
from fastcnn.utils import arguments
from fastcnn.utils.settings import ConfiguredSettings

Floats: TypeAlias = NDArray[np.float32]
Bounds: TypeAlias = tuple[float, float]
"""The least and the largest number of an image."""
Ends: TypeAlias = Bounds | tuple[Floats, Floats]
"""The same, or those of each channel, [C]."""

OF_LOSS = Inspection(gradient=GradientRequest(LOSS))


class AdversarialTraining(ConfiguredSettings):
    """Images that the network, as it is, takes for other classes, to be learnt from: `fit`'s
    `adversarial`.

    Before a step some images of its batch, drawn by the model's seed, are moved up the loss, from a
    random place around each, no further than `epsilon` in any number. The network acts as at
    inference meanwhile. A step then costs about 1 + `mix` * `steps` as much.

    Args:
        epsilon: How far each number of an image may move, as a part of the range of `bounds`, so
            that 8 / 255 is 8 levels of a pixel; above 0, at most 1.
        steps: Of the attack: 1 for FGSM, more for PGD.
        mix: The part of each batch that is attacked; above 0, at most 1.
        rate: The length of a step of the attack, as a part of epsilon; None for 1.25 where it is
            one, else for 2.5 / steps.
        bounds: The least and the largest number of an image as the network takes it. None for 0
            and 255, where the model scales pixels itself; for what the model's preprocessing makes
            of these in each channel, as `ImageNetScaling` does; else for those of the training
            images.

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
    bounds: Ends

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
        model's seed, epoch and step alone. `capacity` as an engine takes it. ValueError where they
        are far outside the bounds."""
        images = np.array(x, np.float32)
        self._refuse_other_units(images)
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

    def _refuse_other_units(self, images: Floats) -> None:
        """Augmentation may lead out of the bounds, but not by as much as they are apart."""
        low, high = float(np.min(self.bounds[0])), float(np.max(self.bounds[1]))
        least, most = float(images.min()), float(images.max())
        if not 2 * low - high <= least <= most <= 2 * high - low:
            raise _outside((low, high), least, most)

    def _share(self, images: int) -> int:
        return math.ceil(self.settings.mix * images)


def climbed(
    gradient: Callable[[Floats], Floats],
    images: Floats,
    epsilon: float | Floats,
    bounds: Ends,
    steps: int,
    length: float | Floats,
    noise: Floats | None = None,
) -> Floats:
    """Images that took steps along the signs of a gradient, no further than epsilon in any number
    and within the bounds; `length` is below 0 to go down, `noise` is where they begin. A number
    that is outside the bounds may stay there, but goes no further out."""
    low = np.minimum(np.maximum(images - epsilon, bounds[0]), images)
    high = np.maximum(np.minimum(images + epsilon, bounds[1]), images)
    changed = images if noise is None else _clipped(images + noise, low, high)
    for _ in range(steps):
        step = np.asarray(length, np.float32) * np.sign(gradient(changed))
        changed = _clipped(changed + step, low, high)
    return changed


def _clipped(images: Floats, low: Floats, high: Floats) -> Floats:
    return np.clip(images, low, high).astype(np.float32, copy=False)


def range_of(model: ModelSettings, least: float, most: float, bounds: Bounds | None) -> Bounds:
    """The bounds of images from `least` to `most`: those that are asked for, which must hold them,
    else 0 and 255 where the model scales images itself, else their own."""
    if bounds is None:
        return PIXELS if _scales(model) and least >= 0 and most <= 255 else (least, most)
    if not bounds[0] <= least <= most <= bounds[1]:
        raise _outside(bounds, least, most)
    return float(bounds[0]), float(bounds[1])


def _scales(model: ModelSettings) -> bool:
    """Whether a model's first layer scales images."""
    return isinstance(model.layers[0], Rescaling | Normalization)


def _outside(bounds: Bounds, least: float, most: float) -> ValueError:
    return ValueError(
        f"bounds must hold all images. Received ({bounds[0]:g}, {bounds[1]:g}) for images from "
        f"{least:g} to {most:g}."
    )


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


def attack(
    model: ModelSettings, argument: object, x: object, steps: Sequence[Preprocessing]
) -> Attack | None:
    """What fit's `adversarial` asks for, an AdversarialTraining or its epsilon; `x` are the images
    to train on, `steps` the fixed ones that change them. ValueError or TypeError where it cannot
    be."""
    if argument is None:
        return None
    if not isinstance(argument, AdversarialTraining):
        epsilon = arguments.number("fit", "adversarial", argument, above=0, most=1)
        argument = AdversarialTraining(epsilon)
    return Attack(argument, _ends(model, argument.bounds, _numbers(x), steps))


def _numbers(x: object) -> Bounds | None:
    """The least and the largest number of images as they are given, where it is known."""
    if isinstance(x, np.ndarray):
        return float(x.min()), float(x.max())
    return PIXELS if getattr(x, "dtype", None) == np.uint8 else None


def _ends(
    model: ModelSettings,
    bounds: Bounds | None,
    numbers: Bounds | None,
    steps: Sequence[Preprocessing],
) -> Ends:
    """The bounds of images, which have such numbers, after the steps: those that are asked for,
    which must hold them, or those that they can reach."""
    of_pixels = any(isinstance(step, ImageNetScaling) for step in steps)
    if numbers is None:
        numbers = PIXELS if of_pixels else None
    elif bounds is None and (of_pixels or _scales(model)):
        numbers = PIXELS if numbers[0] >= 0 and 1 < numbers[1] <= 255 else numbers
    ends = numbers and preprocessing.extent(steps, numbers, model.input_shape[-1])
    if bounds is not None:
        if ends is not None:
            _check_hold(bounds, float(ends[0].min()), float(ends[1].max()))
        return bounds
    if ends is None or (ends[0] == ends[1]).all():
        raise ValueError(
            "fit: adversarial: the range of the numbers in the images is not known, where they are "
            "streamed, all alike, or prepared by fixed steps that look at the whole image. Give "
            "it: adversarial=AdversarialTraining(epsilon, bounds=(least, largest))."
        )
    low, high = ends
    alike = (low == low[0]).all() and (high == high[0]).all()
    return (float(low[0]), float(high[0])) if alike else ends


def _check_hold(bounds: Bounds, least: float, most: float) -> None:
    """ValueError where images go beyond the bounds by more than their last digits."""
    slack = 1e-3 * (bounds[1] - bounds[0])
    if not bounds[0] - slack <= least <= most <= bounds[1] + slack:
        raise _outside(bounds, least, most)
