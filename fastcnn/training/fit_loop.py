"""The fit loop, and the pass that measures without training."""

from __future__ import annotations

import math
import time
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from fastcnn.backends.engine import Engine
from fastcnn.callbacks.callback import CallbackList, Logs
from fastcnn.callbacks.history import History
from fastcnn.metrics import Tally
from fastcnn.training import fit_warnings, progress
from fastcnn.training.adversarial import Attack
from fastcnn.training.among_ranks import check_same_weights, interrupt_of
from fastcnn.training.feature_cache import engine_of
from fastcnn.training.model_settings import ModelSettings
from fastcnn.training.progress import Progress
from fastcnn.training.steps_per_epoch import Epochs, Stepped
from fastcnn.training.stream_epochs import StreamEpochs


@dataclass(frozen=True)
class Plan:
    """How fit is to go: epochs `first` to `epochs` - 1, in batches, shuffled or in order, perhaps
    attacked."""

    batch_size: int
    epochs: int
    first: int
    shuffle: bool
    verbose: str | int
    validation_freq: int | frozenset[int] = 1
    attack: Attack | None = None

    def validated(self, epoch: int) -> bool:
        """Whether an epoch, counted from 0, is validated: each so many, or those counted from 1."""
        if isinstance(self.validation_freq, int):
            return (epoch + 1) % self.validation_freq == 0
        return epoch + 1 in self.validation_freq


