"""What fit warns of before it trains, and what it says nothing of."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import fastcnn
from fastcnn import Sequential, TrainingWarning, losses
from fastcnn import layers as L
from fastcnn.data import PerImageStandardization

SHAPE = (6, 6, 1)


def model(*before, shape=SHAPE, **settings):
    made = Sequential([*before, L.Flatten(), L.Dense(3)], shape, **settings)
    made.compile("sgd", losses.SparseCategoricalCrossentropy(from_logits=True))
    return made


def data(count=60, shape=SHAPE, largest=1.0, seed=0):
    rng = np.random.default_rng(seed)
    x = (rng.random((count, *shape)) * largest).astype(np.float32)
    return x, rng.integers(0, 3, count)


def warned(run):
    """The sentences that a call warns with; each must point to this file."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        run()
    assert all(one.category is TrainingWarning for one in caught), [str(c.message) for c in caught]
    assert all(one.filename == __file__ for one in caught)
    return [str(one.message) for one in caught]


def test_the_held_out_part_of_sorted_labels():
    x, y = data()
    y = np.sort(y)
    (sentence,) = warned(lambda: model().fit(x, y, validation_split=0.2, verbose=0))
    assert "grouped by class" in sentence and "Shuffle the images" in sentence
    (sentence,) = warned(lambda: model().fit(x, y, validation_split=0.4, verbose=0))
    assert "holds out the class 2, of which the training has no image" in sentence
    one_hot = np.eye(3, dtype=np.float32)[y]
    dense = model()
    dense.compile("sgd", losses.CategoricalCrossentropy(from_logits=True))
    dense.class_names = ["cat", "dog", "owl"]
    (sentence,) = warned(lambda: dense.fit(x, one_hot, validation_split=0.4, verbose=0))
    assert "the class owl" in sentence


def test_labels_in_a_random_order_are_held_out_without_a_word():
    x, y = data()
    assert not warned(lambda: model().fit(x, y, validation_split=0.2, verbose=0))
    assert not warned(lambda: model().fit(x, 0 * y, validation_split=0.2, verbose=0))
    assert not warned(lambda: model().fit(x, np.sort(y), verbose=0))
    assert not warned(lambda: model().fit(x, np.sort(y), validation_data=(x, y), verbose=0))


def test_what_has_no_classes_may_be_sorted():
    x, y = data()
    regression = Sequential([L.Flatten(), L.Dense(1)], SHAPE)
    regression.compile("sgd", "mse")
    values = np.sort(y).astype(np.float32)
    assert not warned(lambda: regression.fit(x, values, validation_split=0.4, verbose=0))


class Loader:
    """An iterable of batches."""

    def __init__(self, x, y):
        self.batches = [(x[i : i + 20], y[i : i + 20]) for i in range(0, len(x), 20)]

    def __iter__(self):
        return iter(self.batches)


class Bytes:
    """A Dataset of bytes."""

    labels, image_shape, dtype = np.arange(9) % 3, SHAPE, np.uint8

    def __len__(self):
        return 9

    def images(self, indices, out):
        out[...] = 200


@pytest.mark.parametrize("kind", ["bytes", "floats", "dataset", "iterable"])
def test_pixel_values_in_a_model_that_never_scales(kind):
    x, y = data(largest=255.0)
    given = {
        "bytes": (x.astype(np.uint8), y),
        "floats": (x, y),
        "dataset": (Bytes(),),
        "iterable": (Loader(x.astype(np.uint8), y),),
    }[kind]
    net = model()
    # A tiny rate: what is warned of may also end in weights that are not finite.
    net.optimizer.learning_rate = 1e-6
    (sentence,) = warned(lambda: net.fit(*given, epochs=2, verbose=0))
    assert "begin the model with Rescaling(1 / 255)" in sentence


@pytest.mark.parametrize(
    "make",
    [
        lambda: model(L.Rescaling(1 / 255)),
        lambda: model(L.Normalization()),
        lambda: model(L.BatchNormalization()),
        lambda: model(preprocessing=[PerImageStandardization()]),
    ],
)
def test_a_model_that_scales_pixel_values(make):
    x, y = data(largest=255.0)
    assert not warned(lambda: make().fit(x.astype(np.uint8), y, verbose=0))


