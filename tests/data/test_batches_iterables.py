"""Sources of other libraries: map-style data sets and iterables of batches, by what they can do."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from fake_model import FakeModel
from PIL import Image

import fastcnn
from fastcnn import layers
from fastcnn.data.augment.geometry import RandomCrop, RandomFlip
from fastcnn.data.augment.mixing import MixUp
from fastcnn.data.augment.preprocessing import PerImageStandardization
from fastcnn.data.folder.splitting import split
from fastcnn.data.pipeline.adapters import adapted
from fastcnn.data.pipeline.indexed import Indexed
from fastcnn.data.pipeline.items import channels_last, pixels
from fastcnn.data.pipeline.stream import Stream
from fastcnn.training.trainer import Trainer

COUNT = 22
X = np.random.default_rng(0).integers(0, 256, (COUNT, 6, 8, 3), np.uint8)
Y = (np.arange(COUNT) % 3).astype(np.int64)
DENSE = "categorical_crossentropy"


class Tensor:
    """Behaves as a tensor of PyTorch's as far as fastcnn looks; it must be detached first."""

    def __init__(self, values, detached=False):
        self._values, self._detached = np.asarray(values), detached

    ndim = property(lambda self: self._values.ndim)

    def detach(self):
        return Tensor(self._values, detached=True)

    def cpu(self):
        return self

    def numpy(self):
        if not self._detached:
            raise RuntimeError("Can't call numpy() on Tensor that requires grad.")
        return self._values

    def __len__(self):
        return len(self._values)

    def __array__(self, dtype=None, copy=None):
        return self.numpy()


class Eager:
    """Behaves as a tensor of TensorFlow's."""

    def __init__(self, values):
        self._values = values

    def numpy(self):
        return self._values


class MapStyle:
    """A map-style data set; counts what is read."""

    def __init__(self, image, label=int, count=COUNT):
        self._image, self._label, self._count = image, label, count
        self.read = []

    def __len__(self):
        return self._count

    def __getitem__(self, index):
        if not 0 <= index < self._count:
            raise IndexError(index)
        self.read.append(index)
        return self._image(index), self._label(Y[index])


class WithTargets(MapStyle):
    targets = Y.tolist()
    classes = ("red", "green", "blue")


class Subset:
    def __init__(self, dataset, indices):
        self.dataset, self.indices = dataset, indices

    def __len__(self):
        return len(self.indices)

    def __getitem__(self, index):
        return self.dataset[self.indices[index]]


class Batched:
    """An iterable of batches that can be gone through again, as tf.data's."""

    def __init__(self, x=X, y=Y, size=5, make=lambda *parts: parts, weight=None):
        self.arrays = [a for a in (x, y, weight) if a is not None]
        self.size, self.make = size, make
        self.passes = 0

    def __iter__(self):
        self.passes += 1
        for start in range(0, len(self.arrays[0]), self.size):
            yield self.make(*(a[start : start + self.size] for a in self.arrays))


IMAGES = {
    "array": lambda i: X[i],
    "float64": lambda i: X[i].astype(np.float64),
    "channels first": lambda i: X[i].transpose(2, 0, 1).astype(np.float32),
    "tensor": lambda i: Tensor(X[i].transpose(2, 0, 1).astype(np.float32)),
    "PIL": lambda i: Image.fromarray(X[i]),
    "eager": lambda i: Eager(X[i]),
}


def model(loss="sparse_categorical_crossentropy", shape=(6, 8, 3), seed=0):
    return FakeModel(loss, input_shape=shape, rate=1e-4, seed=seed)


def fit(model, *arguments, **options):
    return Trainer.fit(model, *arguments, **{"verbose": 0, "batch_size": 5, **options})


@pytest.mark.parametrize("kind", IMAGES)
@pytest.mark.parametrize("label", [int, Tensor], ids=["int", "tensor label"])
def test_map_style_data_trains_as_its_arrays(kind, label):
    one, other = model(), model()
    source = MapStyle(IMAGES[kind], label)
    train, held = split([str(i) for i in range(COUNT)], Y, 0.3, one.seed)
    expected = fit(one, X[train], Y[train], epochs=2, validation_data=(X[held], Y[held]))
    found = fit(other, source, epochs=2, validation_split=0.3)
    assert found.history == expected.history and np.array_equal(one.weights, other.weights)
    assert Trainer.evaluate(other, source) == Trainer.evaluate(one, X, Y)
    assert np.array_equal(Trainer.predict(other, source), Trainer.predict(one, X))


