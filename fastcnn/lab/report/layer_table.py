"""A training step's times by layer, to read and to keep: a table, plain data, lines of a CSV."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from fastcnn.lab.measure.layer_times import LayerTime, Share, StepTime
from fastcnn.strategies import DIRECTIONS
from fastcnn.utils.columns import cut

if TYPE_CHECKING:
    from rich.table import Table

CSV_HEADER = (
    *("layer", "type", "output_shape", "direction", "ms", "share", "gflops"),
    *("strategy", "chosen"),
)
WIDTH = 80  # of what is no terminal
WIDE = 110
NAME = 24  # columns of a layer's name, where there are fewer than WIDE
BAR = 12  # characters of the longest bar
_EIGHTHS = " ▏▎▍▌▋▊▉"


def table(step: StepTime, width: int) -> Table:
    """A row a layer, then what is not any layer's, and the whole step; without the shapes and the
    bars where there are fewer columns than WIDE."""
    from rich.markup import escape
    from rich.table import Table

    grid = Table(box=None, header_style="bold", padding=(0, 2, 0, 0), title_justify="left")
    # Where little room is left, names and strategies are cut, not numbers.
    least = {} if width >= WIDE else {"min_width": 6}
    columns: dict[str, dict[str, Any]] = {
        "layer": {},
        "output": {"style": "dim"},
        **{name: {"justify": "right", **least} for name in (*DIRECTIONS, "share")},
        "": {"style": "cyan", "min_width": BAR},
        "GFLOP/s": {"justify": "right", **least},
        "strategy": {},
    }
    shown = [width >= WIDE or name not in ("output", "") for name in columns]
    for name, options in itertools.compress(columns.items(), shown):
        grid.add_column(name, no_wrap=True, **options)

    def add(*cells: str, style: str | None = None) -> None:
        grid.add_row(*itertools.compress(cells, shown), style=style)

    longest = max((layer.ms for layer in step.layers), default=0.0)
    for layer in step.layers:
        name, *figures = _cells(layer, step, longest)
        name = escape(cut(name, NAME if width < WIDE else 2 * NAME))
        add(name, *figures, style=None if layer.shares else "dim")
    grid.add_section()
    add("all layers", "", *_sums(step), _percent(_layers_ms(step), step))
    for name, ms in (("loss", step.loss), ("update of the weights", step.update)):
        add(name, "", _ms(ms), "", "", _percent(ms, step))
    grid.add_section()
    for name, ms in (("in kernels", step.kernels), ("waiting", step.waiting)):
        add(name, "", _ms(ms))
    add("step", "", _ms(step.timed), style="bold")
    return grid


def heading(step: StepTime) -> str:
    """The step in a line: "lenet5, batches of 32, 2 threads: 0.81 ms a training step"."""
    stopped = ", interrupted" if step.interrupted else ""
    return (
        f"{step.model}, batches of {step.images}, {_threads(step)}: {step.step:.3g} ms a training "
        f"step (median of {step.repeat}{stopped})"
    )


def notes(step: StepTime) -> list[str]:
    """How the figures came about."""
    chosen = Counter(
        why for layer in step.layers for share in layer.shares.values() for why in share.chosen
    )
    lines = [
        "Milliseconds. Each kernel call was timed on its thread while the engine took its usual "
        f"steps: the sum over calls and threads, divided by {_threads(step)}. Shares are of the "
        "time in kernels; waiting is the rest. With the stopwatches a step takes "
        f"{step.timed / step.step:.2f} times as long as without.",
    ]
    if chosen:
        said = ", ".join(f"{count} {why}" for why, count in chosen.most_common())
        lines.append(f"Strategies as forward / dx / dw where they differ: {said}.")
    return lines


def described(step: StepTime) -> dict[str, Any]:
    """The step as plain data; times in milliseconds."""
    names = ("model", "images", "threads", "repeat", "interrupted")
    times = ("step", "timed", "loss", "update", "waiting")
    return {
        **{name: getattr(step, name) for name in names},
        "ms": {name: getattr(step, name) for name in times},
        "layers": [
            {
                "layer": layer.path,
                "type": layer.kind,
                "output_shape": list(layer.output_shape),
                "ms": layer.ms,
                "directions": {
                    direction: {
                        "ms": share.ms,
                        "gflops": _rate(share, step),
                        "strategies": share.strategies,
                        "chosen": share.chosen,
                    }
                    for direction, share in layer.shares.items()
                },
            }
            for layer in step.layers
        ],
    }


def lines(step: StepTime) -> Iterator[tuple[Any, ...]]:
    """The lines of a CSV under CSV_HEADER: a layer's directions, then the rest of the step."""
    for layer in step.layers:
        shape = "x".join(map(str, layer.output_shape))
        for direction, share in layer.shares.items():
            figures = (share.ms, share.ms / step.kernels, _rate(share, step))
            chosen = ("+".join(share.strategies), "+".join(share.chosen))
            yield layer.path, layer.kind, shape, direction, *figures, *chosen
    for name in ("loss", "update"):
        ms = getattr(step, name)
        yield name, "", "", "", ms, ms / step.kernels, None, "", ""
    yield "waiting", "", "", "", step.waiting, None, None, "", ""


def _cells(layer: LayerTime, step: StepTime, longest: float) -> Iterator[str]:
    yield "  " * layer.depth + layer.path.rpartition("/")[2]
    yield " x ".join(map(str, layer.output_shape))
    for direction in DIRECTIONS:
        yield _ms(layer.shares[direction].ms) if direction in layer.shares else ""
    yield _percent(layer.ms, step) if layer.shares else ""
    yield _bar(layer.ms / longest) if layer.shares and longest else ""
    rate = _rate(layer, step)
    yield "" if rate is None else f"{rate:.0f}"
    yield _strategies(layer)


def _strategies(layer: LayerTime) -> str:
    """One name where every direction has the same, else one a direction."""
    named = {d: " + ".join(s.strategies) for d, s in layer.shares.items() if s.strategies}
    if len(set(named.values())) <= 1:
        return next(iter(named.values()), "")
    return " / ".join(named.get(direction, "–") for direction in DIRECTIONS)


def _rate(part: LayerTime | Share, step: StepTime) -> float | None:
    """GFLOP/s by the direct method's count; None where there is nothing to count."""
    if not part.multiply_adds or part.ms <= 0:
        return None
    return 2e-6 * part.multiply_adds * step.images / part.ms


def _sums(step: StepTime) -> Iterator[str]:
    for direction in DIRECTIONS:
        own = [layer.shares[direction].ms for layer in step.layers if direction in layer.shares]
        yield _ms(sum(own))


def _layers_ms(step: StepTime) -> float:
    return sum(layer.ms for layer in step.layers)


def _percent(ms: float, step: StepTime) -> str:
    return f"{100 * ms / step.kernels:.1f} %"


def _ms(ms: float) -> str:
    """Three digits, at most three decimals."""
    return f"{ms:.{2 if ms >= 10 else 3}f}" if ms < 100 else f"{ms:.1f}"


def _bar(share: float) -> str:
    eighths = round(8 * BAR * share)
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()


def _threads(step: StepTime) -> str:
    return f"{step.threads} thread{'s' if step.threads > 1 else ''}"
