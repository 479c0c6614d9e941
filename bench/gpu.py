"""fastcnn on a GPU in one command: right or wrong against float64, and how fast beside PyTorch.

    python bench/gpu.py --out runs/gpu
    python bench/gpu.py --quick --only check,race
    NUMBA_ENABLE_CUDASIM=1 python bench/gpu.py --tiny --out runs/simulator

The parts: `check` computes every strategy, tile and layer, and compares; `curve` trains LeNet-5
on the GPU and on the CPU; `race` times training steps and inference beside PyTorch, eager, as CUDA
graphs and (last of all, since that takes minutes) compiled; `conv` times convolutions beside cuDNN
and the card's ceilings. PyTorch runs in the interpreter of --peer-python, $FASTCNN_PEER_PYTHON, or
this one; without it there is nothing to compare with. Before the first part the kernels are
compiled, on all cores, as far as they are not on disk. Figures are medians over turns. JSON and a
table are written as the run goes on, and it ends in time with what it has: with code 1 where
something is wrong, 3 where there was no time for all checks.
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
import time
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path

from competitors import Competitor
from gpu import compare, correctness, curve, problems
from gpu.deadline import Clock
from gpu.precompile import prepare
from gpu.report import RunReport
from gpu.scale import FULL, QUICK, TINY, Scale

from fastcnn import devices
from fastcnn.lab.measure import runner

PARTS = ("check", "curve", "race", "conv")
# How much of the time a part may take, beside the others asked for; what one leaves is the next's.
WEIGHTS = {"check": 3.0, "curve": 0.5, "race": 3.0, "conv": 4.0, "race_compiled": 2.0}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--out", type=Path, default=Path("runs/gpu"), metavar="DIR", help="default: runs/gpu")
    add("--only", type=parts, default=PARTS, metavar="PARTS", help=f"of {','.join(PARTS)}")
    add("--quick", action="store_true", help="fewer sizes and rounds, nothing compiled")
    add("--tiny", action="store_true", help="as little as the simulator bears")
    add("--time-limit", type=float, default=540.0, metavar="S", help="seconds (default: 540)")
    add("--peer-python", metavar="PATH", help="PyTorch's interpreter")
    return parser.parse_args()


def parts(text: str) -> tuple[str, ...]:
    """The parts of "check,race", in their order."""
    asked = text.split(",")
    unknown = set(asked) - set(PARTS)
    if unknown:
        raise argparse.ArgumentTypeError(f"expected some of {','.join(PARTS)}, not '{text}'")
    return tuple(part for part in PARTS if part in asked)


class Run:
    """A run's parts, each of which adds to its report."""

    def __init__(self, scale: Scale, python: str | None, run_report: RunReport):
        self._scale, self._run_report = scale, run_report
        self._python = python or os.environ.get("FASTCNN_PEER_PYTHON") or sys.executable
        self._peer: Competitor | None = None

    def check(self, past: Callable[[], bool]) -> None:
        """Print each check, the wrong ones with their reason."""
        tasks = correctness.tasks(self._scale)
        for number, task in enumerate(tasks):
            if past():
                left = [f"{checked.what}, {checked.precision}" for checked in tasks[number:]]
                self._run_report.unchecked = left
                self._run_report.notes.append(f"{len(left)} of {len(tasks)} were not checked.")
                break
            checked = task.checked()
            self._run_report.checks.append(checked)
            said = f"WRONG: {checked.wrong}" if checked.wrong else f"right, {checked.error:.1e}"
            print(f"{checked.what}, {checked.precision}: {said}", flush=True)
        self._run_report.unreached = correctness.unreached()

    def curve(self, past: Callable[[], bool]) -> None:
        """Train on both devices."""
        self._run_report.curve = curve.curve(self._scale)

    def race(self, past: Callable[[], bool], compiled: bool = False) -> None:
        """Race beside the peer, where there is one."""
        if self._peer is None and not compiled:
            peer = compare.peer(self._python, self._run_report.simulated)
            if isinstance(peer, str):
                self._run_report.notes.append(f"PyTorch did not race: {peer}")
            else:
                self._peer = peer
                versions = {**peer.about["versions"], **self._run_report.machine["versions"]}
                self._run_report.machine["versions"] = versions
        for race in compare.races(self._scale, self._peer, compiled, past):
            self._run_report.races.append(race)
            self._run_report.write()
        if past():
            self._run_report.notes.append("Not all nets raced: the time was over.")

    def race_compiled(self, past: Callable[[], bool]) -> None:
        """Race beside what torch.compile makes."""
        if self._peer is not None:
            self.race(past, compiled=True)

    def conv(self, past: Callable[[], bool]) -> None:
        """Time the sets' convolutions beside cuDNN."""
        for report in problems.reports(self._scale, self._python, past):
            self._run_report.convolutions[report.machine["precision"]] = report
            self._run_report.write()
        if past():
            self._run_report.notes.append("Not all convolutions were timed: the time was over.")

    def close(self) -> None:
        """End the peer."""
        if self._peer is not None:
            self._peer.close()


def main() -> int:
    args = arguments()
    clock = Clock(args.time_limit)
    try:
        devices.resolve("cuda")
    except ValueError as error:
        print(f"gpu.py: {error}", file=sys.stderr)
        return 2
    scale = TINY if args.tiny else QUICK if args.quick else FULL
    run_report = RunReport(args.out, runner.described(device="cuda"))
    run = Run(scale, args.peer_python, run_report)
    todo = [*args.only, *(["race_compiled"] if "race" in args.only and scale.compiled else [])]
    ends = itertools.accumulate(WEIGHTS[part] for part in todo)
    total = sum(WEIGHTS[part] for part in todo)
    broken = False
    prepare(args.only)
    print(f"Ready after {clock.seconds:.0f} s.", flush=True)
    clock.share_out()
    try:
        for part, end in zip(todo, ends, strict=True):
            broken |= not _done(getattr(run, part), partial(clock.past, end / total), run_report)
    finally:
        run.close()
    print(run_report.text())
    print(
        f"{time.strftime('%H:%M')}, {clock.seconds:.0f} s: {', '.join(map(str, run_report.files))}"
    )
    wrong = any(value.wrong for value in run_report.convolutions.values())
    if broken or run_report.failed or wrong:
        return 1
    return 3 if run_report.unchecked else 0


def _done(
    part: Callable[[Callable[[], bool]], None], past: Callable[[], bool], run_report: RunReport
) -> bool:
    """Do a part and write what it found; say whether it came to its end without an error."""
    try:
        part(past)
    except Exception as error:
        traceback.print_exc()
        run_report.notes.append(f"{part.__name__} ended in {type(error).__name__}: {error}")
        return False
    finally:
        run_report.write()
    return True


if __name__ == "__main__":
    sys.exit(main())