def test_labels_are_known_without_reading_where_they_are_listed():
    source = WithTargets(IMAGES["array"])
    assert adapted(source, 3, "x").labels.tolist() == Y.tolist()
    assert source.read == [0]
    part = adapted(Subset(Subset(source, [5, 4, 3, 2]), [3, 1]), 3, "x")
    assert part.labels.tolist() == [Y[2], Y[4]] and source.read == [0, 2]
    transformed = WithTargets(IMAGES["array"], lambda label: (int(label) + 1) % 3)
    transformed.target_transform = transformed._label
    assert adapted(transformed, 3, "x").labels.tolist() == ((Y + 1) % 3).tolist()


def test_class_names_come_along():
    net = model()
    fit(net, WithTargets(IMAGES["PIL"]))
    assert net.class_names == ["red", "green", "blue"]


def test_a_label_that_changes_is_noticed():
    source = WithTargets(IMAGES["array"], lambda label: int(label) + 1)
    with pytest.raises(ValueError, match=r"x: the label at position \d+ must stay the same"):
        fit(model(), source, shuffle=False)


def test_prediction_needs_no_labels():
    source = MapStyle(IMAGES["array"])
    source.__class__ = type("Bare", (MapStyle,), {"__getitem__": lambda self, i: X[i]})
    net = model()
    assert np.array_equal(Trainer.predict(net, source), Trainer.predict(net, X))
    with pytest.raises(ValueError, match=r"position 0 must be \(image, label\). Received ndarray"):
        fit(net, source)


def test_an_image_of_another_size_is_named():
    source = MapStyle(lambda i: X[i] if i != 7 else X[i][:5])
    with pytest.raises(ValueError, match=r"uint8 of shape \(6, 8, 3\).*\(5, 8, 3\) at position 7"):
        fit(model(), source)


def test_batches_by_number_are_an_iterable_of_batches():
    class Sequence:
        def __len__(self):
            return 4

        def __getitem__(self, number):
            return X[number * 5 : number * 5 + 5], Y[number * 5 : number * 5 + 5]

    one, other = model(), model()
    fit(one, Sequence(), epochs=2)
    fit(other, X[:20], Y[:20], epochs=2, shuffle=False)
    assert np.array_equal(one.weights, other.weights)


MAKES = {
    "arrays": lambda x, y: (x, y),
    "list": lambda x, y: [x, y.tolist()],
    "tensors": lambda x, y: (Tensor(x.transpose(0, 3, 1, 2).astype(np.float32)), Tensor(y)),
    "eager": lambda x, y: (Eager(x), Eager(y)),
}


@pytest.mark.parametrize("kind", MAKES)
@pytest.mark.parametrize("workers", [0, 1, 4])
def test_an_iterable_trains_as_its_arrays_in_order(kind, workers):
    one, other = model(), model()
    expected = fit(one, X, Y, epochs=2, shuffle=False, validation_data=(X, Y))
    source = Batched(make=MAKES[kind])
    found = fit(
        other, source, epochs=2, validation_data=Batched(make=MAKES[kind], size=5), workers=workers
    )
    assert source.passes == 2
    assert found.history == expected.history and np.array_equal(one.weights, other.weights)
    assert other.engine().sizes == one.engine().sizes == [5, 5, 5, 5, 2] * 2
    assert Trainer.evaluate(other, source) == Trainer.evaluate(one, X, Y, batch_size=5)
    assert np.array_equal(Trainer.predict(other, source), Trainer.predict(one, X, batch_size=5))
    assert np.array_equal(
        Trainer.predict(other, Batched(y=None, make=lambda x: x)),
        Trainer.predict(one, X, batch_size=5),
    )


def test_weights_in_an_iterable_and_class_weights_multiply():
    weight = np.linspace(0.5, 2, COUNT)
    one, other = model(), model()
    fit(one, X, Y, shuffle=False, sample_weight=weight, class_weight={1: 3.0})
    fit(other, Batched(weight=weight), class_weight={1: 3.0})
    assert np.array_equal(one.weights, other.weights)


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_an_iterable_is_augmented_by_the_place_of_its_images(workers):
    net = [
        fastcnn.Sequential(
            [layers.Flatten(), layers.Dense(3, activation="softmax")], (6, 8, 3), seed=4
        )
        for _ in range(2)
    ]
    x = X.astype(np.float32) / 255
    options = {"augment": [RandomFlip(), MixUp(), PerImageStandardization()], "epochs": 2}
    for one in net:
        one.compile("sgd", DENSE)
    fit(net[0], x, Y, shuffle=False, **options)
    fit(net[1], Batched(x), workers=workers, **options)
    assert all(map(np.array_equal, net[0].get_weights(), net[1].get_weights()))
    assert np.array_equal(net[0].predict(x, batch_size=5), net[1].predict(Batched(x)))
    assert np.array_equal(x, X.astype(np.float32) / 255)


