"""What a training of `fastcnn train` begins with: model, images, what bears on the loss."""

from __future__ import annotations

import argparse
import functools
import math
from typing import Any

import numpy as np

from fastcnn.cli.options import augment as augmenting
from fastcnn.cli.options import device, train_settings
from fastcnn.cli.options.decoding import Reading
from fastcnn.cli.options.errors import UsageError
from fastcnn.cli.options.train_settings import Settings
from fastcnn.cli.resolve import class_weight, dataset, pretrained, targets, transfer
from fastcnn.cli.resolve import model as models
from fastcnn.cli.resolve.folder_set import LOOK, MEASURE
from fastcnn.cli.resolve.image_set import ImageSet
from fastcnn.data.augment import preprocessing
from fastcnn.data.augment.mixing import Mixing
from fastcnn.data.augment.preprocessing import PIXELS, ImageNetScaling
from fastcnn.data.augment.whitening import Preprocessing
from fastcnn.layers import Rescaling
from fastcnn.models.sequential import Sequential
from fastcnn.training import picture_input
from fastcnn.utils import messages
from fastcnn.utils.naming import printable

MOST_NAMES = 8
APART = 4.0
"""By how many times numbers may vary more than others that are learnt beside them."""


def prepared(
    args: argparse.Namespace,
    wanted: Settings,
    asked: dict[str, object],
    source: Sequential | None,
) -> tuple[Sequential, ImageSet, dict[str, Any]]:
    """The compiled model, `source` or the one that is named, what it is to learn from, and `fit`'s
    options that bear on the loss."""
    images = _images(wanted, source, args.threads)
    if images.kind != "classes":
        _check_task(wanted, images)
    elif source is None:
        images.refuse_single_class()
    augment = augmenting.parse(wanted.augment, images.shape)
    if wanted.adversarial is not None:
        _check_range([*(source.preprocessing if source else []), *augment])
    shape = augmenting.shape_after(augment, images.shape)
    model = _network(wanted, images, shape) if source is None else source
    device.moved(model, args)
    if args.resume:
        images = images.by_names(model.class_names)
    else:
        images = transfer.prepared(model, images, wanted, shape)
        if (
            model.optimizer is None
            or model.loss is None
            or not isinstance(model.optimizer.learning_rate, float)  # a schedule at its end
            or (train_settings.OF_OPTIMIZER | {"label_smoothing"}) & set(asked)
        ):
            mixed = any(isinstance(augmentation, Mixing) for augmentation in augment)
            loss = model.loss or models.fitting_loss(model, mixed, images.kind)
            loss = models.smoothed(loss, wanted.label_smoothing)
            optimizer = train_settings.make_optimizer(wanted, _steps(wanted, images))
            model.compile(optimizer, loss, models.METRICS[images.kind])
    models.check_shape(model, images, shape)
    models.check_classes(model, images)
    options = {
        "batch_size": wanted.batch_size,
        "augment": augment or None,
        "adversarial": wanted.adversarial,
        "class_weight": class_weight.parsed(wanted.class_weight, images),
    }
    return model, images, options


def of_file(wanted: Settings) -> Sequential | None:
    """The model of a file; None for a network's name, which waits for the images' shape."""
    return None if models.is_network(wanted.model) else models.named(wanted.model)


def _images(wanted: Settings, model: Sequential | None, threads: int | None) -> ImageSet:
    """The images to train on, those of files made as the model takes them where it is there."""
    base = None if model is None else functools.partial(picture_input.decoder, model)
    if pretrained.is_wanted(wanted) and model is None:
        base = functools.partial(pretrained.decoder, wanted.model)
    reading = Reading.of(wanted, threads)
    if wanted.validation_data is None:
        return dataset.opened(wanted.data, reading, base, wanted.validation, wanted.seed)
    if wanted.validation:
        raise UsageError("--validation-split: --validation-data says it all; leave one out.")
    images = dataset.opened(wanted.data, reading, base, purpose=LOOK)
    others = dataset.opened(wanted.validation_data, reading, base, purpose=MEASURE)
    return images.validated_on(others.measured()[1], others.names, wanted.validation_data)


