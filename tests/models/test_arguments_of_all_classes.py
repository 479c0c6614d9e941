"""What constructors take: true and false where they ask for it, paths, names."""

from __future__ import annotations

import inspect

import pytest

import fastcnn
from fastcnn import callbacks, layers, losses, metrics, optimizers
from fastcnn.callbacks import CSVLogger, EarlyStopping, ModelCheckpoint
from fastcnn.layers import BatchNormalization, Conv2D, Dense, Layer
from fastcnn.utils.settings import Settings

NEEDED = {
    "units": 2,
    "filters": 2,
    "kernel_size": 1,
    "filename": "a.csv",
    "filepath": "a.h5",
    "body": [],
    "learning_rate": 0.1,
    "function": lambda y_true, y_pred: 0.0,
}


def flags():
    """Each constructor of the public classes with each of its arguments that is True or False."""
    for module in (callbacks, layers, losses, metrics, optimizers):
        for name, cls in vars(module).items():
            if name.startswith("_") or not (inspect.isclass(cls) and issubclass(cls, Settings)):
                continue
            parameters = inspect.signature(cls).parameters.values()
            needed = {p.name: NEEDED[p.name] for p in parameters if p.name in NEEDED}
            for parameter in parameters:
                if isinstance(parameter.default, bool):
                    yield pytest.param(cls, needed, parameter.name, id=f"{name}.{parameter.name}")


@pytest.mark.parametrize(("cls", "needed", "flag"), list(flags()))
def test_a_flag_is_true_or_false(cls, needed, flag):
    for value in ("False", None, 2):
        with pytest.raises(TypeError, match=rf"{flag} must be True or False\. Received {value!r}"):
            cls(**needed, **{flag: value})


def test_the_flags_are_found():
    assert len(list(flags())) >= 30


def test_trainable_is_true_or_false():
    model = fastcnn.Sequential([Conv2D(2, 1), BatchNormalization()], (2, 2, 1), device="cpu")
    for owner in (model, model.layers[1]):
        with pytest.raises(TypeError, match=r"trainable must be True or False\. Received 'False'"):
            owner.trainable = "False"
    with pytest.raises(TypeError, match="trainable must be True or False"):
        Dense(2, trainable="no")
    assert model.trainable


@pytest.mark.parametrize("path", [None, 3, b"a.h5", ["a.h5"]])
def test_what_is_no_path_is_told(path):
    model = fastcnn.Sequential([Dense(2)], (3,), device="cpu")
    takers = (CSVLogger, ModelCheckpoint, model.save, model.save_weights, model.load_weights)
    for take in (*takers, fastcnn.load):
        with pytest.raises(TypeError, match=r"must be the path of a file.* Received"):
            take(path)
        with pytest.raises(ValueError, match=r"must be the path of a file\. Received ''"):
            take("")


def test_other_arguments_are_checked_when_they_are_passed():
    with pytest.raises(ValueError, match="separator must be one character"):
        CSVLogger("a.csv", separator=", ")
    with pytest.raises(TypeError, match="monitor must be the name of a value"):
        EarlyStopping(monitor=None)
    for activation in ([], {}, Layer):
        with pytest.raises(ValueError, match="Dense 'dense': Unknown activation"):
            Dense(2, activation=activation)


@pytest.mark.parametrize(
    "make",
    [
        EarlyStopping,
        callbacks.ReduceLROnPlateau,
        lambda **verbose: ModelCheckpoint("a.h5", **verbose),
        lambda **verbose: callbacks.LearningRateScheduler(abs, **verbose),
    ],
)
def test_verbose_is_0_1_or_2(make):
    assert [make(verbose=value).verbose for value in (0, 1, 2, True)] == [0, 1, 2, 1]
    with pytest.raises(TypeError, match="verbose must be a whole number"):
        make(verbose="yes")
    with pytest.raises(ValueError, match="verbose must be a whole number"):
        make(verbose=3)
