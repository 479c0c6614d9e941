"""The end of a training step on CUDA: losses against float64, gradients, checks, updates."""

from __future__ import annotations

import numpy as np
import pytest
from golden_updates import TRAJECTORIES
from launching import launch, unset
from reference_losses import loss_and_gradient

from fastcnn import losses
from fastcnn.kernels.cuda.nn import losses as loss_kernels
from fastcnn.kernels.cuda.nn import optimizer_step, row_reduction
from fastcnn.kernels.cuda.nn.row_reduction import ROW_THREADS
from fastcnn.kernels.shared.optimizers import UPDATE_KERNELS

LOSSES = [
    losses.SparseCategoricalCrossentropy(from_logits=True),
    losses.SparseCategoricalCrossentropy(),
    losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1),
    losses.CategoricalCrossentropy(label_smoothing=0.2),
    losses.BinaryCrossentropy(from_logits=True, label_smoothing=0.1),
    losses.BinaryCrossentropy(label_smoothing=0.2),
    losses.KLDivergence(from_logits=True),
    losses.KLDivergence(),
    losses.MeanSquaredError(),
    losses.MeanAbsoluteError(),
    losses.Huber(delta=0.5),
    losses.Hinge(),
    losses.SquaredHinge(),
    losses.CategoricalHinge(),
    losses.MulticlassHinge(margin=0.25),
]
ROWS = 5
CLASSES = (3, 2 * ROW_THREADS + 3)  # fewer than a row has threads, and several for each
# One optimizer a kernel.
OPTIMIZERS = {row[0].kernel: row[0] for row in TRAJECTORIES}

# Two trained parameters in a flat array, with a gap between them: (first float, floats).
PARAMETERS = [(3, 2 * optimizer_step.PART + 6), (3000, 5)]
LENGTH = 3010
PARTS = np.array(
    [
        (0, 3, optimizer_step.PART),
        (0, 3 + optimizer_step.PART, optimizer_step.PART),
        (0, 3 + 2 * optimizer_step.PART, 6),
        (1, 3000, 5),
    ],
    np.int64,
)
SPANS = np.array([(0, 3), (3, 1)], np.int64)


def slices():
    return [slice(first, first + size) for first, size in PARAMETERS]


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("classes", CLASSES)
@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.kernel)
def test_loss(monkeypatch, loss, classes):
    """Blocks that have several rows, one after the other."""
    monkeypatch.setattr(row_reduction, "MOST_BLOCKS", 2)
    z, weight = numbers(ROWS, classes), np.abs(numbers(ROWS, seed=1))
    if loss.from_logits or loss.fuses is None:
        z *= np.float32(2)
    else:
        z = (np.abs(z) + np.float32(0.01)) / np.float32(classes)
    labels = np.random.default_rng(2).integers(0, classes, ROWS).astype(np.int32)
    target = labels if loss.target == "sparse" else np.eye(classes, dtype=np.float32)[labels]
    if loss.target_range == (-1, 1):
        target = 2 * target - 1
    found = launch(
        loss_kernels.LOSSES[loss.kernel],
        ROWS,
        scores=z,
        target=target,
        weight=weight,
        gradient=unset(ROWS, classes),
        loss=unset(ROWS),
        rank=np.full(ROWS, -1, np.int32),
        size=classes,
        option=loss.option,
        classes=1,
    )
    value, gradient = loss_and_gradient(loss, z.astype(np.float64), target)
    np.testing.assert_allclose(found["loss"], value, rtol=4e-6, atol=1e-6)
    expected = gradient * weight[:, None]
    np.testing.assert_allclose(found["gradient"], expected, rtol=4e-6, atol=1e-6)
    place = np.argsort(np.argsort(-z, axis=1), axis=1)[np.arange(ROWS), labels]
    np.testing.assert_array_equal(found["rank"], place)


