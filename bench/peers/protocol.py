"""What every competitor of the race speaks: JSON lines on stdin and stdout.

A competitor is a script that builds steps (one training step, or one inference) and hands them to
`main`, which serves requests until stdin closes. All competitors are timed here, and so alike:

    {"command": "describe"}                                  -> versions, variants, weights
    {"command": "prepare", "task": {...}}                    -> seconds of building and warming up
    {"command": "run", "task": {...}, "seconds": s}          -> ms of each step
    {"command": "drop", "task": {...}}                       -> forgets the step and its memory

A task is {"net", "mode": "train" | "infer", "batch", "variant"}. What fails is answered by
{"error": "..."}. With the arguments `memory` NET BATCH VARIANT a competitor instead takes ten
training steps and prints its peak memory; with `startup`, one, and the time since its start.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

Step = Callable[[], Any]


class Task(NamedTuple):
    """One thing to time."""

    net: str
    mode: str
    batch: int
    variant: str


class Competitor(Protocol):
    """What a competitor's script provides."""

    def describe(self) -> dict[str, Any]:
        """versions by name, variants by mode, and weights (how many are trained) by net."""

    def step(self, task: Task) -> Step:
        """A function that takes one step; it returns when the step is done."""


def warm_up(step: Step, seconds: float = 0.3, least: int = 3) -> None:
    """Takes at least `least` steps, and steps for `seconds` of time."""
    end = time.perf_counter() + seconds
    spent = 0
    while spent < least or time.perf_counter() < end:
        step()
        spent += 1


def measure(step: Step, seconds: float, least: int = 5) -> list[float]:
    """Milliseconds of each of the steps that fit in `seconds`, at least `least`.

    A step with an attribute `repeats` is so many steps, which end together.
    """
    repeats = getattr(step, "repeats", 1)
    for _ in range(2):
        step()
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < least or time.perf_counter() < end:
        start = time.perf_counter()
        step()
        times.append((time.perf_counter() - start) * 1e3 / repeats)
    return times


def peak_memory() -> float:
    """The process's largest resident set so far, in MiB."""
    try:
        with open("/proc/self/status", encoding="ascii") as status:
            for line in status:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) / 1024
    except OSError:
        pass
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def answer(competitor: Competitor, steps: dict[Task, Step], request: dict[str, Any]) -> Any:
    """Carries out one request."""
    command = request["command"]
    if command == "describe":
        return competitor.describe()
    task = Task(**request["task"])
    if command == "prepare":
        start = time.perf_counter()
        steps[task] = competitor.step(task)
        warm_up(steps[task])
        return {"seconds": time.perf_counter() - start}
    if command == "run":
        return {"ms": measure(steps[task], request["seconds"])}
    if command == "drop":
        steps.pop(task, None)
        gc.collect()
        return {}
    raise ValueError(f"unknown command {command!r}")


def serve(competitor: Competitor, answers: Any) -> None:
    """Answers requests until stdin closes."""
    steps: dict[Task, Step] = {}
    for line in sys.stdin:
        try:
            reply = answer(competitor, steps, json.loads(line))
        except Exception as error:
            reply = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(reply), file=answers, flush=True)


def main(make: Callable[[], Competitor], started: float) -> None:
    """Entry point of a competitor's script: serve, or `memory`/`startup` NET BATCH VARIANT."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a framework prints must not mix with the answers
    if len(sys.argv) == 1:
        serve(make(), answers)
        return
    kind, net, batch, variant = sys.argv[1:]
    step = make().step(Task(net, "train", int(batch), variant))
    step()
    seconds = time.perf_counter() - started
    if kind == "memory":
        for _ in range(9):
            step()
    print(json.dumps({"mib": peak_memory(), "seconds": seconds}), file=answers, flush=True)
