"""Every loss: its value and gradient against Keras, float64 formulas and central differences."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from reference_losses import loss_and_gradient

from fastcnn import losses
from fastcnn.kernels.lazy_numba import numba
from fastcnn.kernels.shared.losses import LOSS_KERNELS, softmax
from fastcnn.losses import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    CategoricalHinge,
    Hinge,
    Huber,
    KLDivergence,
    MeanAbsoluteError,
    MeanSquaredError,
    MulticlassHinge,
    SparseCategoricalCrossentropy,
    SquaredHinge,
)

F = np.float32
JITTED = {name: numba.njit(error_model="numpy")(f) for name, f in LOSS_KERNELS.items()}
KERNELS = [pytest.param(LOSS_KERNELS, id="python"), pytest.param(JITTED, id="numba")]

# Logits, probabilities, labels, one-hot targets, yes/no targets, signs and distributions.
Z = [[2.0, -1.0, 0.5, 0.1], [-3.0, 0.25, 1.5, -0.5], [0.0, 4.0, -2.0, 1.0]]
P = [[0.7, 0.1, 0.15, 0.05], [0.02, 0.3, 0.6, 0.08], [0.001, 0.9, 0.0, 0.099]]
Y = [0, 3, 1]
T = [[1, 0, 0, 0], [0, 0, 0, 1], [0, 1, 0, 0]]
B = [[1, 0, 1, 0], [0, 0, 1, 1], [1, 1, 0, 0]]
S = [[1, -1, 1, -1], [-1, -1, 1, 1], [1, 1, -1, -1]]
D = [[0.4, 0.3, 0.2, 0.1]] * 3

# What Keras 3.15.1 (torch and jax, float64) computes: loss, outputs, targets, losses, gradients.
KERAS = [
    (
        SparseCategoricalCrossentropy(from_logits=True),
        Z,
        Y,
        [0.352405938, 2.35973461, 0.0682019209],
        [
            [-0.297005308, 0.0350000448, 0.156859318, 0.105145945],
            [0.00775254105, 0.199940669, 0.697861506, -0.905554715],
            [0.0171081226, -0.0659281541, 0.00231533262, 0.0465046989],
        ],
    ),
    (
        SparseCategoricalCrossentropy(),
        P,
        Y,
        [0.356674944, 2.52572864, 0.105360516],
        [[-0.428571429, 1, 1, 1], [1, 1, 1, -11.5], [1, -0.111111111, 1, 1]],
    ),
    (
        CategoricalCrossentropy(from_logits=True),
        Z,
        T,
        [0.352405938, 2.35973461, 0.0682019209],
        [
            [-0.297005308, 0.0350000448, 0.156859318, 0.105145945],
            [0.00775254105, 0.199940669, 0.697861506, -0.905554715],
            [0.0171081226, -0.0659281541, 0.00231533262, 0.0465046989],
        ],
    ),
    (
        CategoricalCrossentropy(from_logits=True, label_smoothing=0.1),
        Z,
        T,
        [0.512405938, 2.35348461, 0.393201921],
        [
            [-0.222005308, 0.0100000448, 0.131859318, 0.0801459454],
            [-0.017247459, 0.174940669, 0.672861506, -0.830554715],
            [-0.00789187737, 0.0090718459, -0.0226846674, 0.0215046989],
        ],
    ),
    (
        CategoricalCrossentropy(label_smoothing=0.1),
        P,
        T,
        [0.509810257, 2.47696953, 0.730920636],
        [
            [-0.321428571, 0.75, 0.833333333, 0.5],
            [-0.25, 0.916666667, 0.958333333, -10.5625],
            [-24.025, -0.0527777778, 0.975, 0.722474747],
        ],
    ),
    (
        BinaryCrossentropy(from_logits=True),
        Z,
        B,
        [0.414665848, 0.51250422, 0.537871718],
        [
            [-0.0298007305, 0.0672353553, -0.0943851672, 0.131244797],
            [0.0118564683, 0.140544125, -0.045606381, -0.155614833],
            [-0.125, -0.00449655249, 0.0298007305, 0.182764645],
        ],
    ),
    (
        BinaryCrossentropy(from_logits=True, label_smoothing=0.1),
        Z,
        B,
        [0.457165837, 0.55937928, 0.600371718],
        [
            [-0.0173007305, 0.0547353553, -0.0818851672, 0.118744797],
            [-0.000643531706, 0.128044125, -0.033106381, -0.143114833],
            [-0.1125, 0.00800344751, 0.0173007305, 0.170264645],
        ],
    ),
    (
        BinaryCrossentropy(),
        P,
        B,
        [0.602612197, 0.85335803, 1.77934146],
        [
            [-0.357142857, 0.277777778, -1.66666667, 0.263157895],
            [0.255102041, 0.357142857, -0.416666667, -3.125],
            [-250, -0.277777778, 0, 0.277469478],
        ],
    ),
    (
        MeanSquaredError(),
        Z,
        B,
        [0.564999998, 2.890625, 3.75],
        [[0.5, -0.5, -0.25, 0.05], [-1.5, 0.125, 0.25, -0.75], [-0.5, 1.5, -1, 0.5]],
    ),
    (CategoricalHinge(), Z, T, [0, 3, 0], [[0, 0, 0, 0], [0, 0, 1, -1], [0, 0, 0, 0]]),
    (
        MeanAbsoluteError(),
        Z,
        B,
        [0.65, 1.3125, 1.75],
        [[0.25, -0.25, -0.25, 0.25], [-0.25, 0.25, 0.25, -0.25], [-0.25, 0.25, -0.25, 0.25]],
    ),
    (
        Huber(),
        Z,
        B,
        [0.2825, 0.9140625, 1.25],
        [[0.25, -0.25, -0.125, 0.025], [-0.25, 0.0625, 0.125, -0.25], [-0.25, 0.25, -0.25, 0.25]],
    ),
    (
        Huber(delta=0.5),
        Z,
        B,
        [0.22, 0.5390625, 0.75],
        [
            [0.125, -0.125, -0.125, 0.025],
            [-0.125, 0.0625, 0.125, -0.125],
            [-0.125, 0.125, -0.125, 0.125],
        ],
    ),
    (
        KLDivergence(),
        P,
        T,
        [0.356670828, 2.52572437, 0.105358214],
        [
            [-1.42857143, -1e-6, -6.67e-7, -2e-6],
            [-5e-6, -3.33e-7, -1.67e-7, -12.5],
            [-1e-4, -1.11111111, 0, -1.01e-6],
        ],
    ),
    (
        KLDivergence(),
        P,
        D,
        [0.232588504, 1.00088481, 4.96973871],
        [
            [-0.571428571, -3, -1.33333333, -2],
            [-20, -1, -0.333333333, -1.25],
            [-400, -0.333333333, 0, -1.01010101],
        ],
    ),
    (
        Hinge(),
        Z,
        S,
        [0.4, 0.6875, 0.75],
        [[0, 0, -0.25, 0.25], [0, 0.25, 0, -0.25], [-0.25, 0, 0, 0.25]],
    ),
    (
        SquaredHinge(),
        Z,
        S,
        [0.365, 0.953125, 1.25],
        [[0, 0, -0.25, 0.55], [0, 0.625, 0, -0.75], [-0.5, 0, 0, 1]],
    ),
]

LOSSES = [
    SparseCategoricalCrossentropy(from_logits=True),
    SparseCategoricalCrossentropy(),
    CategoricalCrossentropy(from_logits=True),
    CategoricalCrossentropy(from_logits=True, label_smoothing=0.1),
    CategoricalCrossentropy(),
    CategoricalCrossentropy(label_smoothing=0.2),
    BinaryCrossentropy(from_logits=True),
    BinaryCrossentropy(from_logits=True, label_smoothing=0.1),
    BinaryCrossentropy(),
    BinaryCrossentropy(label_smoothing=0.2),
    MeanSquaredError(),
    MeanAbsoluteError(),
    Huber(),
    Huber(delta=0.25),
    KLDivergence(from_logits=True),
    KLDivergence(),
    Hinge(),
    Hinge(margin=0),
    SquaredHinge(),
    CategoricalHinge(),
    MulticlassHinge(),
    MulticlassHinge(margin=0.25),
    MulticlassHinge(margin=0),
]


def run(kernels, loss, z, y, scale=1.0):
    """(losses, gradients) of rows; dz starts as NaN, so that every element must be written."""
    kernel = kernels[loss.kernel]
    z = np.asarray(z, F)
    dz = np.full_like(z, np.nan)
    target = np.asarray(y) if loss.target == "sparse" else np.asarray(y, F)
    values = [kernel(z[i], target[i], dz[i], F(scale), F(loss.option)) for i in range(len(z))]
    return np.array(values), dz


def rows(loss, generator, n=5, classes=7):
    """Outputs and targets that suit the loss, away from the kinks of the hinges."""
    z = generator.normal(0, 2, (n, classes))
    y = generator.integers(0, classes, n)
    if loss.fuses == "softmax":
        z = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True) * 0.75
    elif loss.fuses == "sigmoid":
        z = 1 / (1 + np.exp(-z))
    if loss.target == "dense" and loss.has_classes:
        y = np.eye(classes)[y]
    elif loss.target == "dense":
        y = generator.integers(0, 2, (n, classes)).astype(float)
    if loss.target_range == (-1, 1):
        y = 2 * y - 1
    return z.astype(F), y


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize("loss, z, y, values, gradients", KERAS, ids=[repr(c[0]) for c in KERAS])
def test_as_keras(kernels, loss, z, y, values, gradients):
    got, dz = run(kernels, loss, z, y)
    np.testing.assert_allclose(got, values, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(dz, gradients, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize("loss", LOSSES, ids=repr)
def test_float64_formula_and_central_differences(kernels, loss, classes=7):
    z, y = rows(loss, np.random.default_rng(5))
    got, dz = run(kernels, loss, z, y, scale=0.5)
    expected, gradient = loss_and_gradient(loss, z.astype(np.float64), y)
    np.testing.assert_allclose(got, expected, rtol=2e-6, atol=1e-6)
    np.testing.assert_allclose(dz, 0.5 * gradient, rtol=1e-5, atol=1e-6)
    step = 1e-6
    for j in range(z.shape[1]):
        up, down = z.astype(np.float64), z.astype(np.float64)
        up[:, j] += step
        down[:, j] -= step
        slope = (loss_and_gradient(loss, up, y)[0] - loss_and_gradient(loss, down, y)[0]) / 2e-6
        np.testing.assert_allclose(dz[:, j], 0.5 * slope, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize("loss", [x for x in LOSSES if x.from_logits], ids=repr)
def test_extreme_logits(kernels, loss):
    z = np.array([[1e4, -1e4, 0, 3], [-1e4, 1e4, 1e4, 0], [-1e4, -1e4, -1e4, -1e4]], F)
    y = [1, 3, 0] if loss.target == "sparse" else np.eye(4)[[1, 3, 0]]
    got, dz = run(kernels, loss, z, y)
    expected, gradient = loss_and_gradient(loss, z.astype(np.float64), np.asarray(y))
    np.testing.assert_allclose(got, expected, rtol=1e-6)
    np.testing.assert_allclose(dz, gradient, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize("loss", [x for x in LOSSES if "Cross" in repr(x) and x.fuses], ids=repr)
def test_probabilities_of_0_and_1_are_clipped(kernels, loss):
    z = np.array([[1, 0, 0, 0], [1, 0, 0, 0]], F)
    y = np.array([0, 1]) if loss.target == "sparse" else np.eye(4)[[0, 1]]
    got, dz = run(kernels, loss, z, y)
    expected, gradient = loss_and_gradient(loss, z.astype(np.float64), y)
    # float32 has 1 - 1.19e-7 for 1 - 1e-7, which log(1 - p) shows.
    np.testing.assert_allclose(got, expected, rtol=0.02, atol=1e-6)
    np.testing.assert_allclose(dz, gradient, atol=1e-6)


@pytest.mark.parametrize("kernels", KERNELS)
def test_multiclass_hinge_by_hand(kernels):
    # CS231n's example: scores 3.2, 5.1, -1.7 and class 0: max(0, 2.9) + max(0, -3.9).
    values, dz = run(kernels, MulticlassHinge(), [[3.2, 5.1, -1.7], [2.2, 2.5, -3.1]], [0, 2])
    np.testing.assert_allclose(values, [2.9, 12.9], rtol=1e-6)
    np.testing.assert_array_equal(dz, [[-1, 1, 0], [1, 1, -2]])


@pytest.mark.parametrize("kernels", KERNELS)
def test_a_tie_is_a_mistake_of_the_perceptron(kernels):
    """So that it learns from weights of zero; at a margin of 1, the kink is on the flat side."""
    zeros = [[0.0, 0.0, 0.0]]
    values, dz = run(kernels, Hinge(margin=0), zeros, [[1, -1, 1]])
    np.testing.assert_array_equal(values, [0])
    np.testing.assert_allclose(dz, [[-1 / 3, 1 / 3, -1 / 3]], rtol=1e-6)
    values, dz = run(kernels, MulticlassHinge(margin=0), zeros, [1])
    np.testing.assert_array_equal(values, [0])
    np.testing.assert_array_equal(dz, [[1, -2, 1]])
    _, dz = run(kernels, Hinge(), [[1.0, -1.0, 1.0]], [[1, -1, 1]])
    np.testing.assert_array_equal(dz, [[0, 0, 0]])


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize("loss", LOSSES, ids=repr)
@pytest.mark.parametrize("place", [0, 3, 6])
def test_nan_reaches_the_loss(kernels, loss, place):
    z, y = rows(loss, np.random.default_rng(2))
    z[:, place] = np.nan
    with np.errstate(invalid="ignore"):
        values, _ = run(kernels, loss, z, y)
    assert np.isnan(values).all()


def test_softmax():
    z = np.array([1e4, 0, 9999, -1e4], F)
    out = np.empty_like(z)
    numba.njit(error_model="numpy")(softmax)(z, out)
    e = np.exp([0.0, -1e4, -1.0, -2e4])
    np.testing.assert_allclose(out, e / e.sum(), rtol=1e-6)
    softmax(z, z)
    np.testing.assert_allclose(z, out, rtol=1e-6)


@pytest.mark.parametrize("name", LOSS_KERNELS)
def test_kernels_compute_in_float32(name):
    f32 = numba.float32
    sparse = "label" in inspect.signature(LOSS_KERNELS[name]).parameters
    kernel = numba.njit(error_model="numpy")(LOSS_KERNELS[name])
    kernel.compile((f32[::1], numba.int64 if sparse else f32[::1], f32[::1], f32, f32))
    (signature,) = kernel.nopython_signatures
    assert signature.return_type == f32
    (llvm,) = kernel.inspect_llvm().values()
    # The first function is the kernel; the others box its result for Python.
    assert "fpext" not in llvm.split("define ")[1]


@pytest.mark.parametrize("loss", LOSSES, ids=repr)
def test_configuration_round_trip(loss):
    copy = losses.get({"class_name": type(loss).__name__, "config": loss.get_config()})
    assert type(copy) is type(loss)
    assert vars(copy) == vars(loss)


@pytest.mark.parametrize(
    "name, kernel, fuses",
    [
        ("sparse_categorical_crossentropy", "cross_entropy_sparse", "softmax"),
        ("categorical_crossentropy", "cross_entropy_dense", "softmax"),
        ("binary_crossentropy", "binary_cross_entropy", "sigmoid"),
        ("mean_squared_error", "mean_squared_error", None),
        ("mse", "mean_squared_error", None),
        ("MSE", "mean_squared_error", None),
        ("MeanSquaredError", "mean_squared_error", None),
        ("bce", "binary_cross_entropy", "sigmoid"),
        ("BCE", "binary_cross_entropy", "sigmoid"),
        ("mean_absolute_error", "mean_absolute_error", None),
        ("mae", "mean_absolute_error", None),
        ("MAE", "mean_absolute_error", None),
        ("MeanAbsoluteError", "mean_absolute_error", None),
        ("huber", "huber", None),
        ("huber_loss", "huber", None),
        ("Huber", "huber", None),
        ("kl_divergence", "kl_divergence", "softmax"),
        ("kullback_leibler_divergence", "kl_divergence", "softmax"),
        ("kld", "kl_divergence", "softmax"),
        ("KLD", "kl_divergence", "softmax"),
        ("KLDivergence", "kl_divergence", "softmax"),
        ("hinge", "hinge", None),
        ("Hinge", "hinge", None),
        ("squared_hinge", "squared_hinge", None),
        ("SquaredHinge", "squared_hinge", None),
        ("CategoricalHinge", "categorical_hinge", None),
        ("categorical_hinge", "categorical_hinge", None),
        ("multiclass_hinge", "multiclass_hinge", None),
        ("SparseCategoricalCrossentropy", "cross_entropy_sparse", "softmax"),
        (CategoricalHinge, "categorical_hinge", None),
    ],
)
def test_get(name, kernel, fuses):
    loss = losses.get(name)
    assert loss.kernel == kernel
    assert loss.fuses == fuses
    assert (loss.fused_kernel in LOSS_KERNELS) == (fuses is not None)
    assert losses.get(loss) is loss


def test_every_loss_is_tested():
    assert {type(loss) for loss in LOSSES} == set(losses.LOSSES.values())


def test_from_logits_takes_the_fused_kernel():
    loss = SparseCategoricalCrossentropy(from_logits=True)
    assert (loss.kernel, loss.fuses) == ("softmax_cross_entropy_sparse", None)
    assert loss.name == "sparse_categorical_crossentropy"


@pytest.mark.parametrize(
    "make, error, words",
    [
        (lambda: losses.get("SparseCrossentropy"), ValueError, "mean '"),
        (lambda: losses.get("mean_square_eror"), ValueError, "mean 'mean_squared_error'"),
        (lambda: losses.get(3), TypeError, "Expected a loss.* Received 3 of type int"),
        (lambda: losses.get({"class_name": "X"}), ValueError, "configuration of a loss"),
        (
            lambda: losses.get({"class_name": "MeanSquaredError", "config": {"axis": 1}}),
            ValueError,
            "MeanSquaredError cannot be made from {'axis': 1}",
        ),
        (
            lambda: CategoricalCrossentropy(label_smoothing=1.5),
            ValueError,
            "label_smoothing must be a number from 0 to 1. Received 1.5",
        ),
        (lambda: BinaryCrossentropy(from_logits="yes"), TypeError, "must be True or False"),
        (lambda: MulticlassHinge(margin=-1), ValueError, "margin must be a number of at least 0"),
        (lambda: Hinge(margin=-1), ValueError, "Hinge: margin must be a number of at least 0"),
        (lambda: Huber(delta=0), ValueError, "Huber: delta must be a number above 0. Received 0"),
    ],
)
def test_errors_in_words(make, error, words):
    with pytest.raises(error, match=words):
        make()
