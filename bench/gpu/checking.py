"""Every kernel on small problems: convolutions and layers against float64, steps against the CPU.

What the layers are compared with is the tests' own: tests/layer_cases.py and reference_model.py.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fastcnn import Sequential, strategies
from fastcnn import layers as L
from fastcnn.lab.validation import Examiner
from fastcnn.strategies import DIRECTIONS
from gpu import cases
from gpu.scale import Scale

sys.path.insert(1, str(Path(__file__).parents[2] / "tests"))

import building
import layer_cases
import reference_model

# A number rounded to tf32 errs by up to 5e-4, a product of two by twice that.
TF32 = 3e-3
# Of the largest weight after a few steps: float32 sums in another order, and what an optimizer
# makes of them where a gradient is next to nothing.
STEPS, STEPS_APART = 3, 1e-4


class Check(NamedTuple):
    """One thing that was checked; `wrong` says what is wrong with it, `error` is relative."""

    what: str
    precision: str
    error: float | None
    wrong: str | None


def checks(scale: Scale, stopped: Callable[[], bool]) -> Iterable[Check]:
    """Yield all checks of a scale, as far as they go before it is stopped."""
    parts = [_convolutions(scale, one) for one in scale.precisions]
    parts += [_layers(scale, one) for one in scale.precisions]
    parts += [_losses(scale), _optimizers(scale), _repetition(scale)]
    for part in parts:
        for check in part:
            yield check
            if stopped():
                return


def unreached() -> list[str]:
    """Return the kernels that nothing compiled until now."""
    from fastcnn.kernels.cuda.device import SIMULATED
    from fastcnn.kernels.cuda.kernel import all_kernels

    if SIMULATED:  # which compiles nothing
        return []
    return sorted(one.name for one in all_kernels() if not one.compiled.overloads)


def _convolutions(scale: Scale, precision: str) -> Iterable[Check]:
    problems = cases.TINY_PROBLEMS if scale.tiny else cases.PROBLEMS
    images = cases.TINY_IMAGES if scale.tiny else cases.IMAGES
    for title, problem in problems.items():
        for direction in DIRECTIONS:
            examiner = Examiner(direction, problem, images, "cuda", precision, images)
            for name, one in strategies.table("cuda").items():
                slow = scale.tiny and name in cases.SLOW
                if not slow and one.declines(direction, problem) is None:
                    error, wrong = examiner.examine(name)
                    yield Check(f"{title}, {direction}, {name}", precision, error, wrong)


def _layers(scale: Scale, precision: str) -> Iterable[Check]:
    names = cases.TINY_LAYERS if scale.tiny else cases.LAYERS
    if scale.every_layer and precision == "float32":
        names = tuple(layer_cases.CASES)
    if scale.tiny and precision != "float32":
        names = names[:1]
    for name in names:
        case = layer_cases.CASES[name]
        tolerances = case.forward, case.backward
        yield _compared(name, [case.layer()], case, precision, tolerances)


def _compared(
    what: str, layers: list[L.Layer], case: Any, precision: str, tolerances: tuple[str, str]
) -> Check:
    """Compare outputs and all gradients, the input's among them, with float64."""
    rows, columns, channels = case.shape
    # Image n is the kernel of this layer, turned: the gradient of it is that of the input.
    spread = L.Conv2D(
        *(channels, (rows, columns)), padding=((rows - 1,) * 2, (columns - 1,) * 2), use_bias=False
    )

    def compare() -> float:
        model = building.build((1, 1, case.batch), [spread, *layers]).to("cuda", precision)
        x = np.eye(case.batch, dtype=np.float32).reshape(case.batch, 1, 1, case.batch)
        return _against_float64(model, x, building.targets_for(model, case.batch), tolerances)

    return _outcome(what, precision, compare)