@pytest.mark.parametrize("place", [0, 1, ROW_THREADS + 2])
@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.kernel)
def test_nan_reaches_the_loss(loss, place):
    """Whichever thread meets it."""
    size = 2 * ROW_THREADS
    z = np.full((1, size), 0.25, np.float32)
    z[0, place] = np.nan
    sparse = loss.target == "sparse"
    target = np.zeros(1, np.int32) if sparse else np.eye(size, dtype=np.float32)[:1]
    found = launch(
        loss_kernels.LOSSES[loss.kernel],
        scores=z,
        target=target,
        weight=np.ones(1, np.float32),
        gradient=unset(1, size),
        loss=unset(1),
        rank=np.zeros(1, np.int32),
        size=size,
        option=loss.option,
        classes=1,
    )
    assert np.isnan(found["loss"][0])


def test_every_loss_and_optimizer_is_tested():
    assert {loss.kernel for loss in LOSSES} == set(loss_kernels.LOSSES)
    assert set(OPTIMIZERS) == set(optimizer_step.UPDATES)


def test_ranks_break_ties_by_class_and_need_classes():
    given = {
        "scores": np.float32([[1, 1, 1], [2, 1, 2]]),
        "target": np.float32([[0, 1, 0], [0, 0, 1]]),
        "weight": np.ones(2, np.float32),
        "gradient": unset(2, 3),
        "loss": unset(2),
        "rank": np.full(2, -1, np.int32),
        "size": 3,
    }
    kernel = loss_kernels.LOSSES["mean_squared_error"]
    np.testing.assert_array_equal(launch(kernel, 2, **given, classes=1)["rank"], [1, 1])
    np.testing.assert_array_equal(launch(kernel, 2, **given, classes=0)["rank"], [-1, -1])


def finished(clip=0.0, penalties=((0, 0), (0, 0))):
    values, gradient = numbers(LENGTH), numbers(LENGTH, seed=1)
    found = launch(
        optimizer_step.finish_gradient,
        parts=PARTS,
        values=values,
        gradient=gradient,
        sums=np.full((len(PARTS), 2), np.nan),
        penalties=np.array(penalties, np.float32),
        clip=clip,
        part_count=len(PARTS),
    )
    return values, gradient, found


def test_finish_sums_squares():
    _, gradient, found = finished()
    np.testing.assert_array_equal(found["gradient"], gradient)
    wide = gradient.astype(np.float64)
    expected = [np.sum(wide[first : first + size] ** 2) for _, first, size in PARTS]
    np.testing.assert_allclose(found["sums"][:, 0], expected, rtol=2e-7)
    np.testing.assert_array_equal(found["sums"][:, 1], 0)


def test_finish_adds_the_regularizer_then_clips():
    penalties = [(0, 0), (0.5, 0.25)]
    values, gradient, found = finished(clip=0.4, penalties=penalties)
    first, second = slices()
    expected = gradient.copy()
    expected[second] += np.float32(0.5) * (values[second] + np.sign(values[second]))
    for one in (first, second):
        expected[one] = expected[one].clip(-0.4, 0.4)
    np.testing.assert_allclose(found["gradient"], expected, rtol=1e-6)
    weights = values[second].astype(np.float64)
    penalty = 0.5 * np.abs(weights).sum() + 0.25 * np.sum(weights**2)
    np.testing.assert_allclose(found["sums"][:, 1], [0, 0, 0, penalty], rtol=1e-12)


def checked(sums, clip_each=0.0, clip_all=0.0, losses=(1, 2, 3), control=1, spans=SPANS):
    sums = np.array(sums, np.float64)
    few = launch(optimizer_step.sum_parts, sums=sums, spans=spans, parameters=len(spans))["sums"]
    found = launch(
        optimizer_step.check_gradients,
        len(losses),
        sums=few,
        spans=spans,
        control=np.array([control], np.int64),
        loss=np.array(losses, np.float32),
        factors=unset(len(spans) + 1),
        totals=np.full(2, np.nan),
        parameters=len(spans),
        clip_each=clip_each,
        clip_all=clip_all,
    )
    return found["factors"].tolist(), found["totals"].tolist()


