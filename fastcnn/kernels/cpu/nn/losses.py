"""The losses: of each image, with the gradient of its scores and the rank of its class."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fastcnn.kernels.cpu.nn.activation import as_float
from fastcnn.kernels.cpu.runtime.kernel import Kernel, kernel, record
from fastcnn.kernels.cpu.simd.pointers import floats, ints, record_at
from fastcnn.kernels.lazy_numba import register_jitable
from fastcnn.kernels.shared import losses as loss_functions
from fastcnn.kernels.shared.compiled_loss import rank_of

LOSS = record(
    *("scores", "target", "weight", "gradient", "loss", "rank", "size", "option", "classes"),
)


def _sparse_loss(name: str, function: Callable) -> Kernel:
    def loss(pointer):
        op = record_at(pointer)
        scores, gradient = floats(op.scores, op.size), floats(op.gradient, op.size)
        target = np.int64(ints(op.target, 1)[0])
        # Whatever another thread may write there, nothing is read or written elsewhere.
        label = min(max(target, 0), op.size - 1)
        weight = floats(op.weight, 1)[0]
        loss = function(scores, label, gradient, weight, as_float(op.option))
        floats(op.loss, 1)[0] = loss if label == target else np.float32(np.nan)
        ints(op.rank, 1)[0] = rank_of(scores, label)

    return _named(loss, name)


def _dense_loss(name: str, function: Callable) -> Kernel:
    def loss(pointer):
        op = record_at(pointer)
        scores, gradient = floats(op.scores, op.size), floats(op.gradient, op.size)
        target = floats(op.target, op.size)
        weight = floats(op.weight, 1)[0]
        floats(op.loss, 1)[0] = function(scores, target, gradient, weight, as_float(op.option))
        if op.classes:
            ints(op.rank, 1)[0] = rank_of(scores, np.argmax(target))

    return _named(loss, name)


def _named(body: Callable, name: str) -> Kernel:
    body.__name__ = body.__qualname__ = name
    return kernel(LOSS)(body)


def _loss_kernel(name: str, function: Callable) -> Kernel:
    sparse = name in loss_functions.LABEL_KERNELS
    make = _sparse_loss if sparse else _dense_loss
    return make(f"loss_{name}", register_jitable(error_model="numpy")(function))


LOSSES = {name: _loss_kernel(name, f) for name, f in loss_functions.LOSS_KERNELS.items()}
