"""A data set that does not give its images is told so, before a model trains on what was left."""

from __future__ import annotations

import numpy as np
import pytest
from test_fit_augment import COUNT, X, Y, fit, net

from fastcnn.data import Batches, RandomFlip
from fastcnn.data.filling import fill


class Own:
    """Images of one's own; ``write`` is what its images() does."""

    labels = Y

    def __init__(self, write, dtype=np.float32):
        self.write, self.dtype = write, np.dtype(dtype)

    def __len__(self):
        return COUNT

    def images(self, indices, out):
        return self.write(indices, out)


def forgets(indices, out):
    pass


def forgets_the_last(indices, out):
    out[:-1] = X[indices[:-1]]


def forgets_a_row(indices, out):
    out[:, :-1] = X[indices, :-1]


def writes(indices, out):
    out[...] = X[indices]


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("options", [{}, {"augment": [RandomFlip()]}], ids=["plain", "augmented"])
def test_images_that_are_returned_are_refused(dtype, options):
    model = net()
    with pytest.raises(TypeError, match=r"Own.images\(indices, out\) must write the images"):
        fit(model, Own(lambda indices, out: X[indices].astype(dtype), dtype), None, **options)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize(
    ("write", "count"), [(forgets, 5), (forgets_the_last, 1), (forgets_a_row, 5)]
)
def test_images_that_are_not_written_are_refused(dtype, write, count):
    model = net()
    for use in (lambda source: fit(model, source, None), model.predict):
        with pytest.raises(ValueError, match=r"must write all of out.* of .* images were not"):
            use(Own(write, dtype))
    with pytest.raises(ValueError, match=rf" {count} of 5 images were not written"):
        next(iter(Batches(Own(write, dtype), None, None, 5, shape=(8, 8, 3))))


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_what_is_written_stays(dtype):
    out = np.empty((COUNT, 8, 8, 3), dtype)
    for write in (writes, lambda indices, out: writes(indices, out) or out):
        fill(Own(write), np.arange(COUNT), out, checked=True)
        np.testing.assert_array_equal(out, X)


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 1, 3), (7,), (9,), (8, 1, 1)])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_images_of_any_size(shape, dtype):
    out = np.empty((3, *shape), dtype)
    fill(Own(lambda indices, out: out.fill(0)), np.arange(3), out, checked=True)
    assert not out.any()
    if dtype == np.float32 or out[0].size >= 8:
        with pytest.raises(ValueError, match="3 of 3 images"):
            fill(Own(forgets), np.arange(3), out, checked=True)


def test_a_users_own_nan_is_not_taken_for_it():
    out = np.empty((2, 2, 2, 1), np.float32)
    fill(Own(lambda indices, out: out.fill(np.nan)), np.arange(2), out, checked=True)
    assert np.isnan(out).all()
