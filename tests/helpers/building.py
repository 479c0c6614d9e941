"""What the tests of layers and models share: random models and the comparison with float64."""

from __future__ import annotations

import numpy as np

from fastcnn import Sequential

# The largest error allowed anywhere in an array, as a part of the array's largest magnitude.
# One float32 rounding is 6e-8; a sum of K products, in any order, errs by about sqrt(K) of them
# over a result that itself grows as sqrt(K).
TOLERANCE = {
    "exact": 0.0,  # values only moved, compared or zeroed; or integers below 2^24
    "sum": 4e-6,  # sums of up to some thousand products, and the gradient through one layer of them
    "chain": 2e-5,  # several layers: each one's error passes through the next
    "statistics": 5e-5,  # x - mean(x) cancels, and divides by a deviation that may be small
    "curve": 1e-5,  # exp, tanh and erf computed by short float32 formulas
}


def build(input_shape, layers, loss="mse", optimizer="sgd", seed=0, random=True) -> Sequential:
    """A compiled model whose parameters, biases and statistics too, are all random."""
    model = Sequential(layers, input_shape=input_shape, seed=seed)
    model.compile(optimizer=optimizer, loss=loss)
    if random:
        randomize(model, seed)
    return model


def randomize(model, seed=0) -> None:
    """Values that keep activations near 1 in size; variances stay positive."""
    rng = np.random.default_rng(seed)
    for p in model.parameters:
        if p.name == "moving_variance":
            p.value[...] = rng.uniform(0.5, 2.0, p.shape)
        elif p.name == "gamma":
            p.value[...] = rng.uniform(0.5, 1.5, p.shape)
        else:
            inputs = p.size // p.shape[-1] if len(p.shape) > 1 else 4
            p.value[...] = rng.standard_normal(p.shape) / np.sqrt(inputs)


def images(batch, shape, seed=1):
    return np.random.default_rng(seed).standard_normal((batch, *shape)).astype(np.float32)


def targets_for(model, batch, seed=2):
    """Dense targets near the size of the outputs, or labels where the loss wants those."""
    rng = np.random.default_rng(seed)
    if model.loss.target == "sparse":
        return rng.integers(0, model.output_shape[-1], batch).astype(np.int32)
    return rng.standard_normal((batch, *model.output_shape)).astype(np.float32)


def assert_close(received, expected, tolerance, what, floor=0.0, summed=0.0) -> None:
    """Every element within `tolerance` times the largest of `expected`, or times `floor`.

    `summed`, of the shape of `expected`, are the sums of the magnitudes of each element's terms: of
    terms that cancel their rounding is left.
    """
    received, expected = np.asarray(received), np.asarray(expected)
    assert received.shape == expected.shape, f"{what}: {received.shape} for {expected.shape}"
    assert np.isfinite(received).all(), f"{what}: not finite"
    limit = TOLERANCE[tolerance] * max(np.abs(expected).max(initial=0.0), floor)
    excess = np.abs(received - expected) - np.maximum(limit, TOLERANCE["sum"] * summed)
    at = np.unravel_index(excess.argmax(), excess.shape) if excess.size else ()
    assert excess.max(initial=0.0) <= 0.0, (
        f"{what}: error {abs(received[at] - expected[at]):.3g} at {at}, "
        f"{excess[at]:.3g} more than allowed ({tolerance})"
    )


def assert_gradients(received, expected, tolerance, what="", summed=None) -> None:
    """The same parameters, and every element of each gradient.

    A gradient below a tenth of the model's largest is held to that tenth: a bias in front
    of a batch normalization, say, has none but rounding. `summed`: see `assert_close`, by path.
    """
    assert sorted(received) == sorted(expected)
    floor = 0.1 * max((np.abs(g).max() for g in expected.values()), default=0.0)
    for path, gradient in expected.items():
        assert received[path].dtype == np.float32
        sizes = summed[path] if summed else 0.0
        name = f"{what} gradient of {path}"
        assert_close(received[path], gradient, tolerance, name, floor, sizes)
