"""Normalization of each image by itself, and its gradients."""

from __future__ import annotations

from math import prod

from fastcnn.backends.lowering.regions import Regions
from fastcnn.graph.program import Buffer, Op
from fastcnn.kernels.call import IMAGE, Region


def _sizes(op: Op, x: Buffer) -> dict[str, int]:
    """Return how an image is cut into groups: [rows, pixels, groups, width]."""
    rows, groups, channels = (op.attributes[name] for name in ("rows", "groups", "channels"))
    return {
        "rows": rows,
        "pixels": x.size // (rows * channels),
        "groups": groups,
        "width": channels // groups,
    }


def group_norm(low: Regions, op: Op) -> None:
    y, moments = (low.region(buffer) for buffer in op.outputs)
    places = {"x": low.region(op.inputs[0]), "y": y, "moments": moments}
    places |= {name: low.parameter(parameter) for name, parameter in op.parameters.items()}
    low.emit(
        low.kernels.group_normalization.group_norm,
        IMAGE,
        ("y", "moments"),
        places,
        **_sizes(op, op.inputs[0]),
        epsilon=float(op.attributes["epsilon"]),
    )


def group_norm_dx(low: Regions, op: Op) -> None:
    x, dy, moments = (low.region(buffer) for buffer in op.inputs)
    places = {"x": x, "dy": dy, "moments": moments, "gamma": low.weights(op, "gamma")}
    places["dx"] = low.region(op.outputs[0])
    kernel = low.kernels.group_normalization.group_norm_dx
    low.emit(kernel, IMAGE, "dx", places, **_sizes(op, op.inputs[0]))


def group_norm_dw(low: Regions, op: Op) -> None:
    x, dy, moments = (low.region(buffer) for buffer in op.inputs)
    sizes, channels = _sizes(op, op.inputs[0]), op.attributes["channels"]
    pixels = prod(sizes.values()) // channels
    gamma, beta = low.gradient(op, "gamma"), low.gradient(op, "beta")
    if gamma is not None:
        products = Region(4 * op.inputs[0].size, label="normalized times dy")
        places = {"x": x, "dy": dy, "moments": moments, "products": products}
        kernel = low.kernels.group_normalization.group_norm_products
        low.emit(kernel, IMAGE, "products", places, **sizes)
        low.kernels.bias.bias_dw(low.calls, pixels, channels, products, gamma)
    if beta is not None:
        low.kernels.bias.bias_dw(low.calls, pixels, channels, dy, beta)
