"""What fit warns of before the first epoch: every check of settings that it can train with, but
hardly is what was meant."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastcnn.backends.step import BatchShare
from fastcnn.data.augment.preprocessing import ImageNetScaling
from fastcnn.data.augment.whitening import PerImageStandardization, Preprocessing, ZCAWhitening
from fastcnn.data.dataset import is_dataset
from fastcnn.layers import BatchNormalization, Normalization, Rescaling
from fastcnn.layers.window_remainder import unread_in, unread_words
from fastcnn.training import target_checks
from fastcnn.training.epoch_iterator import ArrayEpochs
from fastcnn.training.model_settings import ModelSettings
from fastcnn.training.stream_epochs import StreamEpochs
from fastcnn.utils.training_warning import warn

SCALING_LAYERS = (Rescaling, Normalization, BatchNormalization)
SCALING_STEPS = (ImageNetScaling, PerImageStandardization, ZCAWhitening)
LARGE = 50.0
"""Images whose values reach this were not scaled: standardized ones stay far below it."""
SCALED = 1.0
"""Values up to this are no bytes any more."""
SAMPLE = 64
"""So many images are looked at for their values."""
GROUPED = 0.25
"""Labels change so rarely, against a random order, where they are grouped by class."""

_told: weakref.WeakSet[ModelSettings] = weakref.WeakSet()
"""The models whose unread pixels were told."""
_begun: weakref.WeakSet[ModelSettings] = weakref.WeakSet()
"""The models that train_on_batch has trained."""


def before_training(
    model: ModelSettings,
    train: ArrayEpochs | StreamEpochs,
    validation: ArrayEpochs | StreamEpochs | None,
) -> None:
    """Give the warnings of a training that is about to begin."""
    for sentence in (
        *_unscaled(model, train),
        *_validated_on_another_scale(train, validation),
        *_classes_held_out(model, train, validation),
        *_without_weight(train),
        *_unread(model),
    ):
        warn(f"fit: {sentence}")


def of_batch(model: ModelSettings, images: object, method: str = "fit") -> None:
    """Give the warning of a first batch that could not be looked at before, as that of an
    iterable: images as they go into the step."""
    if isinstance(images, BatchShare):
        images = images.images
    if isinstance(images, np.ndarray) and len(images):
        for sentence in _of_values(model, images, ()):
            warn(f"{method}: {sentence}")


def of_first_batch(model: ModelSettings, images: object) -> None:
    """Give the warning of a model that train_on_batch trains, at its first batch."""
    if model not in _begun:
        _begun.add(model)
        of_batch(model, images, "train_on_batch")


def _unscaled(model: ModelSettings, train: ArrayEpochs | StreamEpochs) -> Iterator[str]:
    """Pixel values from 0 to 255 in a model that nowhere scales them, or scaled ones in one that
    scales them again."""
    if isinstance(train, StreamEpochs):
        return
    steps = model.preprocessing if train.transform is None else train.transform.preprocessing
    x = train.examples.x
    if isinstance(x, np.ndarray):
        yield from _of_values(model, _sample(x, train.indices), steps)
    elif _scales(model, steps):
        return
    elif is_dataset(x) and np.dtype(getattr(x, "dtype", np.float32)) == np.uint8:
        yield _advice("images of dtype uint8")


def _sample(x: NDArray[Any], indices: NDArray[np.int64] | None) -> NDArray[Any]:
    """Return the first of the images that the epochs take of an array."""
    return x[:SAMPLE] if indices is None else x[indices[:SAMPLE]]


def _largest(images: NDArray[Any]) -> float:
    return float(np.abs(images.astype(np.float32)).max(initial=0.0))


def _of_values(
    model: ModelSettings, images: NDArray[Any], steps: Sequence[Preprocessing]
) -> Iterator[str]:
    largest = _largest(images[:SAMPLE])
    first = model.layers[0]
    if not _scales(model, steps):
        if largest >= LARGE:
            yield _advice(f"images whose values reach {largest:g}")
    elif isinstance(first, Rescaling) and images.dtype.kind == "f" and not steps:
        scale = float(np.abs(first.constants()[0]).max())
        if 0 < largest <= SCALED and scale * LARGE <= SCALED:
            yield (
                f"the model begins with Rescaling({scale:.3g}), as for values up to 255, and the "
                f"values of the images reach {largest:.3g}, as if they were scaled already: leave "
                "one of the two out."
            )


def _validated_on_another_scale(
    train: ArrayEpochs | StreamEpochs, validation: ArrayEpochs | StreamEpochs | None
) -> Iterator[str]:
    """Bytes beside numbers up to 1, as where one of the two arrays was divided by 255."""
    reach = []
    for epochs in (train, validation):
        if not isinstance(epochs, ArrayEpochs) or not isinstance(epochs.examples.x, np.ndarray):
            return
        reach.append(_largest(_sample(epochs.examples.x, epochs.indices)))
    if 0 < min(reach) <= SCALED and max(reach) >= LARGE:
        yield (
            f"the values of the images reach {reach[0]:.3g}, those of the validation images "
            f"{reach[1]:.3g}: scale both alike."
        )


def _advice(received: str) -> str:
    return (
        "the model expects values near 1 and has no layer that scales, and weights as they are "
        f"initialized hardly train on others. Received {received}: begin the model with "
        "Rescaling(1 / 255) or Normalization()."
    )


def _scales(model: ModelSettings, steps: Sequence[Preprocessing]) -> bool:
    """Whether anything brings the images to the size that initializers reckon with; layers of the
    user's own may."""
    layers = model.layers.every
    own = any(not type(layer).__module__.startswith("fastcnn.") for layer in layers)
    return (
        own
        or not any(layer.parameters for layer in layers)
        or any(isinstance(layer, SCALING_LAYERS) for layer in layers)
        or any(isinstance(step, SCALING_STEPS) for step in steps)
    )


