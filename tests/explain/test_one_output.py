"""One output that tells two classes apart: the same pictures as of two outputs."""

from __future__ import annotations

import numpy as np
import planted
import pytest
from building import assert_close

from fastcnn import Sequential, explain, losses
from fastcnn import layers as L

X = planted.images()
LABELS = np.array([1, 0, 1, 0])


def network(units: int, ending: str) -> Sequential:
    """The score of class 1 is z, or those of both are -z / 2 and z / 2: the same chances."""
    model = Sequential(
        [
            L.Conv2D(2, 3, activation="relu", name="search"),
            L.GlobalMaxPooling2D(),
            L.Dense(units, activation=ending),
        ],
        (planted.SIDE, planted.SIDE, 1),
        device="cpu",
    )
    kernel, bias, dense, dense_bias = (p.value for p in model.parameters)
    kernel[..., 0, 0], kernel[..., 0, 1] = planted.PATTERN, -planted.PATTERN
    bias[...], score = [-5, -1], np.array([[0.5], [-0.25]])
    dense[...] = score if units == 1 else np.concatenate([-score, score], axis=1) / 2
    dense_bias[...] = -1 if units == 1 else [0.5, -0.5]
    return model


ONE, TWO = network(1, "sigmoid"), network(2, "softmax")
ONE.compile("sgd", "binary_crossentropy")
TWO.compile("sgd", "categorical_crossentropy")
UNCOMPILED = network(1, "sigmoid")
LOGIT = network(1, "linear")
LOGIT.compile("sgd", losses.BinaryCrossentropy(from_logits=True))

GRADIENTS = ["saliency", "smooth_grad", "integrated_gradients", "guided_backprop", "deconvnet"]
FACTORS = {**dict.fromkeys([*GRADIENTS, "grad_cam"], 2), "occlusion": 1}


@pytest.mark.parametrize("method", FACTORS)
@pytest.mark.parametrize("target", [0, 1, LABELS, None])
def test_both_classes_can_be_looked_at(method, target):
    binary, softmax = (getattr(explain, method)(model, X, target) for model in (ONE, TWO))
    assert_close(binary.array, FACTORS[method] * softmax.array, "chain", method)
    if method != "occlusion":
        for model in (UNCOMPILED, LOGIT):
            again = getattr(explain, method)(model, X, target).array
            np.testing.assert_array_equal(again, binary.array)


@pytest.mark.parametrize("target", [None, 0, 1])
@pytest.mark.parametrize("method", [explain.fgsm, explain.pgd])
def test_both_classes_can_be_attacked_and_be_the_target(method, target):
    results = [method(model, X, LABELS, epsilon=0.2, target=target) for model in (ONE, LOGIT, TWO)]
    for result in results[1:]:
        np.testing.assert_array_equal(result.array, results[0].array)
        np.testing.assert_array_equal(result.success, results[0].success)
    assert results[0].success.any()


def test_both_classes_count_in_the_curve_and_want_an_image():
    binary, softmax = (
        explain.robustness(model, X, LABELS, [0, 0.1, 0.3]).array for model in (ONE, TWO)
    )
    np.testing.assert_array_equal(binary, softmax)
    binary, softmax = (explain.class_image(model, [0, 1], steps=5).array for model in (ONE, TWO))
    np.testing.assert_allclose(binary, softmax, atol=1e-4)


def test_a_probability_that_is_covered_is_lost_for_one_class_and_won_for_the_other():
    lost, won = (explain.occlusion(ONE, X, target, patch=3).array for target in (1, 0))
    np.testing.assert_allclose(lost, -won, atol=1e-6)
    assert lost.max() > 0.1


def test_a_number_has_no_second_class():
    model = network(1, "linear")
    model.compile("sgd", "mse")
    assert model.input_gradient(X, 0).any()
    with pytest.raises(ValueError, match="a class from 0 to 0"):
        model.input_gradient(X, 1)


def test_nothing_is_attacked_by_nothing(monkeypatch):
    monkeypatch.setattr(Sequential, "input_gradient", pytest.fail)
    curve = explain.robustness(TWO, X, TWO.predict(X).argmax(axis=1), [0]).array
    assert (curve == 1).all()


def test_covered_copies_are_made_a_batch_at_a_time(monkeypatch):
    sizes, predict = [], Sequential.predict

    def counted(model, x, **settings):
        sizes.append(len(x))
        return predict(model, x, **settings)

    monkeypatch.setattr(Sequential, "predict", counted)
    explain.occlusion(TWO, X[:1], 1, patch=2, stride=1)
    assert max(sizes) == 64 and sum(sizes) == 1 + 11 * 11
