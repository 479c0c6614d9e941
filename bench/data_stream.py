"""Training from one packed file larger and larger: the memory that it takes stays the same.

    python bench/data_stream.py [--images 20000 200000 1000000]

A file of so many 32 x 32 colour images is written and trained from for one epoch, augmented, by a
process of its own. Stated are the file's size, the training's largest resident memory, that of the
same training of 2,000 images, and images a second.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from peers.protocol import peak_memory

import fastcnn
from fastcnn.data import PackedImages, RandomCrop, RandomFlip, from_packed, pack

LEAST = 2_000
CLASSES = 10


class Noise:
    """A Dataset of images that are made as they are asked for."""

    dtype = np.uint8
    image_shape = (32, 32, 3)
    class_names = tuple("abcdefghij")

    def __init__(self, count: int) -> None:
        self.labels = (np.arange(count) % CLASSES).astype(np.int32)

    def __len__(self) -> int:
        return len(self.labels)

    def images(self, indices: np.ndarray, out: np.ndarray) -> None:
        out[...] = np.random.default_rng(int(indices[0])).integers(0, 256, out.shape, np.uint8)


def train(path: str) -> None:
    images = from_packed(path)
    assert isinstance(images, PackedImages)
    model = fastcnn.Sequential(
        [
            fastcnn.layers.Rescaling(1 / 255),
            fastcnn.layers.Conv2D(8, 3, activation="relu"),
            fastcnn.layers.MaxPooling2D(4),
            fastcnn.layers.Flatten(),
            fastcnn.layers.Dense(CLASSES),
        ],
        input_shape=images.image_shape,
    )
    model.compile("sgd", fastcnn.losses.SparseCategoricalCrossentropy(from_logits=True))
    start = time.perf_counter()
    moved = [RandomCrop(32, 32, padding=4), RandomFlip("horizontal")]
    model.fit(images, augment=moved, batch_size=128, verbose=0)
    rate = len(images) / (time.perf_counter() - start)
    print(json.dumps({"memory": peak_memory(), "rate": rate}))


def measured(folder: str, count: int) -> tuple[float, float, float]:
    """MiB of the file, MiB of memory, and images a second."""
    path = Path(folder, f"{count}.h5")
    pack(Noise(count), path)
    size = path.stat().st_size / 2**20
    child = [sys.executable, __file__, "--train", str(path)]
    done = subprocess.run(child, capture_output=True, text=True, check=True)
    os.remove(path)
    report = json.loads(done.stdout.splitlines()[-1])
    return size, report["memory"], report["rate"]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, nargs="+", default=[20_000, 200_000, 1_000_000])
    parser.add_argument("--train", metavar="FILE", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.train:
        train(args.train)
        return
    with tempfile.TemporaryDirectory() as folder:
        for count in (LEAST, *args.images):
            size, memory, rate = measured(folder, count)
            print(
                f"{count:9,} images, file {size:7,.0f} MiB: {memory:4.0f} MiB of memory, "
                f"{rate:8,.0f} images/s"
            )


if __name__ == "__main__":
    main()
