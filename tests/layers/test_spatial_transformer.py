"""The spatial transformer: what it begins as, what its map shows, what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from fastcnn import Sequential
from fastcnn import layers as L

SHAPE = (5, 4, 3)


def transformer(**options):
    localization = [L.Conv2D(2, 3), L.Flatten(), L.Dense(6, kernel_initializer="he_normal")]
    return L.SpatialTransformer(localization, **options)


@pytest.fixture(scope="module")
def model():
    return Sequential([transformer()], input_shape=SHAPE, seed=4, device="cpu")


@pytest.fixture
def x():
    return np.random.default_rng(0).standard_normal((2, *SHAPE)).astype(np.float32)


def test_it_begins_as_the_identity(model, x):
    np.testing.assert_array_equal(model.predict(x), x)
    sizes = {p.path: p.size for p in model.parameters}
    assert sum(sizes.values()) == (9 * 3 * 2 + 2) + (3 * 2 * 2 * 6 + 6)


@pytest.mark.parametrize(
    ("theta", "shown"),
    [
        ((-1, 0, 0, 0, 1, 0), lambda x: x[:, :, ::-1]),
        ((1, 0, 0, 0, -1, 0), lambda x: x[:, ::-1]),
        ((1, 0, 0.5, 0, 1, 0), lambda x: np.pad(x, [(0, 0), (0, 0), (0, 1), (0, 0)])[:, :, 1:]),
        ((1, 0, 9, 0, 1, 0), np.zeros_like),
        (
            (0, 0, 0, 0, 0, 0),
            lambda x: np.broadcast_to(x[:, 2:3, 1:3].mean(2, keepdims=True), x.shape),
        ),
    ],
)
def test_what_a_map_shows(theta, shown, x):
    model = Sequential([transformer()], input_shape=SHAPE, device="cpu")
    model.parameters[-1].value[...] = theta
    np.testing.assert_allclose(model.predict(x), shown(x), atol=1e-6)


def test_it_is_saved_and_comes_back(model, x, tmp_path):
    model.parameters[-1].value[2] = 0.3
    model.save(tmp_path / "m.h5")
    again = Sequential.from_config(model.get_config())
    np.testing.assert_array_equal(again.predict(x), x)
    again.load_weights(tmp_path / "m.h5")
    np.testing.assert_array_equal(again.predict(x), model.predict(x))


@pytest.mark.parametrize(
    "end", [L.Dense(5), L.Dense(6, "tanh"), L.Dense(6, use_bias=False), L.Flatten()]
)
def test_another_end_is_refused(end):
    with pytest.raises(ValueError, match="localization must end in the six numbers of an affine"):
        L.SpatialTransformer([L.Flatten(), end])


def test_an_output_size_is_of_pixels():
    with pytest.raises(ValueError, match="output_size must be a positive integer or a pair"):
        transformer(output_size=0)
