"""Batches prepared in threads: in order, the same bits for any number, bounded, cleanly ended."""

from __future__ import annotations

import gc
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from fastcnn.data import Batches, Transform
from fastcnn.data.augment.mixing import CutMix, MixUp
from fastcnn.data.augment.preprocessing import PerImageStandardization
from fastcnn.data.prefetch import ahead

SHAPE = (4, 5, 3)
COUNT = 23
X = np.random.default_rng(0).integers(0, 256, (COUNT, *SHAPE), np.uint8)
Y = np.eye(5, dtype=np.float32)[np.arange(COUNT) % 5]
WEIGHT = np.linspace(0.5, 1.5, COUNT, dtype=np.float32)
ORDER = np.random.default_rng(1).permutation(COUNT)


class Noise:
    """Speaks to Batches as an Augment: adds to each image what its number and the epoch decide."""

    def output_shape(self, shape):
        return shape

    def check_values(self, images):
        assert len(images) and images.shape[1:] == SHAPE

    def apply(self, x, indices, epoch, out):
        return self.apply_batch(x[indices], indices, epoch, out)

    def apply_batch(self, images, indices, epoch, out):
        for place, index in enumerate(indices.tolist()):
            noise = np.random.default_rng([epoch, index]).random(dtype=np.float32)
            out[place] = images[place] + noise
        return out


class Slow:
    """A data set whose later images are ready sooner, and which says how many wait."""

    dtype = np.uint8
    image_shape = SHAPE

    def __init__(self, fail_at=None):
        self.labels = np.arange(COUNT) % 5
        self.begun = []
        self.fail_at = fail_at

    def __len__(self):
        return COUNT

    def images(self, indices, out):
        self.begun.append(indices[0])
        time.sleep(0.002 * (1 + len(self.begun) % 3))
        if self.fail_at in indices:
            raise OSError(f"image {self.fail_at} cannot be read")
        np.copyto(out, X[indices])


def settle(condition, seconds=5.0):
    """Waits until a condition holds."""
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.001)
    assert condition()


def threads():
    return [t for t in threading.enumerate() if t.name.startswith("fastcnn-batches")]


def made(source, workers, epoch=2, **options):
    settings = {
        "augment": Noise(),
        "preprocessing": [PerImageStandardization()],
        "mixing": [MixUp(), CutMix()],
        "seed": 3,
    }
    transform = Transform(**{**settings, **options})
    batches = Batches(
        source, Y, WEIGHT, 4, ORDER, transform=transform, epoch=epoch, workers=workers
    )
    return [tuple(map(np.copy, batch)) for batch in batches]


@pytest.mark.parametrize("source", [X, X.astype(np.float32), Slow()], ids=["u8", "f32", "own"])
def test_the_same_bits_for_any_number_of_workers(source):
    reference = made(source, 0)
    assert [len(x) for x, _, _ in reference] == [4, 4, 4, 4, 4, 3]
    for workers in (1, 2, 5, None):
        for one, other in zip(made(source, workers), reference, strict=True):
            assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_arrays_and_data_sets_give_the_same_bits():
    for one, other in zip(made(X, 1), made(Slow(), 2), strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_augmentation_depends_on_epoch_and_image_not_on_the_batch():
    plain = {"mixing": (), "preprocessing": ()}
    first = np.concatenate([x for x, _, _ in made(X, 1, **plain)])
    again = Batches(X, None, None, 7, transform=Transform(Noise()), epoch=2, workers=3)
    assert np.array_equal(first, np.concatenate([x.copy() for x, _, _ in again])[ORDER])
    other = np.concatenate([x for x, _, _ in made(X, 1, **plain, epoch=3)])
    assert not any(np.array_equal(a, b) for a, b in zip(first, other, strict=True))


@pytest.mark.parametrize("source", [X, Slow()], ids=["array", "own"])
def test_an_image_that_comes_again_is_augmented_anew(source):
    order = np.array([6, 2, 6, 6, 1])
    (batch,) = Batches(source, None, None, 8, order, transform=Transform(Noise()))
    images = batch[0]
    noise = images - X[order]
    assert len({tuple(one.ravel()) for one in noise}) == 5
    once = next(iter(Batches(source, None, None, 8, order[:2], transform=Transform(Noise()))))[0]
    assert np.array_equal(once, images[:2])


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_every_image_once_and_the_last_batch_kept(workers):
    own = Slow()
    batches = Batches(own, None, None, 5, ORDER, workers=workers)
    got = [(x.copy(), y) for x, y, _ in batches]
    assert [len(y) for _, y in got] == [5, 5, 5, 5, 3]
    assert np.array_equal(np.concatenate([x for x, _ in got]), X[ORDER])
    assert np.array_equal(np.concatenate([y for _, y in got]), own.labels[ORDER])


@pytest.mark.parametrize("workers", [0, 1, 2, 4])
def test_look_ahead_is_bounded(workers):
    own = Slow()
    addresses = set()
    for number, (x, _, _) in enumerate(Batches(own, None, None, 2, workers=workers), 1):
        most = min(number + workers, 12)
        settle(lambda most=most: len(own.begun) >= most)
        time.sleep(0.002)
        assert len(own.begun) == most
        addresses.add(x.ctypes.data)
    assert len(addresses) == workers + 1


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_an_error_surfaces_at_its_batch_and_ends_the_threads(workers):
    batches = iter(Batches(Slow(fail_at=9), None, None, 2, workers=workers))
    for _ in range(4):
        next(batches)
    with pytest.raises(OSError, match="image 9 cannot be read"):
        next(batches)
    assert not threads()
    assert next(batches, None) is None


@pytest.mark.parametrize("workers", [1, 4])
def test_a_dropped_iteration_ends_its_threads(workers):
    own = Slow()
    batches = iter(Batches(own, None, None, 1, workers=workers))
    next(batches)
    assert threads()
    del batches
    gc.collect()
    assert not threads()
    begun = len(own.begun)
    time.sleep(0.02)
    assert len(own.begun) == begun < COUNT


def test_two_threads_work_at_once():
    """Each of two pieces waits for the other to begin."""
    both = threading.Barrier(2, timeout=10)
    assert list(ahead(lambda piece, _: both.wait() >= 0, range(2), [0, 1, 2], 2)) == [True, True]


CTRL_C = """
import os, signal, threading, time
import numpy as np
from fastcnn.data import Batches

class Endless:
    labels, image_shape = np.zeros(100), (1, 1, 1)
    def __len__(self): return 100
    def images(self, indices, out):
        time.sleep(0.05)
        out[...] = 0
        if indices[0] == 6:
            os.kill(os.getpid(), signal.SIGINT)

try:
    for x, y, weight in Batches(Endless(), None, None, 2, workers=2):
        pass
except KeyboardInterrupt:
    names = [t.name for t in threading.enumerate() if t.name.startswith("fastcnn")]
    print("interrupted", names)
"""


def test_ctrl_c_ends_the_threads():
    result = subprocess.run(
        [sys.executable, "-c", CTRL_C], capture_output=True, text=True, timeout=120, check=False
    )
    assert result.stdout.strip() == "interrupted []", result.stderr
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_workers_must_be_a_whole_number():
    with pytest.raises(ValueError, match="workers must be a whole number of at least 0"):
        Batches(X, None, None, 2, workers=-1)
