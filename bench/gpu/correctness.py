"""Every kernel on small problems: convolutions and layers against float64, steps against the CPU.

What the layers are compared with is the tests' own: layer_cases.py and reference_model.py in
tests/reference/, building.py in tests/helpers/.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fastcnn import Sequential, strategies
from fastcnn import layers as L
from fastcnn.backends.step import Selection
from fastcnn.kernels.cuda.runtime.device import SIMULATED, capability
from fastcnn.kernels.cuda.runtime.kernel import Kernel, all_kernels
from fastcnn.lab.measure.validation import Examiner
from fastcnn.optimizers import SGD
from fastcnn.strategies import DIRECTIONS

sys.path.insert(1, str(Path(__file__).parents[2] / "tests" / "reference"))
sys.path.insert(1, str(Path(__file__).parents[2] / "tests" / "helpers"))

import building
import layer_cases
import reference_model

from gpu import cases, tile_cases
from gpu.scale import Scale

# Layers of layers, which the tests' table has not.
COMBINED = {
    "residual": layer_cases.Case((6, 5, 4), lambda: L.Residual([L.ReLU()]), 3),
    "residual of convolutions": layer_cases.Case(
        *((6, 5, 4), lambda: L.Residual([L.Conv2D(4, 3, padding="same", use_bias=False)]), 3),
        *("chain", "chain"),
    ),
    "concat": layer_cases.Case(
        (6, 5, 4), lambda: L.Concat([L.Conv2D(3, 1)], [L.MaxPooling2D(1)], []), 3
    ),
}
LAYERS = layer_cases.CASES | COMBINED
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


class Task(NamedTuple):
    """One thing to be checked; `run` returns its error, or raises AssertionError in words."""

    what: str
    precision: str
    run: Callable[[], float | None]

    def checked(self) -> Check:
        """Check it."""
        try:
            return Check(self.what, self.precision, self.run(), None)
        except AssertionError as failure:
            wrong = str(failure)
        except Exception as failure:
            wrong = f"it raised {type(failure).__name__}: {failure}"
        return Check(self.what, self.precision, None, wrong)


def tasks(scale: Scale) -> list[Task]:
    """Return all that there is to check at a scale."""
    checks: list[Task] = []
    for part in (_convolutions, _tiles, _layers):
        for precision in scale.precisions:
            checks += part(scale, precision)
    checks += [*_losses(scale), *_optimizers(scale), _repetition(scale)]
    return [*checks, *_data_sets(scale)]


def kernels() -> list[Kernel]:
    """Return the kernels that the GPU can run."""
    return [
        all_kernel for all_kernel in all_kernels() if all_kernel.least_capability <= capability()
    ]


def unreached() -> list[str]:
    """Return the kernels that nothing launched until now."""
    if SIMULATED:  # which loads nothing
        return []
    return sorted(kernel.name for kernel in kernels() if not kernel.loaded)


def _convolutions(scale: Scale, precision: str) -> Iterable[Task]:
    problems = cases.TINY_PROBLEMS if scale.tiny else cases.PROBLEMS
    images = cases.TINY_IMAGES if scale.tiny else cases.IMAGES
    for title, problem in problems.items():
        for direction in DIRECTIONS:
            examiner = Examiner(direction, problem, images, "cuda", precision)
            for name, strategy in strategies.table("cuda").items():
                slow = scale.tiny and name in cases.SLOW
                if not slow and strategy.declines(direction, problem) is None:
                    what = f"{title}, {direction}, {name}"
                    yield Task(what, precision, partial(_examined, examiner, name))


def _examined(examiner: Examiner, strategy: str) -> float | None:
    error, wrong = examiner.examine(strategy)
    if wrong:
        raise AssertionError(wrong)
    return error


def _tiles(scale: Scale, precision: str) -> Iterable[Task]:
    for tile in () if scale.tiny else tile_cases.forced(precision):
        examiner = Examiner(tile.direction, tile.problem, cases.IMAGES, "cuda", precision)
        what = f"{tile.title}, {tile.direction}, {tile.strategy}"
        yield Task(what, precision, partial(_examined_alone, examiner, tile))


def _examined_alone(examiner: Examiner, tile: tile_cases.Forced) -> float | None:
    with tile.alone():
        return _examined(examiner, tile.strategy)


def _layers(scale: Scale, precision: str) -> Iterable[Task]:
    names = cases.TINY_LAYERS if scale.tiny else cases.LAYERS
    if scale.every_layer and precision == "float32":
        names = tuple(layer_cases.CASES)
    if scale.tiny and precision != "float32":
        names = names[:1]
    for name in names if scale.tiny else (*names, *COMBINED):
        yield Task(name, precision, partial(_compared, LAYERS[name], precision))


def _compared(case: Any, precision: str) -> float:
    """Compare outputs and all gradients, the input's among them, with float64."""
    rows, columns, channels = case.shape
    # Image n is the kernel of this layer, turned: the gradient of it is that of the input.
    spread = L.Conv2D(
        *(channels, (rows, columns)), padding=((rows - 1,) * 2, (columns - 1,) * 2), use_bias=False
    )
    model = building.build((1, 1, case.batch), [spread, case.layer()]).to("cuda", precision)
    x = np.eye(case.batch, dtype=np.float32).reshape(case.batch, 1, 1, case.batch)
    y = building.targets_for(model, case.batch)
    return _against_float64(model, x, y, (case.forward, case.backward))


