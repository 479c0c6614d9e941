"""HDF5 files with damage anywhere in them are refused, and cost neither a crash nor memory."""

from __future__ import annotations

import secrets
import tracemalloc

import hdf5_models as nets
import numpy as np
import pytest
from deadline import within

from fastcnn.hdf5.errors import FormatError
from fastcnn.models.sequential import Sequential
from fastcnn.saving import model_file


def mutations(data, generator, count):
    """Versions of data, cut short or with bytes flipped, replaced, zeroed, or moved elsewhere."""
    for _ in range(count):
        mutant = bytearray(data)
        kind = generator.integers(0, 9)
        if kind == 0:
            mutant = mutant[: generator.integers(0, len(data))]
        elif kind == 1:
            target, source, size = generator.integers(0, len(data) - 64, 3)
            mutant[target : target + size % 64] = data[source : source + size % 64]
        elif kind == 2:
            first, size = generator.integers(0, len(data)), generator.choice([8, 64, 512, 4096])
            size = min(size, len(data) - first)
            mutant[first : first + size] = bytes(size)
        for _ in range(generator.choice([1, 2, 4, 16]) if kind > 2 else 0):
            place = generator.integers(0, len(data))
            mutant[place] = generator.choice(
                [0, 255, mutant[place] ^ (1 << place % 8), place % 256]
            )
        yield bytes(mutant)


# Each load takes a hundredth of a second, most of it because memory is traced.
@pytest.mark.parametrize("count", [150, pytest.param(800, marks=pytest.mark.exhaustive)])
@pytest.mark.parametrize("origin", ["ours", "keras"])
def test_damage_is_an_error_or_harmless(origin, count, weights, tmp_path):
    source = weights if origin == "ours" else nets.KERAS / "sequential.weights.h5"
    path = tmp_path / "damaged.h5"
    model, again = nets.sequential(), nets.sequential()
    model_file.load_weights(model, source)
    good, start = nets.bits(model), nets.bits(again)
    refused = 0
    tracemalloc.start()
    for mutant in mutations(source.read_bytes(), np.random.default_rng(7), count):
        path.write_bytes(mutant)
        try:
            with within():
                model_file.load_weights(again, path)
        except FormatError:
            refused += 1
            assert nets.bits(again) == start
        else:
            # A file of ours is the right one or none; Keras's has no checksums.
            assert origin == "keras" or nets.bits(again) == good
            start = nets.bits(again)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert refused > count / 4
    assert peak < 64 << 20


@pytest.mark.parametrize(
    ("fixed", "count"), [(8, 60), (None, 60), pytest.param(8, 300, marks=pytest.mark.exhaustive)]
)
def test_a_damaged_model_is_an_error_or_the_same_model(fixed, count, weights, tmp_path):
    """The same damages each time, and some that no run had before."""
    seed = secrets.randbits(32) if fixed is None else fixed
    print("seed", seed)
    path = tmp_path / "damaged.h5"
    good = nets.bits(model_file.load_model(weights, Sequential))
    for mutant in mutations(weights.read_bytes(), np.random.default_rng(seed), count):
        path.write_bytes(mutant)
        try:
            with within():
                model = model_file.load_model(path, Sequential)
        except FormatError:
            continue
        assert nets.bits(model) == good
