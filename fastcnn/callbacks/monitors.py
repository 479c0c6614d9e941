"""Callbacks that watch one value of the logs: stop early, save the best, lower the rate."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastcnn.callbacks.callback import Logs, plain_rate
from fastcnn.callbacks.monitor import Monitor
from fastcnn.utils import arguments, atomic_file, training_warning


class EarlyStopping(Monitor):
    """Stops when `monitor` has not improved for `patience` epochs.

    With `restore_best_weights` the model ends with the weights of its best epoch, whether or not
    the training was stopped.

    Args:
        monitor: A value of the logs.
        min_delta: By how much it must be better to count.
        patience: Epochs without an improvement after which the training stops, at least 0.
        verbose: 1 prints when it stops.
        mode: "min", "max", or "auto", which knows the losses and metrics.
        baseline: A value that must be bettered for the waiting to begin anew; None for none.
        restore_best_weights: Whether the model ends with the weights of its best epoch.
        start_from_epoch: Epochs, from 0, before this one are not watched.

    Raises:
        ValueError: A number or `mode` is out of its range, or, before the training, `monitor` is
            none of its values.
        TypeError: An argument is of a wrong type.

    References:
        Prechelt, 1998: Early stopping - but when?
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0.0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ) -> None:
        super().__init__(monitor, mode, min_delta)
        self.patience = arguments.whole(self, "patience", patience, least=0)
        self.verbose = arguments.verbosity(self, verbose)
        self.baseline = None if baseline is None else arguments.number(self, "baseline", baseline)
        self.restore_best_weights = arguments.flag(
            self, "restore_best_weights", restore_best_weights
        )
        self.start_from_epoch = arguments.whole(self, "start_from_epoch", start_from_epoch, least=0)

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self.best = None
        self.best_epoch: int | None = None
        self.best_weights: list[NDArray[np.float32]] | None = None
        self.stopped_epoch: int | None = None
        self.wait = 0

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        value = self.watched(logs)
        if value is None or epoch < self.start_from_epoch:
            return
        self.wait += 1
        if self.improved(value, self.best):
            self._keep(epoch, value)
            if self.baseline is None or self.improved(value, self.baseline):
                self.wait = 0
        elif self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def _keep(self, epoch: int, value: float) -> None:
        self.best, self.best_epoch = value, epoch
        if self.restore_best_weights:
            self.best_weights = [weights.copy() for weights in self.model.get_weights()]

    def on_train_end(self, logs: Logs | None = None) -> None:
        if self.stopped_epoch is not None and self.verbose:
            self.say(f"Epoch {self.stopped_epoch + 1}: stopped early, {self._standing()}.")
        if self.best_weights is not None and self.best_epoch is not None:
            self.model.set_weights(self.best_weights)
            if self.verbose:
                self.say(f"The weights of epoch {self.best_epoch + 1} are restored.")

    def _standing(self) -> str:
        if self.best is None or self.best_epoch is None:
            return f"{self.monitor} never improved"
        return f"{self.monitor} was best, {self.best:.6g}, in epoch {self.best_epoch + 1}"


