"""Networks without normalization leave chance with the optimizer that the command line gives them.

`tools/networks_learn.py` asks the same of every network by name, at its own width.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from fastcnn import data
from fastcnn.cli.options import train_settings
from fastcnn.cli.options.train_settings import Settings
from fastcnn.cli.resolve import model as models

BATCH, STEPS = 16, 16
# name, side of the images, arguments that make it small
NETWORKS = [
    pytest.param("all-cnn-c", 12, {}, id="all-cnn-c"),
    pytest.param("squeezenet1-0", 16, {}, id="squeezenet1-0"),
    *(
        pytest.param(name, 32, {"hidden": 64}, id=name, marks=pytest.mark.exhaustive)
        for name in ("vgg11", "vgg19")
    ),
]


@pytest.fixture(scope="module")
def clothes():
    """Trousers, bags and boots of the sample, which hardly resemble each other, in colour."""
    (x, y), _ = data.load("sample")
    kinds = np.flatnonzero(np.isin(y, (1, 8, 9)))[: BATCH * STEPS]
    return np.repeat(x[kinds], 3, axis=3), np.searchsorted((1, 8, 9), y[kinds])


@pytest.mark.parametrize(("name", "side", "arguments"), NETWORKS)
def test_its_loss_falls_below_that_of_a_guess(name, side, arguments, clothes):
    x, y = clothes
    pixels = np.arange(side) * x.shape[1] // side
    x = np.ascontiguousarray(x[:, pixels][:, :, pixels])
    model = models.named(
        name, input_shape=x.shape[1:], classes=3, rescale=True, seed=0, **arguments
    )
    model.compile(train_settings.make_optimizer(Settings(model=name)), models.fitting_loss(model))
    losses = [
        model.train_on_batch(x[at : at + BATCH], y[at : at + BATCH])
        for at in range(0, len(x), BATCH)
    ]
    assert np.mean(losses[-6:]) < 0.8 * math.log(3)