class Fit:
    """One running fit."""

    def __init__(
        self,
        model: ModelSettings,
        train: Epochs,
        validation: Epochs | None,
        plan: Plan,
        callback_list: CallbackList,
    ) -> None:
        self.model = model
        self.train = train
        self.validation = validation
        self.plan = plan
        self.callback_list = callback_list
        self.history = History()
        paths = [side.path for side in model.layers.auxiliary_classifiers]
        self.tally = Tally(model.metrics, train.count or 0, paths)
        self.loss = model.loss
        self.failure: ArithmeticError | None = None
        self.latest: tuple[Engine, int] | None = None  # which took the last step, and its number
        self.names = self._names()
        self.unseen = isinstance(train, StreamEpochs)  # nobody looked at its images before

    def _names(self) -> list[str]:
        """The names of each epoch's logs, in their order."""
        names = self.tally.names
        if self.validation is not None:
            names += [f"val_{name}" for name in Tally(self.model.metrics, 0).names]
        if callable(self.model.optimizer.learning_rate):
            names.append("learning_rate")
        added = (name for callback in self.callback_list.callbacks for name in callback.log_names)
        return list(dict.fromkeys([*names, *added]))

    def run(self) -> History:
        """Train until the last epoch, a callback's or the user's wish to stop, or an error."""
        self._introduce()
        self.progress = progress.make(self.plan.verbose)
        self.model.stop_training = False
        with interrupt_of(self.model) as self.interrupt:
            try:
                self._run_with_callbacks()
            except BaseException as error:
                self.callback_list.fail(error)
                raise
        if self.failure is not None:
            raise self.failure
        return self.history

    def _run_with_callbacks(self) -> None:
        try:
            self.callback_list.call("on_train_begin", {})
            self._epochs()
        finally:
            self.progress.close()
            for epochs in (self.train, self.validation):
                if isinstance(epochs, Stepped):
                    epochs.close()
        self.callback_list.call("on_train_end", self._last())

    def _introduce(self) -> None:
        count = self.train.count
        params = {
            "epochs": self.plan.epochs,
            "initial_epoch": self.plan.first,
            "steps": None if count is None else -(-count // self.plan.batch_size),
            "verbose": self.plan.verbose,
            "metrics": self.names,
        }
        for callback in self.callback_list.callbacks:
            callback.set_model(self.model)
            callback.set_params(params)

    def _last(self) -> Logs:
        return {name: values[-1] for name, values in self.history.history.items() if values}

    def _epochs(self) -> None:
        for epoch in range(self.plan.first, self.plan.epochs):
            self.interrupt.agree()
            stopped = self.interrupt.on_any(self.model.stop_training)
            if self.failure or self.interrupt.requested or stopped:
                break
            if self._exhausted:
                break
            self._epoch(epoch)
        if self.interrupt.requested:
            self.history.interrupted = True
            self.progress.note("Interrupted: the weights and the history so far are kept.")

    @property
    def _exhausted(self) -> bool:
        """Whether a generator has no more batches to train on."""
        return isinstance(self.train, Stepped) and self.train.exhausted

    def _epoch(self, epoch: int) -> None:
        title = f"Epoch {epoch + 1}/{self.plan.epochs}"
        self.callback_list.call("on_epoch_begin", epoch, {})
        with self.model.lock:
            self.model.state.use_trained()
            self.good = self.model.state.snapshot()
        later = (self.train.count or 0) * (self.plan.epochs - epoch - 1)
        self.progress.begin(title, self.train.count, later)
        start = time.perf_counter()
        finished = self._steps(epoch)
        if self.failure is None:
            self._complete_update(epoch)
        check_same_weights(self.model)
        with self.model.lock:
            self.model.state.use_averages()
        seconds = time.perf_counter() - start
        finished = finished and not (self._exhausted and not self.tally.count)
        if self.failure is not None or not (finished or self.tally.count):
            return
        logs, rate = self.tally.final(), self._learning_rate()
        if finished:
            logs |= self._validate(title) if self.plan.validated(epoch) else {}
            self.model.epoch = epoch + 1
        if "learning_rate" in self.names:
            logs["learning_rate"] = rate
        speed = self.tally.count / max(seconds, 1e-9)
        ended = title if finished else f"{title}, cut short"
        self.progress.end(progress.line(ended, seconds, speed, logs))
        if finished:
            self.callback_list.call("on_epoch_end", epoch, logs)
        else:
            logs = {name: logs.get(name, math.nan) for name in self.names}
            self.callback_list.call("on_epoch_interrupted", epoch, logs)
        unmeasured = {name: math.nan for name in self.names if name not in logs}
        self.history.add(epoch, logs | unmeasured, seconds, self.tally.count)

    def _steps(self, epoch: int) -> bool:
        """The training steps of an epoch, until its end or Ctrl-C; whether it reached its end, and
        may be validated."""
        order = self.train.order(self.model.seed, epoch, self.plan.shuffle)
        # Looked up once: a step may take half a millisecond.
        tally, interrupt, clock = self.tally, self.interrupt, time.perf_counter
        begin, end = (
            self.callback_list["on_train_batch_begin"],
            self.callback_list["on_train_batch_end"],
        )
        model, interval, attack = self.model, self.progress.interval, self.plan.attack
        due = clock() + interval
        tally.reset()
        size = self.plan.batch_size
        capacity = self.train.largest(size)
        with closing(self.train.batches(self.model, size, order, epoch, training=True)) as batches:
            for step, (x, y, weight) in enumerate(batches):
                if self.interrupt.requested:  # while the batch was waited for
                    return False
                if self.unseen:
                    self.unseen = False
                    fit_warnings.of_batch(self.model, x)
                for hook in begin:
                    hook(step, {})
                try:
                    with model.lock:  # the results are overwritten by the next step
                        if model.loss is not self.loss:
                            self._check_loss()
                        engine, images = engine_of(model, x)
                        self.latest = engine, step
                        if attack is not None:
                            images = attack.of_batch(model, images, y, epoch, step, capacity)
                        tally.add(engine.train(images, y, weight, capacity), y, weight)
                except ArithmeticError as error:
                    self._fail(error, epoch, step)
                    return False
                for hook in end:
                    hook(step, tally.logs())
                if clock() >= due:
                    self.progress.update(tally.count, tally.logs())
                    due = clock() + interval
                interrupt.agree()
                if interrupt.requested:
                    return tally.count == self.train.count and self.validation is None
        return True

    def _complete_update(self, epoch: int) -> None:
        """Update by the batches that are left, where the gradients of several make an update."""
        if self.latest is not None:
            engine, step = self.latest
            try:
                engine.update()
            except ArithmeticError as error:
                self._fail(error, epoch, step)

    def _check_loss(self) -> None:
        """Take over a loss that was set meanwhile, if what is measured goes with it."""
        loss = self.model.loss
        if loss is None or loss.has_classes != self.loss.has_classes:
            name = None if loss is None else loss.name
            raise ValueError(
                f"fit: a loss that is set while the model trains must measure the same, as "
                f"'{self.loss.name}' does. Received {name!r}: set it before fit."
            )
        self.loss = loss

    def _validate(self, title: str) -> Logs:
        if self.validation is None:
            return {}
        self.progress.begin(f"{title} validation", self.validation.count)
        self.callback_list.call("on_test_begin", {})
        logs = test_pass(
            self.model, self.validation, self.plan.batch_size, self.progress, self.callback_list
        )
        self.callback_list.call("on_test_end", logs)
        return {f"val_{name}": value for name, value in logs.items()}

    def _learning_rate(self) -> float:
        """The rate of the last update."""
        return float(self.model.optimizer.learning_rate_at(max(self.model.state.step - 1, 0)))

    def _fail(self, error: ArithmeticError, epoch: int, step: int) -> None:
        """Keep the engine's NonFiniteError, to be raised once the callbacks have finished."""
        self.failure = error
        if not np.isfinite(self.model.state.values).all():
            # An update overflowed: only the step after it could notice.
            self.model.state.restore(self.good)
            error.args = (f"{error} Those from the start of the epoch are back in place.",)
        error.epoch, error.step, error.history = epoch, step, self.history  # type: ignore[attr-defined]
        error.args = (f"{error} Training stopped in epoch {epoch + 1}, step {step + 1}.",)


class Measured(Protocol):
    """The examples that a pass measures; see `ArrayEpochs`."""

    @property
    def count(self) -> int | None: ...

    def largest(self, batch_size: int) -> int | None: ...

    def batches(
        self, model: ModelSettings, batch_size: int
    ) -> Generator[tuple[Any, Any, Any], None, None]: ...


def test_pass(
    model: ModelSettings,
    epochs: Measured,
    batch_size: int,
    shown: Progress,
    callback_list: CallbackList,
) -> Logs:
    """The loss and the metrics of one pass, without training."""
    clock, interval = time.perf_counter, shown.interval
    begin, end = callback_list["on_test_batch_begin"], callback_list["on_test_batch_end"]
    tally = Tally(model.metrics, epochs.count or 0)
    capacity = epochs.largest(batch_size)
    due = clock() + interval
    with closing(epochs.batches(model, batch_size)) as batches:
        for step, (x, y, weight) in enumerate(batches):
            for hook in begin:
                hook(step, {})
            with model.lock:  # the results are overwritten by the next step
                engine, images = engine_of(model, x)
                tally.add(engine.test(images, y, weight, capacity), y, weight)
            for hook in end:
                hook(step, tally.logs())
            if clock() >= due:
                shown.update(tally.count, tally.logs())
                due = clock() + interval
    if not tally.count:
        raise ValueError("None of the images to measure on can be read.")
    return tally.final()
