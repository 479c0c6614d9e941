"""The compiled data functions read and write nothing beyond the arrays that they are given: each of
these ends, or begins, at a page that may not be touched."""

from __future__ import annotations

import numpy as np
import pytest
from fences import between_pages

from fastcnn import data as of
from fastcnn._ext import batch, effects, mixing, product, random
from fastcnn.data.augment import params, whitening

COUNT = 7
SHAPES = [(12, 10, 3), (5, 7, 1), (9, 8, 4), (1, 1, 3), (3, 33, 2), (2, 1, 1)]
LISTS = {
    "copied": [],
    "flipped": [of.RandomFlip("horizontal_and_vertical")],
    "cropped": [of.RandomTranslation(0.6, 0.6, "wrap"), of.RandomFlip(), of.CenterCrop(1, 1)],
    "moved": [of.RandomCrop(11, 9, padding=6), of.RandomBrightness(0.2)],
    **{
        f"turned, {mode}": [of.RandomRotation(0.5, mode), of.RandomZoom(0.5, 0.5, mode)]
        for mode in ("constant", "nearest", "reflect", "wrap")
    },
    "nearest": [of.RandomShear(0.3, 0.3, interpolation="nearest")],
    "effects": [
        of.RandomContrast(0.5),
        of.RandomGaussianBlur((1, 1), 5),
        of.GaussianNoise(0.2),
        of.RandomErasing(1.0),
    ],
    "colours": [of.RandomRotation(0.1), of.RandomHue(0.5), of.RandomSaturation(0.5)],
}


@pytest.fixture(params=[True, False], ids=["ends", "begins"])
def at_end(request):
    return request.param


def images(shape, dtype=np.float32, count=COUNT):
    return (np.random.default_rng(3).random((count, *shape)) * 255).astype(dtype)


def compare(function, at_end, *arguments):
    """The same results, returned and written, with fenced arguments as with the caller's."""
    copies = [[np.copy(a) if isinstance(a, np.ndarray) else a for a in arguments] for _ in range(2)]
    results = [function(*copies[0]), between_pages(function, at_end)(*copies[1])]
    for plain, guarded in zip([results[0], *copies[0]], [results[1], *copies[1]], strict=True):
        np.testing.assert_array_equal(guarded, plain)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", LISTS)
def test_augmentations(name, shape, at_end, monkeypatch):
    if (name == "colours" and shape[2] != 3) or (name == "moved" and shape[0] < 9):
        shape = (9, 11, 3)
    augment = of.Augment(LISTS[name], scale=1 / 255, offset=0.5, seed=5)
    order = np.array([6, 0, 3, 6, 5])
    for dtype in (np.uint8, np.float32):
        x = images(shape, dtype)
        with monkeypatch.context() as patch:
            expected = augment.apply(x, order, 2)
            patch.setattr(params, "resample", between_pages(params.resample, at_end))
            for function in ("add_noise", "erase", "blur"):
                patch.setattr(effects, function, between_pages(getattr(effects, function), at_end))
            patch.setattr(random, "uniforms", between_pages(random.uniforms, at_end))
            received = augment.apply(x, order, 2)
        np.testing.assert_array_equal(received, expected)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_gathering_and_mixing(shape, at_end):
    partners = np.random.default_rng(4).permutation(COUNT)
    shares = np.linspace(0, 1, COUNT, dtype=np.float32)
    for dtype in (np.uint8, np.float32):
        x = images(shape, dtype)
        compare(batch.gather, at_end, x, partners, np.empty(x.shape, np.float32))
    compare(mixing.blend, at_end, x, partners, shares)
    height, width, _ = shape
    for box in ([0, height, 0, width], [height - 1, height, width - 1, width], [0, 1, 0, 1]):
        compare(mixing.paste, at_end, x, partners, np.tile(box, (COUNT, 1)))


@pytest.mark.parametrize("kernel", [1, 2, 9])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_effects(shape, kernel, at_end):
    """Kernels wider than an image too, and boxes that go to its edges and beyond."""
    x, streams = images(shape), np.arange(COUNT)
    compare(effects.blur, at_end, x, np.full((COUNT, kernel), 0.2, np.float32))
    for box in ([0, 99, 0, 99], [-3, 1, -3, 1], [shape[0] - 1, 99, shape[1] - 1, 99]):
        boxes = np.tile(box, (COUNT, 1))
        for fill in (None, np.ones(shape[2], np.float32)):
            compare(effects.erase, at_end, x, boxes, 5, streams, fill, (0.0, 255.0))


@pytest.mark.parametrize(
    ("count", "depth", "columns"), [(1, 1, 1), (7, 5, 3), (6, 128, 16), (13, 130, 257), (5, 0, 4)]
)
def test_products(count, depth, columns, at_end):
    generator = np.random.default_rng(6)
    left, right = generator.random((count, depth)), generator.random((depth, columns))
    compare(product.product, at_end, left.astype(np.float32), right.astype(np.float32))


def test_whitening(at_end, monkeypatch):
    x = images((4, 3, 2), count=40)
    step = of.ZCAWhitening(epsilon=1e-3).fit(x)
    expected = step.apply(x.copy())
    monkeypatch.setattr(whitening, "product", between_pages(whitening.product, at_end))
    np.testing.assert_array_equal(step.apply(x.copy()), expected)


def test_random_numbers(at_end):
    keys, counts = np.arange(3, dtype=np.uint64), np.array([1, 0, 4])
    compare(random.uniforms, at_end, keys, np.arange(COUNT), counts)
