"""The table of a model's layers."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastcnn.layers.base import Layer
    from fastcnn.model import Sequential


def summary_text(model: Sequential) -> str:
    """Return output shape, parameters, multiply-adds and activation memory per image, by layer."""
    rows = [_row(layer, depth) for top in model.layers for layer, depth in _walk(top, 0)]
    head = ("layer", "output", "parameters", "multiply-adds", "memory")
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    lines = [_line(row, widths) for row in [head, *rows]]
    rule = "-" * len(lines[0])
    return "\n".join([repr_name(model), rule, lines[0], rule, *lines[1:], rule, *_totals(model)])


def repr_name(model: Sequential) -> str:
    shape = " x ".join(map(str, model.input_shape))
    return f"{model.name}, input {shape}"


def _walk(layer: Layer, depth: int) -> Iterator[tuple[Layer, int]]:
    yield layer, depth
    for inside in layer.sublayers:
        yield from _walk(inside, depth + 1)


def _row(layer: Layer, depth: int) -> tuple[str, ...]:
    own = sum(parameter.size for parameter in layer.parameters)
    work = layer.multiply_adds() if not layer.sublayers else 0
    return (
        f"{'  ' * depth}{layer.name} ({type(layer).__name__})",
        " x ".join(map(str, layer.output_shape)),
        f"{own:,}" if own else "",
        f"{work:,}" if work else "",
        _bytes(4 * prod(layer.output_shape)) if not layer.sublayers else "",
    )


def _line(row: tuple[str, ...], widths: list[int]) -> str:
    left = f"{row[0]:<{widths[0]}}  {row[1]:<{widths[1]}}"
    return "  ".join([left, *(f"{row[i]:>{widths[i]}}" for i in range(2, len(row)))])


def _totals(model: Sequential) -> list[str]:
    total = sum(p.size for p in model.parameters)
    trained = sum(p.size for p in model.parameters if p.trainable)
    work = sum(layer.multiply_adds() for layer in model.layers)
    every = [layer for top in model.layers for layer, _ in _walk(top, 0) if not layer.sublayers]
    memory = 4 * sum(prod(layer.output_shape) for layer in every)
    return [
        f"parameters: {total:,} ({_bytes(4 * total)}), of them trained: {trained:,}",
        f"multiply-adds: {work:,} an image ({_count(work)})",
        f"activations: {_bytes(memory)} an image",
    ]


def _bytes(size: float) -> str:
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.2f} GiB"


def _count(number: int) -> str:
    for unit, scale in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= scale:
            return f"{number / scale:.1f} {unit}"
    return str(number)
