"""The race's results as tables."""

from __future__ import annotations

from typing import Any, NamedTuple

from competitors import FASTCNN, ONNX, TORCH, Result
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

WIDTH = 110
"""The least width of a table, also where the terminal is narrower."""


class Row(NamedTuple):
    """One net, mode and batch size, and what each entry reached."""

    net: str
    mode: str
    batch: int
    results: list[Result]

    def best(self, name: str) -> Result | None:
        """A competitor's fastest variant."""
        own = [result for result in self.results if result.name == name]
        return min(own, key=lambda result: result.ms, default=None)


class Rate(NamedTuple):
    """How fast one direction of the convolution is, and its share of sgemm's rate."""

    direction: str
    gflops: float
    share: float


def show(report: dict[str, Any]) -> None:
    """Prints a report of compare.py."""
    console = Console(highlight=False, soft_wrap=True)
    console.width = max(console.width, WIDTH)
    machine = report["machine"]
    console.print(
        f"{machine['cpu']}, {machine['cores']} cores, {machine['threads']} threads, "
        f"{machine['system']}"
    )
    for name, versions in report["versions"].items():
        console.print(f"{name}: " + ", ".join(f"{what} {v}" for what, v in versions.items()))
    if machine["neighbours"]:
        console.print(f"beside {machine['neighbours']} busy programs")
    console.print(f"sgemm of this run: {report['sgemm']:.0f} GFLOP/s; {report['rounds']} rounds")
    if report["others"] is not None:
        console.print(f"other programs took {100 * report['others']:.0f} % of the processors' time")
    if "steps" in report:
        console.print(_steps(report["steps"]))
    if "threads" in report:
        console.print(_threads(report["threads"], machine["threads"]))
    if "kernels" in report:
        console.print(_kernels(report["kernels"]))
    if "memory" in report:
        title = "Peak memory, MiB: cifar-small, batch 128, training"
        console.print(_plain(title, report["memory"], "{:.0f}"))
    if "startup" in report:
        title = "Seconds from imports to the end of LeNet-5's first training step"
        console.print(_plain(title, report["startup"], "{:.2f}"))


def _steps(rows: list[Row]) -> Table:
    table = Table(title="ms a step, and how many times faster fastcnn is", box=SIMPLE_HEAD)
    table.add_column("net")
    table.add_column("mode")
    for heading in ("batch", FASTCNN.name, TORCH.name):
        table.add_column(heading, justify="right")
    table.add_column("its best")
    for heading in ("ratio", ONNX.name, "ratio"):
        table.add_column(heading, justify="right")
    for row in rows:
        own, torch, onnx = (row.best(kind.name) for kind in (FASTCNN, TORCH, ONNX))
        table.add_row(
            *(row.net, row.mode, str(row.batch), _ms(own)),
            *(_ms(torch), torch.variant if torch else "", _ratio(own, torch)),
            *(_ms(onnx), _ratio(own, onnx)),
        )
    return table


def threads_name(number: int) -> str:
    """What fastcnn with a number of threads is called."""
    return f"fastcnn, {number}"


def _threads(rows: list[Row], most: int) -> Table:
    """ms a step by number of threads, and how much slower than the best number all of them are."""
    names = [*(threads_name(number) for number in range(1, most)), FASTCNN.name]
    table = Table(title="ms a step by threads", box=SIMPLE_HEAD)
    for heading in ("net", "mode"):
        table.add_column(heading)
    headings = [threads_name(number) for number in range(1, most + 1)]
    for heading in ("batch", *headings, f"{most} / best", TORCH.name, ONNX.name):
        table.add_column(heading, justify="right")
    for row in rows:
        own = [result for name in names if (result := row.best(name)) is not None]
        slower = max((other.times_faster_than(own[-1]) for other in own), default=0.0)
        table.add_row(
            *(row.net, row.mode, str(row.batch), *map(_ms, own), f"{slower:.2f}"),
            *(_ms(row.best(kind.name)) for kind in (TORCH, ONNX)),
        )
    return table


def _kernels(rates: list[Rate]) -> Table:
    table = Table(title="3x3 convolution, 64 to 64 channels, 28x28, batch 32", box=SIMPLE_HEAD)
    table.add_column("direction")
    table.add_column("GFLOP/s", justify="right")
    table.add_column("of sgemm", justify="right")
    for rate in rates:
        table.add_row(rate.direction, f"{rate.gflops:.0f}", f"{100 * rate.share:.0f} %")
    return table


def _ms(result: Result | None) -> str:
    return "" if result is None else f"{result.ms:.3f}"


def _ratio(own: Result | None, other: Result | None) -> str:
    return "" if own is None or other is None else f"{own.times_faster_than(other):.2f}"


def _plain(title: str, results: list[Result], form: str) -> Table:
    table = Table(title=title, box=SIMPLE_HEAD)
    table.add_column("")
    table.add_column("")
    table.add_column("median", justify="right")
    for result in results:
        table.add_row(result.name, result.variant, form.format(result.ms))
    return table
