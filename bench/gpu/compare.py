"""Training steps and inference beside PyTorch, in turns."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from competitors import Competitor, Entry, Kind, Result, Setting, entries, race

from gpu.scale import Scale
from gpu.self_peer import NAME, Own

TORCH = Kind("PyTorch", "torch_gpu_peer.py")
COMPILE = "compile"
DEVICE = "FASTCNN_RACE_DEVICE"  # of the peer; the simulator's run has it on the CPU


class Race(NamedTuple):
    """One net, mode, batch and precision, and what each competitor reached."""

    net: str
    mode: str
    batch: int
    precision: str
    results: list[Result]

    def own(self) -> Result | None:
        """What fastcnn reached."""
        return next((result for result in self.results if result.name == NAME), None)

    def best(self, way: str) -> Result | None:
        """The fastest of the peer's variants whose names begin with a word."""
        peers = [
            result
            for result in self.results
            if result.variant.startswith(way) and result.name != NAME
        ]
        return min(peers, key=lambda result: result.ms, default=None)


def peer(python: str, simulated: bool) -> Competitor | str:
    """Return the running peer, or why there is none."""
    os.environ[DEVICE] = "cpu" if simulated else "cuda"
    try:
        return Competitor(TORCH, Setting(os.cpu_count() or 1, python))
    except (OSError, RuntimeError) as error:
        return str(error)


def races(
    scale: Scale, other: Competitor | None, compiled: bool, stopped: Callable[[], bool]
) -> Iterable[Race]:
    """Yield the races of a scale: those against torch.compile, or those against all the rest."""
    running: list[Any] = [Own(scale), *([other] if other else [])]
    for net in scale.nets:
        for mode in scale.modes:
            for batch in scale.batches_of(net):
                for precision in scale.timed:
                    if stopped():
                        return
                    field = [
                        entry
                        for entry in entries(running, net, mode, batch)
                        if entry.variant.endswith("tf32") == (precision == "tf32")
                        and (entry.competitor.name == NAME or _compiled(entry) == compiled)
                    ]
                    print(f"{net}, {mode}, batch {batch}, {precision} ...", file=sys.stderr)
                    results = race(field, scale.rounds, scale.seconds)
                    yield Race(net, mode, batch, precision, results)


def _compiled(entry: Entry) -> bool:
    return entry.variant.startswith(COMPILE)
