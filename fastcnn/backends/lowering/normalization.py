"""Batch normalization's ops."""

from __future__ import annotations

from math import prod

from fastcnn.backends.lowering.regions import Partial, Regions
from fastcnn.graph.program import Buffer, Op
from fastcnn.kernels.call import BATCH, IMAGE, Call, Region
from fastcnn.kernels.shared import normalization as shared


def batch_moments(low: Regions, op: Op) -> None:
    x = low.region(op.inputs[0])
    moments = shared.moments(low.kernels.normalization, low.calls, x, *_sizes(op.inputs[0]))
    low.partials[op.outputs[0]] = Partial(moments, op.inputs[0])


def _sizes(buffer: Buffer) -> tuple[int, int]:
    """Return a buffer's pixels and channels."""
    return prod(buffer.shape[:-1]), buffer.shape[-1]


def _statistics(low: Regions, op: Op, *names: str) -> dict[str, Region | None]:
    return {name: low.weights(op, name) for name in names}


def batch_scale_shift(low: Regions, op: Op) -> None:
    moments = op.inputs[0]
    partial, measured = low.partials[moments]
    call = low.emit(
        low.kernels.normalization.batch_scale_shift,
        BATCH,
        ("moments", "scale", "shift", "moving_mean", "moving_variance"),
        {
            **_statistics(low, op, "gamma", "beta", "moving_mean", "moving_variance"),
            "partial": partial,
            "moments": low.region(moments),
            "scale": low.region(op.outputs[0]),
            "shift": low.region(op.outputs[1]),
        },
        pixels=prod(measured.shape[:-1]),
        channels=measured.shape[-1],
        epsilon=float(op.attributes["epsilon"]),
        momentum=float(op.attributes["momentum"]),
    )
    _among_ranks(call, op)


def _among_ranks(call: Call, op: Op) -> None:
    """Say whether ranks merge the statistics of all images or each those of its own."""
    call.whole, call.apart = op.attributes["synchronized"], not op.attributes["synchronized"]


def moving_scale_shift(low: Regions, op: Op) -> None:
    places = _statistics(low, op, "gamma", "beta", "moving_mean", "moving_variance")
    places |= {"scale": low.region(op.outputs[0]), "shift": low.region(op.outputs[1])}
    low.emit(
        low.kernels.normalization.moving_scale_shift,
        BATCH,
        ("scale", "shift"),
        places,
        channels=op.outputs[0].size,
        epsilon=float(op.attributes["epsilon"]),
    )


def _gate(low: Regions, op: Op) -> dict[str, Region]:
    """Return the scale and shift whose sign decides what ReLU let through, where it did."""
    return dict(zip(("scale", "shift"), map(low.region, op.inputs[3:]), strict=False))


def batch_norm_sums(low: Regions, op: Op) -> None:
    x, dy, moments = (low.region(buffer) for buffer in op.inputs[:3])
    (pixels, channels), gate = _sizes(op.inputs[0]), _gate(low, op)
    kernels = low.kernels.normalization
    sums = shared.sums(kernels, low.calls, x, dy, moments, pixels, channels, **gate)
    low.partials[op.outputs[0]] = Partial(sums, op.inputs[0])


def batch_norm_dw(low: Regions, op: Op) -> None:
    sums, moments = op.inputs
    partial, summed = low.partials[sums]
    shape = summed.shape
    places = {
        "partial": partial,
        "moments": low.region(moments),
        "gamma": low.weights(op, "gamma"),
        "gamma_gradient": low.gradient(op, "gamma"),
        "beta_gradient": low.gradient(op, "beta"),
        "coefficients": low.region(op.outputs[0]),
    }
    written = ("coefficients", "gamma_gradient", "beta_gradient")
    call = low.emit(
        low.kernels.normalization.batch_norm_dw,
        BATCH,
        tuple(name for name in written if places[name] is not None),
        places,
        pixels=prod(shape[:-1]),
        channels=shape[-1],
        epsilon=float(op.attributes["epsilon"]),
    )
    _among_ranks(call, op)


def batch_norm_dx(low: Regions, op: Op) -> None:
    x, dy, coefficients = (low.region(buffer) for buffer in op.inputs[:3])
    shape = op.outputs[0].shape
    places = {"x": x, "dy": dy, "coefficients": coefficients, "dx": low.output(op)}
    places |= _gate(low, op)
    sizes = {"pixels": prod(shape[:-1]), "channels": shape[-1]}
    low.emit(low.kernels.normalization.batch_norm_dx, IMAGE, "dx", places, **sizes)
