"""What a run found, as JSON and as Markdown, written anew after each piece of work."""

from __future__ import annotations

import json
import re
from datetime import date
from pathlib import Path
from typing import Any

from fastcnn.lab.report.text import machine_line
from fastcnn.lab.report.totals import totals
from fastcnn.lab.results import Report, Result, winner
from fastcnn.utils import atomic_file
from gpu.compare import COMPILE, Race
from gpu.correctness import Check

NO_TIMES = "simulator: no times"
TARGETS = "Level with the peer is 1.00; above it fastcnn is faster."
WAYS = ("eager", "graph", COMPILE)


class RunReport:
    """The results of a run, in a folder; `machine` as `measuring.described` describes it."""

    def __init__(self, folder: Path, machine: dict[str, Any]):
        self.machine = machine
        self.simulated = bool(machine["card"]["simulated"])
        self.checks: list[Check] = []
        self.unchecked: list[str] = []  # what there was no time for
        self.unreached: list[str] = []
        self.races: list[Race] = []
        self.convolutions: dict[str, Report] = {}
        self.curve: dict[str, Any] | None = None
        self.notes: list[str] = []  # what was not done, and why
        folder.mkdir(parents=True, exist_ok=True)
        name = re.sub(r"[^a-z0-9]+", "-", machine["card"]["processor"].lower()).strip("-")
        self._path = folder / f"{date.today().isoformat()}-{name}"

    @property
    def failed(self) -> list[Check]:
        """The checks that something is wrong with."""
        return [check for check in self.checks if check.wrong]

    @property
    def files(self) -> list[Path]:
        """Where it is written."""
        return [self._path.with_name(self._path.name + end) for end in (".json", ".md")]

    def write(self) -> None:
        """Write all that is known."""
        texts = json.dumps(self._described(), indent=1) + "\n", self.text()
        for path, text in zip(self.files, texts, strict=True):
            with atomic_file.replacing(path) as file:
                file.write(text.encode())

    def _described(self) -> dict[str, Any]:
        return {
            "machine": self.machine,
            "notes": self.notes,
            "checks": [report._asdict() for report in self.checks],
            "unchecked": self.unchecked,
            "unreached_kernels": self.unreached,
            "races": [self._raced_plainly(report) for report in self.races],
            "convolutions": {
                name: [_verdict(result) for result in report.results]
                if self.simulated
                else report.described()
                for name, report in self.convolutions.items()
            },
            "curve": self.curve,
        }

    def _raced_plainly(self, race: Race) -> dict[str, Any]:
        """Return a race as plain data, of the simulator's just who took part."""
        results: list[Any] = [result._asdict() for result in race.results]
        if self.simulated:
            results = [f"{result.name} {result.variant}" for result in race.results]
        return {**race._asdict(), "results": results}

    def text(self) -> str:
        """All of it as Markdown."""
        versions = ", ".join(
            f"{name} {version}" for name, version in self.machine["versions"].items()
        )
        lines = ["# fastcnn on a GPU", "", machine_line(self.machine) + ".", ""]
        lines += [f"{self.machine['system']}; {versions}.", ""]
        if self.simulated:
            lines += [f"**{NO_TIMES}**: only what is right or wrong was looked at.", ""]
        lines += [f"- {version}" for version in self.notes]
        for part in (self._checks(), self._curve(), self._races(), *self._convolutions()):
            lines += ["", *part] if part else []
        return "\n".join(lines) + "\n"

    def _checks(self) -> list[str]:
        if not self.checks and not self.unchecked:
            return []
        right = len(self.checks) - len(self.failed)
        lines = ["## Checks against float64", "", f"{right} of {len(self.checks)} are right."]
        lines += [
            f"- WRONG: {check.what}, {check.precision}: {check.wrong}" for check in self.failed
        ]
        if self.unchecked:
            lines += ["", "**Not checked, since the time was over:**", ""]
            lines += [f"- {check}" for check in self.unchecked]
        if self.unreached:
            lines += ["", f"Kernels that no check reached: {', '.join(self.unreached)}."]
        return lines

    def _curve(self) -> list[str]:
        if self.curve is None:
            return []
        curve = self.curve
        return [
            "## Losses beside the CPU's",
            "",
            f"{curve['net']}, batches of {curve['batch']}, {curve['steps']} steps: at most "
            f"{curve['apart']:.1e} apart, relative to the CPU's (target {curve['target']:.0e}).",
        ]

    def _races(self) -> list[str]:
        if not self.races:
            return []
        head = ["net", "mode", "batch", "precision", "fastcnn ms"]
        head += [f"{way} ms" for way in WAYS] + [f"x {way}" for way in WAYS]
        rows = [self._raced(race) for race in self.races]
        return ["## Training and inference beside PyTorch", "", TARGETS, "", *_table(head, rows)]

    def _raced(self, race: Race) -> list[str]:
        own, peers = race.own(), [race.best(way) for way in WAYS]
        cells = [race.net, race.mode, str(race.batch), race.precision]
        if self.simulated:
            return [*cells, *(NO_TIMES if result else "" for result in (own, *peers, *peers))]
        ratios = [own.times_faster_than(result) if own and result else None for result in peers]
        cells += ["" if result is None else f"{result.ms:.3f}" for result in (own, *peers)]
        return [*cells, *("" if result is None else f"{result:.2f}" for result in ratios)]

    def _convolutions(self) -> list[list[str]]:
        return [self._compared(name, report) for name, report in self.convolutions.items()]

    def _compared(self, precision: str, report: Report) -> list[str]:
        head = ["problem", "direction", "fastest", "ms", "TFLOP/s", "of roof"]
        head += ["auto", "cuDNN ms", "speed of cuDNN's"]
        rows = []
        for problem, direction, results in report.groups():
            best = winner(results)
            other = next((result for result in results if result.peer and result.median_ms), None)
            choice = report.choice(problem, direction)
            cells = [problem.title, direction]
            if self.simulated:
                rows.append([*cells, *[NO_TIMES] * 4, "", NO_TIMES if other else "", ""])
                continue
            cells.append(best.strategy if best else "none")
            rows.append(
                [
                    *cells,
                    _figure(best and best.median_ms, ".3f"),
                    _figure(best and best.gflops and best.gflops / 1e3, ".1f"),
                    _figure(best and best.of_roofline, ".0%"),
                    choice.strategy if choice else "",
                    _figure(other and other.median_ms, ".3f"),
                    _figure(best and best.to_peer, ".0%"),
                ]
            )
        lines = [f"## Convolutions beside cuDNN, {precision}", "", *self._limits(report), ""]
        return [*lines, *_table(head, rows), "", *self._sums(report), *_wrong(report)]

    def _limits(self, report: Report) -> list[str]:
        if self.simulated:
            return [f"Ceilings: {NO_TIMES}."]
        limits = report.ceilings
        return [
            f"Ceilings of this run: multiply-adds in float32 {limits.fma_gflops / 1e3:.1f} "
            f"TFLOP/s, copy {limits.copy_gbytes:.0f} GB/s. Tensor cores go beyond the first."
        ]

    def _sums(self, report: Report) -> list[str]:
        if self.simulated:
            return []
        head = ["set", "direction", "problems", "auto ms", "best ms", "cuDNN ms", "auto's speed"]
        rows = [
            [
                *(total.set, total.direction, str(total.problems), _figure(total.auto_ms, ".2f")),
                *(_figure(total.best_ms, ".2f"), _figure(total.peer_ms, ".2f")),
                _figure(total.to_peer, ".0%"),
            ]
            for total in totals(report)
        ]
        return _table(head, rows) if rows else []


def _verdict(result: Result) -> dict[str, Any]:
    """Return what a result says apart from times."""
    return {
        "problem": result.problem.title,
        "direction": result.direction,
        "strategy": result.strategy,
        "verdict": result.verdict,
        "reason": result.reason,
        "error": result.error,
    }


def _wrong(report: Report) -> list[str]:
    wrong = [result for result in report.results if result.verdict == "WRONG"]
    return [
        f"- WRONG: {result.problem.title}, {result.direction}, {result.strategy}: {result.reason}"
        for result in wrong
    ]


def _figure(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def _table(head: list[str], rows: list[list[str]]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(line) + " |" for line in lines]
