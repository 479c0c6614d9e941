"""Callbacks that log and steer: CSVLogger, LambdaCallback, LearningRateScheduler."""

from __future__ import annotations

import csv
import inspect
import io
import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TextIO

from fastcnn.callbacks.callback import HOOKS, Callback, Logs, plain_rate
from fastcnn.utils import arguments, atomic_file, input_file, messages


class LambdaCallback(Callback):
    """A callback made of functions: LambdaCallback(on_epoch_end=lambda epoch, logs: ...).

    Args:
        **hooks: A function, or None, for each hook of `Callback` that is wanted.

    Raises:
        ValueError: There is no such hook.
        TypeError: One is no function.
    """

    def __init__(self, **hooks: Callable[..., None] | None) -> None:
        for name, function in hooks.items():
            if function is None:
                continue
            if not callable(function):
                raise TypeError(
                    f"LambdaCallback: {name} must be a function. Received {function!r}."
                )
            setattr(self, name, function)

    def _check_names(self, named: Mapping[str, object]) -> None:
        for name in named:
            if name not in HOOKS:
                raise ValueError(
                    f"LambdaCallback: no hook is called '{name}'. Known: {', '.join(HOOKS)}."
                )


class LearningRateScheduler(Callback):
    """Sets the learning rate before each epoch to schedule(epoch) or schedule(epoch, rate).

    Args:
        schedule: Returns the rate, above 0, for an epoch counted from 0, and, where it takes two
            arguments, the rate before it.
        verbose: 1 prints each rate.

    Raises:
        TypeError: `schedule` is no function.
        ValueError: In training: it returns no rate above 0, or the optimizer's rate, which it
            wants, is a schedule.
    """

    log_names = ("learning_rate",)

    def __init__(self, schedule: Callable[..., float], verbose: int = 0) -> None:
        if not callable(schedule):
            raise TypeError(
                f"LearningRateScheduler: schedule must be a function. Received {schedule!r}."
            )
        self.schedule = schedule
        self.verbose = arguments.verbosity(self, verbose)
        self._takes_rate = _positional(schedule) > 1

    def set_params(self, params: dict[str, object]) -> None:
        super().set_params(params)
        if self._takes_rate:
            plain_rate(self)

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        value = self.schedule(*((epoch, plain_rate(self)) if self._takes_rate else (epoch,)))
        rate = arguments.as_float(value)
        if not 0.0 < arguments.rounded_to_float32(rate) < math.inf:
            raise ValueError(
                "LearningRateScheduler: the schedule must return a finite learning rate above 0 "
                f"that float32 holds. Received {value!r} for epoch {epoch}."
            )
        self.model.optimizer.learning_rate = rate
        if self.verbose:
            messages.say(f"Epoch {epoch + 1}: learning rate {rate:.6g}.")


class CSVLogger(Callback):
    """Writes each epoch's logs as a row of a CSV file: epoch (from 0) and the history's values.

    Numbers are written so that they read back exactly. With `append` a training that resumes at
    initial_epoch keeps the rows before that epoch and replaces those after it. A symbolic link
    stays one, what it points to is written. To a device or a FIFO, as "/dev/stdout", rows are sent
    as they come; there `append` only leaves out the header.

    Args:
        filename: The file; folders are made as needed.
        separator: One character between the values.
        append: Whether rows that are there are kept, before the epoch that the training begins
            with.

    Raises:
        TypeError: `filename` is no path, or `append` neither True nor False.
        ValueError: `separator` is not one character, or, before the training, the rows that are
            there have other columns.
        OSError: Before the training: the file cannot be written.
    """

    writes_files = True

    def __init__(
        self, filename: str | os.PathLike[str], separator: str = ",", append: bool = False
    ) -> None:
        self.filename = arguments.path(self, "filename", filename)
        if not isinstance(separator, str) or len(separator) != 1 or separator in '\r\n"':
            raise ValueError(
                "CSVLogger: separator must be one character, such as ',', and neither the end of a "
                f"line nor a quotation mark. Received {separator!r}."
            )
        self.separator = separator
        self.append = arguments.flag(self, "append", append)

    def set_params(self, params: dict[str, Any]) -> None:
        super().set_params(params)
        atomic_file.check(self.filename, stream=True, make_folders=True)
        self._stream: TextIO | None = None
        self.columns = ["epoch", *params["metrics"]]
        stream = atomic_file.is_stream(self.filename)
        appends = self.append and not stream
        self._earlier_rows = self._rows_before(params["initial_epoch"]) if appends else []

    def _rows_before(self, epoch: int) -> list[list[str]]:
        if not os.path.exists(self.filename) or not os.path.getsize(self.filename):
            return []
        with open(self.filename, newline="", encoding="utf-8") as file:
            header, *rows = csv.reader(file, delimiter=self.separator)
        if header != self.columns:
            raise ValueError(
                f"CSVLogger: to append, {self.filename} must have the columns of this training, "
                f"{', '.join(self.columns)}. Found: {', '.join(header)}."
            )
        try:
            return [row for row in rows if row and int(row[0]) < epoch]
        except ValueError as error:
            raise ValueError(
                f"CSVLogger: to append, each row of {self.filename} must begin with an epoch. "
                f"Found: {error}."
            ) from error

    def on_train_begin(self, logs: Logs | None = None) -> None:
        if atomic_file.is_stream(self.filename):
            self._stream = atomic_file.opened_stream(self.filename)
            if not self.append:
                self._send([self.columns])
            return
        Path(self.filename).parent.mkdir(parents=True, exist_ok=True)
        atomic_file.write_text(self.filename, self._text([self.columns, *self._earlier_rows]))

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        values = [repr(float((logs or {}).get(name, math.nan))) for name in self.columns[1:]]
        self._send([[str(epoch), *values]])

    def on_epoch_interrupted(self, epoch: int, logs: Logs | None = None) -> None:
        self.on_epoch_end(epoch, logs)

    def on_train_end(self, logs: Logs | None = None) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def on_train_failed(self, error: BaseException) -> None:
        self.on_train_end()

    def _send(self, rows: list[list[str]]) -> None:
        """Put rows behind those that are there."""
        if self._stream is not None:
            try:
                self._stream.write(self._text(rows))
            except OSError as error:
                sentence = f"'{self.filename}' cannot be written: {error.strerror or error}."
                raise input_file.in_words(error, sentence) from error
            return
        with atomic_file.appending(self.filename) as file:
            file.write(self._text(rows))

    def _text(self, rows: list[list[str]]) -> str:
        text = io.StringIO()
        csv.writer(text, delimiter=self.separator, lineterminator="\n").writerows(rows)
        return text.getvalue()


def _positional(function: Callable[..., object]) -> int:
    """How many positional arguments a function takes; 1 where that cannot be known."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return 1
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(parameter.kind in kinds for parameter in parameters)
