"""Fit the cost model by which "auto" chooses a convolution's strategy to what the lab measured.

    fastcnn bench conv cifar resnet34 googlenet --json times.json
    python tools/fit_cost_model.py times.json [more.json ...]

For each set and direction it prints how near the model's choices come to the fastest strategies,
with the numbers of fastcnn/kernels/cpu/costs.py and with those that it finds by varying them one by
one, and the line that goes into that file. FASTCNN_LANES=8 both times fits the numbers of AVX2 on
a CPU with wider vectors.
"""

from __future__ import annotations

import argparse
import json
import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import fields
from typing import Any, NamedTuple

from fastcnn.graph.problem import Problem
from fastcnn.kernels.cpu import costs as cpu
from fastcnn.kernels.cpu.conv import STRATEGIES
from fastcnn.kernels.cpu.costs import CpuCosts
from fastcnn.kernels.cpu.gemm import tiled
from fastcnn.kernels.cpu.simd.vector_unit import LANES
from fastcnn.strategies import ERROR_BOUND, choose

FACTORS = (0.25, 0.5, 0.7, 0.85, 1.2, 1.4, 2.0, 4.0)  # by which a number is varied
ROUNDS = 4  # through all numbers
# What keeps a number near where it was unless it brings more: of log(time), for each log2(number).
INERTIA = 1e-3


class Measurement(NamedTuple):
    """The milliseconds of a batch by strategy, for one direction of one problem of a set."""

    set: str
    direction: str
    problem: Problem
    images: int
    times: dict[str, float]

    def loss(self) -> float:
        """Return log(time of the model's choice / time of the fastest)."""
        name = choose(self.direction, self.problem, self.images, measured=False).name
        return math.log(self.times[name] / min(self.times.values()))


def read(paths: Iterable[str]) -> list[Measurement]:
    """Return the measurements of files that `fastcnn bench conv --json` wrote."""
    times: dict[tuple[str, str, Problem, int], dict[str, float]] = defaultdict(dict)
    for path in paths:
        with open(path, encoding="utf-8") as file:
            results = json.load(file)["results"]
        for result in results:
            if result["verdict"] == "ok" and result["strategy"] != "auto":
                named = result["problem"]
                key = named["set"], result["direction"], _problem(named["problem"]), named["batch"]
                times[key][result["strategy"]] = result["minimum_ms"]
    measurements = [Measurement(*key, by_name) for key, by_name in times.items()]
    return [entry for entry in measurements if _complete(entry)]


def _problem(values: dict[str, Any]) -> Problem:
    def frozen(value: Any) -> Any:
        return tuple(map(frozen, value)) if isinstance(value, list) else value

    return Problem(**{field.name: frozen(values[field.name]) for field in fields(Problem)})


def _complete(entry: Measurement) -> bool:
    """Say whether all that "auto" may choose was measured."""
    possible = {
        strategy.name
        for strategy in STRATEGIES.values()
        if strategy.automatic
        and strategy.error <= ERROR_BOUND
        and strategy.declines(entry.direction, entry.problem) is None
    }
    return possible <= entry.times.keys()


def use(costs: CpuCosts) -> None:
    """Let the cost model count with other numbers."""
    cpu.costs = costs
    tiled.width_cycles.cache_clear()


def mean_loss(measurements: list[Measurement], costs: CpuCosts) -> float:
    """Return the mean of the measurements' losses with these numbers."""
    use(costs)
    return sum(entry.loss() for entry in measurements) / len(measurements)


def fit(measurements: list[Measurement], start: CpuCosts) -> CpuCosts:
    """Return the numbers that lose least, each varied by itself while the others stay."""

    def objective(costs: CpuCosts) -> float:
        away = sum(abs(math.log2(a / b)) for a, b in zip(costs, start, strict=True))
        return mean_loss(measurements, costs) + INERTIA * away

    best, least = start, objective(start)
    for _ in range(ROUNDS):
        before = best
        for name in CpuCosts._fields:
            value = getattr(best, name)
            for factor in FACTORS:
                candidate = best._replace(**{name: float(f"{value * factor:.3g}")})
                loss = objective(candidate)
                if loss < least - 1e-9:
                    best, least = candidate, loss
        if best == before:
            break
    return best


def report(measurements: list[Measurement], costs: CpuCosts, title: str) -> None:
    """Print, by set, direction and batch, the sum of the fastest times over that of the choices."""
    use(costs)
    sums: dict[tuple[str, int, str], list[float]] = defaultdict(lambda: [0.0, 0.0, 0.0])
    for entry in measurements:
        name = choose(entry.direction, entry.problem, entry.images, measured=False).name
        row = sums[entry.set, entry.images, entry.direction]
        row[0] += min(entry.times.values())
        row[1] += entry.times[name]
        row[2] = max(row[2], entry.loss())
    print(f"\n{title}: fastest / chosen, and the worst choice's")
    for (name, images, direction), (fastest, chosen, worst) in sums.items():
        ratio, worst_ratio = fastest / chosen, math.exp(-worst)
        print(f"  {name:20} batch {images:<4} {direction:8} {ratio:5.2f} {worst_ratio:5.2f}")
    print(f"  mean loss {100 * mean_loss(measurements, costs):.1f} %")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("times", nargs="+", help="what fastcnn bench conv --json wrote")
    parser.add_argument("--worst", type=int, default=0, metavar="N", help="show N worst choices")
    args = parser.parse_args()
    measurements = read(args.times)
    start = cpu.costs
    report(measurements, start, f"{LANES} lanes, as they are")
    fitted = fit(measurements, start)
    report(measurements, fitted, "fitted")
    for entry in sorted(measurements, key=Measurement.loss, reverse=True)[: args.worst]:
        name = choose(entry.direction, entry.problem, entry.images, measured=False).name
        times = ", ".join(f"{name} {ms:.3f}" for name, ms in sorted(entry.times.items()))
        print(f"{entry.set} {entry.direction} {entry.problem}: chose {name} of {times}")
    print(f"\n    {LANES}: {fitted},")


if __name__ == "__main__":
    main()
