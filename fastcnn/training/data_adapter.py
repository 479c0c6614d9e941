"""What fit trains and validates on, made of its arguments and checked before anything changes."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Sized
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastcnn.data.augment.whitening import Preprocessing
from fastcnn.data.dataset import Dataset, Subset, is_dataset
from fastcnn.data.images.pictures import Pictures, pictures_of
from fastcnn.data.pipeline import adapters
from fastcnn.data.pipeline.stream import Stream
from fastcnn.data.pipeline.transform import Transform
from fastcnn.training import (
    adversarial,
    augment_argument,
    input_checks,
    picture_input,
    target_checks,
)
from fastcnn.training.adversarial import Attack
from fastcnn.training.augment_argument import Statistics
from fastcnn.training.epoch_iterator import ArrayEpochs
from fastcnn.training.feature_cache import FeatureMemory
from fastcnn.training.model_settings import ModelSettings
from fastcnn.training.stream_epochs import StreamEpochs
from fastcnn.utils import arguments, naming

if TYPE_CHECKING:
    from fastcnn.data.images.decoder import Decoder

SAMPLING = ("balanced",)

Sides = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Positions to train on, and those to validate on."""


@dataclass(frozen=True)
class FitArguments:
    """fit's arguments about data, as they were given."""

    x: object
    y: object
    validation_split: object = 0.0
    validation_data: object = None
    sample_weight: object = None
    class_weight: object = None
    augment: object = None
    sampling: str | None = None
    workers: int | None = None
    epochs: int = 1
    steps: int | None = None
    validation_steps: int | None = None
    keep_features: bool = True
    adversarial: object = None


@dataclass(frozen=True)
class FitData:
    """The epochs to train and to validate on, and what the model gets of the data when training
    begins: the steps of its preprocessing, the names of its classes where it has none, what made
    images of files where that is known, and the statistics that its layers lack; and how images to
    train on are attacked, if they are."""

    train: ArrayEpochs | StreamEpochs
    validation: ArrayEpochs | StreamEpochs | None
    preprocessing: list[Preprocessing]
    class_names: list[str] | None
    decoder: Decoder | None
    statistics: list[Statistics]
    attack: Attack | None


def adapted(model: ModelSettings, x: object, name: str, labelled: bool = True) -> Any:
    """Sources of other libraries as a Dataset or a Stream, and so pictures that need no labels;
    anything else as it is."""
    listed = None if labelled else pictures_of(x)
    if listed is not None:
        return Pictures(listed, picture_input.decoder(model))
    source = adapters.adapted(x, model.input_shape[-1], name, labelled)
    if labelled or not is_dataset(source) or hasattr(source, "labels"):
        return source
    every = np.arange(len(source), dtype=np.int64)
    return Subset(source, every, augment_argument.source_shape(model, source))


def make(model: ModelSettings, fit_arguments: FitArguments) -> FitData:
    """What a training goes over; ValueError or TypeError where the arguments do not fit."""
    x = adapted(model, fit_arguments.x, "fit: x")

    sides = functools.cache(lambda: _sides(model, x, fit_arguments))

    def training() -> object:
        return _training_images(model, x, sides)

    transform = augment_argument.make(model, x, fit_arguments.augment, training)
    if transform.mixing and model.loss.target == "sparse":
        raise ValueError(
            f"fit: augment: {transform.mixing[0]!r} mixes targets, which the loss "
            f"'{model.loss.name}' "
            "cannot take. Compile with loss='categorical_crossentropy'; whole-number labels may "
            f"stay. Received the loss '{model.loss.name}'."
        )
    train: ArrayEpochs | StreamEpochs
    validation: ArrayEpochs | StreamEpochs | None = None
    if isinstance(x, Stream):
        x.reference_names = model.class_names
        train = _of_stream(model, x, fit_arguments, transform)
    else:
        train, validation = _of_examples(model, x, fit_arguments, transform, sides)
    names = getattr(x, "class_names", None)
    names = None if names is None else list(names)
    if fit_arguments.validation_data is not None:
        validation = _validation(model, fit_arguments, transform, model.class_names or names)
    attack = adversarial.attack(model, fit_arguments.adversarial, x, transform.preprocessing)
    if isinstance(train, ArrayEpochs):
        train.on_host = attack is not None
    if attack is None and fit_arguments.keep_features:
        _keep_features(train, validation)
    decoder = _decoder(model, x)
    statistics = augment_argument.statistics(model, transform.preprocessing, training)
    steps = list(transform.preprocessing)
    return FitData(train, validation, steps, names, decoder, statistics, attack)