def _without_weight(train: ArrayEpochs | StreamEpochs) -> Iterator[str]:
    """Weights that are zero wherever an image is trained on."""
    if not isinstance(train, ArrayEpochs) or train.examples.weight is None:
        return
    weights = train.examples.weight
    if not np.any(weights if train.indices is None else weights[train.indices]):
        yield (
            f"the weights of all {train.count:,} images to train on are 0: nothing is learnt from "
            "them. sample_weight must be above 0 for some of them, beside those held out."
        )


def _classes_held_out(
    model: ModelSettings,
    train: ArrayEpochs | StreamEpochs,
    validation: ArrayEpochs | StreamEpochs | None,
) -> Iterator[str]:
    """Labels in the order of their classes, whose last part is held out."""
    if not isinstance(train, ArrayEpochs) or not isinstance(validation, ArrayEpochs):
        return
    images = train.examples.x
    # Of a Dataset a share of each class is held out.
    if (
        validation.examples.x is not images
        or is_dataset(images)
        or not target_checks.has_classes(model)
    ):
        return
    if train.indices is None or validation.indices is None:
        return
    classes = target_checks.classes(model, train.examples.y)
    trained, held = classes[train.indices], classes[validation.indices]
    missing = sorted(set(np.unique(held).tolist()) - set(np.unique(trained).tolist()))
    remedy = (
        "Shuffle the images and their labels first, or give validation_data: the images that "
        "validation_split holds out are the last ones."
    )
    if missing:
        share = float(np.isin(held, missing).mean())
        yield (
            f"validation_split holds out {_named(model, missing)}, of which the training has no "
            f"image: {share:.0%} of the validation. {remedy}".replace("%", " %")
        )
    elif _grouped(classes):
        yield f"the labels are grouped by class, not in a random order. {remedy}"


def _grouped(classes: NDArray[np.int64]) -> bool:
    """Whether labels follow one another far more often than by chance."""
    shares = np.unique(classes, return_counts=True)[1] / len(classes)
    expected = (len(classes) - 1) * (1.0 - float(np.square(shares).sum()))
    changes = int(np.count_nonzero(np.diff(classes)))
    return changes < GROUPED * expected


def _named(model: ModelSettings, classes: list[int]) -> str:
    names = model.class_names
    shown = [str(label) if names is None else names[label] for label in classes[:5]]
    more = f" and {len(classes) - 5} more" if len(classes) > 5 else ""
    return f"the class{'es' if len(classes) > 1 else ''} {', '.join(shown)}{more}"


def _unread(model: ModelSettings) -> Iterator[str]:
    """Strides that leave pixels out; once a model."""
    unread = unread_in(model)
    if not unread or model in _told:
        return
    _told.add(model)
    told = "; ".join(unread_words(layer, pixels) for layer, pixels in unread.items())
    yield f"{told} (summary() marks it). Padding or another size of the images would use them."
