"""Batches: every image exactly once, in order, from arrays and from data sets of one's own."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from fastcnn.data import Batches, Dataset

SHAPE = (2, 3, 1)


def images(count, dtype=np.uint8):
    return np.arange(count * 6).reshape(count, *SHAPE).astype(dtype)


class Own:
    """A data set that computes its images, as a user may write it."""

    def __init__(self, count, fail_at=None):
        self.labels = list(range(count))
        self.fail_at = fail_at
        self.threads = []
        self.calls = 0

    def __len__(self):
        return len(self.labels)

    def images(self, indices, out):
        self.calls += 1
        self.threads.append(threading.get_ident())
        if self.fail_at in indices:
            raise OSError("image 5 cannot be read")
        out[...] = images(len(self))[indices]


def sources(count):
    return {
        "uint8": images(count),
        "float32": images(count, np.float32),
        "strided": images(2 * count)[::2],
        "dataset": Own(count),
    }


@pytest.mark.parametrize("kind", ["uint8", "float32", "strided", "dataset"])
@pytest.mark.parametrize(("count", "size"), [(10, 4), (8, 4), (3, 32), (1, 1), (0, 4)])
def test_every_image_once_with_its_label_and_weight(kind, count, size):
    x = sources(count)[kind]
    reference = x if kind == "strided" else images(count)
    order = np.random.default_rng(1).permutation(count)
    y = np.arange(count, dtype=np.int32)
    weight = y.astype(np.float32) / 10
    batches = Batches(x, y, weight, size, order, shape=SHAPE)
    for _ in range(2):
        got = [(bx.copy(), by, bw) for bx, by, bw in batches]
        assert len(got) == len(batches) == -(-count // size)
        assert [len(by) for _, by, _ in got[:-1]] == [size] * (len(got) - 1)
        for bx, by, bw in got:
            assert bx.dtype == bw.dtype == np.float32
            assert bx.flags.c_contiguous
            np.testing.assert_array_equal(bx, reference[by])
            np.testing.assert_array_equal(bw, weight[by])
        np.testing.assert_array_equal(np.concatenate([by for _, by, _ in got] or [[]]), order)


def test_order_may_be_a_part_of_the_set():
    (batch,) = Batches(images(9), np.arange(9), None, 8, np.array([7, 2]))
    np.testing.assert_array_equal(batch[0], images(9)[[7, 2]])
    np.testing.assert_array_equal(batch[1], [7, 2])
    assert batch[2] is None


def test_without_labels_and_with_dense_targets():
    assert [y for _, y, _ in Batches(images(5), None, None, 3)] == [None, None]
    targets = np.eye(5, dtype=np.float32)
    np.testing.assert_array_equal(
        np.concatenate([y for _, y, _ in Batches(images(5), targets, None, 3)]), targets
    )


def test_the_buffer_of_an_array_is_reused():
    addresses = {x.ctypes.data for x, _, _ in Batches(images(20), None, None, 4)}
    assert len(addresses) == 1


@pytest.mark.parametrize(("workers", "ahead"), [(None, True), (0, False)])
def test_an_array_whose_batches_are_sent_is_gathered_ahead(workers, ahead):
    """In one other thread, where nothing else is asked for; the bits are the same."""
    x, threads, sent = images(10), set(), []

    def send(batch):
        threads.add(threading.get_ident())
        sent.append(batch.copy())
        return sent[-1]

    batches = Batches(x, None, None, 4, workers=workers, send=send)
    found = [made.copy() for made, _, _ in batches]
    np.testing.assert_array_equal(np.concatenate(found), x.astype(np.float32))
    assert len(sent) == (3 if ahead else 0)
    assert len(threads) == ahead and threading.get_ident() not in threads


def test_a_dataset_fills_the_next_batch_ahead_in_one_other_thread():
    own = Own(20)
    assert isinstance(own, Dataset)
    ahead = []
    addresses = set()
    for number, (x, y, _) in enumerate(Batches(own, None, None, 4, shape=SHAPE)):
        expected = x.copy()
        while number < 4 and own.calls < number + 2:  # the next batch, before we ask for it
            threading.Event().wait(0.001)
        np.testing.assert_array_equal(x, expected)
        ahead.append(own.calls)
        addresses.add(x.ctypes.data)
        assert y.dtype == np.int32
    assert ahead == [2, 3, 4, 5, 5]
    assert len(addresses) == 2
    assert len(set(own.threads)) == 1
    assert threading.get_ident() not in own.threads


def test_an_error_of_a_dataset_arrives_where_its_batch_is_due():
    batches = iter(Batches(Own(8, fail_at=5), None, None, 2, shape=SHAPE))
    next(batches), next(batches)
    with pytest.raises(OSError, match="image 5"):
        next(batches)


def test_leaving_early_ends_the_thread():
    before = threading.active_count()
    batches = iter(Batches(Own(8), None, None, 2, shape=SHAPE))
    next(batches)
    batches.close()
    assert threading.active_count() == before


REFUSALS = [
    ((images(4), None, None, 0), {}, ValueError, "batch_size must be at least 1. Received 0"),
    ((images(4), None, None, 2, [0, 4]), {}, IndexError, "0 to 3 .*Received 0 to 4"),
    ((images(4), None, None, 2, [-1]), {}, IndexError, "Received -1 to -1"),
    ((images(4), None, None, 2, [0.5]), {}, TypeError, "integers. Received float64"),
    ((images(4), np.arange(3), None, 2), {}, ValueError, "y must have one entry per image, 4"),
    ((images(4), None, np.ones(5), 2), {}, ValueError, "weight must have .* Received 5"),
    ((Own(4), None, None, 2), {}, ValueError, "needs shape"),
]


@pytest.mark.parametrize(("arguments", "options", "error", "words"), REFUSALS)
def test_refusals(arguments, options, error, words):
    with pytest.raises(error, match=words):
        Batches(*arguments, **options)
