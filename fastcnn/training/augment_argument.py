"""What training does to images, made of fit's `augment` and of what a model does anyway."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeAlias

import numpy as np

from fastcnn.data.augment import augment as augmentation
from fastcnn.data.augment import statistics as moments
from fastcnn.data.augment.augment import Augment
from fastcnn.data.augment.base import Augmentation
from fastcnn.data.augment.mixing import MIXINGS, Mixing
from fastcnn.data.augment.preprocessing import CenterCrop, check_order
from fastcnn.data.augment.statistics import Doubles
from fastcnn.data.augment.whitening import Preprocessing
from fastcnn.data.dataset import image_shape, is_dataset
from fastcnn.data.pipeline.stream import Stream
from fastcnn.data.pipeline.transform import Transform
from fastcnn.layers import Layer, Normalization, Rescaling
from fastcnn.training.model_settings import ModelSettings
from fastcnn.utils import naming

Augmenting: TypeAlias = Augment | Mixing | Augmentation


class ImagesSpec(Protocol):
    """What of a model decides what is done to its images."""

    @property
    def seed(self) -> int: ...

    @property
    def preprocessing(self) -> Sequence[Preprocessing]: ...

    @property
    def input_shape(self) -> tuple[int, ...]: ...


def make(
    model: ImagesSpec, x: object, augment_argument: object, training: Callable[[], object]
) -> Transform:
    """The Transform for images of x; `augment_argument` is fit's `augment`, which may hold anything
    that changes images. `training` gives the training images alone, an array or a Dataset, for what
    has to be fitted to them, and raises where there are none to read beforehand."""
    listed, seed = _listed(augment_argument), model.seed
    if len(listed) == 1 and isinstance(listed[0], Augment):
        listed, seed = _of_augment(listed[0])
    check_order(listed)
    mixings = tuple(augmentation for augmentation in listed if isinstance(augmentation, Mixing))
    listed = [augmentation for augmentation in listed if not isinstance(augmentation, Mixing)]
    steps = list(model.preprocessing)
    added = [
        augmentation
        for augmentation in listed
        if isinstance(augmentation, Preprocessing) and not _held(augmentation, steps)
    ]
    random = [
        _fitted(augmentation, training)
        for augmentation in listed
        if not isinstance(augmentation, Preprocessing)
    ]
    steps += [_fitted(augmentation, training) for augmentation in added]
    augment = Augment(random, seed) if random else None
    transform = Transform(augment, mixings, steps, model.seed)
    return replace(transform, preprocessing=_with_crop(model, x, transform))


@dataclass(frozen=True)
class Statistics:
    """What a Normalization gets of the training images, float64 [channels] each."""

    layer: Normalization
    mean: Doubles
    variance: Doubles


def statistics(
    model: ModelSettings, steps: Sequence[Preprocessing], training: Callable[[], object]
) -> list[Statistics]:
    """For each Normalization of the model that is not fitted, the statistics of what reaches it of
    the training images, behind the fixed steps; `training` as for `make`. ValueError where such a
    layer stands behind others than Rescaling and Normalization."""
    missing = unfitted(model)
    if not missing:
        return []
    first = _first_affine(model.layers)
    for layer in missing:
        if layer not in first:
            raise ValueError(
                f"{layer.label} must have a mean and a variance, or stand at the model's "
                "beginning, where fit takes them from the training images. Received none, behind "
                f"'{model.layers[len(first)].name}'."
            )
    measured = moments.of_colours(training(), f"fit: {missing[0].label}", steps=steps)
    mean, variance = measured.mean, measured.variance
    gained = []
    for affine in first:
        if affine in missing:
            gained.append(Statistics(affine, mean, variance))
            mean, variance = np.zeros_like(mean), np.ones_like(mean)
        else:
            scale, offset = affine.constants()
            mean, variance = scale * mean + offset, np.square(scale) * variance
    return gained


def unfitted(model: ModelSettings) -> list[Normalization]:
    """The model's Normalization layers that have no statistics."""
    layers = model.layers.every
    return [layer for layer in layers if isinstance(layer, Normalization) and not layer.fitted]


