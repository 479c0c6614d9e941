"""Training, evaluation and prediction: what Sequential's methods of the same names do."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import closing
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastcnn.autotune import tuner
from fastcnn.callbacks.callback import Callback, Hooks, Logs
from fastcnn.callbacks.history import History
from fastcnn.data.pipeline.stream import Stream
from fastcnn.metrics import Tally
from fastcnn.strategies import choices, timing_cache
from fastcnn.training import (
    augment_argument,
    data_adapter,
    epoch_iterator,
    fit_warnings,
    input_checks,
    progress,
)
from fastcnn.training.augment_argument import Statistics
from fastcnn.training.epoch_iterator import Part, test_pass
from fastcnn.training.fit_loop import Fit, Plan
from fastcnn.training.input_checks import Examples
from fastcnn.training.steps_per_epoch import Stepped
from fastcnn.utils import arguments

__all__ = ["History", "evaluate", "fit", "predict", "test_on_batch", "train_on_batch"]


USUAL_BATCH = 32


def fit(
    model: Any,
    x: Any,
    y: Any = None,
    batch_size: int = USUAL_BATCH,
    epochs: int = 1,
    verbose: str | int = "auto",
    callbacks: Callback | Sequence[Callback] | None = None,
    validation_split: float = 0.0,
    validation_data: Any = None,
    shuffle: bool = True,
    class_weight: Mapping[int, float] | str | None = None,
    sample_weight: Any = None,
    initial_epoch: int = 0,
    tune: bool = False,
    augment: Any = None,
    sampling: str | None = None,
    workers: int | None = None,
    steps_per_epoch: int | None = None,
    validation_steps: int | None = None,
    validation_freq: int | Collection[int] = 1,
) -> History:
    """Trains the model on images x and targets y, up to epoch number `epochs`, and returns the
    history.

    x: an array, uint8 or float32 [n, *input_shape], with y beside it; or, with y left out, a
    `fastcnn.data.Dataset`, a map-style data set of (image, label) as PyTorch's, or an iterable of
    batches (x, y) or (x, y, weights) as tf.data's, which keeps its own order and batch sizes. What
    such sources give is copied, and they are told of epochs: `on_epoch_begin()`, `on_epoch_end()`
    and, of PyTorch's samplers, `set_epoch(epoch)` are called where they have them.

    The fraction `validation_split` of x, or else `validation_data` (x, y), (x, y, weights) or any
    of the sources above, is evaluated after each epoch. Of arrays, the last images are held out, as
    Keras does. Of a Dataset, which may be sorted by class, a share of each class is: the images
    that `from_folder(validation_split=..., seed=model.seed)` holds out, chosen by the names of
    their files, or else by their positions. Where a Dataset has class_names in another order than
    the model or the training set, its labels are counted as they do; ValueError for a name that
    they do not know.

    `augment` is a list of augmentations of `fastcnn.data`, applied to the batches of training
    alone: random ones of each image, MixUp and CutMix of a batch (several: one a batch, by
    chance), and fixed steps, which stand last and join `model.preprocessing`; or an Augment. Of a
    PCAColor or ZCAWhitening that is not fitted, a copy is, to the training images alone. (A
    Normalization that begins the model without statistics is given theirs, too.) Where `augment`
    makes images of another size, as RandomCrop may, model.preprocessing begins with a CenterCrop,
    so that validation and predict see the middle. `workers` threads prepare batches ahead of the
    step (0: none; None: one, where images are more than gathered); the bits are the same for any.
    `sampling="balanced"` draws every class equally often in each epoch, so that images of rare
    classes come several times and some of others not at all; `class_weight="balanced"` weighs
    classes by how rare they are instead.

    `steps_per_epoch` batches make an epoch, which begins where the last one ended; where the data
    run out, it is shorter, with a warning, and the next one begins anew, as in Keras (with a
    generator the training ends). Of the validation data the first `validation_steps` batches are
    taken. `validation_freq` is how many epochs pass between validations, or the epochs, counted
    from 1, to validate after; values that an epoch lacks are NaN in the history.

    What is random in an epoch, the order and the augmentation, depends on model.seed, the epoch's
    number and the images' alone, so that a training resumed with initial_epoch=model.epoch repeats.
    Ctrl-C ends the training after the running step and keeps the epoch's record; a second one
    raises. NonFiniteError, with .epoch and .step (from 0) and .history, ends a training whose
    loss is no longer finite; the model keeps the weights from before that step. With `tune` the
    strategies of the model's convolutions are timed first, where that was not done before; Ctrl-C
    then ends it before the first epoch.
    """
    input_checks.compiled(model, "fit", training=True)
    progress.check_verbose(verbose)
    plan = Plan(
        batch_size=arguments.whole("fit", "batch_size", batch_size, least=1),
        epochs=arguments.whole("fit", "epochs", epochs, least=1),
        first=arguments.whole("fit", "initial_epoch", initial_epoch, least=0),
        shuffle=arguments.flag("fit", "shuffle", shuffle),
        verbose=verbose,
        validation_freq=_frequency(validation_freq),
    )
    steps = _steps("steps_per_epoch", steps_per_epoch)
    measured = _steps("validation_steps", validation_steps)
    given = data_adapter.Given(
        x=x,
        y=y,
        validation_split=validation_split,
        validation_data=validation_data,
        sample_weight=sample_weight,
        class_weight=class_weight,
        augment=augment,
        sampling=sampling,
        workers=None
        if workers is None
        else arguments.whole("fit", "workers", workers, least=0, most=arguments.MOST_WORKERS),
        epochs=plan.epochs - plan.first,
        steps=steps,
        validation_steps=measured,
    )
    found = data_adapter.make(model, given)
    hooks = Hooks(input_checks.callbacks(callbacks))
    fit_warnings.before_training(model, found.train, found.validation)
    images = found.train.largest(plan.batch_size) or plan.batch_size
    if arguments.flag("fit", "tune", tune):
        report = tuner.tune(model, images)
        progress.make(verbose).note(report.sentence)
        if report.interrupted:
            history = History()
            history.interrupted = True
            return history
    if verbose and timing_cache.any_known():
        _tell_measured(model, images, verbose)
    _give_statistics(model, found.statistics)
    model.preprocessing = found.preprocessing
    if model.class_names is None:
        model.class_names = found.class_names
    if found.decoder is not None:
        model.decoder = found.decoder
    train: Any = found.train
    validation: Any = found.validation
    if steps is not None:
        train = Stepped(train, steps, plan.batch_size, "steps_per_epoch", goes_on=True)
    if measured is not None and validation is not None:
        size = plan.batch_size
        validation = Stepped(validation, measured, size, "validation_steps", goes_on=False)
    return Fit(model, train, validation, plan, hooks).run()


def _steps(argument: str, value: int | None) -> int | None:
    return None if value is None else arguments.whole("fit", argument, value, least=1)


def _frequency(value: Any) -> int | frozenset[int]:
    """validation_freq as a number of epochs, or as the epochs themselves."""
    if isinstance(value, Collection) and not isinstance(value, str):
        each = [arguments.whole("fit", "validation_freq", one, least=1) for one in value]
        return frozenset(each)
    return arguments.whole("fit", "validation_freq", value, least=1)


def _give_statistics(model: Any, found: list[Statistics]) -> None:
    for one in found:
        one.layer.take(one.mean, one.variance)


def _tell_measured(model: Any, images: int, verbose: str | int) -> None:
    """Says how many strategies are others than on a machine where nothing was measured."""
    chosen = choices.of_training(model, images)
    others = choices.beside_estimate(chosen, images, model.error_bound)
    if others:
        progress.make(verbose).note(
            f"Strategies: {len(others)} of {len(chosen)} are not the estimated ones, but the "
            "fastest measured on this machine. summary() shows them, pin_strategies() keeps them."
        )


def evaluate(
    model: Any,
    x: Any,
    y: Any = None,
    batch_size: int = USUAL_BATCH,
    verbose: str | int = 0,
    sample_weight: Any = None,
    return_dict: bool = False,
    workers: int | None = None,
) -> Any:
    """The loss and the metrics on x and y, which are what fit takes: as [loss, *metrics], as the
    loss alone where the model has no metrics, or as a dict by name."""
    input_checks.compiled(model, "evaluate")
    progress.check_verbose(verbose)
    size = arguments.whole("evaluate", "batch_size", batch_size, least=1)
    part = data_adapter.of_evaluation(model, x, y, sample_weight, workers)
    shown = progress.make(verbose)
    shown.begin("Evaluation", part.count)
    start = time.perf_counter()
    try:
        logs = test_pass(model, part, size, shown, Hooks(()))
        seconds = time.perf_counter() - start
        rate = (part.count or 0) / max(seconds, 1e-9)
        shown.end(progress.line("Evaluation", seconds, rate, logs))
    finally:
        shown.close()
    return _answer(logs, return_dict)


def predict(model: Any, x: Any, batch_size: int = USUAL_BATCH) -> NDArray[np.float32]:
    """The model's outputs for images x: float32 [n, *output_shape].

    x: images, or any other source that fit takes; labels in it are not looked at.
    """
    size = arguments.whole("predict", "batch_size", batch_size, least=1)
    run = model.engine().predict
    source = data_adapter.adapted(model, x, "predict: x", labelled=False)
    if isinstance(source, Stream):
        return np.concatenate(
            [run(batch) for batch in epoch_iterator.prepared_stream(model, source)]
        )
    images = input_checks.images(model, source, "predict: x")
    outputs = np.empty((len(images), *model.output_shape), np.float32)
    # Few images, whatever their number, go by the plan of a usual batch; one goes by itself.
    capacity = min(size, max(len(images), USUAL_BATCH)) if len(images) > 1 else 1
    start = 0
    with closing(epoch_iterator.prepared(model, images, size)) as batches:
        for batch in batches:
            outputs[start : start + len(batch)] = run(batch, capacity)
            start += len(batch)
    return outputs


def train_on_batch(
    model: Any,
    x: Any,
    y: Any,
    sample_weight: Any = None,
    class_weight: Mapping[int, float] | None = None,
    return_dict: bool = False,
) -> Any:
    """One training step on x and y; the loss before it and the metrics, as `evaluate` gives."""
    with model.lock:
        input_checks.compiled(model, "train_on_batch", training=True)
        batch = input_checks.examples(model, x, y, sample_weight, class_weight, "train_on_batch: ")
        for layer in augment_argument.unfitted(model):
            layer.take_none()  # what the weights are trained for from now on
        return _answer(_on_batch(model, batch, model.engine().train), return_dict)


def test_on_batch(
    model: Any, x: Any, y: Any, sample_weight: Any = None, return_dict: bool = False
) -> Any:
    """The loss and the metrics of one batch, as `evaluate` gives them."""
    with model.lock:
        input_checks.compiled(model, "test_on_batch")
        batch = input_checks.examples(model, x, y, sample_weight, name="test_on_batch: ")
        return _answer(_on_batch(model, batch, model.engine().test), return_dict)


def _on_batch(model: Any, examples: Examples, run: Any) -> Logs:
    tally = Tally(model.metrics, len(examples))
    for x, y, weight in Part(examples, workers=0).batches(model, len(examples)):
        tally.add(run(x, y, weight), y, weight)
    return tally.final()


def _answer(logs: Logs, return_dict: bool) -> Any:
    if return_dict:
        return logs
    values = list(logs.values())
    return values[0] if len(values) == 1 else values
