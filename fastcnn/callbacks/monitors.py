"""Callbacks that watch one value of the logs: stop early, save the best, lower the rate."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

from fastcnn.callbacks.callback import Callback, Logs, plain_rate
from fastcnn.utils import arguments, atomic_file, messages, naming, training_warning


class Monitor(Callback):
    """A callback that watches one value of the logs and knows when it improved."""

    def __init__(self, monitor: str, mode: str, min_delta: float = 0.0) -> None:
        if mode not in ("auto", "min", "max"):
            raise ValueError(
                f"{type(self).__name__}: mode must be 'auto', 'min' or 'max'. Received {mode!r}."
            )
        self.monitor = monitor
        self.mode = mode
        self.min_delta = abs(arguments.number(self, "min_delta", min_delta))
        self.best: float | None = None

    def _why_fixed(self, name: str) -> str | None:
        if name in ("monitor", "mode"):
            return ": the best value was found by it. Make a new callback"
        return super()._why_fixed(name)

    def _remake(self, name: str, value: Any) -> None:
        best = self.best
        super()._remake(name, value)
        if name != "initial_value_threshold":
            self._assign(best=best)

    def set_params(self, params: dict[str, Any]) -> None:
        super().set_params(params)
        if self.monitor not in params["metrics"]:
            raise ValueError(
                f"{type(self).__name__}: monitor must be one of the values of this training: "
                f"{', '.join(params['metrics'])}. Received '{self.monitor}'."
                f"{_hint(self.monitor, params['metrics'])}"
            )
        self.direction = self._direction() if self.mode == "auto" else self.mode

    def _direction(self) -> str:
        name = self.monitor.removeprefix("val_")
        if name in ("loss", "learning_rate"):
            return "min"
        for metric in getattr(self.model, "metrics", ()):
            if name in metric.log_names:
                return str(metric.direction)
        raise ValueError(
            f"{type(self).__name__}: mode must be 'min' or 'max' for monitor '{self.monitor}', "
            "whose better direction is not known. Received 'auto'."
        )

    def watched(self, logs: Logs | None) -> float | None:
        """The monitored value; None after an epoch that did not measure it."""
        return (logs or {}).get(self.monitor)

    def improved(self, value: float, reference: float | None) -> bool:
        """Whether value is better than reference by more than min_delta; NaN never is."""
        if math.isnan(value):
            return False
        if reference is None:
            return True
        if self.direction == "min":
            return value + self.min_delta < reference
        return value - self.min_delta > reference

    def say(self, sentence: str) -> None:
        """Prints on stderr, where the progress goes."""
        messages.say(sentence)


def _hint(name: str, names: list[str]) -> str:
    """What was probably meant by a name that is none of the values of a training."""
    validated = any(name.startswith("val_") for name in names)
    others = [] if validated else [f"val_{name}" for name in names]
    if name in others:
        return " Give fit validation data."
    meant = naming.nearest(name, [*names, *others])
    if meant is None:
        return ""
    needed = ", for which fit needs validation data" if meant in others else ""
    return f" Did you mean '{meant}'{needed}?"


class EarlyStopping(Monitor):
    """Stops when `monitor` has not improved for `patience` epochs.

    With `restore_best_weights` the model ends with the weights of its best epoch, whether or not
    the training was stopped.
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
        self.verbose = verbose
        self.baseline = None if baseline is None else arguments.number(self, "baseline", baseline)
        self.restore_best_weights = restore_best_weights
        self.start_from_epoch = arguments.whole(self, "start_from_epoch", start_from_epoch, least=0)

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self.best = None
        self.best_epoch: int | None = None
        self.best_weights: list[Any] | None = None
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
    """

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
        self.filepath = os.fspath(filepath)
        self.verbose = verbose
        self.save_best_only = save_best_only
        self.save_weights_only = save_weights_only
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
        if not self.save_weights_only:
            self.model.check_save()

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
    """Multiplies the learning rate by `factor` when `monitor` stood still for `patience` epochs."""

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
        self.verbose = verbose
        self.cooldown = arguments.whole(self, "cooldown", cooldown, least=0)
        self.min_lr = arguments.float32(self, "min_lr", min_lr, least=0)

    def set_params(self, params: dict[str, Any]) -> None:
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
