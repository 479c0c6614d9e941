"""Whole numbers beyond what can be computed with are refused in a sentence, and first of all."""

from __future__ import annotations

import numpy as np
import pytest

from fastcnn import Sequential, data, initializers, layers, schedules
from fastcnn.callbacks import EarlyStopping
from fastcnn.utils import aligned_memory

X = np.random.default_rng(0).random((6, 8, 8, 3), np.float32)
Y = np.arange(6, dtype=np.int32) % 3
HUGE = (2**63, 2**70)


@pytest.fixture(scope="module")
def model():
    model = Sequential([layers.Flatten(), layers.Dense(3, activation="softmax")], (8, 8, 3))
    model.compile("sgd", "sparse_categorical_crossentropy")
    return model


CALLS = {
    "fit: batch_size": lambda model, n: model.fit(X, Y, n),
    "fit: epochs": lambda model, n: model.fit(X, Y, epochs=n, initial_epoch=n - 1),
    "fit: initial_epoch": lambda model, n: model.fit(X, Y, initial_epoch=n),
    "fit: workers": lambda model, n: model.fit(X, Y, workers=n),
    "evaluate: batch_size": lambda model, n: model.evaluate(X, Y, n),
    "evaluate: workers": lambda model, n: model.evaluate(X, Y, workers=n),
    "predict: batch_size": lambda model, n: model.predict(X, n),
    "Sequential: seed": lambda model, n: Sequential([layers.Flatten()], (8, 8, 3), seed=n),
    "Augment: seed": lambda model, n: data.Augment([], seed=n),
    "GlorotUniform: seed": lambda model, n: initializers.GlorotUniform(seed=n),
    "from_folder: seed": lambda model, n: data.from_folder(".", seed=n),
    "from_folder: workers": lambda model, n: data.from_folder(".", workers=n),
    "Batches: workers": lambda model, n: data.Batches(X, Y, None, 2, workers=n),
    "RandomCrop: height": lambda model, n: data.RandomCrop(n, 8),
    "RandomCrop: padding": lambda model, n: data.RandomCrop(8, 8, padding=n),
    "RandomGaussianBlur: kernel_size": lambda model, n: data.RandomGaussianBlur(kernel_size=n - 1),
    "CenterCrop: width": lambda model, n: data.CenterCrop(8, n),
    "ExponentialDecay: decay_steps": lambda model, n: schedules.ExponentialDecay(0.1, n, 0.5),
    "EarlyStopping: patience": lambda model, n: EarlyStopping("loss", patience=n),
    "Conv2D 'conv2d': filters": lambda model, n: layers.Conv2D(n, 3),
    "Conv2D 'conv2d': groups": lambda model, n: layers.Conv2D(4, 3, groups=n),
    "Conv2D 'conv2d': kernel_size": lambda model, n: layers.Conv2D(4, n),
    "Conv2D 'conv2d': strides": lambda model, n: layers.Conv2D(4, 3, strides=(1, n)),
    "Conv2D 'conv2d': padding": lambda model, n: layers.Conv2D(4, 3, padding=n),
    "Conv2D 'conv2d': dilation_rate": lambda model, n: layers.Conv2D(4, 3, dilation_rate=n),
    "Dense 'dense': units": lambda model, n: layers.Dense(n),
    "MaxPooling2D 'max_pooling2d': pool_size": lambda model, n: layers.MaxPooling2D(n),
    "AveragePooling2D 'average_pooling2d': strides": (
        lambda model, n: layers.AveragePooling2D(2, strides=n)
    ),
    "ZeroPadding2D 'zero_padding2d': padding": lambda model, n: layers.ZeroPadding2D((n, 0)),
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("number", HUGE)
def test_numbers_above_what_is_computed_with_are_refused(model, name, number):
    before = [weights.copy() for weights in model.get_weights()]
    with pytest.raises(ValueError, match=r"must be (a whole number from|at most)") as refused:
        CALLS[name](model, number)
    assert str(refused.value).startswith(name.rsplit(":", 1)[0])
    assert all(map(np.array_equal, before, model.get_weights()))


def test_the_largest_numbers_are_taken(model):
    most = 2**63 - 1
    model.fit(X, Y, batch_size=most, epochs=most, initial_epoch=most - 1, verbose=0)
    assert model.predict(X, batch_size=most).shape == (6, 3)
    flipped = data.Augment([data.RandomFlip()], seed=most)
    other = Sequential([layers.Flatten(), layers.Dense(3)], (8, 8, 3), seed=most)
    other.compile("sgd", "mean_squared_error")
    other.fit(X, np.eye(3, dtype=np.float32)[Y], augment=flipped, verbose=0)


LARGE = [
    (lambda: Sequential([layers.Dense(2)], (2**40,)), "Sequential: an image.* 4.0 TiB; at most 1"),
    (lambda: Sequential([layers.Flatten()], (2**400, 8, 3)), r"would take [\d,]+\.0 EiB"),
    (
        lambda: Sequential([layers.Flatten(), layers.Dense(2**31 - 1)], (8, 8, 3)),
        r"Dense 'dense': its kernel, float32 of shape \(192, 2147483647\), would take 1.4 TiB",
    ),
    (
        lambda: Sequential([layers.Conv2D(64, 3, padding=2**16)], (8, 8, 3)),
        r"Conv2D 'conv2d': its outputs for one image, .* would take 4\.0 TiB",
    ),
]


@pytest.mark.parametrize(("build", "words"), LARGE)
def test_what_no_computer_has_room_for_is_told_in_bytes(build, words):
    with pytest.raises(ValueError, match=words):
        build()


def test_what_this_computer_has_no_room_for_is_told_in_bytes():
    with pytest.raises(MemoryError, match=r"an array of 1\.0 PiB, more than this computer"):
        aligned_memory.vector_zeros(2**48)
    with pytest.raises(MemoryError, match=r"an array of 4\.0 EiB"):
        aligned_memory.vector_zeros(2**60)


def test_bytes_for_people():
    texts = [aligned_memory.bytes_text(n) for n in (0, 1023, 1024, 1536, 2**30, 2**1100)]
    assert texts[:5] == ["0 bytes", "1023 bytes", "1.0 KiB", "1.5 KiB", "1.0 GiB"]
    assert texts[5].endswith(".0 EiB")