def _keep_features(*passes: ArrayEpochs | StreamEpochs | None) -> None:
    """Let what frozen layers make of images be kept, where an image is the same in each pass."""
    memory = FeatureMemory()
    for epochs in passes:
        if isinstance(epochs, ArrayEpochs) and epochs.transform is not None:
            x, transform = epochs.examples.x, epochs.transform
            same = isinstance(x, np.ndarray) or getattr(x, "deterministic", False)
            if same and transform.augment is None and not transform.mixing:
                epochs.feature_memory = memory


def _decoder(model: ModelSettings, x: object) -> Decoder | None:
    """What made images of x's files, where it is known and makes the model's."""
    decoder = getattr(x, "decoder", None)
    if decoder is None:
        return None
    from fastcnn.data.images.decoder import Decoder  # arrays have none

    if not isinstance(decoder, Decoder):  # another library's
        return None
    return decoder if decoder.shape == augment_argument.source_shape(model, x) else None


def _of_examples(
    model: ModelSettings,
    x: object,
    fit_arguments: FitArguments,
    transform: Transform,
    sides: Callable[[], Sides | None],
) -> tuple[ArrayEpochs, ArrayEpochs | None]:
    """The epochs to train on, and the share of the examples that is held out to validate on."""
    examples = input_checks.examples(
        model, x, fit_arguments.y, fit_arguments.sample_weight, transform=transform
    )
    validation = indices = None
    parted = sides()
    if parted is not None:
        indices, held = parted
        validation = ArrayEpochs(examples, held, _unchanged(transform), fit_arguments.workers)
    weighted = input_checks.weighted(model, examples, fit_arguments.class_weight, "fit: ", indices)
    train = ArrayEpochs(weighted, indices, transform, fit_arguments.workers)
    if fit_arguments.sampling is not None:
        naming.lookup("sampling", fit_arguments.sampling, dict.fromkeys(SAMPLING))
        target_checks.refuse_without_classes(model, "fit: sampling", "leave sampling out")
        classes = target_checks.classes(model, examples.y)
        train = replace(train, classes=classes if indices is None else classes[indices])
    return train, validation


def _sides(model: ModelSettings, x: Sized, fit_arguments: FitArguments) -> Sides | None:
    """The positions to train on and those to hold out: of an array the last ones, of a Dataset a
    share of each class. None where nothing is held out."""
    share = arguments.number(
        "fit", "validation_split", fit_arguments.validation_split, least=0, below=1
    )
    if not share or fit_arguments.validation_data is not None:
        return None
    from fastcnn.data.folder import splitting  # with all that reads files

    if is_dataset(x):
        return _sides_of_dataset(model, x, share)
    return splitting.split_array(len(x), share)


def _sides_of_dataset(model: ModelSettings, x: Dataset, share: float) -> Sides:
    from fastcnn.data.folder import splitting  # with all that reads files

    y = input_checks.dataset_targets(model, x, "fit: ")
    if not target_checks.has_classes(model):
        return splitting.split_source(x, np.zeros(len(y), np.int64), share, model.seed)
    classes = target_checks.classes(model, y)
    sides = splitting.split_source(x, classes, share, model.seed)
    names = model.class_names or getattr(x, "class_names", None)
    names = list(names or map(str, range(int(classes.max()) + 1)))
    notes = splitting.notes(classes, names, *sides)
    if notes:
        warnings.warn(f"fit: validation_split: {' '.join(notes)}", stacklevel=6)
    return sides


def _training_images(model: ModelSettings, x: object, sides: Callable[[], Sides | None]) -> object:
    """The images to train on, as an array or a Dataset."""
    if isinstance(x, Stream):
        raise ValueError(
            "fit: what has to be fitted to the training images, as PCAColor, ZCAWhitening and "
            "Normalization, must be fitted before where x is an iterable of batches: call its "
            "fit(images) or adapt(images) first. Received one that is not."
        )
    parted = sides()
    if not is_dataset(x):
        return np.asarray(x) if parted is None else np.asarray(x)[: len(parted[0])]
    if parted is None and hasattr(x, "image_shape"):
        return x
    train = np.arange(len(x), dtype=np.int64) if parted is None else parted[0]
    return Subset(x, train, augment_argument.source_shape(model, x))


