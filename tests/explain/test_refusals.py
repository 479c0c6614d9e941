"""What the methods are given is checked, in the name of the argument that does not fit."""

from __future__ import annotations

import numpy as np
import planted
import pytest

from fastcnn import explain

X = planted.images()
Y = np.ones(len(X), np.int64)
MODEL = planted.model()
MODEL.compile("sgd", "sparse_categorical_crossentropy")


@pytest.mark.parametrize("method", ["fgsm", "pgd", "robustness", "confusions"])
def test_labels_are_classes_one_an_image(method):
    call = getattr(explain, method)
    for y, message in (
        (None, rf"{method}: y must hold a label.*Received None"),
        (Y[:2], rf"{method}: y must hold a label.*Received int64 of shape \(2,\)"),
        (Y + 1, rf"{method}: y must hold classes of the model, from 0 to 1. Received a label of 2"),
    ):
        with pytest.raises(ValueError, match=message):
            call(MODEL, X, y)


CASES = {
    "rate": (lambda: explain.class_image(MODEL, rate=-1), "rate must be a number above 0"),
    "a text": (lambda: explain.class_image(MODEL, rate="x"), "rate must be a number above 0"),
    "smooth": (lambda: explain.inversion(MODEL, X, smooth="x"), "smooth must be a number"),
    "decay": (lambda: explain.class_image(MODEL, decay=-1), "decay must be a number"),
    "of fooling": (lambda: explain.fooling_images(MODEL, rate=0), "rate must be a number"),
    "of attacks": (lambda: explain.fgsm(MODEL, X, Y, bounds=3), "fgsm: bounds must be two numbers"),
    "stride": (
        lambda: explain.occlusion(MODEL, X, patch=2, stride=3),
        "stride must be a whole number from 1 to 2",
    ),
    "fill": (lambda: explain.occlusion(MODEL, X, fill="x"), "fill must be a finite number"),
    "baseline": (
        lambda: explain.integrated_gradients(MODEL, X, baseline=np.zeros(5)),
        r"baseline must be a number, or an image of shape \(12, 12, 1\)",
    ),
    "one epsilon": (
        lambda: explain.robustness(MODEL, X, Y, epsilons=0.1),
        "epsilons must be several numbers",
    ),
    "no epsilon": (
        lambda: explain.robustness(MODEL, X, Y, epsilons=[]),
        "epsilons must hold at least one",
    ),
    "a place": (lambda: MODEL.features(X, 3), "'3'"),
    "no layer": (lambda: MODEL.features(X, None), "'None'"),
}


@pytest.mark.parametrize("case", CASES)
def test_an_argument_that_does_not_fit_is_named(case):
    call, message = CASES[case]
    with pytest.raises((ValueError, TypeError), match=message):
        call()


def test_the_film_strip_keeps_what_layers_make():
    result = explain.film_strip(MODEL, X)
    assert list(result.outputs) == [layer.path for layer in MODEL.layers]
    for path, output in result.outputs.items():
        np.testing.assert_allclose(output, MODEL.features(X[:1], path)[0], rtol=1e-5)
