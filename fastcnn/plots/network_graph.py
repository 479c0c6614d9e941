"""A network as what is drawn of it: blocks in a row, forks of rows, and rows that repeat."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from fastcnn.layers import (
    Activation,
    AuxiliaryClassifier,
    AveragePooling2D,
    BatchNormalization,
    Concat,
    Conv2D,
    Conv2DTranspose,
    Dense,
    DepthwiseConv2D,
    Dropout,
    GlobalAveragePooling2D,
    GlobalMaxPooling2D,
    GroupNormalization,
    Layer,
    LayerNormalization,
    LocallyConnected2D,
    LpPooling2D,
    MaxPooling2D,
    ReLU,
    Residual,
    SeparableConv2D,
    Softmax,
)
from fastcnn.layers.containers import Branches

CONVOLUTIONS: dict[type[Layer], str] = {
    Conv2D: "Conv",
    Conv2DTranspose: "Transposed conv",
    DepthwiseConv2D: "Depthwise conv",
    SeparableConv2D: "Separable conv",
    LocallyConnected2D: "Locally connected",
}
POOLINGS: dict[type[Layer], str] = {
    MaxPooling2D: "Max pool",
    AveragePooling2D: "Average pool",
    LpPooling2D: "Lp pool",
}
GLOBAL_POOLINGS: dict[type[Layer], str] = {
    GlobalAveragePooling2D: "Global average pool",
    GlobalMaxPooling2D: "Global max pool",
}
NORMS: dict[type[Layer], str] = {
    BatchNormalization: "BN",
    GroupNormalization: "GN",
    LayerNormalization: "LN",
}
CURVES = {"relu": "ReLU", "relu6": "ReLU6", "elu": "ELU", "selu": "SELU", "gelu": "GELU"}
LONGEST_PERIOD = 8


@dataclass(frozen=True)
class Block:
    """A layer, with what is applied to its outputs; `kind` is what colours tell apart."""

    text: str
    kind: str
    details: tuple[str, ...] = ()
    shape: tuple[int, ...] = field(default=(), compare=False)


@dataclass(frozen=True)
class Fork:
    """Rows that read the same input: the first is in line with what comes before, where it is
    `straight`; `join` is what is done with their ends, "" where only the first goes on.
    """

    chains: tuple[tuple[Item, ...], ...]
    join: str
    straight: bool
    details: tuple[str, ...] = ()
    shape: tuple[int, ...] = field(default=(), compare=False)


@dataclass(frozen=True)
class Repeat:
    """The same row several times, one after the other."""

    items: tuple[Item, ...]
    count: int
    shape: tuple[int, ...] = field(default=(), compare=False)


Item: TypeAlias = Block | Fork | Repeat


def items(layers: Iterable[Layer]) -> tuple[Item, ...]:
    """Return what is drawn of layers in a row."""
    row: list[Item] = []
    for layer in layers:
        detail = _detail(layer)
        last = row[-1] if row else None
        if detail and isinstance(last, Block | Fork) and last.shape == layer.output_shape:
            row[-1] = replace(last, details=(*last.details, detail))
        else:
            row.append(_item(layer))
    return tuple(row)


def _item(layer: Layer) -> Item:
    shape = tuple(layer.output_shape)
    if not isinstance(layer, Branches):
        text, kind = _described(layer)
        curve = _curve(layer) if kind in ("conv", "dense") else ""
        return Block(text, kind, (curve,) if curve else (), shape)
    chains = tuple(items(chain) for chain in layer.chains)
    if isinstance(layer, Residual):
        shortcut = chains[1:] or ((),)
        return Fork((chains[0], *shortcut), "+", straight=True, shape=shape)
    if isinstance(layer, Concat):
        return Fork(chains, "concat", straight=False, shape=shape)
    if isinstance(layer, AuxiliaryClassifier):
        return Fork(((), *chains), "", straight=True, shape=shape)
    join = {"Scale": "×", "SqueezeExcite": "×"}.get(type(layer).__name__, _spelt(layer))
    return Fork(((), *chains), join, straight=True, shape=shape)


def _detail(layer: Layer) -> str:
    """What a layer is called that only changes the numbers of the one before; "" for others."""
    kind = type(layer)
    if kind in NORMS:
        return NORMS[kind]
    if isinstance(layer, Dropout):
        return f"{_spelt(layer).lower()} {layer.rate:g}"
    if kind in (Activation, ReLU, Softmax):
        return _curve(layer) or _spelt(layer)
    return ""


def _curve(layer: Layer) -> str:
    name = {ReLU: "relu", Softmax: "softmax"}.get(type(layer)) or getattr(layer, "activation", None)
    return "" if name in (None, "linear") else CURVES.get(str(name), str(name))


def _described(layer: Layer) -> tuple[str, str]:
    """A layer's text and kind."""
    kind = type(layer)
    if kind in CONVOLUTIONS:
        filters = getattr(layer, "filters", None)
        text = f"{CONVOLUTIONS[kind]} {_size(layer.kernel_size)}"  # type: ignore[attr-defined]
        return text + (f", {filters}" if filters else "") + _stride(layer), "conv"
    if kind in POOLINGS:
        window = _size(layer.pool_size)  # type: ignore[attr-defined]
        return f"{POOLINGS[kind]} {window}{_stride(layer)}", "pool"
    if kind in GLOBAL_POOLINGS:
        return GLOBAL_POOLINGS[kind], "pool"
    if isinstance(layer, Dense):
        return f"Dense {layer.units}", "dense"
    return _detail(layer) or _spelt(layer), "other"


def _spelt(layer: Layer) -> str:
    """LocalResponseNormalization -> "Local response normalization", LeakyReLU -> "Leaky ReLU"."""
    name = type(layer).__name__.removesuffix("2D")
    first, *others = re.split(r"(?<=[a-z])(?=[A-Z](?!U))", name)
    return " ".join([first, *(word if word.endswith("LU") else word.lower() for word in others)])


def _size(window: Sequence[int]) -> str:
    return "x".join(map(str, window))


def _stride(layer: Layer) -> str:
    strides = tuple(getattr(layer, "strides", ()))
    usual = tuple(getattr(layer, "pool_size", (1, 1)))
    if strides in ((), usual):
        return ""
    return f", stride {strides[0] if len({*strides}) == 1 else _size(strides)}"


def folded(row: Sequence[Item]) -> tuple[Item, ...]:
    """Return a row in which what stands in it several times, one after the other, stands once."""
    inside = [_folded_inside(item) for item in row]
    result: list[Item] = []
    position = 0
    while position < len(inside):
        period, count = _repetition(inside[position:])
        end = position + period * count
        if count == 1:
            result.append(inside[position])
        else:
            first = tuple(inside[position : position + period])
            result.append(Repeat(first, count, inside[end - 1].shape))
        position = end
    return tuple(result)


def _folded_inside(item: Item) -> Item:
    if isinstance(item, Fork):
        return replace(item, chains=tuple(folded(chain) for chain in item.chains))
    return item


def _repetition(row: Sequence[Item]) -> tuple[int, int]:
    """The period and the count at which most of a row's beginning repeats; (1, 1) for none."""
    best = (1, 1)
    for period in range(1, min(LONGEST_PERIOD, len(row) // 2) + 1):
        count = 1
        while row[count * period : (count + 1) * period] == row[:period]:
            count += 1
        if count > 1 and period * count > best[0] * best[1]:
            best = (period, count)
    return best
