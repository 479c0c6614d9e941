"""Every public attribute of every class with settings: it is refused by name, or set as in an
object that is made so."""

from __future__ import annotations

import sys
from types import ModuleType

import layer_cases
import pytest

import fastcnn
from fastcnn import callbacks, layers, losses, metrics, optimizers, regularizers, schedules
from fastcnn.data.augment.augment import Augment
from fastcnn.data.augment.mixing import MIXINGS
from fastcnn.data.augment.registry import AUGMENTATIONS
from fastcnn.layers import registry

REQUIRED = {
    "initial_learning_rate": 0.1,
    "decay_steps": 4,
    "decay_rate": 0.5,
    "drop": 0.5,
    "every": 2,
    "boundaries": [2],
    "values": [0.1, 0.05],
    "schedule": 0.1,
    "steps": 3,
    "factor": 0.1,
    "height": 4,
    "width": 4,
    "height_factor": 0.1,
    "width_factor": 0.1,
    "stddev": 0.1,
    "augmentations": [],
    "filename": "log.csv",
    "filepath": "model.h5",
    "function": abs,
}
TABLES = (
    *(optimizers.OPTIMIZERS, losses.LOSSES, regularizers.REGULARIZERS, schedules.SCHEDULES),
    *(metrics.METRICS, AUGMENTATIONS, MIXINGS, {"augment": Augment}),
)
CLASSES = list(dict.fromkeys(cls for table in TABLES for cls in table.values()))
TRACKERS = "mlflow", "wandb"  # packages that the tests do without
WITHOUT_SETTINGS = "PerImageStandardization", "LambdaCallback"
CALLBACKS = [getattr(callbacks, name) for name in callbacks.__all__ if name != "Callback"]


def public(thing):
    names = dict.fromkeys([*dir(type(thing)), *vars(thing)])
    return [n for n in names if not n.startswith("_") and not callable(getattr(type(thing), n, 0))]


def another(value):
    """A value of the same kind."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return type(value)(value / 2 or 1)
    return [3] if value == [2] else value


def outcome(change):
    try:
        return change(), None
    except (AttributeError, TypeError, ValueError) as error:
        return None, str(error)


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_a_setting_is_as_of_an_object_made_so(cls):
    required = {name: REQUIRED[name] for name in cls._arguments() if name in REQUIRED}
    settings = 0
    for name in public(cls(**required)):
        changed = cls(**required)
        value = another(getattr(changed, name, None))  # some are known later
        _, refusal = outcome(lambda c=changed, n=name, v=value: setattr(c, n, v))
        if name in cls._arguments():
            settings += 1
            if refusal is not None and f"{name} cannot be set: " in refusal:
                continue
            other, wrong = outcome(lambda n=name, v=value: cls(**{**required, n: v}))
            assert refusal == wrong
            assert other is None or vars(changed) == vars(other)
        else:
            assert refusal is not None and f"{name} cannot be set" in refusal
        with pytest.raises(AttributeError, match="Unknown attribute"):
            setattr(changed, f"{name}_", value)
    assert settings == len([n for n in cls._arguments() if hasattr(cls(**required), n)])
    assert settings or cls.__name__ in WITHOUT_SETTINGS


@pytest.mark.parametrize("cls", CALLBACKS, ids=lambda cls: cls.__name__)
def test_a_setting_of_a_callback_is_taken_or_refused_by_name(cls, monkeypatch):
    for name in TRACKERS:
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    required = {name: REQUIRED[name] for name in cls._arguments() if name in REQUIRED}
    required |= {"schedule": abs} if "schedule" in required else {}
    callback = cls(**required)
    for name in cls._arguments():
        value = another(getattr(callback, name))
        _, refusal = outcome(lambda n=name, v=value: setattr(callback, n, v))
        assert getattr(callback, name) == value or f"{name} cannot be set: " in str(refusal)
        with pytest.raises(AttributeError, match=f"Did you mean '{name}'"):
            setattr(callback, f"{name}_", value)
    assert cls._arguments() or cls.__name__ in WITHOUT_SETTINGS
    with pytest.raises(AttributeError, match="on_epoch_end cannot be set"):
        callback.on_epoch_end = print


def one_of_each_layer():
    """A layer of each class and the shape of an image for it."""
    cases = [(case.layer(), case.shape) for case in layer_cases.CASES.values()]
    cases += [
        (layers.Dense(3, "relu"), (6,)),
        (layers.Residual([layers.ReLU()]), (4, 4, 2)),
        (layers.Concat([layers.ReLU()], [layers.Softmax()]), (4, 4, 2)),
        (layers.AuxiliaryClassifier([layers.Softmax()]), (4, 4, 2)),
    ]
    chosen = {type(layer): (layer, shape) for layer, shape in cases}
    assert set(chosen) == set(registry.LAYERS.values())
    return chosen.values()


@pytest.mark.parametrize("run", [False, True])
def test_nothing_of_a_built_layer_can_be_set_but_trainable(run):
    for layer, shape in one_of_each_layer():
        before = [] if len(shape) == 3 else [layers.Flatten()]
        images = shape if len(shape) == 3 else (1, 1, *shape)
        model = fastcnn.Sequential([*before, layer], images, device="cpu")
        if run:
            model.program(training=True)
        for part in model.layers[-1].walk():
            config, names = part.get_config(), public(part)
            for name in names:
                if name == "trainable":
                    continue
                with pytest.raises(AttributeError, match=f"{name} cannot be set"):
                    setattr(part, name, getattr(part, name))
            assert part.get_config() == config and len(names) > 8
            with pytest.raises(AttributeError, match="Did you mean 'trainable'"):
                part.trainble = False
