"""A folder of JPEG files decoded by fastcnn, against the decoder alone on the same processors.

python bench/data_decode.py [--images 600] [--rounds 7] [--side 64]

The folder is made anew: photograph-like pictures of 500 x 375 pixels, the size that ImageNet's
have on average. Competitors take turns in one process, with threads on all cores. Each round gives
one ratio; stated are the median, the range, and the ratio of the best rounds, which other programs
disturbed least.

- decoder: Pillow's JPEG decoder and nothing else, `Image.open(path).load()`;
- decoder, reduced: after `draft`, which lets libjpeg leave out what a small picture does not need;
- decoder, reduced, resized: the least that makes batches of one size;
- the same in processes: without Python's lock between them;
- from_folder: indexing, checks, turning, conversion, resizing, and one array in memory.

Then the time that a set of 100,000 small JPEG files takes until it can be streamed.

Beside the speed stands the processor time of an image, which other programs disturb less.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, features

from fastcnn.data.folder import from_folder
from fastcnn.data.folder.file_list import list_folder
from fastcnn.utils import system

WIDTH, HEIGHT = 500, 375
CLASSES = 5


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--images", type=int, default=600)
    options.add_argument("--rounds", type=int, default=7)
    options.add_argument("--side", type=int, default=64)
    options.add_argument(
        "--files",
        type=int,
        default=100_000,
        help="of the folder whose files are only listed and checked",
    )
    args = options.parse_args()
    workers = system.cores()
    print(f"{workers} cores, libjpeg-turbo {features.version('libjpeg_turbo')}")
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch, "photos")
        paths = make_photos(root, args.images)
        size = sum(Path(path).stat().st_size for path in paths) / len(paths) / 1024
        print(f"{len(paths)} JPEG files of {WIDTH} x {HEIGHT}, {size:.0f} KiB on average")
        race(competitors(root, paths, args.side, workers), args.rounds, len(paths))
        index(Path(scratch, "many"), args.files)


def make_photos(root: Path, count: int) -> list[str]:
    """Pictures with the spectrum of photographs: amplitude falls as one over frequency."""
    rng = np.random.default_rng(0)
    falling = 1 / np.maximum(
        np.hypot(np.fft.fftfreq(HEIGHT)[:, None], np.fft.rfftfreq(WIDTH)[None]), 1 / WIDTH
    )
    paths = []
    for number in range(count):
        folder = root / f"class{number % CLASSES}"
        folder.mkdir(parents=True, exist_ok=True)
        noise = np.fft.rfft2(rng.standard_normal((3, HEIGHT, WIDTH)))
        planes = np.fft.irfft2(noise * falling, s=(HEIGHT, WIDTH))
        planes = 128 + 50 * planes / planes.std()
        pixels = np.clip(planes, 0, 255).astype(np.uint8).transpose(1, 2, 0)
        path = folder / f"{number:05d}.jpg"
        Image.fromarray(pixels).save(path, quality=85)
        paths.append(str(path))
    return paths


def decode(side: int, path: str) -> None:
    with Image.open(path) as image:
        image.load()


def decode_reduced(side: int, path: str) -> None:
    with Image.open(path) as image:
        image.draft(None, (2 * side, 2 * side))
        image.load()


def decode_and_resize(side: int, path: str) -> None:
    with Image.open(path) as image:
        image.draft(None, (2 * side, 2 * side))
        np.asarray(image.resize((side, side), Image.Resampling.BILINEAR, reducing_gap=2.0))


def competitors(
    root: Path, paths: list[str], side: int, workers: int
) -> dict[str, Callable[[], object]]:
    def bare(executor: Executor, function: Callable[[int, str], None]) -> None:
        for _ in executor.map(partial(function, side), paths, chunksize=16):
            pass

    threads, processes = ThreadPoolExecutor(workers), ProcessPoolExecutor(workers)
    return {
        "decoder": lambda: bare(threads, decode),
        "decoder, reduced": lambda: bare(threads, decode_reduced),
        "decoder, reduced, resized": lambda: bare(threads, decode_and_resize),
        "the same in processes": lambda: bare(processes, decode_and_resize),
        "from_folder": lambda: from_folder(root, (side, side), in_memory=True),
    }


def race(runs: dict[str, Callable[[], object]], rounds: int, images: int) -> None:
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    processor: dict[str, list[float]] = {name: [] for name in runs}
    order = list(runs)
    for number in range(rounds + 1):
        order.append(order.pop(0))  # nobody always follows the same one
        for name in order:
            run = runs[name]
            start, begun = time.perf_counter(), time.process_time()
            run()
            if number:  # the first round fills the disk's cache and starts threads
                seconds[name].append(time.perf_counter() - start)
                processor[name].append(1e3 * (time.process_time() - begun) / images)
    own = seconds["from_folder"]
    for name, times in seconds.items():
        ratios = sorted(base / mine for base, mine in zip(times, own, strict=True))
        spent = statistics.median(processor[name])
        print(
            f"{name:<26} {images / statistics.median(times):7,.0f} images/s  "
            + (f"{spent:.2f} ms/image" if spent > 0.1 else "   elsewhere ")
            + f"  from_folder at {statistics.median(ratios):.2f} of its speed "
            f"({ratios[0]:.2f} to {ratios[-1]:.2f}; best rounds {min(times) / min(own):.2f})"
        )


def index(root: Path, files: int) -> None:
    """The time from the call to a streamed set that is ready to give its first batch: a folder of
    many small JPEG files in 100 classes is listed, split, and every header is checked."""
    make_many(root, files)
    for name, begin in (
        ("listed", lambda: [list_folder(root)]),
        ("ready", lambda: from_folder(root, in_memory=False, validation_split=0.2)),
    ):
        start, begun = time.perf_counter(), time.process_time()
        count = sum(len(part.files) for part in begin())
        seconds, processor = time.perf_counter() - start, time.process_time() - begun
        print(f"{count:,} files {name} in {seconds:.2f} s ({processor:.2f} s of processor time)")


def make_many(root: Path, files: int) -> None:
    """Small pictures; hard links to 500 different ones, as a link costs what a file does here."""
    originals = root.parent / "small"
    originals.mkdir()
    rng = np.random.default_rng(0)
    for number in range(500):
        pixels = rng.integers(0, 256, (8, 8, 3), np.uint8)
        small = Image.fromarray(pixels).resize((64, 64), Image.Resampling.BICUBIC)
        small.save(originals / f"{number}.jpg")
    for number in range(files):
        folder = root / f"{number % 100:03d}"
        if number < 100:
            folder.mkdir(parents=True)
        os.link(originals / f"{number % 500}.jpg", folder / f"{number:06d}.jpg")


if __name__ == "__main__":
    main()
