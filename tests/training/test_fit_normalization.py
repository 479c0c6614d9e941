"""A Normalization without statistics gets them from fit, of the training images alone."""

from __future__ import annotations

import numpy as np
import pytest
from test_augment_argument import Source
from test_fit_augment import FULL, X, Y, fit, same

import fastcnn
from fastcnn import layers
from fastcnn.data import PerImageStandardization
from fastcnn.data.folder.splitting import split_source


def net(*first, shape=(8, 8, 3), **options):
    rest = [layers.Flatten(), layers.Dense(3, activation="softmax")]
    model = fastcnn.Sequential([*first, *rest], shape, seed=5, **options)
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def expect(layer, images):
    colours = images.reshape(-1, images.shape[-1]).astype(float)
    # Both sum in float64, in another order.
    np.testing.assert_allclose(layer.mean, colours.mean(axis=0), rtol=1e-9, atol=1e-6)
    np.testing.assert_allclose(layer.variance, colours.var(axis=0), rtol=1e-6)


@pytest.mark.parametrize(
    ("source", "train"),
    [
        (lambda: (X, Y), range(19)),
        (lambda: (Source(), None), split_source(Source(), Y, 0.2, 5)[0]),
    ],
)
def test_statistics_are_those_of_the_training_part_without_augmentation(source, train):
    layer = layers.Normalization()
    model = net(layer)
    model.predict(X)  # plans the model while the layer does nothing
    fit(model, *source(), validation_split=0.2, augment=FULL[:1])
    expect(layer, X[train])
    assert not np.allclose(layer.mean, X.reshape(-1, 3).mean(axis=0), rtol=1e-4)
    given = net(layers.Normalization().adapt(X[train]))
    fit(given, *source(), validation_split=0.2, augment=FULL[:1])
    assert same(model, given)
    assert np.array_equal(model.predict(X), given.predict(X))


def test_statistics_are_of_what_reaches_the_layer():
    """Behind Rescaling, behind the model's preprocessing, and behind another one."""
    scaled, second = layers.Normalization(), layers.Normalization()
    fit(net(layers.Rescaling(1 / 50, -1), scaled, second))
    expect(scaled, X / 50.0 - 1)
    assert (second.mean, second.variance) == ((0.0,) * 3, (1.0,) * 3)
    standardized, step = layers.Normalization(), PerImageStandardization()
    before = X.copy()
    floats = X.astype(np.float32)
    fit(net(standardized, preprocessing=[step]), floats)
    assert np.array_equal(floats, before)
    expect(standardized, step.apply(X.astype(np.float32)))


def test_what_is_fitted_stays(tmp_path):
    layer, given = layers.Normalization(), layers.Normalization(mean=0.5)
    model = net(layer)
    fit(model)
    first = layer.mean
    fit(model, X // 2)
    model.save(tmp_path / "model.h5")
    again = fastcnn.load(tmp_path / "model.h5")
    fit(again, X // 2)
    assert layer.mean == again.layers[0].mean == first
    fit(net(given))
    assert (given.mean, given.variance) == (0.5, 1.0)


def test_models_of_before_keep_their_meaning(tmp_path):
    """Their files say mean 0 and variance 1; batches trained on without statistics count too."""
    given = net(layers.Normalization(0.0, 1.0))
    model = fastcnn.Sequential.from_config(given.get_config())
    model.compile("adam", "sparse_categorical_crossentropy")
    fit(model)
    assert (model.layers[0].mean, model.layers[0].variance) == (0.0, 1.0)
    model = net(layers.Normalization())
    model.train_on_batch(X, Y)
    model.save(tmp_path / "model.h5", include_optimizer=False)
    again = fastcnn.load(tmp_path / "model.h5")
    again.compile("adam", "sparse_categorical_crossentropy")
    fit(again)
    assert (again.layers[0].mean, again.layers[0].variance) == (0.0, 1.0)


def test_a_channel_that_never_changes_becomes_0():
    grey = np.concatenate([X[..., :1] / 255, np.full((24, 8, 8, 1), 0.1)], axis=-1)
    layer = layers.Normalization()
    model = net(layer, shape=(8, 8, 2))
    fit(model, grey.astype(np.float32))
    assert layer.variance[1] == 1.0
    seen = model.activations(grey.astype(np.float32), layer)
    np.testing.assert_allclose(seen[..., 1], 0, atol=1e-6)


def test_statistics_that_cannot_be_taken_are_refused_before_anything_changes():
    behind = net(layers.Conv2D(2, 3), layers.Normalization())
    with pytest.raises(ValueError, match=r"at the model's beginning.*behind 'conv2d'"):
        fit(behind)
    first = net(layers.Normalization())
    batches = type("Batches", (), {"__iter__": lambda _: iter([(X, Y)])})()
    with pytest.raises(ValueError, match=r"and Normalization, must be fitted before.*adapt\("):
        fit(first, batches, None)
    assert not first.layers[0].fitted and first.state.step == 0