def _check_range(augment: list[Any]) -> None:
    """UsageError where a step leaves it open how large the numbers are that an attack moves."""
    for step in augment:
        if isinstance(step, Preprocessing) and not preprocessing.extent([step], PIXELS, 3):
            raise UsageError(
                "--adversarial: how far a pixel may move is a part of its range, which is not "
                f"known behind {step!r}: it looks at the whole image. Leave one of the two out."
            )


def _network(wanted: Settings, images: ImageSet, shape: tuple[int, ...]) -> Sequential:
    if pretrained.is_wanted(wanted):
        return pretrained.network(wanted, images, shape)
    options: dict[str, Any] = {"rescale": images.raw}
    if pretrained.scales_as_pytorch(wanted, images, shape):
        options = {"preprocessing": [ImageNetScaling("torch")]}
    options |= {"input_shape": shape, "classes": images.outputs, "seed": wanted.seed}
    if images.kind == "classes":
        return models.named(wanted.model, **options)
    activation = "sigmoid" if images.kind == "labels" else None
    model = models.named(wanted.model, classifier_activation=activation, **options)
    if images.kind == "values":
        mean, deviation = _spread(images)
        model.add(Rescaling(deviation, mean, name="in_units"))
    return model


def _spread(images: ImageSet) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of each number to be learnt: what outputs around 0 become."""
    values = images.to_train.labels.astype(np.float64)
    deviation = values.std(axis=0)
    least, most = int(np.argmin(deviation)), int(np.argmax(deviation))
    if deviation[most] > APART * deviation[least] > 0:
        names = images.class_names or [f"output {number}" for number in range(values.shape[1])]
        messages.say(
            f"Note: '{printable(names[most])}' varies {deviation[most] / deviation[least]:.0f} "
            f"times as much as '{printable(names[least])}', and has the loss for itself. Give "
            "columns in units in which they vary alike."
        )
    return values.mean(axis=0).tolist(), np.where(deviation > 0, deviation, 1.0).tolist()


def _check_task(wanted: Settings, images: ImageSet) -> None:
    """Say what is learnt; UsageError for settings that are about classes alone."""
    messages.say(f"Task: {targets.WORDS[images.kind]} ({_outputs(images)}).")
    refused = {
        "--class-weight": wanted.class_weight is not None,
        "--init imagenet": pretrained.is_wanted(wanted),
        "--label-smoothing": images.kind == "values" and wanted.label_smoothing is not None,
        "--validation-data": wanted.validation_data is not None,
    }
    if images.kind == "labels":
        _tell_constant_labels(images)
    option = next((option for option, asked in refused.items() if asked), None)
    if option is not None:
        raise UsageError(f"{option} is for classes alone. Leave it out.")


def _tell_constant_labels(images: ImageSet) -> None:
    labels = images.to_train.labels
    constant = np.flatnonzero((labels == labels[0]).all(axis=0))
    if constant.size:
        names = ", ".join(printable(images.names[number]) for number in constant[:MOST_NAMES])
        messages.say(
            f"Note: of {constant.size} of {images.outputs} labels all images to train on say the "
            f"same, so that they cannot be learnt: {names}."
        )


def _outputs(images: ImageSet) -> str:
    """The first names of what is learnt, or how many there are."""
    names = images.class_names
    if names is None:
        return f"{images.outputs} outputs"
    more = len(names) - MOST_NAMES
    return ", ".join(map(printable, names[:MOST_NAMES])) + (f" and {more} more" if more > 0 else "")


def _steps(wanted: Settings, images: ImageSet) -> int:
    """The updates of an epoch."""
    batches = wanted.steps_per_epoch or math.ceil(len(images.to_train) / wanted.batch_size)
    return math.ceil(batches / (wanted.gradient_accumulation_steps or 1))
