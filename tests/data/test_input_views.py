"""Nets whose outputs, or what the loss reads, lie in the memory of the images."""

from __future__ import annotations

import numpy as np
import pytest
import reference_model
from building import assert_close, assert_gradients, build, images

from fastcnn import layers as L

SHAPE = (2, 3, 2)
FLAT = {  # that end in one score a class
    "Flatten, Softmax": lambda: [L.Flatten(), L.Softmax()],
    "Flatten twice, Softmax": lambda: [L.Flatten(), L.Flatten(), L.Softmax()],
    "Dropout, Flatten, Dropout, Softmax": lambda: [
        *(L.Dropout(0.0), L.Flatten(), L.Dropout(0.0), L.Softmax())
    ],
    "Residual of nothing, Flatten, Softmax": lambda: [
        *(L.Residual([]), L.Flatten(), L.Activation("softmax"))
    ],
    "the input beside itself, Softmax": lambda: [
        L.Concat([L.Flatten()], [L.Flatten()]),
        L.Softmax(),
    ],
    "Flatten, sigmoid": lambda: [L.Flatten(), L.Activation("sigmoid")],
    "Flatten": lambda: [L.Flatten()],
    "frozen": lambda: [L.Flatten(), L.Dense(3, activation="softmax", trainable=False)],
}
IMAGES = {
    "Softmax": lambda: [L.Softmax()],
    "sigmoid": lambda: [L.Activation("sigmoid")],
    "linear": lambda: [L.Activation("linear")],
    "Rescaling": lambda: [L.Rescaling(0.5, 1.0)],
    "ZeroPadding2D": lambda: [L.ZeroPadding2D(1)],
    "ZeroPadding2D of nothing": lambda: [L.ZeroPadding2D(0)],
    "Concat of the input": lambda: [L.Concat([])],
    "Concat of the input with itself": lambda: [L.Concat([], [])],
    "Residual of nothing": lambda: [L.Residual([], [])],
    "Residual of Residuals of nothing": lambda: [L.Residual([L.Residual([])], [L.Residual([])])],
}
CASES = {
    (name, loss): {**FLAT, **IMAGES}[name]
    for names, loss in (
        (FLAT, "sparse_categorical_crossentropy"),
        ([name for name in FLAT if name.endswith("Softmax")], "categorical_crossentropy"),
        (["Flatten, sigmoid", "sigmoid"], "binary_crossentropy"),
        ([*FLAT, *IMAGES], "mse"),
    )
    for name in names
}


def distributions(model, images):
    """Targets that every loss takes: labels, or rows of positive numbers that sum to 1."""
    rng = np.random.default_rng(5)
    if model.loss.target == "sparse":
        return rng.integers(0, model.output_shape[-1], images).astype(np.int32)
    y = rng.random((images, *model.output_shape), dtype=np.float32)
    return y / y.sum(axis=-1, keepdims=True)


# Whether a loss suits an ending is not what is looked at here.
@pytest.mark.filterwarnings("ignore::fastcnn.TrainingWarning")
@pytest.mark.parametrize(("name", "loss"), CASES)
def test_every_call(name, loss):
    model = build(SHAPE, CASES[name, loss](), loss)
    x = np.abs(images(5, SHAPE)) + np.float32(0.1)  # cross-entropy takes positive scores alone
    kept = x.copy()
    y = distributions(model, len(x))
    expected = reference_model.forward(model, x)
    for batch in (len(x), 1):
        assert_close(model.predict(x[:batch]), expected[:batch], "chain", "outputs")
    for layer in model.layers:
        assert model.activations(x, layer).shape == (len(x), *layer.output_shape)
    assert_close(model.activations(x, model.layers[-1]), expected, "chain", "activations")
    loss_expected, gradients_expected = reference_model.gradients(model, x, y)
    loss_received, gradients = model.gradients(x, y)
    assert loss_received == pytest.approx(loss_expected, rel=1e-5)
    assert_gradients(gradients, gradients_expected, "chain")
    assert model.evaluate(x, y, verbose=0) == pytest.approx(loss_expected, rel=1e-5)
    assert model.train_on_batch(x, y) == pytest.approx(loss_expected, rel=1e-5)
    model.fit(x, y, epochs=1, verbose=0)
    np.testing.assert_array_equal(x, kept)


def test_results_do_not_lie_in_the_callers_memory():
    model = build(SHAPE, [L.Residual([]), L.Flatten()])
    view = build(SHAPE, [L.Flatten()])
    x = images(3, SHAPE)
    for one in (model, view):
        outputs = one.predict(x)
        before = outputs.copy()
        x += 1
        np.testing.assert_array_equal(outputs, before)
