"""The table of a model's layers."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from math import prod

from fastcnn import strategies
from fastcnn.graph.problem import Problem
from fastcnn.layers.base import Layer
from fastcnn.layers.window_remainder import unread_in, unread_words
from fastcnn.models.network import Network
from fastcnn.models.receptive_fields import IMAGES, LEAST, LayerField, layer_fields, widening
from fastcnn.strategies import DIRECTIONS, Chosen
from fastcnn.training.trainer import Trainer
from fastcnn.utils.naming import shown
from fastcnn.utils.threads import num_threads

MARKS = {"estimated": "", "measured": "*", "asked for": "!"}
UNREAD = "~"
"""Marks a layer whose strides leave pixels of its input out."""
LINE = 80
"""Columns of the table of receptive fields."""
FIELD_NOTES = (
    "receptive field: pixels that a unit depends on, those of the border among them",
    "stride: pixels from a unit to the next",
    f"effective: the side of the square with as many pixels as have more than {100 * LEAST:.2f} % "
    "of the largest gradient of the unit in the middle, by root mean square over the layer's "
    f"channels and {IMAGES} images of noise (Luo et al., 2016); "
    "empty where a layer sees no further than the one before",
)


def summary_text(model: Trainer, images: int = 32) -> str:
    """Return output shape, parameters, multiply-adds and activation memory per image, by layer.

    Where there are convolutions, their strategies for batches of `images` stand beside them, or
    where that is too wide, below.
    """
    chosen = strategies.training_choices(model, images)
    by_layer = _strategies(chosen)
    unread = unread_in(model)
    marked = {layer.path for layer in unread}
    every = [entry for top in model.layers for entry in _walk(top, 0)]
    rows = [_row(layer, depth, by_layer, layer.path in marked) for layer, depth in every]
    head = ("layer", "output", "parameters", "multiply-adds", "memory", "strategy")
    beside = bool(chosen) and sum(_widths([head, *rows])) + 2 * (len(head) - 1) <= LINE
    columns = len(head) if beside else len(head) - 1
    lines = _table([row[:columns] for row in [head, *rows]])
    rule = "-" * max(map(len, lines))
    notes = [] if beside else _by_strategy(rows)
    notes += _notes(model, chosen, images) if chosen else []
    table = [repr_name(model), rule, lines[0], rule, *lines[1:], rule]
    notes += [f"{UNREAD} {unread_words(layer, pixels)}" for layer, pixels in unread.items()]
    told = [line for note in [*_totals(model), *notes] for line in textwrap.wrap(note, LINE)]
    return "\n".join([*table, *told])


def _table(rows: list[tuple[str, ...]]) -> list[str]:
    """Lines of at most LINE columns, for which names are cut."""
    first, *rest = _widths(rows)
    first = min(first, max(LINE - sum(rest) - 2 * len(rest), len("layer")))
    cut = [(_cut(name, first), *others) for name, *others in rows]
    return [_line(row, [first, *rest]) for row in cut]


def _widths(rows: Iterable[tuple[str, ...]]) -> list[int]:
    return [max(map(len, column)) for column in zip(*rows, strict=True)]


def _by_strategy(rows: list[tuple[str, ...]]) -> list[str]:
    """Which layers are computed by the same strategies."""
    layers: dict[str, list[str]] = {}
    for name, *_, strategy in rows:
        if strategy:
            layers.setdefault(strategy, []).append(name.split()[0])
    return [f"{strategy}: {', '.join(names)}" for strategy, names in layers.items()]


def receptive_field_text(model: Network) -> str:
    """Return output shape, receptive field, stride and effective field, by layer, in 80 columns."""
    fields = layer_fields(model)
    by_path = {field.layer.path: field for field in fields}
    measured = {field.layer.path: f"{field.effective:.1f}" for field in widening(fields)}
    every = [entry for top in model.layers for entry in _walk(top, 0)]
    head = ("layer", "output", "receptive field", "stride", "effective")
    rows = [
        (*_field_row(layer, depth, by_path.get(layer.path)), measured.get(layer.path, ""))
        for layer, depth in every
    ]
    rest = [max(len(row[i]) for row in [head, *rows]) for i in range(1, len(head))]
    most = max(LINE - sum(rest) - 2 * len(rest), len("layer"))
    rows = [(_cut(name, most), *others) for name, *others in [head, *rows]]
    widths = [max(len(row[0]) for row in rows), *rest]
    lines = [_line(row, widths) for row in rows]
    rule = "-" * max(map(len, lines))
    notes = [line for note in FIELD_NOTES for line in textwrap.wrap(note, LINE)]
    return "\n".join([repr_name(model), rule, lines[0], rule, *lines[1:], rule, *notes])


def _field_row(layer: Layer, depth: int, field: LayerField | None) -> tuple[str, ...]:
    size = stride = ""
    if field is not None and field.has_places:
        size = _times(span.size for span in field.field)
        stride = _times(span.stride for span in field.field)
    elif field is not None:
        size = "the image"
    return "  " * depth + shown(layer.name), _times(layer.output_shape), size, stride


def _times(numbers: Iterable[int]) -> str:
    return " x ".join(map(str, numbers))


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def repr_name(model: Trainer) -> str:
    return f"{shown(model.name)}, input {_times(model.input_shape)}"


def _walk(layer: Layer, depth: int) -> Iterator[tuple[Layer, int]]:
    yield layer, depth
    for inside in layer.sublayers:
        yield from _walk(inside, depth + 1)


def _row(layer: Layer, depth: int, strategies: dict[str, str], unread: bool) -> tuple[str, ...]:
    own = sum(parameter.size for parameter in layer.parameters)
    work = layer.multiply_adds() if not layer.sublayers else 0
    return (
        f"{'  ' * depth}{shown(layer.name)} ({type(layer).__name__})",
        _times(layer.output_shape) + (f" {UNREAD}" if unread else ""),
        f"{own:,}" if own else "",
        f"{work:,}" if work else "",
        _bytes(4 * prod(layer.output_shape)) if not layer.sublayers else "",
        strategies.get(layer.path, ""),
    )


def _line(row: tuple[str, ...], widths: list[int]) -> str:
    left = [f"{row[i]:<{widths[i]}}" for i in range(2)]
    numbers = [f"{row[i]:>{widths[i]}}" for i in range(2, 5)]
    return "  ".join([*left, *numbers, *row[5 : len(widths)]]).rstrip()


def _strategies(chosen: list[Chosen]) -> dict[str, str]:
    """Return each layer's strategies as text, by its path."""
    marked: dict[str, dict[Problem, dict[str, str]]] = {}
    for choice in chosen:
        of_problem = marked.setdefault(choice.layer, {}).setdefault(choice.problem, {})
        of_problem[choice.direction] = choice.strategy + MARKS[choice.why]
    # A separable convolution is two.
    return {
        path: " + ".join(dict.fromkeys(map(_directions, problems.values())))
        for path, problems in marked.items()
    }


def _directions(marked: dict[str, str]) -> str:
    """Return "forward / dx / dw", or the one name where they agree."""
    if len(set(marked.values())) == 1:
        return next(iter(marked.values()))
    return " / ".join(marked.get(direction, "-") for direction in DIRECTIONS)


def _notes(model: Trainer, chosen: list[Chosen], images: int) -> list[str]:
    where = f"threads: {num_threads()}" if model.device == "cpu" else f"device: {model.device}"
    notes = [
        f"strategies: forward / dx / dw (- where not needed), for batches of {images}, {where}; "
        f"fastcnn's choices keep within a relative error of {model.error_bound:g}"
    ]
    reasons = {choice.why for choice in chosen}
    if "estimated" in reasons:
        notes.append("unmarked: estimated by the cost model; fastcnn tune measures")
    if "measured" in reasons:
        others = strategies.beside_estimate(chosen, images, model.error_bound)
        notes.append(
            f"* measured on this machine; {len(others)} of {len(chosen)} are not as estimated"
        )
    if "asked for" in reasons:
        notes.append("! named in the layer's settings, whatever is measured")
    return notes


def _totals(model: Trainer) -> list[str]:
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
