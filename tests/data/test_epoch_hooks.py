"""Sources that are told of epochs: Keras's PyDataset and Sequence, PyTorch's samplers, Datasets."""

from __future__ import annotations

import numpy as np
import pytest
from fake_model import FakeModel, toy

from fastcnn.callbacks.callback import Callback
from fastcnn.training.trainer import Trainer

X, Y = toy(24)


class PyDataset:
    """Batches by number, shuffled when an epoch begins, as users of Keras write it."""

    def __init__(self, events, name="train", size=6):
        self.events, self.name, self.size = events, name, size
        self.order = np.arange(len(X))
        self.epoch = 0

    def __len__(self):
        return len(self.order) // self.size

    def __getitem__(self, number):
        self.events.append(f"{self.name} {number}")
        part = self.order[number * self.size : (number + 1) * self.size]
        return X[part], Y[part]

    def on_epoch_begin(self):
        self.events.append(f"{self.name} begins")
        self.order = np.random.default_rng(self.epoch).permutation(len(X))

    def on_epoch_end(self):
        self.events.append(f"{self.name} ends")
        self.epoch += 1


class Growing(PyDataset):
    """One batch more each epoch."""

    def __len__(self):
        return 1 + self.epoch


class Watch(Callback):
    def __init__(self, events):
        super().__init__()
        self.events = events

    def on_epoch_begin(self, epoch, logs=None):
        self.events.append(f"epoch {epoch}")

    def on_epoch_end(self, epoch, logs=None):
        self.events.append(f"epoch {epoch} done")


def fit(source, **options):
    model = FakeModel(rate=1e-3)
    Trainer.fit(model, source, **{"verbose": 0, "workers": 1, "batch_size": 6, **options})
    return model


@pytest.mark.parametrize("workers", [0, 1])
def test_each_epoch_begins_and_ends_once_in_kerass_order(workers):
    events = []
    train, held = PyDataset(events), PyDataset(events, "held", 12)
    fit(train, validation_data=held, epochs=2, callbacks=Watch(events), workers=workers)
    first = events.index("epoch 0")  # before it, the first batches are looked at
    whole = [
        *("train begins", "train 0", "train 1", "train 2", "train 3", "train ends"),
        *("held begins", "held 0", "held 1", "held ends"),
    ]
    expected = [event for n in (0, 1) for event in (f"epoch {n}", *whole, f"epoch {n} done")]
    assert events[first:] == expected


def test_an_epoch_that_the_source_shuffles_is_another_one():
    model = fit(PyDataset([]), epochs=2)
    seen = np.round(np.array(model.engine().seen) * 100).astype(int).reshape(2, -1)
    orders = [np.random.default_rng(epoch).permutation(len(X)) for epoch in (0, 1)]
    assert np.array_equal(seen, orders)


def test_the_length_is_read_anew_each_epoch():
    assert fit(Growing([]), epochs=3).engine().sizes == [6] * (1 + 2 + 3)


def test_evaluate_and_predict_tell_the_source_too():
    model = FakeModel()
    for run in (Trainer.evaluate, Trainer.predict):
        events = []
        run(model, PyDataset(events))
        assert (events[1], events[-1]) == ("train begins", "train ends")
        assert sum("begins" in event or "ends" in event for event in events) == 2


def test_an_epoch_that_is_broken_off_does_not_end():
    events = []

    class Broken(PyDataset):
        def __getitem__(self, number):
            if number == 2:
                raise OSError("The disk is gone.")
            return super().__getitem__(number)

    with pytest.raises(OSError, match="gone"):
        fit(Broken(events))
    assert "train begins" in events and "train ends" not in events


def test_a_sequence_without_a_beginning_only_ends():
    class Sequence:
        ended = 0
        __len__ = lambda self: 4  # noqa: E731

        def __getitem__(self, number):
            return X[number::4], Y[number::4]

        def on_epoch_end(self):
            self.ended += 1

    source = Sequence()
    fit(source, epochs=3)
    assert source.ended == 3


class Sampler:
    def __init__(self):
        self.epochs = []

    def set_epoch(self, epoch):
        self.epochs.append(epoch)


class Loader:
    """Behaves as PyTorch's DataLoader, whose batch sampler goes by its sampler."""

    def __init__(self):
        self.sampler, self.batch_sampler, self.dataset = Sampler(), Sampler(), Sampler()
        self.batch_sampler.sampler = self.sampler

    def __iter__(self):
        return ((X[i::4], Y[i::4]) for i in range(4))


def test_samplers_are_told_the_number_of_each_epoch_of_training():
    loader, held = Loader(), Loader()
    fit(loader, validation_data=held, epochs=5, initial_epoch=3)
    for part in (loader.sampler, loader.batch_sampler, loader.dataset):
        assert part.epochs == [3, 4]
    assert held.sampler.epochs == []


@pytest.mark.parametrize("map_style", [False, True])
def test_sources_of_single_images_are_told_too(map_style):
    calls = []

    class Source:
        labels = Y
        image_shape = X.shape[1:]

        def __len__(self):
            return len(X)

        def on_epoch_begin(self):
            calls.append("begin")

        def on_epoch_end(self):
            calls.append("end")

    def images(self, indices, out):
        out[...] = X[indices]

    if map_style:
        Source.__getitem__ = lambda self, index: (X[index], Y[index])
    else:
        Source.images = images
    model = fit(Source(), epochs=2)
    assert calls == ["begin", "end"] * 2
    Trainer.predict(model, Source())
    assert calls == ["begin", "end"] * 3
    fit(Source(), epochs=2, steps_per_epoch=2)
    assert calls == ["begin", "end"] * 5
