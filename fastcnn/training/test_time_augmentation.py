"""Test-time augmentation: what a model says of several views of each image, averaged."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from fastcnn.data.augment.affine import Affine
from fastcnn.data.augment.augment import Augment
from fastcnn.data.augment.base import Augmentation, Shape
from fastcnn.data.augment.geometry import RandomFlip
from fastcnn.data.augment.statistics import Doubles
from fastcnn.data.pipeline.stream import Stream
from fastcnn.data.pipeline.transform import Transform
from fastcnn.training import (
    among_ranks,
    augment_argument,
    data_adapter,
    epoch_iterator,
    input_checks,
    output_average,
)
from fastcnn.training.epoch_iterator import ArrayEpochs
from fastcnn.training.feature_cache import FeatureBatch
from fastcnn.training.model_settings import ModelSettings
from fastcnn.training.stream_epochs import StreamEpochs
from fastcnn.utils import arguments

USUAL_PASSES = 8
"""Where chance has a part; flips alone take a pass for each way to turn an image."""


class _Flip(RandomFlip):
    """A flip that turns every image the same way."""

    def __init__(self, mode: str, turn: int) -> None:
        super().__init__(mode)
        across = turn % 2 if mode != "vertical" else 0
        down = turn // 2 % 2 if mode == "horizontal_and_vertical" else turn % 2
        self._turned = down if mode != "horizontal" else 0, across

    def affine(self, u: Doubles, shape: Shape) -> Affine:
        below_half = np.where(self._turned, 0.0, 1.0)
        return super().affine(np.broadcast_to(below_half, u.shape), shape)


def is_wanted(augment: object, passes: int | None, method: str) -> bool:
    """Say whether there are several views; ValueError where their number alone is given.

    Args:
        augment: As fit's; None for no views.
        passes: How many; None for the usual number.
        method: Whose arguments they are, for errors.
    """
    if augment is None and passes is not None:
        raise ValueError(
            f"{method}: passes={passes!r} is how often images are seen, each time augmented: pass "
            "augment, such as RandomFlip('horizontal')."
        )
    return augment is not None


def views(
    model: ModelSettings, x: object, augment: object, passes: int | None, method: str
) -> list[Transform]:
    """What happens to the images in each pass: the first leaves them as they are, each further one
    is an epoch of the augmentation, in which flips take turns.

    Args:
        model: The model, whose seed decides what is random.
        x: The adapted images.
        augment: As fit's.
        passes: How many; None for the usual number.
        method: Whose arguments they are, for errors.

    Raises:
        ValueError: The images come in batches of an iterable, or the augmentation mixes images or
            is not fitted.
    """
    if isinstance(x, Stream):
        raise ValueError(
            f"{method}: with augment, x must be an array or a Dataset, whose images can be seen "
            "several times in the same order. Received an iterable of batches."
        )
    transform = augment_argument.make(model, x, augment, _refuse_to_fit(method))
    if transform.mixing or transform.augment is None:
        raise ValueError(
            f"{method}: augment must hold augmentations of single images, such as "
            f"RandomFlip('horizontal'). Received {augment!r}."
        )
    listed, seed = list(transform.augment.augmentations), transform.augment.seed
    count = _usual(listed) if passes is None else passes
    count = arguments.whole(method, "passes", count, least=1)
    unchanged = replace(transform, augment=None)
    turned = (replace(transform, augment=_turned(listed, seed, turn)) for turn in range(1, count))
    return [unchanged, *turned]


def _refuse_to_fit(method: str) -> Callable[[], object]:
    def refuse() -> object:
        raise ValueError(
            f"{method}: augment: what has to be fitted must be fitted to the training images "
            "before: call its fit(images). Received one that is not."
        )

    return refuse


def _usual(listed: Sequence[Augmentation]) -> int:
    if len(listed) == 1 and isinstance(listed[0], RandomFlip):
        return 4 if listed[0].mode == "horizontal_and_vertical" else 2
    return USUAL_PASSES


def _turned(listed: Sequence[Augmentation], seed: int, turn: int) -> Augment:
    turned = [_Flip(each.mode, turn) if type(each) is RandomFlip else each for each in listed]
    return Augment(turned, seed)


def outputs(
    model: ModelSettings, x: object, batch_size: int, augment: object, passes: int | None
) -> NDArray[np.float32]:
    """What predict returns for adapted images, float32 [n, *output_shape]."""
    transforms = views(model, x, augment, passes, "predict")
    images = input_checks.images(model, x, "predict: x", transforms[-1])
    among_ranks.agree_on_images(model, images, (batch_size, transforms))
    average, engine = output_average.of_model(model), model.engine()
    part = among_ranks.own_part(model, len(images), batch_size)
    none = np.zeros((0, *model.output_shape), np.float32)
    for number, transform in enumerate(transforms):
        batches = epoch_iterator.prepared(model, images, batch_size, transform, number, part)
        with closing(batches):
            average.add(np.concatenate([none, *(engine.predict(batch) for batch in batches)]))
    return among_ranks.gathered(model, average.outputs())


class AveragedEpochs:
    """Passes over examples whose batches are the model's outputs, averaged over views of them.

    Args:
        epochs: The examples.
        views: What happens to their images, see `views`.
    """

    def __init__(self, epochs: ArrayEpochs, views: Sequence[Transform]) -> None:
        self._passes = [replace(epochs, transform=view, on_host=True) for view in views]
        self.count = epochs.count

    def largest(self, batch_size: int) -> int:
        """How many images the largest batch of a pass has."""
        return self._passes[0].largest(batch_size)

    def batches(self, model: ModelSettings, batch_size: int) -> Generator[Any, None, None]:
        """The batches of one pass, with their targets and weights."""
        engine, tested = model.engine(), model.outputs_engine()
        with ExitStack() as stack:
            passes = [
                stack.enter_context(closing(each.batches(model, batch_size, epoch=number)))
                for number, each in enumerate(self._passes)
            ]
            for batches in zip(*passes, strict=True):
                average = output_average.of_model(model)
                for x, _, _ in batches:
                    average.add(engine.predict(x))
                yield FeatureBatch(average.outputs(), tested), *batches[0][1:]


def of_evaluation(
    model: ModelSettings,
    x: object,
    y: object,
    sample_weight: object,
    workers: int | None,
    augment: object,
    passes: int | None,
) -> ArrayEpochs | StreamEpochs | AveragedEpochs:
    """What evaluate measures, with augmentation where that is not None."""
    if not is_wanted(augment, passes, "evaluate"):
        return data_adapter.of_evaluation(model, x, y, sample_weight, workers)
    if model.session is not None and model.session.ranks is not None:
        raise ValueError(
            "evaluate: views are averaged by one process alone so far. Give augment=None, or "
            "distributed=None. Received augment beside other ranks."
        )
    x = data_adapter.adapted(model, x, "evaluate: x")
    transforms = views(model, x, augment, passes, "evaluate")
    epochs = data_adapter.of_evaluation(model, x, y, sample_weight, workers, transforms[-1])
    return AveragedEpochs(cast(ArrayEpochs, epochs), transforms)  # streams are refused