class ModelCheckpoint(Monitor):
    """Saves the model after each epoch, or with `save_best_only` after each that was the best.

    `filepath` may hold {epoch}, counted from 1, and names of logs, as "{epoch:02d}-{loss:.3f}.h5".
    Folders are made as needed. A file is replaced at once: a crash leaves the old or the new one.
    What could not be saved is refused before the first epoch.

    The best value, of `monitor` ("val_loss" where it is None), is remembered from one fit to the
    next. An object that was not there when the file was written does not know how good it is:
    `initial_value_threshold` says which value must be bettered, and without it a TrainingWarning
    tells that the first epoch replaces the file.

    Args:
        filepath: The file, with names in braces.
        monitor: A value of the logs, for `save_best_only`; None is "val_loss".
        verbose: 1 prints what is saved.
        save_best_only: Whether only an epoch that is better than all before is saved.
        save_weights_only: Whether `save_weights` writes the file, not `save`.
        mode: "min", "max", or "auto", which knows the losses and metrics.
        initial_value_threshold: The value that the first epoch must better; None for none.

    Raises:
        ValueError: `mode` is none of these, or, before the training, `monitor` or a name in braces
            is none of its values.
        TypeError: `initial_value_threshold` is no number, or another argument of a wrong type.
        OSError: Before the training: the file cannot be written.
    """

    writes_files = True

    def __init__(
        self,
        filepath: str | os.PathLike[str],
        monitor: str | None = None,
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        initial_value_threshold: float | None = None,
    ) -> None:
        super().__init__("val_loss" if monitor is None else monitor, mode)
        self.filepath = arguments.path(self, "filepath", filepath)
        self.verbose = arguments.verbosity(self, verbose)
        self.save_best_only = arguments.flag(self, "save_best_only", save_best_only)
        self.save_weights_only = arguments.flag(self, "save_weights_only", save_weights_only)
        if initial_value_threshold is not None:
            arguments.number(self, "initial_value_threshold", initial_value_threshold)
        self.best = self.initial_value_threshold = initial_value_threshold
        if not save_best_only:
            settings = {"monitor": monitor, "initial_value_threshold": initial_value_threshold}
            self._warn_without_effect(
                [name for name, value in settings.items() if value is not None]
            )

    def _constructor_arguments(self) -> dict[str, Any]:
        # Without this the default would look as if it had been asked for.
        return super()._constructor_arguments() | ({} if self.save_best_only else {"monitor": None})

    def _why_fixed(self, name: str) -> str | None:
        return None if name == "best" else super()._why_fixed(name)

    def _warn_without_effect(self, names: list[str]) -> None:
        if names:
            training_warning.warn(
                f"ModelCheckpoint: {' and '.join(names)} has no effect without "
                f"save_best_only=True. Every epoch is saved to '{self.filepath}', also one that "
                "is worse than what is there."
            )

    def set_params(self, params: dict[str, Any]) -> None:
        if self.save_best_only:
            super().set_params(params)
        else:
            self.params = params
        path = self._path(0, dict.fromkeys(params["metrics"], 0.0))
        atomic_file.check(path, make_folders=True)
        self.model.check_save(path, self.save_weights_only)

    def on_train_begin(self, logs: Logs | None = None) -> None:
        if self.save_best_only and self.best is None and Path(self.filepath).exists():
            training_warning.warn(
                f"ModelCheckpoint: '{self.filepath}' is there, of an earlier training, and the "
                "first epoch of this one replaces it, be it better or worse. To keep the better "
                "one, give its value as initial_value_threshold, or use the earlier callback."
            )

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if self.save_best_only:
            value = self.watched(logs)
            if value is None or not self.improved(value, self.best):
                return
        unmeasured = dict.fromkeys(self.params["metrics"], math.nan)
        path = self._path(epoch, {**unmeasured, **(logs or {})})
        path.parent.mkdir(parents=True, exist_ok=True)
        save = self.model.save_weights if self.save_weights_only else self.model.save
        save(path)
        if self.save_best_only:
            self.best = value
        if self.verbose:
            self.say(f"Epoch {epoch + 1}: saved {path}.")

    def _path(self, epoch: int, logs: Logs) -> Path:
        try:
            values = dict.fromkeys(self.params["metrics"], math.nan) | logs
            return Path(self.filepath.format(epoch=epoch + 1, **values))
        except (KeyError, IndexError, ValueError) as error:
            names = ", ".join(["epoch", *logs])
            raise ValueError(
                f"ModelCheckpoint: filepath may hold these names in braces: {names}. "
                f"Received '{self.filepath}'."
            ) from error


class ReduceLROnPlateau(Monitor):
    """Multiplies the learning rate by `factor` when `monitor` stood still for `patience` epochs.

    Args:
        monitor: A value of the logs.
        factor: What the rate is multiplied by, above 0 and below 1.
        patience: Epochs without an improvement after which it is, at least 0.
        verbose: 1 prints each new rate.
        mode: "min", "max", or "auto", which knows the losses and metrics.
        min_delta: By how much the value must be better to count.
        cooldown: Epochs after a reduction that do not count, at least 0.
        min_lr: The least rate, at least 0.

    Raises:
        ValueError: A number or `mode` is out of its range, or, before the training, `monitor` is
            none of its values or the optimizer's rate is a schedule.
        TypeError: A number is none.
    """

    log_names = ("learning_rate",)

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
    ) -> None:
        super().__init__(monitor, mode, min_delta)
        self.factor = arguments.float32(self, "factor", factor, above=0, below=1)
        self.patience = arguments.whole(self, "patience", patience, least=0)
        self.verbose = arguments.verbosity(self, verbose)
        self.cooldown = arguments.whole(self, "cooldown", cooldown, least=0)
        self.min_lr = arguments.float32(self, "min_lr", min_lr, least=0)

    def set_params(self, params: dict[str, object]) -> None:
        super().set_params(params)
        plain_rate(self)

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self.best = None
        self.wait = 0
        self.cooling = 0

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        value = self.watched(logs)
        if value is None:
            return
        if self.cooling > 0:
            self.cooling -= 1
            self.wait = 0
        if self.improved(value, self.best):
            self.best = value
            self.wait = 0
        elif self.cooling == 0:
            self.wait += 1
            if self.wait >= self.patience:
                self._reduce(epoch)

    def _reduce(self, epoch: int) -> None:
        rate = plain_rate(self)
        lower = max(rate * self.factor, self.min_lr)
        if rate <= self.min_lr or not arguments.rounded_to_float32(lower):
            return
        self.model.optimizer.learning_rate = lower
        self.cooling = self.cooldown
        self.wait = 0
        if self.verbose:
            self.say(f"Epoch {epoch + 1}: learning rate reduced to {lower:.6g}.")
