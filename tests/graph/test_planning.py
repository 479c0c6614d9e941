"""Planning: memory by a plain rule, and time that grows no faster than the layers."""

from __future__ import annotations

import time

import numpy as np
import pytest

from fastcnn import Sequential
from fastcnn import layers as L
from fastcnn.backends.memory_planner import place


def placed_plainly(spans):
    """Each span, largest first, at the lowest offset where it meets none that is alive with it."""
    placed, offsets = [], {}
    for start, end, size, region in sorted(spans, key=lambda span: -span[2]):
        rivals = sorted(place for place in placed if place[2] <= end and start <= place[3])
        at = 0
        for low, high, *_ in rivals:
            if at + size <= low:
                break
            at = max(at, high)
        placed.append((at, at + size, start, end))
        offsets[region] = at
    return offsets, max((high for _, high, *_ in placed), default=0)


@pytest.mark.parametrize("seed", range(40))
def test_places_are_the_lowest(seed):
    rng = np.random.default_rng(seed)
    starts = rng.integers(0, 20, 60)
    ends = starts + rng.integers(0, rng.choice([1, 20]), 60)
    sizes = rng.choice([0, 64, 128, 192, 640], 60)
    spans = [(*map(int, row), n) for n, row in enumerate(zip(starts, ends, sizes, strict=True))]
    assert place(spans) == placed_plainly(spans)


@pytest.mark.parametrize("kind", [L.ReLU, L.Flatten, lambda: L.Dropout(0.5)])
def test_thousands_of_layers_are_planned_in_seconds(kind):
    """A look at all ops for each op took minutes."""
    begun = time.process_time()
    model = Sequential([*(kind() for _ in range(6000)), L.Dense(2)], input_shape=(4,))
    model.compile("sgd", "mse")
    model.program_and_roles("train")
    assert len({layer.name for layer in model.layers}) == 6001
    assert time.process_time() - begun < 10
