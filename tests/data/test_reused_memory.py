"""Sources and settings whose arrays are written over once they were handed over."""

from __future__ import annotations

import itertools
import threading

import numpy as np
import pytest
from fake_model import FakeModel

import fastcnn
from fastcnn import layers
from fastcnn.data.augment.augment import Augment
from fastcnn.data.augment.color import PCAColor
from fastcnn.data.augment.effects import RandomErasing
from fastcnn.data.augment.geometry import RandomFlip
from fastcnn.data.augment.mixing import MixUp
from fastcnn.data.augment.whitening import PerImageStandardization, ZCAWhitening
from fastcnn.data.pipeline.indexed import RING, Indexed
from fastcnn.training.trainer import Trainer

COUNT, SIZE = 48, 8
X = np.random.default_rng(0).random((COUNT, 6, 8, 3), np.float32)
Y = (np.arange(COUNT) % 3).astype(np.int32)
WEIGHT = np.linspace(0.5, 2, COUNT).astype(np.float32)


class Tensor:
    """Behaves as a tensor of PyTorch's on the CPU: its NumPy array is a view."""

    def __init__(self, values):
        self.values = values

    ndim = property(lambda self: self.values.ndim)
    detach = cpu = lambda self: self

    def numpy(self):
        return self.values

    def __len__(self):
        return len(self.values)


class Loader:
    """Batches in the same memory, which is filled anew for each and spoiled behind the last."""

    def __init__(self, kind=lambda array: array, parts=(X, Y, WEIGHT), copies=False):
        self.kind, self.parts, self.copies = kind, parts, copies

    def __iter__(self):
        memory = [np.empty((SIZE, *part.shape[1:]), part.dtype) for part in self.parts]
        for start in range(0, COUNT, SIZE):
            for held, part in zip(memory, self.parts, strict=True):
                held[...] = part[start : start + SIZE]
            batch = [held.copy() for held in memory] if self.copies else memory
            yield tuple(self.kind(array) for array in batch)
        for held in memory:
            held[...] = 1


class Items:
    """A map-style data set whose items lie in the same memory, an image, its label."""

    def __init__(self, tensors=False, buffers=1):
        self._images = itertools.cycle([np.empty((6, 8, 3), np.float32) for _ in range(buffers)])
        self._label = np.empty((), np.int32)
        self._wrap = Tensor if tensors else lambda array: array
        self._reading = threading.Lock()
        self.together = 0

    def __len__(self):
        return COUNT

    def __getitem__(self, index):
        image = next(self._images)
        image[...], self._label[...] = X[index], Y[index]
        return self._wrap(image), self._wrap(self._label)


KINDS = {
    "arrays": lambda array: array,
    "tensors": lambda array: Tensor(array.transpose(0, 3, 1, 2) if array.ndim == 4 else array),
    "uint8": lambda array: array if array.ndim == 1 else array.view(np.uint8)[..., ::4],
}
AUGMENTS = {
    "plain": None,
    "augmented": [RandomFlip(), PerImageStandardization()],
    "mixed": [MixUp()],
}


def fit(source, augment, workers, validation):
    loss = "categorical_crossentropy" if augment == "mixed" else "sparse_categorical_crossentropy"
    model = FakeModel(loss, input_shape=(6, 8, 3), rate=1e-3)
    history = Trainer.fit(
        model,
        source,
        epochs=2,
        verbose=0,
        augment=AUGMENTS[augment],
        workers=workers,
        validation_data=validation,
        shuffle=False,
        batch_size=SIZE,
    )
    return model, history.history


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("augment", AUGMENTS)
def test_batches_that_are_refilled_train_as_their_copies(kind, augment):
    parts = (X, np.eye(3, dtype=np.float32)[Y], WEIGHT) if augment == "mixed" else (X, Y, WEIGHT)
    make = KINDS[kind]
    copied, reused = (Loader(make, parts, copies) for copies in (True, False))
    expected, history = fit(copied, augment, 0, copied)
    for workers in (0, 1, 2):
        found, again = fit(reused, augment, workers, reused)
        assert again == history
        assert np.array_equal(found.weights, expected.weights)
        measured = [Trainer.evaluate(found, loader, workers=workers) for loader in (copied, reused)]
        assert measured[0] == measured[1]
    # Prediction has the steps that the model took over.
    outputs = [Trainer.predict(expected, loader) for loader in (copied, reused)]
    assert np.array_equal(*outputs)


