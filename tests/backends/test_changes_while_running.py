"""What is changed after it was planned, in a process of its own: a crash fails the test with the
traceback of the line that crashed."""

from __future__ import annotations

import subprocess
import sys

CASES = r"""
import faulthandler
faulthandler.enable()

import numpy as np

import fastcnn
from fastcnn import losses, optimizers, regularizers
from fastcnn.callbacks import LambdaCallback
from fastcnn.layers import Conv2D, Dense, Flatten

rng = np.random.default_rng(0)
x = rng.standard_normal((64, 10, 10, 2)).astype(np.float32)
y, labels = rng.random((64, 5)).astype(np.float32), rng.integers(0, 5, 64).astype(np.int32)


def model_of(optimizer="sgd", loss="mse"):
    net = [Conv2D(8, 3), Flatten(), Dense(200), Dense(5)]
    model = fastcnn.Sequential(net, input_shape=(10, 10, 2), seed=1, device="cpu")
    model.compile(optimizer, loss)
    return model


def spoil(model):
    labels[...] = 2**31 - 1


# What is changed, and words of the sentence that refuses it; None where it takes effect.
CASES = {
    "compile": (lambda m: m.compile("sgd", "mse"), None),
    "optimizer": (lambda m: setattr(m, "optimizer", optimizers.Adam()), None),
    "momentum": (lambda m: setattr(m.optimizer, "momentum", 0.9), None),
    "nesterov": (lambda m: setattr(m.optimizer, "nesterov", True), None),
    "clipnorm": (lambda m: setattr(m.optimizer, "clipnorm", 0.1), None),
    "weights": (lambda m: m.set_weights(m.get_weights()), None),
    "loss": (lambda m: setattr(m, "loss", losses.get("mae")), None),
    "labels": (spoil, "labels from 0 to 4. Received the label 2147483647"),
    "filters": (lambda m: setattr(m.layers[0], "filters", 64), "filters cannot be set"),
    "units": (lambda m: setattr(m.layers[2], "units", 9), "units cannot be set"),
    "kernel_size": (lambda m: setattr(m.layers[0], "kernel_size", (7, 7)), "kernel_size cannot"),
    "input_shape": (lambda m: setattr(m, "input_shape", (28, 28, 2)), "input_shape cannot be set"),
    "layers_pop": (lambda m: m.layers.pop(), "make a new model"),
    "regularizer": (
        lambda m: setattr(m.layers[2], "kernel_regularizer", regularizers.L2(0.1)),
        "kernel_regularizer cannot be set",
    ),
}


def run(name, when):
    change, words = CASES[name]
    kept = labels.copy()
    targets = labels if name == "labels" else y
    of_classes = losses.SparseCategoricalCrossentropy(from_logits=True)
    model = model_of(loss=of_classes if name == "labels" else "mse")
    callbacks = []
    try:
        if when == "in a callback":
            def changer(batch, logs):
                if batch == 1:
                    change(model)
            callbacks = [LambdaCallback(on_train_batch_begin=changer)]
        elif when == "after a step":
            model.train_on_batch(x, targets)
        if not callbacks:
            change(model)
        model.fit(x, targets, batch_size=16, epochs=2, verbose=0, callbacks=callbacks)
    except (AttributeError, TypeError, ValueError) as error:
        said = str(error)
        expected = words if name != "labels" or callbacks else "2147483647"
        assert expected is not None and expected in said, (name, when, said)
    else:
        assert words is None, (name, when, "is accepted")
    labels[...] = kept
    assert all(np.isfinite(one).all() for one in model.get_weights()), (name, when)


for name in CASES:
    for when in ("before", "after a step", "in a callback"):
        run(name, when)
print("done")
"""


def run_to_its_end(script):
    """Run a script in a process of its own; it prints "done" when all of it holds."""
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "done"


def test_no_change_reaches_a_stale_plan():
    run_to_its_end(CASES)


SHARED = r"""
import copy
import faulthandler
faulthandler.enable()

import numpy as np

import fastcnn
from fastcnn import optimizers
from fastcnn.layers import Dense

x = np.random.default_rng(0).standard_normal((32, 40)).astype(np.float32)


def trained():
    model = fastcnn.Sequential([Dense(300), Dense(40)], input_shape=(40,), device="cpu")
    model.compile("adam", "mse")
    model.train_on_batch(x, x)
    return model


model, same = trained(), trained()
other = copy.copy(model)
other.compile("sgd", "mse")
other.train_on_batch(x, x)
losses = [model.train_on_batch(x, x) for _ in range(20)]
assert losses == [same.train_on_batch(x, x) for _ in range(20)], losses

model.state.set_slots(optimizers.SGD(momentum=0.9))
before = [array.copy() for array in model.get_weights()]
for _ in range(2):
    try:
        model.train_on_batch(x, x)
    except ValueError as error:
        assert "keeps momentum, velocity for every weight" in str(error), error
    else:
        raise AssertionError("Adam ran on the slots of SGD")
assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights()))
model.optimizer = "adam"
assert np.isfinite(model.train_on_batch(x, x))
print("done")
"""


def test_no_plan_runs_on_the_slots_of_another_optimizer():
    run_to_its_end(SHARED)
