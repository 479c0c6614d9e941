"""A user's own class says what it lacks when it is made, whatever it derives from."""

from __future__ import annotations

import numpy as np
import pytest

from fastcnn import callbacks, data, initializers, losses, metrics, optimizers, schedules
from fastcnn import layers as L
from fastcnn.data.augment.effects import Effect

BASES = {
    L.Layer: (r"lower\(self, program, x\)", "fastcnn.layers.Layer"),
    L.CustomLayer: (r"forward\(self, x, \*weights\)", "fastcnn.layers.CustomLayer"),
    L.CompiledLayer: (r"forward\(x, y, \*weights\)", "fastcnn.layers.CompiledLayer"),
    losses.Loss: ("kernel = '...'", "fastcnn.losses.Loss"),
    losses.CustomLoss: (r"value\(self, y_true, y_pred\)", "fastcnn.losses.CustomLoss"),
    metrics.Metric: (r"values\(self, batch, y\)", "fastcnn.metrics.Metric"),
    schedules.Schedule: (r"__call__\(self, step\)", "fastcnn.schedules.Schedule"),
    initializers.Initializer: (
        r"draw\(self, shape, generator\)",
        "fastcnn.initializers.Initializer",
    ),
    data.CustomAugmentation: (r"image\(self, image, rng\)", "fastcnn.data.CustomAugmentation"),
    Effect: (r"change\(self, images, u, ", "fastcnn.data.augment.effects.Effect"),
    optimizers.Optimizer: ("kernel = '...'", "fastcnn.optimizers.Optimizer"),
}


@pytest.mark.parametrize("base", BASES)
def test_a_class_that_lacks_a_method_says_which_and_where_it_is_described(base):
    own = type("Own", (base,), {})
    arguments = (0.1,) if base is optimizers.Optimizer else ()
    sentence, place = BASES[base]
    with pytest.raises(TypeError, match=rf"^Own( 'own')?: its class must .*{sentence}") as raised:
        own(*arguments)
    assert str(raised.value).endswith(f"See help({place}).")


def test_a_metric_that_is_no_mean_has_update_alone():
    class Largest(metrics.Metric):
        def update(self, batch, y, weight):
            self.total = max(self.total, float(np.max(batch.outputs)))

    assert Largest().total == 0


@pytest.mark.parametrize(
    ("base", "name", "described"),
    [
        (metrics.Metric, "values", r"values must take \(batch, y\). It is values\(y\)"),
        (schedules.Schedule, "__call__", r"__call__ must take \(step\). It is __call__\(\)"),
        (initializers.Initializer, "draw", r"draw must take \(shape, generator\)"),
    ],
)
def test_a_method_that_takes_other_arguments_is_told(base, name, described):
    method = (lambda self: 0.1) if name == "__call__" else (lambda self, y: y)
    with pytest.raises(TypeError, match=rf"^Own: {described}"):
        type("Own", (base,), {name: method})()


@pytest.mark.parametrize(
    "base",
    [L.ReLU, losses.CustomLoss, metrics.Metric, callbacks.EarlyStopping, optimizers.SGD],
)
def test_a_constructor_that_leaves_out_its_base_class_is_told(base):
    own = type("Own", (base,), {"__init__": lambda self: None})
    with pytest.raises(TypeError, match=r"^Own: its __init__ must call super\(\).__init__, that"):
        own()


def test_what_a_class_of_users_inherits_from_another_one_counts():
    class Shared(losses.CustomLoss):
        def value(self, y_true, y_pred):
            return y_pred[:, 0]

    class Whole(Shared):
        def gradient(self, y_true, y_pred):
            return np.ones_like(y_pred)

    assert Whole().name == "whole"