@pytest.mark.parametrize("tensors", [False, True])
@pytest.mark.parametrize("workers", [0, 1, 2])
def test_items_in_the_same_memory_train_as_their_arrays(tensors, workers):
    arrays, history = fit_arrays()
    for _ in range(3):
        model, found = fit(Items(tensors), "plain", workers, Items(tensors))
        assert found == history and np.array_equal(model.weights, arrays.weights)
    assert np.array_equal(Trainer.predict(model, Items(tensors)), Trainer.predict(arrays, X))


def fit_arrays():
    model = FakeModel(input_shape=(6, 8, 3), rate=1e-3)
    found = Trainer.fit(
        model, X, Y, epochs=2, verbose=0, validation_data=(X, Y), shuffle=False, batch_size=SIZE
    )
    return model, found.history


class Slow(Items):
    """Items in few buffers, or each in its own, that notices two readers at a time."""

    def __init__(self, own, buffers=1):
        super().__init__(buffers=buffers)
        self._own = own
        self._both = threading.Barrier(2, timeout=0.2)

    def __getitem__(self, index):
        if index >= RING:
            try:
                self._both.wait()
                self.together += 1
            except threading.BrokenBarrierError:
                self._both.reset()
        image, label = super().__getitem__(index)
        return (X[index], Y[index]) if self._own else (image, label)


@pytest.mark.parametrize("first", [1, 2, SIZE, RING])  # images of the batches before
@pytest.mark.parametrize(("own", "buffers"), [(True, 1), (False, 1), (False, 2), (False, RING - 1)])
def test_items_are_read_side_by_side_unless_they_share_their_memory(own, buffers, first):
    source = Slow(own, buffers)
    data = Indexed(source, (X[0], Y[0]), 3, "x", labelled=False)
    outs = [np.empty((RING, 6, 8, 3), np.float32) for _ in range(2)]
    for start in range(0, RING, first):
        data.images(np.arange(start, start + first), outs[0][:first])
    parts = [np.arange(RING, RING + 2), np.arange(RING + 2, RING + 4)]
    readers = [
        threading.Thread(target=data.images, args=(part, out[:2]))
        for part, out in zip(parts, outs, strict=True)
    ]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    assert bool(source.together) is own
    assert all(np.array_equal(out[:2], X[part]) for part, out in zip(parts, outs, strict=True))


def test_more_buffers_than_are_waited_for_are_noticed_when_they_come_again():
    source = Items(buffers=RING + 4)
    data = Indexed(source, (X[0], Y[0]), 3, "x", labelled=False)
    out = np.empty((SIZE, 6, 8, 3), np.float32)
    for start in range(0, RING, SIZE):
        data.images(np.arange(start, start + SIZE), out)
    assert data._refills is False
    data.images(np.arange(RING, RING + SIZE), out)
    assert data._refills is True and np.array_equal(out, X[RING : RING + SIZE])


def test_listed_labels_are_copied():
    source = Items()
    source.targets = Y.copy()
    data = Indexed(source, (X[0], Y[0]), 3, "x")
    source.targets[...] = 0
    assert np.array_equal(data.labels, Y)


def test_a_real_network_and_a_running_metric_see_each_batch():
    histories = []
    for copies in (True, False):
        model = fastcnn.Sequential(
            [layers.Flatten(), layers.Dense(3, activation="softmax")], (6, 8, 3)
        )
        model.compile("sgd", "sparse_categorical_crossentropy", ["accuracy"])
        loader = Loader(copies=copies)
        histories.append(model.fit(loader, epochs=2, verbose=0, validation_data=loader).history)
    assert histories[0] == histories[1]


SETTINGS = {
    "Normalization": lambda a: layers.Normalization(mean=a, variance=a).mean,
    "Rescaling": lambda a: layers.Rescaling(a, offset=a).offset,
    "PCAColor": lambda a: PCAColor(deviations=a, components=np.eye(3)).deviations,
    "RandomErasing": lambda a: RandomErasing(fill_value=a).fill_value,
    "Augment": lambda a: Augment([], scale=a, offset=a).scale,
    "ZCAWhitening": lambda a: (
        ZCAWhitening().set_arrays({"mean": a, "matrix": np.eye(3, dtype=np.float32)}).mean
    ),
}


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_settings_are_kept_as_they_were_given(name, dtype):
    given = np.array([1.0, 2.0, 3.0], dtype)
    kept = SETTINGS[name](given)
    given[...] = 7
    assert np.array_equal(kept, [1, 2, 3])