def test_an_iterable_of_larger_images_is_cropped():
    net = model(shape=(4, 4, 3))
    fit(net, Batched(), augment=[RandomCrop(4, 4)], validation_data=Batched())
    assert np.array_equal(Trainer.predict(net, X), Trainer.predict(net, X[:, 1:5, 2:6]))


def test_a_generator_trains_one_epoch():
    one, other = model(), model()
    fit(one, X, Y, shuffle=False)
    history = fit(other, iter(Batched()))
    assert np.array_equal(one.weights, other.weights) and len(history.epoch) == 1


def test_interrupted_between_batches_an_iterable_leaves_no_thread():
    net = model()

    def stop(step):
        if step == 2:
            raise KeyboardInterrupt

    net.engine().on_step = stop
    with pytest.raises(KeyboardInterrupt):
        fit(net, Batched(), workers=1)
    assert not [t for t in threading.enumerate() if t.name.startswith("fastcnn-batches")]


WRONG = [
    ({"x": iter(Batched()), "epochs": 2}, ValueError, "x must be.*generator.*for 2 epochs"),
    ({"x": Batched(), "validation_data": iter(Batched()), "epochs": 2}, ValueError, "validation_d"),
    ({"x": iter(())}, ValueError, "at least one batch.*a generator gives its batches only once"),
    ({"x": Batched(X[:0], Y[:0])}, ValueError, "x must give at least one batch"),
    ({"x": Batched(X[:, :5])}, ValueError, r"x: batch 0: x must have shape \(n, 6, 8, 3\)"),
    ({"x": Batched(y=Y + 1)}, ValueError, "x: batch 0: y must hold labels from 0 to 2"),
    ({"x": Batched(y=None)}, ValueError, "batch 0: y must hold the labels of the 5 images"),
    ({"x": Batched(make=lambda x, y: (x, y, y, y))}, ValueError, "batch 0 must be.*4 parts"),
    ({"x": Batched(weight=-np.ones(COUNT))}, ValueError, "batch 0: weights must hold finite"),
    ({"x": Batched(), "y": Y}, ValueError, "fit: y cannot be given where x is an iterable"),
    ({"x": Batched(), "validation_split": 0.5}, ValueError, "validation_split cannot be given"),
    ({"x": Batched(), "sampling": "balanced"}, ValueError, "sampling cannot be given"),
    ({"x": Batched(), "class_weight": "balanced"}, ValueError, "not known beforehand"),
    ({"x": MapStyle(None, count=0)}, ValueError, "at least one image. Received an empty data set"),
    ({"x": MapStyle(IMAGES["array"]), "y": Y}, ValueError, "y must be None where x is a Dataset"),
    ({"x": MapStyle(lambda i: X[i].astype(int))}, TypeError, "image at position 0 must be images"),
    ({"x": MapStyle(IMAGES["array"]), "sample_weight": Y[1:]}, ValueError, "sample_weight must"),
    ({"x": {"images": X}}, TypeError, "x must be an array of numbers. Received dict"),
    ({"x": "photos"}, TypeError, "x must be an array of numbers. Received str"),
]


@pytest.mark.parametrize(("call", "kind", "words"), WRONG)
def test_refusals(call, kind, words):
    net = model()
    with pytest.raises(kind, match=words):
        fit(net, **call)
    assert net.state.step == 0


def test_pictures_become_the_models_channels():
    picture = Image.fromarray(X[0])
    assert pixels(picture.convert("P"), 3, "x").shape == (6, 8, 3)
    assert pixels(picture, 1, "x").shape == (6, 8)
    assert np.array_equal(pixels(picture, 3, "x"), X[0])
    with pytest.raises(ValueError, match=r"8 bits a channel\. Received mode 'I;16'"):
        pixels(Image.fromarray(np.zeros((3, 3), np.uint16)), 1, "x")


def test_channels_are_found():
    assert channels_last(np.zeros((2, 4, 5)), 1, False).shape == (2, 4, 5, 1)
    assert channels_last(np.zeros((2, 1, 4, 5)), 1, False).shape == (2, 4, 5, 1)
    assert channels_last(np.zeros((2, 3, 4, 5)), 3, False).shape == (2, 4, 5, 3)
    both = np.arange(18).reshape(1, 3, 2, 3)
    assert channels_last(both, 3, False) is both
    assert np.array_equal(channels_last(both, 3, True), both.transpose(0, 2, 3, 1))


def test_arrays_and_own_data_sets_are_left_alone():
    for value in (X, X.tolist(), Tensor(X, detached=True), None, 3, "a"):
        assert adapted(value, 3, "x") is value
    assert isinstance(adapted(MapStyle(IMAGES["array"]), 3, "x"), Indexed)
    assert isinstance(adapted(Batched(), 3, "x"), Stream)