def _losses(scale: Scale) -> Iterable[Task]:
    for name in cases.TINY_LOSSES if scale.tiny else cases.LOSSES:
        for ending in cases.ENDINGS.get(name, (None,)):
            what = f"{name} after {ending}" if ending else name
            yield Task(what, "float32", partial(_lost, cases.LOSSES[name], ending))


def _lost(loss: Any, ending: str | None) -> float:
    """Compare a loss's outputs and gradients, after an activation, with float64."""
    labels = np.array([3, 0, 5, 1], np.int32)
    y = labels if loss.target == "sparse" else np.eye(6, dtype=np.float32)[labels]
    layers = [L.Dense(5), L.Dense(6, activation=ending)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of endings that are seldom meant
        model = building.build((7,), layers, loss).to("cuda")
    return _against_float64(model, building.images(4, (7,)), y, ("curve", "chain"))


def _against_float64(model: Sequential, x: Any, y: Any, tolerances: tuple[str, str]) -> float:
    """Return the largest error, relative to what it is an error of; AssertionError in words."""
    allowed = building.TOLERANCE
    if model.precision == "tf32":
        allowed = {name: max(TF32, tolerance) for name, tolerance in allowed.items()}
    pairs = {"outputs": (model.predict(x), reference_model.forward(model, x), tolerances[0])}
    _, gradients = model.gradients(x, y)
    _, expected = reference_model.gradients(model, x, y)
    floor = 0.1 * max(float(np.abs(tolerance).max()) for tolerance in expected.values())
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


def _optimizers(scale: Scale) -> Iterable[Task]:
    for name in cases.TINY_OPTIMIZERS if scale.tiny else cases.OPTIMIZERS:
        run = partial(_beside_the_cpu, scale, cases.OPTIMIZERS[name])
        yield Task(f"{STEPS} steps of {name}", "float32", run)


def _beside_the_cpu(scale: Scale, optimizer: Any) -> float:
    """Compare weights after some steps of a net with dropout and batch normalization."""
    return _apart(*(_stepped(scale, optimizer, device) for device in ("cuda", "cpu")))


def _apart(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Return how far weights are from the CPU's, relative to the largest; AssertionError if far."""
    error = float(np.abs(ours - theirs).max() / np.abs(theirs).max())
    if not error <= STEPS_APART:
        raise AssertionError(f"weights differ by {error:.2g} from the CPU's")
    return error


def _repetition(scale: Scale) -> Task:
    return Task("the same bits from run to run", "float32", partial(_repeated, scale))


def _repeated(scale: Scale) -> float:
    """Take the same steps twice: the weights must be the same to the bit."""
    optimizer = cases.OPTIMIZERS[cases.TINY_OPTIMIZERS[0]]
    first, second = (_stepped(scale, optimizer, "cuda") for _ in range(2))
    if not np.array_equal(first, second):
        raise AssertionError("the same steps give other bits the second time")
    return 0.0


def _data_sets(scale: Scale) -> Iterable[Task]:
    """Images that lie on the device, taken by their numbers and augmented there."""
    for dtype in () if scale.tiny else cases.DTYPES:
        yield Task(f"a data set of {dtype}", "float32", partial(_gathered, dtype))
        yield Task(f"augmented images of {dtype}", "float32", partial(_augmented, dtype))


def _gathered(dtype: str) -> float:
    """Compare with the same images from the host, to the bit."""
    x, indices = _images(dtype), np.array([7, 0, 3, 3], np.int32)
    engine = _classifier("cuda").engine()
    if not engine.hold(x, anew=False):
        raise AssertionError("the device does not hold the images")
    if not np.array_equal(engine.predict(Selection(x, indices)), engine.predict(x[indices])):
        raise AssertionError("the outputs are not those of the same images from the host")
    return 0.0


def _augmented(dtype: str) -> float:
    """Compare the weights after an epoch with the CPU's."""
    errors = []
    for device in ("cuda", "cpu"):
        model, x = _classifier(device), _images(dtype)
        y = np.arange(len(x), dtype=np.int32) % 2
        model.fit(x, y, batch_size=4, epochs=1, augment=[*cases.AUGMENTED], verbose=0)
        errors.append(np.concatenate([get_weight.ravel() for get_weight in model.get_weights()]))
    return _apart(*errors)


def _images(dtype: str) -> np.ndarray:
    return np.random.default_rng(4).integers(0, 256, (10, 9, 8, 3)).astype(dtype)


def _classifier(device: str) -> Sequential:
    layers = [L.Rescaling(1 / 255), L.Flatten(), L.Dense(2, activation="softmax")]
    model = Sequential(layers, (9, 8, 3), seed=1, device=device)
    model.compile(SGD(0.1), "sparse_categorical_crossentropy")
    return model


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
    return np.concatenate([get_weight.ravel() for get_weight in model.get_weights()])
