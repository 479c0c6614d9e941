"""What a user sees while a pass over examples runs: a bar on a terminal, else a line an epoch."""

from __future__ import annotations

import contextlib
import math
import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from fastcnn.training import notebook_output
from fastcnn.utils import messages

if TYPE_CHECKING:
    from rich.progress import TaskID

INTERVAL = 0.1
"""Seconds between two updates of a bar."""
ROOM_FOR_VALUES = 60
"""Columns of a terminal below which a bar shows no values, but how much is done and left."""


class Progress:
    """Shows nothing; the base of the others.

    A pass begins with a title, takes any number of updates at least `interval` seconds apart, and
    ends with one line.
    """

    interval = math.inf

    def begin(self, title: str, images: int | None, later: int = 0) -> None:
        """A pass over so many images begins, None where their number is not known; as many as
        `later` says will follow in other passes."""

    def update(self, images: int, logs: dict[str, float]) -> None:
        """So many of the pass's images are done, with these values so far."""

    def end(self, line: str) -> None:
        """The pass is over; line says what came of it."""

    def note(self, sentence: str) -> None:
        """Say something out of turn."""

    def close(self) -> None:
        """No more passes come; may be called twice."""


class Lines(Progress):
    """One line a pass, on stderr, so that stdout is left for results."""

    def end(self, line: str) -> None:
        messages.say(line)

    def note(self, sentence: str) -> None:
        self.end(sentence)


class Timed(Lines):
    """What knows how fast a pass is, and how long the training will take."""

    interval = INTERVAL

    def begin(self, title: str, images: int | None, later: int = 0) -> None:
        self._title, self._images, self._later = title, images, later
        self._start = time.perf_counter()

    def _told(self, images: int, logs: dict[str, float]) -> tuple[str, str]:
        """The values with the rate, and the time that is left, "" where that is not known."""
        rate = images / max(time.perf_counter() - self._start, 1e-9)
        values = f"{values_text(logs)}  {rate:,.0f} images/s"
        if self._images is None or not rate:
            return values, ""
        return values, f"{duration((self._images - images + self._later) / rate)} left"


class Bar(Timed):
    """A bar for the pass that runs, by rich, on stderr; the lines of ended passes above it."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as RichProgress

        console = Console(stderr=True, highlight=False)
        columns = [
            TextColumn("{task.description}"),
            BarColumn(bar_width=12, complete_style="cyan", finished_style="cyan"),
            TextColumn("{task.percentage:>3.0f} %"),
            TextColumn("{task.fields[left]}", style="cyan"),
        ]
        if console.width >= ROOM_FOR_VALUES:
            columns.append(TextColumn("{task.fields[values]}", style="dim"))
        # Drawn from the loop at its own pace: a refreshing thread would take time from the step.
        self._bar = RichProgress(
            *columns,
            console=console,
            auto_refresh=False,
            transient=True,
            # What others print while the bar stands goes above it; piped results are left alone.
            redirect_stdout=messages.is_terminal(sys.stdout),
            redirect_stderr=True,
        )
        self._task: TaskID | None = None
        self._statuses = contextlib.ExitStack()

    def begin(self, title: str, images: int | None, later: int = 0) -> None:
        super().begin(title, images, later)
        if self._task is not None:
            self._bar.remove_task(self._task)
        self._task = self._bar.add_task(title, total=images, values="", left="")
        self._bar.start()
        self._statuses.enter_context(messages.status_shown_by(self._show_status))

    def _show_status(self, text: str) -> None:
        if self._task is not None:
            self._bar.update(self._task, values=text, refresh=True)

    def update(self, images: int, logs: dict[str, float]) -> None:
        values, left = self._told(images, logs)
        if self._task is not None:
            self._bar.update(self._task, completed=images, values=values, left=left)
            self._bar.refresh()

    def end(self, line: str) -> None:
        self.close()
        super().end(line)

    def close(self) -> None:
        self._statuses.close()
        if self._task is not None:
            self._bar.remove_task(self._task)
            self._task = None
            self._bar.stop()


class NotebookBar(Timed):
    """A bar in a notebook, with the lines of ended passes below it: one output for a training."""

    def __init__(self, display: notebook_output.Display) -> None:
        self._output = notebook_output.Output(display)
        self._statuses = contextlib.ExitStack()

    def begin(self, title: str, images: int | None, later: int = 0) -> None:
        super().begin(title, images, later)
        self._output.bar(title, 0, images, "")
        self._statuses.enter_context(messages.status_shown_by(self._show_status))

    def _show_status(self, text: str) -> None:
        self._output.bar(self._title, 0, self._images, text)

    def update(self, images: int, logs: dict[str, float]) -> None:
        values, left = self._told(images, logs)
        self._output.bar(self._title, images, self._images, f"{left}  {values}")

    def end(self, line: str) -> None:
        self._statuses.close()
        self._output.line(line)

    def note(self, sentence: str) -> None:
        if self._output.shown:
            self._output.line(sentence)
        else:
            messages.say(sentence)

    def close(self) -> None:
        self._statuses.close()
        self._output.close()


def make(verbose: str | int) -> Progress:
    """The progress for fit's `verbose`: 0 nothing, 1 a bar, 2 lines, "auto" a bar where one can be
    drawn."""
    display = notebook_output.display()
    if verbose == "auto":
        verbose = 1 if display or messages.on_terminal() else 2
    if verbose == 1 and display:
        return NotebookBar(display)
    if verbose == 1 and messages.on_terminal():
        return Bar()
    return Lines() if verbose else Progress()


@contextlib.contextmanager
def tally(title: str, total: int) -> Iterator[Callable[[int, str], None]]:
    """A function that shows how many of `total` are done and what runs now, on a terminal alone."""
    if not messages.on_terminal():
        yield lambda done, now: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn(title),
        BarColumn(24, complete_style="cyan", finished_style="cyan"),
        TextColumn("{task.completed}/{task.total}"),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[now]}", style="dim", markup=False),
    )
    console = Console(stderr=True, highlight=False)
    # Drawn from the loop at its own pace: a refreshing thread would take time from what is timed.
    with Progress(*columns, console=console, auto_refresh=False, transient=True) as bar:
        task = bar.add_task("", total=total, now="")

        def show(done: int, now: str) -> None:
            bar.update(task, completed=done, now=now, refresh=True)

        yield show


def check_verbose(verbose: object) -> None:
    """ValueError unless verbose is one of those that `make` knows."""
    if isinstance(verbose, bool) or verbose not in ("auto", 0, 1, 2):
        raise ValueError(
            "verbose must be 'auto', 0 (silent), 1 (a bar) or 2 (a line an epoch). "
            f"Received {verbose!r}."
        )


def duration(seconds: float) -> str:
    """Seconds as text: "0:07", "12:30" or "1:02:03"."""
    whole = math.ceil(seconds)
    minutes, hours = whole // 60 % 60, whole // 3600
    return f"{hours}:{minutes:02d}:{whole % 60:02d}" if hours else f"{minutes}:{whole % 60:02d}"


def values_text(logs: dict[str, float]) -> str:
    """Logs as text: "loss 0.3211  accuracy 0.8873"."""
    return "  ".join(f"{name} {_number(value)}" for name, value in logs.items())


def line(title: str, seconds: float, rate: float, logs: dict[str, float]) -> str:
    """The line of an ended pass."""
    return f"{title}  {seconds:.1f} s  {rate:,.0f} images/s  {values_text(logs)}"


def _number(value: float) -> str:
    """Four decimals, or four digits where that would show nothing."""
    return f"{value:.4f}" if value == 0 or abs(value) >= 1e-3 else f"{value:.3e}"
