"""The program that `fastcnn bench scaling` starts as several ranks: training steps, timed.

python -m fastcnn.lab.measure.rank_step MODEL_FILE HOW IMAGES STEPS RESULT_FILE
"""

from __future__ import annotations

import json
import sys
import time

import numpy as np

import fastcnn
from fastcnn.backends.batch_sharing import TRAIN
from fastcnn.backends.step import BatchShare
from fastcnn.distributed import launch
from fastcnn.distributed.ranks import Ranks, Traffic
from fastcnn.models.network import Network
from fastcnn.training.among_ranks import Session
from fastcnn.utils import atomic_file

WARMING = 3  # steps before those that count
SMALL, LARGE = 64, 1 << 20  # bytes of the messages that a latency and a bandwidth are fitted to
ROUNDS = 40


def main(file: str, distributed: str, images: int, steps: int, result: str) -> None:
    """Measure, and leave the result of rank 0."""
    model, ranks = fastcnn.load(file).to("cpu"), launch.joined(distributed, "bench scaling")
    session = Session(model, ranks)
    with session:
        session.agreed = True
        measured = _steps(model, ranks, images, steps)
    if ranks is not None:
        measured |= _transfers(ranks)
    if ranks is None or ranks.rank == 0:
        atomic_file.write_text(result, json.dumps(measured))


def _steps(model: Network, ranks: Ranks | None, images: int, steps: int) -> dict[str, float]:
    engine, random = model.engine(), np.random.default_rng(0)
    first, end = engine.share(TRAIN, images, images)
    x = random.standard_normal((end - first, *model.input_shape), np.float32)
    batch = x if ranks is None else BatchShare(x, first, images)
    y = random.integers(0, model.output_shape[-1], images).astype(np.int32)
    seconds, shared = [], []
    for step in range(WARMING + steps):
        if ranks is not None:
            ranks.any(False)  # as fit does after each step; here it lets all begin at once
            ranks.traffic = Traffic()
        start = time.perf_counter()
        engine.train(batch, y, None, images)
        if step >= WARMING:
            seconds.append(time.perf_counter() - start)
            shared.append(ranks.traffic if ranks is not None else Traffic())
    return {
        "step": float(np.median(seconds)),
        "exchanging": float(np.median([traffic.seconds for traffic in shared])),
        "exchanges": shared[-1].exchanges,
        "messages": shared[-1].messages,
        "sent": shared[-1].sent,
    }


def _transfers(ranks: Ranks) -> dict[str, float]:
    """The latency in seconds and the bandwidth in bytes a second between ranks 0 and 1, as
    messages there and back give them, both ways at once."""
    times = {}
    for size in (SMALL, LARGE):
        out, into = np.zeros(size, np.uint8), np.zeros(size, np.uint8)
        partner = {0: 1, 1: 0}.get(ranks.rank)
        sent = [[(out.ctypes.data, size)] if rank == partner else [] for rank in range(ranks.size)]
        received = [
            [(into.ctypes.data, size)] if rank == partner else [] for rank in range(ranks.size)
        ]
        exchange = ranks.exchange(sent, received)
        seconds = []
        for _ in range(ROUNDS):
            ranks.any(False)
            start = time.perf_counter()
            exchange.begin()
            exchange.complete()
            seconds.append(time.perf_counter() - start)
        times[size] = float(np.median(seconds))
    bandwidth = (LARGE - SMALL) / max(times[LARGE] - times[SMALL], 1e-9)
    return {"latency": times[SMALL], "bandwidth": bandwidth}


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5])
