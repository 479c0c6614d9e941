"""The lab's report as text, and its sums over networks, of invented results."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from test_strategies import PROBLEMS

from fastcnn.lab.report import text as report
from fastcnn.lab.report import totals
from fastcnn.lab.results import AutoChoice, Ceilings, NamedProblem, Report, Result

CEILINGS = Ceilings(200.0, 250.0, 20.0)


def result(problem, strategy, ms, **more):
    own = {"verdict": "ok", "minimum_ms": ms, "median_ms": ms, "gflops": 1.0, **more}
    return Result(problem, "forward", strategy, **own)


def invented(**more) -> Report:
    """Two problems of a set, one of which it has three times, with a peer."""
    one, two = (
        NamedProblem(name, problem, 2, f"mb2{name}", "net[bold]", count)
        for name, problem, count in (("a", PROBLEMS["1x1"], 1), ("b", PROBLEMS["3x3"], 3))
    )
    results = [
        result(one, "direct", 4.0),
        result(one, "winograd", 2.0),
        result(one, "torch", 5.0, peer=True, variant="channels_first"),
        result(two, "direct", 10.0),
        result(two, "winograd", None, verdict="declined", reason="too [red]small", gflops=None),
        result(two, "torch", 20.0, peer=True, variant="channels_last"),
    ]
    choices = [
        AutoChoice(one, "forward", "direct", "estimated", "winograd", 0.5),
        AutoChoice(two, "forward", "direct", "measured", "direct", 1.0),
    ]
    machine = {"processor": "Abacus", "system": "Linux", "cores": 2, "threads": 1}
    machine |= {"vector_bits": 128, "versions": {"fastcnn": "1"}}
    return Report(machine, CEILINGS, results, choices, "torch", **more)


def test_sums_over_a_network():
    (total,) = totals.totals(invented())
    assert (total.set, total.direction, total.problems) == ("net[bold]", "forward", 2)
    assert total.direct_ms == 4 + 3 * 10
    assert total.best_ms == 2 + 3 * 10
    assert total.auto_ms == 4 + 3 * 10
    assert total.peer_ms == 5 + 3 * 20
    assert total.auto_to_best == 32 / 34
    assert total.to_peer == 65 / 34


def text(width: int, **more) -> str:
    console = Console(width=width, file=io.StringIO(), color_system=None, highlight=False)
    report.show(invented(**more), console)
    return console.file.getvalue()


@pytest.mark.parametrize("width", [40, 60, 80, 100, 200])
def test_the_text_fits_its_terminal(width):
    said = text(width)
    assert max(map(len, said.splitlines())) <= width
    assert "median" in said
    assert ("  roof" in said) == (width >= 80)
    assert ("error" in said) == ("of the largest result" in said) == (width >= 100)
    assert ("workspace" in said) == (width >= 100)
    assert ("auto/best" in said) == (width >= 80)
    assert "34.00" in said  # the sum, not cut


def test_a_gpu_in_a_line():
    card = {"processor": "Abacus 9000", "simulated": False, "multiprocessors": 2}
    card |= {"memory": 8 << 30, "compute_capability": "9.0", "driver": "1.2, CUDA 13.0"}
    card |= {"package": "numba-cuda 0.30"}
    assert report.machine_line({"card": card, "precision": "tf32"}) == (
        "Abacus 9000, 2 multiprocessors, 8 GiB, compute capability 9.0, driver 1.2, CUDA 13.0, "
        "numba-cuda 0.30, tf32"
    )


def test_the_text():
    said = text(100, disturbance=0.25, interrupted=True)
    lines = [line.rstrip() for line in said.splitlines()]
    assert lines[0] == "Abacus, 2 cores, 1 thread, 128-bit vectors"
    assert any(line.startswith("net[bold] b, 3 times: 9x7x5 -> 20, 3x3, mb2b") for line in lines)
    assert any(line.startswith("* winograd") for line in lines)
    assert any(line.startswith("  torch, NCHW") for line in lines)
    assert any(line.startswith("  auto: direct") for line in lines)
    assert "  winograd declines forward: too [red]small" in lines
    assert "  auto takes direct for forward (estimated), 0.50 times as fast as winograd" in lines
    assert "Other programs took 25% of the processors meanwhile." in lines
    assert "Interrupted: what was measured until then." in lines