def _of_stream(
    model: ModelSettings, stream: Stream, fit_arguments: FitArguments, transform: Transform
) -> StreamEpochs:
    """The epochs to train on where x is an iterable of batches."""
    arguments_of_arrays = {
        "y": fit_arguments.y,
        "sample_weight": fit_arguments.sample_weight,
        "validation_split": fit_arguments.validation_split or None,
        "sampling": fit_arguments.sampling,
    }
    for name, value in arguments_of_arrays.items():
        if value is not None:
            _refuse_beside_stream("fit", name, value)
    _refuse_once(stream, fit_arguments.epochs if fit_arguments.steps is None else 1)
    table = None
    if fit_arguments.class_weight is not None:
        table = target_checks.class_weight(
            model, fit_arguments.class_weight, None, "fit: class_weight"
        )
    return StreamEpochs(stream, transform, fit_arguments.workers, table)


def _validation(
    model: ModelSettings,
    fit_arguments: FitArguments,
    transform: Transform,
    class_names: list[str] | None,
) -> ArrayEpochs | StreamEpochs:
    """The epochs to validate on where validation_data is given; its classes are counted as in
    class_names."""
    name = "fit: validation_data: "
    data, unchanged = fit_arguments.validation_data, _unchanged(transform)
    if not isinstance(data, tuple | list):
        data = (adapted(model, data, name.rstrip(": ")),)
        if isinstance(data[0], Stream):
            _refuse_once(
                data[0], fit_arguments.epochs if fit_arguments.validation_steps is None else 1
            )
            data[0].reference_names = class_names
            return StreamEpochs(data[0], unchanged, fit_arguments.workers)
        if not is_dataset(data[0]):
            data = ()
    if not 1 <= len(data) <= 3:
        raise TypeError(
            "fit: validation_data must be (x, y), (x, y, sample_weight), a Dataset or an iterable "
            f"of batches. Received {type(fit_arguments.validation_data).__name__}."
        )
    x, y, weight = (*data, None, None)[:3]
    # Labels are taken as in training: mixing makes one-hot rows of them.
    as_training = replace(unchanged, mixing=transform.mixing)
    examples = input_checks.examples(
        model, x, y, weight, name=name, transform=as_training, class_names=class_names
    )
    return ArrayEpochs(examples, None, unchanged, fit_arguments.workers)


def _refuse_beside_stream(method: str, name: str, value: object) -> None:
    raise ValueError(
        f"{method}: {name} cannot be given where x is an iterable of batches, each (x, y) or "
        f"(x, y, weights). Received {type(value).__name__}."
    )


def _refuse_once(stream: Stream, epochs: int) -> None:
    if stream.once and epochs > 1:
        raise ValueError(
            f"{stream.name} must be an object whose __iter__ begins anew each epoch, as a "
            "DataLoader or a tf.data.Dataset. Received a generator, which gives its batches only "
            f"once, for {epochs} epochs."
        )


def _unchanged(transform: Transform) -> Transform:
    """What validation does to images: the fixed steps alone."""
    return Transform(preprocessing=transform.preprocessing)


def of_evaluation(
    model: ModelSettings,
    x: object,
    y: object,
    sample_weight: object,
    workers: int | None,
    transform: Transform | None = None,
) -> ArrayEpochs | StreamEpochs:
    """What evaluate measures, behind the model's preprocessing or a transform."""
    if workers is not None:
        workers = arguments.whole(
            "evaluate", "workers", workers, least=0, most=arguments.MOST_WORKERS
        )
    transform = transform or Transform(preprocessing=model.preprocessing)
    x = adapted(model, x, "evaluate: x")
    if not isinstance(x, Stream):
        examples = input_checks.examples(
            model, x, y, sample_weight, name="evaluate: ", transform=transform
        )
        return ArrayEpochs(examples, None, transform, workers)
    for name, value in (("y", y), ("sample_weight", sample_weight)):
        if value is not None:
            _refuse_beside_stream("evaluate", name, value)
    x.reference_names = model.class_names
    return StreamEpochs(x, transform, workers)