def test_the_first_batch_of_train_on_batch_is_looked_at():
    x, y = data(largest=255.0)
    net = model()
    net.optimizer.learning_rate = 1e-6
    (sentence,) = warned(lambda: net.train_on_batch(x.astype(np.uint8), y))
    assert sentence.startswith("train_on_batch: ") and "Rescaling(1 / 255)" in sentence
    assert not warned(lambda: net.train_on_batch(x.astype(np.uint8), y))


def test_values_that_are_scaled_twice():
    x, y = data(largest=1.0)
    for scale in (1 / 255, [1 / 255]):
        (sentence,) = warned(lambda: model(L.Rescaling(scale)).fit(x, y, verbose=0))  # noqa: B023
        assert "begins with Rescaling(0.00392)" in sentence
        assert "scaled already" in sentence
    (sentence,) = warned(lambda: model(L.Rescaling(1 / 255)).fit(Loader(x, y), verbose=0))
    assert "scaled already" in sentence
    assert not warned(lambda: model(L.Rescaling(2.0)).fit(x, y, verbose=0))


@pytest.mark.parametrize("largest", [(1.0, 255.0), (255.0, 1.0)])
def test_validation_images_on_another_scale(largest):
    (x, y), (held_x, held_y) = (data(largest=reach) for reach in largest)
    net = model(L.BatchNormalization())
    (sentence,) = warned(lambda: net.fit(x, y, validation_data=(held_x, held_y), verbose=0))
    assert "scale both alike" in sentence
    assert not warned(lambda: net.fit(x, y, validation_data=(0.1 * x, y), verbose=0))


def test_bytes_that_are_no_pixel_values():
    x, y = data(largest=2.0)
    assert not warned(lambda: model().fit(x.astype(np.uint8), y, verbose=0))


def strided(*layers, shape=(7, 7, 2)):
    return model(*layers, shape=shape)


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        ([L.Conv2D(2, 3, strides=2, name="c"), L.MaxPooling2D(2, name="p")], ["p", "row", "3 x 3"]),
        ([L.Conv2D(2, 3, strides=3, name="c")], ["c", "the last row and the last column", "7 x 7"]),
        ([L.Conv2D(2, 3, strides=(1, 5), name="c")], ["c", "the last 2 columns"]),
        (
            [
                L.Residual(
                    [L.ReLU(), L.DepthwiseConv2D(3, strides=3, name="d")],
                    [L.AveragePooling2D(3, name="a")],
                    name="r",
                )
            ],
            ["r/d", "r/a"],
        ),
    ],
)
def test_strides_that_do_not_fit(layers, words):
    x, y = data(shape=(7, 7, 2))
    net = strided(*layers)
    (sentence,) = warned(lambda: net.fit(x, y, verbose=0))
    assert all(word in sentence for word in words), sentence
    assert not warned(lambda: net.fit(x, y, verbose=0)), "said once a model"


@pytest.mark.parametrize(
    "layers",
    [
        [L.Conv2D(2, 3, strides=2)],
        [L.Conv2D(2, 1, strides=2)],  # skips every second pixel, the last ones too
        [L.Conv2D(2, 3, strides=3, padding="same")],
        [L.Conv2D(2, 3, strides=2, padding=((0, 1), (0, 1)))],
        [L.ZeroPadding2D(((0, 1), (0, 1))), L.Conv2D(2, 3, strides=2)],
        [L.MaxPooling2D(2, padding="same")],
    ],
)
def test_strides_that_leave_out_no_pixel(layers):
    x, y = data(shape=(7, 7, 2))
    assert not warned(lambda: strided(*layers).fit(x, y, verbose=0))


def test_a_warning_as_an_error_comes_before_the_training():
    x, y = data(largest=255.0)
    net = model()
    with pytest.raises(fastcnn.TrainingWarning, match="no layer that scales"):
        net.fit(x, y, verbose=0)
    assert net.state.step == 0
