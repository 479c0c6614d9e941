"""Winograd's matrices by themselves, and the plans that its convolutions follow."""

from __future__ import annotations

import numpy as np
import pytest
from building import build, images, targets_for
from test_strategies import arrays, computed

from fastcnn import layers as L
from fastcnn import optimizers
from fastcnn.graph.problem import Problem
from fastcnn.kernels.cpu.simd import winograd_transform
from fastcnn.kernels.shared import winograd
from fastcnn.strategies import STRATEGIES

forms = pytest.mark.parametrize("m, taps", winograd.FORMS)


def filtered(m, d, g, dtype=np.float64, points=None):
    """A^T [(G g G^T) * (B^T d B)] A for tiles d[n, s, s] and kernels g[n, taps, taps]."""
    with pytest.MonkeyPatch.context() as patch:
        if points is not None:
            patch.setitem(winograd.POINTS, d.shape[1], points)
        a_t, k, b_t = (matrix.astype(dtype) for matrix in winograd.matrices(m, g.shape[1]))
    u = np.einsum("ip,npq,jq->nij", k, g.astype(dtype), k)
    v = np.einsum("ip,npq,jq->nij", b_t, d.astype(dtype), b_t)
    return np.einsum("ip,npq,jq->nij", a_t, u * v, a_t)


def correlated(m, d, g):
    taps = [(i, j) for i in range(g.shape[1]) for j in range(g.shape[2])]
    return sum(d[:, i : i + m, j : j + m] * g[:, i : i + 1, j : j + 1] for i, j in taps)


@forms
def test_the_matrices_give_correlations(m, taps):
    generator = np.random.default_rng(0)
    size = m + taps - 1
    d, g = (generator.standard_normal((50, side, side)) for side in (size, taps))
    np.testing.assert_allclose(filtered(m, d, g), correlated(m, d, g), rtol=0, atol=1e-11)


def test_passes_over_a_tile_keep_what_is_between_the_sides_in_registers(monkeypatch):
    monkeypatch.setattr(winograd_transform, "FREE", 12)
    passes = winograd_transform._passes
    outputs, _, inputs = winograd.matrices(4, 3)
    assert passes(inputs) == [[1, 2], [3, 4], [0], [5]]
    assert passes(outputs) == [[0, 2], [1, 3]]
    assert passes(outputs.T) == [[1, 2], [3, 4], [0], [5]]
    larger = winograd.matrices(4, 5)[2]  # 16 values between the sides have no room in any case
    assert passes(larger) == [list(range(8))]
    monkeypatch.setattr(winograd_transform, "FREE", None)
    assert passes(inputs) == [list(range(6))]


def test_a_form_reads_tiles_of_inputs_alike():
    """Those of 3x3 kernels with m = 4 and of 5x5 kernels with m = 2."""
    (_, _, usual), (_, _, larger) = (winograd.matrices(m, taps) for m, taps in ((4, 3), (2, 5)))
    np.testing.assert_array_equal(usual, larger)


class Numbers:
    """The arithmetic of plain numbers, in place of a device's."""

    def multiply(self, factor, value):
        return factor * value

    def add(self, a, b):
        return a + b

    def subtract(self, a, b):
        return a - b

    def multiply_add(self, factor, value, total):
        return factor * value + total


@forms
@pytest.mark.parametrize("number", range(3))
@pytest.mark.parametrize("transposed", [False, True])
def test_shared_sums_give_the_product_with_a_matrix(m, taps, number, transposed):
    matrix = winograd.matrices(m, taps)[number]
    matrix = matrix.T if transposed else matrix
    values = np.random.default_rng(0).standard_normal(matrix.shape[1])
    received = winograd.Sums(Numbers()).product(matrix, values)
    np.testing.assert_allclose(received, matrix @ values, rtol=0, atol=1e-14)


def test_the_points_err_less_than_the_usual_ones():
    generator = np.random.default_rng(0)
    d, g = generator.standard_normal((500, 6, 6)), generator.standard_normal((500, 3, 3))
    exact = correlated(4, d, g)
    errors = [
        np.abs(filtered(4, d, g, np.float32, points) - exact).max()
        for points in (winograd.POINTS[6], (0.0, 1.0, -1.0, 2.0, -2.0))
    ]
    assert 2 * errors[0] < errors[1]


@pytest.mark.parametrize("threads_apart", [1, 9])
def test_one_image_and_many_agree(threads_apart):
    """One image's tiles are shared out among the threads, where many images go one by one."""
    shape = (20, 24, 32)
    model = build(shape, [L.Conv2D(48, 3, padding="same", strategy="winograd", activation="relu")])
    x = images(threads_apart + 1, shape)
    together = model.predict(x)
    for i, image in enumerate(x):
        np.testing.assert_allclose(model.predict(image[None])[0], together[i], rtol=0, atol=2e-5)


def test_weights_are_transformed_anew_after_a_step():
    """At inference the transformed kernel is kept from call to call, until the weights change."""
    model = build((8, 8, 16), [L.Conv2D(16, 3, strategy="winograd")], optimizer=optimizers.SGD(0.1))
    x = images(4, (8, 8, 16))
    before = model.predict(x)
    np.testing.assert_array_equal(model.predict(x), before)
    model.train_on_batch(x, targets_for(model, 4))
    direct = build((8, 8, 16), [L.Conv2D(16, 3, strategy="direct")])
    direct.set_weights(model.get_weights())
    after = model.predict(x)
    np.testing.assert_allclose(after, direct.predict(x), rtol=0, atol=2e-5)
    assert np.abs(after - before).max() > 1e-3


def test_batch_normalization_folds_into_the_transformed_kernel():
    layers = [L.Conv2D(24, 3, strategy="winograd"), L.BatchNormalization(), L.ReLU()]
    model = build((10, 11, 17), layers)
    assert [op.kind for op in model.program().ops if op.kind.startswith("conv")] == ["conv2d"]
    layers = [L.Conv2D(24, 3, strategy="direct"), L.BatchNormalization(), L.ReLU()]
    direct = build((10, 11, 17), layers)
    direct.set_weights(model.get_weights())
    x = images(3, (10, 11, 17))
    np.testing.assert_allclose(model.predict(x), direct.predict(x), rtol=0, atol=5e-5)


@pytest.mark.parametrize("name", [name for name in STRATEGIES if name.startswith("winograd")])
def test_tiles_of_zeros_give_exactly_zero(name):
    """Whatever stands in other tiles: a background and what no gradient reaches stay as they are,
    for a ReLU to stop. Beside other numbers a zero is their rounding, as the docstring says."""
    problem = Problem(24, 24, 17, 20, (3, 3), padding=((1, 1), (1, 1)))
    x, kernel, bias, dy = arrays(problem, 3)
    x[:, 7:], x[..., 5], bias[:], dy[:, 7:], dy[..., 6] = 0, 0, 0, 0, 0
    beyond = 8 + 4  # what the numbers reach, and the rest of the largest tile
    for direction in ("forward", "dx"):
        received = computed(name, direction, problem, x, kernel, bias, dy)
        assert received[:, :7].all() and not received[:, beyond:].any()
    received = computed(name, "dw", problem, x, kernel, bias, dy)
    assert not received[:, :, 5].any() and not received[..., 6].any()