def _losses(scale: Scale) -> Iterable[Check]:
    endings = {"CategoricalCrossentropy": "softmax", "BinaryCrossentropy": "sigmoid"}
    endings["SparseCategoricalCrossentropy"] = "softmax"
    for name in cases.TINY_LOSSES if scale.tiny else cases.LOSSES:
        loss = cases.LOSSES[name]
        layers = [L.Dense(5), L.Dense(6, activation=endings.get(name))]
        labels = np.array([3, 0, 5, 1], np.int32)
        y = labels if loss.target == "sparse" else np.eye(6, dtype=np.float32)[labels]

        def compare(layers: Any = layers, loss: Any = loss, y: Any = y) -> float:
            model = building.build((7,), layers, loss).to("cuda")
            return _against_float64(model, building.images(4, (7,)), y, ("curve", "chain"))

        yield _outcome(name, "float32", compare)


def _against_float64(model: Sequential, x: Any, y: Any, tolerances: tuple[str, str]) -> float:
    """Return the largest error, relative to what it is an error of; AssertionError in words."""
    allowed = building.TOLERANCE
    if model.precision == "tf32":
        allowed = {name: max(TF32, one) for name, one in allowed.items()}
    pairs = {"outputs": (model.predict(x), reference_model.forward(model, x), tolerances[0])}
    _, gradients = model.gradients(x, y)
    _, expected = reference_model.gradients(model, x, y)
    floor = 0.1 * max(float(np.abs(one).max()) for one in expected.values())
    for path, right in expected.items():
        pairs[f"gradient of {path}"] = gradients[path], right, tolerances[1]
    worst = 0.0
    for what, (received, right, tolerance) in pairs.items():
        largest = float(np.abs(right).max(initial=0.0))
        scale = max(largest, floor if what != "outputs" else 0.0) or 1.0
        error = float(np.abs(received - right).max(initial=0.0)) / scale
        if not error <= allowed[tolerance]:  # which NaN is not, either
            raise AssertionError(f"{what}: error {error:.2g}, allowed {allowed[tolerance]:.2g}")
        worst = max(worst, error)
    return worst


def _optimizers(scale: Scale) -> Iterable[Check]:
    """Weights after some steps of a net with dropout and batch normalization, on both devices."""
    for name in cases.TINY_OPTIMIZERS if scale.tiny else cases.OPTIMIZERS:

        def compare(optimizer: Any = cases.OPTIMIZERS[name]) -> float:
            ours, theirs = (_stepped(scale, optimizer, device) for device in ("cuda", "cpu"))
            error = float(np.abs(ours - theirs).max() / np.abs(theirs).max())
            if not error <= STEPS_APART:
                raise AssertionError(f"weights differ by {error:.2g} from the CPU's")
            return error

        yield _outcome(f"{STEPS} steps of {name}", "float32", compare)


def _repetition(scale: Scale) -> Iterable[Check]:
    """The same steps twice, whose weights must be the same to the bit."""
    optimizer = cases.OPTIMIZERS[cases.TINY_OPTIMIZERS[0]]

    def compare() -> float:
        first, second = (_stepped(scale, optimizer, "cuda") for _ in range(2))
        if not np.array_equal(first, second):
            raise AssertionError("the same steps give other bits the second time")
        return 0.0

    yield _outcome("the same bits from run to run", "float32", compare)


def _stepped(scale: Scale, optimizer: Any, device: str) -> np.ndarray:
    """Return the weights after some steps, flat."""
    before = [L.Conv2D(3, 3), L.BatchNormalization(), L.ReLU(), L.MaxPooling2D(), L.Flatten()]
    shape = (3,) if scale.tiny else (6, 6, 2)
    layers = [*([] if scale.tiny else before), L.Dropout(0.3), L.Dense(4)]
    model = Sequential(layers, shape, seed=1, device=device)
    model.compile(type(optimizer)(**optimizer.get_config()), "mse")
    x, y = building.images(3, shape), building.images(3, (4,), seed=2)
    for _ in range(STEPS):
        model.train_on_batch(x, y)
    return np.concatenate([one.ravel() for one in model.get_weights()])


def _outcome(what: str, precision: str, compare: Callable[[], float]) -> Check:
    try:
        return Check(what, precision, compare(), None)
    except AssertionError as failure:
        return Check(what, precision, None, str(failure))
    except Exception as failure:
        return Check(what, precision, None, f"it raised {type(failure).__name__}: {failure}")
