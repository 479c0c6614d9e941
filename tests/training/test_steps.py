"""fit's steps_per_epoch, validation_steps and validation_freq, and get_layer."""

from __future__ import annotations

import csv
import math

import numpy as np
import pytest
from fake_model import FakeModel, toy

import fastcnn
from fastcnn import layers as L
from fastcnn.callbacks import CSVLogger, EarlyStopping, LambdaCallback, ModelCheckpoint
from fastcnn.training.trainer import Trainer

X, Y = toy(30)


def fit(model, *arrays, **options):
    return Trainer.fit(model, *(arrays or (X, Y)), **{"verbose": 0, "batch_size": 5, **options})


def seen(model):
    return [round(value * 100) for value in model.engine().seen]


class Loader:
    """Batches of five, anew each time, as a data loader's."""

    def __init__(self, batches=6):
        self.batches, self.begun = batches, 0

    def __iter__(self):
        self.begun += 1
        return ((X[5 * i : 5 * i + 5], Y[5 * i : 5 * i + 5]) for i in range(self.batches))


@pytest.mark.parametrize("shuffle", [True, False])
def test_epochs_go_on_where_the_last_one_ended(shuffle):
    model, whole = FakeModel(), FakeModel()
    history = fit(model, epochs=6, steps_per_epoch=2, shuffle=shuffle)
    fit(whole, epochs=2, shuffle=shuffle)
    assert len(history.epoch) == 6 and model.engine().sizes == [5] * 12
    assert seen(model) == seen(whole)
    assert sorted(seen(model)[:30]) == list(range(30))


def test_a_training_with_steps_can_be_resumed():
    whole, parts = FakeModel(), FakeModel()
    fit(whole, epochs=5, steps_per_epoch=2)
    fit(parts, epochs=2, steps_per_epoch=2)
    fit(parts, epochs=5, steps_per_epoch=2, initial_epoch=parts.epoch)
    assert seen(parts) == seen(whole)


def test_data_that_run_out_shorten_an_epoch():
    model = FakeModel()
    with pytest.warns(UserWarning, match="steps_per_epoch=4.* ran out after 2 batches.*anew"):
        fit(model, epochs=3, steps_per_epoch=4)
    assert model.engine().sizes == [5] * 10
    assert sorted(seen(model)[:30]) == list(range(30))


def test_a_loader_stays_open_between_epochs():
    model, loader = FakeModel(), Loader()
    fit(model, loader, epochs=4, steps_per_epoch=3)
    assert seen(model) == [*range(30), *range(30)] and loader.begun == 2
    with pytest.warns(UserWarning, match="ran out after 2 batches"):
        fit(FakeModel(), Loader(), epochs=2, steps_per_epoch=4)


def test_a_generator_may_give_as_many_batches_as_are_asked_for():
    def forever():
        while True:
            yield from Loader()

    model = FakeModel()
    history = fit(model, forever(), epochs=3, steps_per_epoch=4)
    assert len(history.epoch) == 3 and len(seen(model)) == 60


@pytest.mark.parametrize(("batches", "epochs"), [(5, 3), (4, 2)])
def test_a_generator_that_ends_ends_the_training(batches, epochs):
    model = FakeModel()
    with pytest.warns(UserWarning, match="ran out after .* batches. The training ends"):
        history = fit(model, iter(list(Loader(batches))).__iter__(), epochs=9, steps_per_epoch=2)
    assert len(history.epoch) == epochs and len(seen(model)) == 5 * batches


@pytest.mark.parametrize("validation", [(X, Y), Loader()], ids=["arrays", "loader"])
def test_validation_steps(validation):
    model = FakeModel()
    history = fit(model, epochs=2, validation_data=validation, validation_steps=2)
    expected = Trainer.evaluate(model, X[:10], Y[:10], return_dict=True)
    assert history.history["val_loss"][-1] == pytest.approx(expected["loss"])
    with pytest.warns(UserWarning, match="validation_steps=7.*after 6 batches"):
        fit(model, validation_data=validation, validation_steps=7)


@pytest.mark.parametrize(("frequency", "validated"), [(2, [1, 3]), ([1, 4], [0, 3])])
def test_validation_freq(frequency, validated, tmp_path):
    model, told = FakeModel(), []
    callbacks = [
        LambdaCallback(on_epoch_end=lambda epoch, logs: told.append("val_loss" in logs)),
        EarlyStopping(patience=3),
        ModelCheckpoint(tmp_path / "best-{epoch}-{val_loss:.2f}.h5", save_best_only=True),
        CSVLogger(tmp_path / "log.csv"),
    ]
    options = {"validation_data": (X, Y), "validation_freq": frequency, "callbacks": callbacks}
    history = fit(model, epochs=5, **options)
    assert [i for i, value in enumerate(told) if value] == validated and len(told) == 5
    values = history.history["val_loss"]
    assert [i for i, value in enumerate(values) if not math.isnan(value)] == validated
    assert [epoch - 1 for _, _, epoch in model.saved] == validated
    with (tmp_path / "log.csv").open() as file:
        rows = [float(row["val_loss"]) for row in csv.DictReader(file)]
    np.testing.assert_array_equal(rows, values)


@pytest.mark.parametrize("name", ["steps_per_epoch", "validation_steps", "validation_freq"])
def test_refused(name):
    with pytest.raises(ValueError, match=f"fit: {name} must be a whole number of at least 1"):
        fit(FakeModel(), **{name: 0})


def test_get_layer():
    inside = L.Dense(4, name="inside")
    model = fastcnn.Sequential([L.Residual([inside], name="around"), L.Dense(2)], (4,))
    assert model.get_layer("dense") is model.get_layer(index=1) is model.get_layer(index=-1)
    assert model.get_layer("inside") is model.get_layer(name="around/inside") is inside
    refused = [
        ({}, "either a name or an index"),
        ({"name": "dense", "index": 0}, "either a name or an index"),
        ({"index": 2}, "index must be.*below 2.*Received 2"),
        ({"name": "dence"}, "Did you mean 'dense'"),
    ]
    for arguments, words in refused:
        with pytest.raises(ValueError, match=words):
            model.get_layer(**arguments)