SUMS = [(1, 10), (2, 20), (6, 30), (16, 40)]


@pytest.mark.parametrize(
    "clips, factors",
    [
        ({}, [1, 1, 1]),
        ({"clip_each": 3.5}, [1, 0.875, 1]),
        ({"clip_all": 2.5}, [0.5, 0.5, 1]),
    ],
)
def test_check_clips_norms(clips, factors):
    assert checked(SUMS, **clips) == (factors, [25, 100])


@pytest.mark.parametrize(
    "change",
    [
        {"sums": [(1, 0), (np.inf, 0), (2, 0), (3, 0)]},
        {"sums": [(1, 0), (2, np.nan), (2, 0), (3, 0)]},
        {"losses": [1, np.nan]},
        {"control": 0},
    ],
    ids=["gradient", "penalty", "loss", "control"],
)
def test_no_update_where_anything_is_not_finite_or_the_host_says_so(change):
    factors, _ = checked(**{"sums": SUMS, **change})
    assert factors[-1] == 0


def test_check_of_many_parameters_and_images():
    generator = np.random.default_rng(0)
    # More parameters than groups; as many parts as shares, one more, and more than lanes.
    counts = generator.integers(1, 70, 21)
    counts[:3] = optimizer_step.SHARES, optimizer_step.SHARES + 1, 40 * optimizer_step.SHARES + 7
    spans = np.stack([np.cumsum(counts) - counts, counts], axis=1)
    sums = generator.uniform(1, 2, (counts.sum(), 2))
    factors, totals = checked(sums, clip_each=2.0, losses=np.ones(300), spans=spans)
    np.testing.assert_allclose(totals, sums.sum(axis=0), rtol=1e-13)
    norms = np.sqrt(np.add.reduceat(sums[:, 0], spans[:, 0]))
    np.testing.assert_allclose(factors, [*(2 / np.maximum(norms, 2)), 1], rtol=1e-7)


def updated(kernel, status=1.0):
    optimizer = OPTIMIZERS[kernel]
    slots = 1 / (1.2 + np.abs(numbers(max(1, len(optimizer.slots)), LENGTH, seed=2)))
    slots[0] += np.float32(1)  # a velocity, where there is one, well above a squared average
    given = {"values": numbers(LENGTH), "gradient": numbers(LENGTH, seed=1), "slots": slots}
    factors = np.array([0.5, 1.0, status], np.float32)
    hyper = optimizer.hyper(3)
    found = launch(
        optimizer_step.UPDATES[kernel],
        parts=PARTS,
        hyper=hyper,
        groups=np.zeros(2, np.int64),
        factors=factors,
        parameters=2,
        part_count=len(PARTS),
        **given,
    )
    return given, hyper, factors, found


@pytest.mark.parametrize("kernel", optimizer_step.UPDATES)
def test_update(kernel):
    given, hyper, factors, found = updated(kernel)
    expected = {name: array.astype(np.float64) for name, array in given.items()}
    for one, factor in zip(slices(), factors, strict=False):
        expected["gradient"][one] *= factor
        UPDATE_KERNELS[kernel](
            expected["values"][one],
            expected["gradient"][one],
            expected["slots"][:, one],
            hyper.astype(np.float64),
        )
    for name, array in expected.items():
        np.testing.assert_allclose(found[name], array, rtol=3e-6, atol=1e-6, err_msg=name)
    outside = np.ones(LENGTH, bool)
    for one in slices():
        outside[one] = False
    np.testing.assert_array_equal(found["values"][outside], given["values"][outside])


def test_nothing_changes_without_the_status():
    given, _, _, found = updated("adam", status=0.0)
    for name, array in given.items():
        np.testing.assert_array_equal(found[name], array)
