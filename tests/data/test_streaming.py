"""Training from the disk: the memory that it takes does not grow with the set."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

import fastcnn
from fastcnn.data import RandomFlip, from_packed, pack
from fastcnn.layers import Dense, Flatten, MaxPooling2D, Rescaling

SIDE = 32
IMAGE = SIDE * SIDE * 3


class Noise:
    """A Dataset of images that are made as they are asked for."""

    dtype = np.uint8
    image_shape = (SIDE, SIDE, 3)
    class_names = ("a", "b")

    def __init__(self, count):
        self.labels = (np.arange(count) % 2).astype(np.int32)

    def __len__(self):
        return len(self.labels)

    def images(self, indices, out):
        out[...] = np.random.default_rng(int(indices[0])).integers(0, 256, out.shape, np.uint8)


def memory_of_training(path, workers):
    """Bytes that an epoch takes at most, above what there was before."""
    images = from_packed(path)
    layers = [Rescaling(1 / 255), MaxPooling2D(8), Flatten(), Dense(2)]
    model = fastcnn.Sequential(layers, input_shape=images.image_shape)
    model.compile("sgd", fastcnn.losses.SparseCategoricalCrossentropy(from_logits=True))
    tracemalloc.start()
    try:
        model.fit(images, augment=[RandomFlip()], batch_size=32, workers=workers, verbose=0)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        images.close()


@pytest.mark.parametrize("workers", [0, 2])
def test_memory_is_that_of_some_batches_whatever_the_size_of_the_set(tmp_path, workers):
    few, many = tmp_path / "few.h5", tmp_path / "many.h5"
    pack(Noise(400), few)
    pack(Noise(4_000), many)
    taken = [memory_of_training(path, workers) for path in (few, few, many)]
    # What an image costs beside its bytes: its place in the order, its random numbers' number.
    assert taken[2] - taken[1] < 200 * 3_600 < 0.1 * 3_600 * IMAGE
