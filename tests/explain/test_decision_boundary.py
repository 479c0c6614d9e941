"""Boundaries of classifiers of points, which are known, and their way there."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from fastcnn import Sequential, applications, explain, losses, optimizers, schedules
from fastcnn.layers import Dense

RNG = np.random.default_rng(0)
POINTS = RNG.uniform(-1, 1, (120, 2)).astype(np.float32)
XOR = ((POINTS[:, 0] > 0) ^ (POINTS[:, 1] > 0)).astype(np.int64)


def line(scores=1):
    """Class 1 where the first number is above 0.25."""
    end = "sigmoid" if scores == 1 else "softmax"
    model = Sequential([Dense(scores, activation=end)], (2,), device="cpu")
    kernel, bias = (parameter.value for parameter in model.parameters)
    kernel[...] = [[4], [0]] if scores == 1 else [[-2, 2], [0, 0]]
    bias[...] = [-1] if scores == 1 else [0.5, -0.5]
    return model


@pytest.mark.parametrize("scores", [1, 2])
def test_the_boundary_is_that_of_the_weights(scores, tmp_path):
    labels = (POINTS[:, 0] > 0.25).astype(int)
    result = explain.decision_boundary(line(scores), POINTS, labels, resolution=50)
    assert result.array.shape == (50, 50, 2)
    right_side = np.broadcast_to(result.plane.across > 0.25, (50, 50))
    np.testing.assert_array_equal(result.array.argmax(axis=-1), right_side)
    assert (
        result.plane.across[0] < POINTS[:, 0].min() < POINTS[:, 0].max() < result.plane.across[-1]
    )
    assert result.accuracy == 1
    assert result.save(tmp_path / "line.png").exists()


def trained(model, labels, epochs, rate, loss, **options):
    recorder = explain.BoundaryRecorder(POINTS, labels, resolution=20, **options)
    model.compile(rate, loss)
    model.fit(POINTS, labels, batch_size=1, epochs=epochs, verbose=0, callbacks=[recorder])
    return recorder.result()


def test_the_perceptron_with_a_rate_of_1_over_t_separates_what_a_line_separates():
    """Without the points that are all but on the line: its mistakes are bounded by the margin."""
    distance = POINTS @ np.float32([0.8, 0.6]) - 0.1
    labels = np.where(distance > 0, 1, -1)
    model = applications.get("perceptron")(input_shape=(2,), classes=1, seed=0)
    steps = len(POINTS)
    rate = schedules.InverseTimeDecay(1.0, decay_steps=steps, decay_rate=1.0)
    recorder = explain.BoundaryRecorder(POINTS, labels, resolution=20)
    model.compile(optimizers.SGD(rate), losses.Hinge(margin=0))
    wide = np.abs(distance) > 0.1
    model.fit(POINTS[wide], labels[wide], batch_size=1, epochs=12, verbose=0, callbacks=[recorder])
    result = recorder.result()
    assert result.epochs == list(range(13))
    clear = explain.decision_boundary(model, POINTS[wide], labels[wide], resolution=2)
    assert clear.accuracy == 1 and result.accuracies[0] < 0.9


def test_hidden_units_learn_xor_and_a_line_does_not(tmp_path):
    hidden = [Dense(12, activation="tanh"), Dense(1, activation="sigmoid")]
    bent = trained(
        Sequential(hidden, (2,), device="cpu"),
        XOR,
        12,
        optimizers.Adam(0.02),
        "binary_crossentropy",
        every=4,
    )
    assert bent.epochs == [0, 4, 8, 12] and bent.array.shape == (4, 20, 20, 2)
    assert bent.accuracies[-1] > 0.93
    straight = trained(line(), XOR, 6, optimizers.Adam(0.02), "binary_crossentropy")
    assert max(straight.accuracies) < 0.8
    assert bent.save(tmp_path / "epochs.png").read_bytes().startswith(b"\x89PNG")
    with Image.open(bent.save(tmp_path / "epochs.gif")) as film:
        assert (film.format, film.n_frames, film.info["duration"]) == ("GIF", 4, 250)
        first = np.asarray(film.convert("RGB"))
        film.seek(3)
        assert (first != np.asarray(film.convert("RGB"))).any()


REFUSED = {
    "images": (
        lambda: explain.decision_boundary(Sequential([Dense(2)], (3,)), POINTS, XOR),
        r"inputs have shape \(2,\)",
    ),
    "no points": (lambda: explain.decision_boundary(line(), POINTS[:, :1], XOR), r"\(n, 2\)"),
    "a third class": (lambda: explain.decision_boundary(line(), POINTS, XOR + 1), "below 2"),
    "no training": (lambda: explain.BoundaryRecorder(POINTS, XOR).result(), "a training before"),
    "no labels": (lambda: explain.BoundaryRecorder(POINTS, XOR[:5]), "for each of 120"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_classifier_of_points_is_refused(case):
    call, message = REFUSED[case]
    with pytest.raises(ValueError, match=message):
        call()
