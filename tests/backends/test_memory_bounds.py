"""Nothing is read or written beyond an array: users' arrays between protected pages, and memory of
random nets that begins as NaN, with numbers around it that must stay."""

from __future__ import annotations

import numpy as np
import pytest
from building import build, images, targets_for
from fences import fenced
from random_nets import draw

from fastcnn import layers as L
from fastcnn.backends.cpu import engine, executable
from fastcnn.backends.cpu.executable import allocate

GUARD = 1024  # bytes on either side, whole cache lines
NETS = range(12)


def made(number):
    net = draw(number)
    model = build(net.shape, net.layers, net.loss)
    x, y = images(net.batch, net.shape), targets_for(model, net.batch)
    return model, x, y, np.linspace(0.5, 1.5, net.batch, dtype=np.float32)


def results(model, *given):
    loss, gradients = model.gradients(*given)
    tested = model.test_on_batch(*given)
    return [
        model.predict(given[0]),
        loss,
        *gradients.values(),
        tested,
        model.train_on_batch(*given),
    ]


@pytest.mark.parametrize("at_end", [True, False])
@pytest.mark.parametrize("number", NETS)
def test_users_arrays_between_protected_pages(number, at_end):
    model, *given = made(number)
    results(model, *(fenced(array, at_end) for array in given))


@pytest.mark.parametrize("number", NETS)
def test_memory_that_begins_as_nan_between_canaries(number, monkeypatch):
    model, *given = made(number)
    expected = results(model, *given)
    kept = []

    def poisoned(size):
        memory = allocate(size + 2 * GUARD)
        memory[:] = 0xFF  # NaN as float32
        kept.append(memory)
        return memory[GUARD:-GUARD]

    for module in (executable, engine):
        monkeypatch.setattr(module, "allocate", poisoned)
    model, *given = made(number)
    for received, right in zip(results(model, *given), expected, strict=True):
        assert np.isfinite(received).all()
        np.testing.assert_array_equal(received, right)
    assert kept
    for memory in kept:
        assert (memory[:GUARD] == 0xFF).all() and (memory[-GUARD:] == 0xFF).all()


@pytest.mark.parametrize("at_end", [True, False])
@pytest.mark.parametrize("strategy", ["direct", "im2col", "winograd"])
def test_padded_images_between_protected_pages(strategy, at_end):
    """As the first layer, a padded convolution reads the user's images row by row."""
    model = build((5, 7, 3), [L.Conv2D(4, 3, padding="same", strategy=strategy)])
    x = fenced(images(2, (5, 7, 3)), at_end)
    model.predict(x)
    model.train_on_batch(x, fenced(targets_for(model, 2), at_end))
