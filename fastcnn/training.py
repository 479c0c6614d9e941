"""Training, evaluation and prediction: what Sequential's methods of the same names do."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastcnn import arguments, checks, progress
from fastcnn.checks import Examples
from fastcnn.data.batches import Batches, Dataset
from fastcnn.fitting import Fit, Plan
from fastcnn.history import History
from fastcnn.hooks import Callback, Hooks, Logs
from fastcnn.metrics import Tally
from fastcnn.passes import Part, test_pass

__all__ = ["History", "evaluate", "fit", "predict", "test_on_batch", "train_on_batch"]


def fit(
    model: Any,
    x: Any,
    y: Any = None,
    batch_size: int = 32,
    epochs: int = 1,
    verbose: str | int = "auto",
    callbacks: Callback | Sequence[Callback] | None = None,
    validation_split: float = 0.0,
    validation_data: Any = None,
    shuffle: bool = True,
    class_weight: dict[int, float] | None = None,
    sample_weight: Any = None,
    initial_epoch: int = 0,
) -> History:
    """Trains the model on images x (uint8 or float32 [n, *input_shape], or a Dataset) and
    targets y, up to epoch number `epochs`, and returns the history.

    The last fraction `validation_split` of x, or else `validation_data` (x, y), (x, y, weights)
    or a Dataset, is evaluated after each epoch. The order of an epoch depends on model.seed and
    the epoch's number alone, so that a training resumed with initial_epoch=model.epoch repeats.
    Ctrl-C ends the training after the running step and keeps the epoch's record; a second one
    raises. NonFiniteError, with .epoch and .step (from 0) and .history, ends a training whose
    loss is no longer finite; the model keeps the weights from before that step.
    """
    checks.compiled(model, "fit", training=True)
    progress.check_verbose(verbose)
    plan = Plan(
        batch_size=arguments.whole("fit", "batch_size", batch_size, least=1),
        epochs=arguments.whole("fit", "epochs", epochs, least=1),
        first=arguments.whole("fit", "initial_epoch", initial_epoch, least=0),
        shuffle=arguments.flag("fit", "shuffle", shuffle),
        verbose=verbose,
    )
    examples = checks.examples(model, x, y, sample_weight, class_weight)
    train, validation = _parts(model, examples, validation_split, validation_data)
    hooks = Hooks(checks.callbacks(callbacks))
    return Fit(model, train, validation, plan, hooks).run()


def _parts(
    model: Any, examples: Examples, validation_split: float, validation_data: Any
) -> tuple[Part, Part | None]:
    """The part to train on and the part to validate on."""
    share = arguments.number("fit", "validation_split", validation_split, least=0, below=1)
    if validation_data is not None:
        data = (validation_data,) if isinstance(validation_data, Dataset) else validation_data
        if not isinstance(data, tuple | list) or not 1 <= len(data) <= 3:
            raise TypeError(
                "fit: validation_data must be (x, y), (x, y, sample_weight) or a Dataset. "
                f"Received {type(validation_data).__name__}."
            )
        x, y, weight = (*data, None, None)[:3]
        return Part(examples), Part(
            checks.examples(model, x, y, weight, name="fit: validation_data: ")
        )
    if not share:
        return Part(examples), None
    cut = math.floor(len(examples) * (1.0 - share))
    if cut in (0, len(examples)):
        raise ValueError(
            "fit: validation_split must leave images on both sides. "
            f"Received {share} for {len(examples)} images."
        )
    indices = np.arange(len(examples), dtype=np.int64)
    return Part(examples, indices[:cut]), Part(examples, indices[cut:])


def evaluate(
    model: Any,
    x: Any,
    y: Any = None,
    batch_size: int = 32,
    verbose: str | int = 0,
    sample_weight: Any = None,
    return_dict: bool = False,
) -> Any:
    """The loss and the metrics on x and y: as [loss, *metrics], as the loss alone where the model
    has no metrics, or as a dict by name."""
    checks.compiled(model, "evaluate")
    progress.check_verbose(verbose)
    size = arguments.whole("evaluate", "batch_size", batch_size, least=1)
    part = Part(checks.examples(model, x, y, sample_weight, name="evaluate: "))
    shown = progress.make(verbose)
    shown.begin("Evaluation", len(part))
    start = time.perf_counter()
    try:
        logs = test_pass(model, part, size, shown, Hooks(()))
        seconds = time.perf_counter() - start
        shown.end(progress.line("Evaluation", seconds, len(part) / max(seconds, 1e-9), logs))
    finally:
        shown.close()
    return _answer(logs, return_dict)


def predict(model: Any, x: Any, batch_size: int = 32) -> NDArray[np.float32]:
    """The model's outputs for images x: float32 [n, *output_shape]."""
    size = arguments.whole("predict", "batch_size", batch_size, least=1)
    images = checks.images(model, x, "predict: x")
    run = model.engine().predict
    outputs = np.empty((len(images), *model.output_shape), np.float32)
    if isinstance(images, Dataset):
        order = np.arange(len(images), dtype=np.int64)
        batches = (
            x for x, _, _ in Batches(images, None, None, size, order, shape=model.input_shape)
        )
    else:
        # Already in order: views will do.
        batches = (images[start : start + size] for start in range(0, len(images), size))
    start = 0
    for batch in batches:
        outputs[start : start + len(batch)] = run(batch)
        start += len(batch)
    return outputs


def train_on_batch(
    model: Any,
    x: Any,
    y: Any,
    sample_weight: Any = None,
    class_weight: dict[int, float] | None = None,
    return_dict: bool = False,
) -> Any:
    """One training step on x and y; the loss before it and the metrics, as `evaluate` gives."""
    checks.compiled(model, "train_on_batch", training=True)
    batch = checks.examples(model, x, y, sample_weight, class_weight, "train_on_batch: ")
    return _answer(_on_batch(model, batch, model.engine().train), return_dict)


def test_on_batch(
    model: Any, x: Any, y: Any, sample_weight: Any = None, return_dict: bool = False
) -> Any:
    """The loss and the metrics of one batch, as `evaluate` gives them."""
    checks.compiled(model, "test_on_batch")
    batch = checks.examples(model, x, y, sample_weight, name="test_on_batch: ")
    return _answer(_on_batch(model, batch, model.engine().test), return_dict)


def _on_batch(model: Any, examples: Examples, run: Any) -> Logs:
    tally = Tally(model.metrics, len(examples))
    for x, y, weight in Part(examples).batches(model, len(examples)):
        tally.add(run(x, y, weight), y, weight)
    return tally.final()


def _answer(logs: Logs, return_dict: bool) -> Any:
    if return_dict:
        return logs
    values = list(logs.values())
    return values[0] if len(values) == 1 else values
