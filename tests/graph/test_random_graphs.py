"""Nets of all layers in all bodies, drawn at random, against float64 and against differences.

FASTCNN_RANDOM_NETS="first:last" draws others, such as the one that a failure names.
"""

from __future__ import annotations

import os

import numpy as np
import pytest
import reference_model
from building import TOLERANCE, assert_close, assert_gradients, images, randomize, targets_for
from random_nets import Net, draw
from reference_losses import loss_and_gradient

from fastcnn import Sequential
from fastcnn import layers as L

FIRST, LAST = map(int, os.environ.get("FASTCNN_RANDOM_NETS", "0:300").split(":"))
GROUP = 20  # nets a test
# A net is left out where float64 itself answers to noise of this size, relative to each value, by
# a change of so much of the largest gradient: near a kink, say, or with a vanishing variance.
NOISE, MOST_CHANGE = 1e-5, 1e-3
STEP = 1e-7  # of the differences
CLIPPED = 15.0  # the loss of an image above which it may be clipped


# A net drawn at random may be what is seldom meant: a softmax of a sigmoid, say.
@pytest.mark.filterwarnings("ignore::fastcnn.utils.training_warning.TrainingWarning")
@pytest.mark.parametrize("first", range(FIRST, LAST, GROUP))
def test_random_nets(first):
    numbers = range(first, min(first + GROUP, LAST))
    compared = 0
    for number in numbers:
        net = draw(number)
        try:
            compared += compare(net)
        except Exception as error:
            error.add_note(
                f"Repeat it: FASTCNN_RANDOM_NETS={number}:{number + 1}. "
                f"{net.batch} images {net.shape}, {net.loss}, {net.layers}"
            )
            raise
    assert compared >= 0.7 * len(numbers) or len(numbers) < GROUP


def compare(net: Net) -> bool:
    """Compare outputs, gradients and a step's statistics; say whether the gradients could be."""
    model = Sequential(net.layers, input_shape=net.shape, seed=3)
    model.compile("sgd", net.loss)
    randomize(model, 4)
    x, y = images(net.batch, net.shape), targets_of(model, net.batch)
    outputs = inference_of(model, x)
    assert_close(model.predict(x), outputs[model.layers[-1].path], "statistics", "output")
    assert_close(
        model.predict(x[:1]), outputs[model.layers[-1].path][:1], "statistics", "output of one"
    )
    path = sorted(outputs)[net.batch % len(outputs)]
    assert_close(model.activations(x, path), outputs[path], "statistics", path)
    summed: dict[str, np.ndarray] = {}
    loss, expected = reference_model.gradients(model, x, y, summed=summed, dropout=True)
    # The reference keeps probabilities off 0, which a fused cross-entropy need not.
    clipped = model.loss.fuses is not None and largest_loss(model, x, y) > CLIPPED
    if clipped or too_sensitive(model, x, y, expected):
        return False
    received_loss, received = model.gradients(x, y)
    assert received_loss == pytest.approx(loss, rel=2e-5, abs=1e-7)
    assert_gradients(received, expected, "statistics", summed=summed)
    assert_slope(model, x, y, received)
    moving = moving_of(model, x)
    model.train_on_batch(x, y)
    for parameter in model.parameters:
        if parameter.path in moving:
            expected_value = moving[parameter.path]
            assert_close(parameter.value, expected_value, "statistics", parameter.path, floor=0.01)
    return True


def targets_of(model, batch):
    """Labels, probabilities of yes, or numbers near the size of the outputs."""
    y = targets_for(model, batch)
    return 1 / (1 + np.exp(-y)) if model.loss.fuses == "sigmoid" else y


def inference_of(model, x):
    run = reference_model.Run(model, training=False)
    run.layers(model.layers, np.asarray(x, np.float64))
    return run.outputs


def largest_loss(model, x, y) -> float:
    run = reference_model.Run(model, training=True, dropout=True)
    outputs, _ = run.layers(model.layers, np.asarray(x, np.float64))
    return loss_and_gradient(model.loss, outputs, y)[0].max()


def moving_of(model, x):
    run = reference_model.Run(model, training=True, dropout=True)
    run.layers(model.layers, np.asarray(x, np.float64))
    return run.moving


def too_sensitive(model, x, y, expected) -> bool:
    _, disturbed = reference_model.gradients(model, x, y, dropout=True, noise=NOISE)
    largest = max((np.abs(gradient).max() for gradient in expected.values()), default=0.0)
    return any(
        np.abs(disturbed[path] - expected[path]).max() > MOST_CHANGE * largest for path in expected
    )


def assert_slope(model, x, y, received) -> None:
    """Along a random direction, the loss rises as the gradients say: by differences in float64."""
    rng = np.random.default_rng(6)
    values = {p.path: np.array(p.value, np.float64) for p in model.parameters}
    way = {path: rng.standard_normal(gradient.shape) for path, gradient in received.items()}

    def loss_at(step):
        moved = {path: values[path] + step * way[path] for path in way}
        return reference_model.loss(model, x, y, values={**values, **moved}, dropout=True)

    loss, ahead, behind = loss_at(0), loss_at(STEP), loss_at(-STEP)
    size = sum(float(np.linalg.norm(gradient)) for gradient in received.values())
    limit = TOLERANCE["statistics"] * size + 1e-7
    if abs(ahead + behind - 2 * loss) > limit * STEP:
        return  # at a kink there is a slope to each side
    expected = sum(float((received[path] * way[path]).sum()) for path in way)
    assert (ahead - behind) / (2 * STEP) == pytest.approx(expected, rel=1e-3, abs=limit)


def test_every_layer_is_drawn():
    drawn = {
        type(layer).__name__ for n in range(300) for top in draw(n).layers for layer in top.walk()
    }
    assert drawn == set(L.LAYERS)


def test_the_same_number_is_the_same_net():
    assert repr(draw(7)) == repr(draw(7)) != repr(draw(8))
