"""The losses' machine code reads and writes its own row alone, whatever the labels are."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest
from fences import fenced

from fastcnn.kernels.cpu.nn.losses import LOSS, LOSSES
from fastcnn.kernels.cpu.runtime.compile import load
from fastcnn.kernels.cpu.runtime.kernel import as_record

CLASSES = 5
Z = np.array([0.1, 0.3, 0.2, 0.25, 0.15], np.float32)
SPARSE = [name for name in LOSSES if name.endswith("sparse") or name == "multiclass_hinge"]
INT32 = np.iinfo(np.int32)
OUTSIDE = (-1, CLASSES, CLASSES + 1, INT32.max, INT32.min)
ODD_TARGETS = (np.full(CLASSES, np.nan), np.full(CLASSES, np.inf), np.full(CLASSES, -1e30))


def run(name, target, at_end):
    """(loss, rank, gradient) of one image, all of whose arrays lie between protected pages: what
    reads or writes beside them ends the process."""
    arrays = {
        "scores": Z,
        "target": np.atleast_1d(target),
        "weight": np.ones(1, np.float32),
        "gradient": np.full(CLASSES, np.nan, np.float32),
        "loss": np.zeros(1, np.float32),
        "rank": np.full(1, -7, np.int32),
    }
    arrays = {role: fenced(array, at_end) for role, array in arrays.items()}
    places = {role: array.ctypes.data for role, array in arrays.items()}
    record = as_record(LOSS, {**places, "size": CLASSES, "option": 1.0, "classes": 1})
    kernel = LOSSES[name]
    load([kernel])
    ctypes.CFUNCTYPE(None, ctypes.c_void_p)(kernel.address)(record.ctypes.data)
    return float(arrays["loss"][0]), int(arrays["rank"][0]), arrays["gradient"].copy()


@pytest.mark.parametrize("at_end", [True, False])
@pytest.mark.parametrize("name", SPARSE)
def test_a_label_outside_the_classes_gives_nan_and_touches_nothing_else(name, at_end):
    for label in OUTSIDE:
        loss, rank, gradient = run(name, np.int32(label), at_end)
        assert np.isnan(loss) and 0 <= rank < CLASSES and np.isfinite(gradient).all()
    for label in (0, CLASSES - 1):
        loss, rank, gradient = run(name, np.int32(label), at_end)
        assert np.isfinite(loss) and rank == np.sum(Z[label] < Z) and np.isfinite(gradient).all()


@pytest.mark.parametrize("at_end", [True, False])
@pytest.mark.parametrize("name", sorted(set(LOSSES) - set(SPARSE)))
def test_targets_of_any_kind_touch_nothing_else(name, at_end):
    for target in ODD_TARGETS:
        run(name, target.astype(np.float32), at_end)


def test_every_loss_that_takes_labels_is_among_them():
    assert set(SPARSE) == {
        *("softmax_cross_entropy_sparse", "cross_entropy_sparse", "multiclass_hinge")
    }
