"""Tuning: time every strategy on a model's convolutions, and remember the times.

    report = fastcnn.autotune.tuner.tune(model, batch_size=128)
    print(report)

From then on "auto" takes what was fastest on this machine with as many threads.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from fastcnn import devices, strategies
from fastcnn.autotune.benchmark import StrategyBenchmark
from fastcnn.autotune.report import Report, Row, describe
from fastcnn.graph.problem import Problem
from fastcnn.strategies import DIRECTIONS, timing_cache
from fastcnn.utils import arguments, messages
from fastcnn.utils.interrupt import Interrupt
from fastcnn.utils.threads import num_threads

Tasks = dict[tuple[str, Problem], list[str]]  # names of layers by direction and problem

SECONDS = 0.5  # for one direction of one problem, once all code is compiled
MOST_DISTURBANCE = (
    0.15  # the share of other programs above which the order of times has to be certain
)


def tune(
    target: Any,
    batch_size: int = 32,
    training: bool = True,
    seconds: float = SECONDS,
    device: str | None = None,
    precision: str = "float32",
    despite_load: bool = False,
) -> Report:
    """Time every strategy that can compute a model's convolutions, and remember the times.

    `target` is a model, problems, or a mapping of names to problems. With `training` all three
    directions are timed, else the forward one alone. Each takes about `seconds`; layers whose
    strategy has a name need none, nor does what was timed before (`timing_cache.forget()` makes
    that undone). Ctrl-C ends it, and what was timed until then is remembered. Of times that other
    programs disturbed those are whose order is certain all the same, or all with `despite_load`;
    the report says what was left open. The model chooses anew in its next run.

    A model is tuned for its own device and precision; problems for `device`, "cpu" where none is
    named.
    """
    images = arguments.whole("tune", "batch_size", batch_size, least=1)
    despite_load = arguments.flag("tune", "despite_load", despite_load)
    directions = DIRECTIONS if arguments.flag("tune", "training", training) else ("forward",)
    seconds = arguments.number("tune", "seconds", seconds, above=0)
    is_model = hasattr(target, "program_and_roles")
    if is_model:
        device, precision = target.device, target.precision
    else:
        device = devices.resolve(device or "cpu", precision)
    tasks = _of_model(target, images) if is_model else _of_problems(target)
    bound = target.error_bound if is_model else strategies.ERROR_BOUND
    rows = [
        Row.begun(tasks[direction, problem], direction, problem, images, bound, device, precision)
        for problem in dict.fromkeys(problem for _, problem in tasks)
        for direction in directions
        if (direction, problem) in tasks
    ]
    start = time.perf_counter()
    with Interrupt() as interrupt, _progress(len(rows)) as show:
        for number, row in enumerate(rows):
            show(number, row.title)
            key = row.direction, row.problem, images
            if not timing_cache.measured(*key, device, precision):
                benchmark = StrategyBenchmark(row.direction, row.problem, images, device, precision)
                _time(row, benchmark, seconds, despite_load, lambda: interrupt.requested)
            if interrupt.requested:
                break
    for row in rows:
        row.finish(images, bound)
    if is_model:
        target.plan_anew()
    took = time.perf_counter() - start
    place = _place(device, precision)
    threads = num_threads() if device == "cpu" else 1
    return Report(
        *(images, threads, bound, rows, took, interrupt.requested, device, precision, place)
    )


def _place(device: str, precision: str) -> str:
    """Return where it was: "2 threads", or a GPU's name and what is not its usual precision."""
    if device == "cpu":
        threads = num_threads()
        return "1 thread" if threads == 1 else f"{threads} threads"
    from fastcnn.kernels.cuda.runtime.device import device_name

    return device_name() + (f" in {precision}" if precision != "float32" else "")


def _time(
    row: Row,
    benchmark: StrategyBenchmark,
    seconds: float,
    despite_load: bool,
    stopped: Callable[[], bool],
) -> None:
    # A contender that is alone has won without running.
    if len(benchmark.contenders) < 2 or not benchmark.run(seconds, stopped):
        return
    row.times, row.left_out = benchmark.times, benchmark.left_out
    row.disturbed = benchmark.disturbance > MOST_DISTURBANCE
    kept = benchmark.certain if row.disturbed and not despite_load else row.times
    row.left_open = tuple(name for name in row.times if name not in kept)
    if kept:
        key = row.direction, row.problem, benchmark.images
        timing_cache.remember(*key, kept, row.device, row.precision)


def _of_model(model: Any, images: int) -> Tasks:
    """Return what a model leaves to fastcnn, with the paths of the layers that have it."""
    # Inference is fused in its own way.
    program = model.program(images=images)
    inference = strategies.program_choices(program, model.device, model.precision)
    chosen = [*strategies.training_choices(model, images), *inference]
    # A training goes through the layers twice, the second time backwards.
    order = list(dict.fromkeys(choice.layer for choice in chosen))
    tasks: Tasks = {}
    for choice in sorted(chosen, key=lambda choice: order.index(choice.layer)):
        if choice.why != "asked for" and choice.strategy != strategies.SPARSE:
            names = tasks.setdefault((choice.direction, choice.problem), [])
            if choice.layer not in names:
                names.append(choice.layer)
    return tasks


def _of_problems(problems: Any) -> Tasks:
    named = (
        problems.items()
        if isinstance(problems, Mapping)
        else ((None, problem) for problem in problems)
    )
    tasks: Tasks = {}
    for name, problem in named:
        if not isinstance(problem, Problem):
            raise TypeError(
                "tune: expected a model, problems, or a mapping of names to problems. "
                f"Received {problem!r}."
            )
        for direction in DIRECTIONS:
            tasks.setdefault((direction, problem), []).append(name or describe(problem))
    return tasks


@contextlib.contextmanager
def _progress(total: int) -> Iterator[Callable[[int, str], None]]:
    """A function that shows how many are done and what runs: a bar, on a terminal alone."""
    if not messages.on_terminal():
        yield lambda done, title: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    columns = (TextColumn("Tuning"), BarColumn(24), TextColumn("{task.completed}/{task.total}"))
    title = TextColumn("{task.description}", style="dim")
    console = Console(stderr=True, highlight=False)
    with Progress(*columns, title, console=console, auto_refresh=False, transient=True) as bar:
        task = bar.add_task("", total=total)

        def show(done: int, title: str) -> None:
            bar.update(task, completed=done, description=title, refresh=True)

        yield show
