"""The augmentations by name, and what stands for one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from fastcnn.data.augment import color, effects, geometry
from fastcnn.data.augment.base import Augmentation
from fastcnn.data.augment.custom import FunctionAugmentation
from fastcnn.data.augment.preprocessing import STEPS
from fastcnn.utils import naming

AUGMENTATIONS: dict[str, type[Augmentation]] = {
    naming.snake_case(cls.__name__): cls
    for cls in (
        geometry.RandomFlip,
        geometry.RandomCrop,
        geometry.RandomTranslation,
        geometry.RandomRotation,
        geometry.RandomZoom,
        geometry.RandomShear,
        color.RandomBrightness,
        color.RandomContrast,
        color.RandomSaturation,
        color.RandomHue,
        color.PCAColor,
        effects.RandomGaussianBlur,
        effects.GaussianNoise,
        effects.RandomErasing,
        *STEPS.values(),
    )
}

AugmentationLike: TypeAlias = (
    str | Augmentation | type[Augmentation] | Mapping[str, object] | Callable[..., object]
)
"""An augmentation, its class, its name or its configuration, or a function of (image, rng)."""

# Layers that a list of augmentations is often expected to take.
LAYERS = ("Rescaling", "Normalization")


def resolved(augmentation: object) -> Augmentation:
    """Return the augmentation that an object, a class, a name or a configuration stands for.

    Args:
        augmentation: An augmentation, its class, its name, or what `get_config` returned.

    Raises:
        TypeError: It is none of these.
        ValueError: There is no augmentation of that name, or its settings do not fit.
    """
    named = augmentation.get("class_name") if isinstance(augmentation, dict) else augmentation
    kind = augmentation if isinstance(augmentation, type) else type(augmentation)
    layer = naming.snake_case(named if isinstance(named, str) else kind.__name__)
    if layer in map(naming.snake_case, LAYERS):
        raise TypeError(
            f"augment: {' and '.join(LAYERS)} are layers: begin the model with them, so that "
            f"prediction has them too. Received {augmentation!r}."
        )
    if callable(augmentation) and not isinstance(augmentation, type | Augmentation):
        return FunctionAugmentation(augmentation)
    named_classes = {**AUGMENTATIONS, "function_augmentation": FunctionAugmentation}
    classes = AUGMENTATIONS if named != FunctionAugmentation.__name__ else named_classes
    return naming.resolve("augmentation", augmentation, Augmentation, classes)
