"""fastcnn in bench/data_augment.py, and the ceiling: copying float batches in memory."""

from __future__ import annotations

import os
import platform
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

STARTED = time.perf_counter()

import images  # noqa: E402
import numpy as np  # noqa: E402
import protocol  # noqa: E402

import fastcnn  # noqa: E402
from fastcnn.data.augment import augment as of  # noqa: E402

THREADS = int(os.environ.get("FASTCNN_RACE_THREADS", "1"))
CHUNK = 512
BATCHES = {"fastcnn": CHUNK, "fastcnn, batch 32": 32, "fastcnn, batch 128": 128}


def augment(task: str) -> of.Augment:
    """The list of a task, with the normalisation written along with it."""
    scale, offset = 1 / (255 * images.DEVIATION), -images.MEAN / images.DEVIATION
    if task == "crop":
        crop = of.RandomCrop(images.SIDE, images.SIDE, padding=images.PADDING)
        return of.Augment([crop, of.RandomFlip("horizontal")], scale=scale, offset=offset)
    saturation = tuple(s / (1 + s) for s in (1 - images.SATURATION, 1 + images.SATURATION))
    steps = [
        of.RandomRotation(images.DEGREES / 360),
        of.RandomZoom(images.ZOOM),
        of.RandomTranslation(images.SHIFT, images.SHIFT),
        of.RandomBrightness(images.BRIGHTNESS),
        of.RandomContrast(images.CONTRAST),
        of.RandomSaturation(saturation),
        of.RandomHue(2 * images.HUE),
    ]
    return of.Augment(steps, scale=scale, offset=offset)


class Fastcnn:
    """See protocol.Competitor. The mode is the task."""

    def describe(self) -> dict[str, Any]:
        versions = {
            "python": platform.python_version(),
            "numpy": np.__version__,
            "fastcnn": fastcnn.__version__,
        }
        variants = (*BATCHES, "copy")
        return {"versions": versions, "variants": {"crop": variants, "affine": variants}}

    def step(self, task: protocol.Task) -> protocol.Step:
        x = images.images()
        if task.variant == "copy":
            work = self._copy(np.empty((task.batch, *x.shape[1:]), np.float32))
        else:
            work = self._augment(task.mode, x, task.batch, BATCHES[task.variant])
        starts = range(0, task.batch, CHUNK)
        threads = ThreadPoolExecutor(THREADS)
        return lambda: list(threads.map(work, starts))

    def _augment(self, mode: str, x: np.ndarray, count: int, batch: int) -> Any:
        steps, epoch = augment(mode), 0
        order = np.random.default_rng(1).permutation(len(x))[:count]
        own = threading.local()  # as in training, where a batch's memory is used again

        def work(start: int) -> None:
            if not hasattr(own, "out"):
                own.out = np.empty((batch, *x.shape[1:]), np.float32)
            for first in range(start, start + CHUNK, batch):
                steps.apply(x, order[first : first + batch], epoch, own.out)

        return work

    def _copy(self, out: np.ndarray) -> Any:
        source = np.ones_like(out)

        def work(start: int) -> None:
            part = slice(start, start + CHUNK)
            np.copyto(out[part], source[part])

        return work


if __name__ == "__main__":
    protocol.main(Fastcnn, STARTED)