def _first_affine(layers: Sequence[Layer]) -> list[Rescaling | Normalization]:
    """Return the Rescaling and Normalization layers that a model begins with."""
    affine: list[Rescaling | Normalization] = []
    for layer in layers:
        if not isinstance(layer, Rescaling | Normalization):
            break
        affine.append(layer)
    return affine


def source_shape(model: ImagesSpec, x: Any) -> tuple[int, ...]:
    """The shape of an image as its source gives it, as far as that is known."""
    if is_dataset(x):
        return image_shape(x, tuple(model.input_shape))
    if isinstance(x, Stream):
        # Not known before it is read: a size that augmentation would have to change.
        height, width, *channels = (*model.input_shape, 0, 0)[:3]
        return (height + 1, width + 1, *channels)
    return tuple(np.shape(x)[1:])


def _of_augment(augment: Augment) -> tuple[list[Augmenting], int]:
    """What an Augment combines, and its seed; ValueError for what prediction would lack."""
    if augment.scale is not None or augment.offset is not None:
        raise ValueError(
            "fit: augment must leave scale and offset to a layer, which prediction has too: begin "
            f"the model with Rescaling or Normalization. Received scale={augment.scale!r}, "
            f"offset={augment.offset!r}."
        )
    return list(augment.augmentations), augment.seed


def _listed(argument: object) -> list[Augmenting]:
    """fit's `augment` as a list of objects."""
    if argument is None:
        return []
    if not isinstance(argument, Sequence) or isinstance(argument, str):
        argument = [argument]
    return [_augmentation(item) for item in argument]


def _augmentation(item: object) -> Augmenting:
    """What an entry of fit's `augment` stands for."""
    if isinstance(item, Augment | Mixing):
        return item
    if isinstance(item, str) and naming.snake_case(item) in MIXINGS:
        return MIXINGS[naming.snake_case(item)]()
    return augmentation.resolved(item)


def _fitted(augmentation: Any, training: Callable[[], object]) -> Any:
    """An augmentation, or a copy of it that is fitted to the training images where it is not yet:
    the user's own would carry them into another training."""
    return (
        augmentation
        if getattr(augmentation, "fitted", True)
        else copy.copy(augmentation).fit(training())
    )


def _held(step: Preprocessing, steps: Sequence[Preprocessing]) -> bool:
    """Whether a model has this step already: a training that goes on adds none. ValueError where
    it has one of this class that was fitted otherwise, for it would whiten twice."""
    if any(step is own for own in steps):
        return True
    alike = [own for own in steps if type(own) is type(step)]
    same = [own for own in alike if own.get_config() == step.get_config()]
    if not alike or not hasattr(step, "arrays"):
        return bool(same)
    if same and (not step.fitted or _same_arrays(step, same[0])):
        return True
    raise ValueError(
        f"fit: augment: the model's preprocessing has {alike[0]!r}, fitted to other images or with "
        f"other settings. Received {step!r}. Leave it out of augment to go on with the model's "
        "own, or begin with model.preprocessing = []."
    )


def _same_arrays(value: Any, other: Any) -> bool:
    """Whether two steps that hold arrays were fitted to the same."""
    mine, others = value.arrays(), other.arrays()
    return all(np.array_equal(mine[name], others[name]) for name in mine)


def _with_crop(model: ImagesSpec, x: object, transform: Transform) -> list[Preprocessing]:
    """The fixed steps, with a crop to the augmented size before them where augmentation changes
    the size of images and none of the steps does."""
    steps = list(transform.preprocessing)
    if transform.augment is None or any(isinstance(step, CenterCrop) for step in steps):
        return steps
    shape = source_shape(model, x)
    if len(shape) != 3:
        return steps
    after = transform.augmented_shape(shape)
    return steps if after == shape else [CenterCrop(*after[:2]), *steps]


def hand_over(statistics: Sequence[Statistics]) -> None:
    """Let layers take the statistics that were measured for them."""
    for measured in statistics:
        measured.layer.take(measured.mean, measured.variance)
