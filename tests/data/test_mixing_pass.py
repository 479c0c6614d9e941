"""The compiled mixing of a batch against NumPy: in place, whatever rings the partners form."""

from __future__ import annotations

import numpy as np
import pytest
from extensions import load, turns_during

from fastcnn._ext import mixing

COUNT = 40
X = np.random.default_rng(0).random((COUNT, 6, 8, 3), np.float32)
SHARES = np.random.default_rng(1).random(COUNT, np.float32)
PARTNERS = {
    "random": np.random.default_rng(2).permutation(COUNT),
    "themselves": np.arange(COUNT),
    "pairs": np.arange(COUNT) ^ 1,
    "one ring": np.roll(np.arange(COUNT), 1),
    "backwards": np.roll(np.arange(COUNT), -1),
}


@pytest.fixture(params=["release", "debug"])
def compiled(request):
    return load("mixing", request)


@pytest.mark.parametrize("kind", PARTNERS)
@pytest.mark.parametrize("shape", [(6, 8, 3), (144,)])
def test_blending_is_numpys(compiled, kind, shape):
    images, partners = X.reshape(COUNT, *shape).copy(), PARTNERS[kind]
    own = SHARES.reshape(-1, *[1] * len(shape))
    expected = own * images + (1 - own) * images[partners]
    compiled.blend(images, partners, SHARES)
    np.testing.assert_array_equal(images, expected)


@pytest.mark.parametrize("kind", PARTNERS)
def test_pasting_is_numpys(compiled, kind):
    generator = np.random.default_rng(3)
    rows = np.sort(generator.integers(0, 7, (COUNT, 2)), axis=1)
    columns = np.sort(generator.integers(0, 9, (COUNT, 2)), axis=1)
    boxes = np.concatenate([rows, columns], axis=1)
    boxes[0] = 0, 6, 0, 8
    images, expected = X.copy(), X.copy()
    for i, (top, bottom, left, right) in enumerate(boxes):
        expected[i, top:bottom, left:right] = X[PARTNERS[kind][i], top:bottom, left:right]
    compiled.paste(images, PARTNERS[kind], boxes)
    np.testing.assert_array_equal(images, expected)


BOXES = np.zeros((COUNT, 4), np.int64)
TWICE = np.zeros(COUNT, np.int64)
REFUSALS = [
    ("blend", (X.astype(np.float64), PARTNERS["pairs"], SHARES), TypeError, "images must be"),
    ("blend", (X, PARTNERS["pairs"][:5], SHARES), ValueError, r"partners must have the shape"),
    ("blend", (X, TWICE, SHARES), ValueError, "partners must be a permutation"),
    ("blend", (X, np.arange(COUNT) + 1, SHARES), ValueError, "partners must be a permutation"),
    ("blend", (X, PARTNERS["pairs"], SHARES[1:]), ValueError, "shares must have the shape"),
    ("paste", (X[..., 0].copy(), PARTNERS["pairs"], BOXES), ValueError, "images must have"),
    ("paste", (X, PARTNERS["pairs"], BOXES[:, 1:].copy()), ValueError, "boxes must have"),
    ("paste", (X, PARTNERS["pairs"], BOXES - 1), ValueError, "boxes must lie within"),
    ("paste", (X, PARTNERS["pairs"], BOXES + 7), ValueError, "boxes must lie within images of 6 x"),
]


@pytest.mark.parametrize(("name", "arguments", "error", "words"), REFUSALS)
def test_mixing_refuses(name, arguments, error, words):
    before = X.copy()
    with pytest.raises(error, match=words):
        getattr(mixing, name)(*arguments)
    np.testing.assert_array_equal(X, before)


@pytest.mark.parametrize("name", ["blend", "paste"])
def test_two_threads_run_at_once(name):
    x = np.zeros((2000, 32, 32, 3), np.float32)
    partners = np.random.default_rng(0).permutation(2000)
    if name == "blend":
        arguments = x, partners, np.full(2000, 0.5, np.float32)
    else:
        arguments = x, partners, np.tile([0, 32, 0, 31], (2000, 1))

    def work():
        getattr(mixing, name)(*arguments)

    assert any(turns_during(work) for _ in range(20))
