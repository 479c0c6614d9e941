"""Whether gradients are right: they are compared with central differences."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastcnn.layers.base import Layer
from fastcnn.layers.containers import auxiliary_classifiers
from fastcnn.layers.custom import CustomLayer
from fastcnn.losses import CustomLoss, Loss
from fastcnn.models.central_differences import CheckedArray, Problem, checked
from fastcnn.models.reuse import copied
from fastcnn.models.sequential import Sequential

Array = NDArray[Any]

OUTPUTS = 5  # of a loss that says nothing of its outputs


@dataclass(frozen=True)
class GradientCheck:
    """Right gradients: of each array, how far they were off; `precision` is what they were computed
    in."""

    subject: str
    precision: str
    arrays: tuple[CheckedArray, ...]

    def __repr__(self) -> str:
        rows = [f"{self.subject}: right, computed in {self.precision}"]
        for array in self.arrays:
            kinks = f", {array.kinks} at kinks left out" if array.kinks else ""
            rows.append(
                f"  {array.name} {array.shape}: off by at most {array.error:.1e} of the largest, "
                f"{array.entries} entries{kinks}"
            )
        return "\n".join(rows)


def check_gradients(
    subject: Layer | Loss | Sequential,
    input_shape: Sequence[int] | None = None,
    x: ArrayLike | None = None,
    y: ArrayLike | None = None,
    *,
    samples: int = 3,
    entries: int = 20,
    seed: int = 0,
) -> GradientCheck:
    """Compare the gradients of a layer, a loss or a model with central differences.

    A `CustomLayer` or `CustomLoss` is computed in float64, all others in float32 as in training. Of
    a layer, the sum of its outputs is taken, each times a random number. Numbers next to a kink,
    where no gradient is defined, are left out. The subject stays as it is: a copy is checked.

    Args:
        subject: A layer, built or not; a loss; or a model that is compiled.
        input_shape: One input's, of a layer that is not built, or one output's, of a loss; None
            for the layer's own, and for 5 outputs.
        x: Inputs, of a loss the outputs of a network; None for random ones.
        y: Targets of a loss or a model; None for random ones.
        samples: Examples of a random batch.
        entries: How many numbers of each array are checked, drawn at random; all where it has no
            more.
        seed: What is random depends on it.

    Returns:
        How far the gradients were off.

    Raises:
        ValueError: A gradient is wrong; the message says of what, where, what is expected and what
            was received. Or an argument is missing or does not fit.
        TypeError: The subject is none of these.
    """
    rng = np.random.default_rng(seed)
    problem = _problem(subject, input_shape, x, y, samples, rng)
    arrays = [checked(problem, name, entries, rng) for name in problem.arrays]
    return GradientCheck(problem.subject, problem.precision, tuple(arrays))


def _problem(
    subject: object,
    shape: Sequence[int] | None,
    x: ArrayLike | None,
    y: ArrayLike | None,
    samples: int,
    rng: np.random.Generator,
) -> Problem:
    if isinstance(subject, Sequential):
        return _of_model(subject, x, y, samples, rng)
    if isinstance(subject, Layer):
        shape = subject.input_shape if subject.built else shape
        if shape is None and x is not None:
            shape = np.shape(x)[1:]
        if shape is None:
            raise ValueError(
                f"check_gradients: {subject.label} is not built, so input_shape must say what one "
                "input looks like, such as (8, 8, 3)."
            )
        if auxiliary_classifiers([subject]):
            raise ValueError(
                f"check_gradients: {subject.label} has a classifier at its side, whose gradient is "
                "that of a model's loss. Check a compiled model with the layer."
            )
        inputs = rng.normal(size=(samples, *shape)) if x is None else np.array(x, np.float64)
        if isinstance(subject, CustomLayer):
            return _of_custom_layer(subject, inputs, rng)
        return _of_layer(subject, inputs, rng)
    if isinstance(subject, Loss):
        outputs = tuple(np.shape(x)[1:]) if x is not None else tuple(shape or (OUTPUTS,))
        scores = _scores(subject, (samples, *outputs), rng) if x is None else np.array(x, float)
        targets = _targets(subject, scores.shape, rng) if y is None else np.asarray(y)
        if isinstance(subject, CustomLoss):
            return _of_custom_loss(subject, scores, targets)
        return _of_loss(subject, scores, targets)
    raise TypeError(f"check_gradients: expected a layer, a loss or a model. Received {subject!r}.")


def _of_custom_layer(layer: CustomLayer, x: Array, rng: np.random.Generator) -> Problem:
    own = cast(CustomLayer, _alone(layer, x.shape[1:], rng).layers[-1])
    weights = [parameter.value.astype(np.float64) for parameter in own.parameters]
    arrays = {"the input": x}
    arrays |= {p.name: value for p, value in zip(own.parameters, weights, strict=True)}
    y = own.outputs(x, weights, True)
    factors = rng.normal(size=y.shape)
    results = own.gradients(x, y, factors, weights)

    def value() -> tuple[float, float]:
        return _sum(own.outputs(x, weights, True) * factors, y.dtype)

    gradients = dict(zip(arrays, results, strict=True))
    return Problem(own.label, _precision(y), arrays, value, gradients)


def _of_custom_loss(loss: CustomLoss, scores: Array, targets: Array) -> Problem:
    values, gradient = loss.results(targets, scores)

    def value() -> tuple[float, float]:
        return _sum(loss.results(targets, scores)[0], values.dtype)

    arrays, gradients = {"y_pred": scores}, {"y_pred": gradient}
    return Problem(loss.label, _precision(values), arrays, value, gradients)


def _precision(array: Array) -> str:
    return "float64" if array.dtype == np.float64 else "float32"


def _sum(terms: Array, dtype: np.dtype) -> tuple[float, float]:
    """Return a sum, and how large its rounding error may be."""
    numbers = terms.astype(np.float64)
    return float(numbers.sum()), float(np.finfo(dtype).eps * np.sqrt(np.square(numbers).sum()))


class _Shift(CustomLayer):
    """Adds a weight to each input: its gradient is that of the layer behind it, in training."""

    def make_parameters(self, shape: tuple[int, ...]) -> list[Any]:
        return [self.weight("shift", shape)]

    def forward(self, x: Array, *weights: Array) -> Array:
        return np.asarray(x + weights[0])

    def backward(self, x: Array, y: Array, dy: Array, *weights: Array) -> tuple[Array, Array]:
        return dy, dy.sum(axis=0)


class _Projection(CustomLoss):
    """The sum of the outputs, each times its target; `terms` are its summands."""

    def value(self, y_true: Array, y_pred: Array) -> Array:
        self._terms = y_true.astype(np.float64) * y_pred
        return self._terms.reshape(len(y_true), -1).sum(axis=1)

    def gradient(self, y_true: Array, y_pred: Array) -> Array:
        return y_true


def _alone(layer: Layer, shape: tuple[int, ...], rng: np.random.Generator) -> Sequential:
    """Return a model of a copy of a layer, whose inputs a weight is added to; weights that were not
    trained are random."""
    own = copied(layer)
    model = Sequential([_Shift(name="the input"), own], shape, device="cpu")
    pairs = zip(own.all_parameters(), layer.all_parameters() or own.all_parameters(), strict=True)
    for parameter, source in pairs:
        if layer.built:
            parameter.value[...] = source.value
        elif parameter.kind == "weight":
            parameter.value[...] += 0.3 * rng.normal(size=parameter.shape)
    return model


def _of_layer(layer: Layer, x: Array, rng: np.random.Generator) -> Problem:
    model = _alone(layer, x.shape[1:], rng)
    loss = _Projection()
    model.loss, model.optimizer = loss, "sgd"
    factors = rng.normal(size=(len(x), *model.output_shape)).astype(np.float32)

    def size() -> tuple[float, float]:
        total, error = _sum(loss._terms, np.dtype(np.float32))
        return total / len(x), error / len(x)

    return _of_steps(model, layer.label, x.astype(np.float32), factors, size)


def _of_loss(loss: Loss, scores: Array, targets: Array) -> Problem:
    model = Sequential([_Shift(name="y_pred")], scores.shape[1:], device="cpu")
    model.loss, model.optimizer = loss, "sgd"
    label = f"{type(loss).__name__} '{loss.name}'"
    return _of_steps(model, label, scores.astype(np.float32), targets)


def _of_model(
    model: Sequential,
    x: ArrayLike | None,
    y: ArrayLike | None,
    samples: int,
    rng: np.random.Generator,
) -> Problem:
    if model.loss is None:
        raise ValueError("check_gradients: the model has no loss. Call compile first.")
    own = copy.copy(model)
    own.to("cpu")
    images = rng.normal(size=(samples, *own.input_shape)) if x is None else np.asarray(x)
    shape = (len(images), *own.output_shape)
    targets = _targets(own.loss, shape, rng) if y is None else np.asarray(y)
    return _of_steps(own, f"Sequential '{own.name}'", images.astype(np.float32), targets)


def _of_steps(
    model: Sequential,
    label: str,
    x: Array,
    y: Array,
    size: Callable[[], tuple[float, float]] | None = None,
) -> Problem:
    """Return the problem of a model's training step, whose loss `size` says more exactly."""
    engine = model.engine()
    _, flat = engine.gradients(x, y, None)
    trained = [parameter for parameter in model.parameters if parameter.trainable]
    names = {parameter: parameter.path.removesuffix("/shift") for parameter in trained}

    def value() -> tuple[float, float]:
        loss, _ = engine.gradients(x, y, None)
        if size is None:
            return loss, float(np.finfo(np.float32).eps) * abs(loss)
        total, error = size()
        return total + model.penalty(), error

    return Problem(
        label,
        "float32",
        {names[parameter]: parameter.value for parameter in trained},
        value,
        {
            names[parameter]: flat[parameter.offset :][: parameter.size].reshape(parameter.shape)
            for parameter in trained
        },
    )


def _scores(loss: Loss, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Return outputs that a loss takes: probabilities, unless it reads logits or any numbers."""
    numbers = rng.normal(size=shape)
    if loss.fuses is None:
        return numbers
    if loss.has_classes:
        powers = np.exp(numbers)
        return np.asarray(powers / powers.sum(axis=-1, keepdims=True))
    return np.asarray(1 / (1 + np.exp(-numbers)))


def _targets(loss: Loss, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Return targets that a loss takes for outputs of a shape."""
    if loss.target == "sparse":
        return rng.integers(0, shape[-1], shape[0]).astype(np.int32)
    if loss.has_classes:
        return np.eye(shape[-1], dtype=np.float32)[rng.integers(0, shape[-1], shape[:-1])]
    if loss.target_range is not None:
        return rng.choice(np.array(loss.target_range, np.float32), shape)
    return rng.normal(size=shape).astype(np.float32)
