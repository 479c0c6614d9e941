"""One step, or the loss of one batch, by itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple, TypeAlias, overload

import numpy as np

from fastcnn.backends.step import StepResult
from fastcnn.callbacks.callback import Logs
from fastcnn.metrics import Tally
from fastcnn.training import augment_argument, fit_warnings, input_checks
from fastcnn.training.epoch_iterator import ArrayEpochs
from fastcnn.training.input_checks import Examples
from fastcnn.training.model_settings import ModelSettings
from fastcnn.utils import settings, user_code

Values: TypeAlias = Any
"""[loss, *metrics], or the loss alone, a float, where a model has no metrics: no type tells which,
and both `loss, accuracy = model.evaluate(...)` and `loss = ...` are right."""


class _Kept(NamedTuple):
    """A tally, and the settings that were found right when it was made."""

    settings: tuple[object, ...]
    tally: Tally


class BatchTrainer(ModelSettings):
    """A model, as far as it takes single batches."""

    _kept: dict[str, _Kept] | None = None  # by method; no part of a copy

    @overload
    def train_on_batch(
        self,
        x: object,
        y: object,
        sample_weight: object = None,
        class_weight: Mapping[int, float] | None = None,
        *,
        return_dict: Literal[True],
    ) -> Logs: ...

    @overload
    def train_on_batch(
        self,
        x: object,
        y: object,
        sample_weight: object = None,
        class_weight: Mapping[int, float] | None = None,
        return_dict: bool = False,
    ) -> Values: ...

    def train_on_batch(
        self,
        x: object,
        y: object,
        sample_weight: object = None,
        class_weight: Mapping[int, float] | None = None,
        return_dict: bool = False,
    ) -> Logs | Values:
        """Take one training step.

        Args:
            x: Images of the batch.
            y: Their targets.
            sample_weight: A weight for each image.
            class_weight: A weight by label.
            return_dict: Return the values by name.

        Returns:
            The loss before the step and the metrics, as `evaluate` gives them; behind them those of
            each `AuxiliaryClassifier`.

        Raises:
            ValueError: Where the model is not compiled or the data do not fit it.
            NonFiniteError: Where a loss or gradient is not finite; the weights stay as they were.

        Shape:
            x [n, *input_shape]; y [n] for sparse losses, else [n, *output_shape].
        """
        with self.lock:
            tally = _checked(self, "train_on_batch", training=True)
            batch = input_checks.examples(
                self, x, y, sample_weight, class_weight, "train_on_batch: "
            )
            fit_warnings.of_first_batch(self, batch.x)
            for layer in augment_argument.unfitted(self):
                layer.take_none()  # what the weights are trained for from now on
            return answer(_on_batch(self, batch, self.engine().train, tally), return_dict)

    @overload
    def test_on_batch(
        self, x: object, y: object, sample_weight: object = None, *, return_dict: Literal[True]
    ) -> Logs: ...

    @overload
    def test_on_batch(
        self,
        x: object,
        y: object,
        sample_weight: object = None,
        return_dict: bool = False,
    ) -> Values: ...

    def test_on_batch(
        self, x: object, y: object, sample_weight: object = None, return_dict: bool = False
    ) -> Logs | Values:
        """Return the loss and the metrics of one batch, as `evaluate` gives them.

        Args:
            x: Images of the batch.
            y: Their targets.
            sample_weight: A weight for each image.
            return_dict: Return the values by name.

        Returns:
            [loss, *metrics]; the loss alone where the model has no metrics; or a dictionary.

        Raises:
            ValueError: Where the model is not compiled or the data do not fit it.

        Shape:
            x [n, *input_shape]; y [n] for sparse losses, else [n, *output_shape].
        """
        with self.lock:
            tally = _checked(self, "test_on_batch")
            batch = input_checks.examples(self, x, y, sample_weight, name="test_on_batch: ")
            return answer(_on_batch(self, batch, self.engine().test, tally), return_dict)


def _checked(model: BatchTrainer, method: str, training: bool = False) -> Tally:
    """Return an empty tally where the model has what a method needs, or raise ValueError.

    While nothing is set it is the one of the last batch, and nothing is checked again; but what
    a metric of a user's own keeps is not known, so that each batch takes a copy of such.
    """
    # With another head a model has other layers.
    now = settings.version(), model.loss, model.optimizer, model.metrics, model.layers
    kept = (model._kept or {}).get(method)
    if kept is not None and kept.settings == now:
        kept.tally.reset()
        return kept.tally
    input_checks.compiled(model, method, training)
    paths = [side.path for side in model.layers.auxiliary_classifiers] if training else ()
    tally = Tally(model.metrics, 0, paths)
    if all(user_code.is_ours(type(each)) for each in (model.loss, *model.metrics)):
        model._kept = {**(model._kept or {}), method: _Kept(now, tally)}
    return tally


def _on_batch(
    model: ModelSettings,
    examples: Examples,
    run: Callable[..., StepResult],
    tally: Tally,
) -> Logs:
    if isinstance(examples.x, np.ndarray) and not model.preprocessing:
        # Nothing is done to the images: what checked them left them as the engine takes them.
        tally.add(run(examples.x, examples.y, examples.weight), examples.y, examples.weight)
        return tally.final()
    for x, y, weight in ArrayEpochs(examples, workers=0).batches(model, len(examples)):
        tally.add(run(x, y, weight), y, weight)
    return tally.final()


def answer(logs: Logs, return_dict: bool) -> Logs | Values:
    """Return the values as a user asked for them."""
    if return_dict:
        return logs
    values = list(logs.values())
    return values[0] if len(values) == 1 else values
