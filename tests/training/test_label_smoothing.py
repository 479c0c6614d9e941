"""Label smoothing: of labels, of one-hot rows and of yes/no answers."""

from __future__ import annotations

import numpy as np
import pytest

import fastcnn
from fastcnn import layers as L
from fastcnn import losses

X = np.random.default_rng(0).standard_normal((12, 6)).astype(np.float32)
LABELS = np.random.default_rng(1).integers(0, 4, 12)
ONE_HOT = np.eye(4, dtype=np.float32)[LABELS]
ENDS = {"logits": None, "softmax": "softmax", "probabilities": "sigmoid"}


def model(loss, activation):
    made = fastcnn.Sequential([L.Dense(4, activation)], input_shape=(6,), seed=2)
    made.compile("sgd", loss)
    return made


@pytest.mark.filterwarnings("ignore:Layer 'dense' ends in sigmoid")
@pytest.mark.parametrize("smoothing", [0.1, 1.0])
@pytest.mark.parametrize("end", ENDS)
def test_a_label_is_smoothed_as_its_one_hot_row(end, smoothing):
    options = {"from_logits": end == "logits", "label_smoothing": smoothing}
    sparse = model(losses.SparseCategoricalCrossentropy(**options), ENDS[end])
    dense = model(losses.CategoricalCrossentropy(**options), ENDS[end])
    weights = np.linspace(0, 2, 12, dtype=np.float32)
    loss, gradients = sparse.gradients(X, LABELS, weights)
    expected, others = dense.gradients(X, ONE_HOT, weights)
    assert loss == pytest.approx(expected, rel=1e-6)
    for path, gradient in gradients.items():
        np.testing.assert_allclose(gradient, others[path], atol=1e-6)


def test_values_of_torch_nn_functional_cross_entropy():
    """Of PyTorch 2.13: cross_entropy(x, y, label_smoothing=0.1), and its gradient."""
    x = np.array([[2.0, -1.0, 0.5], [0.0, 3.0, 1.0]], np.float32)
    slopes = [[-0.07386815, 0.00288962, 0.07097853], [0.00433837, 0.4052307, -0.40956907]]
    made = fastcnn.Sequential([L.Dense(3, use_bias=False)], input_shape=(3,))
    made.set_weights([np.eye(3)])
    made.compile("sgd", losses.SparseCategoricalCrossentropy(True, label_smoothing=0.1))
    loss, gradients = made.gradients(x, [0, 2])
    assert loss == pytest.approx(1.2639119914400547, rel=1e-6)
    np.testing.assert_allclose(next(iter(gradients.values())), x.T @ slopes, atol=1e-6)


def test_a_yes_no_answer_moves_to_a_half():
    made = model(losses.BinaryCrossentropy(label_smoothing=0.2), "sigmoid")
    p = made.predict(X).astype(np.float64)
    t = 0.8 * ONE_HOT + 0.1
    expected = -(t * np.log(p) + (1 - t) * np.log(1 - p)).mean()
    assert made.evaluate(X, ONE_HOT) == pytest.approx(expected, rel=1e-6)


def test_class_weights_multiply_the_smoothed_loss():
    weights = {0: 0.5, 1: 2.0, 2: 1.0, 3: 0.0}
    loss = losses.SparseCategoricalCrossentropy(True, label_smoothing=0.1)
    by_class = model(loss, None).train_on_batch(X, LABELS, class_weight=weights)
    each = np.array([weights[label] for label in LABELS], np.float32)
    assert by_class == pytest.approx(model(loss, None).train_on_batch(X, LABELS, each), rel=1e-6)


def test_it_is_saved(tmp_path):
    made = model(losses.SparseCategoricalCrossentropy(label_smoothing=0.1), "softmax")
    made.save(tmp_path / "model.h5")
    assert fastcnn.load(tmp_path / "model.h5").loss.label_smoothing == pytest.approx(0.1)
