"""What is fitted to a training set: from arrays, folders, packed files and sets of one's own."""

from __future__ import annotations

import numpy as np
import photos
import pytest

from fastcnn.data import PCAColor, ZCAWhitening, from_folder, from_packed, pack
from fastcnn.data.augment.statistics import Moments
from fastcnn.data.dataset import Subset
from fastcnn.data.folder import inspection
from fastcnn.layers import Normalization

SHAPE = (6, 5, 3)


class Own:
    """A data set of one's own, of the floats of an array."""

    labels = None

    def __init__(self, x):
        self.x, self.image_shape = x, x.shape[1:]

    def __len__(self):
        return len(self.x)

    def images(self, indices, out):
        out[...] = self.x[indices]


@pytest.fixture
def sources(tmp_path):
    """The same images in every form."""
    folder = photos.photo_folder(tmp_path / "photos", count=40)
    held = from_folder(folder, SHAPE[:2])
    pack(held, tmp_path / "photos.h5")
    return {
        "array": held.x,
        "held": held,
        "streamed": from_folder(folder, SHAPE[:2], in_memory=False),
        "packed": from_packed(tmp_path / "photos.h5"),
        "own": Own(held.x.astype(np.float32)),
        "subset": Subset(from_packed(tmp_path / "photos.h5"), np.arange(80)[::-1], SHAPE),
    }


def test_normalization_pca_and_whitening_take_every_source(sources):
    x = sources["array"].astype(np.float64)
    colours, flat = x.reshape(-1, 3), x.reshape(len(x), -1)
    variances, vectors = np.linalg.eigh(np.cov(flat.T, bias=True))
    whitening = (vectors / np.sqrt(np.maximum(variances, 0) + 1.0)) @ vectors.T
    deviations = np.sqrt(np.linalg.eigvalsh(np.cov(colours.T, bias=True))[::-1])
    for source in sources.values():
        layer = Normalization().adapt(source)
        np.testing.assert_allclose(layer.mean, colours.mean(axis=0), rtol=1e-12)
        np.testing.assert_allclose(layer.variance, colours.var(axis=0), rtol=1e-12)
        np.testing.assert_allclose(PCAColor().fit(source).deviations, deviations, rtol=1e-10)
        found = ZCAWhitening(1.0).fit(source).arrays()
        np.testing.assert_allclose(found["mean"], flat.mean(axis=0), rtol=1e-6)  # float32
        # Variances up to 1e5 against an epsilon of 1, and float32 entries up to 1.
        np.testing.assert_allclose(found["matrix"], whitening, atol=1e-6)
    found = inspection.measure(sources["streamed"])
    np.testing.assert_array_equal(found.mean, inspection.measure(sources["packed"]).mean)
    np.testing.assert_allclose(found.deviation, colours.std(axis=0), rtol=1e-12)


def test_bytes_are_counted_exactly_whatever_the_pieces():
    x = np.random.default_rng(0).integers(0, 256, (1000, 3), np.uint8)
    whole, parts = Moments(3, full=True), Moments(3, full=True)
    whole.add(x)
    for part in np.split(x, [1, 1, 7, 500]):
        parts.add(part)
    assert parts.count == 1000
    np.testing.assert_array_equal(parts.mean, whole.mean)
    np.testing.assert_array_equal(parts.variance, whole.variance)


def test_digits_are_kept_where_the_mean_is_large():
    x = np.random.default_rng(0).normal(1e6, 1, (4000, 2))
    found = Moments(2)
    for part in np.split(x, 8):
        found.add(part)
    # Naive sums of squares would keep 4 of 16 digits; x itself is rounded to 1e-10.
    np.testing.assert_allclose(found.variance, x.var(axis=0), rtol=1e-9)


@pytest.mark.parametrize(
    ("images", "error", "words"),
    [
        (np.zeros((0, 4, 4, 3), np.uint8), ValueError, r"\(0, 4, 4, 3\)"),
        (np.zeros((2, 4, 4, 3), int), TypeError, "dtype uint8 or float32. Received int64"),
        (np.zeros((2, 4, 4), np.uint8), ValueError, r"fit needs images of shape \[N, H, W"),
        (type("Bare", (Own,), {})(np.zeros((2, 0, 4, 3))), ValueError, r"\(2, 0, 4, 3\)"),
    ],
)
def test_what_cannot_be_measured_is_refused(images, error, words):
    for one in (PCAColor(), ZCAWhitening()):
        with pytest.raises(error, match=words):
            one.fit(images)


def test_a_data_set_must_say_the_shape_of_its_images():
    class Bare:
        labels = None

        def __len__(self):
            return 3

        def images(self, indices, out):
            out[...] = 0

    with pytest.raises(ValueError, match=r"a Dataset with image_shape.*Received a Bare without"):
        Normalization().adapt(Bare())


def test_images_too_large_to_whiten_are_refused_at_once():
    zeros = np.broadcast_to(np.uint8(0), (2, 64, 64, 3))
    words = r"at most 6,912 values.*\(64, 64, 3\), 12,288 values, whose matrices take 4.8 GB"
    with pytest.raises(ValueError, match=words):
        ZCAWhitening().fit(zeros)
