"""Training with and without augmentation, in turns: what the loader costs the step.

    python bench/data_load.py --net cifar_small --batch 128 --rounds 9

Each round trains an epoch of random images plainly and then with crop, flip, rotation and colour,
for each number of workers. Ratios are medians of the rounds' ratios of seconds; below 1.03 the
loader stays ahead. The processor time of preparing a batch alone, against that of a step, says how
much of the machine it takes at least; on a busy machine trust that more than the ratios.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from typing import Any

import numpy as np

from fastcnn import applications
from fastcnn.data import (
    Augment,
    Batches,
    RandomBrightness,
    RandomContrast,
    RandomCrop,
    RandomFlip,
    RandomRotation,
    RandomSaturation,
    Transform,
)
from fastcnn.utils import threads

CROP_FLIP = [RandomFlip("horizontal"), RandomCrop(32, 32, padding=4)]
FULL = [
    *CROP_FLIP,
    RandomRotation(0.05),
    RandomBrightness(0.2),
    RandomContrast(0.2),
    RandomSaturation((0.3, 0.7)),
]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--net", default="cifar_small", choices=("cifar_small", "resnet20"))
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--steps", type=int, default=10, help="of an epoch")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--workers", type=int, nargs="+", default=(0, 1, 2))
    args = parser.parse_args()
    generator = np.random.default_rng(0)
    count = args.batch * args.steps
    x = generator.integers(0, 256, (count, 32, 32, 3), np.uint8)
    y = generator.integers(0, 10, count).astype(np.int32)
    print(f"{args.net}, batch {args.batch}, {threads.num_threads()} threads of {os.cpu_count()}")
    _training(args, x, y)
    for name, listed in (("crop + flip", CROP_FLIP), ("full", FULL)):
        milliseconds = _preparing(x, listed, args.batch)
        rate = 1000 * args.batch / milliseconds
        print(f"{name}: {milliseconds:.2f} ms of processor a batch, {rate:,.0f} images/s a core")


def _training(args: argparse.Namespace, x: np.ndarray, y: np.ndarray) -> None:
    model = getattr(applications, args.net)(input_shape=(32, 32, 3), classes=10, rescale=True)
    model.compile("sgd", "sparse_categorical_crossentropy")
    ways: dict[str, dict[str, Any]] = {"plain": {}}
    ways |= {f"full, workers={n}": {"augment": FULL, "workers": n} for n in args.workers}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(args.rounds + 1):
        for name in list(ways)[:: 1 if turn % 2 else -1]:
            history = model.fit(x, y, batch_size=args.batch, verbose=0, **ways[name])
            seconds[name] += history.seconds if turn else []
    plain = seconds["plain"]
    for name, times in seconds.items():
        ratios = [duration / other for duration, other in zip(times, plain, strict=True)]
        step = 1000 * min(times) / args.steps
        print(f"{name}: best {step:.1f} ms a step, ratio {statistics.median(ratios):.3f}")


def _preparing(x: np.ndarray, listed: list[Any], batch: int) -> float:
    """Milliseconds of processor time for a batch, at best."""
    best = np.inf
    for epoch in range(5):
        start = time.process_time()
        transform = Transform(Augment(listed))
        batches = Batches(x, None, None, batch, transform=transform, epoch=epoch, workers=0)
        count = sum(1 for _ in batches)
        best = min(best, (time.process_time() - start) / count)
    return 1000 * best


if __name__ == "__main__":
    main()
