"""A built fastcnn model computed in float64: its outputs, its gradients, and central differences.

Only the layers' class names, configurations and parameter values are read; every number comes from
the other `reference` files.
"""

from __future__ import annotations

import numpy as np
from reference import Array
from reference_layers import LAYERS
from reference_losses import loss_and_gradient


def forward(model, x, training: bool = False) -> Array:
    """The outputs of `model`; with `training`, batch statistics normalise (dropout is left out)."""
    return Run(model, training).layers(model.layers, np.asarray(x, np.float64))[0]


def loss(model, x, y, weight=None, training: bool = True, values=None, **options) -> float:
    """What a training step minimises: sum of weight * loss over the batch / N, plus penalties."""
    run = Run(model, training, values, **options)
    z, _ = run.layers(model.layers, np.asarray(x, np.float64))
    each, _ = _losses(model, run, z, y)
    weight = np.ones(len(each)) if weight is None else weight
    return float((weight * each).sum() / len(each) + penalty(model, run.values))


def _losses(model, run, z, y) -> tuple[Array, Array]:
    """What is minimised of each image, and its gradient by the outputs z; `run` gets those by the
    outputs of the auxiliary classifiers."""
    total, dz = loss_and_gradient(model.loss, z, y)
    for layer, outputs in run.auxiliaries:
        each, gradient = loss_and_gradient(model.loss, outputs, y)
        total = total + layer.loss_weight * each
        run.auxiliary_gradients[layer.path] = layer.loss_weight * gradient
    return total, dz


def gradients(
    model, x, y, weight=None, training: bool = True, summed=None, **options
) -> tuple[float, dict[str, Array]]:
    """(loss, {path: gradient}) for every trainable parameter, by the chain rule.

    A dictionary `summed` gets, by path, the sum of the magnitudes of what each gradient sums: its
    terms' roundings stay where the terms cancel.
    """
    run = Run(model, training, summed=summed, **options)
    z, backward = run.layers(model.layers, np.asarray(x, np.float64))
    each, dz = _losses(model, run, z, y)
    weight = np.ones(len(each)) if weight is None else np.asarray(weight, np.float64)
    share = (weight / len(each)).reshape(-1, *[1] * (dz.ndim - 1))
    run.auxiliary_gradients = {path: share * dz for path, dz in run.auxiliary_gradients.items()}
    backward(dz * share)
    for p in model.parameters:
        if p.regularizer is not None and p.path in run.gradients:
            w = run.values[p.path]
            run.gradients[p.path] += p.regularizer.l1 * np.sign(w) + 2.0 * p.regularizer.l2 * w
    trainable = {p.path: run.gradients[p.path] for p in model.parameters if p.trainable}
    total = float((weight * each).sum() / len(each) + penalty(model, run.values))
    return total, trainable


def penalty(model, values) -> float:
    """The regularization losses of what is trained; a frozen layer has none, as in Keras."""
    total = 0.0
    for p in model.parameters:
        if p.trainable and p.regularizer is not None:
            w = values[p.path]
            total += p.regularizer.l1 * np.abs(w).sum() + p.regularizer.l2 * (w * w).sum()
    return total


def moving_statistics(model, x) -> dict[str, Array]:
    """{path: value} of every moving statistic after one training step on `x`."""
    run = Run(model, training=True)
    run.layers(model.layers, np.asarray(x, np.float64))
    return run.moving


def numeric_gradients(model, x, y, weight=None, training: bool = True, step: float = 1e-6):
    """{path: gradient} of `loss` by central differences, one element of one parameter at a time."""
    values = {p.path: np.array(p.value, np.float64) for p in model.parameters}
    result = {}
    for p in model.parameters:
        if not p.trainable:
            continue
        w, result[p.path] = values[p.path], np.zeros(p.shape)
        for index in np.ndindex(*p.shape):
            kept, sides = w[index], []
            for shift in (step, -step):
                w[index] = kept + shift
                sides.append(loss(model, x, y, weight, training, values))
            w[index] = kept
            result[p.path][index] = (sides[0] - sides[1]) / (2.0 * step)
    return result


class Run:
    """One pass through a model: `values` by parameter path, and what the pass leaves behind.

    With `dropout`, a training pass drops what the model's present step does; else nothing. A pass
    goes on from `outputs`, the model's own of some layers by path, as if each activation function
    had computed them: a ReLU and the maximum behind it then decide as the model's did. `noise`
    is added to every layer's input, and to the outputs that a derivative reads, relative to each
    value: what is then different cannot be computed in less exact arithmetic either.
    """

    def __init__(
        self,
        model,
        training: bool,
        values=None,
        dropout: bool = False,
        noise: float = 0,
        summed: dict[str, Array] | None = None,
        outputs: dict[str, Array] | None = None,
    ):
        self.training = training
        self.values = values or {p.path: np.array(p.value, np.float64) for p in model.parameters}
        self.paths = {(id(p.layer), p.name): p.path for p in model.parameters}
        self.gradients: dict[str, Array] = {}
        self.moving: dict[str, Array] = {}
        self.outputs: dict[str, Array] = {}  # by the layer's path
        self.outputs_to_follow = outputs or {}
        self.path = ""  # of the layer that is computed
        self.auxiliaries: list = []  # (auxiliary classifier, what it makes of the images)
        self.auxiliary_gradients: dict[str, Array] = {}  # of their outputs, by path
        self.drops = training and dropout
        self.random = (model.seed, model.state.step)
        self.streams = 0  # of random numbers, used so far
        self.noise = noise
        self.generator = np.random.default_rng(0)
        self.summed = {} if summed is None else summed

    def value(self, layer, name):
        """The value of a layer's own parameter, None where it has none of that name."""
        path = self.paths.get((id(layer), name))
        return None if path is None else self.values[path]

    def add(self, layer, name, gradient, summed):
        """Add to a gradient; `summed` is the sum of the magnitudes of its terms."""
        path = self.paths.get((id(layer), name))
        if path is not None:
            self.gradients[path] = self.gradients.get(path, 0.0) + gradient
            self.summed[path] = self.summed.get(path, 0.0) + summed

    def followed(self, values):
        """What goes on from the present layer's activation function: the model's own, if given."""
        return self.outputs_to_follow.get(self.path, values)

    def disturbed(self, values):
        """The values with the run's noise."""
        if not self.noise:
            return values
        return values * (1 + self.noise * self.generator.standard_normal(values.shape))

    def layers(self, layers, x):
        """(y, backward) of layers one after another, where backward(dy) returns dx."""
        steps = []
        for layer in layers:
            self.path = layer.path
            x, step = LAYERS[type(layer).__name__](self, layer, self.disturbed(x))
            self.outputs[layer.path] = x
            steps.append(step)

        def backward(dy):
            for step in reversed(steps):
                dy = step(dy)
            return dy

        return x, backward
