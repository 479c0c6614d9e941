"""The hooks of a training: what a callback may override, and how fit calls them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from fastcnn.utils import naming
from fastcnn.utils.settings import Settings

Logs = dict[str, float]

HOOKS = (
    "on_train_begin",
    "on_train_end",
    "on_train_failed",
    "on_epoch_begin",
    "on_epoch_end",
    "on_epoch_interrupted",
    "on_train_batch_begin",
    "on_train_batch_end",
    "on_test_begin",
    "on_test_end",
    "on_test_batch_begin",
    "on_test_batch_end",
)

# Keras's shorter names.
ALIASES = {"on_train_batch_begin": "on_batch_begin", "on_train_batch_end": "on_batch_end"}


class Callback(Settings):
    """What fit calls while it trains. Override the hooks you need: others cost nothing.

    `self.model` is the model; setting `self.model.stop_training = True` ends the training after
    the epoch. `self.params` holds "epochs", "initial_epoch", "steps" (an epoch; None where an
    iterable of batches has not shown it yet), "verbose" and "metrics" (the names that each epoch's
    logs will have). Epochs and batches count from 0.

    A subclass may note what it likes in itself in `__init__` and in its hooks; elsewhere only what
    is there can be set, so that a misspelt name is refused.
    """

    OPENED = ("set_model", "set_params", *HOOKS, *ALIASES.values())

    log_names: tuple[str, ...] = ()
    """The names that this callback adds to the logs of an epoch, or whose value it changes."""

    writes_files: bool = False
    """Whether it writes files and changes nothing in the training: of ranks that train together
    only the first one calls it then, where all call the others."""

    model: Any = None
    params: dict[str, Any]

    def _why_fixed(self, name: str) -> str | None:
        if name in HOOKS:
            return f": derive a class, or use LambdaCallback({name}=...)"
        if name == "model":
            return ": fit sets it. Call set_model(model)"
        return super()._why_fixed(name)

    def set_model(self, model: Any) -> None:
        """Keep the model; called before the training.

        Args:
            model: The model.
        """
        self.model = model

    def set_params(self, params: dict[str, Any]) -> None:
        """Keep what is known of the training; called before anything is changed: may refuse it.

        Args:
            params: What `self.params` holds.
        """
        self.params = params

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Before the first epoch.

        Args:
            logs: Empty.
        """

    def on_train_end(self, logs: Logs | None = None) -> None:
        """After the last epoch, also of an interrupted training.

        Args:
            logs: The last epoch's values, by name.
        """

    def on_train_failed(self, error: BaseException) -> None:
        """In place of on_train_end where an error ends the training: close what is open.

        Args:
            error: What was raised, by a callback perhaps; `fit` raises it.
        """

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Before an epoch.

        Args:
            epoch: The number of the epoch, from 0.
            logs: Empty.
        """

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """After an epoch and its validation.

        Args:
            epoch: The number of the epoch, from 0.
            logs: Its values, by name; more may be added, those of `log_names`.
        """

    def on_epoch_interrupted(self, epoch: int, logs: Logs | None = None) -> None:
        """In place of on_epoch_end where Ctrl-C ended the epoch early.

        Args:
            epoch: The number of the epoch, from 0.
            logs: Its values, by name; val_... are NaN.
        """

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Before a training step.

        Args:
            batch: The number of the batch in its epoch, from 0.
            logs: Empty.
        """

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """After a training step.

        Args:
            batch: The number of the batch in its epoch, from 0.
            logs: The means over the epoch so far, by name.
        """

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Before the validation.

        Args:
            logs: Empty.
        """

    def on_test_end(self, logs: Logs | None = None) -> None:
        """After the validation.

        Args:
            logs: Its values, by name, without val_.
        """

    def on_test_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Before a batch of the validation.

        Args:
            batch: The number of the batch in its epoch, from 0.
            logs: Empty.
        """

    def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """After a batch of the validation.

        Args:
            batch: The number of the batch in its epoch, from 0.
            logs: The means so far, by name.
        """


def check_hooks(callback: Callback) -> None:
    """Raise ValueError where a callback defines a hook that nobody calls, and TypeError where one
    does not take what it is called with: both would be found after an epoch or a training.
    """
    for name in dir(callback):
        hook = getattr(callback, name) if name.startswith("on_") else None
        if not callable(hook):
            continue
        if name not in HOOKS and name not in ALIASES.values():
            wrong = naming.unknown("hook", name, HOOKS)
            raise ValueError(f"{type(callback).__name__}: {wrong}")
        _check_takes(callback, name, hook)


def _check_takes(callback: Callback, name: str, hook: Callable[..., None]) -> None:
    counted = next((what for what in ("epoch", "batch") if what in name), None)
    arguments = ("logs",) if counted is None else (counted, "logs")
    if name == "on_train_failed":
        arguments = ("error",)
    try:
        signature = inspect.signature(hook)
    except (TypeError, ValueError):  # of some functions that are not written in Python
        return
    try:
        signature.bind(*arguments)
    except TypeError as error:
        raise TypeError(
            f"{type(callback).__name__}: {name} is called with {' and '.join(arguments)}, which it "
            f"does not take ({error}). Define it as {name}(self, {', '.join(arguments)})."
        ) from None


def _hook(callback: Callback, name: str) -> Callable[..., None]:
    """A hook of a callback, also where it has Keras's shorter name."""
    function: Callable[..., None] = getattr(callback, name)
    plain = getattr(function, "__func__", None) is getattr(Callback, name)
    return getattr(callback, ALIASES.get(name, name), function) if plain else function


class CallbackList:
    """The hooks of several callbacks: one list of functions a hook, only the overridden ones."""

    def __init__(self, callbacks: Sequence[Callback]) -> None:
        self.callbacks = list(callbacks)
        self._functions = {name: self._overridden(name) for name in HOOKS}

    def _overridden(self, name: str) -> list[Callable[..., None]]:
        hooks = [_hook(callback, name) for callback in self.callbacks]
        base = getattr(Callback, name)
        return [function for function in hooks if getattr(function, "__func__", None) is not base]

    def __getitem__(self, name: str) -> list[Callable[..., None]]:
        return self._functions[name]

    def call(self, name: str, *arguments: object) -> None:
        """Call one hook of each callback that overrides it, in order."""
        for function in self._functions[name]:
            function(*arguments)

    def fail(self, error: BaseException) -> None:
        """Call `on_train_failed` of each callback; what one of them raises is noted in the error,
        and keeps no other from its call.
        """
        for function in self._functions["on_train_failed"]:
            try:
                function(error)
            except Exception as second:
                error.add_note(f"{function!r} then raised {type(second).__name__}: {second}")


def plain_rate(callback: Callback) -> float:
    """Return the optimizer's learning rate as a number; ValueError where it is a schedule."""
    rate = callback.model.optimizer.learning_rate
    if callable(rate):
        raise ValueError(
            f"{type(callback).__name__}: the optimizer's learning rate must be a number to be "
            f"changed by a callback. Received the schedule {type(rate).__name__}."
        )
    return float(rate)
